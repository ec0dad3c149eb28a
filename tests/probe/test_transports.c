/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: one table of targets has the same outcomes over every transport and both kinds of
 * sockets, the simulated transport included, so they cannot drift apart; and over the real ones, that a busy
 * machine, a stopped process and a reply by another way change nothing. In network namespaces, against the
 * real kernel.
 */
#include <criterion/criterion.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "probe/icmp.h"
#include "probe/lacking.h"
#include "probe/simulated.h"
#include "probe/stream.h"
#include "probe/sweep.h"
#include "probe/transport.h"
#include "tests/probe/cluster.h"

enum kind { RAW, PING, SIMULATED };

static const struct {
    const char *transport;
    enum kind kind;
} ways[] = {
    {"simulated", SIMULATED}, {"epoll", RAW},    {"epoll", PING},    {"poll", RAW},
    {"poll", PING},           {"io_uring", RAW}, {"io_uring", PING},
};

/* io_uring may be forbidden on this host, or not built; its own tests say so. The others must run. */
static bool is_missing(size_t way)
{
    struct probe_settings settings = probe_settings_default();
    struct probe_sweep *sweep = NULL;
    char text[128];

    settings.transport = ways[way].transport;
    if (strcmp(settings.transport, "io_uring") != 0)
        return false;
    if (probe_sweep_new(&sweep, &settings, text, sizeof(text)) == 0) {
        probe_sweep_free(sweep);
        return false;
    }
    fprintf(stderr, "skipped: %s\n", text);
    return true;
}

static bool is_real(size_t way)
{
    return ways[way].kind != SIMULATED && !is_missing(way);
}

/* 100 ms x 2, so a row without an answer takes 200 ms. */
static const struct row {
    const char *target;
    enum probe_outcome outcome;
    uint8_t icmp_type, icmp_code;
    const char *from;
    int error;
    uint32_t mtu_bytes;
    uint32_t payload_bytes; /* 0: 56 */
    bool dont_fragment;
    uint8_t ttl;
} rows[] = {
    {"10.1.0.2", PROBE_REPLY},
    {"10.1.0.1", PROBE_REPLY},
    {"127.0.0.1", PROBE_REPLY},
    {"10.2.0.1", PROBE_REPLY},
    {"10.2.77.5", PROBE_REPLY},
    {"10.4.0.2", PROBE_REPLY},
    {"fd01::2", PROBE_REPLY},
    {"fd02::7", PROBE_REPLY},
    {"fd04::2", PROBE_REPLY},
    {"10.6.0.1", PROBE_REPLY},
    {"10.1.0.200", PROBE_TIMEOUT},
    {"10.2.1.1", PROBE_TIMEOUT},
    {"fd02::1:1", PROBE_TIMEOUT},
    {"10.2.2.1", PROBE_UNREACHABLE, 3, 10, "10.2.2.1"},
    {"fd02::2:1", PROBE_UNREACHABLE, 1, 1, "fd01::2"},
    {"10.3.0.1", PROBE_UNREACHABLE, 3, 1, "10.1.0.2"},
    {"fd03::1", PROBE_UNREACHABLE, 1, 3, "fd01::2"},
    {"10.2.3.1", PROBE_SEND_FAILED, .error = EPERM},
    {"10.99.0.1", PROBE_SEND_FAILED, .error = ENETUNREACH},
    {"fd99::1", PROBE_SEND_FAILED, .error = ENETUNREACH},
    {"10.4.0.2", PROBE_UNREACHABLE, 11, 0, "10.1.0.2", .ttl = 1},
    {"fd04::2", PROBE_UNREACHABLE, 3, 0, "fd01::2", .ttl = 1},
    {"10.4.0.2", PROBE_REPLY, .payload_bytes = 1272, .dont_fragment = true},
    {"10.4.0.2", PROBE_FRAG_NEEDED, 3, 4, "10.1.0.2", .mtu_bytes = 1300, .payload_bytes = 1273,
     .dont_fragment = true},
    {"fd04::2", PROBE_REPLY, .payload_bytes = 1252, .dont_fragment = true},
    {"fd04::2", PROBE_FRAG_NEEDED, 2, 0, "fd01::2", .mtu_bytes = 1300, .payload_bytes = 1253,
     .dont_fragment = true},
    {"10.1.0.2", PROBE_REPLY, .payload_bytes = 1472, .dont_fragment = true},
    {"10.1.0.2", PROBE_FRAG_NEEDED, .error = EMSGSIZE, .mtu_bytes = 1500, .payload_bytes = 1473,
     .dont_fragment = true},
    {"fd01::2", PROBE_FRAG_NEEDED, .error = EMSGSIZE, .mtu_bytes = 1500, .payload_bytes = 1453,
     .dont_fragment = true},
    {"10.1.0.2", PROBE_REPLY, .payload_bytes = 1473},
    {"10.4.0.2", PROBE_REPLY, .payload_bytes = 4000},
    {"fd01::2", PROBE_REPLY, .payload_bytes = 4000},
    {"10.1.0.2", PROBE_REPLY, .payload_bytes = PROBE_PAYLOAD_MAX_BYTES},
    {"10.1.0.2", PROBE_REPLY, .payload_bytes = PROBE_PAYLOAD_MIN_BYTES},
};

