/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to links, addresses, routes, rules and neighbours arrives as events, each with what it is
 * about; routes that do not concern the service do not. Lost notifications make one RESYNC, and what is known
 * of the host is right afterwards.
 */
#include "tests/fib/world.h"

#include <dirent.h>
#include <linux/rtnetlink.h>

struct happening {
    const char *what;
    const char *before;
    const char *command;
    enum fib_event_kind kind;
    const char *interface; /* of the event; NULL: none */
    const char *address;   /* of the event; NULL: not looked at */
    bool usable;
};

static const struct happening happenings[] = {
    {"link down", "true", "ip link set dev data down", FIB_EVENT_LINK, "data", NULL, false},
    {"link up", "ip link set dev data down", "ip link set dev data up", FIB_EVENT_LINK, "data", NULL, true},
    {"link new", "true", "ip link add name extra type veth", FIB_EVENT_LINK, "extra", NULL, false},
    {"address added", "true", "ip address add 10.1.0.9/24 dev data", FIB_EVENT_ADDRESS, "data", "10.1.0.9",
     true},
    {"address removed", "ip address add 10.1.0.9/24 dev data", "ip address del 10.1.0.9/24 dev data",
     FIB_EVENT_ADDRESS, "data", "10.1.0.9", false},
    {"IPv6 address removed", "true", "ip address del fd01::1/64 dev data", FIB_EVENT_ADDRESS, "data",
     "fd01::1", false},
    {"route to the service added", "true", "ip route add 192.168.33.2 via 10.1.0.2", FIB_EVENT_ROUTE, "data",
     "192.168.33.2", true},
    {"route to the service removed", "ip route add 192.168.33.2 via 10.1.0.2", "ip route del 192.168.33.2",
     FIB_EVENT_ROUTE, "data", "192.168.33.2", false},
    {"route to the service replaced", "ip route add 192.168.33.2 via 10.1.0.2",
     "ip route replace 192.168.33.2 via 10.2.0.2", FIB_EVENT_ROUTE, "management", "192.168.33.2", true},
    {"covering route added", "true", "ip route add 192.168.32.0/19 via 10.1.0.2", FIB_EVENT_ROUTE, "data",
     "192.168.32.0", true},
    {"connected network added", "true", "ip route add 10.66.0.0/16 dev data", FIB_EVENT_NETWORK, "data",
     "10.66.0.0", true},
    {"connected network removed", "ip route add 10.66.0.0/16 dev data", "ip route del 10.66.0.0/16",
     FIB_EVENT_NETWORK, "data", "10.66.0.0", false},
    {"default route in another table", "true", "ip route add default via 10.2.0.2 table 99", FIB_EVENT_ROUTE,
     "management", "0.0.0.0", true},
    {"rule added", "true", "ip rule add to 192.168.33.2 table 99", FIB_EVENT_ROUTE, NULL, NULL, true},
    {"rule removed", "ip rule add to 192.168.33.2 table 99", "ip rule del to 192.168.33.2 table 99",
     FIB_EVENT_ROUTE, NULL, NULL, false},
    {"neighbour reachable", "true",
     "ip neighbour replace 10.1.0.77 lladdr 02:00:00:00:00:01 dev data nud reachable", FIB_EVENT_NEIGHBOUR,
     "data", "10.1.0.77", true},
};

/* Pulls until the very event came: others of the same kind may come first. */
static bool event_comes(struct world *world, const struct happening *row)
{
    uint32_t ifindex = row->interface ? if_nametoindex(row->interface) : 0;
    struct fib_event event;

    while (wait_for_event(world->fib, row->kind, &event)) {
        struct address address = {0};

        if (row->address)
            address = address_of(row->address);
        if (event.usable == row->usable && event.ifindex == ifindex &&
            (!row->address || address_equal(&event.address, &address)))
            return true;
    }
    return false;
}

