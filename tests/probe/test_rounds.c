/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves, in a simulated network with a virtual clock: what rounds say of loss and round trips,
 * when their requests leave, that nothing is sent twice, that want of local resources is no loss, that drops
 * in our own buffer make the loss of those doubtful who were under way then and of nobody else, and that what
 * is known before the end counts only requests whose wait is over.
 */
#include <criterion/criterion.h>
#include <netinet/ip_icmp.h>

#include "probe/rounds.h"
#include "probe/simulated.h"
#include "tests/probe/simulated_settings.h"

#define LATENCY_NS (300 * NS_PER_US)
#define HOSTS_MAX  1024
#define SENDS_MAX  64

enum manner {
    ALIVE,
    DEAD,
    LOSES_SECOND, /* of three */
    DUPLICATES,   /* each reply */
    ANSWERS_ON_EDGE /* in the last nanosecond of the window */,
    ANSWERS_LATE,   /* a nanosecond later */
    ALTERNATES,     /* 1 ms, 3 ms, 1 ms ... */
    PROHIBITS,      /* an ICMP error for each */
    PROHIBITS_ONCE, /* for the first, and replies */
    FORGED,         /* an ICMP error that anybody could have sent, before each reply */
    NO_ROUTE,       /* the send is refused */
    NO_ROOM_TWICE,
    NO_ROOM_OFTEN, /* two tries out of three; never for long */
    NO_ROOM_EVER,
    BLOCKS_TWO_SECONDS, /* EAGAIN */
    FLOODS_SECOND,      /* a flood of duplicates at the second request */
};

struct world {
    struct simulated_script script;
    enum manner manners[HOSTS_MAX]; /* by the last two bytes of the address, from 1 */
    uint32_t asked[HOSTS_MAX];      /* requests that were taken */
    uint32_t tried[HOSTS_MAX];
    uint64_t sent_ns[HOSTS_MAX][SENDS_MAX];
    uint64_t window_ns;
    uint64_t blocked_since_ns;
};

static uint32_t host_of(const struct address *a)
{
    return (uint32_t)a->bytes[2] << 8 | a->bytes[3];
}

static struct address address_of(uint32_t host)
{
    return (struct address){.family = AF_INET, .bytes = {10, 0, (uint8_t)(host >> 8), (uint8_t)host}};
}

static int refuse(struct world *world, uint32_t host, uint64_t now_ns)
{
    switch (world->manners[host]) {
    case NO_ROUTE:
        return ENETUNREACH;
    case NO_ROOM_TWICE:
        return world->tried[host] <= 2 ? ENOBUFS : 0;
    case NO_ROOM_OFTEN:
        return world->tried[host] % 3 ? ENOBUFS : 0;
    case NO_ROOM_EVER:
        return ENOBUFS;
    case BLOCKS_TWO_SECONDS:
        if (world->blocked_since_ns == 0)
            world->blocked_since_ns = now_ns;
        return now_ns < world->blocked_since_ns + 2 * NS_PER_S ? EAGAIN : 0;
    default:
        return 0;
    }
}

static void answer(struct world *world, struct simulated *network, const struct packet_out *packet,
                   enum manner manner, uint32_t attempt)
{
    const struct address router = address_of(0xfffe);

    if (manner == DEAD || (manner == LOSES_SECOND && attempt % 3 == 1))
        return;
    if (manner == PROHIBITS || (manner == PROHIBITS_ONCE && attempt == 0)) {
        simulated_error(network, packet, &router, ICMP_DEST_UNREACH, ICMP_HOST_ANO, 0, 64, LATENCY_NS);
        return;
    }
    if (manner == FORGED)
        simulated_error(network, packet, &router, ICMP_DEST_UNREACH, ICMP_HOST_ANO, 0, 8, LATENCY_NS / 2);
    if (manner == FLOODS_SECOND && attempt == 1)
        for (int i = 0; i < 100; i++)
            simulated_reply(network, packet, LATENCY_NS);
    if (manner == DUPLICATES)
        simulated_reply(network, packet, 2 * LATENCY_NS);
    simulated_reply(network, packet,
                    manner == ANSWERS_ON_EDGE ? world->window_ns
                    : manner == ANSWERS_LATE  ? world->window_ns + 1
                    : manner == ALTERNATES    ? (attempt % 2 ? 3 : 1) * NS_PER_MS
                                              : LATENCY_NS);
}

