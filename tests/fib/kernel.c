/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the FIB code takes for granted of the kernel, asked of the kernel itself: which route NLM_F_REPLACE
 * replaces, what is silent, what a removal without a metric removes, and when routes vanish without a word.
 * A row that fails here explains why something else fails elsewhere.
 */
#include "tests/fib/world.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#define CREATE  NLM_F_CREATE
#define REPLACE NLM_F_REPLACE
#define EXCL    NLM_F_EXCL

struct change {
    const char *what;
    const char *before; /* ip route commands; S is the service */
    uint16_t type;
    uint16_t flags;
    const char *gateway;
    uint32_t metric;
    int want;
    unsigned want_notified; /* route notifications */
    const char *after;
};

#define NEW RTM_NEWROUTE
#define DEL RTM_DELROUTE

static const struct change ipv4[] = {
    {"replace: same metric, other protocol: swapped", "ip route add S via 10.1.0.2 proto static", NEW,
     CREATE | REPLACE, "10.1.0.3", 0, 0, 1, "S via 10.1.0.3 dev data proto 213 metric 0"},
    {"replace: other metric: added", "ip route add S via 10.1.0.2 proto static metric 10", NEW,
     CREATE | REPLACE, "10.1.0.3", 20, 0, 1,
     "S via 10.1.0.2 dev data proto static metric 10; S via 10.1.0.3 dev data proto 213 metric 20"},
    {"replace: other TOS: added", "ip route add S tos 0x10 via 10.1.0.2 proto static", NEW, CREATE | REPLACE,
     "10.1.0.3", 0, 0, 1,
     "S via 10.1.0.3 dev data proto 213 metric 0; S via 10.1.0.2 dev data proto static metric 0 tos 0x10"},
    {"replace: a blackhole at the key is swapped too", "ip route add blackhole S", NEW, CREATE | REPLACE,
     "10.1.0.3", 0, 0, 1, "S via 10.1.0.3 dev data proto 213 metric 0"},
    {"replace: of several at the key the first",
     "ip route add S via 10.1.0.2 proto static; ip route prepend S via 10.1.0.3 proto static", NEW,
     CREATE | REPLACE, "10.1.0.4", 0, 0, 1,
     "S via 10.1.0.4 dev data proto 213 metric 0; S via 10.1.0.2 dev data proto static metric 0"},
    {"replace: identical: silent", "ip route add S via 10.1.0.2 proto 213", NEW, CREATE | REPLACE, "10.1.0.2",
     0, 0, 0, "S via 10.1.0.2 dev data proto 213 metric 0"},
    {"replace: identical but second: refused",
     "ip route add S via 10.1.0.2 proto 213; ip route prepend S via 10.1.0.3 proto 213", NEW,
     CREATE | REPLACE, "10.1.0.2", 0, -EEXIST, 0,
     "S via 10.1.0.3 dev data proto 213 metric 0; S via 10.1.0.2 dev data proto 213 metric 0"},
    {"replace without create: nothing there", "true", NEW, REPLACE, "10.1.0.2", 0, -ENOENT, 0, ""},
    {"create alone: prepended", "ip route add S via 10.1.0.2 proto static", NEW, CREATE, "10.1.0.3", 0, 0, 1,
     "S via 10.1.0.3 dev data proto 213 metric 0; S via 10.1.0.2 dev data proto static metric 0"},
    {"create, exclusively: refused", "ip route add S via 10.1.0.2 proto static", NEW, CREATE | EXCL,
     "10.1.0.3", 0, -EEXIST, 0, "S via 10.1.0.2 dev data proto static metric 0"},
    {"delete: metric 0 matches any metric", "ip route add S via 10.1.0.2 proto 213 metric 50", DEL, 0,
     "10.1.0.2", 0, 0, 1, ""},
    {"delete: no source matches any source", "ip route add S via 10.1.0.2 src 10.1.0.1 proto 213", DEL, 0,
     "10.1.0.2", 0, 0, 1, ""},
    {"delete: another protocol does not match", "ip route add S via 10.1.0.2 proto static", DEL, 0,
     "10.1.0.2", 0, -ESRCH, 0, "S via 10.1.0.2 dev data proto static metric 0"},
    {"delete: another gateway does not match", "ip route add S via 10.1.0.2 proto 213", DEL, 0, "10.1.0.3", 0,
     -ESRCH, 0, "S via 10.1.0.2 dev data proto 213 metric 0"},
};

