/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: the rates of false failures that are found in a trace are those of the process that made
 * it. For independent loss, for bursts (Gilbert and Elliott) and for standstills of a known length the truth
 * is a formula; over many traces it lies in the interval of 95 % nearly always, be it counted or fitted, and
 * the fit is not thrown off by spikes below its threshold. What one trace predicts comes true in a run of the
 * probe stream and path health over the same network. Where nothing was seen the bound is the rule of three.
 * The frontier, the recommendation and the time that is needed are consistent.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "bench/tune/simulation.h"
#include "bench/tune/tune_analysis.h"
#include "bench/tune/validate.h"
#include "probe/random.h"

/* With the sanitizers the code is on trial and not the statistics: half of the repetitions, an hour of each run. */
#ifdef __SANITIZE_ADDRESS__
#define SEEDS        20
#define COVERED      17
#define HOURS(hours) 1
#else
#define SEEDS        40
#define COVERED      36
#define HOURS(hours) (hours)
#endif

/* --- processes -------------------------------------------------------------------------------------------*/

static uint64_t random_state;

/* From 0 up to 1. */
static double unit(void)
{
    return random_unit(random_next(&random_state));
}

/* Millions of them: an assertion each would take longer than all the rest. */
static void add(struct trace *trace, struct trace_request request)
{
    if (trace_add(&trace->paths[0], request) < 0)
        abort();
}

struct process {
    double loss;                   /* of each request */
    double enter, leave;           /* bursts in which all is lost, steps of a request */
    double spike_s, spike_every_s; /* standstills; what they owe comes at their end */
};

/* One path of a trace with a request every interval. */
static struct trace make_trace(const struct process *process, uint64_t interval_us, double duration_s,
                               uint64_t seed)
{
    struct trace trace = {.interval_us = interval_us, .wait_us = 3000000};
    double spike_at_s = INFINITY;
    bool bad = false;

    random_state = seed;
    cr_assert_eq(trace_add_path(&trace, "10.0.0.1", NULL, NULL), 0);
    if (process->spike_every_s > 0)
        spike_at_s = -log(1 - unit()) * process->spike_every_s;
    for (uint64_t i = 0; (double)(i * interval_us) < duration_s * 1e6; i++) {
        struct trace_request request = {.sent_us = (i * interval_us) & TRACE_SENT_MAX_US, .rtt_us = 1000};
        double now_s = (double)(i * interval_us) / 1e6;

        while (now_s > spike_at_s + process->spike_s)
            spike_at_s += process->spike_s - log(1 - unit()) * process->spike_every_s;
        if (now_s >= spike_at_s)
            request.rtt_us = (uint64_t)((spike_at_s + process->spike_s - now_s) * 1e6 + 1000) & 0x7fffff;
        bad = bad ? unit() >= process->leave : unit() < process->enter;
        if (bad || unit() < process->loss)
            request = (struct trace_request){.sent_us = request.sent_us, .fate = TRACE_LOST};
        add(&trace, request);
    }
    return trace;
}

static const struct tune_settings defaults = {
    .health = {.select_timeout_ns = 100 * NS_PER_MS,
               .select_count = 10,
               .rise = 3,
               .degraded_percent = 100,
               .degraded_over_ns = 10 * NS_PER_S,
               .hold_ns = 180 * NS_PER_S},
    .most_per_year = 0.1,
    .window_most_us = 5000000,
    .failure_us = 10000000,
};

/* Only as far as this pair: an analysis of everything takes longer. */
static struct tune_settings as_far_as(uint64_t timeout_ms, uint32_t count)
{
    struct tune_settings settings = defaults;

    settings.window_most_us = timeout_ms * 1000 * count;
    return settings;
}

static const struct tune_pair *find_pair(const struct tune_result *result, uint64_t timeout_ms,
                                         uint32_t count)
{
    for (size_t i = 0; i < result->count; i++)
        if (result->pairs[i].select_timeout_us == timeout_ms * 1000 && result->pairs[i].select_count == count)
            return &result->pairs[i];
    cr_assert(false, "%" PRIu64 " x %u is in the grid", timeout_ms, count);
    return NULL;
}

/* --- coverage --------------------------------------------------------------------------------------------*/

struct row {
    const char *name;
    struct process process;
    uint64_t interval_us;
    double duration_s;
    uint64_t timeout_ms;
    uint32_t count;
    double truth_s; /* failures a second of being up */
    enum estimate_basis basis;
};

