/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FIB: what a switch of the service's host route means, on top of a backend that can read, put and drop
 * single routes.
 *
 * The order of a switch is always: look, put, clean up, check. First who stands at our key is looked up,
 * because the kernel swaps the first route of the same (table, prefix, metric) whatever its protocol: a
 * foreign one there is a reason to stop, unless it is the one to be taken over. Then ours is put, which never
 * leaves a moment without a route. Only then what is superfluous goes: our own routes elsewhere and the
 * adopted one. At last the kernel is asked which way a packet really goes; nothing else proves a switch.
 *
 * How gapless a swap is: a lookup that has found the old route and is interrupted until that one is swapped
 * and marked dead finds nothing (see tests/fib/gap.c). That is a matter of nanoseconds, once in some ten
 * thousand switches under a saturating sender; adding ours first and removing the old one is no better.
 *
 * Between the look and the put somebody else may add a route; netlink has no compare-and-swap. The window is
 * some tens of microseconds, and the notification tells afterwards.
 *
 * What is known of the host (links, addresses, connected networks) is read when it is asked for and kept
 * until a notification is waiting. It is never patched from notifications, so it cannot drift.
 *
 * One thread, one owner, no globals. Deliberately not done: deleting the last route to the service by
 * ourselves, preferred sources (the kernel chooses by the gateway's network), multipath routes of our own.
 */
#include "route/fib_backend.h"

#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdarg.h>

#define HOST_ROUTES_MAX     32 /* more standing routes to one address than this are not looked at in one go */
#define IPV6_METRIC_OF_ZERO 1024 /* what the kernel makes of metric 0 */

static const struct fib_backend *const backends[] = {&fib_backend_netlink};

int fib_fail(struct fib *fib, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(fib->message, sizeof(fib->message), format, arguments);
    va_end(arguments);
    return error;
}

const char *fib_error(const struct fib *fib)
{
    return fib->message;
}

/* --- text ------------------------------------------------------------------------------------------------
 */

static const char *type_text(uint8_t type)
{
    static const char *const names[] = {
        [RTN_LOCAL] = "local ",         [RTN_BROADCAST] = "broadcast ", [RTN_ANYCAST] = "anycast ",
        [RTN_MULTICAST] = "multicast ", [RTN_BLACKHOLE] = "blackhole ", [RTN_UNREACHABLE] = "unreachable ",
        [RTN_PROHIBIT] = "prohibit ",   [RTN_THROW] = "throw ",         [RTN_NAT] = "nat ",
    };

    return type < ARRAY_SIZE(names) && names[type] ? names[type] : "";
}

static const char *protocol_text(uint8_t protocol, char buffer[static 4])
{
    static const char *const names[] = {
        [RTPROT_REDIRECT] = "redirect", [RTPROT_KERNEL] = "kernel", [RTPROT_BOOT] = "boot",
        [RTPROT_STATIC] = "static",     [RTPROT_RA] = "ra",         [RTPROT_DHCP] = "dhcp",
    };

    if (protocol < ARRAY_SIZE(names) && names[protocol])
        return names[protocol];
    snprintf(buffer, 4, "%u", protocol);
    return buffer;
}

/* Appends to a text that may already be full. */
__attribute__((format(printf, 4, 5))) static void add(char *buffer, size_t size_bytes, size_t *length,
                                                      const char *format, ...)
{
    va_list arguments;
    int n;

    if (*length >= size_bytes)
        return;
    va_start(arguments, format);
    n = vsnprintf(buffer + *length, size_bytes - *length, format, arguments);
    va_end(arguments);
    *length += n > 0 ? (size_t)n : 0;
}

const char *fib_route_text(const struct fib_route *route, char *buffer, size_t size_bytes)
{
    struct address gateway = route->gateway;
    char name[IF_NAMESIZE];
    char number[4];
    size_t n = 0;

    gateway.scope = 0; /* said by "dev" */
    if (size_bytes > 0)
        buffer[0] = '\0';
    add(buffer, size_bytes, &n, "%s%s/%u", type_text(route->type), ADDRESS_TEXT(&route->destination),
        route->prefix_length);
    if (address_is_set(&gateway))
        add(buffer, size_bytes, &n, " via %s", ADDRESS_TEXT(&gateway));
    if (route->ifindex && if_indextoname(route->ifindex, name))
        add(buffer, size_bytes, &n, " dev %s", name);
    else if (route->ifindex)
        add(buffer, size_bytes, &n, " dev if%" PRIu32, route->ifindex);
    if (route->nexthop_id)
        add(buffer, size_bytes, &n, " nhid %" PRIu32, route->nexthop_id);
    if (route->table != RT_TABLE_MAIN)
        add(buffer, size_bytes, &n, " table %" PRIu32, route->table);
    if (address_is_set(&route->source))
        add(buffer, size_bytes, &n, " src %s", ADDRESS_TEXT(&route->source));
    add(buffer, size_bytes, &n, " proto %s metric %" PRIu32, protocol_text(route->protocol, number),
        route->metric);
    if (route->tos)
        add(buffer, size_bytes, &n, " tos 0x%02x", route->tos);
    add(buffer, size_bytes, &n, "%s%s%s", route->multipath ? " (and more next hops)" : "",
        route->onlink ? " onlink" : "", route->link_down ? " linkdown" : "");
    return buffer;
}

#define ROUTE_TEXT(route) fib_route_text((route), (char[256]){0}, 256)

/* --- open and close --------------------------------------------------------------------------------------
 */

int fib_open(struct fib **out, const struct fib_settings *settings, char *message, size_t size_bytes)
{
    CLEANUP(fib_close) struct fib *fib = calloc(1, sizeof(*fib));
    int r;

    *out = NULL;
    if (!fib) {
        snprintf(message, size_bytes, "out of memory");
        return -ENOMEM;
    }
    for (size_t i = 0; i < ARRAY_SIZE(backends); i++)
        if (settings->backend && strcmp(settings->backend, backends[i]->name) == 0)
            fib->backend = backends[i];
    if (!fib->backend) {
        snprintf(message, size_bytes, "no FIB backend \"%s\", expected \"netlink\"",
                 settings->backend ? settings->backend : "");
        return -EINVAL;
    }
    fib->table = settings->table;
    fib->metric = settings->metric;
    fib->protocol = settings->protocol;
    fib->dry_run = settings->dry_run;
    r = fib->backend->open(fib);
    if (r < 0) {
        snprintf(message, size_bytes, "%s", fib->message);
        return r;
    }
    *out = TAKE(fib);
    return 0;
}

struct fib *fib_close(struct fib *fib)
{
    if (!fib)
        return NULL;
    if (fib->state)
        fib->backend->close(fib);
    fib_host_clear(&fib->host);
    free(fib);
    return NULL;
}

/* --- routes ----------------------------------------------------------------------------------------------
 */

static bool is_ours(const struct fib *fib, const struct fib_route *route)
{
    return route->protocol == fib->protocol && route->table == fib->table;
}

static bool same_key(const struct fib_route *a, const struct fib_route *b)
{
    return a->table == b->table && a->metric == b->metric && a->tos == b->tos &&
           a->prefix_length == b->prefix_length && address_equal(&a->destination, &b->destination);
}

static bool same_next_hop(const struct fib_route *a, const struct fib_route *b)
{
    return a->type == b->type && a->ifindex == b->ifindex && a->nexthop_id == b->nexthop_id &&
           a->multipath == b->multipath && address_equal(&a->gateway, &b->gateway);
}

static bool same_route(const struct fib_route *a, const struct fib_route *b)
{
    return same_key(a, b) && same_next_hop(a, b) && a->protocol == b->protocol &&
           address_equal(&a->source, &b->source);
}

int fib_get(struct fib *fib, const struct address *service, struct fib_route *routes, size_t *count)
{
    return fib->backend->routes(fib, service, routes, count);
}

int fib_lookup(struct fib *fib, const struct address *destination, uint32_t ifindex, struct fib_route *way)
{
    memset(way, 0, sizeof(*way));
    return fib->backend->lookup(fib, destination, ifindex, way);
}

/* The standing routes, as far as they fit. */
static int host_routes(struct fib *fib, const struct address *service,
                       struct fib_route routes[static HOST_ROUTES_MAX], size_t *count)
{
    int r;

    *count = HOST_ROUTES_MAX;
    r = fib->backend->routes(fib, service, routes, count);
    if (*count > HOST_ROUTES_MAX)
        *count = HOST_ROUTES_MAX;
    return r;
}

static int describe(struct fib *fib, const struct address *service, const struct address *gateway,
                    uint32_t ifindex, struct fib_route *route)
{
    if (!address_is_set(service) || ifindex == 0 || !address_is_set(gateway))
        return fib_fail(fib, -EINVAL, "a route needs a service, a gateway and an interface");
    if (service->family == AF_INET6 && gateway->family == AF_INET)
        return fib_fail(fib, -EAFNOSUPPORT, "an IPv6 service cannot go through the IPv4 gateway %s",
                        ADDRESS_TEXT(gateway));
    *route = (struct fib_route){
        .destination = *service,
        .prefix_length = (uint8_t)(address_size_bytes(service) * 8),
        .gateway = *gateway,
        .ifindex = ifindex,
        .table = fib->table,
        .metric = fib->metric,
        .protocol = fib->protocol,
        .type = RTN_UNICAST,
    };
    if (service->family == AF_INET6 && fib->metric == 0)
        route->metric = IPV6_METRIC_OF_ZERO;
    if (address_is_link_local(gateway))
        route->gateway.scope = ifindex;
    return 0;
}

/*
 * May ours be put at its key? The first route there is the one that the kernel would swap. *stands: it is the
 * wanted one already; putting it again would be silent on IPv4 and a change to be notified of on IPv6.
 */
static int check_key(struct fib *fib, const struct fib_route *wanted, const struct fib_route *standing,
                     bool *stands, struct fib_route *shadow)
{
    struct fib_route routes[HOST_ROUTES_MAX];
    size_t count;
    int r = host_routes(fib, &wanted->destination, routes, &count);

    *stands = false;
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (!same_key(&routes[i], wanted))
            continue;
        *stands = same_route(&routes[i], wanted);
        if (is_ours(fib, &routes[i]) || (standing && same_route(&routes[i], standing)))
            return 0;
        *shadow = routes[i];
        return fib_fail(fib, -EEXIST, "a foreign route stands where ours belongs: %s",
                        ROUTE_TEXT(&routes[i]));
    }
    return 0;
}

