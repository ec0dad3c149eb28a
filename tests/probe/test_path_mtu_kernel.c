/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves, against the real kernel: the path MTU is found to the byte in IPv4 and IPv6, on every
 * transport, through ping sockets and raw ones, where a router names it, where all routers are silent, where
 * two links get smaller, on the link itself and on the loopback; what the kernel has learnt of a path before
 * does not count when the path has become better; a route's own MTU does not count either. And rounds on a
 * path with loss.
 */
#include <criterion/criterion.h>
#include <netinet/icmp6.h>
#include <poll.h>

#include "probe/icmp.h"
#include "probe/path_mtu.h"
#include "probe/rounds.h"
#include "probe/socket.h"
#include "tests/probe/cluster.h"

static struct probe_settings settings_of(const char *transport)
{
    struct probe_settings settings = probe_settings_default();

    settings.transport = transport;
    settings.select_timeout_ns = 100 * NS_PER_MS;
    settings.select_count = 1;
    return settings;
}

static void add(struct probe_targets *targets, const char *text)
{
    struct address address;

    cr_assert_eq(address_parse(&address, text), 0, "%s", text);
    cr_assert_eq(probe_targets_add(targets, &(struct probe_range){address, address}), 0);
}

static struct probe_path_mtu *probe(const struct probe_settings *settings, uint32_t check_bytes,
                                    const char *const texts[])
{
    struct probe_path_mtu *mtu = NULL;
    struct probe_targets targets = {0};
    char message[256];
    uint32_t index, left = 0;

    for (; texts[left]; left++)
        add(&targets, texts[left]);
    cr_assert_eq(probe_path_mtu_new(&mtu, settings, check_bytes, &targets, true, message, sizeof(message)), 0,
                 "%s", message);
    while (left > 0) {
        cr_assert_eq(front_end_step(probe_path_mtu_front(mtu), NEVER_NS), 0);
        while (probe_path_mtu_next(mtu, &index))
            left--;
    }
    return mtu;
}

static struct probe_path_mtu_result result_of(const struct probe_path_mtu *mtu, uint32_t index)
{
    struct probe_path_mtu_result result;

    cr_assert(probe_path_mtu_result(mtu, index, &result));
    return result;
}

/* The router of the cluster says nothing of what is too big, as firewalls make them. */
static void silence(const struct cluster *c)
{
    netns_must(c->peer, "nft 'table inet hush { chain out { type filter hook output priority 0;"
                        "icmp type destination-unreachable icmp code frag-needed drop;"
                        "icmpv6 type packet-too-big drop; }; }'");
}

static void make(struct cluster *c)
{
    cluster_make(c);
    cluster_allow_ping_sockets(true);
}

static const char *const transports[] = {"epoll", "poll", "io_uring"};

/* io_uring may be forbidden here. */
static bool is_there(const char *transport)
{
    struct probe_settings settings = settings_of(transport);
    struct probe_targets targets = {0};
    struct probe_path_mtu *mtu = NULL;
    char message[256];
    int r;

    add(&targets, "127.0.0.1");
    r = probe_path_mtu_new(&mtu, &settings, 0, &targets, true, message, sizeof(message));
    probe_path_mtu_free(mtu);
    return r == 0;
}

/*
 * Do messages of more than 16 KiB pass on the loopback, by an IPv6 ping socket? On Linux 5.10 they do not: it gives
 * them a wrong checksum.
 */
static bool large_pings_pass(void)
{
    const struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    static uint8_t request[20000];
    CLEANUP(close_fd) int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMPV6);
    struct pollfd p = {.fd = fd, .events = POLLIN};

    cr_assert_geq(fd, 0);
    icmp_pattern_fill(request, sizeof(request));
    request[0] = ICMP6_ECHO_REQUEST;
    cr_assert_eq(sendto(fd, request, sizeof(request), 0, (const struct sockaddr *)&to, sizeof(to)),
                 sizeof(request), "%s", strerror(errno));
    return poll(&p, 1, 1000) == 1;
}

