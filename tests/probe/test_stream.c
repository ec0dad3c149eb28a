/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves, in a simulated network with a virtual clock: each request of a stream is judged exactly
 * once and in order of time, late replies and duplicates are told, forged ones are not; interval, interface
 * and extra requests do what they say; a stall of this process is no evidence against a path, and is forgiven
 * within bounds; when nothing can be received that is tried again after a pause.
 */
#include <criterion/criterion.h>
#include <netinet/ip_icmp.h>

#include "probe/icmp.h"
#include "probe/simulated.h"
#include "probe/stream.h"

#define TIMEOUT_NS (100 * NS_PER_MS)
#define LATENCY_NS (NS_PER_MS)
#define COUNT_MAX  4096

struct world {
    struct simulated_script script;
    int (*answer)(struct world *world, struct simulated *network, const struct packet_out *packet);
    struct transport *transport;
    struct simulated *network;
    struct probe_stream *stream;
    uint64_t begin_ns;
    uint32_t attempt; /* of the request that is being answered */
    uint32_t requests;
    uint64_t sent_ns[COUNT_MAX];
    struct probe_observation seen[COUNT_MAX];
    size_t seen_count;
    bool dead;
};

static int request(void *context, struct simulated *network, const struct packet_out *packet)
{
    struct world *world = context;
    struct icmp_message message;
    int r;

    cr_assert(icmp_parse_quote(&message, packet->to.family, packet->bytes, packet->size_bytes));
    world->attempt = message.echo.attempt;
    r = world->answer(world, network, packet);
    if (r == 0 && world->requests < COUNT_MAX)
        world->sent_ns[world->requests++] = simulated_now_ns(network);
    return r;
}

static const struct transport_operations *usual;
/* While nothing can be received at all: the errno for it. */
static int deaf;

static int receive(struct transport *transport, int family, struct packet_in *packets, unsigned count)
{
    return deaf ? -deaf : usual->receive(transport, family, packets, count);
}

/* There is no memory for larger messages than these. */
static uint32_t largest_bytes = UINT32_MAX;

static int reserve(struct transport *transport, uint32_t payload_bytes, uint32_t replies)
{
    return payload_bytes > largest_bytes ? -ENOMEM : usual->reserve(transport, payload_bytes, replies);
}

static void intercept(struct transport *transport)
{
    static struct transport_operations operations;

    usual = transport->operations;
    operations = *usual;
    operations.receive = receive;
    operations.reserve = reserve;
    transport->operations = &operations;
}

static void open_world(struct world *world,
                       int (*answer)(struct world *, struct simulated *, const struct packet_out *))
{
    struct probe_settings settings = probe_settings_default();

    settings.select_timeout_ns = TIMEOUT_NS;
    settings.select_count = 10;
    world->answer = answer;
    world->script.request = request;
    world->script.context = world;
    cr_assert_eq(simulated_open(&world->transport, &world->script), 0);
    intercept(world->transport);
    world->network = simulated_of(world->transport);
    cr_assert_eq(probe_stream_new_over(&world->stream, &settings, world->transport), 0);
    world->begin_ns = probe_stream_now_ns(world->stream);
}

static uint32_t add(struct world *world, const char *text, uint64_t interval_ns, uint32_t ifindex)
{
    struct probe_stream_target target = {.interval_ns = interval_ns, .ifindex = ifindex};
    uint32_t id;

    cr_assert_eq(address_parse(&target.address, text), 0);
    cr_assert_eq(probe_stream_add(world->stream, &target, &id), 0);
    return id;
}

static void dispatch(struct world *world)
{
    size_t first = world->seen_count;

    cr_assert_eq(probe_stream_dispatch(world->stream), 0);
    while (world->seen_count < COUNT_MAX && probe_stream_next(world->stream, &world->seen[world->seen_count]))
        world->seen_count++;
    for (size_t i = first + 1; i < world->seen_count; i++)
        cr_assert_leq(world->seen[i - 1].at_ns, world->seen[i].at_ns, "in order of time");
}

