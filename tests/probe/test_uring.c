/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves of the io_uring transport, beyond what all transports have in common, against the real
 * kernel: that no message is lost, doubled or out of order when buffers run out, the completion queue
 * overflows, errors end a receive or buffers grow; that its descriptor wakes an outer loop whenever something
 * can be received; that waits end when they should; that it can be closed with requests in flight; and that
 * sends know what became of each message.
 *
 * Replies are made up by a peer in another namespace, so each test decides what arrives and when. Everything
 * runs deferred (DEFER_TASKRUN), as on new kernels, and cooperative, as on 6.0.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/net_tstamp.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/utsname.h>

#include "probe/icmp.h"
#include "probe/socket.h"
#include "probe/transport_uring.h"
#include "tests/lib/netns.h"

#define PATIENCE_MS   10000
#define PAYLOAD_BYTES 56

static const struct uring_limits modes[] = {
    {.completions = 256, .buffers = 64},
    {.completions = 256, .buffers = 64, .cooperative = true},
    {.completions = 64, .buffers = 32},
    {.completions = 64, .buffers = 32, .cooperative = true},
};

/* Where we are, and a peer that makes replies up. */
struct world {
    int peer;
    int sockets[2]; /* of the peer: IPv4, IPv6 */
    struct address here[2];
    struct address there[2];
    struct address nowhere[2]; /* no route leads there */
    struct address silent;     /* on the link, but nobody has it */
    struct transport *transport;
    const struct transport_operations *operations;
    uint16_t ident[2];
};

static struct address address(const char *text)
{
    struct address a;

    cr_assert_eq(address_parse(&a, text), 0);
    return a;
}

/*
 * The kernel begins to take time stamps a moment after the first socket has asked for them: what comes before
 * has none. So one asks, as long as the process lives, and waits for the first stamp.
 */
static void await_time_stamps(const struct world *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a010001)};
    int fd = netns_socket(NETNS_HERE, AF_INET, SOCK_RAW, IPPROTO_ICMP), r;
    const int flags = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    const uint8_t reply[64] = {ICMP_ECHOREPLY};
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + 20 * NS_PER_S;
    struct msghdr message;

    cr_assert_geq(fd, 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof(flags)), 0);
    do {
        _Alignas(8) uint8_t control[256], bytes[128];
        struct iovec vector = {bytes, sizeof(bytes)};

        message = (struct msghdr){
            .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        cr_assert_eq(sendto(w->sockets[0], reply, sizeof(reply), 0, (struct sockaddr *)&to, sizeof(to)), 64);
        r = (int)recvmsg(fd, &message, 0);
        cr_assert_gt(r, 0);
        cr_assert_lt(clock_now_ns(CLOCK_MONOTONIC), deadline_ns);
    } while (!CMSG_FIRSTHDR(&message));
}