static int on_request(void *context, struct simulated *network, const struct packet_out *packet)
{
    struct world *world = context;
    uint32_t host = host_of(&packet->to);
    uint64_t now_ns = simulated_now_ns(network);
    int error;

    world->tried[host]++;
    error = refuse(world, host, now_ns);
    if (error == ENOBUFS || error == EAGAIN)
        return error;
    cr_assert_lt(world->asked[host], SENDS_MAX);
    world->sent_ns[host][world->asked[host]++] = now_ns;
    if (error == 0)
        answer(world, network, packet, world->manners[host], world->asked[host] - 1);
    return error;
}

struct scene {
    struct world *world;
    struct probe_rounds *rounds;
    struct simulated *network;
    uint64_t start_ns;
    uint32_t hosts;
};

static struct scene begin(const struct probe_settings *settings, struct world *world, uint32_t hosts,
                          struct probe_rounds_plan plan)
{
    struct scene scene = {.world = world, .hosts = hosts};
    struct probe_targets targets = {0};
    struct address first = address_of(1), last = address_of(hosts);
    struct transport *transport;

    world->script.request = on_request;
    world->script.context = world;
    world->window_ns = settings->select_timeout_ns * settings->select_count;
    cr_assert_eq(simulated_open(&transport, &world->script), 0);
    scene.network = simulated_of(transport);
    scene.start_ns = simulated_now_ns(scene.network);
    cr_assert_eq(probe_targets_add(&targets, &(struct probe_range){first, last}), 0);
    cr_assert_eq(probe_rounds_new_over(&scene.rounds, settings, &plan, &targets, true, transport), 0);
    return scene;
}

/* Until `count` targets are done. Returns how long it took since the beginning. */
static uint64_t play(struct scene *scene, uint32_t count)
{
    uint32_t index;

    for (uint64_t steps = 0; count > 0; steps++) {
        cr_assert_lt(steps, 10000000, "it does not end");
        cr_assert_eq(front_end_step(probe_rounds_front(scene->rounds), NEVER_NS), 0);
        while (probe_rounds_next(scene->rounds, &index))
            count--;
    }
    return simulated_now_ns(scene->network) - scene->start_ns;
}

static struct probe_rounds_result result_of(struct scene *scene, uint32_t host)
{
    struct probe_rounds_result result;

    cr_assert(probe_rounds_result(scene->rounds, host - 1, &result));
    cr_assert_eq(result.sent, result.answered + result.lost + result.waiting);
    return result;
}

