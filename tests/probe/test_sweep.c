/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves, in a simulated network with a virtual clock: when a sweep calls a target reachable and
 * when not, what its reasons are, when its requests leave and when its verdicts fall; that nothing which is
 * not a reply to one of its requests makes a target alive; that want of local resources, stalls, many targets
 * and small buffers never make one dead.
 */
#include <criterion/criterion.h>
#include <netinet/ip_icmp.h>

#include "probe/icmp.h"
#include "probe/simulated.h"
#include "probe/sweep.h"

/* How a host answers. Which one answers is told from its address, see host_of(). */
enum manner {
    ALIVE,
    DEAD,
    ANSWERS_SECOND,   /* loses the first request */
    ANSWERS_LAST,     /* loses all but the last */
    ANSWERS_TWICE,    /* duplicates */
    ANSWERS_SLOWLY,   /* after 1.5 select-timeouts */
    ANSWERS_TOO_LATE, /* after the window */
    ANSWERS_ON_EDGE,  /* in the last nanosecond of the window */
    CORRUPTS,         /* a spoilt byte, a wrong checksum */
    CORRUPTS_CLEANLY, /* a spoilt byte, the checksum is right again */
    SPOILS_PATTERN,   /* the same behind the state */
    SHORTENS,         /* a shorter reply, the checksum is right */
    CUTS_TOKEN,       /* the same, and not even the token is left */
    FORGES,           /* no token: made up by somebody who knows everything else */
    SPOOFS,           /* right reply, other source */
    OTHER_IDENT,      /* somebody else's reply */
    ECHOES,           /* the request itself comes back (a loop) */
    PROHIBITS,        /* ICMP error for each request */
    PROHIBITS_SHORT,  /* the same with 8 bytes quoted */
    PROHIBITS_FIRST,  /* an error for the first request, a reply to the second */
    FORGES_ERROR,     /* an error that quotes a wrong token */
    TOO_BIG,          /* fragmentation needed */
    NO_ROUTE,         /* the send is refused */
    NO_ROUTE_FIRST,   /* only the first send is refused */
    NO_ROOM_TWICE,    /* the kernel has no room two times */
    NO_ROOM_EVER,
    MANNERS,
};

#define LATENCY_NS (300 * NS_PER_US)

struct world {
    struct simulated_script script;
    const struct probe_settings *settings;
    enum manner (*manner_of)(uint32_t host);
    uint32_t requests[8]; /* to the first hosts */
    uint64_t sent_ns[8][16];
    uint32_t refusals;
    uint64_t stall_after; /* requests after which the process does not run for a while; 0: never */
    uint64_t stall_ns;
    uint64_t total;
};

static uint32_t host_of(const struct address *a)
{
    return (uint32_t)a->bytes[1] << 16 | (uint32_t)a->bytes[2] << 8 | a->bytes[3];
}

static struct address address_of(uint32_t host)
{
    return (struct address){.family = AF_INET,
                            .bytes = {10, (uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host}};
}

static void spoil(struct simulated *network, const struct packet_out *packet, enum manner manner)
{
    uint8_t reply[256];
    size_t size = packet->size_bytes;
    struct address from = packet->to;
    uint16_t checksum;

    simulated_make_reply(packet, reply);
    if (manner == CORRUPTS || manner == CORRUPTS_CLEANLY)
        reply[12] ^= 1;
    if (manner == SPOILS_PATTERN)
        reply[size - 1] ^= 1;
    if (manner == SHORTENS)
        size -= 8;
    if (manner == CUTS_TOKEN)
        size = 24;
    if (manner == FORGES)
        memset(reply + 24, 0x5a, 8);
    if (manner == OTHER_IDENT)
        reply[4] ^= 1;
    if (manner == ECHOES)
        reply[0] = ICMP_ECHO;
    if (manner == SPOOFS)
        from = address_of(0xffffff);
    if (manner != CORRUPTS) {
        reply[2] = reply[3] = 0;
        checksum = icmp_checksum(reply, size);
        memcpy(reply + 2, &checksum, 2);
    }
    simulated_deliver(network, &from, 0, reply, size, LATENCY_NS);
}

static void forge_error(struct simulated *network, const struct packet_out *packet,
                        const struct address *router)
{
    uint8_t bytes[256];
    struct packet_out forged = *packet;

    memcpy(bytes, packet->bytes, packet->size_bytes);
    bytes[24] ^= 1;
    forged.bytes = bytes;
    simulated_error(network, &forged, router, 3, 1, 0, 64, LATENCY_NS);
}

static int answer(struct world *world, struct simulated *network, const struct packet_out *packet,
                  enum manner manner, uint32_t attempt)
{
    const struct address router = address_of(0xfffffe);
    uint64_t wait_ns = world->settings->select_timeout_ns;
    uint64_t window_ns = wait_ns * world->settings->select_count;
    bool last = attempt + 1 == world->settings->select_count;