static void make_world(struct world *w)
{
    int r = netns_enter();

    if (r < 0)
        cr_skip_test("no network namespaces here: %s", strerror(-r));
    *w = (struct world){
        .peer = netns_new(),
        .here = {address("10.1.0.1"), address("fd01::1")},
        .there = {address("10.1.0.2"), address("fd01::2")},
        .nowhere = {address("10.99.0.1"), address("fd99::1")},
        .silent = address("10.1.0.200"),
    };
    cr_assert_geq(w->peer, 0);
    netns_veth(NETNS_HERE, "here", "10.1.0.1/24", w->peer, "there", "10.1.0.2/24");
    netns_must(NETNS_HERE, "ip address add fd01::1/64 dev here nodad");
    netns_must(w->peer, "ip address add fd01::2/64 dev there nodad");
    netns_must(NETNS_HERE, "echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range");
    w->sockets[0] = netns_socket(w->peer, AF_INET, SOCK_RAW, IPPROTO_ICMP);
    w->sockets[1] = netns_socket(w->peer, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
    cr_assert(w->sockets[0] >= 0 && w->sockets[1] >= 0);
    await_time_stamps(w);
}

/* What the transport needs came with Linux 6.0; before, the kernel answers EINVAL. */
static bool is_too_old(void)
{
    struct utsname name;

    return uname(&name) == 0 && atoi(name.release) < 6;
}

static void open_transport(struct world *w, const struct uring_limits *limits)
{
    struct probe_settings settings = probe_settings_default();
    char text[128] = "";
    int r = transport_uring_open_limited(&w->transport, &settings, limits);

    if (r == -EPERM || r == -ENOSYS || r == -EACCES || (r == -EINVAL && is_too_old()))
        cr_skip_test("no io_uring here: %s", strerror(-r));
    cr_assert_eq(r, 0, "%s", strerror(-r));
    w->operations = w->transport->operations;
    for (int i = 0; i < 2; i++)
        cr_assert_eq(w->operations->open_family(w->transport, i ? AF_INET6 : AF_INET, &w->ident[i], text,
                                                sizeof(text)),
                     0, "%s", text);
    cr_assert_geq(w->operations->reserve(w->transport, PAYLOAD_BYTES, 2000), 1);
}

static void close_transport(struct world *w)
{
    w->transport = transport_close(w->transport);
}

/* The byte at `i` of message `number`, so that mixed up contents are seen. */
static uint8_t pattern(uint32_t number, size_t i)
{
    return (uint8_t)(number * 7 + i);
}

static size_t make_reply(const struct world *w, int family, uint32_t number, size_t payload_bytes,
                         uint8_t *bytes)
{
    int i = family == AF_INET6;
    uint16_t checksum;

    memset(bytes, 0, ICMP_HEADER_BYTES);
    bytes[0] = i ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY;
    bytes[4] = (uint8_t)(w->ident[i] >> 8);
    bytes[5] = (uint8_t)w->ident[i];
    bytes[6] = (uint8_t)(number >> 8);
    bytes[7] = (uint8_t)number;
    for (size_t k = 0; k < payload_bytes; k++)
        bytes[ICMP_HEADER_BYTES + k] = pattern(number, k);
    checksum = icmp_checksum(bytes, ICMP_HEADER_BYTES + payload_bytes);
    if (!i)
        memcpy(bytes + 2, &checksum, 2);
    return ICMP_HEADER_BYTES + payload_bytes;
}

/* The peer sends us replies `first`..`first + count - 1`; they are in our socket when this returns. */
static void deliver(const struct world *w, int family, uint32_t first, uint32_t count, size_t payload_bytes)
{
    int i = family == AF_INET6;
    struct sockaddr_storage name;
    socklen_t length = address_to_sockaddr(&w->here[i], 0, &name);
    static uint8_t bytes[65536];

    for (uint32_t k = first; k < first + count; k++) {
        size_t size = make_reply(w, family, k, payload_bytes, bytes);

        uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + 20 * NS_PER_S;
        ssize_t sent;

        /* Where a link delivers later the messages before this one may still fill our sender's buffer. */
        do
            sent = sendto(w->sockets[i], bytes, size, 0, (struct sockaddr *)&name, length);
        while (sent < 0 && (errno == EAGAIN || errno == ENOBUFS) &&
               clock_now_ns(CLOCK_MONOTONIC) < deadline_ns);
        cr_assert_eq(sent, (ssize_t)size, "%s", strerror(errno));
    }
}

static uint32_t number_of(const struct packet_in *packet)
{
    return (uint32_t)packet->bytes[6] << 8 | packet->bytes[7];
}

static void check_packet(const struct world *w, int family, const struct packet_in *packet, uint32_t number,
                         size_t payload_bytes)
{
    uint64_t now_ns = w->operations->now(w->transport);

    cr_assert_eq(number_of(packet), number, "expected %" PRIu32 ", got %" PRIu32, number, number_of(packet));
    cr_assert_eq(packet->size_bytes, ICMP_HEADER_BYTES + payload_bytes);
    for (size_t i = 0; i < payload_bytes; i++)
        cr_assert_eq(packet->bytes[ICMP_HEADER_BYTES + i], pattern(number, i));
    cr_assert(address_equal(&packet->from, &w->there[family == AF_INET6]));
    cr_assert_eq(packet->ifindex, if_nametoindex("here"));
    cr_assert_not(packet->quoted);
    cr_assert(packet->at_ns && packet->at_ns <= now_ns && now_ns - packet->at_ns < 60 * NS_PER_S);
}

/* One message. Where links deliver later it may be on its way: somebody else's may have made us readable. */
static void expect_one(const struct world *w, int family, uint32_t number, size_t payload_bytes)
{
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + 20 * NS_PER_S;
    struct packet_in packet;
    int got;

    do
        got = w->operations->receive(w->transport, family, &packet, 1);
    while (got == 0 && clock_now_ns(CLOCK_MONOTONIC) < deadline_ns);
    cr_assert_eq(got, 1);
    check_packet(w, family, &packet, number, payload_bytes);
}

/* Receives as the engine does: until there are fewer than asked for. All of `count` must be there by then. */
static void expect(const struct world *w, int family, uint32_t first, uint32_t count, size_t payload_bytes)
{
    struct packet_in packets[TRANSPORT_BATCH];
    uint32_t seen = 0;
    int got;

    do {
        got = w->operations->receive(w->transport, family, packets, TRANSPORT_BATCH);
        cr_assert_geq(got, 0, "%s", strerror(-got));
        for (int i = 0; i < got; i++)
            check_packet(w, family, &packets[i], first + seen + (uint32_t)i, payload_bytes);
        seen += (uint32_t)got;
    } while (got == TRANSPORT_BATCH);
    cr_assert_eq(seen, count, "%" PRIu32 " of %" PRIu32, seen, count);
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, timeout_ms) == 1;
}