/* Removes what `wanted` makes superfluous: our own other routes and the adopted one. */
static int remove_superfluous(struct fib *fib, const struct fib_route *wanted,
                              const struct fib_route *standing)
{
    struct fib_route routes[HOST_ROUTES_MAX];
    bool stands = false;
    size_t count;
    int r = host_routes(fib, &wanted->destination, routes, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        stands = stands || same_route(&routes[i], wanted);
    if (!stands)
        return fib_fail(fib, -ESTALE, "%s was gone again at once", ROUTE_TEXT(wanted));
    for (size_t i = 0; i < count; i++) {
        if (same_route(&routes[i], wanted))
            continue;
        if (!is_ours(fib, &routes[i]) && !(standing && same_route(&routes[i], standing)))
            continue;
        r = fib->backend->drop(fib, &routes[i]);
        if (r < 0 && r != -ESRCH)
            return r;
    }
    return 0;
}

/* Does a packet go that way now? */
static int check_way(struct fib *fib, const struct fib_route *wanted, struct fib_route *shadow)
{
    struct fib_route way;
    int r = fib_lookup(fib, &wanted->destination, 0, &way);

    if (r < 0) {
        memset(shadow, 0, sizeof(*shadow));
        return fib_fail(fib, -ESTALE, "%s stands, but a packet has no way: %s", ROUTE_TEXT(wanted),
                        strerror(-r));
    }
    if (way.ifindex == wanted->ifindex && address_equal(&way.gateway, &wanted->gateway))
        return 0;
    *shadow = way;
    return fib_fail(fib, -ESTALE, "%s is shadowed by %s", ROUTE_TEXT(wanted), ROUTE_TEXT(&way));
}

int fib_replace(struct fib *fib, const struct address *service, const struct address *gateway,
                uint32_t ifindex, const struct fib_route *standing, struct fib_route *shadow)
{
    struct fib_route nobody;
    struct fib_route wanted;
    bool stands;
    int r;

    if (!shadow)
        shadow = &nobody;
    memset(shadow, 0, sizeof(*shadow));
    r = describe(fib, service, gateway, ifindex, &wanted);
    if (r < 0 || fib->dry_run)
        return r;
    r = check_key(fib, &wanted, standing, &stands, shadow);
    if (r < 0)
        return r;
    if (!stands)
        r = fib->backend->put(fib, &wanted);
    /* -EEXIST: it stands already behind another one of ours, which is superfluous now. */
    if (r < 0 && r != -EEXIST)
        return r;
    r = remove_superfluous(fib, &wanted, standing);
    if (r < 0)
        return r;
    return check_way(fib, &wanted, shadow);
}

int fib_remove(struct fib *fib, const struct address *service, const struct fib_route *adopted)
{
    struct fib_route routes[HOST_ROUTES_MAX];
    size_t removed = 0;
    size_t count;
    int r;

    if (fib->dry_run)
        return 0;
    r = host_routes(fib, service, routes, &count);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (!is_ours(fib, &routes[i]) && !(adopted && same_route(&routes[i], adopted)))
            continue;
        r = fib->backend->drop(fib, &routes[i]);
        if (r < 0 && r != -ESRCH)
            return r;
        removed++;
    }
    return removed > 0 ? 0 : fib_fail(fib, -ESRCH, "no route of ours to %s", ADDRESS_TEXT(service));
}

