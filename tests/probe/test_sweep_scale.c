/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves, in a simulated network with a virtual clock: a sweep over a list of targets asks each of
 * them, in random order or the order given, however many there are and whenever their addresses come; it
 * never sends faster than its rate, also not after a stall; who may be unreachable because our own buffer
 * dropped replies, and nobody else, is asked again once, and is called doubtful when that does not help; a
 * target takes 32 bytes.
 */
#include <criterion/criterion.h>

#include "probe/simulated.h"
#include "probe/sweep.h"
#include "probe/sweep_state.h"

#define LATENCY_NS (300 * NS_PER_US)

struct world {
    struct simulated_script script;
    bool (*answers)(struct world *world, uint32_t host, uint32_t attempt);
    uint32_t copies; /* of each reply; they fill the buffer */
    uint64_t copies_until_ns;
    uint64_t *sent_ns; /* when each request left */
    uint32_t *sent_to; /* and to whom */
    uint32_t sent, sent_room;
    uint32_t stall_at; /* after so many requests nobody runs for stall_ns; 0: never */
    uint64_t stall_ns;
    uint8_t *asked; /* how often each host was, by its number */
    uint32_t hosts;
};

static uint32_t host_of(const struct address *a)
{
    return (uint32_t)a->bytes[1] << 16 | (uint32_t)a->bytes[2] << 8 | a->bytes[3];
}

static bool all_answer(struct world *world, uint32_t host, uint32_t attempt)
{
    return true;
}

static bool nobody_answers(struct world *world, uint32_t host, uint32_t attempt)
{
    return false;
}

static bool odd_ones_answer(struct world *world, uint32_t host, uint32_t attempt)
{
    return host % 2;
}

static int request(void *context, struct simulated *network, const struct packet_out *packet)
{
    struct world *world = context;
    uint32_t host = host_of(&packet->to);
    uint64_t now_ns = simulated_now_ns(network);
    uint32_t copies = 1;

    if (world->sent < world->sent_room) {
        world->sent_ns[world->sent] = now_ns;
        world->sent_to[world->sent] = host;
    }
    world->sent++;
    if (host < world->hosts && world->answers(world, host, world->asked[host]++)) {
        if (world->copies && now_ns < world->copies_until_ns)
            copies = world->copies;
        for (uint32_t i = 0; i < copies; i++)
            simulated_reply(network, packet, LATENCY_NS);
    }
    if (world->stall_at && world->sent == world->stall_at)
        simulated_advance(network, world->stall_ns);
    return 0;
}

struct run {
    struct world world;
    struct transport *transport;
    struct simulated *network;
    struct probe_sweep *sweep;
    uint64_t begin_ns;
    uint32_t replies, timeouts, doubtful, others;
};

static void run_open(struct run *run, const struct probe_settings *settings, uint32_t hosts)
{
    run->world.script.request = request;
    run->world.script.context = &run->world;
    run->world.hosts = hosts;
    run->world.asked = calloc(hosts, 1);
    run->world.sent_room = 2 * hosts;
    run->world.sent_ns = calloc(run->world.sent_room, sizeof(*run->world.sent_ns));
    run->world.sent_to = calloc(run->world.sent_room, sizeof(*run->world.sent_to));
    cr_assert_eq(simulated_open(&run->transport, &run->world.script), 0);
    run->network = simulated_of(run->transport);
    run->begin_ns = simulated_now_ns(run->network);
    cr_assert_eq(probe_sweep_new_over(&run->sweep, settings, run->transport), 0);
}

/* The first `count` addresses of 10.0.0.0/8. */
static void take_hosts(struct run *run, uint32_t count, bool shuffled)
{
    struct probe_targets targets = {0};
    struct probe_range range;
    char message[64];

    cr_assert_eq(probe_range_parse(&range, "10.0.0.0", message, sizeof(message)), 0);
    range.last = probe_address_plus(&range.first, count - 1);
    cr_assert_eq(probe_targets_add(&targets, &range), 0);
    cr_assert_eq(probe_sweep_take(run->sweep, &targets, shuffled), 0);
    cr_assert_eq(targets.count, 0);
    cr_assert_eq(front_end_targets(probe_sweep_front(run->sweep))->count, count);
}