static unsigned send_to(const struct world *w, const struct address *to, struct packet_out *packets,
                        unsigned count)
{
    static uint8_t bytes[TRANSPORT_BATCH][ICMP_HEADER_BYTES + PAYLOAD_BYTES];

    for (unsigned i = 0; i < count; i++) {
        struct icmp_echo echo = {.ident = w->ident[to->family == AF_INET6], .sequence = (uint16_t)i};

        icmp_pattern_fill(bytes[i], sizeof(bytes[i]));
        icmp_request_build(bytes[i], sizeof(bytes[i]), to->family, &echo, 0);
        packets[i] =
            (struct packet_out){.to = *to, .bytes = bytes[i], .size_bytes = sizeof(bytes[i]), .error = -1};
    }
    return w->operations->send(w->transport, packets, count);
}

/* --- receiving --- */

Test(uring, loses_nothing_when_buffers_run_out, .timeout = 60)
{
    struct world w;

    make_world(&w);
    for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
        open_transport(&w, &modes[m]);
        expect(&w, AF_INET, 0, 0, 0); /* the receive is armed now */
        deliver(&w, AF_INET, 0, 1000, PAYLOAD_BYTES);
        deliver(&w, AF_INET6, 0, 1000, PAYLOAD_BYTES);
        expect(&w, AF_INET, 0, 1000, PAYLOAD_BYTES);
        expect(&w, AF_INET6, 0, 1000, PAYLOAD_BYTES);
        /* And exactly as many as there are buffers. */
        for (uint32_t count = modes[m].buffers - 1U; count <= modes[m].buffers + 1U; count++) {
            deliver(&w, AF_INET, 5, count, PAYLOAD_BYTES);
            expect(&w, AF_INET, 5, count, PAYLOAD_BYTES);
        }
        close_transport(&w);
    }
}

/* Before the first call, nothing is armed: what came by then waits in the socket. */
Test(uring, receives_what_came_before_it_was_armed, .timeout = 60)
{
    struct world w;

    make_world(&w);
    for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
        open_transport(&w, &modes[m]);
        deliver(&w, AF_INET, 0, 100, PAYLOAD_BYTES);
        expect(&w, AF_INET, 0, 100, PAYLOAD_BYTES);
        close_transport(&w);
    }
}