    switch (manner) {
    case ALIVE:
        return simulated_reply(network, packet, LATENCY_NS);
    case DEAD:
    case MANNERS:
        return 0;
    case ANSWERS_SECOND:
        return attempt == 1 ? simulated_reply(network, packet, LATENCY_NS) : 0;
    case ANSWERS_LAST:
        return last ? simulated_reply(network, packet, LATENCY_NS) : 0;
    case ANSWERS_TWICE:
        simulated_reply(network, packet, LATENCY_NS);
        return simulated_reply(network, packet, 2 * LATENCY_NS);
    case ANSWERS_SLOWLY:
        return simulated_reply(network, packet, wait_ns + wait_ns / 2);
    case ANSWERS_TOO_LATE:
        return attempt == 0 ? simulated_reply(network, packet, window_ns + 1) : 0;
    case ANSWERS_ON_EDGE:
        return attempt == 0 ? simulated_reply(network, packet, window_ns) : 0;
    case CORRUPTS:
    case CORRUPTS_CLEANLY:
    case SPOILS_PATTERN:
    case SHORTENS:
    case CUTS_TOKEN:
    case FORGES:
    case SPOOFS:
    case OTHER_IDENT:
    case ECHOES:
        spoil(network, packet, manner);
        return 0;
    case PROHIBITS:
        return simulated_error(network, packet, &router, 3, 10, 0, 64, LATENCY_NS);
    case PROHIBITS_SHORT:
        return simulated_error(network, packet, &router, 3, 10, 0, 8, LATENCY_NS);
    case PROHIBITS_FIRST:
        return attempt == 0 ? simulated_error(network, packet, &router, 3, 10, 0, 64, LATENCY_NS)
                            : simulated_reply(network, packet, LATENCY_NS);
    case FORGES_ERROR:
        forge_error(network, packet, &router);
        return 0;
    case TOO_BIG:
        return simulated_error(network, packet, &router, 3, 4, 1400, 64, LATENCY_NS);
    case NO_ROUTE:
        return ENETUNREACH;
    case NO_ROUTE_FIRST:
        return attempt == 0 ? ENETUNREACH : simulated_reply(network, packet, LATENCY_NS);
    case NO_ROOM_TWICE:
        return world->refusals++ < 2 ? ENOBUFS : simulated_reply(network, packet, LATENCY_NS);
    case NO_ROOM_EVER:
        return ENOBUFS;
    }
    return 0;
}

static int request(void *context, struct simulated *network, const struct packet_out *packet)
{
    struct world *world = context;
    uint32_t host = host_of(&packet->to);
    struct icmp_message message;
    int r;

    cr_assert(icmp_parse_quote(&message, AF_INET, packet->bytes, packet->size_bytes));
    r = answer(world, network, packet, world->manner_of(host), message.echo.attempt);
    if (host < ARRAY_SIZE(world->requests) && (r == 0 || r == ENETUNREACH) && world->requests[host] < 16)
        world->sent_ns[host][world->requests[host]++] = simulated_now_ns(network);
    if (++world->total == world->stall_after)
        simulated_advance(network, world->stall_ns);
    return r;
}

struct run {
    struct world world;
    struct transport *transport;
    struct simulated *network;
    struct probe_sweep *sweep;
    struct probe_result *results; /* by index */
    uint64_t *at_ns;
    uint64_t begin_ns, end_ns;
    struct probe_counters counters;
};

static void run_open(struct run *run, const struct probe_settings *settings,
                     enum manner (*manner_of)(uint32_t), uint32_t count)
{
    run->world.settings = settings;
    run->world.manner_of = manner_of;
    run->world.script.request = request;
    run->world.script.context = &run->world;
    cr_assert_eq(simulated_open(&run->transport, &run->world.script), 0);
    run->network = simulated_of(run->transport);
    cr_assert_eq(probe_sweep_new_over(&run->sweep, settings, run->transport), 0);
    for (uint32_t i = 0; i < count; i++) {
        struct address a = address_of(i);
        uint32_t index;

        cr_assert_eq(probe_sweep_add(run->sweep, &a, &index), 0);
        cr_assert_eq(index, i);
    }
    run->results = calloc(count, sizeof(*run->results));
    run->at_ns = calloc(count, sizeof(*run->at_ns));
    run->begin_ns = simulated_now_ns(run->network);
}

static void run_close(struct run *run)
{
    probe_sweep_free(run->sweep);
    free(run->results);
    free(run->at_ns);
}

static void run_sweep(struct run *run, const struct probe_settings *settings,
                      enum manner (*manner_of)(uint32_t), uint32_t count)
{
    struct probe_result result;
    uint32_t pulled = 0;

