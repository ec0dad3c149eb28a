/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: an agent that tunes itself, in a simulated month of the networks that bench knows. In `lan` it ends
 * below 150 ms of detection; in `nested` near what `bench tune` recommends there; when the network changes from one to
 * the other at most one failover is false, in either direction; and it never changes twice within an hour but to
 * become slower.
 *
 * Time that is calm passes in one step. Around each loss and each standstill of the profile every request is played,
 * through path health and the record.
 */
#include <criterion/criterion.h>
#include <math.h>

#include "bench/responder/responder.h"
#include "bench/tune/tune_analysis.h"
#include "probe/random.h"
#include "route/tune/rule.h"

#define HOUR_NS    (3600 * NS_PER_S)
#define DAY_NS     (24 * HOUR_NS)
#define PATHS      2
#define PENDING    512
#define MOST_NS    (2 * NS_PER_S)
#define HOLD_NS    (180 * NS_PER_S)
#define SEARCH_NS  (600 * NS_PER_S)
#define BACK_AT_NS (1 * NS_PER_S) /* a path that is not in use is asked so often */

static const struct advice_limits limits = {
    .least_ns = 100 * NS_PER_MS, .most_ns = MOST_NS, .timeout_most_ns = NS_PER_S};

struct network {
    double loss;
    uint64_t delay_ns, spike_ns, spike_every_ns;
};

struct world {
    struct network network;
    uint64_t random, now_ns, search_ns, home_ns;
    uint64_t spike_ns;       /* when the next standstill begins */
    uint64_t loss_in;        /* so many requests until the next loss */
    uint64_t spike_begun_ns; /* of the last one */
    struct record records[PATHS];
    struct record_watch watch;
    struct health health;
    size_t in_use;
    struct rule rule;
    struct probe_observation pending[PENDING];
    size_t pending_count;
    unsigned false_failovers, changes;
    uint64_t changed_ns;
};

static double unit(struct world *world)
{
    return random_unit(random_next(&world->random));
}

static struct network network_of(const char *name)
{
    struct responder_profile profile;
    char message[128];

    cr_assert_eq(responder_profile_parse(&profile, name, message, sizeof(message)), 0);
    cr_assert(profile.burst_enter <= 0 && profile.late <= 0);
    return (struct network){.loss = profile.loss,
                            .delay_ns = (uint64_t)profile.delay_ns,
                            .spike_ns = profile.spike_ns,
                            .spike_every_ns = profile.spike_every_ns};
}

static void next_spike(struct world *world)
{
    double wait_ns = -log(1 - unit(world)) * (double)world->network.spike_every_ns;

    world->spike_ns = world->network.spike_ns ? world->now_ns + (uint64_t)wait_ns : NEVER_NS;
}

static void next_loss(struct world *world)
{
    world->loss_in =
        world->network.loss > 0 ? (uint64_t)(log(1 - unit(world)) / log1p(-world->network.loss)) : UINT64_MAX;
}

static void enter(struct world *world, const char *name)
{
    world->network = network_of(name);
    next_spike(world);
    next_loss(world);
}

static struct world *world_new(uint64_t seed)
{
    static const struct advice_pair configured = {100 * NS_PER_MS, 10};
    struct world *world = calloc(1, sizeof(*world));

    world->random = seed;
    world->now_ns = HOUR_NS;
    world->home_ns = NEVER_NS;
    world->rule = rule_begin(&configured);
    return world;
}

/* --- the agent -------------------------------------------------------------------------------------------*/

static uint64_t interval_ns(const struct world *world)
{
    return health_pace(world->rule.in_force.select_timeout_ns);
}

static struct health_settings settings_of(const struct world *world)
{
    return (struct health_settings){.select_timeout_ns = world->rule.in_force.select_timeout_ns,
                                    .select_count = world->rule.in_force.select_count,
                                    .rise = 3,
                                    .degraded_percent = 100,
                                    .degraded_over_ns = 10 * NS_PER_S,
                                    .hold_ns = HOLD_NS};
}

static void note_change(struct world *world, uint64_t before_ns)
{
    if (advice_detection_ns(&world->rule.in_force) < before_ns)
        cr_assert(world->changes == 0 || world->now_ns >= world->changed_ns + HOUR_NS);
    world->changed_ns = world->now_ns;
    world->changes++;
    record_leave(&world->records[world->in_use], &world->watch, false);
}

static void search(struct world *world)
{
    const struct record *record = &world->records[world->in_use];
    uint64_t before_ns = advice_detection_ns(&world->rule.in_force);
    struct advice_search search = {0};
    struct advice_pair advised = {0};
    double high = advice_high(record, advice_window_ns(&world->rule.in_force));

    while (!advice_search_step(&search, record, &limits))
        ;
    if (search.best.pair.select_count)
        advised =
            advice_finest(record, &search.best, 20 * NS_PER_MS, world->rule.configured.select_timeout_ns);
    if (rule_advised(&world->rule, &advised, high, world->now_ns))
        note_change(world, before_ns);
}