/* More completions at once than the queue has room for: 32 + 32 messages and 32 refused sends into 64. */
Test(uring, loses_nothing_when_completions_overflow, .timeout = 60)
{
    struct world w;

    make_world(&w);
    for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
        struct packet_out packets[TRANSPORT_BATCH];

        open_transport(&w, &modes[m]);
        for (int round = 0; round < 10; round++) {
            expect(&w, AF_INET, 0, 0, 0);
            deliver(&w, AF_INET, 0, 200, PAYLOAD_BYTES);
            deliver(&w, AF_INET6, 0, 200, PAYLOAD_BYTES);
            cr_assert_eq(send_to(&w, &w.nowhere[round % 2], packets, TRANSPORT_BATCH), TRANSPORT_BATCH);
            for (unsigned i = 0; i < TRANSPORT_BATCH; i++)
                cr_assert_eq(packets[i].error, ENETUNREACH, "mode %zu, packet %u: %d", m, i,
                             packets[i].error);
            expect(&w, AF_INET, 0, 200, PAYLOAD_BYTES);
            expect(&w, AF_INET6, 0, 200, PAYLOAD_BYTES);
        }
        close_transport(&w);
    }
}

/* Messages that are in our hands already, of both families, survive that the buffers are replaced. */
Test(uring, grows_its_buffers_with_messages_in_them, .timeout = 60)
{
    struct world w;

    make_world(&w);
    for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
        struct packet_in packet;
        struct packet_out out;

        open_transport(&w, &modes[m]);
        for (size_t payload_bytes = 2000; payload_bytes <= 8000; payload_bytes += 3000) {
            expect(&w, AF_INET, 0, 0, 0);
            deliver(&w, AF_INET, 0, 100, PAYLOAD_BYTES);
            deliver(&w, AF_INET6, 0, 100, PAYLOAD_BYTES);
            /* These fetch more than they hand out. */
            cr_assert_eq(send_to(&w, &w.nowhere[0], &out, 1), 1);
            cr_assert_eq(w.operations->receive(w.transport, AF_INET, &packet, 1), 1);
            check_packet(&w, AF_INET, &packet, 0, PAYLOAD_BYTES);
            cr_assert_geq(w.operations->reserve(w.transport, (uint32_t)payload_bytes, 2000), 1);
            expect(&w, AF_INET, 1, 99, PAYLOAD_BYTES);
            expect(&w, AF_INET6, 0, 100, PAYLOAD_BYTES);
            deliver(&w, AF_INET, 0, 100, payload_bytes);
            deliver(&w, AF_INET6, 0, 100, payload_bytes);
            expect(&w, AF_INET, 0, 100, payload_bytes);
            expect(&w, AF_INET6, 0, 100, payload_bytes);
        }
        close_transport(&w);
    }
}

/* An ICMP error on the socket ends the receive; it comes by itself, once, and messages go on coming. */
Test(uring, receives_errors_and_goes_on, .timeout = 60)
{
    struct world w;

    make_world(&w);
    netns_must(w.peer, "nft 'table ip t { chain in { type filter hook input priority 0;"
                       "icmp type echo-request reject with icmp type host-prohibited; }; }' &&"
                       "echo 0 > /proc/sys/net/ipv4/icmp_ratelimit &&"
                       "echo 10000 > /proc/sys/net/ipv4/icmp_msgs_per_sec &&"
                       "echo 10000 > /proc/sys/net/ipv4/icmp_msgs_burst");
    for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
        struct packet_out out[TRANSPORT_BATCH];
        struct packet_in in[TRANSPORT_BATCH];

        open_transport(&w, &modes[m]);
        for (uint32_t round = 0; round < 20; round++) {
            int errors = 0;
            int got;

            cr_assert_eq(send_to(&w, &w.there[0], out, 8), 8);
            deliver(&w, AF_INET, round, 1, PAYLOAD_BYTES);
            expect(&w, AF_INET, round, 1, PAYLOAD_BYTES);
            while ((got = w.operations->receive_errors(w.transport, AF_INET, in, TRANSPORT_BATCH)) > 0) {
                for (int i = 0; i < got; i++) {
                    cr_assert(in[i].quoted);
                    cr_assert(address_equal(&in[i].destination, &w.there[0]));
                    cr_assert_eq(in[i].icmp_type, ICMP_DEST_UNREACH);
                    cr_assert_eq(in[i].icmp_code, ICMP_HOST_ANO);
                }
                errors += got;
            }
            cr_assert_eq(errors, 8, "mode %zu, round %" PRIu32 ": %d", m, round, errors);
        }
        close_transport(&w);
    }
}

/* --- waiting --- */