static void pull(struct run *run)
{
    struct probe_result result, again;

    while (probe_sweep_next(run->sweep, &result)) {
        cr_assert(probe_sweep_result(run->sweep, result.index, &again));
        cr_assert_eq(memcmp(&result, &again, sizeof(result)), 0);
        run->replies += result.outcome == PROBE_REPLY;
        run->timeouts += result.outcome == PROBE_TIMEOUT;
        run->others += result.outcome != PROBE_REPLY && result.outcome != PROBE_TIMEOUT;
        run->doubtful += result.doubtful;
    }
}

static void run_all(struct run *run)
{
    while (!probe_sweep_done(run->sweep)) {
        cr_assert_eq(front_end_step(probe_sweep_front(run->sweep), NEVER_NS), 0);
        pull(run);
    }
}

static void run_close(struct run *run)
{
    probe_sweep_free(run->sweep);
    free(run->world.asked);
    free(run->world.sent_ns);
    free(run->world.sent_to);
}

static struct probe_settings settings_of(uint64_t timeout_ms, uint32_t count)
{
    struct probe_settings settings = probe_settings_default();

    settings.select_timeout_ns = timeout_ms * NS_PER_MS;
    settings.select_count = count;
    return settings;
}

Test(sweep_scale, memory)
{
    cr_expect_leq(sizeof(struct record), 32);
}

/* Many times the 65,536 sequence numbers, in random order, several requests each. */
Test(sweep_scale, two_hundred_thousand)
{
    struct probe_settings settings = settings_of(1000, 2);
    struct run run = {.world.answers = odd_ones_answer};
    struct probe_result result;

    run_open(&run, &settings, 200000);
    take_hosts(&run, 200000, true);
    run_all(&run);
    cr_expect_eq(run.replies, 100000);
    cr_expect_eq(run.timeouts, 100000);
    cr_expect_eq(run.doubtful, 0);
    for (uint32_t i = 0; i < 200000; i++) {
        cr_assert_eq(run.world.asked[i], i % 2 ? 1 : 2);
        cr_assert(probe_sweep_result(run.sweep, i, &result));
        cr_assert_eq(result.outcome, i % 2 ? PROBE_REPLY : PROBE_TIMEOUT);
        cr_assert_eq(result.index, i);
    }
    run_close(&run);
}

Test(sweep_scale, order)
{
    struct probe_settings settings = settings_of(1000, 1);

    for (int shuffled = 0; shuffled < 2; shuffled++) {
        struct run run = {.world.answers = all_answer};
        uint32_t in_a_row = 0;

        run_open(&run, &settings, 10000);
        take_hosts(&run, 10000, shuffled);
        run_all(&run);
        cr_assert_eq(run.world.sent, 10000);
        for (uint32_t i = 1; i < 10000; i++)
            in_a_row += run.world.sent_to[i] == run.world.sent_to[i - 1] + 1;
        if (shuffled)
            cr_expect_leq(in_a_row, 20);
        else
            cr_expect_eq(in_a_row, 9999);
        run_close(&run);
    }
}

