/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves of the io_uring transport, beyond what all transports have in common, against the real
 * kernel: that no message is lost, doubled or out of order when buffers run out, the completion queue
 * overflows, errors end a receive or buffers grow; that its descriptor wakes an outer loop whenever something
 * can be received; that waits end when they should; and that it can be closed with requests in flight.
 *
 * Replies are made up by a peer in another namespace, so each test decides what arrives and when. Everything
 * runs deferred (DEFER_TASKRUN), as on new kernels, and cooperative, as on 6.0.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>

#include "probe/socket.h"
#include "tests/lib/asleep.h"
#include "tests/lib/netns.h"
#include "tests/probe/uring_world.h"

#define PATIENCE_MS 10000

/* The byte at `i` of message `number`, so that mixed up contents are seen. */
static uint8_t pattern(uint32_t number, size_t i)
{
    return (uint8_t)(number * 7 + i);
}

static size_t make_reply(const struct uring_world *w, int family, uint32_t number, size_t payload_bytes,
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
static void deliver(const struct uring_world *w, int family, uint32_t first, uint32_t count,
                    size_t payload_bytes)
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

static void check_packet(const struct uring_world *w, int family, const struct packet_in *packet,
                         uint32_t number, size_t payload_bytes)
{
    uint64_t now_ns = w->operations->now(w->transport);

    cr_assert_eq(uring_world_number(packet), number, "expected %" PRIu32 ", got %" PRIu32, number,
                 uring_world_number(packet));
    cr_assert_eq(packet->size_bytes, ICMP_HEADER_BYTES + payload_bytes);
    for (size_t i = 0; i < payload_bytes; i++)
        cr_assert_eq(packet->bytes[ICMP_HEADER_BYTES + i], pattern(number, i));
    cr_assert(address_equal(&packet->from, &w->there[family == AF_INET6]));
    cr_assert_eq(packet->ifindex, if_nametoindex("here"));
    cr_assert_not(packet->quoted);
    cr_assert(packet->at_ns && packet->at_ns <= now_ns && now_ns - packet->at_ns < 60 * NS_PER_S);
}

/* One message. Where links deliver later it may be on its way: somebody else's may have made us readable. */
static void expect_one(const struct uring_world *w, int family, uint32_t number, size_t payload_bytes)
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

/*
 * Receives as the engine does: until there are fewer than asked for. All of `count` are there by then. Only before the
 * first ones a link may take its time.
 */
static void expect(const struct uring_world *w, int family, uint32_t first, uint32_t count,
                   size_t payload_bytes)
{
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + 20 * NS_PER_S;
    struct packet_in packets[TRANSPORT_BATCH];
    uint32_t seen = 0;
    int got;

    do {
        got = w->operations->receive(w->transport, family, packets, TRANSPORT_BATCH);
        cr_assert_geq(got, 0, "%s", strerror(-got));
        for (int i = 0; i < got; i++)
            check_packet(w, family, &packets[i], first + seen + (uint32_t)i, payload_bytes);
        seen += (uint32_t)got;
    } while (got == TRANSPORT_BATCH ||
             (got == 0 && seen < count && clock_now_ns(CLOCK_MONOTONIC) < deadline_ns));
    cr_assert_eq(seen, count, "%" PRIu32 " of %" PRIu32, seen, count);
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, timeout_ms) == 1;
}

/* --- receiving --- */

Test(uring, loses_nothing_when_buffers_run_out, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        uring_world_open(&w, &uring_world_modes[m]);
        expect(&w, AF_INET, 0, 0, 0); /* the receive is armed now */
        deliver(&w, AF_INET, 0, 1000, URING_WORLD_PAYLOAD_BYTES);
        deliver(&w, AF_INET6, 0, 1000, URING_WORLD_PAYLOAD_BYTES);
        expect(&w, AF_INET, 0, 1000, URING_WORLD_PAYLOAD_BYTES);
        expect(&w, AF_INET6, 0, 1000, URING_WORLD_PAYLOAD_BYTES);
        /* And exactly as many as there are buffers. */
        for (uint32_t count = uring_world_modes[m].buffers - 1U; count <= uring_world_modes[m].buffers + 1U;
             count++) {
            deliver(&w, AF_INET, 5, count, URING_WORLD_PAYLOAD_BYTES);
            expect(&w, AF_INET, 5, count, URING_WORLD_PAYLOAD_BYTES);
        }
        uring_world_close(&w);
    }
}