/* Runs an event loop for so long. */
static void run_for(struct world *world, uint64_t duration_ns)
{
    const struct transport_operations *operations = world->transport->operations;
    uint64_t end_ns = simulated_now_ns(world->network) + duration_ns;

    while (simulated_now_ns(world->network) < end_ns) {
        uint64_t until_ns = min_u64(end_ns, probe_stream_deadline_ns(world->stream));

        if (until_ns > simulated_now_ns(world->network))
            cr_assert_eq(operations->wait(world->transport, until_ns, -1), 0);
        dispatch(world);
    }
}

static size_t count_of(const struct world *world, enum probe_outcome outcome)
{
    size_t count = 0;

    for (size_t i = 0; i < world->seen_count; i++)
        count += world->seen[i].outcome == outcome;
    return count;
}

/* Every request has exactly one fate, except the one that is still waiting. */
static void check_fates(const struct world *world)
{
    size_t fates = 0;

    for (size_t i = 0; i < world->seen_count; i++)
        fates += world->seen[i].outcome != PROBE_LATE && world->seen[i].outcome != PROBE_DUPLICATE;
    cr_assert(fates == world->requests || fates + 1 == world->requests, "%zu fates of %u requests", fates,
              world->requests);
}

static int alive(struct world *world, struct simulated *network, const struct packet_out *packet)
{
    return world->dead ? 0 : simulated_reply(network, packet, LATENCY_NS);
}

Test(stream, a_live_path_answers_on_the_beat)
{
    static struct world world;
    uint32_t id;

    open_world(&world, alive);
    id = add(&world, "10.0.0.1", TIMEOUT_NS, 0);
    run_for(&world, 10 * NS_PER_S + TIMEOUT_NS / 2);
    cr_assert_eq(world.requests, 101);
    cr_assert_eq(count_of(&world, PROBE_REPLY), 101);
    cr_assert_eq(world.seen_count, 101);
    for (size_t i = 0; i < world.seen_count; i++) {
        cr_assert_eq(world.seen[i].id, id);
        cr_assert_eq(world.seen[i].sent_ns, world.begin_ns + i * TIMEOUT_NS);
        cr_assert_eq(world.seen[i].rtt_ns, LATENCY_NS);
        cr_assert_eq(world.seen[i].at_ns, world.seen[i].sent_ns + LATENCY_NS);
        cr_assert_eq(world.seen[i].payload_bytes, 56);
        cr_assert_not(world.seen[i].extra);
    }
    probe_stream_free(world.stream);
}

Test(stream, a_dead_path_times_out_each_time)
{
    static struct world world = {.dead = true};

    open_world(&world, alive);
    add(&world, "fd00::1", TIMEOUT_NS, 0);
    run_for(&world, 2 * NS_PER_S + TIMEOUT_NS / 2);
    cr_assert_eq(count_of(&world, PROBE_TIMEOUT), 20);
    for (size_t i = 0; i < 20; i++)
        cr_assert_eq(world.seen[i].at_ns, world.seen[i].sent_ns + TIMEOUT_NS);
    check_fates(&world);
    probe_stream_free(world.stream);
}

static int late_and_twice(struct world *world, struct simulated *network, const struct packet_out *packet)
{
    if (world->attempt % 2 == 0)
        return simulated_reply(network, packet, TIMEOUT_NS + TIMEOUT_NS / 2);
    simulated_reply(network, packet, LATENCY_NS);
    return simulated_reply(network, packet, 2 * LATENCY_NS);
}

