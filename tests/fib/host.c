/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an address would be entered, what is local, how a route reads: tables without a kernel. Then the same
 * question to a real host whose links fail, and real messages cut off at every byte.
 */
#include "route/fib/host.h"
#include "route/fib/message.h"
#include "route/fib/netlink.h"
#include "tests/fib/world.h"

#include <linux/rtnetlink.h>

/* --- egress --- */

/*
 * The host of the table: lo 1; eth1 2 (usable), eth2 3 (usable), eth3 4 (no carrier), ppp0 5 (usable).
 */
static const struct fib_link links[] = {
    {.ifindex = 1, .usable = true, .loopback = true, .name = "lo"},
    {.ifindex = 2, .usable = true, .name = "eth1"},
    {.ifindex = 3, .usable = true, .name = "eth2"},
    {.ifindex = 4, .usable = false, .name = "eth3"},
    {.ifindex = 5, .usable = true, .name = "ppp0"},
};

static const struct {
    const char *address;
    const char *network; /* NULL: the same */
    uint8_t prefix_length;
    uint32_t ifindex;
    uint32_t metric;
    bool secondary;
} addresses[] = {
    {"127.0.0.1", NULL, 8, 1, 0, false},
    {"10.5.0.1", NULL, 24, 1, 0, false},   /* a network on lo: all of it is this host */
    {"10.1.0.9", NULL, 24, 2, 0, true},    /* listed first, but not the first choice */
    {"10.1.0.1", NULL, 24, 2, 0, false},   /* the ordinary case */
    {"10.1.0.129", NULL, 25, 3, 0, false}, /* a longer prefix on another link */
    {"10.3.0.1", NULL, 24, 4, 0, false},   /* no carrier */
    {"10.4.0.1", NULL, 24, 4, 0, false},   /* the same network on a dead link ... */
    {"10.4.0.2", NULL, 24, 3, 10, false},  /* ... and on a live one, with a larger metric */
    {"10.6.0.1", NULL, 24, 2, 20, false},  /* the same network twice: the metric decides */
    {"10.6.0.2", NULL, 24, 3, 10, false},
    {"10.7.0.1", "10.7.0.2", 32, 5, 0, false}, /* point to point */
    {"fd01::1", NULL, 64, 2, 256, false},
    {"fe80::a%2", NULL, 64, 2, 256, false},
    {"fe80::b%3", NULL, 64, 3, 256, false},
};

static const struct {
    const char *destination;
    uint8_t prefix_length;
    uint32_t ifindex;
    const char *source; /* NULL: none */
} connected[] = {
    {"10.8.0.0", 16, 3, NULL},       /* connected by a route alone */
    {"10.8.1.0", 24, 2, "10.1.0.9"}, /* with a preferred source */
    {"192.168.33.2", 32, 3, NULL},   /* somebody put the service on-link */
    {"10.9.0.0", 16, 1, NULL},       /* on lo: leads nowhere */
};

static struct address scoped(const char *text)
{
    char copy[64];
    char *percent;
    struct address address;

    snprintf(copy, sizeof(copy), "%s", text);
    percent = strchr(copy, '%');
    if (percent)
        *percent = '\0';
    address = address_of(copy);
    if (percent)
        address.scope = (uint32_t)atoi(percent + 1);
    return address;
}

static void build_host(struct fib_host *host)
{
    for (size_t i = 0; i < ARRAY_SIZE(links); i++)
        cr_assert_eq(fib_host_add_link(host, &links[i]), 0);
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        struct fib_own_address own = {
            .address = scoped(addresses[i].address),
            .network = scoped(addresses[i].network ? addresses[i].network : addresses[i].address),
            .prefix_length = addresses[i].prefix_length,
            .ifindex = addresses[i].ifindex,
            .metric = addresses[i].metric,
            .secondary = addresses[i].secondary,
        };

        cr_assert_eq(fib_host_add_address(host, &own), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(connected); i++) {
        struct fib_route route = {
            .destination = scoped(connected[i].destination),
            .prefix_length = connected[i].prefix_length,
            .ifindex = connected[i].ifindex,
            .type = RTN_UNICAST,
        };

        if (connected[i].source)
            route.source = scoped(connected[i].source);
        cr_assert_eq(fib_host_add_connected(host, &route), 0);
    }
}