/* Before the first call, nothing is armed: what came by then waits in the socket. */
Test(uring, receives_what_came_before_it_was_armed, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        uring_world_open(&w, &uring_world_modes[m]);
        deliver(&w, AF_INET, 0, 100, URING_WORLD_PAYLOAD_BYTES);
        expect(&w, AF_INET, 0, 100, URING_WORLD_PAYLOAD_BYTES);
        uring_world_close(&w);
    }
}

/* More completions at once than the queue has room for: 32 + 32 messages and 32 refused sends into 64. */
Test(uring, loses_nothing_when_completions_overflow, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        struct packet_out packets[TRANSPORT_BATCH];

        uring_world_open(&w, &uring_world_modes[m]);
        for (int round = 0; round < 10; round++) {
            expect(&w, AF_INET, 0, 0, 0);
            deliver(&w, AF_INET, 0, 200, URING_WORLD_PAYLOAD_BYTES);
            deliver(&w, AF_INET6, 0, 200, URING_WORLD_PAYLOAD_BYTES);
            cr_assert_eq(uring_world_send(&w, &w.nowhere[round % 2], packets, TRANSPORT_BATCH),
                         TRANSPORT_BATCH);
            for (unsigned i = 0; i < TRANSPORT_BATCH; i++)
                cr_assert_eq(packets[i].error, ENETUNREACH, "mode %zu, packet %u: %d", m, i,
                             packets[i].error);
            expect(&w, AF_INET, 0, 200, URING_WORLD_PAYLOAD_BYTES);
            expect(&w, AF_INET6, 0, 200, URING_WORLD_PAYLOAD_BYTES);
        }
        uring_world_close(&w);
    }
}

/* Messages that are in our hands already, of both families, survive that the buffers are replaced. */
Test(uring, grows_its_buffers_with_messages_in_them, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        struct packet_in packet;
        struct packet_out out;

        uring_world_open(&w, &uring_world_modes[m]);
        for (size_t payload_bytes = 2000; payload_bytes <= 8000; payload_bytes += 3000) {
            expect(&w, AF_INET, 0, 0, 0);
            deliver(&w, AF_INET, 0, 100, URING_WORLD_PAYLOAD_BYTES);
            deliver(&w, AF_INET6, 0, 100, URING_WORLD_PAYLOAD_BYTES);
            /* These fetch more than they hand out. */
            cr_assert_eq(uring_world_send(&w, &w.nowhere[0], &out, 1), 1);
            cr_assert_eq(w.operations->receive(w.transport, AF_INET, &packet, 1), 1);
            check_packet(&w, AF_INET, &packet, 0, URING_WORLD_PAYLOAD_BYTES);
            cr_assert_geq(w.operations->reserve(w.transport, (uint32_t)payload_bytes, 2000), 1);
            expect(&w, AF_INET, 1, 99, URING_WORLD_PAYLOAD_BYTES);
            expect(&w, AF_INET6, 0, 100, URING_WORLD_PAYLOAD_BYTES);
            deliver(&w, AF_INET, 0, 100, payload_bytes);
            deliver(&w, AF_INET6, 0, 100, payload_bytes);
            expect(&w, AF_INET, 0, 100, payload_bytes);
            expect(&w, AF_INET6, 0, 100, payload_bytes);
        }
        uring_world_close(&w);
    }
}

/* From now on this process gets no memory from the kernel. Returns the limit of before. */
static struct rlimit exhaust_memory(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    struct rlimit before, none;
    unsigned long pages;

    cr_assert(file);
    cr_assert_eq(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    cr_assert_eq(getrlimit(RLIMIT_AS, &before), 0);
    none = (struct rlimit){.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE), .rlim_max = before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_AS, &none), 0);
    return before;
}