static struct address address(const char *text)
{
    struct address a;

    cr_assert_eq(address_parse(&a, text), 0);
    return a;
}

/* The simulated network plays the row. */
static int play(void *context, struct simulated *network, const struct packet_out *packet)
{
    const struct row *row = context;
    struct address from = row->from ? address(row->from) : (struct address){0};

    switch (row->outcome) {
    case PROBE_REPLY:
        return simulated_reply(network, packet, NS_PER_MS);
    case PROBE_UNREACHABLE:
    case PROBE_FRAG_NEEDED:
        return row->error ? row->error
                          : simulated_error(network, packet, &from, row->icmp_type, row->icmp_code,
                                            row->mtu_bytes, 548, NS_PER_MS);
    case PROBE_SEND_FAILED:
        return row->error;
    case PROBE_TIMEOUT:
    case PROBE_LATE:
    case PROBE_DUPLICATE:
        break;
    }
    return 0;
}

static void check_row(size_t i, size_t way)
{
    const struct row *row = &rows[i];
    struct simulated_script script = {.request = play, .context = (void *)(uintptr_t)row};
    struct probe_settings settings = probe_settings_default();
    CLEANUP(probe_sweep_free) struct probe_sweep *sweep = NULL;
    struct transport *transport;
    struct address target = address(row->target);
    struct probe_result result;
    char text[128] = "";
    uint32_t index;

    settings.transport = ways[way].transport;
    settings.select_timeout_ns = 100 * NS_PER_MS;
    settings.select_count = 2;
    settings.payload_bytes = row->payload_bytes ? row->payload_bytes : 56;
    settings.dont_fragment = row->dont_fragment;
    settings.ttl = row->ttl;
    if (ways[way].kind == SIMULATED) {
        cr_assert_eq(simulated_open(&transport, &script), 0);
        cr_assert_eq(probe_sweep_new_over(&sweep, &settings, transport), 0);
    } else {
        cr_assert_eq(probe_sweep_new(&sweep, &settings, text, sizeof(text)), 0, "%s", text);
    }
    cr_assert_str_eq(front_end_transport(probe_sweep_front(sweep)), ways[way].transport);
    cr_assert_eq(probe_sweep_add(sweep, &target, &index), 0);
    while (!probe_sweep_next(sweep, &result))
        cr_assert_eq(front_end_step(probe_sweep_front(sweep), NEVER_NS), 0);
    probe_reason_text(result.outcome, &result.error, 0, text, sizeof(text));

#define EXPECT(what, want) cr_expect_eq(what, want, "row %zu, way %zu, %s: %s", i, way, row->target, text)
    EXPECT(result.outcome, row->outcome);
    EXPECT(result.error.icmp_type, row->icmp_type);
    EXPECT(result.error.icmp_code, row->icmp_code);
    EXPECT(result.error.error, row->error);
    if (ways[way].kind != SIMULATED || !row->error)
        EXPECT(result.error.mtu_bytes, row->mtu_bytes);
    if (row->from)
        cr_expect_str_eq(ADDRESS_TEXT(&result.error.from), row->from, "row %zu, way %zu", i, way);
    EXPECT(front_end_counters(probe_sweep_front(sweep))->corrupt, 0);
    EXPECT(front_end_counters(probe_sweep_front(sweep))->receive_drops, 0);
}

