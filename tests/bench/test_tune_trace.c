/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: a trace that was written is read as it was, in few bytes; a file that is no trace, of
 * another version, cut off anywhere or damaged ends in one line that names the file and a line it has; twenty
 * thousand damaged ones, the same in every run, are either refused so or hold nothing out of range. Quantiles
 * are those of published tables.
 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <math.h>

#include "bench/tune/trace.h"
#include "route/tune/quantile.h"

#define MUTATIONS     20000
#define MESSAGE_BYTES 256

static const char sample[] = "reroute-trace 1\n"
                             "interval-us 10000\n"
                             "wait-us 3000000\n"
                             "payload-bytes 56\n"
                             "path 10.10.85.15 eth1 scvm1 data\n"
                             "path fd00::2 -\n"
                             "data\n"
                             "0 0 812 790 - 799 x f\n"
                             "1 5000 1012 2998001 u3120 1003\n"
                             "0 60125 0 - -\n"
                             "end 13\n";

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static int read_text(struct trace *trace, const char *text, size_t length, char message[static MESSAGE_BYTES])
{
    FILE *in = length ? fmemopen((void *)(uintptr_t)text, length, "r") : fopen("/dev/null", "r");
    int r;

    cr_assert(in);
    *trace = (struct trace){0};
    message[0] = '\0';
    r = trace_read(trace, in, "t", message, MESSAGE_BYTES);
    fclose(in);
    return r;
}

static void check_request(const struct trace_path *path, size_t i, uint64_t sent_us, enum trace_fate fate,
                          uint64_t rtt_us)
{
    cr_assert_lt(i, path->count);
    cr_expect_eq(path->requests[i].sent_us, sent_us);
    cr_expect_eq(path->requests[i].fate, fate);
    cr_expect_eq(path->requests[i].rtt_us, rtt_us);
}

Test(trace, is_read)
{
    struct trace trace;
    char message[MESSAGE_BYTES];

    cr_assert_eq(read_text(&trace, sample, sizeof(sample) - 1, message), 0, "%s", message);
    cr_expect_eq(trace.interval_us, 10000);
    cr_expect_eq(trace.wait_us, 3000000);
    cr_expect_eq(trace.payload_bytes, 56);
    cr_assert_eq(trace.path_count, 2);
    cr_expect_str_eq(trace.paths[0].address, "10.10.85.15");
    cr_expect_str_eq(trace.paths[0].interface, "eth1");
    cr_expect_str_eq(trace.paths[0].name, "scvm1 data");
    cr_expect_str_eq(trace.paths[1].interface, "");
    cr_expect_str_eq(trace.paths[1].name, "");
    cr_expect_eq(trace.paths[0].count, 9);
    cr_expect_eq(trace.paths[1].count, 4);
    check_request(&trace.paths[0], 1, 10000, TRACE_REPLY, 790);
    check_request(&trace.paths[0], 2, 20000, TRACE_LOST, 0);
    check_request(&trace.paths[0], 4, 40000, TRACE_SPOILT, 0);
    check_request(&trace.paths[0], 5, 50000, TRACE_REFUSED, 0);
    check_request(&trace.paths[0], 6, 60125, TRACE_REPLY, 0);
    check_request(&trace.paths[1], 1, 15000, TRACE_REPLY, 2998001);
    check_request(&trace.paths[1], 2, 25000, TRACE_ERROR, 3120);
    trace_clear(&trace);
}

