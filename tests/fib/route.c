/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fib_replace() and fib_remove() leave behind, as a table of situations: ours and foreign routes before,
 * the call, its result, every standing route to the service afterwards. Foreign routes are in each of the
 * afters as they were in the befores. Then lookup, dry run and the kernel's own words.
 *
 * S is the service. `standing`: which of the routes that fib_get() gives is handed over as the adopted one.
 */
#include "tests/fib/world.h"

#include <linux/rtnetlink.h>

#define NONE (-1)

struct situation {
    const char *what;
    uint8_t family;
    uint32_t metric;
    const char *before;
    const char *gateway; /* NULL: fib_remove() */
    const char *interface;
    int standing;
    int want;
    const char *after;
    const char *shadow; /* empty: none */
};

static const struct situation situations[] = {
    {"nothing there: created", AF_INET, 0, "true", "10.1.0.2", "data", NONE, 0,
     "S via 10.1.0.2 dev data proto 213 metric 0", ""},
    {"ours there: moved", AF_INET, 0, "ip route add S via 10.1.0.2 proto 213", "10.1.0.3", "data", NONE, 0,
     "S via 10.1.0.3 dev data proto 213 metric 0", ""},
    {"ours there: moved to the other link", AF_INET, 0, "ip route add S via 10.1.0.2 proto 213", "10.2.0.2",
     "management", NONE, 0, "S via 10.2.0.2 dev management proto 213 metric 0", ""},
    {"the same again", AF_INET, 0, "ip route add S via 10.1.0.2 proto 213", "10.1.0.2", "data", NONE, 0,
     "S via 10.1.0.2 dev data proto 213 metric 0", ""},
    {"metric configured", AF_INET, 7, "ip route add S via 10.1.0.2 proto 213 metric 7", "10.1.0.3", "data",
     NONE, 0, "S via 10.1.0.3 dev data proto 213 metric 7", ""},
    {"an IPv6 next hop", AF_INET, 0, "ip route add S via 10.1.0.2 proto 213", "fd02::2", "management", NONE,
     0, "S via fd02::2 dev management proto 213 metric 0", ""},

    {"ours with another metric: removed afterwards", AF_INET, 0,
     "ip route add S via 10.1.0.2 proto 213 metric 50", "10.1.0.3", "data", NONE, 0,
     "S via 10.1.0.3 dev data proto 213 metric 0", ""},
    {"ours with a lower metric: removed afterwards", AF_INET, 50, "ip route add S via 10.1.0.2 proto 213",
     "10.1.0.3", "data", NONE, 0, "S via 10.1.0.3 dev data proto 213 metric 50", ""},
    {"ours twice at the key, the wanted one second: the first removed", AF_INET, 0,
     "ip route add S via 10.1.0.2 proto 213; ip route prepend S via 10.1.0.3 proto 213", "10.1.0.2", "data",
     NONE, 0, "S via 10.1.0.2 dev data proto 213 metric 0", ""},
    {"ours as multipath: swapped as a whole", AF_INET, 0,
     "ip route add S proto 213 nexthop via 10.1.0.2 nexthop via 10.2.0.2", "10.1.0.3", "data", NONE, 0,
     "S via 10.1.0.3 dev data proto 213 metric 0", ""},
    {"ours for a TOS: removed afterwards", AF_INET, 0, "ip route add S tos 0x10 via 10.1.0.2 proto 213",
     "10.1.0.3", "data", NONE, 0, "S via 10.1.0.3 dev data proto 213 metric 0", ""},

    {"foreign at our key: refused", AF_INET, 0, "ip route add S via 10.1.0.2 proto static", "10.1.0.3",
     "data", NONE, -EEXIST, "S via 10.1.0.2 dev data proto static metric 0",
     "S via 10.1.0.2 dev data proto static metric 0"},
    {"foreign blackhole at our key: refused", AF_INET, 0, "ip route add blackhole S", "10.1.0.3", "data",
     NONE, -EEXIST, "blackhole S proto boot metric 0", "blackhole S proto boot metric 0"},
    {"foreign before ours at the key: refused", AF_INET, 0,
     "ip route add S via 10.1.0.2 proto 213; ip route prepend S via 10.1.0.4 proto static", "10.1.0.3",
     "data", NONE, -EEXIST,
     "S via 10.1.0.4 dev data proto static metric 0; S via 10.1.0.2 dev data proto 213 metric 0",
     "S via 10.1.0.4 dev data proto static metric 0"},
    {"foreign behind ours at the key: ours moves", AF_INET, 0,
     "ip route add S via 10.1.0.2 proto static; ip route prepend S via 10.1.0.4 proto 213", "10.1.0.3",
     "data", NONE, 0,
     "S via 10.1.0.3 dev data proto 213 metric 0; S via 10.1.0.2 dev data proto static metric 0", ""},
    {"foreign with a larger metric: left", AF_INET, 0,
     "ip route add S via 10.1.0.2 proto static metric 50; ip route add S via 10.1.0.2 proto 213", "10.1.0.3",
     "data", NONE, 0,
     "S via 10.1.0.3 dev data proto 213 metric 0; S via 10.1.0.2 dev data proto static metric 50", ""},
    {"foreign for a TOS: left", AF_INET, 0, "ip route add S tos 0x10 via 10.1.0.2 proto static", "10.1.0.3",
     "data", NONE, 0,
     "S via 10.1.0.3 dev data proto 213 metric 0; S via 10.1.0.2 dev data proto static metric 0 tos 0x10",
     ""},

    {"shadowed by a lower metric", AF_INET, 50, "ip route add S via 10.1.0.2 proto static metric 10",
     "10.1.0.3", "data", NONE, -ESTALE,
     "S via 10.1.0.2 dev data proto static metric 10; S via 10.1.0.3 dev data proto 213 metric 50",
     "S via 10.1.0.2 dev data src 10.1.0.1 proto static metric 10"},
    {"shadowed by another table", AF_INET, 0,
     "ip rule add to S table 99; ip route add default via 10.2.0.2 table 99", "10.1.0.3", "data", NONE,
     -ESTALE, "S via 10.1.0.3 dev data proto 213 metric 0",
     "0.0.0.0/0 via 10.2.0.2 dev management table 99 src 10.2.0.1 proto boot metric 0"},
    {"shadowed by a rule without a route", AF_INET, 0, "ip rule add to S prohibit", "10.1.0.3", "data", NONE,
     -ESTALE, "S via 10.1.0.3 dev data proto 213 metric 0", ""},
    {"shadowed by the same next hop: as good as ours", AF_INET, 50,
     "ip route add S via 10.1.0.3 proto static metric 10", "10.1.0.3", "data", NONE, 0,
     "S via 10.1.0.3 dev data proto static metric 10; S via 10.1.0.3 dev data proto 213 metric 50", ""},

    {"adopted, same key: swapped", AF_INET, 0, "ip route add S via 10.1.0.2 proto static", "10.1.0.3", "data",
     0, 0, "S via 10.1.0.3 dev data proto 213 metric 0", ""},
    {"adopted, same next hop: becomes ours", AF_INET, 0, "ip route add S via 10.1.0.2 proto static",
     "10.1.0.2", "data", 0, 0, "S via 10.1.0.2 dev data proto 213 metric 0", ""},
    {"adopted, larger metric: removed afterwards", AF_INET, 0,
     "ip route add S via 10.1.0.2 proto static metric 50", "10.1.0.3", "data", 0, 0,
     "S via 10.1.0.3 dev data proto 213 metric 0", ""},
    {"adopted, lower metric: removed afterwards", AF_INET, 50, "ip route add S via 10.1.0.2 proto static",
     "10.1.0.3", "data", 0, 0, "S via 10.1.0.3 dev data proto 213 metric 50", ""},
    {"adopted with a preferred source", AF_INET, 0,
     "ip route add S via 10.1.0.2 src 10.1.0.1 proto static metric 50", "10.1.0.3", "data", 0, 0,
     "S via 10.1.0.3 dev data proto 213 metric 0", ""},
    {"adopted multipath with another metric", AF_INET, 0,
     "ip route add S proto static metric 50 nexthop via 10.1.0.2 nexthop via 10.2.0.2", "10.1.0.3", "data", 0,
     0, "S via 10.1.0.3 dev data proto 213 metric 0", ""},
    {"adopted nexthop object with another metric", AF_INET, 0,
     "ip nexthop add id 5 via 10.1.0.2 dev data; ip route add S nhid 5 proto static metric 50", "10.1.0.3",
     "data", 0, 0, "S via 10.1.0.3 dev data proto 213 metric 0", ""},
    {"adopted nexthop object at our key", AF_INET, 0,
     "ip nexthop add id 5 via 10.1.0.2 dev data; ip route add S nhid 5 proto static", "10.1.0.3", "data", 0,
     0, "S via 10.1.0.3 dev data proto 213 metric 0", ""},
    {"adopted on-link", AF_INET, 0, "ip route add S dev data proto static metric 50", "10.1.0.3", "data", 0,
     0, "S via 10.1.0.3 dev data proto 213 metric 0", ""},
    {"adopted one of two foreign: the other one stays", AF_INET, 0,
     "ip route add S via 10.1.0.2 proto static metric 50; ip route add S via 10.1.0.4 proto static metric 60",
     "10.1.0.3", "data", 0, 0,
     "S via 10.1.0.3 dev data proto 213 metric 0; S via 10.1.0.4 dev data proto static metric 60", ""},
    {"adopted, but somebody else's stands at our key: refused", AF_INET, 0,
     "ip route add S via 10.1.0.2 proto static; ip route add S via 10.1.0.4 proto static metric 60",
     "10.1.0.3", "data", 1, -EEXIST,
     "S via 10.1.0.2 dev data proto static metric 0; S via 10.1.0.4 dev data proto static metric 60",
     "S via 10.1.0.2 dev data proto static metric 0"},

    {"gateway not on-link: what stood stands", AF_INET, 0, "ip route add S via 10.1.0.2 proto 213",
     "10.9.9.9", "data", NONE, -ENETUNREACH, "S via 10.1.0.2 dev data proto 213 metric 0", ""},
    {"gateway is on the other link", AF_INET, 0, "ip route add S via 10.1.0.2 proto 213", "10.2.0.2", "data",
     NONE, -ENETUNREACH, "S via 10.1.0.2 dev data proto 213 metric 0", ""},
    {"link down: what stood stands", AF_INET, 0,
     "ip route add S via 10.1.0.2 proto 213; ip link set dev management down", "10.2.0.2", "management", NONE,
     -ENETUNREACH, "S via 10.1.0.2 dev data proto 213 metric 0", ""},

    {"remove: all of ours", AF_INET, 0,
     "ip route add S via 10.1.0.2 proto 213; ip route add S via 10.1.0.3 proto 213 metric 9;"
     "ip route add S via 10.1.0.2 proto static metric 20",
     NULL, NULL, NONE, 0, "S via 10.1.0.2 dev data proto static metric 20", ""},
    {"remove: none of ours", AF_INET, 0, "ip route add S via 10.1.0.2 proto static", NULL, NULL, NONE, -ESRCH,
     "S via 10.1.0.2 dev data proto static metric 0", ""},
    {"remove: the adopted one too", AF_INET, 0,
     "ip route add S via 10.1.0.2 proto static; ip route add S via 10.1.0.3 proto static metric 9", NULL,
     NULL, 0, 0, "S via 10.1.0.3 dev data proto static metric 9", ""},
    {"remove: multipath of ours", AF_INET, 0,
     "ip route add S proto 213 nexthop via 10.1.0.2 nexthop via 10.2.0.2", NULL, NULL, NONE, 0, "", ""},

    {"IPv6: nothing there: created", AF_INET6, 0, "true", "fd01::2", "data", NONE, 0,
     "S via fd01::2 dev data proto 213 metric 1024", ""},
    {"IPv6: ours there: moved", AF_INET6, 0, "ip -6 route add S via fd01::2 proto 213", "fd02::2",
     "management", NONE, 0, "S via fd02::2 dev management proto 213 metric 1024", ""},
    {"IPv6: the same again", AF_INET6, 0, "ip -6 route add S via fd01::2 proto 213", "fd01::2", "data", NONE,
     0, "S via fd01::2 dev data proto 213 metric 1024", ""},
    {"IPv6: link-local gateway", AF_INET6, 0, "ip -6 route add S via fd01::2 proto 213", "fe80::77", "data",
     NONE, 0, "S via fe80::77 dev data proto 213 metric 1024", ""},
    {"IPv6: ours with another metric: removed afterwards", AF_INET6, 0,
     "ip -6 route add S via fd01::2 proto 213 metric 50", "fd01::3", "data", NONE, 0,
     "S via fd01::3 dev data proto 213 metric 1024", ""},
    {"IPv6: ours as multipath: swapped as a whole", AF_INET6, 0,
     "ip -6 route add S proto 213 nexthop via fd01::2 nexthop via fd02::2", "fd01::3", "data", NONE, 0,
     "S via fd01::3 dev data proto 213 metric 1024", ""},
    {"IPv6: foreign at our key: refused", AF_INET6, 0, "ip -6 route add S via fd01::2 proto static",
     "fd01::3", "data", NONE, -EEXIST, "S via fd01::2 dev data proto static metric 1024",
     "S via fd01::2 dev data proto static metric 1024"},
    {"IPv6: foreign with a larger metric: left", AF_INET6, 0,
     "ip -6 route add S via fd01::2 proto static metric 2048", "fd01::3", "data", NONE, 0,
     "S via fd01::3 dev data proto 213 metric 1024; S via fd01::2 dev data proto static metric 2048", ""},
    {"IPv6: shadowed by a lower metric", AF_INET6, 0, "ip -6 route add S via fd01::2 proto static metric 10",
     "fd01::3", "data", NONE, -ESTALE,
     "S via fd01::2 dev data proto static metric 10; S via fd01::3 dev data proto 213 metric 1024",
     "S via fd01::2 dev data src fd01::1 proto static metric 10"},
    {"IPv6: adopted, same key: swapped", AF_INET6, 0, "ip -6 route add S via fd01::2 proto static", "fd01::3",
     "data", 0, 0, "S via fd01::3 dev data proto 213 metric 1024", ""},
    {"IPv6: adopted, lower metric: removed afterwards", AF_INET6, 0,
     "ip -6 route add S via fd01::2 proto static metric 10", "fd01::3", "data", 0, 0,
     "S via fd01::3 dev data proto 213 metric 1024", ""},
    {"IPv6: adopted multipath with another metric", AF_INET6, 0,
     "ip -6 route add S proto static metric 10 nexthop via fd01::2 nexthop via fd02::2", "fd01::3", "data", 0,
     0, "S via fd01::3 dev data proto 213 metric 1024", ""},
    {"IPv6: adopted on-link at our key", AF_INET6, 0, "ip -6 route add S dev data proto static", "fd01::3",
     "data", 0, 0, "S via fd01::3 dev data proto 213 metric 1024", ""},
    {"IPv6: remove: all of ours, multipath too", AF_INET6, 0,
     "ip -6 route add S proto 213 nexthop via fd01::2 nexthop via fd02::2;"
     "ip -6 route add S via fd01::3 proto 213 metric 9; ip -6 route add S via fd01::2 proto static metric 20",
     NULL, NULL, NONE, 0, "S via fd01::2 dev data proto static metric 20", ""},
};