Test(transports, one_table_over_all_of_them)
{
    struct cluster cluster;

    cluster_make(&cluster);
    for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
        cluster_allow_ping_sockets(ways[way].kind == PING);
        for (size_t i = 0; i < ARRAY_SIZE(rows) && !is_missing(way); i++)
            check_row(i, way);
    }
}

static void open_sweep(struct probe_sweep **sweep, const struct probe_settings *settings)
{
    char text[128] = "";

    cr_assert_eq(probe_sweep_new(sweep, settings, text, sizeof(text)), 0, "%s", text);
}

static void add_range(struct probe_sweep *sweep, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct address a = {.family = AF_INET,
                            .bytes = {10, 2, (uint8_t)(4 + i / 250), (uint8_t)(1 + i % 250)}};
        uint32_t index;

        cr_assert_eq(probe_sweep_add(sweep, &a, &index), 0);
    }
}

static uint32_t count_unreachable(struct probe_sweep *sweep)
{
    struct probe_result result;
    uint32_t unreachable = 0;

    while (!probe_sweep_done(sweep)) {
        cr_assert_eq(front_end_step(probe_sweep_front(sweep), NEVER_NS), 0);
        while (probe_sweep_next(sweep, &result))
            unreachable += result.outcome != PROBE_REPLY;
    }
    return unreachable;
}

static int burn(void *context)
{
    for (volatile uint64_t i = 0;; i = i + 1)
        ;
    return 0;
}

/* The bar of the whole project: 506 live targets, every CPU busy, 1 s x 1, nobody falsely unreachable. */
Test(transports, no_false_unreachables_on_a_busy_machine)
{
    const char *times = getenv("PROBE_SWEEPS");
    long sweeps = times ? atol(times) : 10;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct cluster cluster;
    pid_t burners[16];

    cluster_make(&cluster);
    cpus = cpus > 16 ? 16 : cpus;
    for (long i = 0; i < cpus; i++)
        burners[i] = netns_spawn(NETNS_HERE, burn, NULL);
    for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
        if (!is_real(way))
            continue;
        cluster_allow_ping_sockets(ways[way].kind == PING);
        for (long i = 0; i < sweeps; i++) {
            CLEANUP(probe_sweep_free) struct probe_sweep *sweep = NULL;
            struct probe_settings settings = probe_settings_default();

            settings.transport = ways[way].transport;
            open_sweep(&sweep, &settings);
            add_range(sweep, 506);
            cr_expect_eq(count_unreachable(sweep), 0, "sweep %ld, way %zu", i, way);
            cr_expect_eq(front_end_counters(probe_sweep_front(sweep))->receive_drops, 0);
        }
    }
    for (long i = 0; i < cpus; i++)
        netns_stop(burners[i]);
}

/* This process does nothing for longer than the window, with the replies to its requests on the way. */
Test(transports, replies_count_by_when_they_arrived)
{
    struct cluster cluster;

    cluster_make(&cluster);
    for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
        CLEANUP(probe_sweep_free) struct probe_sweep *sweep = NULL;
        struct probe_settings settings = probe_settings_default();

        if (!is_real(way))
            continue;
        cluster_allow_ping_sockets(ways[way].kind == PING);
        settings.transport = ways[way].transport;
        settings.select_timeout_ns = 50 * NS_PER_MS;
        open_sweep(&sweep, &settings);
        add_range(sweep, 12);
        cr_assert_eq(front_end_step(probe_sweep_front(sweep), NEVER_NS), 0);
        usleep(200000); /* so late they are read: all waits are over by then */
        cr_assert_eq(count_unreachable(sweep), 0, "way %zu", way);
        cr_assert_eq(front_end_counters(probe_sweep_front(sweep))->late, 0);
    }
}

