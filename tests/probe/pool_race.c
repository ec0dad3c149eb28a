/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves, when it is built with -Db_sanitize=thread: the workers of a pool and its caller share
 * nothing without a rule. Several workers have all kinds of targets (alive, refused with ever new reasons,
 * without a way, named late) while the caller pulls results, looks at them again, sums counters, names
 * targets, begins another round, and stops in the middle or at the end. Without the sanitizer it is one more
 * test that everybody gets his result.
 *
 * A plain main(), since the thread sanitizer crashes inside Criterion.
 */
#include "probe/pool.h"
#include "tests/lib/netns.h"

#define ROUNDS 60

static void must(bool holds, const char *what)
{
    if (!holds) {
        printf("not ok 1 - %s\n", what);
        exit(1);
    }
}

static void add(struct probe_targets *targets, const char *text)
{
    struct probe_range range;
    char message[128];

    must(probe_range_parse(&range, text, message, sizeof(message)) == 0 &&
             probe_targets_add(targets, &range) == 0,
         text);
}

struct round {
    struct probe_pool *pool;
    uint32_t later[3], named;
    uint32_t known, replies;
};

static void open_round(struct round *round, const char *transport)
{
    struct probe_settings settings = probe_settings_default();
    struct probe_targets targets = {0};
    char message[256] = "";

    settings.transport = transport;
    settings.select_timeout_ns = 2 * NS_PER_S; /* all of them are answered, on a slow machine too */
    for (int i = 0; i < 3; i++) {
        must(probe_targets_add_later(&targets, &round->later[i]) == 1, "a name");
        add(&targets, "10.0.0.0-10.0.1.243");
        add(&targets, "10.8.0.0/28");
        add(&targets, "10.7.0.0/27");
    }
    must(probe_pool_new(&round->pool, &settings, 4, &targets, true, message, sizeof(message)) == 0, message);
    must(probe_pool_workers(round->pool) == 4, "there are four workers");
}

static void pull(struct round *round)
{
    struct probe_result result, again;

    while (probe_pool_next(round->pool, &result)) {
        round->known++;
        round->replies += result.outcome == PROBE_REPLY;
        must(probe_pool_result(round->pool, result.index, &again) &&
                 memcmp(&result, &again, sizeof(result)) == 0,
             "a result stays");
        if (round->known % 300 == 0 && round->named < 3) {
            struct address address = {.family = AF_INET, .bytes = {10, 0, 7, 7}};

            must(probe_pool_set(round->pool, round->later[round->named++], &address) == 0, "naming");
        }
    }
}

static void step_until(struct round *round, uint32_t until_known)
{
    while (!probe_pool_done(round->pool) && round->known < until_known) {
        must(probe_pool_step(round->pool, clock_now_ns(CLOCK_MONOTONIC) + NS_PER_S) == 0, "a step");
        pull(round);
        must(probe_pool_counters(round->pool)->sent + 1 > 0, "counters");
        probe_pool_asked_again(round->pool);
    }
}

static void run_round(const char *transport, bool ping_sockets, uint32_t until_known)
{
    struct round round = {0};

    netns_must(NETNS_HERE, "echo '%s' > /proc/sys/net/ipv4/ping_group_range",
               ping_sockets ? "0 2147483647" : "1 0");
    open_round(&round, transport);
    step_until(&round, until_known);
    for (int again = 1; again < 3 && until_known == UINT32_MAX; again++) {
        probe_pool_again(round.pool);
        step_until(&round, until_known);
    }
    must(probe_pool_stop(round.pool) == 0, "stopping");
    pull(&round);
    if (until_known == UINT32_MAX) {
        must(round.known == 3 * 3 * 549 && round.replies == 3 * 3 * 501, "everybody has his result");
        must(probe_pool_counters(round.pool)->replies == round.replies, "the counters are right");
    }
    probe_pool_free(round.pool);
}

int main(void)
{
    static const struct {
        const char *transport;
        bool ping_sockets;
    } ways[] = {{"epoll", true}, {"poll", true}, {"auto", true}, {"epoll", false}, {"auto", false}};

    if (netns_enter() < 0) {
        printf("1..0 # SKIP needs the right to make network namespaces: root, or unshare -Urn\n");
        return 0;
    }
    netns_must(NETNS_HERE,
               "ip route add local 10.0.0.0/14 dev lo; ip route add unreachable 10.8.0.0/16;"
               "sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000;"
               "ip route add local 10.7.0.0/16 dev lo;"
               "nft 'table ip t { chain in { type filter hook input priority 0;"
               "ip daddr 10.7.0.0/16 icmp type echo-request reject with icmp type admin-prohibited; }; }'");
    printf("1..1\n");
    for (uint32_t i = 0; i < ROUNDS; i++)
        run_round(ways[i % ARRAY_SIZE(ways)].transport, ways[i % ARRAY_SIZE(ways)].ping_sockets,
                  i % 2 ? 30 * i : UINT32_MAX);
    printf("ok 1 - %d rounds\n", ROUNDS);
    return 0;
}
