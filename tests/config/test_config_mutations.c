/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: thousands of damaged configurations, the same ones in every run, neither crash nor leak
 * (under the sanitizers), and each ends as a whole configuration or as exactly one line "FILE:LINE: ..." with
 * a line that the file has.
 */
#include <criterion/criterion.h>
#include <ctype.h>

#include "tests/config/config_file.h"

#define MUTATIONS 4000

static const char seed[] =
    "service = \"10.9.9.9\"  # the address that is mounted\n"
    "zone = a  bootstrap = {\"10.0.0.7\", \"10.0.0.8\"}\n"
    "/* two\n   lines */\n"
    "access \"n1\" { local = true  zone = \"a\"  data = \"10.0.0.1\"  management = \"10.1.0.1\" }\n"
    "access \"n2\" { data = 10.0.0.2 secondary = 10.2.0.2 service-check = none }\n"
    "probe { select-timeout = \"100ms\" select-count = 10 payload = 56B degraded-loss = 30% }\n"
    "session { provider = \"rest\" port = 80 client-addresses = {} fields { uuid = \"/uuid\" } }\n"
    "route { hold = \"180s\" protocol = 213 reset-connections = all }\n"
    "control-socket = '/run/reroute/control.sock'\n";

static const char *const pieces[] = {"{",
                                     "}",
                                     "=",
                                     "\"",
                                     "'",
                                     "#",
                                     "/*",
                                     "*/",
                                     "//",
                                     "\n",
                                     "${HOME}",
                                     ";",
                                     "\\",
                                     "|",
                                     "access",
                                     "probe",
                                     "session",
                                     "fields",
                                     "route",
                                     "0",
                                     "010",
                                     "-1",
                                     "18446744073709551616",
                                     "ms",
                                     "%",
                                     ",",
                                     "(",
                                     ")",
                                     "+=",
                                     "\xff",
                                     "\t",
                                     "\r",
                                     "fe80::1%lo",
                                     "service = \"10.9.9.8\"",
                                     "access \"n1\" {}",
                                     "rise = 3",
                                     "list = {",
                                     "=="};

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Inserts a piece, cuts a span, copies a span elsewhere, changes a byte, or cuts the end off. */
static size_t mutate(char *text, size_t length, size_t room, uint32_t *state)
{
    size_t at = length ? next(state) % length : 0;
    size_t span = next(state) % 24;
    const char *piece = pieces[next(state) % ARRAY_SIZE(pieces)];
    char copy[32];

    span = span > length - at ? length - at : span;
    switch (next(state) % 8) {
    case 0:
        text[at] = (char)next(state);
        return length;
    case 1:
        return at;
    case 2:
    case 3:
        memmove(text + at, text + at + span, length - at - span);
        return length - span;
    case 4:
        memcpy(copy, text + at, span);
        at = next(state) % (length + 1);
        break;
    default:
        span = strlen(piece);
        memcpy(copy, piece, span);
        break;
    }
    if (length + span > room)
        return length;
    memmove(text + at + span, text + at, length - at);
    memcpy(text + at, copy, span);
    return length + span;
}

static void check_error(const struct loaded *l, const char *text, size_t length)
{
    unsigned lines = 1, line = 0;
    int end = 0;

    for (size_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    cr_assert_eq(l->rc, -EINVAL, "%d", l->rc);
    cr_assert_eq(sscanf(l->error, ":%u: %n", &line, &end), 1, "'%s'", l->error);
    cr_assert(end > 0 && l->error[end], "'%s'", l->error);
    cr_assert(line >= 1 && line <= lines, "%s of %u lines in\n%.*s", l->error, lines, (int)length, text);
    cr_assert(strstr(l->error, "expected"), "%s", l->error);
    for (const char *c = l->error; *c; c++)
        cr_assert(isprint((unsigned char)*c), "'%s'", l->error);
}

Test(config_mutations, either_whole_or_one_line)
{
    unsigned good = 0;

    for (uint32_t i = 0; i < MUTATIONS; i++) {
        char text[2 * sizeof(seed)];
        size_t length = sizeof(seed) - 1;
        uint32_t state = i * 2654435761u + 1;
        struct loaded l;

        memcpy(text, seed, length);
        for (uint32_t n = 1 + next(&state) % 4; n > 0; n--)
            length = mutate(text, length, sizeof(text) - 32, &state);
        l = load_bytes(text, length);
        if (l.rc == 0) {
            good++;
            cr_assert(l.config && address_is_set(&l.config->service));
            cr_assert(l.config->access_count + l.config->bootstrap_count > 0);
            config_free(l.config);
        } else {
            check_error(&l, text, length);
        }
    }
    cr_assert_not(leaks());
    /* Both kinds must really have been there. */
    cr_assert(good > MUTATIONS / 100 && good < MUTATIONS / 2, "%u of %u are good", good, MUTATIONS);
}

/* Cut off after every byte: never a half configuration taken for a whole one unless it is one. */
Test(config_mutations, cut_off_anywhere)
{
    for (size_t length = 0; length < sizeof(seed) - 1; length++) {
        struct loaded l = load_bytes(seed, length);
        int depth = 0;

        for (size_t i = 0; i < length; i++)
            depth += (seed[i] == '{') - (seed[i] == '}');
        if (depth > 0)
            cr_assert_eq(l.rc, -EINVAL, "after %zu bytes", length);
        if (l.rc)
            check_error(&l, seed, length);
        config_free(l.config);
    }
}
