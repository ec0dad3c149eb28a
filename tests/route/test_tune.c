/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: a record, which judges stretch by stretch and forgets, counts the same runs of misses as the replay
 * of the whole row of requests does; it counts what a faster pace would have seen at the worst; a silence in which the
 * path was left counts once and tells a false failover from a true one; what is old fades, and a week that is unlike the
 * month takes its place. The advice follows from it, and the rule of change moves slowly one way and at once the other.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "probe/random.h"
#include "route/tune/detect.h"
#include "route/tune/rule.h"

#define INTERVAL_NS (10 * NS_PER_MS)
#define REQUESTS    60000
#define FAILURE_NS  (2 * NS_PER_S)
#define BEGIN_NS    (1000 * NS_PER_S)

static size_t index_of(uint32_t timeout_ms)
{
    size_t i = 0;

    while (record_timeouts_ms[i] != timeout_ms)
        i++;
    return i;
}

static double runs(const struct record *record, uint32_t timeout_ms, size_t level)
{
    return record_tail_of(record, RECORD_MONTH, index_of(timeout_ms)).levels[level].count;
}

/* --- a row of requests, as a stream reports it -------------------------------------------------------------*/

static struct probe_observation observation_of(enum probe_outcome outcome, uint64_t sent_ns, uint64_t at_ns)
{
    return (struct probe_observation){
        .outcome = outcome, .sent_ns = sent_ns, .at_ns = at_ns, .rtt_ns = at_ns - sent_ns};
}

static int compare(const void *a, const void *b)
{
    const struct probe_observation *x = a, *y = b;

    if (x->at_ns != y->at_ns)
        return (x->at_ns > y->at_ns) - (x->at_ns < y->at_ns);
    return (x->sent_ns > y->sent_ns) - (x->sent_ns < y->sent_ns);
}

/* What a stream with this select-timeout would report of them, in order. */
static size_t report(const struct trace_request *rows, size_t count, uint64_t timeout_ns,
                     struct probe_observation *out)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t sent_ns = BEGIN_NS + (uint64_t)rows[i].sent_us * NS_PER_US;
        uint64_t rtt_ns = (uint64_t)rows[i].rtt_us * NS_PER_US;
        bool late = rtt_ns > timeout_ns;

        if (rows[i].fate != TRACE_REPLY || late)
            out[n++] = observation_of(PROBE_TIMEOUT, sent_ns, sent_ns + timeout_ns);
        if (rows[i].fate == TRACE_REPLY)
            out[n++] = observation_of(late ? PROBE_LATE : PROBE_REPLY, sent_ns, sent_ns + rtt_ns);
    }
    qsort(out, n, sizeof(*out), compare);
    return n;
}

static void observe_row(struct record *record, const struct trace_request *rows, size_t count,
                        uint64_t interval_ns)
{
    struct probe_observation *all = calloc(2 * count, sizeof(*all));
    struct record_watch watch = {0};
    size_t n = report(rows, count, 2 * interval_ns, all);

    for (size_t i = 0; i < n; i++)
        record_observe(record, &watch, interval_ns, &all[i], FAILURE_NS);
    record_leave(record, &watch, false);
    free(all);
}

/* Usual replies, with losses alone and in bursts, and standstills. */
static struct trace_request *random_row(uint64_t seed)
{
    struct trace_request *rows = calloc(REQUESTS, sizeof(*rows));
    uint64_t state = seed;
    unsigned bad = 0, still = 0;

    for (size_t i = 0; i < REQUESTS; i++) {
        uint64_t dice = random_next(&state) % 10000;

        bad = bad ? bad - 1 : dice < 4 ? (unsigned)(random_next(&state) % 60) : 0;
        still = still ? still - 1 : dice >= 9990 ? (unsigned)(random_next(&state) % 40) : 0;
        rows[i].sent_us = (i * INTERVAL_NS / NS_PER_US) & TRACE_SENT_MAX_US;
        rows[i].rtt_us = 1000 + i % 977;
        if (bad || dice < 80)
            rows[i].fate = TRACE_LOST;
        else if (still)
            rows[i].rtt_us = (still * 10000 + 1000 + i % 977) & TRACE_RTT_MAX_US;
        /* The ends are calm. */
        if (i < 100 || i >= REQUESTS - 100)
            rows[i] = (struct trace_request){.sent_us = rows[i].sent_us, .rtt_us = 1000};
    }
    return rows;
}

struct whole {
    double counts[RECORD_LEVELS + 1];
};