    run_open(run, settings, manner_of, count);
    while (!probe_sweep_done(run->sweep)) {
        cr_assert_eq(front_end_step(probe_sweep_front(run->sweep), NEVER_NS), 0);
        while (probe_sweep_next(run->sweep, &result)) {
            cr_assert_lt(result.index, count);
            cr_assert_eq(run->at_ns[result.index], 0, "one result for each target");
            run->results[result.index] = result;
            run->at_ns[result.index] = simulated_now_ns(run->network);
            pulled++;
        }
    }
    cr_assert_eq(pulled, count);
    run->end_ns = simulated_now_ns(run->network);
    run->counters = *front_end_counters(probe_sweep_front(run->sweep));
}

static struct probe_settings settings_of(uint64_t timeout_ms, uint32_t count)
{
    struct probe_settings settings = probe_settings_default();

    settings.select_timeout_ns = timeout_ms * NS_PER_MS;
    settings.select_count = count;
    return settings;
}

/* One host of each manner, 100 ms x 3. */
static const struct {
    enum manner manner;
    enum probe_outcome outcome;
    uint32_t requests;
    uint64_t after_ms; /* when the result is known */
    const char *why;
} manners[] = {
    {ALIVE, PROBE_REPLY, 1, 0, ""},
    {DEAD, PROBE_TIMEOUT, 3, 300, "no reply in 300 ms"},
    {ANSWERS_SECOND, PROBE_REPLY, 2, 100, ""},
    {ANSWERS_LAST, PROBE_REPLY, 3, 200, ""},
    {ANSWERS_TWICE, PROBE_REPLY, 1, 0, ""},
    {ANSWERS_SLOWLY, PROBE_REPLY, 2, 150, ""},
    {ANSWERS_TOO_LATE, PROBE_TIMEOUT, 3, 300, "no reply in 300 ms"},
    {ANSWERS_ON_EDGE, PROBE_REPLY, 3, 300, ""},
    {CORRUPTS, PROBE_TIMEOUT, 3, 300, "no valid reply in 300 ms; a corrupt reply came from 10.0.0.0"},
    {CORRUPTS_CLEANLY, PROBE_TIMEOUT, 3, 300, "no valid reply in 300 ms; a corrupt reply came from 10.0.0.0"},
    {SPOILS_PATTERN, PROBE_TIMEOUT, 3, 300, "no valid reply in 300 ms; a corrupt reply came from 10.0.0.0"},
    {SHORTENS, PROBE_REPLY, 1, 0, "reply truncated to 48 bytes"},
    {CUTS_TOKEN, PROBE_TIMEOUT, 3, 300,
     "no valid reply in 300 ms; a reply truncated to 16 bytes came from 10.0.0.0, too short to prove itself"},
    {FORGES, PROBE_TIMEOUT, 3, 300, "no valid reply in 300 ms; a corrupt reply came from 10.0.0.0"},
    {SPOOFS, PROBE_TIMEOUT, 3, 300, "no valid reply in 300 ms; a reply came from 10.255.255.255"},
    {OTHER_IDENT, PROBE_TIMEOUT, 3, 300, "no reply in 300 ms"},
    {ECHOES, PROBE_TIMEOUT, 3, 300, "no reply in 300 ms"},
    {PROHIBITS, PROBE_UNREACHABLE, 3, 200, "host prohibited, says 10.255.255.254"},
    {PROHIBITS_SHORT, PROBE_UNREACHABLE, 3, 300, "host prohibited, says 10.255.255.254"},
    {PROHIBITS_FIRST, PROBE_REPLY, 2, 100, ""},
    {FORGES_ERROR, PROBE_TIMEOUT, 3, 300, "no reply in 300 ms"},
    {TOO_BIG, PROBE_FRAG_NEEDED, 3, 200, "packet too big for an MTU of 1400, says 10.255.255.254"},
    {NO_ROUTE, PROBE_SEND_FAILED, 3, 200, "cannot send: Network is unreachable"},
    {NO_ROUTE_FIRST, PROBE_REPLY, 2, 100, ""},
    {NO_ROOM_TWICE, PROBE_REPLY, 1, 4, ""},
};

static enum manner the_manner;

static enum manner all_the_same(uint32_t host)
{
    return the_manner;
}

Test(sweep, each_manner_of_answering)
{
    struct probe_settings settings = settings_of(100, 3);

    for (size_t i = 0; i < ARRAY_SIZE(manners); i++) {
        struct run run = {0};
        char why[160];
        uint64_t after_ns;

        the_manner = manners[i].manner;
        run_sweep(&run, &settings, all_the_same, 1);
        probe_reason_text(run.results[0].outcome, &run.results[0].error, 300 * NS_PER_MS, why, sizeof(why));
        after_ns = run.at_ns[0] - run.begin_ns;
        cr_expect_eq(run.results[0].outcome, manners[i].outcome, "row %zu: %s", i,
                     probe_outcome_text(run.results[0].outcome));
        cr_expect_eq(run.results[0].requests, manners[i].requests, "row %zu: %u", i, run.results[0].requests);
        cr_expect_str_eq(why, manners[i].why, "row %zu", i);
        cr_expect(after_ns >= manners[i].after_ms * NS_PER_MS &&
                      after_ns <= (manners[i].after_ms + 1) * NS_PER_MS,
                  "row %zu: %" PRIu64 " ns", i, after_ns);
        run_close(&run);
    }
}

/* What each manner adds to the counters; 100 ms x 1, except for lateness. */
static const struct {
    enum manner manner;
    struct probe_counters want;
} counts[] = {
    {ALIVE, {.sent = 1, .replies = 1}},
    {DEAD, {.sent = 1}},
    {CORRUPTS, {.sent = 1, .corrupt = 1}},
    {CORRUPTS_CLEANLY, {.sent = 1, .corrupt = 1}},
    {SPOILS_PATTERN, {.sent = 1, .corrupt = 1}},
    {SHORTENS, {.sent = 1, .replies = 1, .truncated = 1}},
    {CUTS_TOKEN, {.sent = 1, .corrupt = 1}},
    {FORGES, {.sent = 1, .corrupt = 1}},
    {SPOOFS, {.sent = 1, .foreign = 1}},
    {OTHER_IDENT, {.sent = 1, .foreign = 1}},
    {ECHOES, {.sent = 1, .foreign = 1}},
    {PROHIBITS, {.sent = 1, .icmp_errors = 1}},
    {PROHIBITS_SHORT, {.sent = 1, .icmp_errors = 1}},
    {FORGES_ERROR, {.sent = 1, .corrupt = 1}},
    {NO_ROUTE, {.send_failures = 1}},
    {NO_ROOM_TWICE, {.sent = 1, .replies = 1, .send_retries = 2}},
};

Test(sweep, everything_is_counted_by_kind)
{
    struct probe_settings settings = settings_of(100, 1);

    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        struct run run = {0};

        the_manner = counts[i].manner;
        run_sweep(&run, &settings, all_the_same, 1);
        cr_expect_eq(memcmp(&run.counters, &counts[i].want, sizeof(run.counters)), 0, "row %zu", i);
        run_close(&run);
    }
}