/* While the other one sleeps, as far as one can tell. */
static int deliver_soon(void *context)
{
    const struct world *w = context;

    usleep(30000);
    deliver(w, AF_INET, 1, 1, PAYLOAD_BYTES);
    return 0;
}

Test(uring, wakes_an_outer_loop, .timeout = 60)
{
    struct world w;

    make_world(&w);
    for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
        struct packet_out out;
        bool complete;
        int fd;

        open_transport(&w, &modes[m]);
        fd = w.operations->fd(w.transport, &complete);
        cr_assert(complete);
        expect(&w, AF_INET, 0, 0, 0);
        expect(&w, AF_INET6, 0, 0, 0);
        for (uint32_t round = 0; round < 20; round++) {
            int family = round % 2 ? AF_INET6 : AF_INET;
            int other = round % 2 ? AF_INET : AF_INET6;

            cr_assert_not(is_readable(fd, 0), "mode %zu, round %" PRIu32, m, round);
            deliver(&w, family, 7, 1, PAYLOAD_BYTES);
            cr_assert(is_readable(fd, PATIENCE_MS), "mode %zu, round %" PRIu32, m, round);
            expect(&w, family, 7, 1, PAYLOAD_BYTES);
            cr_assert_not(is_readable(fd, 0));

            /* As long as something is left it stays so, in the kernel or with us. */
            deliver(&w, family, 0, 40, PAYLOAD_BYTES);
            deliver(&w, other, 0, 40, PAYLOAD_BYTES);
            for (uint32_t i = 0; i < 40; i++) {
                cr_assert(is_readable(fd, PATIENCE_MS), "mode %zu, %" PRIu32, m, i);
                expect_one(&w, family, i, PAYLOAD_BYTES);
            }
            cr_assert(is_readable(fd, PATIENCE_MS));
            expect(&w, other, 0, 40, PAYLOAD_BYTES);
            expect(&w, family, 0, 0, 0);
            cr_assert_not(is_readable(fd, 0));

            /* A send may fetch messages as well. */
            deliver(&w, family, 3, 2, PAYLOAD_BYTES);
            cr_assert_eq(send_to(&w, &w.nowhere[0], &out, 1), 1);
            cr_assert(is_readable(fd, PATIENCE_MS));
            expect(&w, family, 3, 2, PAYLOAD_BYTES);
            expect(&w, other, 0, 0, 0);
        }
        for (int i = 0; i < 3; i++) {
            pid_t child = netns_spawn(NETNS_HERE, deliver_soon, &w);

            cr_assert(is_readable(fd, PATIENCE_MS), "mode %zu: asleep", m);
            expect(&w, AF_INET, 1, 1, PAYLOAD_BYTES);
            netns_stop(child);
        }
        close_transport(&w);
    }
}

static void wait_for_message(struct world *w)
{
    pid_t child = netns_spawn(NETNS_HERE, deliver_soon, w);

    cr_assert_eq(w->operations->wait(w->transport, NEVER_NS, -1), 0);
    expect(w, AF_INET, 1, 1, PAYLOAD_BYTES);
    netns_stop(child);
}

static uint64_t waited_ns(const struct world *w, uint64_t for_ns, int wakeup_fd)
{
    uint64_t begin_ns = w->operations->now(w->transport);

    cr_assert_eq(w->operations->wait(w->transport, begin_ns + for_ns, wakeup_fd), 0);
    expect(w, AF_INET, 0, 0, 0);
    return w->operations->now(w->transport) - begin_ns;
}