static void count_whole(void *context, uint32_t level, size_t request)
{
    if (level <= RECORD_LEVELS)
        ((struct whole *)context)->counts[level]++;
}

Test(record, counts_what_the_whole_row_has)
{
    static const uint32_t timeouts_ms[] = {20, 80, 100, 200, 300};

    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct trace_request *rows = random_row(seed);
        const struct detect_requests requests = {
            .rows = rows, .count = REQUESTS, .interval_us = INTERVAL_NS / NS_PER_US, .up = true};
        struct record *record = calloc(1, sizeof(*record));

        observe_row(record, rows, REQUESTS, INTERVAL_NS);
        for (size_t t = 0; t < ARRAY_SIZE(timeouts_ms); t++) {
            struct whole whole = {0};
            const struct detect_notes notes = {.level = count_whole, .context = &whole};
            const struct health_settings patient = {.select_timeout_ns = timeouts_ms[t] * NS_PER_MS,
                                                    .select_count = UINT32_MAX,
                                                    .rise = 1,
                                                    .degraded_percent = 100,
                                                    .degraded_over_ns = NS_PER_S,
                                                    .hold_ns = NS_PER_S};
            uint64_t phases = timeouts_ms[t] / 20;

            for (uint64_t phase = 0; phase < phases; phase++)
                detect_judge(&requests, &patient, phase * requests.interval_us, &notes);
            cr_assert_gt(whole.counts[1], 20);
            for (size_t n = 1; n <= RECORD_LEVELS; n++)
                cr_expect_float_eq(runs(record, timeouts_ms[t], n), whole.counts[n] / (double)phases, 0.001,
                                   "seed %" PRIu64 ", %u ms, level %zu: %g, not %g", seed, timeouts_ms[t], n,
                                   runs(record, timeouts_ms[t], n), whole.counts[n] / (double)phases);
        }
        cr_expect_float_eq(record->spans[RECORD_MONTH].watched_s, REQUESTS / 100.0, REQUESTS / 1000.0);
        free(record);
        free(rows);
    }
}

/* --- one thing at a time -----------------------------------------------------------------------------------*/

/* A calm row in which requests from..to are lost, or wait for the end of a standstill. */
static void play(struct record *record, uint64_t interval_ns, size_t from, size_t to, bool late)
{
    struct trace_request rows[400] = {0};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        bool bad = i >= from && i < to;

        rows[i].sent_us = (i * interval_ns / NS_PER_US) & TRACE_SENT_MAX_US;
        rows[i].rtt_us = 200;
        if (bad && late)
            rows[i].rtt_us = ((to - i) * interval_ns / NS_PER_US + 200) & TRACE_RTT_MAX_US;
        else if (bad)
            rows[i].fate = TRACE_LOST;
    }
    observe_row(record, rows, ARRAY_SIZE(rows), interval_ns);
}

static size_t longest(const struct record *record, uint32_t timeout_ms)
{
    size_t n = RECORD_LEVELS;

    while (n > 0 && runs(record, timeout_ms, n) <= 0)
        n--;
    return n;
}

Test(record, of_one_silence)
{
    static const struct {
        const char *what;
        uint64_t interval_ns;
        size_t from, to;
        bool late;
        uint32_t timeout_ms;
        size_t longest;
    } rows[] = {
        {"a request that is overtaken is no silence", 10 * NS_PER_MS, 200, 201, false, 20, 0},
        {"of two in a row the first is not overtaken", 10 * NS_PER_MS, 200, 202, false, 20, 1},
        {"300 ms of loss", 10 * NS_PER_MS, 200, 230, false, 20, 29},
        {"the same, asked less often", 10 * NS_PER_MS, 200, 230, false, 100, 5},
        {"a standstill of 300 ms: only the last of it is in time", 10 * NS_PER_MS, 200, 230, true, 20, 29},
        {"... and are for longer where one waits longer", 10 * NS_PER_MS, 200, 230, true, 200, 2},
        {"two paces may lie between the answers around one loss", 50 * NS_PER_MS, 200, 201, false, 20, 9},
        {"six around five", 50 * NS_PER_MS, 200, 205, false, 50, 11},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct record *record = calloc(1, sizeof(*record));

        play(record, rows[i].interval_ns, rows[i].from, rows[i].to, rows[i].late);
        cr_expect_eq(longest(record, rows[i].timeout_ms), rows[i].longest, "%s: %zu, not %zu", rows[i].what,
                     longest(record, rows[i].timeout_ms), rows[i].longest);
        free(record);
    }
}