static void use(struct world *world, size_t path, bool down)
{
    record_leave(&world->records[world->in_use], &world->watch, down);
    world->in_use = path;
    world->health = (struct health){.state = HEALTH_UP};
    world->pending_count = 0;
    search(world);
}

/* The path that was left silent answers. */
static void answer_of_left(struct world *world, size_t path, uint64_t at_ns)
{
    const struct advice_pair failed = world->rule.in_force;
    uint64_t before_ns = advice_detection_ns(&failed);

    if (!record_answered(&world->records[path], at_ns, MOST_NS))
        return;
    world->false_failovers++;
    if (rule_false_failover(&world->rule, &failed, MOST_NS, world->now_ns))
        note_change(world, before_ns);
}

static void fail_over(struct world *world)
{
    size_t left = world->in_use;
    uint64_t at_ns = world->now_ns + BACK_AT_NS;

    for (size_t i = 0; i < world->pending_count; i++)
        if (world->pending[i].outcome == PROBE_LATE || world->pending[i].outcome == PROBE_REPLY)
            at_ns = min_u64(at_ns, world->pending[i].at_ns);
    use(world, !left, true);
    answer_of_left(world, left, at_ns);
    if (left == 0)
        world->home_ns = world->now_ns + HOLD_NS;
}

/* --- requests --------------------------------------------------------------------------------------------*/

static void push(struct world *world, enum probe_outcome outcome, uint64_t sent_ns, uint64_t at_ns)
{
    size_t i = world->pending_count++;

    cr_assert_lt(i, PENDING);
    for (; i > 0 && world->pending[i - 1].at_ns > at_ns; i--)
        world->pending[i] = world->pending[i - 1];
    world->pending[i] = (struct probe_observation){.outcome = outcome,
                                                   .sent_ns = sent_ns,
                                                   .at_ns = at_ns,
                                                   .rtt_ns = outcome == PROBE_TIMEOUT ? 0 : at_ns - sent_ns};
}

/* What is due until then. False: the path was left meanwhile. */
static bool deliver(struct world *world, uint64_t until_ns)
{
    const struct health_settings settings = settings_of(world);

    while (world->pending_count && world->pending[0].at_ns <= until_ns) {
        struct probe_observation observation = world->pending[0];

        memmove(world->pending, world->pending + 1, --world->pending_count * sizeof(observation));
        world->now_ns = max_u64(world->now_ns, observation.at_ns);
        health_observe(&world->health, &settings, &observation);
        record_observe(&world->records[world->in_use], &world->watch, interval_ns(world), &observation,
                       MOST_NS);
        if (world->health.state == HEALTH_DOWN) {
            fail_over(world);
            return false;
        }
    }
    return true;
}

/* One request. Was it answered at once? */
static bool request(struct world *world, uint64_t sent_ns)
{
    uint64_t timeout_ns = world->rule.in_force.select_timeout_ns, rtt_ns = world->network.delay_ns;
    bool lost = world->loss_in == 0;

    if (sent_ns >= world->spike_ns) {
        world->spike_begun_ns = world->spike_ns;
        world->now_ns = max_u64(world->now_ns, sent_ns);
        next_spike(world);
    }
    if (sent_ns < world->spike_begun_ns + world->network.spike_ns && world->spike_begun_ns)
        rtt_ns += world->spike_begun_ns + world->network.spike_ns - sent_ns;
    if (lost)
        next_loss(world);
    else
        world->loss_in--;
    if (lost || rtt_ns > timeout_ns)
        push(world, PROBE_TIMEOUT, sent_ns, sent_ns + timeout_ns);
    if (!lost)
        push(world, rtt_ns > timeout_ns ? PROBE_LATE : PROBE_REPLY, sent_ns, sent_ns + rtt_ns);
    return !lost && rtt_ns < 10 * NS_PER_MS;
}

/* Requests one by one, until enough of them in a row were answered at once. */
static void stir(struct world *world)
{
    uint64_t pace_ns = interval_ns(world), sent_ns = world->now_ns;
    unsigned calm = 0, enough = (unsigned)(400 * NS_PER_MS / pace_ns) + 8;

    while (calm < enough) {
        calm = request(world, sent_ns) ? calm + 1 : 0;
        sent_ns += pace_ns;
        if (!deliver(world, sent_ns))
            return;
    }
    world->now_ns = sent_ns;
}

/* Nothing happens for so many requests, at most. */
static void rest(struct world *world, uint64_t until_ns)
{
    uint64_t pace_ns = interval_ns(world), requests = sub_sat_u64(until_ns, world->now_ns) / pace_ns;

    requests = min_u64(requests, world->loss_in);
    if (world->spike_ns != NEVER_NS)
        requests = min_u64(requests, sub_sat_u64(world->spike_ns, world->now_ns) / pace_ns);
    requests = sub_sat_u64(requests, 4);
    world->now_ns += requests * pace_ns;
    if (world->network.loss > 0)
        world->loss_in -= requests;
    record_watched(&world->records[world->in_use], requests * pace_ns, pace_ns);
}