/* --- streams --- */

static struct probe_stream *open_stream(const char *transport, uint64_t timeout_ms)
{
    struct probe_settings settings = probe_settings_default();
    struct probe_stream *stream = NULL;
    char text[128] = "";

    settings.transport = transport;
    settings.select_timeout_ns = timeout_ms * NS_PER_MS;
    settings.select_count = 3;
    cr_assert_eq(probe_stream_new(&stream, &settings, text, sizeof(text)), 0, "%s", text);
    return stream;
}

static uint32_t add_path(struct probe_stream *stream, const char *text, uint64_t interval_ms,
                         uint32_t ifindex)
{
    struct probe_stream_target target = {
        .address = address(text), .ifindex = ifindex, .interval_ns = interval_ms * NS_PER_MS};
    uint32_t id;

    cr_assert_eq(probe_stream_add(stream, &target, &id), 0);
    return id;
}

#define STREAM_MAX 512
struct seen {
    struct probe_observation observations[STREAM_MAX];
    size_t count;
};

/* An owner's loop, waiting on the descriptor and the deadline only. */
static void run_stream(struct probe_stream *stream, struct seen *seen, uint64_t duration_ms)
{
    uint64_t end_ns = probe_stream_now_ns(stream) + duration_ms * NS_PER_MS;

    for (;;) {
        uint64_t now_ns = probe_stream_now_ns(stream);
        uint64_t left_ns = sub_sat_u64(min_u64(end_ns, probe_stream_deadline_ns(stream)), now_ns);
        struct timeval timeout = {.tv_sec = (time_t)(left_ns / NS_PER_S),
                                  .tv_usec = (suseconds_t)(left_ns % NS_PER_S / 1000)};
        int fd = probe_stream_fd(stream);
        fd_set fds;

        if (now_ns >= end_ns)
            return;
        FD_ZERO(&fds);
        FD_SET(fd, &fds);
        select(fd + 1, &fds, NULL, NULL, &timeout);
        cr_assert_eq(probe_stream_dispatch(stream), 0);
        while (seen->count < STREAM_MAX && probe_stream_next(stream, &seen->observations[seen->count]))
            seen->count++;
    }
}

static size_t count_seen(const struct seen *seen, uint32_t id, enum probe_outcome outcome)
{
    size_t count = 0;

    for (size_t i = 0; i < seen->count; i++)
        count += seen->observations[i].id == id && seen->observations[i].outcome == outcome;
    return count;
}

static size_t count_all(const struct seen *seen, uint32_t id)
{
    size_t count = 0;

    for (size_t i = 0; i < seen->count; i++)
        count += seen->observations[i].id == id;
    return count;
}

#define EXPECT_ONLY(id, outcome)                                                                   \
    cr_expect(count_all(&seen, id) > 0 && count_seen(&seen, id, outcome) == count_all(&seen, id),  \
              "way %zu: %s of %s: %zu of %zu", way, #outcome, #id, count_seen(&seen, id, outcome), \
              count_all(&seen, id))