static enum manner first_is_dead(uint32_t host)
{
    return host == 0 ? DEAD : the_manner;
}

/* A dead target keeps the sweep going for long enough to see what comes after another one's verdict. */
static struct probe_counters counters_beside_a_dead_one(enum manner manner)
{
    struct probe_settings settings = settings_of(100, 3);
    struct run run = {0};

    the_manner = manner;
    run_sweep(&run, &settings, first_is_dead, 2);
    cr_assert_eq(run.results[1].outcome, PROBE_REPLY);
    run_close(&run);
    return run.counters;
}

Test(sweep, duplicates_and_late_ones_are_told_apart)
{
    struct probe_counters counters = counters_beside_a_dead_one(ANSWERS_TWICE);

    cr_assert_eq(counters.replies, 1);
    cr_assert_eq(counters.duplicates, 1);
    cr_assert_eq(counters.late, 0);
    counters = counters_beside_a_dead_one(ANSWERS_SLOWLY);
    cr_assert_eq(counters.replies, 1, "the reply to the first request");
    cr_assert_eq(counters.late, 1, "the one to the second came 150 ms after it");
    cr_assert_eq(counters.duplicates, 0);
}

Test(sweep, requests_leave_on_the_beat)
{
    struct probe_settings settings = settings_of(100, 10);
    struct run run = {0};

    the_manner = DEAD;
    run_sweep(&run, &settings, all_the_same, 1);
    cr_assert_eq(run.world.requests[0], 10);
    for (uint32_t k = 0; k < 10; k++)
        cr_assert_eq(run.world.sent_ns[0][k] - run.begin_ns, k * 100 * NS_PER_MS, "request %u", k);
    cr_assert_eq(run.end_ns - run.begin_ns, NS_PER_S);
    run_close(&run);
}