Test(record, of_a_long_silence)
{
    struct record *record = calloc(1, sizeof(*record));

    play(record, INTERVAL_NS, 100, 350, false);
    cr_expect_eq(longest(record, 20), 0, "2.5 s are a failure");
    play(record, INTERVAL_NS, 100, 290, false);
    cr_expect_eq(longest(record, 20), RECORD_LEVELS);
    cr_expect_eq(longest(record, 100), 2 * 19 - 1);
    free(record);
}

static void lose_and_leave(struct record *record, uint64_t since_ns, bool down)
{
    struct record_watch watch = {0};

    for (uint64_t i = 0; i < 20; i++) {
        uint64_t sent_ns = since_ns - (20 - i) * INTERVAL_NS;
        struct probe_observation reply = observation_of(PROBE_REPLY, sent_ns, sent_ns + NS_PER_MS);

        record_observe(record, &watch, INTERVAL_NS, &reply, FAILURE_NS);
    }
    for (uint64_t i = 0; i < 10; i++) {
        uint64_t sent_ns = since_ns + i * INTERVAL_NS;
        struct probe_observation lost = observation_of(PROBE_TIMEOUT, sent_ns, sent_ns + 2 * INTERVAL_NS);

        record_observe(record, &watch, INTERVAL_NS, &lost, FAILURE_NS);
    }
    record_leave(record, &watch, down);
}

Test(record, of_a_path_that_was_left)
{
    static const struct {
        bool down;
        uint64_t silence_ns;
        bool is_false;
        size_t longest;
    } rows[] = {
        {true, 300 * NS_PER_MS, true, 29},
        {true, FAILURE_NS, true, RECORD_LEVELS},
        {true, FAILURE_NS + 1, false, 0},
        {false, 300 * NS_PER_MS, false, 29},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct record *record = calloc(1, sizeof(*record));

        record_watched(record, 7200 * NS_PER_S, INTERVAL_NS);
        lose_and_leave(record, BEGIN_NS, rows[i].down);
        cr_expect_eq(record_answered(record, BEGIN_NS + rows[i].silence_ns, FAILURE_NS), rows[i].is_false,
                     "row %zu", i);
        cr_expect_eq(longest(record, 20), rows[i].longest, "row %zu: %zu", i, longest(record, 20));
        cr_expect_eq(record->spans[RECORD_MONTH].watched_s < 1, rows[i].is_false, "it begins anew");
        record_watched(record, 60 * NS_PER_S, 50 * NS_PER_MS);
        cr_expect_eq(longest(record, 20), rows[i].longest, "row %zu, at another pace: %zu", i,
                     longest(record, 20));
        cr_expect_not(record_answered(record, BEGIN_NS + FAILURE_NS, FAILURE_NS), "it is told once");
        free(record);
    }
}

Test(record, of_a_request_that_was_sent_too_seldom)
{
    struct record *record = calloc(1, sizeof(*record));

    record_watched(record, 3600 * NS_PER_S, 50 * NS_PER_MS);
    cr_expect_float_eq(record->spans[RECORD_MONTH].tails[index_of(100)].watched_s, 3600, 1e-6);
    cr_expect_float_eq(record->spans[RECORD_MONTH].tails[index_of(20)].watched_s, 720, 1e-6,
                       "a fifth of its requests");
    play(record, 50 * NS_PER_MS, 200, 205, false);
    cr_assert_gt(runs(record, 20, 20), 0);
    record_watched(record, 600 * NS_PER_S, 10 * NS_PER_MS);
    cr_expect_float_eq(runs(record, 20, 20), 0, 1e-9, "what is better takes its place");
    cr_expect_float_eq(record->spans[RECORD_MONTH].tails[index_of(20)].watched_s, 600, 1e-6);
    cr_expect_gt(runs(record, 100, 3), 0, "what was good before stays");
    free(record);
}