Test(rounds, times_of_samples)
{
    static const struct {
        const char *what;
        uint64_t samples[12];
        uint32_t count;
        struct probe_rounds_times want; /* min, mean, p50, p95, p99, max; jitter, pairs */
    } rows[] = {
        {"nothing", {0}, 0, {0}},
        {"all lost", {0, 0, 0}, 3, {0}},
        {"one", {7}, 1, {7, 7, 7, 7, 7, 7, 0, 0}},
        {"constant", {5, 5, 5, 5}, 4, {5, 5, 5, 5, 5, 5, 0, 3}},
        {"in order of the requests, not of size", {10, 30, 20, 40}, 4, {10, 25, 20, 40, 40, 40, 16, 3}},
        {"a lost one is in no pair", {10, 0, 50, 60}, 4, {10, 40, 50, 60, 60, 60, 10, 1}},
        {"every second lost: no pair", {10, 0, 50, 0, 90}, 5, {10, 50, 50, 90, 90, 90, 0, 0}},
        {"nearest rank of eleven",
         {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100},
         11,
         {1, 14, 6, 100, 100, 100, 9, 10}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t scratch[12];
        struct probe_rounds_times got = probe_rounds_times_of(rows[i].samples, rows[i].count, scratch);

        const struct probe_rounds_times *want = &rows[i].want;

        cr_expect(got.min_ns == want->min_ns && got.mean_ns == want->mean_ns && got.p50_ns == want->p50_ns &&
                      got.p95_ns == want->p95_ns && got.p99_ns == want->p99_ns &&
                      got.max_ns == want->max_ns && got.jitter_ns == want->jitter_ns &&
                      got.pairs == want->pairs,
                  "%s: %lu %lu %lu %lu %lu %lu, %lu %u", rows[i].what, got.min_ns, got.mean_ns, got.p50_ns,
                  got.p95_ns, got.p99_ns, got.max_ns, got.jitter_ns, got.pairs);
    }
}

/* Ten requests a second apart, window 1.2 s: two are under way at once. */
Test(rounds, what_becomes_of_requests)
{
    static const struct {
        enum manner manner;
        uint32_t answered, lost, unsent, late, duplicates;
        enum probe_outcome outcome, error_outcome;
        uint64_t min_ns, p50_ns, max_ns, jitter_ns;
    } rows[] = {
        {ALIVE, 10, 0, 0, 0, 0, PROBE_REPLY, PROBE_TIMEOUT, LATENCY_NS, LATENCY_NS, LATENCY_NS, 0},
        {DEAD, 0, 10, 0, 0, 0, PROBE_TIMEOUT, PROBE_TIMEOUT, 0, 0, 0, 0},
        {LOSES_SECOND, 7, 3, 0, 0, 0, PROBE_REPLY, PROBE_TIMEOUT, LATENCY_NS, LATENCY_NS, LATENCY_NS, 0},
        {DUPLICATES, 10, 0, 0, 0, 10, PROBE_REPLY, PROBE_TIMEOUT, LATENCY_NS, LATENCY_NS, LATENCY_NS, 0},
        {ANSWERS_ON_EDGE, 10, 0, 0, 0, 0, PROBE_REPLY, PROBE_TIMEOUT, 1200 * NS_PER_MS, 1200 * NS_PER_MS,
         1200 * NS_PER_MS, 0},
        {ANSWERS_LATE, 0, 10, 0, 10, 0, PROBE_TIMEOUT, PROBE_TIMEOUT, 0, 0, 0, 0},
        {ALTERNATES, 10, 0, 0, 0, 0, PROBE_REPLY, PROBE_TIMEOUT, NS_PER_MS, NS_PER_MS, 3 * NS_PER_MS,
         2 * NS_PER_MS},
        {PROHIBITS, 0, 10, 0, 0, 0, PROBE_UNREACHABLE, PROBE_UNREACHABLE, 0, 0, 0, 0},
        {PROHIBITS_ONCE, 9, 1, 0, 0, 0, PROBE_REPLY, PROBE_UNREACHABLE, LATENCY_NS, LATENCY_NS, LATENCY_NS,
         0},
        {NO_ROUTE, 0, 10, 0, 0, 0, PROBE_SEND_FAILED, PROBE_SEND_FAILED, 0, 0, 0, 0},
        {NO_ROOM_TWICE, 10, 0, 0, 0, 0, PROBE_REPLY, PROBE_TIMEOUT, LATENCY_NS, LATENCY_NS, LATENCY_NS, 0},
        {NO_ROOM_OFTEN, 10, 0, 0, 0, 0, PROBE_REPLY, PROBE_TIMEOUT, LATENCY_NS, LATENCY_NS, LATENCY_NS, 0},
        {NO_ROOM_EVER, 0, 0, 10, 0, 0, PROBE_SEND_FAILED, PROBE_SEND_FAILED, 0, 0, 0, 0},
    };
    struct world world = {0};
    struct probe_settings settings = settings_of(600 * NS_PER_MS, 2);
    struct scene scene;

    for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++)
        world.manners[i + 1] = rows[i].manner;
    scene = begin(&settings, &world, ARRAY_SIZE(rows), (struct probe_rounds_plan){10, NS_PER_S});
    play(&scene, scene.hosts);
    for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct probe_rounds_result got = result_of(&scene, i + 1);

        cr_expect_eq(world.asked[i + 1], 10 - rows[i].unsent, "row %u: %u requests", i, world.asked[i + 1]);
        cr_expect_eq(got.sent, 10 - rows[i].unsent, "row %u: sent %u", i, got.sent);
        cr_expect(got.answered == rows[i].answered && got.lost == rows[i].lost &&
                      got.unsent == rows[i].unsent && got.late == rows[i].late &&
                      got.duplicates == rows[i].duplicates && got.waiting == 0 && got.doubtful == 0,
                  "row %u: %u answered, %u lost, %u unsent, %u late, %u duplicates, %u waiting", i,
                  got.answered, got.lost, got.unsent, got.late, got.duplicates, got.waiting);
        cr_expect(got.outcome == rows[i].outcome && got.error_outcome == rows[i].error_outcome &&
                      got.has_error == (rows[i].error_outcome != PROBE_TIMEOUT),
                  "row %u: %s, %s", i, probe_outcome_text(got.outcome),
                  probe_outcome_text(got.error_outcome));
        cr_expect(got.times.min_ns == rows[i].min_ns && got.times.p50_ns == rows[i].p50_ns &&
                      got.times.max_ns == rows[i].max_ns && got.times.jitter_ns == rows[i].jitter_ns,
                  "row %u: min %lu, p50 %lu, max %lu, jitter %lu", i, got.times.min_ns, got.times.p50_ns,
                  got.times.max_ns, got.times.jitter_ns);
    }
    probe_rounds_free(scene.rounds);
}