static const struct {
    const char *name;
    uint64_t ping_timeout_ms;
    bool single;
    uint32_t requests;
    uint64_t end_ms;
} windows[] = {
    {"100 ms x 5", 0, false, 5, 500},
    {"one request, the whole window", 0, true, 1, 500},
    {"ping-timeout in the middle of a wait", 250, false, 3, 250},
    {"ping-timeout at the end of a wait", 300, false, 3, 300},
    {"ping-timeout shorter than a wait", 50, false, 1, 50},
    {"ping-timeout longer than the window", 900, false, 5, 500},
    {"one request and a ping-timeout", 250, true, 1, 250},
};

Test(sweep, windows)
{
    for (size_t i = 0; i < ARRAY_SIZE(windows); i++) {
        struct probe_settings settings = settings_of(100, 5);
        struct run run = {0};

        settings.ping_timeout_ns = windows[i].ping_timeout_ms * NS_PER_MS;
        settings.single_request = windows[i].single;
        the_manner = DEAD;
        run_sweep(&run, &settings, all_the_same, 3);
        cr_expect_eq(run.results[2].requests, windows[i].requests, "%s: %u", windows[i].name,
                     run.results[2].requests);
        cr_expect_eq(run.end_ns - run.begin_ns, windows[i].end_ms * NS_PER_MS, "%s: %" PRIu64,
                     windows[i].name, run.end_ns - run.begin_ns);
        run_close(&run);
    }
}