static const struct {
    const char *what;
    const char *address;
    int want;
    uint32_t ifindex;
    const char *source;
} egresses[] = {
    {"connected network, not by its secondary address", "10.1.0.2", 0, 2, "10.1.0.1"},
    {"the longer prefix wins", "10.1.0.200", 0, 3, "10.1.0.129"},
    {"a link without a carrier still answers", "10.3.0.2", 0, 4, "10.3.0.1"},
    {"of two equal networks the one whose link works", "10.4.0.9", 0, 3, "10.4.0.2"},
    {"of two equal networks that work the lower metric", "10.6.0.9", 0, 3, "10.6.0.2"},
    {"point to point: the peer", "10.7.0.2", 0, 5, "10.7.0.1"},
    {"point to point: own end", "10.7.0.1", -EADDRINUSE, 0, NULL},
    {"own address", "10.1.0.1", -EADDRINUSE, 0, NULL},
    {"own address on a dead link", "10.3.0.1", -EADDRINUSE, 0, NULL},
    {"loopback network", "127.9.9.9", -EADDRINUSE, 0, NULL},
    {"another network on lo", "10.5.0.77", -EADDRINUSE, 0, NULL},
    {"a route on lo is no way out", "10.9.0.1", -ENETUNREACH, 0, NULL},
    {"connected by a route alone", "10.8.9.9", 0, 3, "10.1.0.129"},
    {"by a longer route with a preferred source", "10.8.1.9", 0, 2, "10.1.0.9"},
    {"on-link by itself", "192.168.33.2", 0, 3, "10.1.0.129"},
    {"nowhere", "203.0.113.1", -ENETUNREACH, 0, NULL},
    {"IPv6", "fd01::2", 0, 2, "fd01::1"},
    {"IPv6 nowhere", "fd77::2", -ENETUNREACH, 0, NULL},
    {"IPv6 own", "fd01::1", -EADDRINUSE, 0, NULL},
    {"IPv6 link-local, first link", "fe80::77%2", 0, 2, "fe80::a%2"},
    {"IPv6 link-local, second link", "fe80::77%3", 0, 3, "fe80::b%3"},
    {"IPv6 link-local, link without such addresses", "fe80::77%5", -ENETUNREACH, 0, NULL},
    {"IPv6 link-local, anywhere", "fe80::77", -ENETUNREACH, 0, NULL},
    {"IPv6 link-local, own on that link", "fe80::a%2", -EADDRINUSE, 0, NULL},
    {"IPv6 link-local, own on another link", "fe80::a%3", 0, 3, "fe80::b%3"},
};

Test(host, egress)
{
    struct fib_host host = {0};

    build_host(&host);
    for (size_t i = 0; i < ARRAY_SIZE(egresses); i++) {
        struct address address = scoped(egresses[i].address);
        struct address want = {0};
        struct address source;
        uint32_t ifindex;
        int r = fib_host_egress(&host, &address, &ifindex, &source);

        if (egresses[i].source)
            want = scoped(egresses[i].source);
        cr_expect_eq(r, egresses[i].want, "%s: result %d", egresses[i].what, r);
        cr_expect_eq(ifindex, egresses[i].ifindex, "%s: interface %u", egresses[i].what, ifindex);
        cr_expect(address_equal(&source, &want), "%s: source %s", egresses[i].what, ADDRESS_TEXT(&source));
    }
    fib_host_clear(&host);
    fib_host_clear(&host);
}

