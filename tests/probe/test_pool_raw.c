/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves, against the real kernel, of a pool over raw sockets: just one of them hears, for all
 * workers; each worker gets its own replies and none of the others'; and what that one drops is counted once.
 */
#include <criterion/criterion.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "probe/icmp.h"
#include "probe/transport.h"
#include "tests/probe/pool_stage.h"

/* How many raw sockets of this process hear echo replies, *ear is one; *all: how many there are. */
static unsigned count_ears(unsigned *all, int *ear)
{
    unsigned ears = 0;

    *all = 0;
    *ear = -1;
    for (int fd = 0; fd < 1024; fd++) {
        int type = 0, family = 0;
        socklen_t length = sizeof(int), filter_length = sizeof(struct icmp6_filter);
        struct icmp6_filter filter6;
        uint32_t filter4 = 0;

        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_RAW ||
            getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) < 0)
            continue;
        ++*all;
        if (family == AF_INET) {
            length = sizeof(filter4);
            cr_assert_eq(getsockopt(fd, SOL_RAW, 1 /* ICMP_FILTER */, &filter4, &length), 0);
            if (!(filter4 & 1 << ICMP_ECHOREPLY)) {
                ears++;
                *ear = fd;
            }
        } else {
            cr_assert_eq(getsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter6, &filter_length), 0);
            ears += ICMP6_FILTER_WILLPASS(ICMP6_ECHO_REPLY, &filter6) != 0;
        }
    }
    return ears;
}

/* The kernel copies a reply for each raw socket that hears it: there is one for each family. */
Test(pool_raw, one_raw_socket_hears_for_all, .timeout = 60)
{
    static const struct {
        const char *transport;
        uint32_t wanted, workers;
    } rows[] = {{"auto", 4, 4}, {"epoll", 5, 5}, {"poll", 4, 1}, {"auto", 1, 1}};
    struct cluster c;

    stage_make(&c, false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct probe_settings settings = stage_settings(rows[i].transport, 1000);
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        unsigned all;
        int ear;

        stage_add(&targets, "10.2.0.0/24");
        stage_add(&targets, "fd02::10-fd02::4f");
        pool = stage_open(&settings, rows[i].wanted, &targets);
        cr_expect_eq(probe_pool_workers(pool), rows[i].workers, "row %zu: %u", i, probe_pool_workers(pool));
        cr_expect_eq(count_ears(&all, &ear), 2, "row %zu", i);
        cr_expect_eq(all, rows[i].workers == 1 ? 2 : 2 * rows[i].workers + 2, "row %zu: %u", i, all);
    }
}

/* Sends echo replies with that ident from the peer to us. */
static void send_replies(int fd, uint16_t ident, uint32_t count, size_t size_bytes)
{
    uint8_t packet[1024] = {ICMP_ECHOREPLY};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a010001)};
    uint16_t number = htons(ident), checksum;

    memcpy(packet + 4, &number, sizeof(number));
    checksum = icmp_checksum(packet, size_bytes);
    memcpy(packet + 2, &checksum, sizeof(checksum));
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(sendto(fd, packet, size_bytes, 0, (struct sockaddr *)&to, sizeof(to)),
                     (ssize_t)size_bytes);
}

static uint32_t receive_all(struct transport *transport)
{
    struct packet_in packets[TRANSPORT_BATCH];
    uint32_t count = 0;
    int got;

    do {
        got = transport->operations->receive(transport, AF_INET, packets, TRANSPORT_BATCH);
        cr_assert_geq(got, 0);
        count += (uint32_t)got;
        for (int i = 0; i < got; i++)
            cr_assert_eq(packets[i].from.bytes[3], 2);
    } while (got == TRANSPORT_BATCH);
    return count;
}

