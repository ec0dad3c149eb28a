/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves, on the real kernel: a million spoofed replies, right in everything but the token or the
 * source, do not make a target alive, and its genuine reply is known among them; a flood that overruns our
 * buffer makes a target doubtful, which is asked again and found; other programs' echoes make nobody
 * doubtful.
 *
 * 10.9.0.0/24 is a link on which nobody lives. The test sees each request at the link's other end, and
 * answers for 10.9.0.9 through a raw socket, as it likes.
 */
#include <criterion/criterion.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>

#include "probe/icmp.h"
#include "probe/sweep.h"
#include "tests/lib/netns.h"

#define DEADLINE_NS   (60 * NS_PER_S)
#define BATCH         64
#define MESSAGE_BYTES 64
#define PACKET_BYTES  (sizeof(struct iphdr) + MESSAGE_BYTES)

enum forgery {
    GENUINE,
    OTHER_TOKEN,
    OTHER_TIME,
    OTHER_SEQUENCE,
    OTHER_SOURCE,
    FORGERIES,
    OTHER_IDENT = FORGERIES, /* an echo of somebody else's */
};

struct stage {
    int sniffer;
    int spoofer;
    uint8_t request[MESSAGE_BYTES]; /* the last one that was seen */
    uint64_t forged;
};

static void stage_open(struct stage *stage, bool ping_sockets)
{
    struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
    int r = netns_enter();

    if (r == -EPERM)
        cr_skip_test("needs the right to make network namespaces: root, or unshare -Urn");
    cr_assert_eq(r, 0, "%s", strerror(-r));
    netns_must(NETNS_HERE,
               "ip link add quiet0 type veth peer name quiet1;"
               "ip address add 10.9.0.1/24 dev quiet0; ip link set quiet0 arp off up;"
               "ip link set quiet1 up; echo '%s' > /proc/sys/net/ipv4/ping_group_range",
               ping_sockets ? "0 2147483647" : "1 0");
    *stage = (struct stage){
        .sniffer = netns_socket(NETNS_HERE, AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP)),
        .spoofer = netns_socket(NETNS_HERE, AF_INET, SOCK_RAW, IPPROTO_RAW),
    };
    cr_assert(stage->sniffer >= 0 && stage->spoofer >= 0);
    link.sll_ifindex = (int)if_nametoindex("quiet1");
    cr_assert_eq(bind(stage->sniffer, (struct sockaddr *)&link, sizeof(link)), 0);
}

static void stage_close(struct stage *stage)
{
    close_fd(stage->sniffer);
    close_fd(stage->spoofer);
}

/* True when another request has been seen by the time, which is kept then. */
static bool saw_request(struct stage *stage, int timeout_ms)
{
    struct pollfd readable = {.fd = stage->sniffer, .events = POLLIN};
    uint8_t packet[256];

    while (poll(&readable, 1, timeout_ms) > 0) {
        ssize_t size = recv(stage->sniffer, packet, sizeof(packet), 0);

        if (size != (ssize_t)PACKET_BYTES || packet[9] != IPPROTO_ICMP || packet[20] != ICMP_ECHO)
            continue;
        memcpy(stage->request, packet + sizeof(struct iphdr), MESSAGE_BYTES);
        return true;
    }
    return false;
}

/* The reply to the last request, spoilt in one way; the checksum is right. */
static void make_reply(struct stage *stage, enum forgery forgery, uint8_t packet[static PACKET_BYTES])
{
    uint8_t *message = packet + sizeof(struct iphdr), *state = message + ICMP_HEADER_BYTES;
    struct iphdr header = {.version = 4,
                           .ihl = 5,
                           .ttl = 64,
                           .protocol = IPPROTO_ICMP,
                           .saddr = htonl(0x0a090009),
                           .daddr = htonl(0x0a090001)};
    uint64_t number = ++stage->forged;
    uint16_t checksum;

    memcpy(message, stage->request, MESSAGE_BYTES);
    message[0] = ICMP_ECHOREPLY;
    message[2] = message[3] = 0;
    switch (forgery) {
    case GENUINE:
        break;
    case OTHER_TOKEN:
        memcpy(state + 16, &number, 8);
        break;
    case OTHER_TIME:
        state[number % 8] ^= 1;
        break;
    case OTHER_SEQUENCE:
        message[7] ^= 1;
        break;
    case OTHER_SOURCE:
        header.saddr = htonl(0x0a090a00 + (uint32_t)(number % 251));
        break;
    case OTHER_IDENT:
        message[4] ^= 0x55;
        break;
    }
    checksum = icmp_checksum(message, MESSAGE_BYTES);
    memcpy(message + 2, &checksum, 2);
    memcpy(packet, &header, sizeof(header));
}