/*
 * A path is down when so many requests in a row are lost: at two in a select-timeout, those that fill the window
 * after the last answer. The one after them is answered too late to help.
 */
static double lost_in_a_row(uint32_t select_count)
{
    return 2 * select_count - 1;
}

/* At independent loss p: a renewal, seen from a path that has just come up. */
static double independent(double p, double timeout_s, uint32_t select_count)
{
    double all = pow(p, lost_in_a_row(select_count));

    return (1 - p) * all / (1 - all) / (timeout_s / 2);
}

static double bursts(double enter, double leave, double timeout_s, uint32_t select_count)
{
    return pow(1 - leave, lost_in_a_row(select_count) - 1) / ((1 / enter + 1 / leave) * timeout_s / 2);
}

static void check_row(const struct row *row)
{
    const struct tune_settings settings = as_far_as(row->timeout_ms, row->count);
    unsigned covered = 0, below = 0, other = 0;
    double logarithms = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct trace trace = make_trace(&row->process, row->interval_us, row->duration_s, seed * 7919);
        struct tune_result result;
        const struct estimate *estimate;
        double truth = row->truth_s * ESTIMATE_YEAR_S;

        cr_assert_eq(tune_analyse(&result, &trace, &settings, NULL, NULL), 0);
        estimate = &find_pair(&result, row->timeout_ms, row->count)->estimate;
        other += estimate->basis != row->basis;
        covered += estimate->low <= truth && truth <= estimate->high;
        below += estimate->high < truth;
        logarithms += log(estimate->per_year / truth) / SEEDS;
        cr_expect(estimate->low <= estimate->per_year && estimate->per_year <= estimate->high, "%s",
                  row->name);
        tune_clear(&result);
        trace_clear(&trace);
    }
    fprintf(stderr,
            "# %s: the truth is inside %u of %d intervals, above %u; the estimate is %.2f times the truth; "
            "%u of another basis\n",
            row->name, covered, SEEDS, below, exp(logarithms), other);
    cr_expect_geq(covered, COVERED, "%s: %u of %d", row->name, covered, SEEDS);
    cr_expect_leq(below, SEEDS / 15, "%s: too low in %u of %d", row->name, below, SEEDS);
    cr_expect(fabs(logarithms) < log(4), "%s: %.2f times the truth", row->name, exp(logarithms));
    cr_expect_leq(other, SEEDS / 5, "%s: %u not %s", row->name, other, estimate_basis_text(row->basis));
}

