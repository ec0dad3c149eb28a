/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What packets to the service really do, told apart: as ours says, elsewhere because of an ICMP redirect,
 * elsewhere because of a foreign route or rule, nowhere. A redirect is undone by fib_replace().
 */
#include "route/fib/netlink.h"
#include "tests/fib/world.h"

#include <linux/rtnetlink.h>

struct situation {
    const char *what;
    uint8_t family;
    const char *before; /* S is the service */
    enum fib_way_kind kind;
    const char *text;
};

static const struct situation situations[] = {
    {"ours", AF_INET, "ip route add S via 10.1.0.2 proto 213", FIB_WAY_TAKEN,
     "S via 10.1.0.2 dev data src 10.1.0.1 proto 213 metric 0"},
    {"a foreign one in front", AF_INET,
     "ip route add S via 10.1.0.2 proto 213 metric 9; ip route add S via 10.2.0.2", FIB_WAY_TAKEN,
     "S via 10.2.0.2 dev management src 10.2.0.1 proto boot metric 0"},
    {"several next hops", AF_INET, "ip route add S nexthop via 10.1.0.2 nexthop via 10.1.0.3", FIB_WAY_TAKEN,
     NULL},
    {"a nexthop object", AF_INET,
     "ip nexthop add id 5 via 10.1.0.2 dev data; ip route add S nhid 5 proto static", FIB_WAY_TAKEN, NULL},
    {"a group of nexthop objects", AF_INET,
     "ip nexthop add id 5 via 10.1.0.2 dev data; ip nexthop add id 6 via 10.1.0.3 dev data;"
     "ip nexthop add id 7 group 5/6; ip route add S nhid 7 proto static",
     FIB_WAY_TAKEN, NULL},
    {"an IPv6 next hop", AF_INET, "ip route add S via inet6 fd01::2 dev data proto 213", FIB_WAY_TAKEN, NULL},
    {"on-link", AF_INET, "ip route add S dev data", FIB_WAY_TAKEN, NULL},
    {"nothing", AF_INET, "true", FIB_WAY_NONE, "no route"},
    {"a blackhole", AF_INET, "ip route add blackhole S", FIB_WAY_NONE, "blackhole"},
    {"unreachable", AF_INET, "ip route add unreachable S", FIB_WAY_NONE, "unreachable"},
    {"prohibit", AF_INET, "ip route add prohibit S", FIB_WAY_NONE, "prohibit"},
    {"a rule that says blackhole", AF_INET, "ip route add S via 10.1.0.2; ip rule add to S blackhole",
     FIB_WAY_NONE, "blackhole"},
    {"a rule that says prohibit", AF_INET, "ip route add S via 10.1.0.2; ip rule add to S prohibit",
     FIB_WAY_NONE, "prohibit"},
    {"a rule for a table that is not there", AF_INET,
     "ip route add S via 10.1.0.2; ip rule add to S table 99", FIB_WAY_TAKEN,
     "S via 10.1.0.2 dev data src 10.1.0.1 proto boot metric 0"},
    {"no rule for the main table", AF_INET, "ip route add S via 10.1.0.2; ip rule del pref 32766",
     FIB_WAY_NONE, "no route"},
    {"an address of this host", AF_INET, "ip route add S via 10.1.0.2; ip address add S dev lo",
     FIB_WAY_TAKEN, "local S dev lo src 192.168.33.2 proto kernel metric 0"},
    {"IPv6: ours", AF_INET6, "ip -6 route add S via fd01::2 proto 213", FIB_WAY_TAKEN,
     "S via fd01::2 dev data src fd01::1 proto 213 metric 1024"},
    {"IPv6: nothing", AF_INET6, "true", FIB_WAY_NONE, "no route"},
    {"IPv6: a blackhole", AF_INET6, "ip -6 route add blackhole S", FIB_WAY_NONE, NULL},
    {"IPv6: unreachable", AF_INET6, "ip -6 route add unreachable S", FIB_WAY_NONE, NULL},
    {"IPv6: a rule that says blackhole", AF_INET6,
     "ip -6 route add S via fd01::2; ip -6 rule add to S blackhole", FIB_WAY_NONE, NULL},
    {"IPv6: a rule that says prohibit", AF_INET6,
     "ip -6 route add S via fd01::2; ip -6 rule add to S prohibit", FIB_WAY_NONE, "prohibit"},
    {"IPv6: several next hops", AF_INET6, "ip -6 route add S nexthop via fd01::2 nexthop via fd01::3",
     FIB_WAY_TAKEN, NULL},
};