/* Without the memory for larger buffers those that are there serve on, with what is in them. */
Test(uring, keeps_its_buffers_when_it_cannot_grow, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        struct packet_in packet;
        struct packet_out out;
        struct rlimit before;
        int room;

        uring_world_open(&w, &uring_world_modes[m]);
        expect(&w, AF_INET, 0, 0, 0);
        deliver(&w, AF_INET, 0, 100, URING_WORLD_PAYLOAD_BYTES);
        deliver(&w, AF_INET6, 0, 100, URING_WORLD_PAYLOAD_BYTES);
        /* This fetches more than it hands out. */
        cr_assert_eq(uring_world_send(&w, &w.nowhere[0], &out, 1), 1);
        cr_assert_eq(w.operations->receive(w.transport, AF_INET, &packet, 1), 1);
        /* What all transports take is there; only the buffers of this one are to come. */
        cr_assert_geq(socket_transport_reserve(w.transport, 8000, 2000), 1);
        before = exhaust_memory();
        room = w.operations->reserve(w.transport, 8000, 2000);
        cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
        cr_assert_eq(room, -ENOMEM, "mode %zu: %d", m, room);
        check_packet(&w, AF_INET, &packet, 0, URING_WORLD_PAYLOAD_BYTES);
        expect(&w, AF_INET, 1, 99, URING_WORLD_PAYLOAD_BYTES);
        expect(&w, AF_INET6, 0, 100, URING_WORLD_PAYLOAD_BYTES);

        /* As soon as there is memory they grow. */
        cr_assert_geq(w.operations->reserve(w.transport, 8000, 2000), 1);
        deliver(&w, AF_INET, 0, 100, 8000);
        deliver(&w, AF_INET6, 0, 100, 8000);
        expect(&w, AF_INET, 0, 100, 8000);
        expect(&w, AF_INET6, 0, 100, 8000);
        uring_world_close(&w);
    }
}

/* An ICMP error on the socket ends the receive; it comes by itself, once, and messages go on coming. */
Test(uring, receives_errors_and_goes_on, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    if (netns_run(w.peer, "test -e /proc/sys/net/ipv4/icmp_msgs_per_sec") != 0)
        cr_skip_test("all namespaces here share one limit of ICMP errors");
    netns_must(w.peer, "nft 'table ip t { chain in { type filter hook input priority 0;"
                       "icmp type echo-request reject with icmp type host-prohibited; }; }' &&"
                       "echo 0 > /proc/sys/net/ipv4/icmp_ratelimit &&"
                       "echo 10000 > /proc/sys/net/ipv4/icmp_msgs_per_sec &&"
                       "echo 10000 > /proc/sys/net/ipv4/icmp_msgs_burst");
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        struct packet_out out[TRANSPORT_BATCH];
        struct packet_in in[TRANSPORT_BATCH];

        uring_world_open(&w, &uring_world_modes[m]);
        for (uint32_t round = 0; round < 20; round++) {
            int errors = 0;
            int got;

            cr_assert_eq(uring_world_send(&w, &w.there[0], out, 8), 8);
            deliver(&w, AF_INET, round, 1, URING_WORLD_PAYLOAD_BYTES);
            expect(&w, AF_INET, round, 1, URING_WORLD_PAYLOAD_BYTES);
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
        uring_world_close(&w);
    }
}

/* --- waiting --- */

/* When the one that waits for it sleeps; who ends that wait in vain ends this too. */
static int deliver_soon(void *context)
{
    const struct uring_world *w = context;

    while (!is_asleep(getppid()))
        sched_yield();
    deliver(w, AF_INET, 1, 1, URING_WORLD_PAYLOAD_BYTES);
    return 0;
}