/* What each transport gets of what one socket hears, in any order of reading. Drops concern all of them. */
Test(pool_raw, what_is_heard_is_sorted, .timeout = 60)
{
    struct probe_settings settings;
    struct transport *ways[3];
    uint16_t idents[3];
    char message[256] = "";
    struct cluster c;
    int peer;

    stage_make(&c, false);
    settings = stage_settings("epoll", 1000);
    peer = netns_socket(c.peer, AF_INET, SOCK_RAW, IPPROTO_ICMP);
    cr_assert_eq(transport_shared_open(ways, 3, &settings, message, sizeof(message)), 0, "%s", message);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(ways[i]->operations->open_family(ways[i], AF_INET, &idents[i], message, 256), 0);
        cr_expect_eq(idents[i], idents[0] + i);
    }
    for (int round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < 3; i++)
            send_replies(peer, idents[i], 40 * i + 7, 64);
        send_replies(peer, (uint16_t)(idents[0] + 4), 5, 64); /* beyond the block */
        send_replies(peer, (uint16_t)(idents[0] + 3), 5, 64); /* in it, but nobody's: the first counts them */
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t which = (i + (uint32_t)round) % 3;
            uint32_t got = receive_all(ways[which]), want = 40 * which + 7 + (which == 0 ? 5 : 0);

            cr_assert_eq(got, want, "round %d, number %u: %u", round, which, got);
        }
    }
    send_replies(peer, idents[1], 1, 64);
    cr_expect_eq(receive_all(ways[2]), 0);
    cr_expect_eq(ways[1]->operations->wait(ways[1], NEVER_NS, -1), 0, "it is in its box already");
    cr_expect_eq(receive_all(ways[1]), 1);
    cr_expect_eq(ways[0]->operations->receive_drops(ways[0]), 0);
    send_replies(peer, idents[1], 1000, sizeof((uint8_t[1024]){0}));
    cr_expect_gt(ways[0]->operations->receive_drops(ways[0]), 0);
    cr_expect_eq(ways[0]->operations->receive_drops(ways[0]) + receive_all(ways[1]), 1000);
    cr_expect_eq(ways[0]->operations->receive_drops(ways[0]), ways[2]->operations->receive_drops(ways[2]));
    for (int i = 0; i < 3; i++)
        transport_close(ways[i]);
    close(peer);
}

/* A worker that waits long is woken for its own replies, also when another one reads them. Others' echoes
 * reach nobody. */
Test(pool_raw, raw_workers_get_their_own, .timeout = 60)
{
    struct probe_settings settings;
    struct cluster c;
    int peer;

    stage_make(&c, false);
    peer = netns_socket(c.peer, AF_INET, SOCK_RAW, IPPROTO_ICMP);
    settings = stage_settings("epoll", 150);
    for (uint32_t workers = 2; workers <= 7; workers += 5)
        stage_check_all_kinds(&settings, workers);
    settings.rate = 2000;
    for (int i = 0; i < 3; i++) {
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        uint8_t seen[256] = {0};
        uint64_t begin_ns = clock_now_ns(CLOCK_MONOTONIC);

        settings.select_timeout_ns = 20 * NS_PER_S;
        stage_add(&targets, "10.2.0.0/24");
        pool = stage_open(&settings, 3, &targets);
        send_replies(peer, 1, 200, 64);
        stage_pull(pool, seen, 256);
        cr_expect_lt(clock_now_ns(CLOCK_MONOTONIC) - begin_ns, 10 * NS_PER_S);
        cr_expect_eq(probe_pool_stop(pool), 0);
        cr_expect_eq(probe_pool_counters(pool)->replies, 256);
        cr_expect_leq(probe_pool_counters(pool)->foreign, 200);
    }
    close(peer);
}

/* The ident for which a socket of IPv4 was opened, by its filter. */
static uint16_t ident_of(int fd)
{
    struct sock_filter code[32];
    socklen_t count = ARRAY_SIZE(code);

    cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, code, &count), 0);
    cr_assert_eq(count, 16);
    return (uint16_t)code[13].k;
}

/* One buffer that is too small for three workers: what it drops is counted once, and doubted by each. */
Test(pool_raw, a_shared_drop_is_one_drop, .timeout = 60)
{
    struct probe_settings settings;
    struct probe_targets targets = {0};
    CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
    uint8_t seen[48] = {0};
    uint32_t memory[SK_MEMINFO_VARS];
    socklen_t length = sizeof(memory);
    struct cluster c;
    unsigned all;
    int peer, ear;

    stage_make(&c, false);
    settings = stage_settings("epoll", 2000);
    stage_add(&targets, "10.2.0.0-10.2.0.47");
    pool = stage_open(&settings, 3, &targets);
    cr_assert_eq(count_ears(&all, &ear), 1);
    peer = netns_socket(c.peer, AF_INET, SOCK_RAW, IPPROTO_ICMP);
    send_replies(peer, ident_of(ear), 1000, 1024);
    cr_assert_eq(getsockopt(ear, SOL_SOCKET, SO_MEMINFO, memory, &length), 0);
    cr_assert_gt(memory[SK_MEMINFO_DROPS], 0);
    stage_pull(pool, seen, 48);
    cr_expect_eq(probe_pool_stop(pool), 0);
    cr_expect_eq(probe_pool_counters(pool)->receive_drops, memory[SK_MEMINFO_DROPS]);
    cr_expect_eq(probe_pool_counters(pool)->replies, 48);
    close(peer);
}