/* Names among them: asked when their address is there, before or after their turn, once; others follow. */
Test(sweep_scale, addresses_that_come_later)
{
    struct probe_settings settings = settings_of(1000, 1);
    struct run run = {.world.answers = all_answer};
    struct probe_targets targets = {0};
    struct address address = {.family = AF_INET, .bytes = {10, 0, 0, 7}};
    uint32_t early, late, index;

    run_open(&run, &settings, 64);
    cr_assert_eq(probe_targets_add_later(&targets, &early), 1);
    cr_assert_eq(probe_targets_add(&targets, &(struct probe_range){address, address}), 0);
    cr_assert_eq(probe_targets_add_later(&targets, &late), 1);
    cr_assert_eq(probe_sweep_take(run.sweep, &targets, true), 0);
    address.bytes[3] = 8;
    front_end_set(probe_sweep_front(run.sweep), early, &address);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(front_end_step(probe_sweep_front(run.sweep), simulated_now_ns(run.network) + NS_PER_MS),
                     0);
        pull(&run);
    }
    cr_expect_eq(run.replies, 2);
    cr_expect_not(probe_sweep_done(run.sweep));
    address.bytes[3] = 9;
    front_end_set(probe_sweep_front(run.sweep), late, &address);
    address.bytes[3] = 10;
    cr_assert_eq(probe_sweep_add(run.sweep, &address, &index), 0);
    cr_expect_eq(index, 3);
    run_all(&run);
    cr_expect_eq(run.replies, 4);
    for (uint32_t host = 7; host <= 10; host++)
        cr_expect_eq(run.world.asked[host], 1);
    run_close(&run);
}

/* In no stretch of time, wherever it begins, more than its share plus what one millisecond's slack allows. */
static void check_rate(const struct world *world, uint32_t rate, const char *what)
{
    static const uint64_t stretches_ns[] = {0, NS_PER_MS, 10 * NS_PER_MS, 100 * NS_PER_MS, NS_PER_S};

    for (size_t i = 0; i < ARRAY_SIZE(stretches_ns); i++) {
        uint64_t most = (stretches_ns[i] + NS_PER_MS) * rate / NS_PER_S + 1;
        uint32_t first = 0;

        for (uint32_t last = 0; last < world->sent && last < world->sent_room; last++) {
            while (world->sent_ns[last] - world->sent_ns[first] > stretches_ns[i])
                first++;
            cr_assert_leq(last - first + 1, most, "%s, rate %u: %u packets in %" PRIu64 " ns", what, rate,
                          last - first + 1, stretches_ns[i]);
        }
    }
}

Test(sweep_scale, rate)
{
    static const uint32_t rates[] = {10, 500, 1000, 3333, 50000, 1000000};

    for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
        struct probe_settings settings = settings_of(1000, 1);
        struct run run = {.world.answers = all_answer};
        uint32_t count = rates[i] < 1000 ? rates[i] * 3 : 3000;
        uint64_t took_ns, want_ns = (uint64_t)(count - 1) * NS_PER_S / rates[i];

        settings.rate = rates[i];
        run_open(&run, &settings, count);
        take_hosts(&run, count, true);
        run_all(&run);
        check_rate(&run.world, rates[i], "steady");
        took_ns = run.world.sent_ns[count - 1] - run.world.sent_ns[0];
        cr_expect_leq(took_ns, want_ns + want_ns / 50 + NS_PER_MS, "rate %u: %" PRIu64 " ns for %u", rates[i],
                      took_ns, count);
        cr_expect_eq(run.replies, count);
        run_close(&run);
    }
}

/* Nobody runs for two seconds: what was not sent then is not made up for. */
Test(sweep_scale, no_burst_after_a_stall)
{
    struct probe_settings settings = settings_of(3000, 1);
    struct run run = {.world.answers = all_answer, .world.stall_at = 700, .world.stall_ns = 2 * NS_PER_S};

    settings.rate = 1000;
    run_open(&run, &settings, 3000);
    take_hosts(&run, 3000, true);
    run_all(&run);
    check_rate(&run.world, 1000, "stall");
    cr_expect_eq(run.replies, 3000);
    cr_expect_geq(run.world.sent_ns[2999] - run.world.sent_ns[0], 4900 * NS_PER_MS);
    run_close(&run);
}