static void spoof(struct stage *stage, unsigned count, enum forgery first, enum forgery last)
{
    static uint8_t packets[BATCH][PACKET_BYTES];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a090001)};
    struct iovec vectors[BATCH];
    struct mmsghdr messages[BATCH];

    cr_assert_leq(count, BATCH);
    for (unsigned i = 0; i < count; i++) {
        make_reply(stage, first + i % (last - first + 1), packets[i]);
        vectors[i] = (struct iovec){packets[i], PACKET_BYTES};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    for (unsigned sent = 0; sent < count;) {
        int r = sendmmsg(stage->spoofer, messages + sent, count - sent, 0);

        cr_assert_gt(r, 0, "%s", strerror(errno));
        sent += (unsigned)r;
    }
}

/* A sweep of 10.9.0.9 whose first request has left. */
static struct probe_sweep *sweep_open(struct stage *stage, uint64_t timeout_ns, bool retry)
{
    struct probe_settings settings = probe_settings_default();
    struct probe_sweep *sweep = NULL;
    struct address target;
    char message[256] = "";
    uint32_t index;
    bool saw = false;

    settings.transport = "epoll";
    settings.select_timeout_ns = timeout_ns;
    settings.retry_doubtful = retry;
    cr_assert_eq(address_parse(&target, "10.9.0.9"), 0);
    cr_assert_eq(probe_sweep_new(&sweep, &settings, message, sizeof(message)), 0, "%s", message);
    cr_assert_eq(probe_sweep_add(sweep, &target, &index), 0);
    /* The kernel's neighbour table is shared by all namespaces: for a moment it may have no place for ours. */
    for (int tries = 0; !saw; tries++) {
        cr_assert_lt(tries, 500, "no request came out");
        cr_assert_eq(front_end_step(probe_sweep_front(sweep), 0), 0);
        saw = saw_request(stage, 10);
    }
    return sweep;
}

static void sweep_end(struct probe_sweep *sweep, struct probe_result *result)
{
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + DEADLINE_NS;

    while (!probe_sweep_next(sweep, result)) {
        cr_assert_eq(front_end_step(probe_sweep_front(sweep), clock_now_ns(CLOCK_MONOTONIC) + 10 * NS_PER_MS),
                     0);
        cr_assert_lt(clock_now_ns(CLOCK_MONOTONIC), deadline_ns, "the sweep does not end");
    }
}

/* Reads along until all are counted, so that nothing is dropped and every single one is judged. */
static void spoof_and_read(struct stage *stage, struct probe_sweep *sweep, uint32_t count)
{
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + 5 * DEADLINE_NS;
    struct probe_result result;

    for (uint32_t sent = 0; sent < count; sent += BATCH) {
        const struct probe_counters *counters;

        spoof(stage, BATCH, OTHER_TOKEN, OTHER_SOURCE);
        do {
            cr_assert_eq(front_end_step(probe_sweep_front(sweep), 0), 0);
            counters = front_end_counters(probe_sweep_front(sweep));
            cr_assert_lt(clock_now_ns(CLOCK_MONOTONIC), deadline_ns, "%u are not counted", sent);
        } while (counters->corrupt + counters->foreign < stage->forged);
        cr_assert_not(probe_sweep_next(sweep, &result), "spoofed reply %u was believed", sent);
    }
}

static void check_million(bool ping_sockets, uint32_t count)
{
    struct stage stage;
    struct probe_result result;
    struct probe_sweep *sweep;
    const struct probe_counters *counters;

    stage_open(&stage, ping_sockets);
    sweep = sweep_open(&stage, 10 * DEADLINE_NS, true);
    spoof_and_read(&stage, sweep, count);
    spoof(&stage, 1, GENUINE, GENUINE);
    sweep_end(sweep, &result);
    counters = front_end_counters(probe_sweep_front(sweep));
    cr_expect_eq(result.outcome, PROBE_REPLY);
    cr_expect_eq(result.requests, 1);
    cr_expect_eq(counters->corrupt, count / 4 * 3, "corrupt %" PRIu64, counters->corrupt);
    cr_expect_eq(counters->foreign, count / 4, "foreign %" PRIu64, counters->foreign);
    cr_expect_eq(counters->replies, 1);
    cr_expect_eq(counters->receive_drops, 0);
    probe_sweep_free(sweep);
    stage_close(&stage);
}