/* A path comes into use, or the agent starts again: what is known of it stays. */
Test(record, goes_on_where_it_was)
{
    struct record *record = calloc(1, sizeof(*record));

    record_watched(record, 3600 * NS_PER_S, 50 * NS_PER_MS);
    play(record, 50 * NS_PER_MS, 200, 205, false);
    play(record, 50 * NS_PER_MS, 0, 0, false);
    cr_expect_float_eq(runs(record, 20, 20), 1, 1e-6);
    cr_expect_gt(record->spans[RECORD_MONTH].tails[index_of(20)].watched_s, 720);
    free(record);

    record = calloc(1, sizeof(*record));
    lose_and_leave(record, BEGIN_NS, true);
    cr_assert(record_answered(record, BEGIN_NS + 600 * NS_PER_MS, FAILURE_NS));
    play(record, 50 * NS_PER_MS, 0, 0, false);
    cr_expect_eq(longest(record, 20), RECORD_LEVELS);
    cr_expect_eq(longest(record, 100), 11);
    free(record);
}

#define DAY_NS (86400 * NS_PER_S)

Test(record, fades_and_follows_the_network)
{
    struct record *record = calloc(1, sizeof(*record));

    for (unsigned day = 0; day < 100; day++)
        record_watched(record, DAY_NS, INTERVAL_NS);
    cr_expect(record->spans[RECORD_MONTH].watched_s >= 30 * 86400 &&
              record->spans[RECORD_MONTH].watched_s < 34 * 86400);
    cr_expect_lt(record->spans[RECORD_WEEK].watched_s, 7 * 86400);
    for (unsigned day = 0; day < 21; day++) {
        for (unsigned i = 0; i < 10; i++)
            play(record, INTERVAL_NS, 200, 230, false);
        record_watched(record, DAY_NS, INTERVAL_NS);
    }
    cr_expect_float_eq(runs(record, 20, 20) / (record->spans[RECORD_MONTH].watched_s / 86400), 10, 1,
                       "the first week that was unlike the months before has taken their place");
    for (unsigned day = 0; day < 14; day++)
        record_watched(record, DAY_NS, INTERVAL_NS);
    cr_expect_float_eq(runs(record, 20, 20), 0, 1e-9, "and so has the first calm one");
    free(record);
}

/* What is left of it makes nobody sure, and is forgotten in the end. */
Test(record, fades_into_nothing)
{
    struct record *record = calloc(1, sizeof(*record));

    for (unsigned i = 0; i < 3; i++)
        play(record, INTERVAL_NS, 200, 230, false);
    for (unsigned day = 0; day < 130; day++) {
        struct estimate_tail tail;

        record_watched(record, DAY_NS, INTERVAL_NS);
        tail = record_tail_of(record, RECORD_MONTH, 0);
        cr_assert(day >= 20 || tail.levels[29].count > 1, "day %u", day);
        cr_assert_leq(tail.levels[29].effective, tail.levels[29].count + 1e-3, "day %u", day);
    }
    cr_expect_eq(longest(record, 20), 0);
    free(record);
}

/* --- advice ------------------------------------------------------------------------------------------------*/

static const struct advice_limits limits = {
    .least_ns = 100 * NS_PER_MS, .most_ns = 2 * NS_PER_S, .timeout_most_ns = NS_PER_S};

static struct advice advise(const struct record *record)
{
    struct advice_search search = {0};

    while (!advice_search_step(&search, record, &limits))
        ;
    return search.best;
}

static uint64_t advised_ns(const struct record *record)
{
    const struct advice advice = advise(record);

    return advice_window_ns(&advice.pair);
}

Test(advice, where_nothing_is_ever_lost)
{
    static const struct {
        unsigned days;
        uint32_t timeout_ms, count;
    } rows[] = {{1, 20, 9}, {7, 20, 7}, {30, 20, 6}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct record *record = calloc(1, sizeof(*record));
        struct advice advice;

        cr_expect_float_eq(advice_needs_s(record), 86400, 1e-9);
        record_watched(record, DAY_NS - NS_PER_S, INTERVAL_NS);
        cr_expect_eq(advise(record).pair.select_count, 0, "a second is missing");
        record_watched(record, (rows[i].days - 1) * DAY_NS + NS_PER_S, INTERVAL_NS);
        advice = advise(record);
        cr_expect_eq(advice.pair.select_timeout_ns, rows[i].timeout_ms * NS_PER_MS);
        cr_expect_eq(advice.pair.select_count, rows[i].count, "%u days: %u", rows[i].days,
                     advice.pair.select_count);
        cr_expect_eq(advice.estimate.basis, ESTIMATE_NONE);
        cr_expect_leq(advice.estimate.high, ADVICE_FALSE_PER_YEAR);
        cr_expect_float_eq(advice_high(record, advice_window_ns(&advice.pair)), advice.estimate.high, 1e-9);
        free(record);
    }
}