int fib_reset_connections(struct fib *fib, const struct address *service, unsigned *count)
{
    unsigned ignored;

    if (!count)
        count = &ignored;
    *count = 0;
    return fib->dry_run ? 0 : fib->backend->reset_connections(fib, service, count);
}

/* --- the host --------------------------------------------------------------------------------------------
 */

static int refresh_host(struct fib *fib)
{
    struct pollfd waiting = {.fd = fib->backend->fd(fib), .events = POLLIN};
    struct fib_host fresh = {0};
    int r;

    /* poll() leaves a pending ENOBUFS where it is, for fib_next_event() to find. */
    if (fib->host_is_known && poll(&waiting, 1, 0) == 0)
        return 0;
    r = fib->backend->load(fib, &fresh);
    if (r < 0) {
        fib_host_clear(&fresh);
        return r;
    }
    fib_host_clear(&fib->host);
    fib->host = fresh;
    fib->host_is_known = true;
    return 0;
}

int fib_egress(struct fib *fib, const struct address *address, uint32_t *ifindex, struct address *source)
{
    int r = refresh_host(fib);

    *ifindex = 0;
    memset(source, 0, sizeof(*source));
    if (r < 0)
        return r;
    r = fib_host_egress(&fib->host, address, ifindex, source);
    if (r == -EADDRINUSE)
        return fib_fail(fib, r, "%s is an address of this host", ADDRESS_TEXT(address));
    if (r == -ENETUNREACH)
        return fib_fail(fib, r, "%s is in no network connected to this host", ADDRESS_TEXT(address));
    return r;
}