Test(rounds, an_error_that_may_be_forged_ends_no_wait)
{
    struct world world = {.manners = {[1] = FORGED}};
    struct probe_settings settings = settings_of(NS_PER_S, 1);
    struct scene scene = begin(&settings, &world, 1, (struct probe_rounds_plan){2, NS_PER_S});
    struct probe_rounds_result got;

    play(&scene, 1);
    got = result_of(&scene, 1);
    cr_expect(got.answered == 2 && got.lost == 0, "%u answered, %u lost", got.answered, got.lost);
    cr_expect(got.has_error && got.error_outcome == PROBE_UNREACHABLE, "but it is told");
    probe_rounds_free(scene.rounds);
}

/* Where the kernel does not say when a reply arrived, and we were late ourselves, it may have been in time.
 */
Test(rounds, without_time_stamps_nothing_is_late)
{
    struct world world = {.manners = {[1] = ANSWERS_LATE}, .script.no_stamps = true};
    struct probe_settings settings = settings_of(NS_PER_S, 1);
    struct scene scene = begin(&settings, &world, 1, (struct probe_rounds_plan){2, 2 * NS_PER_S});
    struct probe_rounds_result got;

    while (world.asked[1] == 0)
        cr_assert_eq(front_end_step(probe_rounds_front(scene.rounds), NEVER_NS), 0);
    simulated_advance(scene.network, 3 * NS_PER_S / 2);
    cr_assert_eq(front_end_step(probe_rounds_front(scene.rounds), NEVER_NS), 0);
    cr_assert(probe_rounds_result(scene.rounds, 0, &got));
    cr_expect(got.answered == 1 && got.late == 0, "%u answered, %u late", got.answered, got.late);
    probe_rounds_free(scene.rounds);
}

/* The order in which any targets were asked, as times; ascending. */
static size_t all_sends(const struct scene *scene, uint64_t *times_ns)
{
    size_t count = 0;

    for (uint32_t host = 1; host <= scene->hosts; host++)
        for (uint32_t i = 0; i < scene->world->asked[host]; i++)
            times_ns[count++] = scene->world->sent_ns[host][i];
    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k > 0 && times_ns[k] < times_ns[k - 1]; k--) {
            uint64_t keep_ns = times_ns[k];

            times_ns[k] = times_ns[k - 1];
            times_ns[k - 1] = keep_ns;
        }
    return count;
}

