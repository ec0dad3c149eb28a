/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FIB of Linux, by rtnetlink.
 *
 * Two sockets. `requests` asks and reads the answer to the end, synchronously. `groups` hears the multicast
 * notifications of links, addresses, routes, rules and neighbours; it is non-blocking and is read by
 * next_event() only. When its buffer overflows (ENOBUFS) notifications are lost, and one RESYNC event stands
 * for all of them.
 *
 * What is asked often is asked by lookups of one address (RTM_GETROUTE), with RTM_F_FIB_MATCH for the route
 * that stands behind the answer; a kernel without it (before 4.13) answers with a cached route, which says
 * so. Lists are dumped: a table, a protocol, as far as the kernel filters (NETLINK_GET_STRICT_CHK, 4.20),
 * then by us. That takes the longer the larger the host's tables are, so it is rare.
 *
 * The kernel drops IPv4 routes silently when their device goes down or their preferred source address goes.
 * Nobody is told of the route then, only of the link or the address: a route that is watched is read again
 * on those events too.
 */
#include "route/fib/backend.h"
#include "route/fib/fib.h"
#include "route/fib/message.h"
#include "route/fib/netlink.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>

#define GROUPS_BUFFER_BYTES (1 << 20)
#define DUMP_TRIES          8
#define SKIPPED_MAX         1024 /* notifications that concern nobody, read in one go */

struct netlink_state {
    struct netlink requests;
    struct mnl_socket *groups;
    size_t offset; /* of the next notification in buffer */
    size_t length;
    union {
        struct nlmsghdr header;
        char bytes[NETLINK_RECEIVE_BYTES];
    } buffer;
};

#define ROUTE_TEXT(route) fib_route_text((route), (char[256]){0}, 256)

/* "what failed: the kernel's words (errno's text)" */
static int failed(struct fib *fib, int error, const char *what)
{
    const struct netlink_state *state = fib->state;
    const char *said = state->requests.message;

    return fib_fail(fib, error, "%s: %s%s%s%s", what, said, said[0] ? " (" : "", strerror(-error),
                    said[0] ? ")" : "");
}

/* --- open --- */

static void netlink_backend_close(struct fib *fib)
{
    struct netlink_state *state = fib->state;

    netlink_close(&state->requests);
    if (state->groups)
        mnl_socket_close(state->groups);
    free(state);
    fib->state = NULL;
}