Test(transports, streams_tell_paths_apart)
{
    struct cluster c;

    cluster_make(&c);
    for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
        CLEANUP(probe_stream_free) struct probe_stream *stream = NULL;
        struct seen seen = {0};

        if (!is_real(way))
            continue;
        cluster_allow_ping_sockets(ways[way].kind == PING);
        stream = open_stream(ways[way].transport, 50);
        uint32_t plain = add_path(stream, "10.1.0.2", 50, 0);
        uint32_t tied = add_path(stream, "10.1.0.2", 50, c.first_ifindex);
        uint32_t tied6 = add_path(stream, "fd01::2", 50, c.first_ifindex);
        uint32_t second = add_path(stream, "10.5.0.2", 50, c.second_ifindex);
        uint32_t wrong = add_path(stream, "10.1.0.2", 50, c.second_ifindex); /* not on that link */
        uint32_t detour = add_path(stream, "10.6.0.1", 50, c.first_ifindex); /* comes back by the second */
        uint32_t untied = add_path(stream, "10.6.0.1", 50, 0);
        uint32_t rejected = add_path(stream, "10.2.2.1", 50, 0);
        uint32_t unrouted = add_path(stream, "10.99.0.1", 50, 0);

        run_stream(stream, &seen, 475);
        EXPECT_ONLY(plain, PROBE_REPLY);
        EXPECT_ONLY(tied, PROBE_REPLY);
        EXPECT_ONLY(tied6, PROBE_REPLY);
        EXPECT_ONLY(second, PROBE_REPLY);
        cr_expect_eq(count_seen(&seen, wrong, PROBE_REPLY), 0);
        EXPECT_ONLY(detour, PROBE_TIMEOUT);
        EXPECT_ONLY(untied, PROBE_REPLY);
        EXPECT_ONLY(rejected, PROBE_UNREACHABLE);
        EXPECT_ONLY(unrouted, PROBE_SEND_FAILED);
        cr_expect_geq(count_all(&seen, plain), 5);
        cr_expect_leq(count_all(&seen, plain), 10);
    }
}

/* A kernel that tells no interface: requests leave from its address, and replies must come to that one. */
Test(transports, an_address_stands_for_its_interface)
{
    static const char *const transports[] = {"epoll", "poll"};
    struct cluster c;

    cluster_make(&c);
    cluster_allow_ping_sockets(false);
    lacking_note(LACKING_PKTINFO, -ENOPROTOOPT);
    for (size_t way = 0; way < ARRAY_SIZE(transports); way++) {
        CLEANUP(probe_stream_free) struct probe_stream *stream = open_stream(transports[way], 50);
        struct seen seen = {0};
        uint32_t plain = add_path(stream, "10.1.0.2", 50, 0);
        uint32_t tied = add_path(stream, "10.1.0.2", 50, c.first_ifindex);
        uint32_t second = add_path(stream, "10.5.0.2", 50, c.second_ifindex);
        uint32_t bound = add_path(stream, "10.2.0.1", 50, c.second_ifindex); /* by routing: from the first */
        uint32_t nowhere = add_path(stream, "10.1.0.2", 50, 1);              /* the loopback's address */

        run_stream(stream, &seen, 275);
        EXPECT_ONLY(plain, PROBE_REPLY);
        EXPECT_ONLY(tied, PROBE_REPLY);
        EXPECT_ONLY(second, PROBE_REPLY);
        EXPECT_ONLY(bound, PROBE_REPLY);
        cr_expect_eq(count_seen(&seen, nowhere, PROBE_REPLY), 0);

        /* The interface gets another address. */
        netns_must(NETNS_HERE,
                   "ip address del 10.5.0.1/24 dev second && ip address add 10.5.0.3/24 dev second");
        run_stream(stream, &seen, 100);
        memset(&seen, 0, sizeof(seen));
        run_stream(stream, &seen, 175);
        EXPECT_ONLY(second, PROBE_REPLY);
        netns_must(NETNS_HERE,
                   "ip address del 10.5.0.3/24 dev second && ip address add 10.5.0.1/24 dev second");
    }
}

#define ECHO_BYTES 64

static struct packet_out echo_to(const char *text, uint32_t ifindex, uint16_t ident, uint8_t *bytes)
{
    struct icmp_echo echo = {.ident = ident};

    icmp_pattern_fill(bytes, ECHO_BYTES);
    icmp_request_build(bytes, ECHO_BYTES, AF_INET, &echo, 0);
    return (struct packet_out){
        .to = address(text), .ifindex = ifindex, .bytes = bytes, .size_bytes = ECHO_BYTES};
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, timeout_ms) == 1;
}

/* Dispatches as long as the outer loop would, until the request has its reply and nothing is left. */
static void await_reply(struct probe_stream *stream)
{
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + 20 * NS_PER_S;
    struct probe_observation observation = {.outcome = PROBE_TIMEOUT};

    while (!probe_stream_next(stream, &observation) && clock_now_ns(CLOCK_MONOTONIC) < deadline_ns) {
        cr_assert_eq(probe_stream_dispatch(stream), 0);
        is_readable(probe_stream_fd(stream), 10);
    }
    cr_assert_eq(observation.outcome, PROBE_REPLY);
    cr_assert_eq(probe_stream_dispatch(stream), 0);
}