static int perform(struct world *world, const struct situation *row, const struct address *service,
                   struct fib_route *shadow)
{
    struct fib_route standing[8];
    size_t count = ARRAY_SIZE(standing);
    const struct fib_route *adopted = row->standing == NONE ? NULL : &standing[row->standing];
    struct address gateway;

    memset(shadow, 0, sizeof(*shadow));
    cr_assert_eq(fib_get(world->fib, service, standing, &count), 0);
    cr_assert(row->standing == NONE || (size_t)row->standing < count, "%s: no such route", row->what);
    if (!row->gateway)
        return fib_remove(world->fib, service, adopted);
    gateway = address_of(row->gateway);
    return fib_replace(world->fib, service, &gateway, if_nametoindex(row->interface), adopted, shadow);
}

Test(route, situations)
{
    for (size_t i = 0; i < ARRAY_SIZE(situations); i++) {
        const struct situation *row = &situations[i];
        struct fib_settings settings = world_settings();
        struct address service = service_of(row->family);
        struct fib_route shadow;
        char text[512], want[512], got[512];
        struct world world;
        int r;

        settings.metric = row->metric;
        world_open(&world, &settings);
        netns_must(NETNS_HERE, "%s", expand_service(row->before, &service, text, sizeof(text)));
        r = perform(&world, row, &service, &shadow);
        cr_expect_eq(r, row->want, "%s: result %d (%s), expected %d", row->what, r, fib_error(world.fib),
                     row->want);
        cr_expect_str_eq(routes_text(world.fib, &service, got, sizeof(got)),
                         expand_service(row->after, &service, want, sizeof(want)),
                         "%s:\n  got      %s\n  expected %s", row->what, got, want);
        cr_expect_str_eq(route_text(&shadow, got, sizeof(got)),
                         expand_service(row->shadow, &service, want, sizeof(want)),
                         "%s: shadow:\n  got      %s\n  expected %s", row->what, got, want);
        world_close(&world);
    }
}