bool fib_link_usable(struct fib *fib, uint32_t ifindex, char name[IF_NAMESIZE], uint32_t *mtu_bytes)
{
    static const struct fib_link none;
    const struct fib_link *link = refresh_host(fib) < 0 ? NULL : fib_host_link(&fib->host, ifindex);

    if (!link)
        link = &none;
    if (name)
        memcpy(name, link->name, IF_NAMESIZE);
    if (mtu_bytes)
        *mtu_bytes = link->mtu_bytes;
    return link->usable;
}

bool fib_address_is_local(struct fib *fib, const struct address *address)
{
    struct fib_route way;

    if (refresh_host(fib) == 0 && fib_host_owns(&fib->host, address))
        return true;
    /* Whole networks can be local without being anybody's address. */
    return fib_lookup(fib, address, 0, &way) == 0 && way.type == RTN_LOCAL;
}

static int read_rp_filter(const char *name)
{
    char path[64 + IF_NAMESIZE];
    FILE *file;
    int value;

    snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", name);
    file = fopen(path, "re");
    if (!file)
        return -errno;
    if (fscanf(file, "%d", &value) != 1 || value < 0)
        value = -EBADMSG;
    fclose(file);
    return value;
}

int fib_rp_filter(struct fib *fib, uint32_t ifindex)
{
    char name[IF_NAMESIZE];
    int all = read_rp_filter("all");
    int own;

    fib_link_usable(fib, ifindex, name, NULL);
    if (name[0] == '\0')
        return fib_fail(fib, -ENODEV, "no interface %" PRIu32, ifindex);
    own = read_rp_filter(name);
    if (all < 0 || own < 0)
        return fib_fail(fib, all < 0 ? all : own, "cannot read rp_filter of %s: %s", name,
                        strerror(-(all < 0 ? all : own)));
    return all > own ? all : own;
}

/* --- events ----------------------------------------------------------------------------------------------
 */

void fib_watch(struct fib *fib, const struct address *service)
{
    fib->watched = *service;
}

int fib_fd(const struct fib *fib)
{
    return fib->backend->fd(fib);
}

bool fib_next_event(struct fib *fib, struct fib_event *event)
{
    memset(event, 0, sizeof(*event));
    return fib->backend->next_event(fib, event);
}