Test(stream, late_replies_follow_their_timeout_and_duplicates_their_reply)
{
    static struct world world;
    enum probe_outcome last[COUNT_MAX] = {0};

    open_world(&world, late_and_twice);
    add(&world, "10.0.0.1", TIMEOUT_NS, 0);
    run_for(&world, NS_PER_S + TIMEOUT_NS / 5);
    for (size_t i = 0; i < world.seen_count; i++) {
        size_t k = (world.seen[i].sent_ns - world.begin_ns) / TIMEOUT_NS;

        if (world.seen[i].outcome == PROBE_LATE)
            cr_assert_eq(last[k], PROBE_TIMEOUT);
        if (world.seen[i].outcome == PROBE_DUPLICATE)
            cr_assert_eq(last[k], PROBE_REPLY);
        last[k] = world.seen[i].outcome;
    }
    cr_assert_eq(count_of(&world, PROBE_TIMEOUT), 5);
    cr_assert_eq(count_of(&world, PROBE_LATE), 5);
    cr_assert_eq(count_of(&world, PROBE_REPLY), 5);
    cr_assert_eq(count_of(&world, PROBE_DUPLICATE), 5);
    check_fates(&world);
    probe_stream_free(world.stream);
}

/* A timeout that fell before a reply is told before it, though both are seen in one dispatch. */
Test(stream, what_came_first_is_told_first)
{
    static struct world world;

    open_world(&world, late_and_twice);
    add(&world, "10.0.0.1", TIMEOUT_NS, 0);
    dispatch(&world); /* request 0, whose reply is late */
    simulated_advance(world.network, TIMEOUT_NS);
    dispatch(&world); /* request 1, answered at once; the timeout of 0 is just not over */
    simulated_advance(world.network, TIMEOUT_NS / 5);
    dispatch(&world);
    cr_assert_eq(world.seen_count, 3);
    cr_assert_eq(world.seen[0].outcome, PROBE_TIMEOUT);
    cr_assert_eq(world.seen[1].outcome, PROBE_REPLY);
    cr_assert_eq(world.seen[2].outcome, PROBE_DUPLICATE);
    probe_stream_free(world.stream);
}

static int barely_late(struct world *world, struct simulated *network, const struct packet_out *packet)
{
    return simulated_reply(network, packet, TIMEOUT_NS + TIMEOUT_NS / 10);
}

/* Nobody looked between the deadline and the late reply: it is late all the same. */
Test(stream, a_late_reply_is_late_however_late_it_is_seen)
{
    static struct world world;

    open_world(&world, barely_late);
    add(&world, "10.0.0.1", 10 * TIMEOUT_NS, 0);
    dispatch(&world);
    simulated_advance(world.network, TIMEOUT_NS + TIMEOUT_NS / 5);
    dispatch(&world);
    cr_assert_eq(world.seen_count, 2);
    cr_assert_eq(world.seen[0].outcome, PROBE_TIMEOUT);
    cr_assert_eq(world.seen[0].at_ns, world.seen[0].sent_ns + TIMEOUT_NS);
    cr_assert_eq(world.seen[1].outcome, PROBE_LATE);
    probe_stream_free(world.stream);
}

static int forged(struct world *world, struct simulated *network, const struct packet_out *packet)
{
    uint8_t reply[256];
    uint16_t checksum;

    simulated_make_reply(packet, reply);
    memset(reply + 24, 0xa5, 8);
    reply[2] = reply[3] = 0;
    checksum = icmp_checksum(reply, packet->size_bytes);
    memcpy(reply + 2, &checksum, 2);
    return simulated_deliver(network, &packet->to, 0, reply, packet->size_bytes, LATENCY_NS);
}

Test(stream, a_forged_reply_is_no_life)
{
    static struct world world;

    open_world(&world, forged);
    add(&world, "10.0.0.1", TIMEOUT_NS, 0);
    run_for(&world, NS_PER_S);
    cr_assert_eq(count_of(&world, PROBE_TIMEOUT), world.seen_count);
    cr_assert_eq(probe_stream_counters(world.stream)->corrupt, 10);
    probe_stream_free(world.stream);
}