/* A line that is not as it should be is named, with what was expected. */
Test(trace, refuses)
{
    static const struct {
        const char *find, *put, *want;
    } rows[] = {
        {"reroute-trace 1", "reroute-trace 2", "t:1: a trace of version 2, expected version 1"},
        {"reroute-trace 1", "{\"schema\":1}", "t:1: this is no trace, expected 'reroute-trace 1'"},
        {"reroute-trace 1", "reroute-trace one", "t:1: version 'one', expected"},
        {"interval-us 10000", "interval-us 10ms", "t:2: interval-us '10ms', expected 1000 to 500000"},
        {"interval-us", "interval", "t:2: 'interval 10000', expected 'interval-us NUMBER'"},
        {"wait-us 3000000", "wait-us 9000", "t:3: wait-us '9000', expected 10000 to 8000000"},
        {"payload-bytes 56", "payload-bytes 56 57", "t:4: ' 57' behind the end of the line"},
        {"path fd00::2 -", "path fd00::2", "t:6: expected 'path ADDRESS INTERFACE NAME'"},
        {"path fd00::2 -", "paths fd00::2 -", "t:6: 'paths fd00::2 -', expected 'path' or 'data'"},
        {"path fd00::2 -\n", "", "t:8: path '1 5000 1012 2998001 ..', expected 0 to 0"},
        {"0 60125", "2 60125", "t:10: path '2 60125 0 - -', expected 0 to 1"},
        {"0 60125", "0 50000", "t:10: time 50000, expected one after the request before it"},
        {"0 60125", "0 999999999999", "t:10: time '999999999999 0 - -', expected"},
        {" 0 - -\n", "\n", "t:10: no fates, expected some"},
        {"u3120", "u3000001", "t:9: fate '3000001 1003', expected 0 to 3000000"},
        {"u3120", "u", "t:9: fate ' 1003', expected"},
        {"812", "-812", "t:8: fate '-812 790 - 799 x f', expected"},
        {"812", "\xff", "t:8: fate '? 790 - 799 x f', expected"},
        {"end 13", "end 12", "t:11: 13 requests, expected 12: lines are missing"},
        {"end 13\n", "", "t:11: the trace was cut off, expected 'end'"},
        {"end 13\n", "end 13", "t:11: cut off or corrupt, expected a line of text"},
        {"end 13\n", "end 13\nmore\n", "t:12: something behind the 'end'"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *at = strstr(sample, rows[i].find);
        char text[sizeof(sample) + 64], message[MESSAGE_BYTES];
        struct trace trace;

        cr_assert(at, "%s", rows[i].find);
        snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - sample), sample, rows[i].put,
                 at + strlen(rows[i].find));
        cr_expect_eq(read_text(&trace, text, strlen(text), message), -EINVAL, "%s", rows[i].want);
        cr_expect(strncmp(message, rows[i].want, strlen(rows[i].want)) == 0, "'%s', expected '%s'", message,
                  rows[i].want);
        cr_expect_eq(trace.path_count, 0, "what was refused is empty");
    }
}