Test(estimate, covers_the_truth)
{
    /* Few levels are fitted by few numbers: an interval of 100 ms mostly keeps the analysis short. */
    const struct row rows[] = {
        {"20 % loss, counted",
         {.loss = 0.2},
         100000,
         1200,
         200,
         2,
         independent(0.2, 0.2, 2),
         ESTIMATE_MEASURED},
        {"20 % loss, fitted", {.loss = 0.2}, 100000, 600, 200, 4, independent(0.2, 0.2, 4), ESTIMATE_FITTED},
        {"3 % loss, fitted far",
         {.loss = 0.03},
         100000,
         3600,
         200,
         3,
         independent(0.03, 0.2, 3),
         ESTIMATE_FITTED},
        {"20 % loss, half of the requests",
         {.loss = 0.2},
         100000,
         1200,
         400,
         2,
         independent(0.2, 0.4, 2),
         ESTIMATE_MEASURED},
        {"bursts, counted",
         {.enter = 0.01, .leave = 0.3},
         100000,
         1200,
         200,
         2,
         bursts(0.01, 0.3, 0.2, 2),
         ESTIMATE_MEASURED},
        {"bursts, fitted",
         {.enter = 0.01, .leave = 0.3},
         100000,
         600,
         200,
         7,
         bursts(0.01, 0.3, 0.2, 7),
         ESTIMATE_FITTED},
        /* A tail from the first level, which single losses fill, would know nothing of the bursts. */
        {"a burst in five minutes behind 1 % loss",
         {.loss = 0.01, .enter = 1 / 3000., .leave = 0.2},
         100000,
         3600,
         200,
         9,
         bursts(1 / 3000., 0.2, 0.2, 9),
         ESTIMATE_FITTED},
        /* A request is missed when its wait ends before the standstill does; 30 of each 50 ms fit six. */
        {"standstills of 380 ms, counted",
         {.spike_s = 0.38, .spike_every_s = 20},
         10000,
         900,
         100,
         4,
         (0.38 - 0.35) / 0.05 / 20.38,
         ESTIMATE_MEASURED},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        check_row(&rows[i]);
}

/*
 * Standstills fill the levels up to 3 and loss alone makes the tail: each further miss is a lost one. A fit
 * from the first level would take the standstills for the tail.
 */
Test(estimate, spikes_below_the_threshold_do_not_make_the_tail)
{
    const struct process process = {.loss = 0.02, .spike_s = 0.3, .spike_every_s = 10};
    const struct tune_settings settings = as_far_as(100, 7);
    struct trace trace = make_trace(&process, 10000, 1800, 3);
    struct tune_result result;
    const struct estimate *estimate;

    cr_assert_eq(tune_analyse(&result, &trace, &settings, NULL, NULL), 0);
    estimate = &find_pair(&result, 100, 7)->estimate;
    cr_expect_eq(estimate->basis, ESTIMATE_FITTED);
    cr_expect_geq(estimate->threshold, 2);
    /* 3 misses of the spike at most, once in 10 s, then 4 of 2 %; several ways to order them. */
    cr_expect_lt(estimate->per_year, 100 * ESTIMATE_YEAR_S / 10 * pow(0.02, 4), "%g", estimate->per_year);
    tune_clear(&result);
    trace_clear(&trace);
}

/* --- prediction and run ----------------------------------------------------------------------------------*/

static struct validate_counts run_process(const char *text, const struct tune_pair *pair, uint64_t hours)
{
    static struct simulation simulation;
    struct probe_settings probe = probe_settings_default();
    struct health_settings health = defaults.health;
    struct address address = simulation_address(0);
    struct validate_settings run = {.probe = &probe,
                                    .health = &health,
                                    .addresses = &address,
                                    .address_count = 1,
                                    .duration_ns = hours * 3600 * NS_PER_S};
    struct responder_profile profile;
    struct validate_counts counts;
    struct transport *transport;
    char message[256];

    cr_assert_eq(responder_profile_parse(&profile, text, message, sizeof(message)), 0, "%s", message);
    health.select_timeout_ns = pair->select_timeout_us * NS_PER_US;
    health.select_count = pair->select_count;
    cr_assert_eq(simulation_open(&transport, &simulation, &profile, 10 * NS_PER_MS, 2), 0);
    cr_assert_eq(validate_run(&counts, &run, transport), 0);
    return counts;
}

/* The model as a trace, without a watch. */
static struct trace trace_of(const char *text, double duration_s)
{
    struct trace trace = {.interval_us = 10000, .wait_us = 3000000};
    struct responder_rule rule = {0};
    struct responder_memory memory = {0};
    struct responder_request request = {.address = simulation_address(0), .size_bytes = 84};
    char message[256];

    cr_assert_eq(responder_profile_parse(&rule.profile, text, message, sizeof(message)), 0, "%s", message);
    responder_prefix_parse(&rule.prefix, SIMULATION_PREFIX);
    rule.key = responder_rule_key(&rule.prefix, 1);
    cr_assert_eq(trace_add_path(&trace, "10.77.0.10", NULL, NULL), 0);
    for (; (double)request.number * 0.01 < duration_s; request.number++) {
        struct trace_request seen = {.sent_us = (request.number * 10000) & TRACE_SENT_MAX_US};
        struct responder_fate fate;

        request.at_ns = request.number * 10 * NS_PER_MS;
        fate = responder_decide(&rule, &request, &memory);
        seen.fate = fate.verdict == RESPONDER_REPLY ? TRACE_REPLY : TRACE_LOST;
        if (seen.fate == TRACE_REPLY)
            seen.rtt_us = (fate.delay_ns / NS_PER_US) & 0x7fffff;
        add(&trace, seen);
    }
    return trace;
}

/* Ten minutes predict what hours bring, for settings that do fail. */
Test(estimate, comes_true)
{
    static const struct {
        const char *profile;
        uint64_t timeout_ms;
        uint32_t count;
        uint64_t hours;
    } rows[] = {
        {"nested", 20, 14, 1},        {"nested", 100, 2, 2},   {"nested", 100, 3, 8}, {"nested", 40, 7, 2},
        {"nested,loss=8%", 60, 5, 4}, {"lossy", 20, 6, 1},     {"lossy", 40, 4, 1},   {"lossy", 100, 2, 6},
        {"wan,loss=6%", 100, 2, 6},   {"loss=10%", 100, 2, 2}, /* answered in no time */
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct tune_settings settings;
        struct trace trace = trace_of(rows[i].profile, 600);
        struct tune_result result;
        const struct tune_pair *pair;
        struct validate_counts counts;
        struct validate_rate rate;

        settings = as_far_as(rows[i].timeout_ms, rows[i].count);
        cr_assert_eq(tune_analyse(&result, &trace, &settings, NULL, NULL), 0);
        pair = find_pair(&result, rows[i].timeout_ms, rows[i].count);
        counts = run_process(rows[i].profile, pair, HOURS(rows[i].hours));
        rate = validate_rate(&counts);
        fprintf(stderr,
                "# %s %" PRIu64
                "ms x %u: predicted %.0f (%.0f to %.0f) a year, %s; observed %.0f (%.0f to %.0f, "
                "%" PRIu64 " failures)\n",
                rows[i].profile, rows[i].timeout_ms, rows[i].count, pair->estimate.per_year,
                pair->estimate.low, pair->estimate.high, estimate_basis_text(pair->estimate.basis),
                rate.per_year, rate.low, rate.high, counts.downs);
        cr_expect_gt(counts.downs, 0, "%s", rows[i].profile);
        cr_expect(rate.low <= pair->estimate.high && pair->estimate.low <= rate.high, "%s %" PRIu64 "ms x %u",
                  rows[i].profile, rows[i].timeout_ms, rows[i].count);
        tune_clear(&result);
        trace_clear(&trace);
    }
}

/* What was predicted, 10 to 20 failures a year, against runs of ten years. */
Test(estimate, may_not_come_true)
{
    const struct {
        uint64_t downs;
        bool agrees, agrees_with_none;
    } rows[] = {{0, false, true},  {70, false, true}, {90, true, true},
                {150, true, true}, {190, true, true}, {240, false, false}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct validate_counts counts = {.up_s = 10 * ESTIMATE_YEAR_S, .downs = rows[i].downs};
        struct validate_rate rate = validate_rate(&counts);
        struct estimate estimate = {ESTIMATE_FITTED, 15, 10, 20, 0, 0};

        cr_expect_eq(validate_agrees(&rate, &estimate), rows[i].agrees, "%" PRIu64, rows[i].downs);
        estimate.basis = ESTIMATE_NONE;
        cr_expect_eq(validate_agrees(&rate, &estimate), rows[i].agrees_with_none, "%" PRIu64, rows[i].downs);
    }
}

/* A hundred losses in each of ten histories; two of a hundred go on: in two incidents, or in nineteen. */
Test(estimate, what_goes_on_may_be_of_fewer_causes)
{
    struct estimate_tail few = {.watched_s = 600, .levels[1] = {100, 1000}, .levels[2] = {2, 2}};
    struct estimate_tail many = few;
    struct estimate a, b;

    many.levels[2].effective = 19; /* one more would move the threshold */
    a = estimate_rate(&few, 4, (struct estimate_count){0}, 600);
    b = estimate_rate(&many, 4, (struct estimate_count){0}, 600);
    cr_assert_eq(a.basis, ESTIMATE_FITTED);
    cr_assert_eq(a.threshold, 1);
    cr_expect_gt(a.high, 3 * b.high, "%g %g", a.high, b.high);
}

/* A request every 10 ms is five histories of one every 50 ms, each with losses of its own. */
Test(estimate, uses_all_histories)
{
    struct trace trace = make_trace(&(struct process){.loss = 0.05}, 10000, 600, 9);
    struct tune_settings settings = as_far_as(100, 4);
    struct tune_result result;
    const struct estimate *estimate;

    cr_assert_eq(tune_analyse(&result, &trace, &settings, NULL, NULL), 0);
    estimate = &find_pair(&result, 100, 1)->estimate;
    cr_expect(estimate->seen > 100 && estimate->seen < 160, "%f of 142 double losses", estimate->seen);
    /* Seven of 142 went on to a third one; of a single history's 28 it would be hard to say. */
    estimate = &find_pair(&result, 100, 4)->estimate;
    cr_expect_lt(estimate->high, 20 * independent(0.05, 0.1, 4) * ESTIMATE_YEAR_S, "%f", estimate->high);
    tune_clear(&result);
    trace_clear(&trace);
}

/* --- little seen, nothing seen ---------------------------------------------------------------------------*/

Test(estimate, nothing_seen_is_the_rule_of_three)
{
    const struct process clean = {0};
    struct trace trace = make_trace(&clean, 10000, 600, 1);
    struct tune_result result;
    const struct tune_pair *pair;

    cr_assert_eq(tune_analyse(&result, &trace, &defaults, NULL, NULL), 0);
    pair = find_pair(&result, 100, 5);
    cr_expect_eq(pair->estimate.basis, ESTIMATE_NONE);
    cr_expect(isnan(pair->estimate.per_year));
    cr_expect_float_eq(pair->estimate.high, 2.9957 * ESTIMATE_YEAR_S / 600, 200.0, "%f", pair->estimate.high);
    cr_expect_float_eq(pair->needed_s / ESTIMATE_YEAR_S, 29.957, 0.1, "%f years",
                       pair->needed_s / ESTIMATE_YEAR_S);
    cr_expect_eq(result.sure, TUNE_NO_PAIR);
    cr_expect_eq(result.likely, TUNE_NO_PAIR);
    cr_expect_eq(tune_recommended(&result), result.standing, "keep what you have");
    cr_expect_neq(result.unseen, TUNE_NO_PAIR);
    tune_clear(&result);
    trace_clear(&trace);
}

/* All replies come after so many further requests that the stream has forgotten what they answer. */
Test(estimate, never_up_is_no_bargain)
{
    struct trace trace = make_trace(&(struct process){0}, 10000, 60, 1);
    struct tune_result result;

    for (size_t i = 0; i < trace.paths[0].count; i++)
        trace.paths[0].requests[i].rtt_us = 700000;
    cr_assert_eq(tune_analyse(&result, &trace, &defaults, NULL, NULL), 0);
    cr_expect_eq(find_pair(&result, 20, 20)->estimate.basis, ESTIMATE_NEVER_UP);
    cr_expect_eq(find_pair(&result, 20, 20)->estimate.per_year, INFINITY);
    cr_expect_eq(find_pair(&result, 100, 10)->estimate.basis, ESTIMATE_NONE, "late replies are life");
    cr_expect_gt(find_pair(&result, 100, 1)->estimate.per_year, 1e6, "each request is one miss");
    cr_expect_geq(tune_window_us(&result.pairs[result.unseen]), 3 * 700000);
    tune_clear(&result);
    trace_clear(&trace);
}

Test(estimate, no_answer_at_all)
{
    struct trace trace = make_trace(&(struct process){.loss = 1}, 10000, 60, 1);
    struct tune_result result;

    cr_expect_eq(tune_analyse(&result, &trace, &defaults, NULL, NULL), -ENODATA);
    tune_clear(&result);
    trace_clear(&trace);
}

/* --- the choice ------------------------------------------------------------------------------------------*/

Test(tune, chooses)
{
    const struct process process = {.loss = 0.02, .spike_s = 0.2, .spike_every_s = 15};
    struct trace trace = make_trace(&process, 10000, 1200, 5);
    struct tune_result result;
    const struct tune_pair *sure, *likely;
    double best = INFINITY;

    cr_assert_eq(tune_analyse(&result, &trace, &defaults, NULL, NULL), 0);
    cr_assert_neq(result.sure, TUNE_NO_PAIR);
    cr_assert_neq(result.likely, TUNE_NO_PAIR);
    sure = &result.pairs[result.sure];
    likely = &result.pairs[result.likely];
    cr_expect_eq(tune_recommended(&result), result.sure);
    cr_expect_leq(result.likely, result.sure);
    cr_expect_leq(sure->estimate.high, defaults.most_per_year);
    cr_expect_leq(likely->estimate.per_year, defaults.most_per_year);
    cr_expect_leq(sure->needed_s, 1200, "it was watched for long enough");
    cr_expect_gt(tune_window_us(sure), 200000, "longer than a standstill");
    for (size_t i = 0; i < result.count; i++) {
        const struct tune_pair *pair = &result.pairs[i];

        cr_expect(i == 0 || tune_bound_ms(&result.pairs[i - 1]) <= tune_bound_ms(pair));
        cr_expect_eq(pair->frontier, pair->estimate.basis != ESTIMATE_NONE && pair->estimate.per_year < best);
        best = fmin(best, pair->estimate.per_year);
        if (i < result.sure)
            cr_expect_gt(pair->estimate.high, defaults.most_per_year);
        if (i < result.likely)
            cr_expect_gt(pair->estimate.per_year, defaults.most_per_year);
    }
    cr_expect_eq(tune_bound_ms(find_pair(&result, 100, 10)), 1070);
    cr_expect_eq(tune_median_ms(find_pair(&result, 100, 10)), 975);
    cr_expect_eq(result.pairs[result.standing].select_count, 10);
    tune_clear(&result);
    trace_clear(&trace);
}

/* Of two paths the one with the lower rate was watched for a minute only: it is the one to be unsure of. */
Test(tune, is_as_unsure_as_the_least_known_path)
{
    struct trace well = make_trace(&(struct process){.loss = 0.03}, 10000, 1200, 5);
    struct trace hardly = make_trace(&(struct process){.loss = 0.02}, 10000, 60, 6);
    const struct tune_settings settings = as_far_as(100, 6);
    struct tune_result one, other, both;
    struct trace trace = {0};
    char message[256];
    unsigned wider = 0;

    (void)snprintf(hardly.paths[0].address, sizeof(hardly.paths[0].address), "10.0.0.2");
    cr_assert_eq(trace_join(&trace, &well, message, sizeof(message)), 0);
    cr_assert_eq(trace_join(&trace, &hardly, message, sizeof(message)), 0);
    cr_assert_eq(tune_analyse(&one, &well, &settings, NULL, NULL), 0);
    cr_assert_eq(tune_analyse(&other, &hardly, &settings, NULL, NULL), 0);
    cr_assert_eq(tune_analyse(&both, &trace, &settings, NULL, NULL), 0);
    for (size_t i = 0; i < both.count; i++) {
        const struct estimate *a = &one.pairs[i].estimate, *b = &other.pairs[i].estimate;
        const struct estimate *c = &both.pairs[i].estimate;

        if (a->basis == ESTIMATE_NONE || b->basis == ESTIMATE_NONE)
            continue;
        cr_expect_eq(c->per_year, fmax(a->per_year, b->per_year));
        cr_expect_eq(c->high, fmax(a->high, b->high));
        cr_expect_eq(both.pairs[i].needed_s, fmax(one.pairs[i].needed_s, other.pairs[i].needed_s));
        wider += a->per_year > b->per_year && a->high < b->high;
    }
    cr_expect_gt(wider, 0, "there are such pairs");
    tune_clear(&one);
    tune_clear(&other);
    tune_clear(&both);
    trace_clear(&well);
    trace_clear(&hardly);
    trace_clear(&trace);
}

/* Watched for as long as was said to be needed, the same evidence is enough. */
Test(estimate, needed_time)
{
    struct estimate_tail tail = {.watched_s = 600};
    struct estimate_count none = {0};
    double needed_s, scale;

    tail.levels[1] = (struct estimate_count){100, 100};
    tail.levels[2] = (struct estimate_count){2, 2};
    needed_s = estimate_needed_s(&tail, 7, none, 600, 0.1);
    cr_assert(needed_s > 600 && isfinite(needed_s), "%f", needed_s);
    scale = needed_s / 600;
    for (int i = 1; i <= 2; i++) {
        tail.levels[i].count *= scale;
        tail.levels[i].effective *= scale;
    }
    tail.watched_s = needed_s;
    /* With more of them the threshold may have risen, never to our loss by much. */
    cr_expect_leq(estimate_rate(&tail, 7, none, needed_s).high, 0.1 * 1.5);
    cr_expect_eq(estimate_needed_s(&tail, 5, (struct estimate_count){1000, 1000}, 600, 0.1), INFINITY);
}

Test(estimate, incidents_are_counted_once)
{
    uint64_t same[] = {7, 7, 7, 7, 7, 7, 7, 7}, apart[] = {8, 1, 2, 3, 7, 6, 5, 4};
    struct estimate_count one = estimate_count(same, 8, 8), eight = estimate_count(apart, 8, 8);

    cr_expect_eq(one.count, 1);
    cr_expect_eq(one.effective, 1);
    cr_expect_eq(eight.count, 1);
    cr_expect_eq(eight.effective, 8);
}