/* What happens every night is to be seen by each select-timeout that is advised. */
Test(advice, of_requests_that_have_just_begun_to_leave_faster)
{
    struct record *record = calloc(1, sizeof(*record));
    struct advice advice;

    record_watched(record, 2 * DAY_NS, 50 * NS_PER_MS);
    record_watched(record, DAY_NS - NS_PER_S, INTERVAL_NS);
    advice = advise(record);
    cr_expect_eq(advice.pair.select_timeout_ns, 100 * NS_PER_MS, "%" PRIu64, advice.pair.select_timeout_ns);
    cr_expect(isfinite(advice_high(record, 500 * NS_PER_MS)));
    cr_expect(isinf(advice_high(record, 190 * NS_PER_MS)));
    record_watched(record, NS_PER_S, INTERVAL_NS);
    cr_expect_eq(advise(record).pair.select_timeout_ns, 20 * NS_PER_MS);
    free(record);
}

Test(advice, keeps_clear_of_what_was_seen)
{
    struct record *record = calloc(1, sizeof(*record));

    for (unsigned i = 0; i < 50; i++)
        play(record, INTERVAL_NS, 200, 250, false);
    record_watched(record, 10 * DAY_NS, INTERVAL_NS);
    cr_expect_gt(advised_ns(record), 500 * NS_PER_MS);
    cr_expect_gt(advice_high(record, 400 * NS_PER_MS), 100);
    /* This week is worse. */
    for (unsigned i = 0; i < 50; i++)
        play(record, INTERVAL_NS, 200, 300, false);
    record_watched(record, DAY_NS, INTERVAL_NS);
    cr_expect_gt(advised_ns(record), 1000 * NS_PER_MS);
    free(record);
}

/* Thirty incidents in a day are not thirty in a month. */
Test(advice, believes_the_present_week)
{
    struct record *record = calloc(1, sizeof(*record));

    record_watched(record, 28 * DAY_NS, INTERVAL_NS);
    for (unsigned i = 0; i < 30; i++)
        play(record, INTERVAL_NS, 200, 230, false);
    record_watched(record, DAY_NS, INTERVAL_NS);
    cr_expect_gt(advice_high(record, 200 * NS_PER_MS), 30 * 365);
    free(record);
}

Test(advice, of_the_finest_pace)
{
    struct record *record = calloc(1, sizeof(*record));
    const struct advice advice = {.pair = {100 * NS_PER_MS, 6}};
    struct advice_pair finest;

    record_watched(record, DAY_NS, INTERVAL_NS);
    finest = advice_finest(record, &advice, 20 * NS_PER_MS, 100 * NS_PER_MS);
    cr_expect(finest.select_timeout_ns == 20 * NS_PER_MS && finest.select_count == 30);
    finest = advice_finest(record, &advice, 45 * NS_PER_MS, 100 * NS_PER_MS);
    cr_expect(finest.select_timeout_ns == 50 * NS_PER_MS && finest.select_count == 12);
    finest = advice_finest(record, &advice, 20 * NS_PER_MS, 7 * NS_PER_MS);
    cr_expect(finest.select_timeout_ns == 7 * NS_PER_MS && finest.select_count == 86, "rounded up");
    /* Every tenth reply takes longer than 20 ms: too short a wait. */
    for (size_t s = 0; s < RECORD_SPANS; s++)
        record->spans[s].tails[0].levels[0].count = 864000;
    finest = advice_finest(record, &advice, 20 * NS_PER_MS, 100 * NS_PER_MS);
    cr_expect_eq(finest.select_timeout_ns, 30 * NS_PER_MS);
    free(record);
}

/* Replies take longer than the shortest select-timeouts: these are not usable, and no reply is missing. */
Test(advice, of_a_long_way)
{
    struct trace_request *rows = calloc(REQUESTS, sizeof(*rows));
    struct record *record = calloc(1, sizeof(*record));
    const struct advice advice = {.pair = {100 * NS_PER_MS, 6}};
    struct advice_pair finest;

    for (size_t i = 0; i < REQUESTS; i++)
        rows[i] =
            (struct trace_request){.sent_us = (i * 10000) & TRACE_SENT_MAX_US, .rtt_us = 31000 + i % 977};
    observe_row(record, rows, REQUESTS, INTERVAL_NS);
    cr_expect_gt(runs(record, 20, 1), REQUESTS / 10.0);
    cr_expect_eq(longest(record, 50), 0);
    finest = advice_finest(record, &advice, 20 * NS_PER_MS, 100 * NS_PER_MS);
    cr_expect_eq(finest.select_timeout_ns, 50 * NS_PER_MS, "%" PRIu64, finest.select_timeout_ns);
    free(record);
    free(rows);
}