Test(uring, waits_for_messages_time_and_a_wakeup, .timeout = 60)
{
    struct world w;

    make_world(&w);
    for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
        int first[2];
        int second[2];
        char c;

        open_transport(&w, &modes[m]);
        cr_assert(pipe(first) == 0 && pipe(second) == 0);
        wait_for_message(&w);
        cr_assert_geq(waited_ns(&w, 20 * NS_PER_MS, -1), 20 * NS_PER_MS);
        cr_assert_eq(w.operations->wait(w.transport, 0, -1), 0); /* a deadline of long ago */

        cr_assert_geq(waited_ns(&w, 20 * NS_PER_MS, first[0]), 20 * NS_PER_MS);
        cr_assert_eq(write(first[1], "x", 1), 1);
        for (int i = 0; i < 3; i++) /* as long as it is readable */
            cr_assert_lt(waited_ns(&w, 20 * NS_PER_S, first[0]), 10 * NS_PER_S);
        cr_assert_eq(read(first[0], &c, 1), 1);
        waited_ns(&w, 0, first[0]); /* may still know of the byte */
        cr_assert_geq(waited_ns(&w, 20 * NS_PER_MS, first[0]), 20 * NS_PER_MS);

        /* Another one, and the first does not matter any more; then none. */
        cr_assert_eq(write(second[1], "x", 1), 1);
        cr_assert_lt(waited_ns(&w, 20 * NS_PER_S, second[0]), 10 * NS_PER_S);
        cr_assert_eq(read(second[0], &c, 1), 1);
        cr_assert_eq(write(first[1], "x", 1), 1);
        waited_ns(&w, 0, second[0]);
        cr_assert_geq(waited_ns(&w, 20 * NS_PER_MS, second[0]), 20 * NS_PER_MS);
        waited_ns(&w, 0, -1);
        cr_assert_geq(waited_ns(&w, 20 * NS_PER_MS, -1), 20 * NS_PER_MS);
        wait_for_message(&w);
        close_transport(&w);
        for (int i = 0; i < 2; i++) {
            close(first[i]);
            close(second[i]);
        }
    }
}

/* A message in our hands ends a wait, too. */
Test(uring, does_not_wait_while_messages_wait, .timeout = 60)
{
    struct world w;

    make_world(&w);
    for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
        struct packet_in packet;

        open_transport(&w, &modes[m]);
        deliver(&w, AF_INET, 0, 20, PAYLOAD_BYTES);
        for (uint32_t i = 0; i < 20; i++) {
            cr_assert_eq(w.operations->wait(w.transport, NEVER_NS, -1), 0);
            cr_assert_eq(w.operations->receive(w.transport, AF_INET, &packet, 1), 1);
            check_packet(&w, AF_INET, &packet, i, PAYLOAD_BYTES);
        }
        close_transport(&w);
    }
}

/* --- sending --- */

/* The peer's kernel answers each request that reached it, once. */
static void count_replies(const struct world *w, unsigned *counts)
{
    struct packet_in packets[TRANSPORT_BATCH];
    int got;

    do {
        got = w->operations->receive(w->transport, AF_INET, packets, TRANSPORT_BATCH);
        cr_assert_geq(got, 0);
        for (int i = 0; i < got; i++)
            counts[number_of(&packets[i])]++;
    } while (got == TRANSPORT_BATCH);
}

Test(uring, sends_each_message_once, .timeout = 60)
{
    struct world w;

    make_world(&w);
    for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
        struct packet_out packets[TRANSPORT_BATCH];
        unsigned counts[TRANSPORT_BATCH] = {0};

        open_transport(&w, &modes[m]);
        cr_assert_eq(send_to(&w, &w.there[0], packets, TRANSPORT_BATCH), TRANSPORT_BATCH);
        count_replies(&w, counts);
        for (unsigned i = 0; i < TRANSPORT_BATCH; i++) {
            cr_assert_eq(packets[i].error, 0);
            cr_assert_eq(counts[i], 1, "mode %zu, packet %u: %u replies", m, i, counts[i]);
        }
        close_transport(&w);
    }
}

/* Each has its own result, whatever the family, the DF setting and the results of those around it. */
Test(uring, tells_the_results_of_a_mixed_batch_apart, .timeout = 60)
{
    struct world w;

    make_world(&w);
    for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
        struct packet_out packets[TRANSPORT_BATCH];
        static uint8_t bytes[2][ICMP_HEADER_BYTES + 1600] = {{ICMP_ECHO}, {ICMP6_ECHO_REQUEST}};

        open_transport(&w, &modes[m]);
        for (unsigned i = 0; i < TRANSPORT_BATCH; i++)
            packets[i] = (struct packet_out){
                .to = i & 2 ? w.nowhere[i & 1] : w.there[i & 1],
                .dont_fragment = i & 4,
                .bytes = bytes[i & 1],
                .size_bytes = i & 8 ? sizeof(bytes[0]) : 64,
                .error = -1,
            };
        cr_assert_eq(w.operations->send(w.transport, packets, TRANSPORT_BATCH), TRANSPORT_BATCH);
        for (unsigned i = 0; i < TRANSPORT_BATCH; i++) {
            bool too_big = packets[i].dont_fragment && packets[i].size_bytes > 1500;
            int want = i & 2 ? ENETUNREACH : too_big ? EMSGSIZE : 0;

            cr_assert_eq(packets[i].error, want, "mode %zu, packet %u: %s", m, i, strerror(packets[i].error));
            cr_assert_eq(packets[i].mtu_bytes, want == EMSGSIZE ? 1500 : 0);
        }
        close_transport(&w);
    }
}