Test(flood, a_million_spoofed_replies_on_a_raw_socket)
{
    check_million(false, 1000000);
}

Test(flood, spoofed_replies_on_a_ping_socket)
{
    check_million(true, 100032);
}

Test(flood, a_spoofed_target_is_unreachable)
{
    struct stage stage;
    struct probe_result result;
    struct probe_sweep *sweep;

    stage_open(&stage, false);
    sweep = sweep_open(&stage, 300 * NS_PER_MS, true);
    while (!probe_sweep_next(sweep, &result)) {
        spoof(&stage, BATCH, OTHER_TOKEN, OTHER_SOURCE);
        cr_assert_eq(front_end_step(probe_sweep_front(sweep), 0), 0);
    }
    cr_expect_eq(result.outcome, PROBE_TIMEOUT);
    cr_expect_gt(front_end_counters(probe_sweep_front(sweep))->corrupt, 0);
    probe_sweep_free(sweep);
    stage_close(&stage);
}

/* The flood fills our buffer, the genuine reply finds no room in it. */
static void check_doubt(bool ping_sockets, bool retry)
{
    struct stage stage;
    struct probe_result result = {0};
    struct probe_sweep *sweep;
    uint64_t deadline_ns;

    stage_open(&stage, ping_sockets);
    sweep = sweep_open(&stage, 300 * NS_PER_MS, retry);
    for (int i = 0; i < 100; i++)
        spoof(&stage, BATCH, OTHER_TOKEN, OTHER_TOKEN);
    spoof(&stage, 1, GENUINE, GENUINE);
    deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + DEADLINE_NS;
    while (!probe_sweep_next(sweep, &result) && clock_now_ns(CLOCK_MONOTONIC) < deadline_ns) {
        cr_assert_eq(front_end_step(probe_sweep_front(sweep), clock_now_ns(CLOCK_MONOTONIC) + 10 * NS_PER_MS),
                     0);
        if (saw_request(&stage, 0))
            spoof(&stage, 1, GENUINE, GENUINE);
    }
    cr_expect_gt(front_end_counters(probe_sweep_front(sweep))->receive_drops, 1000);
    cr_expect_eq(result.outcome, retry ? PROBE_REPLY : PROBE_TIMEOUT);
    cr_expect_eq(result.requests, retry ? 2 : 1);
    cr_expect_eq(result.doubtful, !retry);
    cr_expect_eq(front_end_asked_again(probe_sweep_front(sweep)), retry);
    probe_sweep_free(sweep);
    stage_close(&stage);
}

Test(flood, the_doubtful_one_is_found_when_asked_again)
{
    check_doubt(false, true);
}

Test(flood, the_doubtful_one_is_found_on_a_ping_socket)
{
    check_doubt(true, true);
}

Test(flood, without_asking_again_the_doubt_is_said)
{
    check_doubt(false, false);
}

/* Nothing of other programs counts as dropped: their echoes are filtered before they take room. */
Test(flood, others_make_nobody_doubtful)
{
    for (int ping = 0; ping < 2; ping++) {
        struct stage stage;
        struct probe_result result;
        struct probe_sweep *sweep;

        stage_open(&stage, ping);
        sweep = sweep_open(&stage, 300 * NS_PER_MS, true);
        for (int i = 0; i < 100; i++)
            spoof(&stage, BATCH, OTHER_IDENT, OTHER_IDENT);
        sweep_end(sweep, &result);
        cr_expect_eq(result.outcome, PROBE_TIMEOUT);
        cr_expect_not(result.doubtful);
        cr_expect_eq(front_end_counters(probe_sweep_front(sweep))->receive_drops, 0);
        cr_expect_eq(front_end_asked_again(probe_sweep_front(sweep)), 0);
        probe_sweep_free(sweep);
        stage_close(&stage);
    }
}
