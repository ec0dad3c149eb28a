/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what all commands have in common on their command line: that each kind of row takes its value however
 * it is written, that wrong ones are said, that operands may come in their place, and that the help refuses a
 * table with a fault.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "probe/base.h"
#include "tools/options.h"

#define WORDS_MAX 8

/* What a command line of the test came to. */
struct taken {
    bool four, quick, has_size;
    uint8_t tos;
    uint16_t port;
    uint32_t size;
    uint64_t mark, wait_ns, watch_ns;
    const char *order, *file;
    char places[128]; /* of what is taken in its place */
};

static int take_place(const struct option_row *row, const char *value, char *message, size_t size_bytes)
{
    struct taken *taken = row->context;
    size_t length = strlen(taken->places);

    if (strcmp(value, "bad") == 0)
        return options_bad(message, size_bytes, "%c 'bad': no", row->key);
    snprintf(taken->places + length, sizeof(taken->places) - length, "%c%s ", row->key, value);
    return 0;
}

/* Returns what options_read() does. in_place: operands are taken. */
static int read_words(const char *const *words, bool in_place, struct taken *taken, char *message,
                      size_t size_bytes)
{
    static const char *const orders[] = {"random", "given", "none", NULL};
    const struct option_row rows[] = {
        {'4', .help = "", .flag = &taken->four},
        {'q', "quick", .help = "", .flag = &taken->quick},
        {'s', "size", "N", "", OPTION_NUMBER(taken->size, 1, 70000), .flag = &taken->has_size},
        {0, "tos", "N", "", OPTION_NUMBER(taken->tos, 0, 255)},
        {0, "port", "N", "", OPTION_NUMBER(taken->port, 0, 65535)},
        {0, "mark", "N", "", OPTION_NUMBER(taken->mark, 0, UINT64_MAX)},
        {'w', "wait", "TIME", "", .time_ns = &taken->wait_ns, .least = NS_PER_MS, .most = 7200 * NS_PER_S},
        {0, "watch", "TIME", "", .time_ns = &taken->watch_ns, .least = NS_PER_S, .most = 90 * NS_PER_S,
         .without = "2"},
        {0, "order", "HOW", "", .value = &taken->order, .choices = orders},
        {'f', "file", "FILE", "", .value = &taken->file},
        {'x', "exclude", "LIST", "", .take = take_place, .context = taken, .key = 'x'},
        {0},
    };
    const struct option_row operand = {.take = take_place, .context = taken, .key = 'o'};
    const struct command_line line = {
        .about = "", .operands = "A", .most = 1, .operand = in_place ? &operand : NULL, .rows = rows};
    static char storage[WORDS_MAX][32]; /* what is taken may point into it */
    char *argv[WORDS_MAX + 1] = {storage[0]};
    int argc = 1;

    snprintf(storage[0], sizeof(storage[0]), "test");

    for (; argc < WORDS_MAX && words[argc - 1]; argc++) {
        snprintf(storage[argc], sizeof(storage[argc]), "%s", words[argc - 1]);
        argv[argc] = storage[argc];
    }
    return options_read(&line, argc, argv, message, size_bytes);
}

Test(options, values)
{
    static const char *const words[] = {"-4qs70000", "--tos=0xff", "--wait", "1.5m",
                                        "--watch",   "--or=given", NULL};
    static const char *const more[] = {
        "--port=65535", "--mark=0x100000000", "--watch=9", "-s1", "-s", "2", NULL};
    struct taken taken = {0};
    char message[256];

    cr_assert_eq(read_words(words, false, &taken, message, sizeof(message)), 7, "%s", message);
    cr_expect(taken.four && taken.quick && taken.has_size);
    cr_expect_eq(taken.size, 70000);
    cr_expect_eq(taken.tos, 255);
    cr_expect_eq(taken.port, 0, "a number writes beyond its size");
    cr_expect_eq(taken.wait_ns, 90 * NS_PER_S);
    cr_expect_eq(taken.watch_ns, 2 * NS_PER_S, "the value when none is given");
    cr_expect_str_eq(taken.order, "given");
    cr_assert_eq(read_words(more, false, &taken, message, sizeof(message)), 7, "%s", message);
    cr_expect_eq(taken.size, 2, "the last one counts");
    cr_expect_eq(taken.port, 65535);
    cr_expect_eq(taken.mark, UINT64_C(0x100000000));
    cr_expect_eq(taken.watch_ns, 9 * NS_PER_S);
}