Test(route, the_same_again_is_silent)
{
    static const struct {
        uint8_t family;
        const char *gateway;
    } rows[] = {{AF_INET, "10.1.0.2"}, {AF_INET6, "fd01::2"}};
    struct fib_settings settings = world_settings();
    struct world world;

    world_open(&world, &settings);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct address service = service_of(rows[i].family);
        struct address gateway = address_of(rows[i].gateway);

        fib_watch(world.fib, &service);
        drain_events(world.fib, FIB_EVENT_ROUTE);
        cr_expect_eq(fib_replace(world.fib, &service, &gateway, world.data, NULL, NULL), 0);
        cr_expect_eq(drain_events(world.fib, FIB_EVENT_ROUTE), 1);
        cr_expect_eq(fib_replace(world.fib, &service, &gateway, world.data, NULL, NULL), 0);
        cr_expect_eq(drain_events(world.fib, FIB_EVENT_ROUTE), 0, "%s", rows[i].gateway);
    }
    world_close(&world);
}

Test(route, another_table)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(AF_INET);
    struct address gateway = address_of("10.1.0.2");
    struct fib_route shadow;
    struct world world;
    char got[512];

    settings.table = 1000; /* beyond the eight bits of rtm_table, and not there yet */
    world_open(&world, &settings);
    cr_expect_str_eq(routes_text(world.fib, &service, got, sizeof(got)), "");
    netns_must(NETNS_HERE, "ip rule add to 192.168.33.2 table 1000; ip route add 192.168.33.2 via 10.2.0.2");
    cr_expect_eq(fib_replace(world.fib, &service, &gateway, world.data, NULL, &shadow), 0, "%s",
                 fib_error(world.fib));
    cr_expect_str_eq(routes_text(world.fib, &service, got, sizeof(got)),
                     "192.168.33.2/32 via 10.1.0.2 dev data table 1000 proto 213 metric 0");
    cr_expect_eq(netns_run(NETNS_HERE, "ip route show 192.168.33.2 | grep -q 'via 10.2.0.2'"), 0);
    cr_expect_eq(fib_remove(world.fib, &service, NULL), 0);
    cr_expect_eq(fib_remove(world.fib, &service, NULL), -ESRCH);
    world_close(&world);
}