static const struct change ipv6[] = {
    {"replace: same metric, other protocol: swapped", "ip -6 route add S via fd01::2 proto static", NEW,
     CREATE | REPLACE, "fd01::3", 1024, 0, 1, "S via fd01::3 dev data proto 213 metric 1024"},
    {"replace: metric 0 means 1024", "ip -6 route add S via fd01::2 proto static metric 1024", NEW,
     CREATE | REPLACE, "fd01::3", 0, 0, 1, "S via fd01::3 dev data proto 213 metric 1024"},
    {"replace: other metric: added", "ip -6 route add S via fd01::2 proto static metric 10", NEW,
     CREATE | REPLACE, "fd01::3", 20, 0, 1,
     "S via fd01::2 dev data proto static metric 10; S via fd01::3 dev data proto 213 metric 20"},
    {"replace: an on-link route at the key is swapped too", "ip -6 route add S dev data proto static", NEW,
     CREATE | REPLACE, "fd01::3", 0, 0, 1, "S via fd01::3 dev data proto 213 metric 1024"},
    {"replace: a blackhole at the key is swapped too", "ip -6 route add blackhole S", NEW, CREATE | REPLACE,
     "fd01::3", 0, 0, 1, "S via fd01::3 dev data proto 213 metric 1024"},
    {"replace: all hops of a multipath route go",
     "ip -6 route add S via fd01::2 proto static; ip -6 route append S via fd01::3 proto static", NEW,
     CREATE | REPLACE, "fd01::4", 0, 0, 1, "S via fd01::4 dev data proto 213 metric 1024"},
    {"replace: identical: not silent, unlike IPv4", "ip -6 route add S via fd01::2 proto 213", NEW,
     CREATE | REPLACE, "fd01::2", 0, 0, 1, "S via fd01::2 dev data proto 213 metric 1024"},
    {"replace without create: nothing there", "true", NEW, REPLACE, "fd01::2", 0, -ENOENT, 0, ""},
    {"create alone: joined to a multipath route, not prepended", "ip -6 route add S via fd01::2 proto static",
     NEW, CREATE, "fd01::3", 0, 0, 1, "S via fd01::2 dev data proto static metric 1024 (and more next hops)"},
    {"create, exclusively: refused", "ip -6 route add S via fd01::2 proto static", NEW, CREATE | EXCL,
     "fd01::3", 0, -EEXIST, 0, "S via fd01::2 dev data proto static metric 1024"},
    {"delete: metric 0 matches any metric", "ip -6 route add S via fd01::2 proto 213 metric 50", DEL, 0,
     "fd01::2", 0, 0, 1, ""},
    {"delete: another protocol does not match", "ip -6 route add S via fd01::2 proto static", DEL, 0,
     "fd01::2", 0, -ESRCH, 0, "S via fd01::2 dev data proto static metric 1024"},
};

static void check_change(const struct change *row, uint8_t family)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(family);
    struct fib_route route = {
        .destination = service,
        .prefix_length = family == AF_INET ? 32 : 128,
        .gateway = address_of(row->gateway),
        .table = RT_TABLE_MAIN,
        .metric = row->metric,
        .protocol = OUR_PROTOCOL,
        .type = RTN_UNICAST,
    };
    char before[512], want[512], got[512];
    struct world world;
    unsigned notified;
    int r;

    world_open(&world, &settings);
    netns_must(NETNS_HERE, "%s", expand_service(row->before, &service, before, sizeof(before)));
    fib_watch(world.fib, &service);
    drain_events(world.fib, FIB_EVENT_ROUTE);
    route.ifindex = world.data;
    r = raw_change(row->type, row->flags, &route);
    notified = drain_events(world.fib, FIB_EVENT_ROUTE);
    cr_expect_eq(r, row->want, "%s: result %d, expected %d", row->what, r, row->want);
    cr_expect_eq(notified, row->want_notified, "%s: %u notifications, expected %u", row->what, notified,
                 row->want_notified);
    cr_expect_str_eq(routes_text(world.fib, &service, got, sizeof(got)),
                     expand_service(row->after, &service, want, sizeof(want)),
                     "%s:\n  got      %s\n  expected %s", row->what, got, want);
    world_close(&world);
}

Test(kernel, replace_ipv4)
{
    for (size_t i = 0; i < ARRAY_SIZE(ipv4); i++)
        check_change(&ipv4[i], AF_INET);
}

Test(kernel, replace_ipv6)
{
    for (size_t i = 0; i < ARRAY_SIZE(ipv6); i++)
        check_change(&ipv6[i], AF_INET6);
}

/* Something happens to a link or an address: what becomes of the route, and who is told. */
struct loss {
    const char *what;
    uint8_t family;
    const char *before;
    const char *happens; /* here */
    const char *there;   /* on the node's side */
    enum fib_event_kind told;
    int want_removals; /* route notifications that say "gone"; EITHER: it depends on the kernel's age */
    const char *after;
};