static struct packet_out request_to(const struct world *w, const struct address *to, uint16_t sequence,
                                    uint8_t *bytes)
{
    struct icmp_echo echo = {.ident = w->ident[to->family == AF_INET6], .sequence = sequence};

    icmp_pattern_fill(bytes, 64);
    icmp_request_build(bytes, 64, to->family, &echo, 0);
    return (struct packet_out){.to = *to, .bytes = bytes, .size_bytes = 64};
}

/* Both families in one batch, both answer. */
Test(uring, sends_both_families_together, .timeout = 60)
{
    struct world w;

    make_world(&w);
    for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
        struct packet_out packets[TRANSPORT_BATCH];
        uint8_t bytes[TRANSPORT_BATCH][64];
        struct packet_in in[TRANSPORT_BATCH];

        open_transport(&w, &modes[m]);
        for (uint16_t i = 0; i < TRANSPORT_BATCH; i++)
            packets[i] = request_to(&w, &w.there[i & 1], i, bytes[i]);
        cr_assert_eq(w.operations->send(w.transport, packets, TRANSPORT_BATCH), TRANSPORT_BATCH);
        for (int family = 0; family < 2; family++) {
            int got = 0;

            /* The first to a neighbour waits until its address is known. */
            while (got < TRANSPORT_BATCH / 2) {
                int r = w.operations->receive(w.transport, family ? AF_INET6 : AF_INET, in, TRANSPORT_BATCH);

                cr_assert_geq(r, 0);
                for (int i = 0; i < r; i++)
                    cr_assert_eq(number_of(&in[i]) & 1, (unsigned)family);
                got += r;
            }
            cr_assert_eq(got, TRANSPORT_BATCH / 2);
        }
        close_transport(&w);
    }
}

/* A packet that names its interface leaves through it, among others that do not. */
Test(uring, sends_through_the_interface_that_is_asked_for, .timeout = 60)
{
    struct world w;
    uint32_t second;

    make_world(&w);
    netns_veth(NETNS_HERE, "second", "10.5.0.1/24", w.peer, "there2", "10.5.0.2/24");
    second = if_nametoindex("second");
    for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
        struct packet_out packets[2];
        struct packet_in in;
        uint8_t bytes[2][64];

        open_transport(&w, &modes[m]);
        for (uint16_t i = 0; i < 2; i++)
            packets[i] = request_to(&w, &w.there[0], i, bytes[i]);
        packets[1].ifindex = second;
        cr_assert_eq(w.operations->send(w.transport, packets, 2), 2);
        for (int seen = 0; seen < 2;) {
            int r = w.operations->receive(w.transport, AF_INET, &in, 1);

            cr_assert_geq(r, 0);
            if (r == 1)
                cr_assert_eq(in.ifindex, number_of(&in) ? second : if_nametoindex("here"), "mode %zu", m);
            seen += r;
        }
        close_transport(&w);
    }
}

