/* SPDX-License-Identifier: Apache-2.0 */
/* See world.h. */
#include "tests/fib/world.h"
#include "route/fib_message.h"
#include "route/netlink.h"

#include <linux/rtnetlink.h>
#include <poll.h>

struct fib_settings world_settings(void)
{
    return (struct fib_settings){
        .backend = "netlink", .table = RT_TABLE_MAIN, .metric = 0, .protocol = OUR_PROTOCOL};
}

void world_open(struct world *world, const struct fib_settings *settings)
{
    char message[256];
    int r = netns_enter();

    memset(world, 0, sizeof(*world));
    if (r == -EPERM)
        cr_skip_test("needs the right to make network namespaces: root, or unshare -Urn");
    cr_assert_eq(r, 0, "netns_enter: %s", strerror(-r));
    world->node = netns_new();
    cr_assert_geq(world->node, 0);
    netns_veth(NETNS_HERE, "data", "10.1.0.1/24", world->node, "data", "10.1.0.2/24");
    netns_veth(NETNS_HERE, "management", "10.2.0.1/24", world->node, "management", "10.2.0.2/24");
    netns_must(NETNS_HERE, "ip address add fd01::1/64 dev data nodad;"
                           "ip address add fd02::1/64 dev management nodad");
    netns_must(world->node, "for n in 3 4; do ip address add 10.1.0.$n/24 dev data; done;"
                            "for n in 2 3 4; do ip address add fd01::$n/64 dev data nodad; done;"
                            "ip address add fd02::2/64 dev management nodad;"
                            "ip address add 192.168.33.2/32 dev lo; ip address add fd99::1/128 dev lo nodad");
    world->data = if_nametoindex("data");
    world->management = if_nametoindex("management");
    r = fib_open(&world->fib, settings, message, sizeof(message));
    cr_assert_eq(r, 0, "%s", message);
}

void world_close(struct world *world)
{
    world->fib = fib_close(world->fib);
    world->node = close_fd(world->node);
}

struct address address_of(const char *text)
{
    struct address address;
    int r = address_parse(&address, text);

    cr_assert_eq(r, 0, "%s", text);
    return address;
}

struct address service_of(uint8_t family)
{
    return address_of(family == AF_INET ? "192.168.33.2" : "fd99::1");
}

const char *routes_text(struct fib *fib, const struct address *service, char *buffer, size_t size_bytes)
{
    struct fib_route routes[8];
    size_t count = ARRAY_SIZE(routes);
    size_t length = 0;
    int r = fib_get(fib, service, routes, &count);

    cr_assert_eq(r, 0, "%s", fib_error(fib));
    cr_assert_leq(count, ARRAY_SIZE(routes));
    buffer[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char text[256];

        length += (size_t)snprintf(buffer + length, size_bytes - length, "%s%s", i > 0 ? "; " : "",
                                   fib_route_text(&routes[i], text, sizeof(text)));
        cr_assert_lt(length, size_bytes);
    }
    return buffer;
}

const char *route_text(const struct fib_route *route, char *buffer, size_t size_bytes)
{
    if (!address_is_set(&route->destination))
        return memset(buffer, 0, size_bytes);
    return fib_route_text(route, buffer, size_bytes);
}

const char *expand_service(const char *text, const struct address *service, char *buffer, size_t size_bytes)
{
    char host[ADDRESS_TEXT_SIZE + 4];
    size_t n = 0;

    snprintf(host, sizeof(host), "%s/%zu", ADDRESS_TEXT(service), address_size_bytes(service) * 8);
    for (; *text && n + sizeof(host) < size_bytes; text++)
        if (*text == 'S')
            n += (size_t)snprintf(buffer + n, size_bytes - n, "%s", host);
        else
            buffer[n++] = *text;
    buffer[n] = '\0';
    return buffer;
}

int raw_change(uint16_t type, uint16_t flags, const struct fib_route *route)
{
    union netlink_request request;
    struct nlmsghdr *header = mnl_nlmsg_put_header(request.bytes);
    struct netlink netlink;
    int r;

    cr_assert_eq(netlink_open(&netlink, NETLINK_ROUTE), 0);
    header->nlmsg_type = type;
    header->nlmsg_flags = flags;
    fib_message_put_route(header, route);
    r = netlink_request(&netlink, header, NULL, NULL);
    netlink_close(&netlink);
    return r;
}

bool wait_for_event(struct fib *fib, enum fib_event_kind kind, struct fib_event *event)
{
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + 5 * NS_PER_S;
    uint64_t now_ns;

    while ((now_ns = clock_now_ns(CLOCK_MONOTONIC)) < deadline_ns) {
        struct pollfd waiting = {.fd = fib_fd(fib), .events = POLLIN};

        while (fib_next_event(fib, event))
            if (event->kind == kind)
                return true;
        poll(&waiting, 1, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1);
    }
    return false;
}

unsigned drain_events(struct fib *fib, enum fib_event_kind kind)
{
    struct fib_event event;
    unsigned count = 0;

    while (fib_next_event(fib, &event))
        count += event.kind == kind;
    return count;
}