static void expect_period(const struct scene *scene, uint32_t host, uint64_t period_ns)
{
    for (uint32_t i = 1; i < scene->world->asked[host]; i++) {
        uint64_t apart_ns = scene->world->sent_ns[host][i] - scene->world->sent_ns[host][i - 1];

        cr_expect(apart_ns + NS_PER_MS >= period_ns, "host %u, request %u: %lu ns after the last", host, i,
                  apart_ns);
    }
}

Test(rounds, requests_are_spread_over_the_period)
{
    static uint64_t times_ns[500];
    struct world world = {0};
    struct probe_settings settings = settings_of(NS_PER_S, 1);
    struct scene scene = begin(&settings, &world, 100, (struct probe_rounds_plan){5, NS_PER_S});
    uint64_t took_ns = play(&scene, 100);
    size_t count = all_sends(&scene, times_ns);

    cr_assert_eq(count, 500);
    for (size_t i = 1; i < count; i++)
        cr_expect_eq(times_ns[i] - times_ns[i - 1], 10 * NS_PER_MS, "request %zu", i);
    for (uint32_t host = 1; host <= 100; host++)
        expect_period(&scene, host, NS_PER_S);
    cr_expect_eq(took_ns, 4990 * NS_PER_MS + LATENCY_NS, "nothing is waited for in the end: %lu", took_ns);
    probe_rounds_free(scene.rounds);
}

/* Ten under way to each of two, who answer late: nobody waits for room. */
Test(rounds, long_windows_hold_no_request_up)
{
    struct world world = {.manners = {[1] = ANSWERS_ON_EDGE, [2] = ANSWERS_ON_EDGE}};
    struct probe_settings settings = settings_of(100 * NS_PER_MS, 2);
    struct scene scene = begin(&settings, &world, 2, (struct probe_rounds_plan){30, 20 * NS_PER_MS});
    uint64_t took_ns = play(&scene, 2);

    for (uint32_t host = 1; host <= 2; host++)
        for (uint32_t i = 1; i < 30; i++)
            cr_expect_eq(world.sent_ns[host][i] - world.sent_ns[host][i - 1], 20 * NS_PER_MS);
    cr_expect_eq(took_ns, (29 * 20 + 10 + 200) * NS_PER_MS, "%lu", took_ns);
    probe_rounds_free(scene.rounds);
}

Test(rounds, the_order_is_random_and_the_same_in_each_round)
{
    struct world world = {0};
    struct probe_settings settings = settings_of(NS_PER_S, 1);
    struct scene scene = begin(&settings, &world, 64, (struct probe_rounds_plan){3, NS_PER_S});
    bool in_order = true;

    play(&scene, 64);
    for (uint32_t host = 1; host <= 64; host++) {
        in_order &= host == 1 || world.sent_ns[host][0] > world.sent_ns[host - 1][0];
        cr_expect_eq(world.sent_ns[host][2] - world.sent_ns[host][1], NS_PER_S);
    }
    cr_expect_not(in_order);
    probe_rounds_free(scene.rounds);
}

Test(rounds, a_rate_makes_the_period_longer)
{
    static uint64_t times_ns[500];
    struct world world = {0};
    struct probe_settings settings = settings_of(NS_PER_S, 1);
    struct scene scene;

    settings.rate = 50;
    scene = begin(&settings, &world, 100, (struct probe_rounds_plan){3, NS_PER_S});
    play(&scene, 100);
    cr_assert_eq(all_sends(&scene, times_ns), 300);
    for (size_t i = 1; i < 300; i++)
        cr_expect_eq(times_ns[i] - times_ns[i - 1], 20 * NS_PER_MS);
    probe_rounds_free(scene.rounds);
}