static void live(struct world *world, uint64_t for_ns)
{
    uint64_t end_ns = world->now_ns + for_ns;

    while (world->now_ns < end_ns) {
        if (world->now_ns >= world->home_ns) {
            world->home_ns = NEVER_NS;
            use(world, 0, false);
        }
        if (world->now_ns >= world->search_ns) {
            world->search_ns = world->now_ns + SEARCH_NS;
            search(world);
        }
        rest(world, min_u64(min_u64(end_ns, world->home_ns), world->search_ns));
        stir(world);
    }
}

static double detection_ms(const struct world *world)
{
    return (double)advice_detection_ns(&world->rule.in_force) / 1e6;
}

/* --- months ----------------------------------------------------------------------------------------------*/

Test(month, of_lan)
{
    struct world *world = world_new(1);

    enter(world, "lan");
    live(world, 23 * HOUR_NS);
    cr_expect_eq(world->changes, 0, "nothing is said before a day is over");
    live(world, 29 * DAY_NS + HOUR_NS);
    cr_expect_lt(detection_ms(world), 150);
    cr_expect_eq(world->false_failovers, 0);
    cr_log_info("lan: %.0f ms, %u changes", detection_ms(world), world->changes);
    free(world);
}

/* What bench recommends after two hours of watching. */
static double recommended_ms(const char *name)
{
    struct responder_rule rule = {0};
    struct trace trace = {.interval_us = 10000, .wait_us = 3000000};
    struct tune_settings settings = {.health = {.select_timeout_ns = 100 * NS_PER_MS,
                                                .select_count = 10,
                                                .rise = 3,
                                                .degraded_percent = 100,
                                                .degraded_over_ns = 10 * NS_PER_S,
                                                .hold_ns = HOLD_NS},
                                     .most_per_year = ADVICE_FALSE_PER_YEAR,
                                     .window_most_us = MOST_NS / NS_PER_US,
                                     .failure_us = 10000000};
    struct tune_result result;
    char message[128];
    double bound_ms;

    cr_assert_eq(responder_profile_parse(&rule.profile, name, message, sizeof(message)), 0);
    cr_assert_eq(responder_prefix_parse(&rule.prefix, "10.0.0.0/24"), 0);
    rule.key = responder_rule_key(&rule.prefix, 1);
    cr_assert_eq(trace_add_path(&trace, "10.0.0.1", NULL, NULL), 0);
    for (uint64_t i = 0; i < 2 * 360000; i++) {
        const struct responder_request request = {
            .number = i, .at_ns = i * 10 * NS_PER_MS, .address = {.family = AF_INET, .bytes = {10, 0, 0, 1}}};
        struct responder_fate fate = responder_decide(&rule, &request, NULL);
        struct trace_request row = {.sent_us = (i * 10000) & TRACE_SENT_MAX_US,
                                    .fate = fate.verdict == RESPONDER_REPLY ? TRACE_REPLY : TRACE_LOST};

        if (row.fate == TRACE_REPLY)
            row.rtt_us = (fate.delay_ns / NS_PER_US) & TRACE_RTT_MAX_US;
        cr_assert_eq(trace_add(&trace.paths[0], row), 0);
    }
    cr_assert_eq(tune_analyse(&result, &trace, &settings, NULL, NULL), 0);
    cr_assert_neq(result.sure, TUNE_NO_PAIR);
    bound_ms = tune_bound_ms(&result.pairs[result.sure]) - PAIR_SWITCH_MS;
    tune_clear(&result);
    trace_clear(&trace);
    return bound_ms;
}

Test(month, of_nested, .timeout = 240)
{
    struct world *world = world_new(2);
    double bench_ms = recommended_ms("nested");

    enter(world, "nested");
    live(world, 30 * DAY_NS);
    cr_log_info("nested: %.0f ms (%g x %u), bench %.0f, %u changes", detection_ms(world),
                (double)world->rule.in_force.select_timeout_ns / 1e6, world->rule.in_force.select_count,
                bench_ms, world->changes);
    cr_expect(detection_ms(world) < 1.5 * bench_ms && detection_ms(world) > bench_ms / 1.5,
              "%.0f ms, bench recommends %.0f ms", detection_ms(world), bench_ms);
    cr_expect_eq(world->false_failovers, 0);
    free(world);
}

Test(month, that_changes, .timeout = 240)
{
    struct world *world = world_new(3);

    enter(world, "lan");
    live(world, 30 * DAY_NS);
    cr_assert_lt(detection_ms(world), 150);
    enter(world, "nested");
    live(world, 3 * DAY_NS);
    cr_expect_leq(world->false_failovers, 1, "%u", world->false_failovers);
    cr_expect_gt(detection_ms(world), 300, "standstills of 300 ms are ridden out");
    cr_log_info("nested after lan: %.0f ms, %u changes", detection_ms(world), world->changes);
    world->false_failovers = 0;
    enter(world, "lan");
    live(world, 20 * DAY_NS);
    cr_log_info("lan after nested: %.0f ms, %u changes", detection_ms(world), world->changes);
    cr_expect_eq(world->false_failovers, 0);
    free(world);
}