#define EITHER (-1)

static const struct loss losses[] = {
    {"link down: IPv4 route gone without a word", AF_INET, "ip route add S via 10.1.0.2 proto 213",
     "ip link set dev data down", "true", FIB_EVENT_LINK, 0, ""},
    {"link down: IPv6 route gone, and said so", AF_INET6, "ip -6 route add S via fd01::2 proto 213",
     "ip link set dev data down", "true", FIB_EVENT_LINK, 1, ""},
    {"preferred source gone: IPv4 route gone (older kernels do not say so)", AF_INET,
     "ip address add 10.1.0.9/24 dev data; ip route add S via 10.1.0.2 src 10.1.0.9 proto 213",
     "ip address del 10.1.0.9/24 dev data", "true", FIB_EVENT_ADDRESS, EITHER, ""},
    {"another address gone: the route stays", AF_INET,
     "ip address add 10.1.0.9/24 dev data; ip route add S via 10.1.0.2 proto 213",
     "ip address del 10.1.0.9/24 dev data", "true", FIB_EVENT_ADDRESS, 0,
     "S via 10.1.0.2 dev data proto 213 metric 0"},
    {"the last address of the network gone: the route stays, although its gateway is on-link no more",
     AF_INET, "ip address add 10.7.0.1/24 dev data; ip route add S via 10.7.0.2 proto 213",
     "ip address del 10.7.0.1/24 dev data", "true", FIB_EVENT_ADDRESS, 0,
     "S via 10.7.0.2 dev data proto 213 metric 0"},
    {"carrier lost: the IPv4 route stays, marked", AF_INET, "ip route add S via 10.1.0.2 proto 213", "true",
     "ip link set dev data down", FIB_EVENT_LINK, 0, "S via 10.1.0.2 dev data proto 213 metric 0 linkdown"},
    {"carrier lost: the IPv6 route stays, marked", AF_INET6, "ip -6 route add S via fd01::2 proto 213",
     "true", "ip link set dev data down", FIB_EVENT_LINK, 0,
     "S via fd01::2 dev data proto 213 metric 1024 linkdown"},
};

/* Events until the expected one came; counts removals of routes on the way and whatever comes with them. */
static int count_removals(struct world *world, const struct loss *row)
{
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + 5 * NS_PER_S;
    struct fib_event event;
    int removals = 0;
    bool told = false;

    while (!told && clock_now_ns(CLOCK_MONOTONIC) < deadline_ns)
        while (fib_next_event(world->fib, &event)) {
            told = told || (event.kind == row->told && !event.usable && event.ifindex == world->data);
            removals += event.kind == FIB_EVENT_ROUTE && !event.usable;
        }
    cr_expect(told, "%s: nobody told of the link or the address", row->what);
    return removals + (int)drain_events(world->fib, FIB_EVENT_ROUTE);
}

Test(kernel, losses)
{
    struct fib_settings settings = world_settings();

    for (size_t i = 0; i < ARRAY_SIZE(losses); i++) {
        const struct loss *row = &losses[i];
        struct address service = service_of(row->family);
        char before[512], want[512], got[512];
        struct world world;
        int removals;

        world_open(&world, &settings);
        netns_must(NETNS_HERE, "%s", expand_service(row->before, &service, before, sizeof(before)));
        fib_watch(world.fib, &service);
        drain_events(world.fib, FIB_EVENT_ROUTE);
        netns_must(NETNS_HERE, "%s", row->happens);
        netns_must(world.node, "%s", row->there);
        removals = count_removals(&world, row);
        cr_expect(row->want_removals == EITHER || removals == row->want_removals,
                  "%s: %d removals told, expected %d", row->what, removals, row->want_removals);
        cr_expect_str_eq(routes_text(world.fib, &service, got, sizeof(got)),
                         expand_service(row->after, &service, want, sizeof(want)),
                         "%s:\n  got      %s\n  expected %s", row->what, got, want);
        world_close(&world);
    }
}

Test(kernel, lookup_through_an_interface_without_a_route)
{
    struct fib_settings settings = world_settings();
    struct address nowhere = address_of("203.0.113.1");
    struct fib_route way;
    struct world world;

    /* `ip route get 203.0.113.1 oif data` says "on-link" although there is no route: fib_lookup() must not.
     */
    world_open(&world, &settings);
    netns_must(NETNS_HERE, "ip route get 203.0.113.1 oif data >/dev/null");
    cr_expect_lt(fib_lookup(world.fib, &nowhere, world.data, &way), 0);
    world_close(&world);
}