Test(host, prefixes)
{
    static const struct {
        const char *prefix;
        uint8_t length;
        const char *address;
        bool want;
    } rows[] = {
        {"10.0.0.0", 8, "10.255.255.255", true}, {"10.0.0.0", 8, "11.0.0.0", false},
        {"10.1.0.0", 23, "10.1.1.255", true},    {"10.1.0.0", 23, "10.1.2.0", false},
        {"10.1.0.1", 32, "10.1.0.1", true},      {"10.1.0.1", 32, "10.1.0.0", false},
        {"10.1.0.1", 31, "10.1.0.0", true},      {"0.0.0.0", 0, "203.0.113.1", true},
        {"::", 0, "203.0.113.1", false},         {"fd00::", 7, "fc00::1", true},
        {"fd00::", 8, "fc00::1", false},         {"fd00::1", 128, "fd00::1", true},
        {"10.0.0.0", 33, "10.0.0.0", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct address prefix = address_of(rows[i].prefix);
        struct address address = address_of(rows[i].address);

        cr_expect_eq(fib_prefix_covers(&prefix, rows[i].length, &address), rows[i].want, "%s/%u and %s",
                     rows[i].prefix, rows[i].length, rows[i].address);
    }
}

Test(host, route_text_never_overruns)
{
    struct fib_route route = {
        .destination = address_of("192.168.33.2"),
        .prefix_length = 32,
        .gateway = address_of("fe80::1"),
        .ifindex = 4711,
        .source = address_of("10.1.0.1"),
        .table = 99,
        .metric = 7,
        .protocol = 186,
        .type = RTN_UNICAST,
        .tos = 0x10,
        .nexthop_id = 5,
        .onlink = true,
        .link_down = true,
        .multipath = true,
    };
    char buffer[256];

    cr_expect_str_eq(fib_route_text(&route, buffer, sizeof(buffer)),
                     "192.168.33.2/32 via fe80::1 dev if4711 nhid 5 table 99 src 10.1.0.1 proto 186 metric 7 "
                     "tos 0x10 (and more next hops) onlink linkdown");
    for (size_t size = 0; size < sizeof(buffer); size++) {
        memset(buffer, 'x', sizeof(buffer));
        fib_route_text(&route, buffer, size);
        cr_expect(size == 0 || strnlen(buffer, size) < size);
        cr_expect_eq(buffer[size], 'x', "wrote beyond %zu bytes", size);
    }
}

/* --- a real host --- */

static const struct {
    const char *what;
    const char *happens; /* here */
    const char *there;
    const char *address;
    int want;
    const char *interface;
    const char *source;
} failures[] = {
    {"all well", "true", "true", "10.1.0.2", 0, "data", "10.1.0.1"},
    {"all well, IPv6", "true", "true", "fd01::2", 0, "data", "fd01::1"},
    {"no carrier", "true", "ip link set dev data down", "10.1.0.2", 0, "data", "10.1.0.1"},
    {"no carrier, IPv6", "true", "ip link set dev data down", "fd01::2", 0, "data", "fd01::1"},
    {"link down", "ip link set dev data down", "true", "10.1.0.2", 0, "data", "10.1.0.1"},
    {"link down, with a default route", "ip link set dev data down; ip route add default via 10.2.0.2",
     "true", "10.1.0.2", 0, "data", "10.1.0.1"},
    {"link down: IPv6 addresses go with it", "ip link set dev data down", "true", "fd01::2", -ENETUNREACH,
     NULL, NULL},
    {"address gone", "ip address del 10.1.0.1/24 dev data", "true", "10.1.0.2", -ENETUNREACH, NULL, NULL},
    {"link gone", "ip link del data", "true", "10.1.0.2", -ENETUNREACH, NULL, NULL},
    {"address without a prefix route",
     "ip address flush dev data; ip address add 10.1.0.5/24 dev data noprefixroute", "true", "10.1.0.2", 0,
     "data", "10.1.0.5"},
    {"connected by a route alone", "ip route add 10.66.0.0/16 dev management", "true", "10.66.1.1", 0,
     "management", "10.2.0.1"},
    {"the service's own route says nothing", "ip route add 192.168.33.2 via 10.1.0.2 proto 213", "true",
     "192.168.33.2", -ENETUNREACH, NULL, NULL},
    {"a default route is no connected network", "ip route add default dev management", "true", "203.0.113.1",
     -ENETUNREACH, NULL, NULL},
    {"own address", "true", "true", "10.1.0.1", -EADDRINUSE, NULL, NULL},
    {"own address, link down", "ip link set dev data down", "true", "10.1.0.1", -EADDRINUSE, NULL, NULL},
    {"own address, IPv6", "true", "true", "fd01::1", -EADDRINUSE, NULL, NULL},
};

Test(host, egress_of_a_real_host)
{
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
        struct fib_settings settings = world_settings();
        struct address address = address_of(failures[i].address);
        struct address want = {0};
        struct address source;
        struct world world;
        uint32_t ifindex;
        int r;

        world_open(&world, &settings);
        fib_egress(world.fib, &address, &ifindex, &source); /* whatever is remembered from now is old soon */
        netns_must(NETNS_HERE, "%s", failures[i].happens);
        netns_must(world.node, "%s", failures[i].there);
        drain_events(world.fib, FIB_EVENT_LINK);
        r = fib_egress(world.fib, &address, &ifindex, &source);
        if (failures[i].source)
            want = address_of(failures[i].source);
        cr_expect_eq(r, failures[i].want, "%s: result %d (%s)", failures[i].what, r, fib_error(world.fib));
        cr_expect_eq(ifindex, failures[i].interface ? if_nametoindex(failures[i].interface) : 0, "%s",
                     failures[i].what);
        cr_expect(address_equal(&source, &want), "%s: source %s", failures[i].what, ADDRESS_TEXT(&source));
        world_close(&world);
    }
}