/* --- the rule ----------------------------------------------------------------------------------------------*/

#define PAIR(timeout, count) ((struct advice_pair){(timeout)*NS_PER_MS, (count)})
#define HOUR_NS              (3600 * NS_PER_S)

Test(rule, changes)
{
    static const struct {
        const char *what;
        uint64_t at_min;
        bool is_false;
        struct advice_pair advised; /* a count of 0: nothing */
        double high;
        struct advice_pair in_force;
        enum rule_reason reason;
    } rows[] = {
        {"nothing is known", 0, false, {0}, 0, {100, 10}, RULE_CONFIGURED},
        {"a faster one at once, for nothing changed before", 1, false, {20, 20}, 0, {20, 20}, RULE_FASTER},
        {"not twice within the hour", 60, false, {20, 10}, 0, {20, 20}, RULE_FASTER},
        {"but after it", 61, false, {20, 10}, 0, {20, 10}, RULE_FASTER},
        {"a slower one not while the one in force will do", 62, false, {20, 12}, 0.2, {20, 10}, RULE_FASTER},
        {"but at once when it does not", 62, false, {20, 12}, 0.21, {20, 12}, RULE_SLOWER},
        {"the hour counts from then", 121, false, {20, 10}, 0, {20, 12}, RULE_SLOWER},
        {"a path that is hardly known", 122, false, {0}, 0, {100, 10}, RULE_UNKNOWN},
        {"back on the other", 123, false, {20, 12}, 0, {100, 10}, RULE_UNKNOWN},
        {"an hour later", 182, false, {20, 12}, 0, {20, 12}, RULE_FASTER},
        {"a false failover", 183, true, {0}, 0, {100, 10}, RULE_FALSE_FAILOVER},
        {"another one", 184, true, {0}, 0, {100, 20}, RULE_FALSE_FAILOVER},
        {"there is nothing slower", 185, true, {0}, 0, {100, 20}, RULE_FALSE_FAILOVER},
        {"nothing is known: not faster than that", 600, false, {0}, 0, {100, 20}, RULE_FALSE_FAILOVER},
        {"until something is", 601, false, {50, 10}, 0, {50, 10}, RULE_FASTER},
        {"then the configured one is slow enough", 602, false, {0}, 0, {100, 10}, RULE_UNKNOWN},
    };
    const struct advice_pair configured = PAIR(100, 10);
    struct rule rule = rule_begin(&configured);

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t now_ns = HOUR_NS + rows[i].at_min * 60 * NS_PER_S;
        struct advice_pair before = rule.in_force;
        const struct advice_pair advised =
            PAIR(rows[i].advised.select_timeout_ns, rows[i].advised.select_count);
        bool changed = rows[i].is_false ? rule_false_failover(&rule, &before, 2 * NS_PER_S, now_ns)
                                        : rule_advised(&rule, &advised, rows[i].high, now_ns);

        cr_expect(rule.in_force.select_timeout_ns == rows[i].in_force.select_timeout_ns * NS_PER_MS &&
                      rule.in_force.select_count == rows[i].in_force.select_count,
                  "%s: %" PRIu64 " ms x %u", rows[i].what, rule.in_force.select_timeout_ns / NS_PER_MS,
                  rule.in_force.select_count);
        cr_expect_eq(rule.reason, rows[i].reason, "%s: %s", rows[i].what, rule_reason_text(rule.reason));
        cr_expect_eq(changed, !advice_same_pair(&before, &rule.in_force), "%s", rows[i].what);
    }
}

/* Where the advice is only shown the pair that failed is the configured one. */
Test(rule, makes_nothing_faster_by_a_false_failover)
{
    const struct advice_pair configured = PAIR(100, 5), advised = PAIR(100, 15);
    struct rule rule = rule_begin(&configured);

    cr_assert(rule_advised(&rule, &advised, 1, HOUR_NS));
    cr_expect_not(rule_false_failover(&rule, &configured, 2 * NS_PER_S, 2 * HOUR_NS));
    cr_expect_eq(rule.in_force.select_count, 15);
    cr_expect_not(rule_advised(&rule, &PAIR(0, 0), 0, 3 * HOUR_NS));
    cr_expect_eq(rule.in_force.select_count, 15);
}