Test(path_mtu_kernel, a_router_names_it)
{
    static const char *const texts[] = {"10.4.0.2", "fd04::2",  "10.1.0.2",  "fd01::2", "127.0.0.1",
                                        "::1",      "10.2.1.1", "10.99.0.1", NULL};
    static const uint32_t want[] = {1300, 1300, 1500, 1500, 65535, 65536 - 1, 0, 0};
    struct cluster c;
    bool large_pass;

    make(&c);
    large_pass = large_pings_pass();
    for (int raw = 0; raw < 2; raw++) {
        cluster_allow_ping_sockets(!raw);
        for (size_t t = 0; t < ARRAY_SIZE(transports); t++) {
            struct probe_settings settings = settings_of(transports[t]);
            struct probe_path_mtu *mtu;

            if (!is_there(transports[t]))
                continue;
            mtu = probe(&settings, 0, texts);
            for (uint32_t i = 0; i < ARRAY_SIZE(want); i++) {
                struct probe_path_mtu_result got = result_of(mtu, i);
                uint32_t expected = i == 5 ? 65536 : want[i];

                if (i == 5 && !raw && !large_pass)
                    continue;
                cr_expect_eq(got.passes_bytes, expected, "%s, raw %d: %s: %u, %s", transports[t], raw,
                             texts[i], got.passes_bytes, probe_outcome_text(got.outcome));
                cr_expect_eq(got.outcome == PROBE_REPLY, expected > 0);
                if (expected != 1300)
                    continue;
                cr_expect(got.fails_bytes == 1301 && got.limit == PROBE_FRAG_NEEDED &&
                              got.limit_error.mtu_bytes == 1300,
                          "%s: %u fails", texts[i], got.fails_bytes);
                cr_expect_str_eq(ADDRESS_TEXT(&got.limit_error.from), i == 0 ? "10.1.0.2" : "fd01::2");
                cr_expect_eq(got.requests, 3, "small, 1500, 1300: %u", got.requests);
            }
            probe_path_mtu_free(mtu);
        }
    }
}

Test(path_mtu_kernel, all_are_silent)
{
    static const char *const texts[] = {"10.4.0.2", "fd04::2", NULL};
    struct probe_settings settings = settings_of("auto");
    struct cluster c;

    make(&c);
    silence(&c);
    for (uint32_t link = 1280; link <= 1497; link += 217) {
        struct probe_path_mtu *mtu;

        netns_must(c.peer, "ip link set beyond mtu %u", link);
        netns_must(c.far, "ip link set far mtu %u", link);
        mtu = probe(&settings, 0, texts);
        for (uint32_t i = 0; i < 2; i++) {
            struct probe_path_mtu_result got = result_of(mtu, i);

            cr_expect(got.passes_bytes == link && got.fails_bytes == link + 1 && got.limit == PROBE_TIMEOUT,
                      "%s: %u passes, %u fails, %s", texts[i], got.passes_bytes, got.fails_bytes,
                      probe_outcome_text(got.limit));
        }
        probe_path_mtu_free(mtu);
    }
}

Test(path_mtu_kernel, one_size)
{
    static const char *const texts[] = {"10.4.0.2", "fd04::2", "10.1.0.2", "fd01::2", "10.2.1.1", NULL};
    struct probe_settings settings = settings_of("auto");
    struct probe_path_mtu *mtu;
    struct cluster c;

    make(&c);
    mtu = probe(&settings, 1300, texts);
    for (uint32_t i = 0; i < 4; i++)
        cr_expect_eq(result_of(mtu, i).passes_bytes, 1300, "%s", texts[i]);
    cr_expect_eq(result_of(mtu, 4).outcome, PROBE_TIMEOUT);
    probe_path_mtu_free(mtu);
    mtu = probe(&settings, 1301, texts);
    for (uint32_t i = 0; i < 2; i++) {
        struct probe_path_mtu_result got = result_of(mtu, i);

        cr_expect(got.fails_bytes == 1301 && got.limit == PROBE_FRAG_NEEDED &&
                  got.limit_error.mtu_bytes == 1300);
    }
    cr_expect_eq(result_of(mtu, 2).passes_bytes, 1301);
    probe_path_mtu_free(mtu);
    mtu = probe(&settings, 1501, texts);
    for (uint32_t i = 0; i < 4; i++) {
        struct probe_path_mtu_result got = result_of(mtu, i);

        cr_expect(got.fails_bytes == 1501 && got.limit == PROBE_FRAG_NEEDED &&
                      got.limit_error.mtu_bytes == 1500 && !address_is_set(&got.limit_error.from),
                  "%s: %u fails, MTU %u", texts[i], got.fails_bytes, got.limit_error.mtu_bytes);
    }
    probe_path_mtu_free(mtu);
    silence(&c);
    mtu = probe(&settings, 1301, texts);
    for (uint32_t i = 0; i < 2; i++) {
        struct probe_path_mtu_result got = result_of(mtu, i);

        cr_expect(got.outcome == PROBE_REPLY && got.fails_bytes == 1301 && got.limit == PROBE_TIMEOUT);
    }
    probe_path_mtu_free(mtu);
}

