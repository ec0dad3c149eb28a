/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: what the agent has seen outlives a restart as text, to the last run; a text that is damaged, at any
 * place, is refused as a whole or holds nothing out of range; the rule goes on only with the same configuration. The
 * modes do what they say: `advise` leaves the configured pair in force, `auto` follows, `off` knows nothing.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "probe/random.h"
#include "route/agent/tuning.h"
#include "route/decide/health.h"

#define MUTATIONS 20000
#define DAY_NS    (86400 * NS_PER_S)
#define BEGIN_NS  (1000 * NS_PER_S)

static struct address address_of(unsigned number)
{
    return (struct address){.family = AF_INET, .bytes = {10, 0, 0, (uint8_t)number}};
}

static struct tuning_settings settings_of(enum tuning_mode mode)
{
    return (struct tuning_settings){
        .mode = mode,
        .configured = {100 * NS_PER_MS, 10},
        .limits = {.least_ns = 100 * NS_PER_MS, .most_ns = 2 * NS_PER_S, .timeout_most_ns = NS_PER_S},
        .timeout_min_ns = 20 * NS_PER_MS,
        .failure_ns = 2 * NS_PER_S,
    };
}

static void configure(struct tuning *tuning, enum tuning_mode mode)
{
    const struct tuning_settings settings = settings_of(mode);

    tuning_configure(tuning, &settings);
}

static struct advice_pair in_force(const struct tuning *tuning)
{
    return tuning_in_force(tuning, &tuning->settings);
}

static void use(struct tuning *tuning, unsigned number, bool down, uint64_t now_ns)
{
    const struct address address = address_of(number);

    tuning_use(tuning, &address, down, now_ns);
}

/* A whole search. */
static enum tuning_news search(struct tuning *tuning, uint64_t now_ns)
{
    enum tuning_news news = TUNING_NO_NEWS;

    for (size_t i = 0; i < RECORD_TIMEOUTS; i++)
        news = max_u64(news, tuning_step(tuning, now_ns));
    return news;
}

static void observe(struct tuning *tuning, unsigned number, enum probe_outcome outcome, uint64_t sent_ns,
                    uint64_t took_ns)
{
    const struct address address = address_of(number);
    const struct probe_observation observation = {
        .outcome = outcome, .sent_ns = sent_ns, .at_ns = sent_ns + took_ns, .rtt_ns = took_ns};

    tuning_observe(tuning, &address, &observation, in_force(tuning).select_timeout_ns);
}

/* --- modes -------------------------------------------------------------------------------------------------*/

Test(tuning, modes)
{
    static const struct {
        enum tuning_mode mode;
        enum tuning_news news;
        uint64_t in_force_ms, rule_ms; /* windows */
    } rows[] = {
        {TUNING_OFF, TUNING_NO_NEWS, 1000, 1000},
        {TUNING_ADVISE, TUNING_ANOTHER_PAIR, 1000, 180},
        {TUNING_AUTO, TUNING_ANOTHER_PAIR, 180, 180},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct tuning tuning = {0};
        struct advice_pair pair;
        char why[128];

        configure(&tuning, rows[i].mode);
        use(&tuning, 1, false, BEGIN_NS);
        cr_expect_eq(search(&tuning, BEGIN_NS), TUNING_NO_NEWS);
        if (tuning.in_use)
            record_watched(&tuning.in_use->record, DAY_NS, 10 * NS_PER_MS);
        cr_expect_eq(search(&tuning, BEGIN_NS + 599 * NS_PER_S), TUNING_NO_NEWS, "not yet");
        cr_expect_eq(search(&tuning, BEGIN_NS + 600 * NS_PER_S), rows[i].news, "row %zu", i);
        pair = in_force(&tuning);
        cr_expect_eq(advice_window_ns(&pair), rows[i].in_force_ms * NS_PER_MS, "row %zu", i);
        cr_expect_eq(advice_window_ns(&tuning.rule.in_force), rows[i].rule_ms * NS_PER_MS, "row %zu", i);
        cr_expect(strlen(tuning_why(&tuning, why, sizeof(why))) > 0);
        tuning_clear(&tuning);
    }
}

static void lose_and_leave(struct tuning *tuning)
{
    for (uint64_t i = 0; i < 100; i++)
        observe(tuning, 1, PROBE_REPLY, BEGIN_NS + DAY_NS + i * 10 * NS_PER_MS, NS_PER_MS);
    for (uint64_t i = 100; i < 120; i++)
        observe(tuning, 1, PROBE_TIMEOUT, BEGIN_NS + DAY_NS + i * 10 * NS_PER_MS, 20 * NS_PER_MS);
    use(tuning, 2, true, BEGIN_NS + DAY_NS + 2 * NS_PER_S);
}