/* Anybody can send us a reply with the ident of a family to which no target belongs: it is read, and ends the matter. */
static void check_untargeted_family(const struct cluster *c, size_t way)
{
    struct probe_settings settings = probe_settings_default();
    CLEANUP(probe_stream_free) struct probe_stream *stream = NULL;
    CLEANUP(close_fd) int forger = netns_socket(c->peer, AF_INET, SOCK_RAW, IPPROTO_ICMP);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a010001)};
    struct transport *transport = NULL;
    uint8_t bytes[ECHO_BYTES], reply[ECHO_BYTES];
    struct packet_out request;
    uint64_t foreign;
    uint16_t ident;
    char text[128] = "";
    int fd;

    settings.transport = ways[way].transport;
    settings.select_timeout_ns = 600 * NS_PER_S;
    cr_assert_eq(transport_open(&transport, &settings, 1, text, sizeof(text)), 0, "%s", text);
    cr_assert_eq(transport->operations->open_family(transport, AF_INET, &ident, text, sizeof(text)), 0);
    cr_assert_eq(probe_stream_new_over(&stream, &settings, transport), 0);
    add_path(stream, "fd01::2", 600 * 1000, 0);
    await_reply(stream);
    fd = probe_stream_fd(stream);
    cr_assert_not(is_readable(fd, 0), "way %zu", way);
    foreign = probe_stream_counters(stream)->foreign;

    request = echo_to("10.1.0.1", 0, ident, bytes);
    simulated_make_reply(&request, reply);
    cr_assert_eq(sendto(forger, reply, sizeof(reply), 0, (struct sockaddr *)&to, sizeof(to)), sizeof(reply));
    cr_assert(is_readable(fd, 20000), "way %zu", way);
    cr_assert_eq(probe_stream_dispatch(stream), 0);
    cr_expect_not(is_readable(fd, 0), "way %zu: the outer loop spins", way);
    cr_expect_eq(probe_stream_counters(stream)->foreign, foreign + 1, "way %zu", way);
}

Test(transports, a_family_without_targets_is_drained)
{
    struct cluster c;

    cluster_make(&c);
    for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
        if (!is_real(way))
            continue;
        cluster_allow_ping_sockets(ways[way].kind == PING);
        check_untargeted_family(&c, way);
    }
}

/* Replies are on the way to both when one of them cannot send. */
Test(transports, what_cannot_be_sent_costs_others_no_reply)
{
    struct probe_settings settings = probe_settings_default();
    struct transport *transport;
    uint64_t deadline_ns;
    unsigned replies = 0;
    uint16_t ident;
    bool complete;
    int fd;
    char text[128] = "";
    struct cluster c;

    cluster_make(&c);
    cluster_allow_ping_sockets(false);
    lacking_note(LACKING_PKTINFO, -ENOPROTOOPT);
    settings.transport = "poll";
    cr_assert_eq(transport_open(&transport, &settings, 1, text, sizeof(text)), 0, "%s", text);
    cr_assert_eq(transport->operations->open_family(transport, AF_INET, &ident, text, sizeof(text)), 0);
    fd = transport->operations->fd(transport, &complete);
    cr_assert_eq(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &(int){0}, sizeof(int)),
                 0); /* this kernel would tell */

    uint8_t bytes[3][ECHO_BYTES];
    struct packet_out out[] = {echo_to("10.1.0.2", c.first_ifindex, ident, bytes[0]),
                               echo_to("10.99.0.1", c.second_ifindex, ident, bytes[1]),
                               echo_to("10.5.0.2", c.second_ifindex, ident, bytes[2])};

    cr_assert_eq(transport->operations->send(transport, out, ARRAY_SIZE(out)), ARRAY_SIZE(out));
    cr_assert_eq(out[1].error, ENETUNREACH);
    deadline_ns = transport->operations->now(transport) + 20 * NS_PER_S;
    while (replies < 2 && transport->operations->now(transport) < deadline_ns) {
        struct packet_in in[TRANSPORT_BATCH];
        int got;

        cr_assert_eq(transport->operations->wait(transport, deadline_ns, -1), 0);
        got = transport->operations->receive(transport, AF_INET, in, TRANSPORT_BATCH);
        for (int i = 0; i < got; i++, replies++)
            cr_expect_eq(in[i].ifindex,
                         if_nametoindex(address_equal(&in[i].from, &out[0].to) ? "first" : "second"), "%s",
                         ADDRESS_TEXT(&in[i].from));
    }
    cr_expect_eq(replies, 2);
    transport_close(transport);
}