Test(uring, wakes_an_outer_loop, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        struct packet_out out;
        bool complete;
        int fd;

        uring_world_open(&w, &uring_world_modes[m]);
        fd = w.operations->fd(w.transport, &complete);
        cr_assert(complete);
        expect(&w, AF_INET, 0, 0, 0);
        expect(&w, AF_INET6, 0, 0, 0);
        for (uint32_t round = 0; round < 20; round++) {
            int family = round % 2 ? AF_INET6 : AF_INET;
            int other = round % 2 ? AF_INET : AF_INET6;

            cr_assert_not(is_readable(fd, 0), "mode %zu, round %" PRIu32, m, round);
            deliver(&w, family, 7, 1, URING_WORLD_PAYLOAD_BYTES);
            cr_assert(is_readable(fd, PATIENCE_MS), "mode %zu, round %" PRIu32, m, round);
            expect(&w, family, 7, 1, URING_WORLD_PAYLOAD_BYTES);
            cr_assert_not(is_readable(fd, 0));

            /* As long as something is left it stays so, in the kernel or with us. */
            deliver(&w, family, 0, 40, URING_WORLD_PAYLOAD_BYTES);
            deliver(&w, other, 0, 40, URING_WORLD_PAYLOAD_BYTES);
            for (uint32_t i = 0; i < 40; i++) {
                cr_assert(is_readable(fd, PATIENCE_MS), "mode %zu, %" PRIu32, m, i);
                expect_one(&w, family, i, URING_WORLD_PAYLOAD_BYTES);
            }
            cr_assert(is_readable(fd, PATIENCE_MS));
            expect(&w, other, 0, 40, URING_WORLD_PAYLOAD_BYTES);
            expect(&w, family, 0, 0, 0);
            cr_assert_not(is_readable(fd, 0));

            /* A send may fetch messages as well. */
            deliver(&w, family, 3, 2, URING_WORLD_PAYLOAD_BYTES);
            cr_assert_eq(uring_world_send(&w, &w.nowhere[0], &out, 1), 1);
            cr_assert(is_readable(fd, PATIENCE_MS));
            expect(&w, family, 3, 2, URING_WORLD_PAYLOAD_BYTES);
            expect(&w, other, 0, 0, 0);
        }
        for (int i = 0; i < 3; i++) {
            pid_t child = netns_spawn(NETNS_HERE, deliver_soon, &w);

            cr_assert(is_readable(fd, PATIENCE_MS), "mode %zu: asleep", m);
            expect(&w, AF_INET, 1, 1, URING_WORLD_PAYLOAD_BYTES);
            netns_stop(child);
        }
        uring_world_close(&w);
    }
}

/* The outer loop has the descriptor before any family is open. */
Test(uring, wakes_an_outer_loop_for_a_family_that_comes_later, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        bool complete;
        int fd;

        uring_world_open_bare(&w, &uring_world_modes[m]);
        fd = w.operations->fd(w.transport, &complete);
        cr_assert(complete);
        uring_world_open_families(&w);
        for (uint32_t round = 0; round < 4; round++) {
            int family = round % 2 ? AF_INET6 : AF_INET;

            expect(&w, AF_INET, 0, 0, 0);
            expect(&w, AF_INET6, 0, 0, 0);
            cr_assert_not(is_readable(fd, 0), "mode %zu, round %" PRIu32, m, round);
            deliver(&w, family, 7, 1, URING_WORLD_PAYLOAD_BYTES);
            cr_assert(is_readable(fd, PATIENCE_MS), "mode %zu, round %" PRIu32, m, round);
            expect_one(&w, family, 7, URING_WORLD_PAYLOAD_BYTES);
        }
        uring_world_close(&w);
    }
}

/* What goes wrong while IPv4 is opened. */
enum flaw {
    NO_BUFFERS,             /* the outer loop has the descriptor */
    NO_BUFFERS_NO_LOOP_YET, /* it asks for it afterwards */
    NO_PLACE_IN_THE_SET,
};