/* Messages to a neighbour that does not answer stay in our send buffer until it is full. */
Test(uring, stops_where_the_kernel_has_no_room, .timeout = 60)
{
    struct world w;

    make_world(&w);
    for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
        struct packet_out packets[TRANSPORT_BATCH];
        unsigned counts[TRANSPORT_BATCH] = {0};
        struct socket_transport *t;
        unsigned done;
        int small = 1;

        open_transport(&w, &modes[m]);
        t = (struct socket_transport *)w.transport;
        cr_assert_eq(setsockopt(t->sockets[0].fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
        done = send_to(&w, &w.silent, packets, TRANSPORT_BATCH);
        cr_assert(done > 0 && done < TRANSPORT_BATCH, "%u", done);
        for (unsigned i = 0; i < done; i++)
            cr_assert_eq(packets[i].error, 0);
        cr_assert(packets[done].error == EAGAIN || packets[done].error == ENOBUFS);
        cr_assert_eq(send_to(&w, &w.there[0], packets, 4), 0);
        cr_assert_eq(packets[0].error, EAGAIN);

        /* With room again it goes on, and from here on in order. */
        small = 1 << 20;
        cr_assert_eq(setsockopt(t->sockets[0].fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
        cr_assert_eq(send_to(&w, &w.there[0], packets, TRANSPORT_BATCH), TRANSPORT_BATCH);
        count_replies(&w, counts);
        for (unsigned i = 0; i < TRANSPORT_BATCH; i++)
            cr_assert_eq(counts[i], 1, "mode %zu, packet %u: %u replies", m, i, counts[i]);
        close_transport(&w);
    }
}

/* --- life --- */

static int open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(d))
        count++;
    closedir(d);
    return count;
}

/* With receives armed, messages unread, read and on their way. */
Test(uring, closes_with_requests_in_flight, .timeout = 60)
{
    struct world w;
    int before;

    make_world(&w);
    before = open_descriptors();
    for (unsigned i = 0; i < 100; i++) {
        struct packet_out packets[TRANSPORT_BATCH];
        struct packet_in in;
        int fds[2];

        cr_assert_eq(pipe(fds), 0);
        open_transport(&w, &modes[i % ARRAY_SIZE(modes)]);
        if (i & 4)
            w.operations->wait(w.transport, 1, fds[0]);
        if (i & 8)
            cr_assert_eq(send_to(&w, &w.there[i & 1], packets, TRANSPORT_BATCH), TRANSPORT_BATCH);
        if (i & 16)
            deliver(&w, AF_INET, 0, 50, PAYLOAD_BYTES);
        if (i & 32)
            cr_assert_geq(w.operations->receive(w.transport, AF_INET, &in, 1), 0);
        if (i & 16)
            deliver(&w, AF_INET, 0, 50, PAYLOAD_BYTES);
        close_transport(&w);
        deliver(&w, AF_INET, 0, 1, PAYLOAD_BYTES); /* nobody is there any more */
        close(fds[0]);
        close(fds[1]);
    }
    cr_assert_eq(open_descriptors(), before);
}

/* A closed transport gives its ident back: another socket can have it. */
Test(uring, closes_its_sockets, .timeout = 60)
{
    struct world w;
    struct sockaddr_in name = {.sin_family = AF_INET};
    uint64_t end_ns = clock_now_ns(CLOCK_MONOTONIC) + PATIENCE_MS * NS_PER_MS;
    int fd;

    make_world(&w);
    open_transport(&w, &modes[0]);
    expect(&w, AF_INET, 0, 0, 0);
    close_transport(&w);
    fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
    name.sin_port = htons(w.ident[0]);
    while (bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0) {
        cr_assert_eq(errno, EADDRINUSE);
        cr_assert_lt(clock_now_ns(CLOCK_MONOTONIC), end_ns, "the ident is still in use");
        usleep(1000);
    }
    close(fd);
}

static void *use_elsewhere(void *context)
{
    struct world *w = context;
    struct packet_out packets[4];
    unsigned counts[TRANSPORT_BATCH] = {0};

    cr_assert_eq(send_to(w, &w->there[0], packets, 4), 4);
    count_replies(w, counts);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(counts[i], 1);
    return NULL;
}

/* Opened here, used by a thread of its own, closed here: as a pool of workers does. */
Test(uring, belongs_to_the_thread_that_uses_it, .timeout = 60)
{
    struct world w;
    pthread_t thread;

    make_world(&w);
    for (size_t m = 0; m < ARRAY_SIZE(modes); m++) {
        open_transport(&w, &modes[m]);
        cr_assert_eq(pthread_create(&thread, NULL, use_elsewhere, &w), 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        deliver(&w, AF_INET, 0, 50, PAYLOAD_BYTES);
        close_transport(&w);
    }
}