static int other_interface(struct world *world, struct simulated *network, const struct packet_out *packet)
{
    uint8_t reply[256];

    simulated_make_reply(packet, reply);
    return simulated_deliver(network, &packet->to, packet->ifindex + 1, reply, packet->size_bytes,
                             LATENCY_NS);
}

Test(stream, a_reply_through_another_interface_proves_nothing)
{
    static struct world world;

    open_world(&world, other_interface);
    add(&world, "10.0.0.1", TIMEOUT_NS, 7);
    run_for(&world, NS_PER_S);
    cr_assert_eq(count_of(&world, PROBE_TIMEOUT), world.seen_count);
    cr_assert_eq(probe_stream_counters(world.stream)->foreign, 10);
    probe_stream_free(world.stream);
}

static int by_attempt(struct world *world, struct simulated *network, const struct packet_out *packet)
{
    struct address router = {.family = AF_INET, .bytes = {10, 9, 9, 9}};

    switch (world->attempt) {
    case 0:
        return simulated_error(network, packet, &router, 3, 1, 0, 64, LATENCY_NS);
    case 1:
        return simulated_error(network, packet, &router, 3, 1, 0, 8, LATENCY_NS);
    case 2: /* an error that anybody could send, and the reply */
        simulated_error(network, packet, &router, 3, 1, 0, 8, LATENCY_NS);
        return simulated_reply(network, packet, 2 * LATENCY_NS);
    case 3:
        return simulated_error(network, packet, &router, 3, 4, 1400, 64, LATENCY_NS);
    case 4:
        return ENETUNREACH;
    case 5: /* a router errs, the host answers all the same */
        simulated_error(network, packet, &router, 3, 1, 0, 64, LATENCY_NS);
        return simulated_reply(network, packet, 2 * LATENCY_NS);
    default:
        return simulated_reply(network, packet, LATENCY_NS);
    }
}

static const struct {
    enum probe_outcome outcome;
    uint64_t after_ns;
    uint8_t icmp_type;
    int error;
    uint32_t mtu;
} fates[] = {
    {PROBE_UNREACHABLE, LATENCY_NS, 3, 0, 0},  {PROBE_UNREACHABLE, TIMEOUT_NS, 3, 0, 0},
    {PROBE_REPLY, 2 * LATENCY_NS, 0, 0, 0},    {PROBE_FRAG_NEEDED, LATENCY_NS, 3, 0, 1400},
    {PROBE_SEND_FAILED, 0, 0, ENETUNREACH, 0}, {PROBE_UNREACHABLE, LATENCY_NS, 3, 0, 0},
    {PROBE_LATE, 2 * LATENCY_NS, 0, 0, 0},     {PROBE_REPLY, LATENCY_NS, 0, 0, 0},
};

Test(stream, every_fate_once)
{
    static struct world world;

    open_world(&world, by_attempt);
    add(&world, "10.0.0.1", 2 * TIMEOUT_NS, 0);
    run_for(&world, 13 * TIMEOUT_NS);
    cr_assert_eq(world.seen_count, ARRAY_SIZE(fates));
    for (size_t i = 0; i < ARRAY_SIZE(fates); i++) {
        cr_assert_eq(world.seen[i].outcome, fates[i].outcome, "row %zu: %s", i,
                     probe_outcome_text(world.seen[i].outcome));
        cr_assert_eq(world.seen[i].at_ns - world.seen[i].sent_ns, fates[i].after_ns, "row %zu", i);
        cr_assert_eq(world.seen[i].error.icmp_type, fates[i].icmp_type, "row %zu", i);
        cr_assert_eq(world.seen[i].error.error, fates[i].error, "row %zu", i);
        cr_assert_eq(world.seen[i].error.mtu_bytes, fates[i].mtu, "row %zu", i);
    }
    probe_stream_free(world.stream);
}