Test(way, situations)
{
    for (size_t i = 0; i < ARRAY_SIZE(situations); i++) {
        const struct situation *row = &situations[i];
        struct fib_settings settings = world_settings();
        struct address service = service_of(row->family);
        char text[512], want[512], got[512];
        struct fib_way way;
        struct world world;

        world_open(&world, &settings);
        netns_must(NETNS_HERE, "%s", expand_service(row->before, &service, text, sizeof(text)));
        cr_expect_eq(fib_way(world.fib, &service, &way), 0, "%s: %s", row->what, fib_error(world.fib));
        cr_expect_eq(way.kind, row->kind, "%s: kind %d, expected %d", row->what, way.kind, row->kind);
        fib_way_text(&way, got, sizeof(got));
        if (row->text)
            cr_expect_str_eq(got, expand_service(row->text, &service, want, sizeof(want)),
                             "%s:\n  got      %s\n  expected %s", row->what, got, want);
        world_close(&world);
    }
}

struct redirect {
    const char *what;
    uint8_t family;
    const char *before; /* S is the service; N another host */
    const char *router;
    const char *gateway;
    const char *text;
};

static const struct redirect redirects[] = {
    {"ours", AF_INET, "ip route add S via 10.1.0.2 proto 213", "10.1.0.2", "10.1.0.3",
     "redirected via 10.1.0.3 dev data"},
    {"ours, to a node that does not exist any more", AF_INET,
     "ip route add S via 10.1.0.2 proto 213; ip neighbour replace 10.1.0.77 lladdr 02:00:00:00:00:01 dev "
     "data "
     "nud permanent",
     "10.1.0.2", "10.1.0.77", "redirected via 10.1.0.77 dev data"},
    {"another route shares what was learnt", AF_INET,
     "ip route add S via 10.1.0.2 proto 213; ip route add 192.168.33.9 via 10.1.0.2 proto 213", "10.1.0.2",
     "10.1.0.3", "redirected via 10.1.0.3 dev data"},
    {"IPv6: ours", AF_INET6, "ip -6 route add S via fe80::a dev data proto 213", "fe80::a%data",
     "fe80::b%data", "redirected via fe80::b dev data"},
};

Test(way, redirects_are_undone)
{
    for (size_t i = 0; i < ARRAY_SIZE(redirects); i++) {
        const struct redirect *row = &redirects[i];
        struct fib_settings settings = world_settings();
        struct address service = service_of(row->family);
        struct address router, gateway;
        char text[512], got[512];
        struct fib_way way;
        struct world world;

        world_open(&world, &settings);
        netns_must(world.node, "for n in a b; do ip address add fe80::$n/64 dev data nodad; done");
        netns_must(NETNS_HERE, "%s", expand_service(row->before, &service, text, sizeof(text)));
        router = address_of(row->router);
        gateway = address_of(row->gateway);
        for (int again = 0; again < 3; again++) {
            world_redirect(&world, &service, &router, &gateway);
            cr_expect_eq(fib_way(world.fib, &service, &way), 0);
            cr_expect_eq(way.kind, FIB_WAY_DETOUR, "%s: no detour", row->what);
            cr_expect_str_eq(fib_way_text(&way, got, sizeof(got)), row->text, "%s: %s", row->what, got);
            cr_expect_eq(fib_replace(world.fib, &service, &router, world.data, NULL, NULL), 0, "%s: %s",
                         row->what, fib_error(world.fib));
            cr_expect_eq(fib_way(world.fib, &service, &way), 0);
            cr_expect(way.kind == FIB_WAY_TAKEN && address_equal(&way.taken.gateway, &router), "%s: still %s",
                      row->what, fib_way_text(&way, got, sizeof(got)));
        }
        world_close(&world);
    }
}