Test(event, each_kind)
{
    for (size_t i = 0; i < ARRAY_SIZE(happenings); i++) {
        const struct happening *row = &happenings[i];
        struct fib_settings settings = world_settings();
        struct address service = service_of(AF_INET);
        struct world world;

        world_open(&world, &settings);
        fib_watch(world.fib, &service);
        netns_must(NETNS_HERE, "%s", row->before);
        drain_events(world.fib, row->kind);
        netns_must(NETNS_HERE, "%s", row->command);
        cr_expect(event_comes(&world, row), "%s: no such event", row->what);
        world_close(&world);
    }
}

Test(event, carrier_lost_and_back)
{
    struct fib_settings settings = world_settings();
    struct world world;
    struct fib_link link;

    world_open(&world, &settings);
    cr_expect_eq(fib_link(world.fib, world.data, &link), 0);
    cr_expect(link.usable);
    cr_expect_str_eq(link.name, "data");
    cr_expect_eq(link.mtu_bytes, 1500);
    drain_events(world.fib, FIB_EVENT_LINK);
    netns_must(world.node, "ip link set dev data down");
    cr_expect(event_comes(&world, &(struct happening){.kind = FIB_EVENT_LINK, .interface = "data"}));
    cr_expect_eq(fib_link(world.fib, world.data, &link), 0);
    cr_expect_not(link.usable);
    netns_must(world.node, "ip link set dev data up");
    cr_expect(event_comes(&world,
                          &(struct happening){.kind = FIB_EVENT_LINK, .interface = "data", .usable = true}));
    cr_expect_eq(fib_link(world.fib, world.data, &link), 0);
    cr_expect(link.usable);
    cr_expect_eq(fib_link(world.fib, 4711, &link), -ENODEV);
    cr_expect_eq(link.mtu_bytes, 0);
    world_close(&world);
}

Test(event, a_neighbour_that_does_not_answer)
{
    struct fib_settings settings = world_settings();
    struct address silent = address_of("10.1.0.99");
    struct sockaddr_storage to;
    socklen_t to_bytes = address_to_sockaddr(&silent, 9, &to);
    struct world world;
    int fd;

    world_open(&world, &settings);
    netns_must(NETNS_HERE, "echo 1 >/proc/sys/net/ipv4/neigh/data/mcast_solicit;"
                           "echo 20 >/proc/sys/net/ipv4/neigh/data/retrans_time_ms");
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, to_bytes), 1);
    cr_expect(event_comes(
        &world,
        &(struct happening){.kind = FIB_EVENT_NEIGHBOUR, .interface = "data", .address = "10.1.0.99"}));
    close(fd);
    world_close(&world);
}

Test(event, routes_elsewhere_are_none_of_our_business)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(AF_INET);
    struct world world;

    world_open(&world, &settings);
    fib_watch(world.fib, &service);
    drain_events(world.fib, FIB_EVENT_ROUTE);
    netns_must(NETNS_HERE, "ip route add 203.0.113.0/24 via 10.1.0.2; ip route del 203.0.113.0/24;"
                           "ip -6 route add default via fd01::2; ip route add 192.168.33.3 via 10.1.0.2");
    /* A neighbour or a link of the new world may still have something to say. */
    cr_expect_eq(drain_events(world.fib, FIB_EVENT_ROUTE), 0);
    world_close(&world);
}

/* Fills the notification buffer until something must be lost. */
static void flood(struct world *world)
{
    int small = 2048;

    setsockopt(fib_fd(world->fib), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    netns_must(NETNS_HERE, "for i in $(seq 200); do echo route add 198.51.100.$i via 10.1.0.2; done |"
                           "ip -batch -");
}

Test(event, lost_notifications_make_one_resync)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(AF_INET);
    struct address late = address_of("10.7.0.9");
    struct address source;
    struct fib_event event;
    struct world world;
    uint32_t ifindex;

    world_open(&world, &settings);
    fib_watch(world.fib, &service);
    cr_expect_eq(fib_egress(world.fib, &late, &ifindex, &source), -ENETUNREACH);
    drain_events(world.fib, FIB_EVENT_RESYNC);
    flood(&world);
    netns_must(NETNS_HERE, "ip address add 10.7.0.1/24 dev management"); /* nobody hears of this one */

    cr_expect(wait_for_event(world.fib, FIB_EVENT_RESYNC, &event));
    cr_expect_eq(drain_events(world.fib, FIB_EVENT_RESYNC), 0, "one is enough");
    cr_expect_eq(fib_egress(world.fib, &late, &ifindex, &source), 0);
    cr_expect_eq(ifindex, world.management);

    /* It goes on hearing. */
    netns_must(NETNS_HERE, "ip route add 192.168.33.2 via 10.1.0.2");
    cr_expect(wait_for_event(world.fib, FIB_EVENT_ROUTE, &event));
    world_close(&world);
}

