/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/probe/uring_world.h"

#include <criterion/criterion.h>
#include <linux/net_tstamp.h>
#include <netinet/ip_icmp.h>
#include <sys/utsname.h>

#include "tests/lib/netns.h"

const struct uring_limits uring_world_modes[URING_WORLD_MODES] = {
    {.completions = 256, .buffers = 64},
    {.completions = 256, .buffers = 64, .cooperative = true},
    {.completions = 64, .buffers = 32},
    {.completions = 64, .buffers = 32, .cooperative = true},
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
static void await_time_stamps(const struct uring_world *w)
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

void uring_world_make(struct uring_world *w)
{
    int r = netns_enter();

    if (r < 0)
        cr_skip_test("no network namespaces here: %s", strerror(-r));
    *w = (struct uring_world){
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
    netns_await_address(NETNS_HERE, "fd01::1");
    netns_await_address(w->peer, "fd01::2");
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

void uring_world_open_bare(struct uring_world *w, const struct uring_limits *limits)
{
    struct probe_settings settings = probe_settings_default();
    int r = transport_uring_open_limited(&w->transport, &settings, limits);

    if (r == -EPERM || r == -ENOSYS || r == -EACCES || (r == -EINVAL && is_too_old()))
        cr_skip_test("no io_uring here: %s", strerror(-r));
    cr_assert_eq(r, 0, "%s", strerror(-r));
    w->operations = w->transport->operations;
}

void uring_world_open_families(struct uring_world *w)
{
    char text[128] = "";

    for (int i = 0; i < 2; i++)
        cr_assert_eq(w->operations->open_family(w->transport, i ? AF_INET6 : AF_INET, &w->ident[i], text,
                                                sizeof(text)),
                     0, "%s", text);
    cr_assert_geq(w->operations->reserve(w->transport, URING_WORLD_PAYLOAD_BYTES, 2000), 1);
}

void uring_world_open(struct uring_world *w, const struct uring_limits *limits)
{
    uring_world_open_bare(w, limits);
    uring_world_open_families(w);
}

void uring_world_close(struct uring_world *w)
{
    w->transport = transport_close(w->transport);
}

uint32_t uring_world_number(const struct packet_in *packet)
{
    return (uint32_t)packet->bytes[6] << 8 | packet->bytes[7];
}

unsigned uring_world_send(const struct uring_world *w, const struct address *to, struct packet_out *packets,
                          unsigned count)
{
    static uint8_t bytes[TRANSPORT_BATCH][ICMP_HEADER_BYTES + URING_WORLD_PAYLOAD_BYTES];

    for (unsigned i = 0; i < count; i++) {
        struct icmp_echo echo = {.ident = w->ident[to->family == AF_INET6], .sequence = (uint16_t)i};

        icmp_pattern_fill(bytes[i], sizeof(bytes[i]));
        icmp_request_build(bytes[i], sizeof(bytes[i]), to->family, &echo, 0);
        packets[i] =
            (struct packet_out){.to = *to, .bytes = bytes[i], .size_bytes = sizeof(bytes[i]), .error = -1};
    }
    return w->operations->send(w->transport, packets, count);
}

void uring_world_count(const struct uring_world *w, unsigned *counts)
{
    struct packet_in packets[TRANSPORT_BATCH];
    int got;

    do {
        got = w->operations->receive(w->transport, AF_INET, packets, TRANSPORT_BATCH);
        cr_assert_geq(got, 0);
        for (int i = 0; i < got; i++)
            counts[uring_world_number(&packets[i])]++;
    } while (got == TRANSPORT_BATCH);
}