Test(route, dry_run_touches_nothing)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(AF_INET);
    struct address gateway = address_of("10.1.0.3");
    unsigned count = 99;
    struct world world;
    char got[512];

    settings.dry_run = true;
    world_open(&world, &settings);
    netns_must(NETNS_HERE, "ip route add 192.168.33.2 via 10.1.0.2 proto 213");
    cr_expect_eq(fib_replace(world.fib, &service, &gateway, world.data, NULL, NULL), 0);
    cr_expect_eq(fib_remove(world.fib, &service, NULL), 0);
    cr_expect_eq(fib_reset_connections(world.fib, &(struct fib_connections){.peer = &service}, &count), 0);
    cr_expect_eq(count, 0);
    cr_expect_str_eq(routes_text(world.fib, &service, got, sizeof(got)),
                     "192.168.33.2/32 via 10.1.0.2 dev data proto 213 metric 0");
    world_close(&world);
}

Test(route, errors_are_in_the_kernel_s_own_words)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(AF_INET);
    struct address wrong = address_of("10.9.9.9");
    struct address gateway6 = address_of("fd01::2");
    struct address service6 = service_of(AF_INET6);
    struct world world;

    world_open(&world, &settings);
    cr_expect_eq(fib_replace(world.fib, &service, &wrong, world.data, NULL, NULL), -ENETUNREACH);
    cr_expect_str_eq(fib_error(world.fib),
                     "cannot set 192.168.33.2/32 via 10.9.9.9 dev data proto 213 metric 0: "
                     "Nexthop has invalid gateway (Network is unreachable)");
    cr_expect_eq(fib_replace(world.fib, &service, &wrong, 12345, NULL, NULL), -ENETUNREACH, "%s",
                 fib_error(world.fib));
    cr_expect_eq(fib_replace(world.fib, &service, &gateway6, 0, NULL, NULL), -EINVAL);
    cr_expect_eq(fib_replace(world.fib, &service6, &wrong, world.data, NULL, NULL), -EAFNOSUPPORT);
    world_close(&world);
}