static unsigned count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    cr_assert_not_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

Test(event, no_descriptor_is_leaked)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(AF_INET);
    char message[256];
    struct world world;
    unsigned before;

    world_open(&world, &settings);
    before = count_descriptors();
    for (int i = 0; i < 50; i++) {
        unsigned count;
        struct fib *fib;

        cr_assert_eq(fib_open(&fib, &settings, message, sizeof(message)), 0);
        cr_assert_geq(
            fib_reset_connections(fib, &(struct fib_connections){.peer = &service, .which = FIB_ALL}, &count),
            0);
        cr_assert_geq(fib_rp_filter(fib, world.data), 0);
        fib_close(fib);
    }
    cr_expect_eq(count_descriptors(), before);
    world_close(&world);
}

Test(event, an_unknown_backend_is_refused)
{
    struct fib_settings settings = world_settings();
    char message[256];
    struct fib *fib;

    settings.backend = "carrier-pigeon";
    cr_expect_eq(fib_open(&fib, &settings, message, sizeof(message)), -EINVAL);
    cr_expect_null(fib);
    cr_expect_str_eq(message, "no FIB backend \"carrier-pigeon\", expected auto, netlink, esxcfg or ip");
}

Test(event, redirects_are_accepted_as_the_kernel_combines_it)
{
    static const struct {
        uint8_t family;
        int forwards, all, own, want;
    } rows[] = {
        {AF_INET, 0, 0, 0, 0},  {AF_INET, 0, 1, 0, 1},  {AF_INET, 0, 0, 1, 1},
        {AF_INET, 1, 1, 0, 0},  {AF_INET, 1, 0, 1, 0},  {AF_INET, 1, 1, 1, 1},
        {AF_INET6, 0, 0, 1, 1}, {AF_INET6, 0, 1, 0, 0}, {AF_INET6, 1, 1, 1, 0},
    };
    struct fib_settings settings = world_settings();
    struct world world;

    world_open(&world, &settings);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        netns_must(NETNS_HERE,
                   "cd /proc/sys/net/ipv%d/conf; echo %d >data/forwarding; echo %d >all/accept_redirects;"
                   "echo %d >data/accept_redirects",
                   rows[i].family == AF_INET ? 4 : 6, rows[i].forwards, rows[i].all, rows[i].own);
        cr_expect_eq(fib_accepts_redirects(world.fib, world.data, rows[i].family), rows[i].want, "row %zu",
                     i);
    }
    cr_expect_eq(fib_accepts_redirects(world.fib, 4711, AF_INET), -ENODEV);
    world_close(&world);
}

Test(event, rp_filter_is_the_larger_of_all_and_own)
{
    static const struct {
        int all, own, want;
    } rows[] = {{0, 0, 0}, {1, 0, 1}, {0, 1, 1}, {0, 2, 2}, {2, 1, 2}, {1, 2, 2}};
    struct fib_settings settings = world_settings();
    struct world world;

    world_open(&world, &settings);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        netns_must(NETNS_HERE, "cd /proc/sys/net/ipv4/conf; echo %d >all/rp_filter; echo %d >data/rp_filter",
                   rows[i].all, rows[i].own);
        cr_expect_eq(fib_rp_filter(world.fib, world.data), rows[i].want);
    }
    cr_expect_eq(fib_rp_filter(world.fib, 4711), -ENODEV);
    world_close(&world);
}