Test(host, what_is_local)
{
    static const struct {
        const char *address;
        bool want;
    } rows[] = {
        {"10.1.0.1", true},  {"10.1.0.2", false}, {"127.0.0.1", true},
        {"127.1.2.3", true}, {"fd01::1", true},   {"::1", true},
        {"fd01::2", false},  {"10.77.1.1", true}, {"192.168.33.2", false},
    };
    struct fib_settings settings = world_settings();
    struct world world;

    world_open(&world, &settings);
    netns_must(NETNS_HERE, "ip route add local 10.77.0.0/16 dev lo");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct address address = address_of(rows[i].address);

        cr_expect_eq(fib_address_is_local(world.fib, &address), rows[i].want, "%s", rows[i].address);
    }
    world_close(&world);
}

/* --- messages --- */

/* Every reader on a copy that ends where the message was cut off: a sanitizer sees a read beyond it. */
static int cut_off(void *context, const struct nlmsghdr *message)
{
    unsigned *read = context;

    for (uint32_t length = NLMSG_HDRLEN; length <= message->nlmsg_len; length++) {
        struct nlmsghdr *copy = malloc(length);
        struct fib_own_address address;
        struct address neighbour;
        struct fib_route route;
        struct fib_link link;
        uint32_t ifindex;
        bool usable;

        cr_assert_not_null(copy);
        memcpy(copy, message, length);
        copy->nlmsg_len = length;
        *read += fib_message_route(copy, &route);
        *read += fib_message_link(copy, &link);
        *read += fib_message_address(copy, &address);
        *read += fib_message_neighbour(copy, &neighbour, &ifindex, &usable);
        free(copy);
    }
    return 0;
}

Test(host, messages_cut_off_anywhere)
{
    static const uint16_t types[] = {RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH};
    struct fib_settings settings = world_settings();
    struct netlink netlink;
    struct world world;

    world_open(&world, &settings);
    netns_must(NETNS_HERE, "ip route add 192.168.33.2 nexthop via 10.1.0.2 nexthop via inet6 fd02::2;"
                           "ip nexthop add id 5 via 10.1.0.2 dev data; ip route add 192.168.33.3 nhid 5;"
                           "ip neighbour replace 10.1.0.77 lladdr 02:00:00:00:00:01 dev data nud permanent");
    cr_assert_eq(netlink_open(&netlink, NETLINK_ROUTE), 0);
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        union netlink_request request;
        struct nlmsghdr *header = mnl_nlmsg_put_header(request.bytes);
        unsigned read = 0;

        header->nlmsg_type = types[i];
        header->nlmsg_flags = NLM_F_DUMP;
        mnl_nlmsg_put_extra_header(header, types[i] == RTM_GETLINK    ? sizeof(struct ifinfomsg)
                                           : types[i] == RTM_GETADDR  ? sizeof(struct ifaddrmsg)
                                           : types[i] == RTM_GETROUTE ? sizeof(struct rtmsg)
                                                                      : sizeof(struct ndmsg));
        cr_expect_eq(netlink_request(&netlink, header, cut_off, &read), 0);
        cr_expect_gt(read, 0, "type %u: the whole message is readable at least", types[i]);
    }
    netlink_close(&netlink);
    world_close(&world);
}

static int refuse(void *context, const struct nlmsghdr *message)
{
    return -ENOMEM;
}

static int count_messages(void *context, const struct nlmsghdr *message)
{
    ++*(unsigned *)context;
    return 0;
}

static int list_routes(struct netlink *netlink, netlink_message_fn *each, void *context)
{
    union netlink_request request;
    struct nlmsghdr *header = mnl_nlmsg_put_header(request.bytes);

    header->nlmsg_type = RTM_GETROUTE;
    header->nlmsg_flags = NLM_F_DUMP;
    mnl_nlmsg_put_extra_header(header, sizeof(struct rtmsg));
    return netlink_request(netlink, header, each, context);
}

/* The kernel starts no list before the one before it has been read. */
Test(host, a_list_that_was_given_up_does_not_hinder_the_next)
{
    struct fib_settings settings = world_settings();
    struct netlink netlink;
    struct world world;
    unsigned count = 0;

    world_open(&world, &settings);
    netns_must(
        NETNS_HERE,
        "for i in $(seq 20); do for j in $(seq 250); do echo route add 198.18.$i.$j dev data; done; done |"
        "ip -batch -");
    cr_assert_eq(netlink_open(&netlink, NETLINK_ROUTE), 0);
    cr_expect_eq(list_routes(&netlink, refuse, NULL), -ENOMEM);
    cr_expect_eq(list_routes(&netlink, count_messages, &count), 0);
    cr_expect_gt(count, 5000);
    netlink_close(&netlink);
    world_close(&world);
}