Test(tuning, false_failover)
{
    struct tuning tuning = {0};

    configure(&tuning, TUNING_AUTO);
    use(&tuning, 1, false, BEGIN_NS);
    record_watched(&tuning.in_use->record, DAY_NS, 10 * NS_PER_MS);
    cr_assert_eq(search(&tuning, BEGIN_NS), TUNING_ANOTHER_PAIR);
    cr_assert_eq(in_force(&tuning).select_count, 9);
    lose_and_leave(&tuning);
    observe(&tuning, 2, PROBE_REPLY, BEGIN_NS + DAY_NS + 1200 * NS_PER_MS, NS_PER_MS);
    cr_expect_eq(tuning.false_failovers, 0, "another path answers");
    observe(&tuning, 1, PROBE_REPLY, BEGIN_NS + DAY_NS + 1500 * NS_PER_MS, NS_PER_MS);
    cr_expect_eq(tuning.false_failovers, 1);
    cr_expect_eq(in_force(&tuning).select_timeout_ns, 100 * NS_PER_MS);
    cr_expect_eq(in_force(&tuning).select_count, 10);
    cr_expect_eq(tuning.save_ns, 0, "it is to be saved");
    tuning_clear(&tuning);
}

Test(tuning, a_path_that_is_in_use_again_before_it_answers)
{
    struct tuning tuning = {0};

    configure(&tuning, TUNING_AUTO);
    use(&tuning, 1, false, BEGIN_NS);
    record_watched(&tuning.in_use->record, DAY_NS, 10 * NS_PER_MS);
    lose_and_leave(&tuning);
    use(&tuning, 1, false, BEGIN_NS + DAY_NS + 1300 * NS_PER_MS);
    observe(&tuning, 1, PROBE_REPLY, BEGIN_NS + DAY_NS + 1500 * NS_PER_MS, NS_PER_MS);
    cr_expect_eq(tuning.false_failovers, 0);
    cr_expect_float_eq(tuning.in_use->record.spans[RECORD_MONTH].watched_s, 86401, 2,
                       "what was seen is kept");
    cr_expect_gt(tuning.in_use->record.spans[RECORD_MONTH].tails[0].levels[40].count, 0,
                 "the silence counts");
    tuning_clear(&tuning);
}

Test(tuning, remembers_the_paths_that_were_in_use_last)
{
    struct tuning tuning = {0};

    configure(&tuning, TUNING_ADVISE);
    for (unsigned i = 1; i <= TUNING_PATHS_MAX + 1; i++) {
        use(&tuning, i, false, BEGIN_NS + i);
        record_watched(&tuning.in_use->record, i * NS_PER_S, 10 * NS_PER_MS);
        cr_assert_not_null(tuning.in_use);
    }
    use(&tuning, 2, false, BEGIN_NS + 100);
    cr_expect_float_eq(tuning.in_use->record.spans[RECORD_MONTH].watched_s, 2, 1e-9);
    use(&tuning, 1, false, BEGIN_NS + 101);
    cr_expect_float_eq(tuning.in_use->record.spans[RECORD_MONTH].watched_s, 0, 1e-9, "it had to go");
    tuning_use(&tuning, NULL, false, BEGIN_NS + 102);
    cr_expect_null(tuning.in_use);
    tuning_clear(&tuning);
}

/* --- text --------------------------------------------------------------------------------------------------*/

static void fill(struct tuning *tuning)
{
    uint64_t state = 1;

    configure(tuning, TUNING_AUTO);
    for (unsigned i = 1; i <= 2; i++) {
        use(tuning, i, false, BEGIN_NS);
        record_watched(&tuning->in_use->record, 3 * DAY_NS, 10 * NS_PER_MS);
        for (size_t s = 0; s < RECORD_SPANS; s++)
            for (size_t t = 0; t < RECORD_TIMEOUTS; t++)
                for (size_t n = 0; n < 5 + t; n++) {
                    tuning->in_use->record.spans[s].tails[t].levels[n].count =
                        (float)random_unit(random_next(&state)) + 0.1F;
                    tuning->in_use->record.spans[s].tails[t].levels[n].squares = 0.5F;
                }
    }
    tuning->rule.in_force = (struct advice_pair){20 * NS_PER_MS, 17};
    tuning->rule.reason = RULE_SLOWER;
    tuning->rule.changed_ns = BEGIN_NS;
    tuning->since_realtime_ns = UINT64_C(1700000000) * NS_PER_S;
}