static void check_refusal(int r, const char *message, const char *text, size_t length)
{
    unsigned lines = 1, line = 0;
    int end = 0;

    for (size_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    cr_assert_eq(r, -EINVAL, "%d", r);
    cr_assert_eq(sscanf(message, "t:%u: %n", &line, &end), 1, "'%s'", message);
    cr_assert(end > 0 && message[end] && line >= 1 && line <= lines, "'%s' of %u lines", message, lines);
    for (const char *c = message; *c; c++)
        cr_assert(isprint((unsigned char)*c), "'%s'", message);
}

Test(trace, cut_off_anywhere)
{
    for (size_t length = 0; length < sizeof(sample) - 1; length++) {
        struct trace trace;
        char message[MESSAGE_BYTES];
        int r = read_text(&trace, sample, length, message);

        cr_assert_lt(r, 0, "after %zu bytes", length);
        check_refusal(r, message, sample, length);
    }
}

/* Whatever is accepted is in range. */
static void check_trace(const struct trace *trace)
{
    cr_assert(trace->interval_us >= 1000 && trace->interval_us <= TRACE_INTERVAL_MAX_US);
    cr_assert(trace->wait_us >= trace->interval_us && trace->wait_us <= TRACE_WAIT_MAX_US);
    cr_assert(trace->path_count >= 1 && trace->path_count <= TRACE_PATHS_MAX);
    for (size_t i = 0; i < trace->path_count; i++) {
        const struct trace_path *path = &trace->paths[i];

        for (size_t k = 0; k < path->count; k++) {
            cr_assert_lt(path->requests[k].fate, TRACE_FATES);
            cr_assert_leq(path->requests[k].rtt_us, trace->wait_us);
            cr_assert(k == 0 || path->requests[k].sent_us > path->requests[k - 1].sent_us);
        }
    }
}

static size_t mutate(char *text, size_t length, size_t room, uint32_t *state)
{
    static const char *const pieces[] = {
        " ",  "\n",      "-",   "x",    "u", "end ", "data\n", "path ",
        "99", "0",       "812", "\xff", "f", "\n0 ", "\n1 ",   "18446744073709551616",
        "\r", "end 13\n"};
    size_t at = next(state) % length, span = next(state) % 16;
    const char *piece = pieces[next(state) % ARRAY_SIZE(pieces)];

    span = span > length - at ? length - at : span;
    switch (next(state) % 4) {
    case 0:
        text[at] = (char)next(state);
        return length;
    case 1:
        memmove(text + at, text + at + span, length - at - span);
        return length > span ? length - span : length;
    default:
        span = strlen(piece);
        if (length + span > room)
            return length;
        memmove(text + at + span, text + at, length - at);
        memcpy(text + at, piece, span);
        return length + span;
    }
}

Test(trace, mutations)
{
    unsigned good = 0;

    for (uint32_t i = 0; i < MUTATIONS; i++) {
        char text[2 * sizeof(sample)], message[MESSAGE_BYTES];
        size_t length = sizeof(sample) - 1;
        uint32_t state = i * 2654435761u + 1;
        struct trace trace;
        int r;

        memcpy(text, sample, length);
        for (uint32_t n = 1 + next(&state) % 3; n > 0; n--)
            length = mutate(text, length, sizeof(text) - 1, &state);
        r = read_text(&trace, text, length, message);
        if (r < 0) {
            check_refusal(r, message, text, length);
            continue;
        }
        good++;
        check_trace(&trace);
        trace_clear(&trace);
    }
    cr_expect(good > MUTATIONS / 100 && good < MUTATIONS / 2, "%u of %u are good", good, MUTATIONS);
}

/* --- writing ---------------------------------------------------------------------------------------------*/

/* Ten minutes, six paths; the send times stray a little, and sometimes far. */
static void fill(struct trace *trace)
{
    uint32_t state = 7;

    *trace = (struct trace){.interval_us = 10000, .wait_us = 3000000, .payload_bytes = 56};
    for (int i = 0; i < 6; i++) {
        char address[16];
        uint64_t late_us = 0;

        snprintf(address, sizeof(address), "10.0.0.%d", i);
        cr_assert_eq(trace_add_path(trace, address, i ? "eth1" : "", i ? "a name" : ""), 0);
        for (uint64_t k = 0; k < 60000; k++) {
            uint32_t random = next(&state) % 1000;
            struct trace_request request = {.fate = random < 990 ? TRACE_REPLY : random % TRACE_FATES};

            late_us += random == 5 ? 30000 : 0;
            request.sent_us = (k * 10000 + late_us + random / 2) & TRACE_SENT_MAX_US;
            if (request.fate == TRACE_REPLY || request.fate == TRACE_ERROR)
                request.rtt_us = 100 + next(&state) % (random < 10 ? 2900000 : 9000);
            cr_assert_eq(trace_add(&trace->paths[i], request), 0);
        }
    }
}

Test(trace, what_is_written_is_read)
{
    static struct trace_writer writer;
    struct trace trace, again;
    char message[MESSAGE_BYTES], *text = NULL;
    size_t length = 0, requests = 0;
    FILE *out = open_memstream(&text, &length);

    fill(&trace);
    writer = (struct trace_writer){.out = out, .trace = &trace};
    trace_write_begin(&writer);
    for (size_t k = 0; k < 60000; k++)
        for (size_t i = 0; i < trace.path_count; i++)
            trace_write(&writer, i, trace.paths[i].requests[k]);
    cr_assert_eq(trace_write_end(&writer), 0);
    fclose(out);
    cr_assert_eq(read_text(&again, text, length, message), 0, "%s", message);
    cr_assert_eq(again.path_count, trace.path_count);
    for (size_t i = 0; i < trace.path_count; i++) {
        cr_expect_str_eq(again.paths[i].address, trace.paths[i].address);
        cr_expect_str_eq(again.paths[i].interface, trace.paths[i].interface);
        cr_expect_str_eq(again.paths[i].name, trace.paths[i].name);
        cr_assert_eq(again.paths[i].count, trace.paths[i].count);
        for (size_t k = 0; k < trace.paths[i].count; k++) {
            const struct trace_request *a = &trace.paths[i].requests[k], *b = &again.paths[i].requests[k];

            cr_assert(a->fate == b->fate && a->rtt_us == b->rtt_us);
            cr_assert_leq(llabs((long long)a->sent_us - (long long)b->sent_us), 10000 / 8);
        }
        requests += trace.paths[i].count;
    }
    cr_expect_lt(length, 6 * requests, "%zu bytes for %zu requests", length, requests);
    trace_clear(&trace);
    trace_clear(&again);
    free(text);
}

Test(trace, a_full_disk_is_an_error)
{
    static struct trace_writer writer;
    struct trace trace = {.interval_us = 10000, .wait_us = 10000};

    cr_assert_eq(trace_add_path(&trace, "10.0.0.1", NULL, NULL), 0);
    writer = (struct trace_writer){.out = fopen("/dev/full", "w"), .trace = &trace};
    trace_write_begin(&writer);
    cr_expect_lt(trace_write_end(&writer), 0);
    fclose(writer.out);
    trace_clear(&trace);
}

Test(trace, joins_what_was_seen_of_one_path)
{
    struct trace all = {0}, one, two;
    char message[MESSAGE_BYTES] = "";

    cr_assert_eq(read_text(&one, sample, sizeof(sample) - 1, message), 0);
    cr_assert_eq(read_text(&two, sample, sizeof(sample) - 1, message), 0);
    cr_assert_eq(trace_join(&all, &one, message, sizeof(message)), 0);
    cr_assert_eq(trace_join(&all, &two, message, sizeof(message)), 0);
    cr_expect_eq(all.path_count, 2);
    cr_expect_eq(all.paths[0].count, 18);
    cr_expect_eq(all.paths[0].requests[9].sent_us, 80125 + TRACE_GAP_US);
    two.interval_us = 20000;
    cr_expect_eq(trace_join(&all, &two, message, sizeof(message)), -EINVAL);
    cr_expect(strstr(message, "every 20000 us"), "%s", message);
    trace_clear(&all);
    trace_clear(&one);
    trace_clear(&two);
}

/* --- quantiles -------------------------------------------------------------------------------------------*/

static void near(double got, double want, const char *what)
{
    cr_expect(fabs(got - want) <= 2e-4 * fmax(want, 1e-3), "%s: %.6f, not %.6f", what, got, want);
}

Test(quantile, published_intervals)
{
    static const struct {
        double count, low, high;
    } poisson[] = {{0, 0, 3.6889},
                   {1, 0.025318, 5.5716},
                   {10, 4.7954, 18.3904},
                   {50, 37.1110, 65.9187},
                   {1e6, 998041, 1001962}};
    static const struct {
        double hits, trials, low, high;
    } share[] = {{0, 10, 0, 0.30850},
                 {5, 10, 0.18709, 0.81291},
                 {10, 10, 0.69150, 1},
                 {1, 100, 0.00025318, 0.054459},
                 {50000, 1e6, 0.049574, 0.050429}};

    near(quantile_gamma(1, 0.5), 0.693147, "the exponential's median");
    near(quantile_beta(1, 1, 0.3), 0.3, "the uniform's");
    for (size_t i = 0; i < ARRAY_SIZE(poisson); i++) {
        struct quantile_interval interval = quantile_poisson(poisson[i].count, 0.025);

        near(interval.low, poisson[i].low, "low of a Poisson count");
        near(interval.high, poisson[i].high, "high of a Poisson count");
    }
    for (size_t i = 0; i < ARRAY_SIZE(share); i++) {
        struct quantile_interval interval = quantile_share(share[i].hits, share[i].trials, 0.025);

        near(interval.low, share[i].low, "low of a share");
        near(interval.high, share[i].high, "high of a share");
    }
}
