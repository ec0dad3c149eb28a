/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The namespaces of cluster.h. They live as long as the test's process.
 */
#include "tests/probe/cluster.h"

#include <criterion/criterion.h>
#include <fcntl.h>

static void make_links(struct cluster *c)
{
    const int all[] = {NETNS_HERE, c->peer, c->far};

    /* Nobody waits for duplicate address detection. */
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        netns_must(all[i], "sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0");
    netns_veth(NETNS_HERE, "first", "10.1.0.1/24", c->peer, "near", "10.1.0.2/24");
    netns_veth(NETNS_HERE, "second", "10.5.0.1/24", c->peer, "near2", "10.5.0.2/24");
    netns_veth(c->peer, "beyond", "10.4.0.1/24", c->far, "far", "10.4.0.2/24");
    netns_must(NETNS_HERE, "ip address add fd01::1/64 dev first nodad");
    netns_must(c->peer,
               "ip address add fd01::2/64 dev near nodad && ip address add fd04::1/64 dev beyond nodad &&"
               "ip link set beyond mtu 1300");
    netns_must(c->far, "ip address add fd04::2/64 dev far nodad && ip link set far mtu 1300 &&"
                       "ip route add default via 10.4.0.1 && ip route add default via fd04::1");
    netns_await_address(c->peer, "fd01::2");
    c->first_ifindex = if_nametoindex("first");
    c->second_ifindex = if_nametoindex("second");
}

static void make_routes(const struct cluster *c)
{
    netns_must(NETNS_HERE,
               "for net in 10.2.0.0/16 10.3.0.0/16 10.4.0.0/16 10.6.0.0/16; do"
               "    ip route add $net via 10.1.0.2; done;"
               "for net in fd02::/64 fd03::/64 fd04::/64; do ip route add $net via fd01::2; done");
    netns_must(c->peer,
               "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"
               "    net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0"
               "    net.ipv4.icmp_msgs_per_sec=100000 net.ipv4.icmp_msgs_burst=10000"
               "    net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.near.rp_filter=0"
               "    net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2;"
               "ip route add local 10.2.0.0/16 dev lo; ip route add local 10.6.0.0/16 dev lo;"
               "ip route add local fd02::/64 dev lo;"
               "ip route add 10.3.0.0/16 via 10.4.0.2; ip route add fd03::/64 via fd04::2;"
               "ip rule add from 10.6.0.0/16 lookup 100; ip route add 10.1.0.0/24 via 10.5.0.1 table 100");
    netns_must(NETNS_HERE, "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.second.rp_filter=0"
                           "    net.ipv4.conf.first.rp_filter=0");
}

static void make_firewalls(const struct cluster *c)
{
    netns_must(c->peer, "nft 'table inet t { chain in { type filter hook input priority 0;"
                        "ip daddr 10.2.1.0/24 drop; ip6 daddr fd02::1:0/112 drop;"
                        "ip daddr 10.2.2.0/24 reject with icmp type host-prohibited;"
                        "ip6 daddr fd02::2:0/112 reject with icmpv6 type admin-prohibited; };"
                        "chain on { type filter hook forward priority 0;"
                        "ip daddr 10.3.0.0/16 reject with icmp type host-unreachable;"
                        "ip6 daddr fd03::/64 reject with icmpv6 type addr-unreachable; }; }'");
    netns_must(NETNS_HERE, "nft 'table inet t { chain out { type filter hook output priority 0;"
                           "ip daddr 10.2.3.0/24 drop; }; }'");
}

void cluster_make(struct cluster *cluster)
{
    int r = netns_enter();

    if (r < 0)
        cr_skip_test("no network namespaces: %s", strerror(-r));
    cluster->peer = netns_new();
    cluster->far = netns_new();
    cr_assert(cluster->peer >= 0 && cluster->far >= 0);
    make_links(cluster);
    make_routes(cluster);
    make_firewalls(cluster);
    /* A link needs a moment until it carries IPv6. */
    netns_must(NETNS_HERE, "fping -6 -q -r 50 -B 1 -t 100 fd04::2 >/dev/null 2>&1");
}

void cluster_allow_ping_sockets(bool allow)
{
    const char *range = allow ? "0 2147483647" : "1 0";
    int fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);

    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, range, strlen(range)), (ssize_t)strlen(range));
    close(fd);
}