Test(transports, full_size_requests_beside_the_usual_ones)
{
    struct cluster c;

    cluster_make(&c);
    for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
        CLEANUP(probe_stream_free) struct probe_stream *stream = NULL;
        struct seen seen = {0};
        size_t fits = 0, too_big = 0;

        if (!is_real(way))
            continue;
        cluster_allow_ping_sockets(ways[way].kind == PING);
        stream = open_stream(ways[way].transport, 50);
        uint32_t far = add_path(stream, "10.4.0.2", 50, c.first_ifindex);

        cr_assert_eq(probe_stream_request(stream, far, 1272), 0);
        cr_assert_eq(probe_stream_request(stream, far, 1273), 0);
        run_stream(stream, &seen, 120);
        for (size_t i = 0; i < seen.count; i++) {
            const struct probe_observation *o = &seen.observations[i];

            fits += o->extra && o->payload_bytes == 1272 && o->outcome == PROBE_REPLY;
            too_big += o->extra && o->payload_bytes == 1273 && o->outcome == PROBE_FRAG_NEEDED &&
                       o->error.mtu_bytes == 1300;
            cr_expect(o->extra || o->outcome == PROBE_REPLY, "way %zu", way);
        }
        cr_expect_eq(fits, 1, "way %zu", way);
        cr_expect_eq(too_big, 1, "way %zu", way);
    }
}

/* Runs a stream in a process of its own and tells how many requests went unanswered. */
static int stream_process(void *context)
{
    struct probe_stream *stream = open_stream(context, 50);
    uint32_t id = add_path(stream, "10.1.0.2", 50, 0);
    struct seen seen = {0};

    run_stream(stream, &seen, 2000);
    probe_stream_free(stream);
    if (count_seen(&seen, id, PROBE_REPLY) < 3)
        return 101;
    return (int)(count_all(&seen, id) - count_seen(&seen, id, PROBE_REPLY));
}

/* SIGSTOP for longer than window and tolerance, several times: not one miss on a live path. */
Test(transports, a_stopped_process_blames_nobody)
{
    struct cluster c;

    cluster_make(&c);
    for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
        char name[16];
        pid_t pid;

        if (!is_real(way))
            continue;
        cluster_allow_ping_sockets(ways[way].kind == PING);
        snprintf(name, sizeof(name), "%s", ways[way].transport);
        pid = netns_spawn(NETNS_HERE, stream_process, name);
        for (int i = 0; i < 3; i++) {
            usleep(110000); /* so long it runs, */
            kill(pid, SIGSTOP);
            usleep(400000); /* and so long it stands still */
            kill(pid, SIGCONT);
        }
        cr_expect_eq(netns_wait(pid), 0, "way %zu", way);
    }
}

/* --- settings --- */

static const struct {
    const char *name;
    const char *source;
    const char *interface;
    const char *target;
    int want_new;
    enum probe_outcome want;
} settings_rows[] = {
    {"a source of ours", "10.5.0.1", "", "10.1.0.2", 0, PROBE_REPLY},
    {"a source that is not ours", "10.77.0.1", "", "10.1.0.2", -EADDRNOTAVAIL, 0},
    {"the right interface", "", "first", "10.1.0.2", 0, PROBE_REPLY},
    {"the wrong one", "", "second", "10.1.0.2", 0, PROBE_TIMEOUT},
    {"one that is not there", "", "nosuch", "10.1.0.2", -ENODEV, 0},
};