Test(rounds, a_full_send_buffer_moves_everything_and_loses_nothing)
{
    struct world world = {0};
    struct probe_settings settings = settings_of(NS_PER_S, 1);
    struct scene scene;
    uint64_t took_ns;

    world.manners[3] = BLOCKS_TWO_SECONDS;
    scene = begin(&settings, &world, 20, (struct probe_rounds_plan){4, 100 * NS_PER_MS});
    took_ns = play(&scene, 20);
    for (uint32_t host = 1; host <= 20; host++) {
        struct probe_rounds_result got = result_of(&scene, host);

        cr_expect(got.sent == 4 && got.answered == 4 && got.unsent == 0, "host %u", host);
        expect_period(&scene, host, 100 * NS_PER_MS);
    }
    cr_expect_geq(took_ns, 2390 * NS_PER_MS);
    cr_expect_leq(took_ns, 2410 * NS_PER_MS, "%lu", took_ns);
    probe_rounds_free(scene.rounds);
}

/* Nobody runs for 3.3 periods: what was missed is not made up for. */
Test(rounds, a_stall_is_no_burst)
{
    struct world world = {0};
    struct probe_settings settings = settings_of(NS_PER_S, 1);
    struct scene scene = begin(&settings, &world, 50, (struct probe_rounds_plan){6, 100 * NS_PER_MS});

    for (int i = 0; i < 60; i++)
        cr_assert_eq(front_end_step(probe_rounds_front(scene.rounds), NEVER_NS), 0);
    simulated_advance(scene.network, 330 * NS_PER_MS);
    play(&scene, 50);
    for (uint32_t host = 1; host <= 50; host++) {
        cr_expect_eq(result_of(&scene, host).answered, 6);
        expect_period(&scene, host, 100 * NS_PER_MS);
    }
    probe_rounds_free(scene.rounds);
}

/* How many of a host's requests were under way at some moment from one time to another. */
static uint32_t under_way(const struct scene *scene, uint32_t host, uint64_t from_ns, uint64_t to_ns)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < scene->world->asked[host]; i++)
        count += scene->world->sent_ns[host][i] <= to_ns &&
                 scene->world->sent_ns[host][i] + scene->world->window_ns >= from_ns;
    return count;
}

/*
 * Host 2 floods us at its second request: our buffer holds a few replies, so others are lost. Doubtful is who
 * was under way then, or may have been, since the last look at the counter, when the last request left; who
 * lost something at another time is not. First with one request under way to each target, then with several.
 */
Test(rounds, own_drops_make_doubtful_who_was_under_way)
{
    static const uint64_t periods_ns[] = {NS_PER_S, 40 * NS_PER_MS};

    for (size_t row = 0; row < ARRAY_SIZE(periods_ns); row++) {
        struct world world = {.script.receive_limit = 64};
        struct probe_settings settings = settings_of(100 * NS_PER_MS, 1);
        uint64_t gap_ns = periods_ns[row] / 40, slack_ns = 3 * NS_PER_MS, flood_ns;
        uint32_t doubtful = 0;
        struct scene scene;

        for (uint32_t host = 1; host <= 40; host++)
            world.manners[host] = DEAD;
        world.manners[2] = FLOODS_SECOND;
        scene = begin(&settings, &world, 40, (struct probe_rounds_plan){12, periods_ns[row]});
        play(&scene, 40);
        flood_ns = world.sent_ns[2][1] + LATENCY_NS;
        for (uint32_t host = 1; host <= 40; host++) {
            struct probe_rounds_result got = result_of(&scene, host);

            if (host == 2)
                continue;
            doubtful += got.doubtful;
            cr_expect_eq(got.lost, 12);
            cr_expect_geq(got.doubtful, under_way(&scene, host, flood_ns, flood_ns), "host %u", host);
            cr_expect_leq(got.doubtful,
                          under_way(&scene, host, flood_ns - gap_ns - slack_ns, flood_ns + slack_ns),
                          "host %u: %u doubtful", host, got.doubtful);
        }
        cr_expect_gt(doubtful, 0);
        cr_expect_gt(front_end_counters(probe_rounds_front(scene.rounds))->receive_drops, 0);
        probe_rounds_free(scene.rounds);
    }
}