static int no_room_for_a_while(struct world *world, struct simulated *network,
                               const struct packet_out *packet)
{
    uint64_t now_ns = simulated_now_ns(network) - world->begin_ns;

    if (now_ns > NS_PER_S && now_ns < 2 * NS_PER_S)
        return ENOBUFS;
    return alive(world, network, packet);
}

Test(stream, no_room_is_no_evidence)
{
    static struct world world;

    open_world(&world, no_room_for_a_while);
    add(&world, "10.0.0.1", TIMEOUT_NS, 0);
    run_for(&world, 3 * NS_PER_S + TIMEOUT_NS / 2);
    cr_assert_eq(count_of(&world, PROBE_REPLY), world.seen_count);
    cr_assert_geq(world.seen_count, 20);
    cr_assert_geq(probe_stream_counters(world.stream)->send_retries, 100);
    check_fates(&world);
    probe_stream_free(world.stream);
}

/* SIGSTOP for 3 s on a live path: the replies are in the buffer, nothing is held against it. */
Test(stream, a_stall_on_a_live_path_is_no_loss)
{
    for (int stamps = 0; stamps < 2; stamps++) {
        static struct world world;

        memset(&world, 0, sizeof(world));
        world.script.no_stamps = !stamps;
        open_world(&world, alive);
        add(&world, "10.0.0.1", TIMEOUT_NS, 0);
        run_for(&world, NS_PER_S);
        /* Stopped right after a request has left. */
        while (world.requests < 12)
            run_for(&world, NS_PER_MS);
        simulated_advance(world.network, 3 * NS_PER_S);
        run_for(&world, NS_PER_S);
        cr_assert_eq(count_of(&world, PROBE_REPLY), world.seen_count, "stamps %d", stamps);
        check_fates(&world);
        probe_stream_free(world.stream);
    }
}

static int lost_once(struct world *world, struct simulated *network, const struct packet_out *packet)
{
    return world->attempt == 10 ? 0 : alive(world, network, packet);
}

static uint64_t timeout_after_stall_ns(uint64_t stall_ns, uint64_t *stalls)
{
    static struct world world;
    uint64_t took_ns = 0;

    memset(&world, 0, sizeof(world));
    open_world(&world, lost_once);
    add(&world, "10.0.0.1", TIMEOUT_NS, 0);
    run_for(&world, NS_PER_S + TIMEOUT_NS / 2);
    cr_assert_eq(world.requests, 11);
    simulated_advance(world.network, TIMEOUT_NS / 2 + 1 + stall_ns);
    run_for(&world, 10 * NS_PER_S);
    for (size_t i = 0; i < world.seen_count; i++)
        if (world.seen[i].outcome == PROBE_TIMEOUT)
            took_ns = world.seen[i].at_ns - world.seen[i].sent_ns;
    cr_assert_eq(count_of(&world, PROBE_TIMEOUT), 1);
    check_fates(&world);
    *stalls = probe_stream_counters(world.stream)->stalls;
    probe_stream_free(world.stream);
    return took_ns;
}

/* A dispatch that is due at the end of a wait and comes later by so much. */
static const struct {
    uint64_t stall_ns;
    uint64_t moved_ns;
} stalls[] = {
    {0, 0},
    {TIMEOUT_NS / 4 - 1, 0}, /* no stall, just a busy machine */
    {TIMEOUT_NS / 2, TIMEOUT_NS / 2},
    {NS_PER_S, NS_PER_S},
    {3 * NS_PER_S, 2 * NS_PER_S}, /* two windows of 1 s */
};

Test(stream, deadlines_move_by_the_stall_and_by_two_windows_at_most)
{
    for (size_t i = 0; i < ARRAY_SIZE(stalls); i++) {
        uint64_t counted, took_ns = timeout_after_stall_ns(stalls[i].stall_ns, &counted);

        /* The next request was due when the first one's time was over: a nanosecond's difference. */
        cr_assert(took_ns - TIMEOUT_NS - stalls[i].moved_ns <= 1, "row %zu: %" PRIu64, i, took_ns);
        cr_assert_eq(counted, stalls[i].moved_ns > 0, "row %zu: %" PRIu64 " stalls", i, counted);
    }
}