Test(transports, source_and_interface)
{
    struct cluster c;

    cluster_make(&c);
    for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
        for (size_t i = 0; i < ARRAY_SIZE(settings_rows) && is_real(way); i++) {
            CLEANUP(probe_sweep_free) struct probe_sweep *sweep = NULL;
            struct probe_settings settings = probe_settings_default();
            struct address target = address(settings_rows[i].target);
            struct probe_result result;
            char text[128] = "";
            uint32_t index;
            int r;

            cluster_allow_ping_sockets(ways[way].kind == PING);
            settings.transport = ways[way].transport;
            settings.select_timeout_ns = 100 * NS_PER_MS;
            if (settings_rows[i].source[0])
                settings.source4 = address(settings_rows[i].source);
            snprintf(settings.interface, IFNAMSIZ, "%s", settings_rows[i].interface);
            r = probe_sweep_new(&sweep, &settings, text, sizeof(text));
            cr_expect_eq(r, settings_rows[i].want_new, "%s: %d %s", settings_rows[i].name, r, text);
            if (r < 0) {
                cr_expect(text[0] != '\0');
                continue;
            }
            cr_assert_eq(probe_sweep_add(sweep, &target, &index), 0);
            while (!probe_sweep_next(sweep, &result))
                cr_assert_eq(front_end_step(probe_sweep_front(sweep), NEVER_NS), 0);
            cr_expect_eq(result.outcome, settings_rows[i].want, "%s, way %zu: %s", settings_rows[i].name, way,
                         probe_outcome_text(result.outcome));
        }
    }
}

static const struct {
    const char *transport;
    int want;
    const char *runs;
} choices[] = {
    {"auto", 0, NULL}, {"epoll", 0, "epoll"}, {"poll", 0, "poll"}, {"carrier-pigeon", -EINVAL, ""}};

Test(transports, are_chosen_by_name)
{
    struct cluster c;

    cluster_make(&c);
    for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
        CLEANUP(probe_sweep_free) struct probe_sweep *sweep = NULL;
        struct probe_settings settings = probe_settings_default();
        char text[128] = "";

        settings.transport = choices[i].transport;
        cr_assert_eq(probe_sweep_new(&sweep, &settings, text, sizeof(text)), choices[i].want, "%s", text);
        if (choices[i].want == 0 && choices[i].runs)
            cr_assert_str_eq(front_end_transport(probe_sweep_front(sweep)), choices[i].runs);
        else if (choices[i].want < 0)
            cr_assert(strstr(text, "carrier-pigeon"), "%s", text);
    }
}

/* A descriptor that becomes readable ends the wait of a sweep. */
Test(transports, a_wakeup_ends_the_wait)
{
    struct cluster c;

    cluster_make(&c);
    for (size_t way = 0; way < ARRAY_SIZE(ways); way++) {
        CLEANUP(probe_sweep_free) struct probe_sweep *sweep = NULL;
        struct probe_settings settings = probe_settings_default();
        struct probe_result result;
        uint64_t begin_ns;
        CLEANUP(close_fd) int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        if (!is_real(way))
            continue;
        cr_assert_geq(fd, 0);
        settings.transport = ways[way].transport;
        settings.select_timeout_ns = 600 * NS_PER_S;
        open_sweep(&sweep, &settings);
        front_end_set_wakeup(probe_sweep_front(sweep), fd);
        cr_assert_eq(eventfd_write(fd, 1), 0);
        begin_ns = clock_now_ns(CLOCK_MONOTONIC);
        cr_assert_eq(front_end_step(probe_sweep_front(sweep), begin_ns + 20 * NS_PER_S), 0);
        cr_assert_lt(clock_now_ns(CLOCK_MONOTONIC) - begin_ns, 10 * NS_PER_S);
        cr_assert_not(probe_sweep_next(sweep, &result));
        cr_assert_eq(eventfd_read(fd, &(eventfd_t){0}), -1, "it has been emptied");
    }
}