Test(rounds, before_the_end_only_what_is_over_counts)
{
    struct world world = {0};
    struct probe_settings settings = settings_of(NS_PER_S, 1);
    struct probe_rounds_result got;
    struct scene scene;

    world.manners[1] = DEAD;
    world.manners[2] = ALIVE;
    scene = begin(&settings, &world, 2, (struct probe_rounds_plan){10, 400 * NS_PER_MS});
    cr_expect_not(probe_rounds_result(scene.rounds, 0, &got), "nothing was sent");
    while (world.asked[1] < 4 || world.asked[2] < 4)
        cr_assert_eq(front_end_step(probe_rounds_front(scene.rounds), NEVER_NS), 0);
    got = result_of(&scene, 1);
    /* Those of 0, 400, 800 and 1200 ms; it is 1200 or 1400 ms, and 1 ms is not certain. */
    cr_expect(got.sent == 4 && got.lost >= 1 && got.lost <= 2 && got.waiting == 4 - got.lost,
              "%u lost, %u waiting", got.lost, got.waiting);
    simulated_advance(scene.network, NS_PER_MS);
    cr_assert_eq(front_end_step(probe_rounds_front(scene.rounds), 0), 0);
    got = result_of(&scene, 2);
    cr_expect(got.sent == 4 && got.answered == 4 && got.lost == 0);
    probe_rounds_free(scene.rounds);
}

Test(rounds, a_name_that_is_found_late_has_all_its_turns)
{
    struct world world = {0};
    struct probe_settings settings = settings_of(NS_PER_S, 1);
    struct probe_rounds_plan plan = {3, 100 * NS_PER_MS};
    struct probe_targets targets = {0};
    struct address first = address_of(1), late = address_of(2);
    struct scene scene = {.world = &world, .hosts = 2};
    struct transport *transport;
    uint32_t index;

    world.script.request = on_request;
    world.script.context = &world;
    cr_assert_eq(simulated_open(&transport, &world.script), 0);
    scene.network = simulated_of(transport);
    cr_assert_eq(probe_targets_add_later(&targets, &index), 1);
    cr_assert_eq(probe_targets_add(&targets, &(struct probe_range){first, first}), 0);
    cr_assert_eq(probe_rounds_new_over(&scene.rounds, &settings, &plan, &targets, true, transport), 0);
    play(&scene, 1);
    simulated_advance(scene.network, 5 * NS_PER_S);
    front_end_set(probe_rounds_front(scene.rounds), index, &late);
    play(&scene, 1);
    cr_expect_eq(result_of(&scene, 1).answered, 3);
    expect_period(&scene, 2, 100 * NS_PER_MS);
    probe_rounds_free(scene.rounds);
}

/* The window is longer than 32 bits of nanoseconds. */
Test(rounds, long_windows_have_coarser_samples)
{
    struct world world = {0};
    struct probe_settings settings = settings_of(3600 * NS_PER_S, 10);
    struct probe_rounds_result got;
    struct scene scene;

    world.manners[1] = ANSWERS_ON_EDGE;
    scene = begin(&settings, &world, 1, (struct probe_rounds_plan){2, NS_PER_S});
    play(&scene, 1);
    got = result_of(&scene, 1);
    cr_expect_eq(got.answered, 2);
    cr_expect_leq(36000 * NS_PER_S - got.times.max_ns, 10000, "%lu", got.times.max_ns);
    probe_rounds_free(scene.rounds);
}

Test(rounds, many_targets_all_live_lose_nothing)
{
    struct world world = {.script.receive_limit = 64};
    struct probe_settings settings = settings_of(NS_PER_S, 1);
    struct scene scene = begin(&settings, &world, 1000, (struct probe_rounds_plan){10, 20 * NS_PER_MS});

    play(&scene, 1000);
    for (uint32_t host = 1; host <= 1000; host++)
        cr_expect(result_of(&scene, host).answered == 10 && result_of(&scene, host).sent == 10);
    cr_expect_eq(front_end_counters(probe_rounds_front(scene.rounds))->receive_drops, 0);
    probe_rounds_free(scene.rounds);
}