Test(options, operands_in_their_place)
{
    static const char *const words[] = {"a", "-xb", "c", "--exclude=d", "--", "--size", NULL};
    struct taken taken = {0};
    char message[256];

    cr_assert_gt(read_words(words, true, &taken, message, sizeof(message)), 0, "%s", message);
    cr_expect_str_eq(taken.places, "oa xb oc xd o--size ");
}

Test(options, what_is_wrong)
{
    static const struct {
        const char *words[WORDS_MAX];
        bool in_place;
        const char *message;
    } rows[] = {
        {{"-z"}, false, "unknown option '-z'"},
        {{"-4z"}, false, "unknown option '-z'"},
        {{"--nonsense"}, false, "unknown or ambiguous option '--nonsense'"},
        {{"--wa=1"}, false, "unknown or ambiguous option '--wa=1'"},
        {{"--quick=1"}, false, "option '--quick=1' takes no value"},
        {{"--size"}, false, "option '--size' needs a value"},
        {{"-s"}, false, "option '-s' needs a value"},
        {{"--size=0"}, false, "--size '0': expected a number from 1 to 70000"},
        {{"-s", "70001"}, false, "--size '70001': expected a number from 1 to 70000"},
        {{"--tos="}, false, "--tos '': expected a number from 0 to 255"},
        {{"--wait=3h"},
         false,
         "--wait '3h': expected a time from 1ms to 2h, such as 100ms (units: us, ms, s, m, h; without one: "
         "s)"},
        {{"--watch=2m"},
         false,
         "--watch '2m': expected a time from 1s to 90s, such as 90s (units: us, ms, s, m, h; without one: "
         "s)"},
        {{"--watch", "5"}, true, "--watch takes its time behind '=', as in --watch=5"},
        {{"--order", "any"}, false, "--order 'any': expected random, given or none"},
        {{"-xbad"}, false, "x 'bad': no"},
        {{"bad"}, true, "o 'bad': no"},
        {{"--", "bad"}, true, "o 'bad': no"},
        {{"a", "b"}, false, "'b' is one operand too many, expected A"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct taken taken = {0};
        char message[256] = "";

        cr_expect_eq(read_words(rows[i].words, rows[i].in_place, &taken, message, sizeof(message)), -EINVAL);
        cr_expect_str_eq(message, rows[i].message, "row %zu: %s", i, message);
    }
}

/* Whose first option is help gets it, whatever follows. */
Test(options, help_comes_first)
{
    static const char *const words[] = {"--help", "--nonsense", NULL}, *const later[] = {"-z", "-h", NULL};
    struct taken taken = {0};
    char message[256];

    cr_expect_eq(read_words(words, false, &taken, message, sizeof(message)), 0);
    cr_expect_eq(read_words(later, false, &taken, message, sizeof(message)), -EINVAL);
}

Test(options, tables_with_a_fault_have_no_help)
{
    static bool flag;
    static const char *value;
    static const struct {
        struct option_row rows[3];
        int error;
    } tables[] = {
        {{{'a', "aa", .help = "", .flag = &flag}, {'b', "bb", "X", "", &value}}, 0},
        {{{'a', "aa", .help = "", .flag = &flag}, {'a', "bb", .help = "", .flag = &flag}}, -EINVAL},
        {{{'a', "aa", .help = "", .flag = &flag}, {'b', "aa", .help = "", .flag = &flag}}, -EINVAL},
        {{{'a', "aa", .help = "", .flag = &flag}, {'b', "help", .help = "", .flag = &flag}}, -EINVAL},
        {{{'h', "aa", .help = "", .flag = &flag}}, -EINVAL},
        {{{'a', "aa", .help = ""}}, -EINVAL},
        {{{'a', "aa", "X", "", .flag = &flag}}, -EINVAL},
        {{{'a', NULL, "X", "", &value}}, -EINVAL},
    };

    cr_assert_not_null(freopen("/dev/null", "w", stdout));
    cr_assert_not_null(freopen("/dev/null", "w", stderr));
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        const struct command_line line = {.about = "", .rows = tables[i].rows};

        cr_expect_eq(options_help(&line, "test"), tables[i].error, "table %zu", i);
    }
}