/* Repeated requests share the rate with first ones, and every target has all of its requests. */
Test(sweep_scale, rate_with_several_requests)
{
    struct probe_settings settings = settings_of(100, 3);
    struct run run = {.world.answers = nobody_answers};

    settings.rate = 2000;
    run_open(&run, &settings, 2000);
    take_hosts(&run, 2000, true);
    run_all(&run);
    check_rate(&run.world, 2000, "three each");
    cr_expect_eq(run.timeouts, 2000);
    for (uint32_t i = 0; i < 2000; i++)
        cr_assert_eq(run.world.asked[i], 3);
    run_close(&run);
}

/*
 * Duplicates without end overrun the buffer for the first 20 ms, and genuine replies are lost with them. All
 * live targets are found in the end, those that are lost are asked again, the dead one stays dead.
 */
Test(sweep_scale, the_doubtful_are_asked_again)
{
    for (int retry = 0; retry < 2; retry++) {
        struct probe_settings settings = settings_of(1000, 1);
        struct run run = {.world.answers = all_answer, .world.copies = 200};
        uint32_t lost;

        settings.retry_doubtful = retry;
        run.world.script.receive_limit = 64;
        run_open(&run, &settings, 2000);
        run.world.copies_until_ns = run.begin_ns + 20 * NS_PER_MS;
        run.world.hosts = 1999; /* the last one is dead */
        take_hosts(&run, 2000, true);
        run_all(&run);
        lost = 2000 - run.replies;
        cr_assert_gt(front_end_counters(probe_sweep_front(run.sweep))->receive_drops, 0);
        if (retry) {
            cr_expect_eq(run.replies, 1999);
            cr_expect_eq(run.timeouts, 1);
            cr_expect_gt(front_end_asked_again(probe_sweep_front(run.sweep)), 0);
            cr_expect_eq(run.doubtful, 0, "nothing was dropped when they were asked again");
        } else {
            cr_expect_gt(lost, 1);
            /* The dead one may have been asked when all was over. */
            cr_expect_geq(run.doubtful, lost - 1, "%u lost, %u doubtful", lost, run.doubtful);
            cr_expect_eq(front_end_asked_again(probe_sweep_front(run.sweep)), 0);
        }
        run_close(&run);
    }
}

/* It never stops: then the verdicts stay in doubt, each target is asked just once more, and the sweep ends.
 */
Test(sweep_scale, doubt_that_stays)
{
    struct probe_settings settings = settings_of(100, 2);
    struct run run = {
        .world.answers = odd_ones_answer, .world.copies = 200, .world.copies_until_ns = NEVER_NS};

    run.world.script.receive_limit = 64;
    run_open(&run, &settings, 1000);
    take_hosts(&run, 1000, true);
    run_all(&run);
    cr_expect_geq(run.timeouts, 500);
    cr_expect_gt(run.doubtful, 0);
    for (uint32_t i = 0; i < 1000; i++)
        cr_assert_leq(run.world.asked[i], 4);
    run_close(&run);
}

static bool first_two_are_dead(struct world *world, uint32_t host, uint32_t attempt)
{
    return host >= 2;
}

/*
 * Only who was waited for while the counter grew. Host 0 is dead and asked at the beginning, when host 2's
 * flood overruns the buffer; host 1 is dead as well, but asked long after.
 */
Test(sweep_scale, nobody_else_is_doubtful)
{
    struct probe_settings settings = settings_of(100, 1);
    struct run run = {.world.answers = first_two_are_dead, .world.copies = 500};
    struct address address = {.family = AF_INET, .bytes = {10, 0, 0, 0}};
    struct probe_result result;
    uint32_t index;

    settings.retry_doubtful = false;
    run.world.script.receive_limit = 64;
    run_open(&run, &settings, 3);
    run.world.copies_until_ns = run.begin_ns + 50 * NS_PER_MS;
    for (uint8_t host = 0; host < 4; host += 2) {
        address.bytes[3] = host;
        cr_assert_eq(probe_sweep_add(run.sweep, &address, &index), 0);
    }
    run_all(&run);
    address.bytes[3] = 1;
    cr_assert_eq(probe_sweep_add(run.sweep, &address, &index), 0);
    run_all(&run);
    cr_assert_gt(front_end_counters(probe_sweep_front(run.sweep))->receive_drops, 0);
    cr_assert(probe_sweep_result(run.sweep, 0, &result));
    cr_expect(result.doubtful);
    cr_assert(probe_sweep_result(run.sweep, 1, &result));
    cr_expect_eq(result.outcome, PROBE_REPLY);
    cr_expect_not(result.doubtful);
    cr_assert(probe_sweep_result(run.sweep, 2, &result));
    cr_expect_eq(result.outcome, PROBE_TIMEOUT);
    cr_expect_not(result.doubtful, "asked when the flood was over");
    run_close(&run);
}