struct lookup {
    const char *what;
    const char *before;
    const char *destination;
    const char *interface; /* NULL: any */
    int want;
    const char *way;
};

static const struct lookup lookups[] = {
    {"connected", "true", "10.1.0.77", NULL, 0, "10.1.0.0/24 dev data src 10.1.0.1 proto kernel metric 0"},
    {"by the service's route", "ip route add 192.168.33.2 via 10.1.0.2 proto 213", "192.168.33.2", NULL, 0,
     "192.168.33.2/32 via 10.1.0.2 dev data src 10.1.0.1 proto 213 metric 0"},
    {"by a covering route", "ip route add 192.168.0.0/16 via 10.2.0.2 metric 5", "192.168.33.2", NULL, 0,
     "192.168.0.0/16 via 10.2.0.2 dev management src 10.2.0.1 proto boot metric 5"},
    {"only through that link", "ip route add 192.168.33.2 via 10.1.0.2; ip route add default via 10.2.0.2",
     "192.168.33.2", "management", 0,
     "0.0.0.0/0 via 10.2.0.2 dev management src 10.2.0.1 proto boot metric 0"},
    {"no way", "true", "203.0.113.1", NULL, -ENETUNREACH, NULL},
    {"unreachable", "ip route add unreachable 203.0.113.1", "203.0.113.1", NULL, -EHOSTUNREACH, NULL},
    {"blackhole", "ip route add blackhole 203.0.113.1", "203.0.113.1", NULL, -EINVAL, NULL},
    {"prohibit", "ip route add prohibit 203.0.113.1", "203.0.113.1", NULL, -EACCES, NULL},
    {"own address", "true", "10.1.0.1", NULL, 0,
     "local 10.1.0.1/32 dev lo src 10.1.0.1 proto kernel metric 0"},
    {"IPv6 connected", "true", "fd01::77", NULL, 0, "fd01::/64 dev data src fd01::1 proto kernel metric 256"},
    {"IPv6 by a covering route", "ip -6 route add default via fd02::2", "fd99::1", NULL, 0,
     "::/0 via fd02::2 dev management src fd02::1 proto boot metric 1024"},
    {"IPv6 no way", "true", "fd99::1", NULL, -ENETUNREACH, NULL},
    {"IPv6 link-local", "true", "fe80::77%management", NULL, 0, "fe80::/64 dev management"},
};