/* On a machine that always stalls a dead path is found out all the same. */
Test(stream, stalls_without_end_do_not_hide_a_dead_path)
{
    static struct world world = {.dead = true};

    open_world(&world, alive);
    add(&world, "10.0.0.1", TIMEOUT_NS, 0);
    for (int i = 0; i < 40; i++) {
        dispatch(&world);
        simulated_advance(world.network, 3 * TIMEOUT_NS);
    }
    cr_assert_geq(count_of(&world, PROBE_TIMEOUT), 30);
    cr_assert_leq(world.seen[0].at_ns - world.seen[0].sent_ns, TIMEOUT_NS + 2 * NS_PER_S);
    check_fates(&world);
    probe_stream_free(world.stream);
}

Test(stream, the_interval_can_change)
{
    static struct world world;
    uint32_t id;

    open_world(&world, alive);
    id = add(&world, "10.0.0.1", NS_PER_S, 0);
    run_for(&world, NS_PER_S + 500 * NS_PER_MS);
    cr_assert_eq(world.requests, 2);
    probe_stream_set_interval(world.stream, id, TIMEOUT_NS); /* the last one was 500 ms ago: now */
    run_for(&world, NS_PER_MS);
    cr_assert_eq(world.requests, 3);
    run_for(&world, NS_PER_S);
    cr_assert_eq(world.requests, 13);
    probe_stream_set_interval(world.stream, id, NS_PER_S);
    run_for(&world, NS_PER_S);
    cr_assert_eq(world.requests, 14);
    check_fates(&world);
    probe_stream_free(world.stream);
}

/* What is not urgent is sent along with something else; what is urgent never too early. Both keep their beat.
 */
Test(stream, what_is_not_urgent_goes_with_others)
{
    static struct world world;
    uint32_t first, second, urgent;
    size_t together = 0, of_first = 0, of_urgent = 0;
    uint64_t last_ns = 0;

    open_world(&world, alive);
    first = add(&world, "10.0.0.1", NS_PER_S, 0);
    run_for(&world, 30 * NS_PER_MS);
    second = add(&world, "10.0.0.2", NS_PER_S, 0);
    run_for(&world, 60 * NS_PER_MS);
    urgent = add(&world, "10.0.0.3", TIMEOUT_NS, 0);
    run_for(&world, 10 * NS_PER_S);
    for (size_t i = 0; i < world.seen_count; i++) {
        if (world.seen[i].id == first && ++of_first)
            last_ns = world.seen[i].sent_ns;
        together += world.seen[i].id == second && world.seen[i].sent_ns == last_ns;
        of_urgent += world.seen[i].id == urgent;
    }
    cr_expect_eq(of_first, 11);
    cr_expect_eq(together, 10, "%zu", together);
    cr_expect_eq(of_urgent, 100, "%zu", of_urgent);
}

Test(stream, another_interface_starts_anew)
{
    static struct world world = {.dead = true};
    uint32_t id;

    open_world(&world, alive);
    id = add(&world, "10.0.0.1", TIMEOUT_NS, 3);
    run_for(&world, TIMEOUT_NS / 2);
    probe_stream_set_ifindex(world.stream, id, 4);
    world.dead = false;
    run_for(&world, TIMEOUT_NS);
    cr_assert_eq(world.requests, 3);
    cr_assert_eq(world.sent_ns[1], world.begin_ns + TIMEOUT_NS / 2, "at once");
    cr_assert_eq(count_of(&world, PROBE_TIMEOUT), 0, "the one through the old interface is forgotten");
    cr_assert_eq(count_of(&world, PROBE_REPLY), 1 + (world.seen_count > 1));
    probe_stream_free(world.stream);
}