Test(tuning_text, is_read_as_it_was)
{
    struct tuning tuning = {0}, read = {0};
    CLEANUP(free) char *text = NULL;

    fill(&tuning);
    text = tuning_text(&tuning, BEGIN_NS + 5 * NS_PER_S);
    cr_assert_not_null(text);
    configure(&read, TUNING_AUTO);
    cr_assert_eq(tuning_take_text(&read, text, strlen(text), 2 * BEGIN_NS), 0);
    for (size_t i = 0; i < 2; i++) {
        cr_expect(address_equal(&read.paths[i]->address, &tuning.paths[i]->address));
        cr_expect_eq(memcmp(read.paths[i]->record.spans, tuning.paths[i]->record.spans,
                            sizeof(tuning.paths[i]->record.spans)),
                     0);
    }
    cr_expect_null(read.paths[2]);
    cr_expect(advice_same_pair(&read.rule.in_force, &tuning.rule.in_force));
    cr_expect_eq(read.rule.reason, RULE_SLOWER);
    cr_expect_eq(read.rule.changed_ns, 2 * BEGIN_NS - 5 * NS_PER_S, "as long ago as it was");
    cr_expect_eq(read.since_realtime_ns, tuning.since_realtime_ns);
    tuning_clear(&tuning);
    tuning_clear(&read);
}

Test(tuning_text, of_another_configuration)
{
    struct tuning tuning = {0}, read = {0};
    struct tuning_settings other = settings_of(TUNING_AUTO);
    CLEANUP(free) char *text = NULL;

    fill(&tuning);
    text = tuning_text(&tuning, BEGIN_NS);
    other.configured.select_count = 12;
    tuning_configure(&read, &other);
    cr_assert_eq(tuning_take_text(&read, text, strlen(text), BEGIN_NS), 0);
    cr_expect_eq(read.rule.in_force.select_count, 12, "the rule begins anew");
    cr_expect_not_null(read.paths[1], "what was seen is kept");
    tuning_clear(&read);

    other = settings_of(TUNING_AUTO);
    other.limits.least_ns = 500 * NS_PER_MS;
    tuning_configure(&read, &other);
    cr_assert_eq(tuning_take_text(&read, text, strlen(text), BEGIN_NS), 0);
    cr_expect_eq(read.rule.in_force.select_count, 10, "its pair is outside the limits of now");
    tuning_clear(&read);
    tuning_clear(&tuning);
}

static void check_range(const struct tuning *tuning)
{
    cr_assert(tuning->rule.in_force.select_timeout_ns >= NS_PER_MS &&
              tuning->rule.in_force.select_count >= 1);
    for (size_t i = 0; i < TUNING_PATHS_MAX && tuning->paths[i]; i++)
        for (size_t s = 0; s < RECORD_SPANS; s++) {
            const struct record_span_memory *span = &tuning->paths[i]->record.spans[s];

            cr_assert(span->watched_s >= 0 && isfinite(span->watched_s));
            for (size_t t = 0; t < RECORD_TIMEOUTS; t++)
                for (size_t n = 0; n < RECORD_LEVELS; n++)
                    cr_assert(span->tails[t].levels[n].count >= 0 &&
                              isfinite(span->tails[t].levels[n].count));
        }
}

Test(tuning_text, that_is_damaged)
{
    struct tuning tuning = {0};
    CLEANUP(free) char *text = NULL, *copy = NULL;
    unsigned refused = 0;
    uint64_t state = 7;
    size_t length;

    fill(&tuning);
    text = tuning_text(&tuning, BEGIN_NS);
    length = strlen(text);
    copy = malloc(length + 1);
    for (unsigned i = 0; i < MUTATIONS; i++) {
        struct tuning read = {0};
        size_t cut = i % 4 == 0 ? random_next(&state) % length : length;
        int error;

        memcpy(copy, text, length + 1);
        for (unsigned k = 0; k <= i % 3; k++)
            copy[random_next(&state) % length] = "0123456789-e.,:{}[]\"x"[random_next(&state) % 21];
        configure(&read, TUNING_AUTO);
        error = tuning_take_text(&read, copy, cut, BEGIN_NS);
        cr_assert(error == 0 || error == -EINVAL);
        if (error)
            cr_assert_null(read.paths[0], "all or nothing");
        check_range(&read);
        refused += error < 0;
        /* What was taken can be searched. */
        if (!error && i % 50 == 0) {
            use(&read, 1, false, BEGIN_NS);
            search(&read, BEGIN_NS);
        }
        tuning_clear(&read);
    }
    cr_expect_gt(refused, MUTATIONS / 4);
    tuning_clear(&tuning);
}