Test(route, lookups)
{
    for (size_t i = 0; i < ARRAY_SIZE(lookups); i++) {
        const struct lookup *row = &lookups[i];
        struct fib_settings settings = world_settings();
        struct address destination;
        struct fib_route way;
        struct world world;
        char got[512] = "";
        int r;

        world_open(&world, &settings);
        netns_must(NETNS_HERE, "%s", row->before);
        destination = address_of(row->destination);
        r = fib_lookup(world.fib, &destination, row->interface ? if_nametoindex(row->interface) : 0, &way);
        cr_expect_eq(r, row->want, "%s: result %d (%s), expected %d", row->what, r, fib_error(world.fib),
                     row->want);
        if (row->way && r == 0)
            cr_expect(strncmp(fib_route_text(&way, got, sizeof(got)), row->way, strlen(row->way)) == 0,
                      "%s:\n  got      %s\n  expected %s", row->what, got, row->way);
        world_close(&world);
    }
}

Test(route, more_routes_than_room)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(AF_INET);
    struct fib_route routes[2];
    struct world world;
    size_t count;

    world_open(&world, &settings);
    netns_must(NETNS_HERE, "for m in 30 10 40 20; do ip route add 192.168.33.2 via 10.1.0.2 metric $m; done");
    count = 2;
    cr_expect_eq(fib_get(world.fib, &service, routes, &count), 0);
    cr_expect_eq(count, 4);
    cr_expect_eq(routes[0].metric, 10);
    cr_expect_eq(routes[1].metric, 20);
    count = 0;
    cr_expect_eq(fib_get(world.fib, &service, NULL, &count), 0);
    cr_expect_eq(count, 4);
    world_close(&world);
}
