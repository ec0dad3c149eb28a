/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: the search for a path's MTU is exact to the byte whatever routers say or do not say, and
 * wastes few waits (pure, all sizes); targets are told apart in a simulated network: who passes, who does not
 * and who says so, who is dead, who lies; our own drops and want of room are no verdict. The same against the
 * real kernel is in test_path_mtu_kernel.c.
 */
#include <criterion/criterion.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "probe/icmp.h"
#include "probe/path_mtu.h"
#include "probe/path_mtu_search.h"
#include "probe/simulated.h"
#include "tests/probe/simulated_settings.h"

#define LATENCY_NS (300 * NS_PER_US)

/* --- the search ---------------------------------------------------------------------------------------- */

/* What a router says of a packet that is too big. */
enum word {
    NAMES,          /* the MTU */
    NAMES_ZERO,     /* as before RFC 1191 */
    NAMES_SIZE,     /* the size of the packet itself: nonsense */
    NAMES_TINY,     /* less than has passed */
    NAMES_TOO_MUCH, /* 20 bytes more than it carries: it counts its own header twice */
    NAMES_FIRST,    /* only the first of two smaller links ... */
    IS_SILENT,
    IS_ANYBODY, /* silent, but somebody names the right MTU without our token */
    IS_LIAR,    /* ... a wrong one */
    WORDS,
};

struct tally {
    uint32_t found;
    unsigned steps;
    unsigned waits; /* silence */
};

static struct tally search(uint32_t small, uint32_t largest, uint32_t mtu, enum word word)
{
    struct path_mtu_search search;
    struct tally tally = {0};
    uint32_t size;

    path_mtu_search_begin(&search, small, largest);
    while ((size = path_mtu_search_next(&search))) {
        static const bool is_silent[WORDS] = {[IS_SILENT] = true, [IS_ANYBODY] = true, [IS_LIAR] = true};
        uint32_t first_link = mtu + (largest - mtu) / 2;
        const uint32_t named[WORDS] = {
            [NAMES] = mtu,
            [NAMES_SIZE] = size,
            [NAMES_TINY] = small - 1,
            [IS_ANYBODY] = mtu,
            [NAMES_TOO_MUCH] = mtu + 20,
            [NAMES_FIRST] = size > first_link ? first_link : mtu,
            [IS_LIAR] = mtu / 2,
        };

        cr_assert(size > small && size <= largest && size > search.passes && size < search.fails,
                  "%u is asked between %u and %u", size, search.passes, search.fails);
        cr_assert_lt(++tally.steps, 60, "mtu %u, word %d", mtu, (int)word);
        if (size <= mtu) {
            path_mtu_search_take(&search, size, PATH_MTU_PASSED, 0);
            continue;
        }
        tally.waits += is_silent[word];
        path_mtu_search_take(&search, size, is_silent[word] ? PATH_MTU_SILENT : PATH_MTU_TOO_BIG,
                             named[word]);
    }
    tally.found = search.passes;
    return tally;
}