static int small_only(struct world *world, struct simulated *network, const struct packet_out *packet)
{
    if (packet->size_bytes > 1480) {
        cr_assert(packet->dont_fragment);
        return EMSGSIZE;
    }
    return alive(world, network, packet);
}

Test(stream, extra_requests_have_their_own_size)
{
    static struct world world;
    uint32_t id;
    size_t extras = 0;

    open_world(&world, small_only);
    id = add(&world, "10.0.0.1", NS_PER_S, 0);
    cr_assert_eq(probe_stream_request(world.stream, id + 1, 56), -ENOENT);
    cr_assert_eq(probe_stream_request(world.stream, id, 23), -EINVAL);
    cr_assert_eq(probe_stream_request(world.stream, id, 65508), -EINVAL);
    cr_assert_eq(probe_stream_request(world.stream, id, 1472), 0);
    cr_assert_eq(probe_stream_request(world.stream, id, 8972), 0);
    run_for(&world, TIMEOUT_NS);
    cr_assert_eq(world.seen_count, 3);
    for (size_t i = 0; i < world.seen_count; i++) {
        const struct probe_observation *o = &world.seen[i];

        extras += o->extra;
        cr_assert_eq(o->extra, o->payload_bytes != 56);
        cr_assert_eq(o->outcome, o->payload_bytes == 8972 ? PROBE_FRAG_NEEDED : PROBE_REPLY);
    }
    cr_assert_eq(extras, 2);
    probe_stream_free(world.stream);
}

/* One that could not be made for want of memory keeps no smaller one from being made. */
Test(stream, an_extra_request_without_memory_is_forgotten)
{
    static struct world world;
    uint32_t id;

    open_world(&world, alive);
    id = add(&world, "10.0.0.1", NS_PER_S, 0);
    largest_bytes = 1472;
    cr_expect_eq(probe_stream_request(world.stream, id, 8972), -ENOMEM);
    cr_expect_eq(probe_stream_request(world.stream, id, 1472), 0);
    add(&world, "10.0.0.2", NS_PER_S, 0);
    run_for(&world, TIMEOUT_NS);
    cr_expect_eq(count_of(&world, PROBE_REPLY), 3);
    cr_expect_eq(world.seen_count, 3);
    probe_stream_free(world.stream);
}

/* 32 bytes of payload are left: enough for the token. */
static int cuts(struct world *world, struct simulated *network, const struct packet_out *packet)
{
    uint8_t reply[2048];
    uint16_t checksum;

    simulated_make_reply(packet, reply);
    memset(reply + 2, 0, 2);
    checksum = icmp_checksum(reply, 40);
    memcpy(reply + 2, &checksum, 2);
    return -simulated_deliver(network, &packet->to, 0, reply, 40, LATENCY_NS);
}

Test(stream, a_truncated_reply_is_life_but_no_proof_of_the_way_back)
{
    static struct world world;
    uint32_t id;

    open_world(&world, cuts);
    id = add(&world, "10.0.0.1", NS_PER_S, 0);
    cr_assert_eq(probe_stream_request(world.stream, id, 1472), 0);
    run_for(&world, 2 * TIMEOUT_NS);
    cr_assert_geq(world.seen_count, 2);
    for (size_t i = 0; i < world.seen_count; i++)
        cr_expect_eq(world.seen[i].outcome, world.seen[i].extra ? PROBE_TIMEOUT : PROBE_REPLY);
    cr_expect_eq(count_of(&world, PROBE_TIMEOUT), 1);
    probe_stream_free(world.stream);
}