static enum manner every_kind(uint32_t host)
{
    return host % 3 == 0 ? ALIVE : host % 3 == 1 ? DEAD : ANSWERS_SECOND;
}

/* Past the 65,536 sequence numbers, several requests each, all told apart. */
Test(sweep, a_hundred_thousand_targets)
{
    struct probe_settings settings = settings_of(1000, 3);
    struct run run = {0};
    uint32_t count = 100000;

    run_sweep(&run, &settings, every_kind, count);
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(run.results[i].outcome, every_kind(i) == DEAD ? PROBE_TIMEOUT : PROBE_REPLY, "%u", i);
    cr_assert_eq(run.counters.corrupt + run.counters.foreign + run.counters.duplicates, 0);
    cr_assert_eq(run.counters.replies, 33334 + 33333);
    run_close(&run);
}

static enum manner short_errors_for_odd_ones(uint32_t host)
{
    return host % 2 ? PROHIBITS_SHORT : ALIVE;
}

/* Only ident, sequence and destination are quoted, and the sequence has wrapped. */
Test(sweep, short_quotes_find_their_target_among_many)
{
    struct probe_settings settings = settings_of(100, 1);
    struct run run = {0};
    uint32_t count = 70000;

    run_sweep(&run, &settings, short_errors_for_odd_ones, count);
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(run.results[i].outcome, i % 2 ? PROBE_UNREACHABLE : PROBE_REPLY, "%u", i);
    run_close(&run);
}

/* The process stops for 3 s in the middle of a sweep at 1 s x 1: the replies are in the buffer. */
Test(sweep, a_stall_makes_nobody_dead)
{
    for (int stamps = 0; stamps < 2; stamps++) {
        struct probe_settings settings = settings_of(1000, 1);
        struct run run = {.world.stall_after = 250, .world.stall_ns = 3 * NS_PER_S};

        run.world.script.no_stamps = !stamps;
        the_manner = ALIVE;
        run_sweep(&run, &settings, all_the_same, 506);
        for (uint32_t i = 0; i < 506; i++) {
            cr_assert_eq(run.results[i].outcome, PROBE_REPLY, "%u", i);
            if (stamps)
                cr_assert_leq(run.results[i].rtt_ns, LATENCY_NS + 3 * NS_PER_S);
        }
        cr_assert_eq(run.counters.replies, 506);
        run_close(&run);
    }
}

/* And a dead one is still asked as often as it should be, each time with most of its wait. */
Test(sweep, a_stall_does_not_eat_the_requests_that_are_left)
{
    struct probe_settings settings = settings_of(100, 3);
    struct run run = {.world.stall_after = 1, .world.stall_ns = 5 * NS_PER_S};

    the_manner = ANSWERS_LAST;
    run_sweep(&run, &settings, all_the_same, 1);
    cr_assert_eq(run.results[0].outcome, PROBE_REPLY);
    cr_assert_eq(run.world.requests[0], 3);
    cr_assert_geq(run.world.sent_ns[0][2] - run.world.sent_ns[0][1], 75 * NS_PER_MS);
    run_close(&run);
}

static enum manner live_with_dead(uint32_t host)
{
    return host % 8 == 7 ? DEAD : ALIVE;
}