Test(path_mtu, the_search_is_exact)
{
    static const struct {
        uint32_t small, largest, step;
    } rows[] = {{68, 1500, 1},   {88, 1500, 1}, {68, 9000, 7}, {68, 65535, 61},
                {88, 65536, 61}, {68, 69, 1},   {68, 68, 1}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        for (int word = 0; word < WORDS; word++)
            for (uint32_t mtu = rows[i].small; mtu <= rows[i].largest; mtu += rows[i].step) {
                struct tally tally = search(rows[i].small, rows[i].largest, mtu, (enum word)word);

                cr_assert_eq(tally.found, mtu, "%u to %u, word %d: %u for %u", rows[i].small, rows[i].largest,
                             word, tally.found, mtu);
            }
}

/* What is usual is found at once. */
Test(path_mtu, the_search_is_short)
{
    static const struct {
        const char *what;
        uint32_t largest, mtu;
        enum word word;
        unsigned steps, waits; /* at most */
    } rows[] = {
        {"nothing smaller on the way", 1500, 1500, NAMES, 1, 0},
        {"one router says so", 1500, 1400, NAMES, 2, 0},
        {"jumbo frames end at a router", 9000, 1500, NAMES, 2, 0},
        {"two routers", 9000, 1400, NAMES_FIRST, 3, 0},
        {"an old router", 1500, 1492, NAMES_ZERO, 15, 0},
        {"black hole: a tunnel", 1500, 1420, IS_SILENT, 14, 4},
        {"black hole: PPPoE", 1500, 1492, IS_SILENT, 15, 2},
        {"black hole: Ethernet behind jumbo frames", 9000, 1500, IS_SILENT, 16, 5},
        {"black hole: the least of IPv6", 1500, 1280, IS_SILENT, 14, 5},
        {"black hole, but somebody tells", 1500, 1337, IS_ANYBODY, 4, 2},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct tally tally = search(68, rows[i].largest, rows[i].mtu, rows[i].word);

        cr_expect(tally.steps <= rows[i].steps && tally.waits <= rows[i].waits, "%s: %u steps, %u waits",
                  rows[i].what, tally.steps, tally.waits);
    }
    for (uint32_t mtu = 68; mtu <= 1500; mtu++)
        cr_expect_leq(search(68, 1500, mtu, IS_SILENT).waits, 12, "mtu %u", mtu);
}

Test(path_mtu, what_a_router_names_is_not_asked_again)
{
    struct path_mtu_search search;

    path_mtu_search_begin(&search, 68, 1500);
    cr_expect_eq(path_mtu_search_next(&search), 1500);
    cr_expect(path_mtu_search_take(&search, 1500, PATH_MTU_TOO_BIG, 1400));
    cr_expect_eq(search.fails, 1401);
    cr_expect_eq(path_mtu_search_next(&search), 1400);
    cr_expect_not(path_mtu_search_take(&search, 1400, PATH_MTU_PASSED, 0));
    cr_expect_eq(path_mtu_search_next(&search), 0);
    /* But from somebody without our token it is a hint, and the byte above is asked as well. */
    path_mtu_search_begin(&search, 68, 1500);
    cr_expect_eq(path_mtu_search_next(&search), 1500);
    path_mtu_search_take(&search, 1500, PATH_MTU_SILENT, 1400);
    cr_expect_eq(search.fails, 1500);
    cr_expect_eq(path_mtu_search_next(&search), 1400);
    path_mtu_search_take(&search, 1400, PATH_MTU_PASSED, 0);
    cr_expect_eq(path_mtu_search_next(&search), 1401);
}

/* --- many targets, simulated --------------------------------------------------------------------------- */

enum manner {
    PASSES_ALL,
    TELLS,       /* "too big" with the MTU */
    TELLS_SHORT, /* the same, quoting 8 bytes only */
    FORGES,      /* "too big", MTU 600, with a wrong token; the path is silent */
    LIES_SHORT,  /* the same, quoting too little for a token to be wrong: a wrong hint, no more */
    SWALLOWS,    /* says nothing */
    DEAD,
    PROHIBITS,     /* whatever is larger than the MTU, by an ICMP error of another kind */
    PROHIBITS_ALL, /* the small packet as well */
    LOSES_FIRST,   /* of each size; otherwise all pass */
    ANSWERS_LATE,  /* what is larger than the MTU: after the window */
    NO_ROUTE,
    NO_ROOM_TWICE, /* then all pass */
    SMALL_DEVICE,  /* the kernel refuses what is larger than the MTU and says so */
    OTHERS_ERROR,  /* the first time the kernel reports an EMSGSIZE that is not about this packet */
    FLOODS_ONCE,   /* the first large packet drowns in duplicates of the small one's reply */
};

#define HOSTS_MAX 1100

struct world {
    struct simulated_script script;
    enum manner manners[HOSTS_MAX];
    uint32_t mtus[HOSTS_MAX];
    uint32_t asked[HOSTS_MAX], tried[HOSTS_MAX];
    uint32_t last_size[HOSTS_MAX], of_size[HOSTS_MAX]; /* how many there were of the last size */
    uint64_t window_ns;
    int family;
};

static struct address address_of(const struct world *world, uint32_t host)
{
    struct address a = {.family = (uint8_t)world->family, .bytes = {10, 0}};
    size_t last = world->family == AF_INET ? 3 : 15;

    a.bytes[last] = (uint8_t)host;
    a.bytes[last - 1] = (uint8_t)(host >> 8);
    return a;
}

static uint32_t host_of(const struct address *a)
{
    size_t last = a->family == AF_INET ? 3 : 15;

    return (uint32_t)a->bytes[last - 1] << 8 | a->bytes[last];
}

static void say(struct world *world, struct simulated *network, const struct packet_out *packet, bool too_big,
                uint32_t mtu, size_t quote_bytes)
{
    const struct address router = address_of(world, 0xfffe);
    bool v4 = world->family == AF_INET;

    if (too_big)
        simulated_error(network, packet, &router, v4 ? ICMP_DEST_UNREACH : ICMP6_PACKET_TOO_BIG,
                        v4 ? ICMP_FRAG_NEEDED : 0, mtu, quote_bytes, LATENCY_NS);
    else
        simulated_error(network, packet, &router, v4 ? ICMP_DEST_UNREACH : ICMP6_DST_UNREACH,
                        v4 ? ICMP_HOST_ANO : ICMP6_DST_UNREACH_ADMIN, 0, quote_bytes, LATENCY_NS);
}

static void forge(struct world *world, struct simulated *network, const struct packet_out *packet)
{
    uint8_t bytes[64];
    struct packet_out forged = *packet;

    memcpy(bytes, packet->bytes, sizeof(bytes));
    bytes[24] ^= 1;
    forged.bytes = bytes;
    say(world, network, &forged, true, 600, 64);
}

static void answer(struct world *world, struct simulated *network, const struct packet_out *packet,
                   uint32_t host, uint32_t size)
{
    bool fits = size <= world->mtus[host];

    switch (world->manners[host]) {
    case TELLS:
        return fits ? (void)simulated_reply(network, packet, LATENCY_NS)
                    : say(world, network, packet, true, world->mtus[host], 64);
    case TELLS_SHORT:
        return fits ? (void)simulated_reply(network, packet, LATENCY_NS)
                    : say(world, network, packet, true, world->mtus[host], 8);
    case PROHIBITS:
        return fits ? (void)simulated_reply(network, packet, LATENCY_NS)
                    : say(world, network, packet, false, 0, 64);
    case PROHIBITS_ALL:
        return say(world, network, packet, false, 0, 64);
    case FORGES:
        return fits ? (void)simulated_reply(network, packet, LATENCY_NS) : forge(world, network, packet);
    case LIES_SHORT:
        return fits ? (void)simulated_reply(network, packet, LATENCY_NS)
                    : say(world, network, packet, true, 600, 8);
    case SWALLOWS:
        return fits ? (void)simulated_reply(network, packet, LATENCY_NS) : (void)0;
    case DEAD:
    case NO_ROUTE:
        return;
    case LOSES_FIRST:
        if (world->of_size[host] > 1)
            simulated_reply(network, packet, LATENCY_NS);
        return;
    case ANSWERS_LATE:
        simulated_reply(network, packet, fits ? LATENCY_NS : world->window_ns + 1);
        return;
    case FLOODS_ONCE:
        for (int i = 0; world->of_size[host] == 1 && size > 1000 && i < 100; i++)
            simulated_deliver(network, &packet->to, 0, (const uint8_t[]){8, 0, 0, 0, 0, 0, 0, 0}, 8,
                              LATENCY_NS);
        simulated_reply(network, packet, LATENCY_NS);
        return;
    default:
        simulated_reply(network, packet, LATENCY_NS);
    }
}

static int on_request(void *context, struct simulated *network, const struct packet_out *packet)
{
    struct world *world = context;
    uint32_t host = host_of(&packet->to);
    uint32_t size = packet->size_bytes + (world->family == AF_INET ? 20 : 40);
    struct packet_out *refused = (struct packet_out *)(uintptr_t)packet;

    cr_assert(packet->dont_fragment);
    cr_assert_leq(packet->size_bytes, ICMP_HEADER_BYTES + PROBE_PAYLOAD_MAX_BYTES);
    world->tried[host]++;
    if (world->manners[host] == NO_ROOM_TWICE && world->tried[host] <= 2)
        return world->tried[host] == 1 ? ENOBUFS : EAGAIN;
    world->asked[host]++;
    world->of_size[host] = world->last_size[host] == size ? world->of_size[host] + 1 : 1;
    world->last_size[host] = size;
    if (world->manners[host] == NO_ROUTE)
        return ENETUNREACH;
    if ((world->manners[host] == SMALL_DEVICE && size > world->mtus[host]) ||
        (world->script.mtu_bytes && size > world->script.mtu_bytes)) {
        refused->mtu_bytes =
            world->manners[host] == SMALL_DEVICE ? world->mtus[host] : world->script.mtu_bytes;
        return EMSGSIZE;
    }
    if (world->manners[host] == OTHERS_ERROR && world->tried[host] == 2) {
        refused->mtu_bytes = world->script.mtu_bytes;
        return EMSGSIZE;
    }
    answer(world, network, packet, host, size);
    return 0;
}

struct scene {
    struct probe_path_mtu *mtu;
    struct simulated *network;
    uint64_t took_ns;
};

static struct scene play(struct world *world, const struct probe_settings *settings, uint32_t check_bytes,
                         uint32_t hosts)
{
    struct scene scene;
    struct probe_targets targets = {0};
    struct transport *transport;
    struct address first, last;
    uint64_t start_ns;
    uint32_t index, left = hosts;

    if (!world->family)
        world->family = AF_INET;
    first = address_of(world, 1);
    last = address_of(world, hosts);
    world->script.request = on_request;
    world->script.context = world;
    world->window_ns = settings->select_timeout_ns * settings->select_count;
    cr_assert_eq(simulated_open(&transport, &world->script), 0);
    scene.network = simulated_of(transport);
    start_ns = simulated_now_ns(scene.network);
    cr_assert_eq(probe_targets_add(&targets, &(struct probe_range){first, last}), 0);
    cr_assert_eq(probe_path_mtu_new_over(&scene.mtu, settings, check_bytes, &targets, true, transport), 0);
    for (uint64_t steps = 0; left > 0; steps++) {
        cr_assert_lt(steps, 1000000, "it does not end");
        cr_assert_eq(front_end_step(probe_path_mtu_front(scene.mtu), NEVER_NS), 0);
        while (probe_path_mtu_next(scene.mtu, &index))
            left--;
    }
    scene.took_ns = simulated_now_ns(scene.network) - start_ns;
    return scene;
}

static struct probe_path_mtu_result result_of(const struct scene *scene, uint32_t host)
{
    struct probe_path_mtu_result result;

    cr_assert(probe_path_mtu_result(scene->mtu, host - 1, &result));
    return result;
}

struct row {
    enum manner manner;
    uint32_t mtu;
    enum probe_outcome outcome;
    uint32_t passes, fails;
    enum probe_outcome limit;
    uint32_t limit_mtu;
};

static void expect_rows(const struct row *rows, uint32_t count, uint32_t check_bytes, int family)
{
    struct world world = {.script.mtu_bytes = 1500, .family = family};
    struct probe_settings settings = settings_of(100 * NS_PER_MS, 3);
    struct scene scene;

    for (uint32_t i = 0; i < count; i++) {
        world.manners[i + 1] = rows[i].manner;
        world.mtus[i + 1] = rows[i].mtu;
    }
    scene = play(&world, &settings, check_bytes, count);
    for (uint32_t i = 0; i < count; i++) {
        struct probe_path_mtu_result got = result_of(&scene, i + 1);

        cr_expect(got.outcome == rows[i].outcome && got.passes_bytes == rows[i].passes &&
                      got.fails_bytes == rows[i].fails &&
                      (got.fails_bytes == 0 || got.limit == rows[i].limit) &&
                      got.limit_error.mtu_bytes == rows[i].limit_mtu && !got.doubtful,
                  "check %u, row %u: %s, %u passes, %u fails: %s, MTU %u%s", check_bytes, i,
                  probe_outcome_text(got.outcome), got.passes_bytes, got.fails_bytes,
                  probe_outcome_text(got.limit), got.limit_error.mtu_bytes, got.doubtful ? ", doubtful" : "");
        cr_expect_eq(got.requests, world.asked[i + 1], "row %u: %u requests", i, got.requests);
        if (rows[i].outcome == PROBE_REPLY)
            cr_expect_eq(got.rtt_ns, LATENCY_NS);
    }
    probe_path_mtu_free(scene.mtu);
}

Test(path_mtu, the_largest_that_passes)
{
    static const struct row rows[] = {
        {PASSES_ALL, 0, PROBE_REPLY, 1500, 0, 0, 0},
        {TELLS, 1400, PROBE_REPLY, 1400, 1401, PROBE_FRAG_NEEDED, 1400},
        {TELLS, 1499, PROBE_REPLY, 1499, 1500, PROBE_FRAG_NEEDED, 1499},
        {TELLS_SHORT, 1400, PROBE_REPLY, 1400, 1401, PROBE_FRAG_NEEDED, 1400},
        {SWALLOWS, 1337, PROBE_REPLY, 1337, 1338, PROBE_TIMEOUT, 0},
        {SWALLOWS, 1280, PROBE_REPLY, 1280, 1281, PROBE_TIMEOUT, 0},
        {FORGES, 1400, PROBE_REPLY, 1400, 1401, PROBE_TIMEOUT, 0},
        {LIES_SHORT, 1400, PROBE_REPLY, 1400, 1401, PROBE_FRAG_NEEDED, 600},
        {DEAD, 0, PROBE_TIMEOUT, 0, 0, 0, 0},
        {PROHIBITS, 1400, PROBE_REPLY, 1400, 1401, PROBE_UNREACHABLE, 0},
        {PROHIBITS_ALL, 0, PROBE_UNREACHABLE, 0, 0, 0, 0},
        {LOSES_FIRST, 0, PROBE_REPLY, 1500, 0, 0, 0},
        {ANSWERS_LATE, 1400, PROBE_REPLY, 1400, 1401, PROBE_TIMEOUT, 0},
        {NO_ROUTE, 0, PROBE_SEND_FAILED, 0, 0, 0, 0},
        {NO_ROOM_TWICE, 0, PROBE_REPLY, 1500, 0, 0, 0},
        {SMALL_DEVICE, 1400, PROBE_REPLY, 1400, 1401, PROBE_FRAG_NEEDED, 1400},
        {OTHERS_ERROR, 0, PROBE_REPLY, 1500, 0, 0, 0},
    };

    expect_rows(rows, ARRAY_SIZE(rows), 0, AF_INET);
    expect_rows(rows, ARRAY_SIZE(rows), 0, AF_INET6);
}

Test(path_mtu, does_this_size_pass)
{
    static const struct row fits[] = {
        {PASSES_ALL, 0, PROBE_REPLY, 1400, 0, 0, 0},
        {TELLS, 1400, PROBE_REPLY, 1400, 0, 0, 0},
        {SWALLOWS, 1400, PROBE_REPLY, 1400, 0, 0, 0},
    };
    static const struct row v4[] = {
        {TELLS, 1399, PROBE_REPLY, 68, 1400, PROBE_FRAG_NEEDED, 1399},
        {SWALLOWS, 1399, PROBE_REPLY, 68, 1400, PROBE_TIMEOUT, 0},
        {FORGES, 1399, PROBE_REPLY, 68, 1400, PROBE_TIMEOUT, 0},
        {PROHIBITS, 1399, PROBE_REPLY, 68, 1400, PROBE_UNREACHABLE, 0},
        {SMALL_DEVICE, 1399, PROBE_REPLY, 68, 1400, PROBE_FRAG_NEEDED, 1399},
        {DEAD, 0, PROBE_TIMEOUT, 0, 0, 0, 0},
    };
    static const struct row v6[] = {
        {TELLS, 1399, PROBE_REPLY, 88, 1400, PROBE_FRAG_NEEDED, 1399},
        {SWALLOWS, 1399, PROBE_REPLY, 88, 1400, PROBE_TIMEOUT, 0},
    };

    expect_rows(fits, ARRAY_SIZE(fits), 1400, AF_INET);
    expect_rows(fits, ARRAY_SIZE(fits), 1400, AF_INET6);
    expect_rows(v4, ARRAY_SIZE(v4), 1400, AF_INET);
    expect_rows(v6, ARRAY_SIZE(v6), 1400, AF_INET6);
    /* More than the interface takes: this host says so. */
    expect_rows((const struct row[]){{PASSES_ALL, 0, PROBE_REPLY, 68, 1501, PROBE_FRAG_NEEDED, 1500}}, 1,
                9000, AF_INET);
}

/* Without the interface's MTU it is learnt from the first refusal. */
Test(path_mtu, an_unknown_interface)
{
    struct world world = {.manners = {[1] = SMALL_DEVICE, [2] = PASSES_ALL}, .mtus = {[1] = 1500}};
    struct probe_settings settings = settings_of(100 * NS_PER_MS, 1);
    struct scene scene = play(&world, &settings, 0, 2);

    cr_expect_eq(result_of(&scene, 1).passes_bytes, 1500);
    cr_expect_eq(result_of(&scene, 2).passes_bytes, 65535);
    probe_path_mtu_free(scene.mtu);
}

Test(path_mtu, requests_and_time)
{
    struct world world = {.script.mtu_bytes = 1500,
                          .manners = {[1] = DEAD, [2] = TELLS, [3] = SWALLOWS},
                          .mtus = {[2] = 1400, [3] = 1499}};
    struct probe_settings settings = settings_of(100 * NS_PER_MS, 4);
    struct scene scene = play(&world, &settings, 1500, 3);

    cr_expect_eq(world.asked[1], 4, "a dead one gets small packets only");
    cr_expect_eq(world.asked[2], 2);
    cr_expect_eq(world.asked[3], 5, "each size select-count times before it is silence");
    cr_expect_eq(scene.took_ns, 400 * NS_PER_MS + LATENCY_NS, "%lu", scene.took_ns);
    probe_path_mtu_free(scene.mtu);
}

/*
 * Our own buffer drops the reply to a large packet: it is asked again, and passes. Where that is not wanted
 * the verdict is doubtful.
 */
Test(path_mtu, own_drops_are_no_verdict)
{
    for (int retry = 0; retry < 2; retry++) {
        struct world world = {.script = {.mtu_bytes = 1500, .receive_limit = 8},
                              .manners = {[1] = FLOODS_ONCE}};
        struct probe_settings settings = settings_of(100 * NS_PER_MS, 1);
        struct probe_path_mtu_result got;
        struct scene scene;

        settings.retry_doubtful = retry;
        scene = play(&world, &settings, 1500, 1);
        got = result_of(&scene, 1);
        cr_expect_gt(front_end_counters(probe_path_mtu_front(scene.mtu))->receive_drops, 0);
        cr_expect_eq(got.passes_bytes, retry ? 1500 : 68, "retry %d: %u", retry, got.passes_bytes);
        cr_expect_eq(got.doubtful, !retry);
        cr_expect_eq(front_end_asked_again(probe_path_mtu_front(scene.mtu)), (uint32_t)retry);
        probe_path_mtu_free(scene.mtu);
    }
}

Test(path_mtu, many_at_once_through_a_small_buffer)
{
    struct world world = {.script = {.mtu_bytes = 1500, .receive_limit = 16}};
    struct probe_settings settings = settings_of(NS_PER_S, 1);
    struct scene scene;

    for (uint32_t host = 1; host <= 1000; host++) {
        world.manners[host] = host % 2 ? TELLS : SWALLOWS;
        world.mtus[host] = 68 + host;
    }
    scene = play(&world, &settings, 0, 1000);
    for (uint32_t host = 1; host <= 1000; host++) {
        struct probe_path_mtu_result got = result_of(&scene, host);

        cr_expect(got.passes_bytes == 68 + host && !got.doubtful, "host %u: %u", host, got.passes_bytes);
    }
    cr_expect_eq(front_end_counters(probe_path_mtu_front(scene.mtu))->receive_drops, 0);
    probe_path_mtu_free(scene.mtu);
}