static int join_groups(struct netlink_state *state)
{
    static const int groups[] = {
        RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
        RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE,   RTNLGRP_NEIGH,
    };
    int size_bytes = GROUPS_BUFFER_BYTES;
    int fd;

    state->groups = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (!state->groups || mnl_socket_bind(state->groups, 0, MNL_SOCKET_AUTOPID) < 0)
        return -errno;
    fd = mnl_socket_get_fd(state->groups);
    /* Room for bursts; without the right to force it, what the system allows. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size_bytes, sizeof(size_bytes)) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size_bytes, sizeof(size_bytes));
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        int group = groups[i];

        if (mnl_socket_setsockopt(state->groups, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
            return -errno;
    }
    return 0;
}

static int netlink_backend_open(struct fib *fib, const struct fib_settings *settings)
{
    struct netlink_state *state = calloc(1, sizeof(*state));
    int r;

    if (!state)
        return fib_fail(fib, -ENOMEM, "out of memory");
    fib->state = state;
    r = join_groups(state);
    if (r == 0)
        r = netlink_open(&state->requests, NETLINK_ROUTE);
    if (r < 0) {
        netlink_backend_close(fib);
        return fib_fail(fib, r, "cannot open netlink: %s", strerror(-r));
    }
    return 0;
}

/* --- dumps --- */

static struct nlmsghdr *start_request(union netlink_request *request, uint16_t type)
{
    struct nlmsghdr *header = mnl_nlmsg_put_header(request->bytes);

    header->nlmsg_type = type;
    return header;
}

/* --- the service's routes --- */

struct host_routes {
    struct address service;
    uint32_t table;
    uint8_t protocol; /* 0: any */
    struct fib_route *routes;
    size_t room;
    size_t count;
};

/* As the kernel would try them for an ordinary packet: no TOS before TOS, then by metric, then as dumped. */
static bool comes_before(const struct fib_route *a, const struct fib_route *b)
{
    if ((a->tos == 0) != (b->tos == 0))
        return a->tos == 0;
    return a->metric < b->metric;
}

static int collect_route(void *context, const struct nlmsghdr *message)
{
    struct host_routes *found = context;
    struct fib_route route;
    size_t at;

    if (message->nlmsg_type != RTM_NEWROUTE || !fib_message_route(message, &route) || route.cached)
        return 0;
    if (route.table != found->table || !address_equal(&route.destination, &found->service) ||
        route.prefix_length != address_size_bytes(&found->service) * 8 ||
        (found->protocol && route.protocol != found->protocol))
        return 0;
    at = found->count++ < found->room ? found->count - 1 : found->room;
    if (at == found->room) {
        if (at == 0 || !comes_before(&route, &found->routes[at - 1]))
            return 0;
        at--;
    }
    for (; at > 0 && comes_before(&route, &found->routes[at - 1]); at--)
        found->routes[at] = found->routes[at - 1];
    found->routes[at] = route;
    return 0;
}

static int netlink_backend_routes(struct fib *fib, const struct address *service, uint8_t protocol,
                                  struct fib_route *routes, size_t *count)
{
    struct host_routes found = {
        .service = *service, .table = fib->table, .protocol = protocol, .routes = routes, .room = *count};
    struct netlink_state *state = fib->state;
    int r = -EINTR;

    for (int i = 0; i < DUMP_TRIES && r == -EINTR; i++) {
        union netlink_request request;
        struct nlmsghdr *header = start_request(&request, RTM_GETROUTE);
        struct rtmsg *body = mnl_nlmsg_put_extra_header(header, sizeof(*body));

        header->nlmsg_flags = NLM_F_DUMP;
        body->rtm_family = service->family;
        body->rtm_protocol = protocol;
        mnl_attr_put_u32(header, RTA_TABLE, fib->table);
        found.count = 0;
        r = netlink_request(&state->requests, header, collect_route, &found);
    }
    *count = found.count;
    /* A table in which no route was ever put does not exist. */
    return r < 0 && r != -ENOENT ? failed(fib, r, "cannot list routes") : 0;
}

/* --- one route --- */

static int collect_one(void *context, const struct nlmsghdr *message)
{
    return message->nlmsg_type != RTM_NEWROUTE || fib_message_route(message, context) ? 0 : -EBADMSG;
}

static int ask(struct fib *fib, const struct address *destination, uint32_t ifindex, unsigned flags,
               struct fib_route *answer)
{
    struct netlink_state *state = fib->state;
    union netlink_request request;
    struct nlmsghdr *header = start_request(&request, RTM_GETROUTE);
    struct rtmsg *body = mnl_nlmsg_put_extra_header(header, sizeof(*body));
    int r;

    body->rtm_family = destination->family;
    body->rtm_dst_len = (uint8_t)(address_size_bytes(destination) * 8);
    body->rtm_flags = flags;
    mnl_attr_put(header, RTA_DST, address_size_bytes(destination), destination->bytes);
    if (ifindex == 0 && address_is_link_local(destination))
        ifindex = destination->scope;
    if (ifindex)
        mnl_attr_put_u32(header, RTA_OIF, ifindex);
    r = netlink_request(&state->requests, header, collect_one, answer);
    if (r < 0) {
        char what[ADDRESS_TEXT_SIZE + 32];

        snprintf(what, sizeof(what), "no way to %s", ADDRESS_TEXT(destination));
        return failed(fib, r, what);
    }
    return 0;
}

/* The matched route first: without one, the kernel takes any address as on-link when an interface is given.
 */
static int netlink_backend_lookup(struct fib *fib, const struct address *destination, uint32_t ifindex,
                                  struct fib_route *matched, struct fib_route *taken)
{
    /* IPv6 tells the table unasked, and refuses to be asked. */
    unsigned match = RTM_F_FIB_MATCH | (destination->family == AF_INET ? RTM_F_LOOKUP_TABLE : 0);
    int r = ask(fib, destination, ifindex, match, matched);

    return r < 0 || !taken ? r : ask(fib, destination, ifindex, 0, taken);
}

static int change_route(struct fib *fib, uint16_t type, uint16_t flags, const struct fib_route *route,
                        const char *verb)
{
    struct netlink_state *state = fib->state;
    union netlink_request request;
    struct nlmsghdr *header = start_request(&request, type);
    char what[320];
    int r;

    header->nlmsg_flags = flags;
    fib_message_put_route(header, route);
    r = netlink_request(&state->requests, header, NULL, NULL);
    if (r == 0)
        return 0;
    snprintf(what, sizeof(what), "cannot %s %s", verb, ROUTE_TEXT(route));
    return failed(fib, r, what);
}

static int netlink_backend_put(struct fib *fib, const struct fib_route *route,
                               const struct fib_route *instead)
{
    return change_route(fib, RTM_NEWROUTE, NLM_F_CREATE | (instead ? NLM_F_REPLACE : NLM_F_EXCL), route,
                        "set");
}

static int netlink_backend_forget(struct fib *fib, uint8_t family)
{
    const char *path =
        family == AF_INET6 ? "/proc/sys/net/ipv6/route/flush" : "/proc/sys/net/ipv4/route/flush";
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : write(fd, "0", 1); /* at once; IPv6 reads it as seconds to wait */
    int error = errno;

    close_fd(fd);
    return n == 1 ? 0 : fib_fail(fib, -error, "cannot write %s: %s", path, strerror(error));
}

static int netlink_backend_drop(struct fib *fib, const struct fib_route *route)
{
    return change_route(fib, RTM_DELROUTE, 0, route, "remove");
}

/* --- the host --- */

static int collect_host(void *context, const struct nlmsghdr *message)
{
    struct fib_host *host = context;
    struct fib_own_address address;
    struct fib_link link;

    switch (message->nlmsg_type) {
    case RTM_NEWLINK:
        return fib_message_link(message, &link) ? fib_host_add_link(host, &link) : 0;
    case RTM_NEWADDR:
        return fib_message_address(message, &address) ? fib_host_add_address(host, &address) : 0;
    default:
        return 0;
    }
}

static int dump_host(struct netlink *netlink, struct fib_host *host, uint16_t type)
{
    union netlink_request request;
    struct nlmsghdr *header = start_request(&request, type);

    header->nlmsg_flags = NLM_F_DUMP;
    if (type == RTM_GETLINK) {
        struct ifinfomsg *body = mnl_nlmsg_put_extra_header(header, sizeof(*body));

        body->ifi_family = AF_UNSPEC;
        mnl_attr_put_u32(header, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    } else {
        struct ifaddrmsg *body = mnl_nlmsg_put_extra_header(header, sizeof(*body));

        body->ifa_family = AF_UNSPEC;
    }
    return netlink_request(netlink, header, collect_host, host);
}

static int netlink_backend_load(struct fib *fib, struct fib_host *host)
{
    struct netlink_state *state = fib->state;
    int r = -EINTR;

    for (int i = 0; i < DUMP_TRIES && r == -EINTR; i++) {
        fib_host_clear(host);
        r = dump_host(&state->requests, host, RTM_GETLINK);
        if (r == 0)
            r = dump_host(&state->requests, host, RTM_GETADDR);
    }
    return r < 0 ? failed(fib, r, "cannot list links and addresses") : 0;
}

/* --- events --- */

static bool route_event(struct fib *fib, const struct nlmsghdr *message, struct fib_event *event)
{
    const struct netlink_state *state = fib->state;
    struct fib_route route;
    bool covers;

    if (!fib_message_route(message, &route) || route.cached)
        return false;
    covers = fib_prefix_covers(&route.destination, route.prefix_length, &fib->watched);
    if (!covers && !fib_route_is_connected(&route))
        return false;
    if (covers && route.protocol == fib->protocol &&
        message->nlmsg_pid != mnl_socket_get_portid(state->requests.socket))
        fib->is_tidy = false;
    event->kind = covers ? FIB_EVENT_ROUTE : FIB_EVENT_NETWORK;
    event->address = event->network = route.destination;
    event->prefix_length = route.prefix_length;
    event->ifindex = route.ifindex;
    event->usable = message->nlmsg_type == RTM_NEWROUTE;
    return true;
}

/* What a notification means to the owner; false: nothing. */
static bool read_event(struct fib *fib, const struct nlmsghdr *message, struct fib_event *event)
{
    struct fib_own_address address;
    struct fib_link link;

    switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        fib->host_is_known = false;
        event->kind = FIB_EVENT_LINK;
        if (!fib_message_link(message, &link))
            return false;
        event->ifindex = link.ifindex;
        event->usable = message->nlmsg_type == RTM_NEWLINK && link.usable;
        return true;
    case RTM_NEWADDR:
    case RTM_DELADDR:
        fib->host_is_known = false;
        event->kind = FIB_EVENT_ADDRESS;
        if (!fib_message_address(message, &address))
            return false;
        event->ifindex = address.ifindex;
        event->address = address.address;
        event->network = address.network;
        event->prefix_length = address.prefix_length;
        event->usable = message->nlmsg_type == RTM_NEWADDR;
        return true;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        return route_event(fib, message, event);
    case RTM_NEWRULE:
    case RTM_DELRULE:
        event->kind = FIB_EVENT_ROUTE;
        event->usable = message->nlmsg_type == RTM_NEWRULE;
        return true;
    case RTM_NEWNEIGH:
        event->kind = FIB_EVENT_NEIGHBOUR;
        return fib_message_neighbour(message, &event->address, &event->ifindex, &event->usable);
    default:
        return false;
    }
}

/* Reads the next datagram of notifications. 1: there is one; 0: none is waiting; -ENOBUFS: some were lost. */
static int fill_buffer(struct fib *fib)
{
    struct netlink_state *state = fib->state;
    ssize_t n;

    do
        n = netlink_receive(state->groups, state->buffer.bytes, sizeof(state->buffer), MSG_DONTWAIT);
    while (n == 0);
    if (n == -EAGAIN)
        return 0;
    /* Too long for us is as lost as dropped, and so is what any other error hides. */
    if (n < 0)
        return -ENOBUFS;
    state->offset = 0;
    state->length = (size_t)n;
    return 1;
}

static bool netlink_backend_next_event(struct fib *fib, struct fib_event *event)
{
    struct netlink_state *state = fib->state;
    unsigned skipped = 0;

    for (;;) {
        const struct nlmsghdr *message = (const void *)(state->buffer.bytes + state->offset);
        size_t left = state->length - state->offset;

        if (netlink_message_ok(message, left)) {
            state->offset += min_u64(MNL_ALIGN((uint64_t)message->nlmsg_len), left);
            memset(event, 0, sizeof(*event));
            if (read_event(fib, message, event))
                return true;
            skipped++;
            continue;
        }
        /* What is left then is in the socket, which stays readable, and nothing in the buffer. */
        if (skipped >= SKIPPED_MAX)
            return false;
        switch (fill_buffer(fib)) {
        case 0:
            state->length = state->offset = 0;
            return false;
        case 1:
            break;
        default:
            state->length = state->offset = 0;
            fib->host_is_known = fib->is_tidy = false;
            memset(event, 0, sizeof(*event));
            event->kind = FIB_EVENT_RESYNC;
            return true;
        }
    }
}

static int netlink_backend_fd(const struct fib *fib)
{
    const struct netlink_state *state = fib->state;

    return mnl_socket_get_fd(state->groups);
}

const struct fib_backend fib_backend_netlink = {
    .name = "netlink",
    .open = netlink_backend_open,
    .close = netlink_backend_close,
    .routes = netlink_backend_routes,
    .lookup = netlink_backend_lookup,
    .put = netlink_backend_put,
    .forget = netlink_backend_forget,
    .drop = netlink_backend_drop,
    .load = netlink_backend_load,
    .fd = netlink_backend_fd,
    .next_event = netlink_backend_next_event,
    .reset_connections = fib_reset_by_diag,
};