/* The adopted route of somebody else is detoured: taken over. */
Test(way, an_adopted_route_that_is_redirected_becomes_ours)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(AF_INET);
    struct address router = address_of("10.1.0.2"), gateway = address_of("10.1.0.3");
    struct fib_route standing;
    struct world world;
    size_t count = 1;
    char got[512];

    world_open(&world, &settings);
    netns_must(NETNS_HERE, "ip route add 192.168.33.2 via 10.1.0.2 proto static metric 5");
    cr_assert_eq(fib_get(world.fib, &service, &standing, &count), 0);
    world_redirect(&world, &service, &router, &gateway);
    cr_expect_eq(fib_replace(world.fib, &service, &router, world.data, &standing, NULL), 0, "%s",
                 fib_error(world.fib));
    cr_expect_str_eq(routes_text(world.fib, &service, got, sizeof(got)),
                     "192.168.33.2/32 via 10.1.0.2 dev data proto 213 metric 0");
    world_close(&world);
}

Test(way, ours_is_found_beneath_others)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(AF_INET);
    struct fib_route like = {.protocol = OUR_PROTOCOL, .metric = 7};
    struct fib_route route;
    struct world world;

    world_open(&world, &settings);
    cr_expect_eq(fib_find(world.fib, &service, NULL, &route), -ENOENT);
    netns_must(NETNS_HERE, "ip route add 192.168.33.2 via 10.1.0.2 proto 213;"
                           "ip route prepend 192.168.33.2 via 10.1.0.3 proto static;"
                           "ip route add 192.168.33.2 via 10.1.0.4 proto 213 metric 7");
    cr_expect_eq(fib_find(world.fib, &service, NULL, &route), 0);
    cr_expect_eq(route.gateway.bytes[3], 2);
    cr_expect_eq(fib_find(world.fib, &service, &like, &route), 0);
    cr_expect_eq(route.gateway.bytes[3], 4);
    like.metric = 8;
    cr_expect_eq(fib_find(world.fib, &service, &like, &route), -ENOENT);
    like = (struct fib_route){.protocol = RTPROT_STATIC};
    cr_expect_eq(fib_find(world.fib, &service, &like, &route), 0);
    cr_expect_eq(route.gateway.bytes[3], 3);
    world_close(&world);
}

/* --- messages --- */

Test(way, lengths_of_messages)
{
    static const struct {
        uint32_t length;
        size_t room;
        bool want;
    } rows[] = {
        {16, 16, true},          {20, 20, true},          {20, 64, true},          {16, 15, false},
        {0, 64, false},          {15, 64, false},         {65, 64, false},         {0x7fffffff, 64, false},
        {0x80000044, 64, false}, {0xffffffff, 64, false}, {0xfffffff0, 16, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct nlmsghdr header = {.nlmsg_len = rows[i].length};

        cr_expect_eq(netlink_message_ok(&header, rows[i].room), rows[i].want, "length %u in %zu",
                     rows[i].length, rows[i].room);
    }
}

/* The kernel's refusal, cut off anywhere and with any length inside: a sanitizer sees a read beyond it. */
Test(way, refusals_cut_off_anywhere)
{
    static const uint32_t inner[] = {0, 15, 16, 17, 36, 0x7ffffff0, 0x80000000, 0xfffffffc, 0xffffffff};
    struct {
        struct nlmsghdr header;
        struct nlmsgerr body;
        struct nlattr attribute;
        char text[8];
    } whole = {
        .header = {.nlmsg_type = NLMSG_ERROR, .nlmsg_flags = NLM_F_CAPPED | NLM_F_ACK_TLVS},
        .body = {.error = -EINVAL},
        .attribute = {.nla_len = MNL_ATTR_HDRLEN + 5, .nla_type = NLMSGERR_ATTR_MSG},
        .text = "oops",
    };
    unsigned told = 0;

    for (size_t i = 0; i < ARRAY_SIZE(inner); i++)
        for (uint32_t length = NLMSG_HDRLEN; length <= sizeof(whole); length++) {
            struct nlmsghdr *copy = malloc(length);
            char text[16] = "";
            int r;

            cr_assert_not_null(copy);
            whole.header.nlmsg_len = length;
            whole.header.nlmsg_flags = (uint16_t)(i == 0 ? NLM_F_CAPPED | NLM_F_ACK_TLVS : NLM_F_ACK_TLVS);
            whole.body.msg.nlmsg_len = inner[i];
            memcpy(copy, &whole, length);
            r = netlink_read_end(copy, text, sizeof(text));
            cr_expect(r == -EINVAL || r == -EBADMSG, "%d", r);
            told += strcmp(text, "oops") == 0;
            free(copy);
        }
    cr_expect_gt(told, 0, "the whole text was read once");
}