/* The kernel keeps what it has learnt for ten minutes. Meanwhile the path has become better, or worse. */
Test(path_mtu_kernel, what_the_kernel_has_learnt_does_not_count)
{
    static const char *const texts[] = {"10.4.0.2", "fd04::2", NULL};
    static const uint32_t links[] = {1300, 1450, 1400};
    struct probe_settings settings = settings_of("auto");
    struct address v4, v6;
    struct cluster c;

    make(&c);
    cr_assert_eq(address_parse(&v4, texts[0]), 0);
    cr_assert_eq(address_parse(&v6, texts[1]), 0);
    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        struct probe_path_mtu *mtu;

        netns_must(c.peer, "ip link set beyond mtu %u", links[i]);
        netns_must(c.far, "ip link set far mtu %u", links[i]);
        mtu = probe(&settings, 0, texts);
        cr_expect_eq(result_of(mtu, 0).passes_bytes, links[i]);
        cr_expect_eq(result_of(mtu, 1).passes_bytes, links[i]);
        probe_path_mtu_free(mtu);
        netns_must(NETNS_HERE, "ip route get 10.4.0.2 | grep -q 'mtu [0-9]'");
        cr_expect_eq(icmp_socket_mtu_bytes(&settings, &v4, 0), 1500);
        cr_expect_eq(icmp_socket_mtu_bytes(&settings, &v6, 0), 1500);
    }
}

Test(path_mtu_kernel, a_route_that_claims_less_and_an_interface)
{
    static const char *const texts[] = {"10.5.0.2", NULL};
    struct probe_settings settings = settings_of("auto");
    struct probe_path_mtu *mtu;
    struct cluster c;

    make(&c);
    netns_must(NETNS_HERE, "ip link set second mtu 9000 && ip route add 10.5.0.2/32 dev second mtu 1234");
    netns_must(c.peer, "ip link set near2 mtu 9000");
    mtu = probe(&settings, 0, texts);
    cr_expect_eq(result_of(mtu, 0).passes_bytes, 9000);
    cr_expect_eq(result_of(mtu, 0).fails_bytes, 0);
    probe_path_mtu_free(mtu);
}

Test(path_mtu_kernel, rounds_with_loss)
{
    struct probe_settings settings = settings_of("auto");
    struct probe_rounds_plan plan = {40, 10 * NS_PER_MS};
    struct probe_rounds *rounds = NULL;
    struct probe_rounds_result result;
    struct probe_targets targets = {0};
    struct cluster c;
    char message[256];
    uint32_t index, left = 3;

    make(&c);
    netns_must(c.peer, "nft 'table inet lossy { chain in { type filter hook input priority 0;"
                       "ip daddr 10.2.0.7 numgen inc mod 4 == 1 drop; }; }'");
    add(&targets, "10.2.0.7");
    add(&targets, "fd02::9");
    add(&targets, "10.3.0.1");
    cr_assert_eq(probe_rounds_new(&rounds, &settings, &plan, &targets, true, message, sizeof(message)), 0,
                 "%s", message);
    while (left > 0) {
        cr_assert_eq(front_end_step(probe_rounds_front(rounds), NEVER_NS), 0);
        while (probe_rounds_next(rounds, &index))
            left--;
    }
    cr_assert(probe_rounds_result(rounds, 0, &result));
    cr_expect(result.sent == 40 && result.answered == 30 && result.lost == 10 && result.doubtful == 0,
              "%u of %u", result.answered, result.sent);
    cr_expect(result.times.min_ns > 0 && result.times.max_ns < 100 * NS_PER_MS && result.times.pairs >= 19,
              "%u pairs", result.times.pairs);
    cr_assert(probe_rounds_result(rounds, 1, &result));
    cr_expect(result.answered == 40 && result.lost == 0);
    cr_assert(probe_rounds_result(rounds, 2, &result));
    cr_expect(result.outcome == PROBE_UNREACHABLE && result.lost == 40);
    probe_rounds_free(rounds);
}