static void fail_to_open(struct uring_world *w, enum flaw flaw)
{
    struct uring_transport *u = uring_of(w->transport);
    const struct uring_transport right = *u;
    char text[128] = "";

    if (flaw == NO_PLACE_IN_THE_SET)
        u->epoll_fd = u->event_fd;
    else
        u->limits.buffers = 48; /* the kernel wants a power of two */
    cr_assert_eq(w->operations->open_family(w->transport, AF_INET, &w->ident[0], text, sizeof(text)), -EINVAL,
                 "flaw %d: %s", flaw, text);
    u->epoll_fd = right.epoll_fd;
    u->limits = right.limits;
}

/* A message for a family that could not be opened is nobody's: it wakes nobody until the family is open. */
static void expect_no_wake(struct uring_world *w, enum flaw flaw)
{
    char text[128] = "";
    bool complete;
    int fd = -1, there;

    if (flaw != NO_BUFFERS_NO_LOOP_YET)
        fd = w->operations->fd(w->transport, &complete);
    cr_assert_eq(w->operations->open_family(w->transport, AF_INET6, &w->ident[1], text, sizeof(text)), 0,
                 "%s", text);
    fail_to_open(w, flaw);
    if (flaw == NO_BUFFERS_NO_LOOP_YET)
        fd = w->operations->fd(w->transport, &complete);
    cr_assert(complete);
    there = uring_of(w->transport)->base.sockets[0].fd;
    deliver(w, AF_INET, 7, 1, URING_WORLD_PAYLOAD_BYTES);
    cr_assert(is_readable(there, PATIENCE_MS));
    expect(w, AF_INET6, 0, 0, 0);
    cr_assert_not(is_readable(fd, 0), "flaw %d", flaw);
    cr_assert(is_readable(there, 0), "flaw %d: it was fetched", flaw);

    uring_world_open_families(w);
    cr_assert(is_readable(fd, PATIENCE_MS), "flaw %d", flaw);
    expect(w, AF_INET, 7, 1, URING_WORLD_PAYLOAD_BYTES);
    cr_assert_not(is_readable(fd, 0), "flaw %d", flaw);
}

Test(uring, wakes_no_outer_loop_for_a_family_that_failed_to_open, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        for (enum flaw flaw = NO_BUFFERS; flaw <= NO_PLACE_IN_THE_SET; flaw++) {
            uring_world_open_bare(&w, &uring_world_modes[m]);
            expect_no_wake(&w, flaw);
            uring_world_close(&w);
        }
    }
}

/* This process can have no other descriptor any more. Returns the limit of before. */
static struct rlimit exhaust_descriptors(void)
{
    struct rlimit before, none;
    int next = dup(0);

    cr_assert_geq(next, 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    close(next);
    return before;
}

/* An outer loop asks once, the owner's look at *complete comes again and again: both must be about the same one. */
Test(uring, keeps_the_descriptor_that_it_gave_when_it_had_no_other, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        struct rlimit before;
        bool complete;
        int fd;

        uring_world_open(&w, &uring_world_modes[m]);
        before = exhaust_descriptors();
        fd = w.operations->fd(w.transport, &complete);
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
        cr_assert_geq(fd, 0);
        cr_assert_not(complete, "mode %zu", m);
        cr_assert_eq(w.operations->fd(w.transport, &complete), fd, "mode %zu", m);
        cr_assert_not(complete, "mode %zu", m);
        /* Who looks now and then, as it says, misses nothing. */
        deliver(&w, AF_INET, 7, 1, URING_WORLD_PAYLOAD_BYTES);
        expect(&w, AF_INET, 7, 1, URING_WORLD_PAYLOAD_BYTES);
        uring_world_close(&w);
    }
}

static void wait_for_message(struct uring_world *w)
{
    pid_t child = netns_spawn(NETNS_HERE, deliver_soon, w);

    cr_assert_eq(w->operations->wait(w->transport, NEVER_NS, -1), 0);
    expect(w, AF_INET, 1, 1, URING_WORLD_PAYLOAD_BYTES);
    netns_stop(child);
}

static uint64_t waited_ns(const struct uring_world *w, uint64_t for_ns, int wakeup_fd)
{
    uint64_t begin_ns = w->operations->now(w->transport);

    cr_assert_eq(w->operations->wait(w->transport, begin_ns + for_ns, wakeup_fd), 0);
    expect(w, AF_INET, 0, 0, 0);
    return w->operations->now(w->transport) - begin_ns;
}