Test(stream, a_removed_target_is_not_heard_of_again)
{
    static struct world world;
    uint32_t first, second, third;

    open_world(&world, alive);
    first = add(&world, "10.0.0.1", TIMEOUT_NS, 0);
    second = add(&world, "10.0.0.2", TIMEOUT_NS, 0);
    dispatch(&world);
    simulated_advance(world.network, 2 * LATENCY_NS);
    cr_assert_eq(probe_stream_dispatch(world.stream), 0); /* both replies wait to be pulled */
    cr_assert_eq(probe_stream_request(world.stream, first, 100), 0);
    probe_stream_remove(world.stream, first);
    probe_stream_remove(world.stream, 12345);
    run_for(&world, NS_PER_S);
    cr_assert_geq(world.seen_count, 10);
    for (size_t i = 0; i < world.seen_count; i++)
        cr_assert_eq(world.seen[i].id, second);
    third = add(&world, "10.0.0.1", TIMEOUT_NS, 0);
    cr_assert(third != first && third != second);
    probe_stream_free(world.stream);
}

/* 300 targets, nobody pulls for a while: nothing is lost. */
Test(stream, many_targets_and_a_slow_owner)
{
    static struct world world;
    struct probe_observation o;
    size_t count = 0;
    char text[32];

    open_world(&world, alive);
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof(text), "10.0.%d.%d", i / 250, i % 250 + 1);
        add(&world, text, TIMEOUT_NS, 0);
    }
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(probe_stream_dispatch(world.stream), 0);
        simulated_advance(world.network, TIMEOUT_NS);
    }
    while (probe_stream_next(world.stream, &o)) {
        cr_assert_eq(o.outcome, PROBE_REPLY);
        count++;
    }
    cr_assert_eq(count, 19 * 300);
    probe_stream_free(world.stream);
}

/* Whoever waits for the deadline does not spin, and nothing is held against a path. */
Test(stream, a_dispatch_that_fails_is_tried_again_after_a_pause)
{
    static struct world world;
    uint64_t end_ns;
    size_t tries = 0;

    open_world(&world, alive);
    add(&world, "10.0.0.1", TIMEOUT_NS, 0);
    run_for(&world, NS_PER_S - LATENCY_NS / 2);
    cr_assert_eq(count_of(&world, PROBE_REPLY), 10);

    deaf = EIO;
    end_ns = probe_stream_now_ns(world.stream) + NS_PER_S;
    for (; probe_stream_now_ns(world.stream) < end_ns; tries++) {
        uint64_t now_ns = probe_stream_now_ns(world.stream);

        cr_assert_eq(probe_stream_dispatch(world.stream), -EIO);
        cr_assert_gt(probe_stream_deadline_ns(world.stream), now_ns, "try %zu: at once", tries);
        cr_assert_leq(probe_stream_deadline_ns(world.stream), now_ns + TIMEOUT_NS);
        simulated_advance(world.network, probe_stream_deadline_ns(world.stream) - now_ns);
    }
    cr_assert_leq(tries, 100);

    deaf = 0;
    run_for(&world, NS_PER_S - LATENCY_NS / 2);
    cr_assert_geq(count_of(&world, PROBE_REPLY), 19);
    cr_assert_eq(count_of(&world, PROBE_REPLY), world.seen_count);
    cr_assert_eq(probe_stream_counters(world.stream)->stalls, 0);
    check_fates(&world);
    probe_stream_free(world.stream);
}

/* Attempts beyond the 16 bits of the sequence. */
Test(stream, the_sequence_may_wrap)
{
    static struct world world;
    uint64_t replies;

    open_world(&world, alive);
    add(&world, "10.0.0.1", TIMEOUT_NS, 0);
    while (probe_stream_counters(world.stream)->replies < 70000) {
        world.seen_count = 0;
        run_for(&world, 100 * NS_PER_S);
        cr_assert_eq(count_of(&world, PROBE_REPLY), world.seen_count);
    }
    replies = probe_stream_counters(world.stream)->replies;
    cr_assert_leq(probe_stream_counters(world.stream)->sent - replies, 1);
    probe_stream_free(world.stream);
}