struct slow_world {
    struct simulated_script script;
    uint32_t requests;
    struct address router;
};

/* The first request is answered when its target is being asked again, the others never; copies make drops. */
static int answer_much_too_late(void *context, struct simulated *network, const struct packet_out *packet)
{
    struct slow_world *world = context;

    if (world->requests++ == 0) {
        simulated_reply(network, packet, 150 * NS_PER_MS);
        for (int i = 0; i < 200; i++)
            simulated_deliver(network, &packet->to, 0, packet->bytes, packet->size_bytes, NS_PER_MS);
    }
    return 0;
}

/* Asks 10.0.0.1 in this world until its result is there. */
static struct probe_sweep *sweep_one(const struct probe_settings *settings, struct slow_world *world,
                                     struct probe_result *result)
{
    struct address address = {.family = AF_INET, .bytes = {10, 0, 0, 1}};
    struct transport *transport;
    struct probe_sweep *sweep;
    uint32_t index;

    world->script.context = world;
    cr_assert_eq(simulated_open(&transport, &world->script), 0);
    cr_assert_eq(probe_sweep_new_over(&sweep, settings, transport), 0);
    cr_assert_eq(probe_sweep_add(sweep, &address, &index), 0);
    while (!probe_sweep_next(sweep, result))
        cr_assert_eq(front_end_step(probe_sweep_front(sweep), NEVER_NS), 0);
    return sweep;
}

/* Asking again is no longer window: what comes after the first one is late. */
Test(sweep_scale, a_late_reply_is_late_when_asked_again)
{
    struct probe_settings settings = settings_of(100, 1);
    struct slow_world world = {.script = {.request = answer_much_too_late, .receive_limit = 64}};
    struct probe_result result;
    struct probe_sweep *sweep = sweep_one(&settings, &world, &result);

    cr_expect_eq(front_end_asked_again(probe_sweep_front(sweep)), 1);
    cr_expect_eq(result.outcome, PROBE_TIMEOUT);
    cr_expect_eq(result.requests, 2);
    cr_expect_eq(front_end_counters(probe_sweep_front(sweep))->late, 1);
    probe_sweep_free(sweep);
}

static int refuse_by_a_thousand_routers(void *context, struct simulated *network,
                                        const struct packet_out *packet)
{
    struct slow_world *world = context;

    for (int i = 0; i < 1000; i++) {
        world->router.bytes[2] = (uint8_t)(i >> 8);
        world->router.bytes[3] = (uint8_t)i;
        simulated_error(network, packet, &world->router, 3, 1, 0, 8, (uint64_t)i * NS_PER_US);
    }
    return 0;
}

/* Errors without a token may be made up by anybody, in any number: only the last one of a target is kept. */
Test(sweep_scale, made_up_errors_take_no_memory)
{
    struct probe_settings settings = settings_of(100, 1);
    struct slow_world world = {.script.request = refuse_by_a_thousand_routers,
                               .router = {.family = AF_INET, .bytes = {10, 9}}};
    struct probe_result result;
    struct probe_sweep *sweep = sweep_one(&settings, &world, &result);

    cr_expect_eq(result.outcome, PROBE_UNREACHABLE);
    cr_expect_eq(result.error.from.bytes[3], 999 % 256);
    cr_expect_leq(sweep->front.reasons.room, 16);
    probe_sweep_free(sweep);
}