Test(uring, waits_for_messages_time_and_a_wakeup, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        int first[2];
        int second[2];
        char c;

        uring_world_open(&w, &uring_world_modes[m]);
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
        uring_world_close(&w);
        for (int i = 0; i < 2; i++) {
            close(first[i]);
            close(second[i]);
        }
    }
}

/* A message in our hands ends a wait, too. */
Test(uring, does_not_wait_while_messages_wait, .timeout = 60)
{
    struct uring_world w;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        struct packet_in packet;

        uring_world_open(&w, &uring_world_modes[m]);
        deliver(&w, AF_INET, 0, 20, URING_WORLD_PAYLOAD_BYTES);
        for (uint32_t i = 0; i < 20; i++) {
            cr_assert_eq(w.operations->wait(w.transport, NEVER_NS, -1), 0);
            cr_assert_eq(w.operations->receive(w.transport, AF_INET, &packet, 1), 1);
            check_packet(&w, AF_INET, &packet, i, URING_WORLD_PAYLOAD_BYTES);
        }
        uring_world_close(&w);
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
    struct uring_world w;
    int before;

    uring_world_make(&w);
    before = open_descriptors();
    for (unsigned i = 0; i < 100; i++) {
        struct packet_out packets[TRANSPORT_BATCH];
        struct packet_in in;
        int fds[2];

        cr_assert_eq(pipe(fds), 0);
        uring_world_open(&w, &uring_world_modes[i % ARRAY_SIZE(uring_world_modes)]);
        if (i & 4)
            w.operations->wait(w.transport, 1, fds[0]);
        if (i & 8)
            cr_assert_eq(uring_world_send(&w, &w.there[i & 1], packets, TRANSPORT_BATCH), TRANSPORT_BATCH);
        if (i & 16)
            deliver(&w, AF_INET, 0, 50, URING_WORLD_PAYLOAD_BYTES);
        if (i & 32)
            cr_assert_geq(w.operations->receive(w.transport, AF_INET, &in, 1), 0);
        if (i & 16)
            deliver(&w, AF_INET, 0, 50, URING_WORLD_PAYLOAD_BYTES);
        uring_world_close(&w);
        deliver(&w, AF_INET, 0, 1, URING_WORLD_PAYLOAD_BYTES); /* nobody is there any more */
        close(fds[0]);
        close(fds[1]);
    }
    cr_assert_eq(open_descriptors(), before);
}

/* A closed transport gives its ident back: another socket can have it. */
Test(uring, closes_its_sockets, .timeout = 60)
{
    struct uring_world w;
    struct sockaddr_in name = {.sin_family = AF_INET};
    uint64_t end_ns = clock_now_ns(CLOCK_MONOTONIC) + PATIENCE_MS * NS_PER_MS;
    int fd;

    uring_world_make(&w);
    uring_world_open(&w, &uring_world_modes[0]);
    expect(&w, AF_INET, 0, 0, 0);
    uring_world_close(&w);
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
    struct uring_world *w = context;
    struct packet_out packets[4];
    unsigned counts[TRANSPORT_BATCH] = {0};

    cr_assert_eq(uring_world_send(w, &w->there[0], packets, 4), 4);
    uring_world_count(w, counts);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(counts[i], 1);
    return NULL;
}

/* Opened here, used by a thread of its own, closed here: as a pool of workers does. */
Test(uring, belongs_to_the_thread_that_uses_it, .timeout = 60)
{
    struct uring_world w;
    pthread_t thread;

    uring_world_make(&w);
    for (size_t m = 0; m < ARRAY_SIZE(uring_world_modes); m++) {
        uring_world_open(&w, &uring_world_modes[m]);
        cr_assert_eq(pthread_create(&thread, NULL, use_elsewhere, &w), 0);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        deliver(&w, AF_INET, 0, 50, URING_WORLD_PAYLOAD_BYTES);
        uring_world_close(&w);
    }
}