/* Room for 64 replies, 5,000 targets, stalls: the buffer never overflows, so nobody is lost. */
Test(sweep, our_own_buffer_is_never_overrun)
{
    struct probe_settings settings = settings_of(1000, 1);
    struct run run = {.world.stall_after = 3000, .world.stall_ns = NS_PER_S / 2};

    run.world.script.receive_limit = 64;
    run_sweep(&run, &settings, live_with_dead, 5000);
    for (uint32_t i = 0; i < 5000; i++)
        cr_assert_eq(run.results[i].outcome, live_with_dead(i) == DEAD ? PROBE_TIMEOUT : PROBE_REPLY, "%u",
                     i);
    cr_assert_eq(run.counters.receive_drops, 0);
    cr_assert_lt(run.end_ns - run.begin_ns, 4 * NS_PER_S, "625 dead ones with room for 64 at a time");
    run_close(&run);
}

/* "No room" for ever is told at last, with its errno, and the sweep ends. */
Test(sweep, no_room_for_ever_ends)
{
    struct probe_settings settings = settings_of(100, 1);
    struct run run = {0};

    the_manner = NO_ROOM_EVER;
    run_sweep(&run, &settings, all_the_same, 20);
    for (uint32_t i = 0; i < 20; i++) {
        cr_assert_eq(run.results[i].outcome, PROBE_SEND_FAILED);
        cr_assert_eq(run.results[i].error.error, ENOBUFS);
    }
    cr_assert_eq(run.counters.sent, 0);
    cr_assert_lt(run.end_ns - run.begin_ns, 60 * NS_PER_S);
    run_close(&run);
}

/* Live ones have their results while a dead one is waited for, and targets may come later. */
Test(sweep, results_come_as_they_are_known)
{
    struct probe_settings settings = settings_of(1000, 1);
    struct run run = {0};
    struct probe_result result;
    struct address more = address_of(7);
    uint32_t index;

    the_manner = ALIVE;
    run_open(&run, &settings, first_is_dead, 3);
    for (uint32_t want = 1; want < 3; want++) {
        while (!probe_sweep_next(run.sweep, &result))
            cr_assert_eq(front_end_step(probe_sweep_front(run.sweep), NEVER_NS), 0);
        cr_assert_eq(result.index, want);
    }
    cr_assert_lt(simulated_now_ns(run.network) - run.begin_ns, NS_PER_MS);
    cr_assert_eq(probe_sweep_add(run.sweep, &more, &index), 0);
    while (!probe_sweep_next(run.sweep, &result))
        cr_assert_eq(front_end_step(probe_sweep_front(run.sweep), NEVER_NS), 0);
    cr_assert_eq(result.index, index);
    cr_assert_not(probe_sweep_done(run.sweep));
    while (!probe_sweep_next(run.sweep, &result))
        cr_assert_eq(front_end_step(probe_sweep_front(run.sweep), NEVER_NS), 0);
    cr_assert_eq(result.index, 0);
    cr_assert_eq(result.outcome, PROBE_TIMEOUT);
    cr_assert(probe_sweep_done(run.sweep));
    run_close(&run);
}

Test(sweep, a_step_ends_when_it_was_told_to)
{
    struct probe_settings settings = settings_of(1000, 1);
    struct run run = {0};

    the_manner = DEAD;
    run_open(&run, &settings, all_the_same, 1);
    cr_assert_eq(front_end_step(probe_sweep_front(run.sweep), NEVER_NS), 0);
    cr_assert_eq(front_end_step(probe_sweep_front(run.sweep), run.begin_ns + 10 * NS_PER_MS), 0);
    cr_assert_eq(simulated_now_ns(run.network), run.begin_ns + 10 * NS_PER_MS);
    run_close(&run);
}

Test(sweep, nothing_to_do_is_done)
{
    struct probe_settings settings = settings_of(1000, 1);
    struct run run = {0};

    run_open(&run, &settings, all_the_same, 0);
    cr_assert(probe_sweep_done(run.sweep));
    cr_assert_eq(front_end_step(probe_sweep_front(run.sweep), NEVER_NS), 0);
    run_close(&run);
}
