/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FIB: what a switch of the service's host route means, on top of a backend that can read, put and drop
 * single routes.
 *
 * THE ORDER OF A SWITCH is always the same:
 *   1. Look: who stands at our key? The kernel swaps the first route of the same (table, prefix, metric),
 *      whatever its protocol. A foreign one there is a reason to stop, unless it is to be taken over.
 *   2. Put ours. That never leaves a moment without a route.
 *   3. Clean up: our own routes elsewhere, and the adopted one.
 *   4. Check: the kernel is asked which way a packet really goes. Nothing else proves a switch.
 *
 * COST
 * It does not depend on how many routes the host has: single lookups are enough. Tables are listed in two
 * cases: a foreign route hides the place of ours, or somebody else has used our protocol number.
 *
 * HOW GAPLESS A SWAP IS
 *   - A lookup may find the old route and be interrupted until that one is swapped and marked dead. It then
 *     finds nothing. tests/fib/gap.c counts how often; to add ours first and remove the old one is no better.
 *   - Between look and put somebody else may add a route: netlink has no compare-and-swap. The notification
 *     tells afterwards.
 *
 * WHAT IS KNOWN OF THE HOST
 * Links and addresses are read when they are asked for, and kept until an event about them was pulled: once
 * for a batch of events. They are never patched from notifications, so they cannot drift.
 *
 * One thread, one owner, no globals. Deliberately not done: deleting the last route to the service by
 * ourselves, preferred sources (the kernel chooses by the gateway's network), multipath routes of our own.
 */
#include "route/fib/fib.h"

#include "route/fib/backend.h"

#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <sys/utsname.h>

#define HOST_ROUTES_MAX     32 /* more standing routes to one address than this are not looked at in one go */
#define IPV6_METRIC_OF_ZERO 1024 /* what the kernel makes of metric 0 */
#define LINKS_ASKED_MAX     16   /* for another way to an address whose first link does not work */

static const struct fib_backend *const backends[] = {&fib_backend_netlink, &fib_backend_esxcfg,
                                                     &fib_backend_ip};

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

#define ROUTE_TEXT(route) fib_route_text((route), (char[256]){0}, 256)

/* --- open and close --- */

/* NULL: there is none of this name. */
static const struct fib_backend *find_backend(const char *name)
{
    struct utsname host;

    if (name && strcmp(name, "auto") == 0)
        return uname(&host) == 0 && strcmp(host.sysname, "VMkernel") == 0 ? &fib_backend_esxcfg
                                                                          : &fib_backend_netlink;
    for (size_t i = 0; name && i < ARRAY_SIZE(backends); i++)
        if (strcmp(name, backends[i]->name) == 0)
            return backends[i];
    return NULL;
}

int fib_open(struct fib **out, const struct fib_settings *settings, char *message, size_t size_bytes)
{
    CLEANUP(fib_close) struct fib *fib = calloc(1, sizeof(*fib));
    int r;

    *out = NULL;
    if (!fib) {
        snprintf(message, size_bytes, "out of memory");
        return -ENOMEM;
    }
    fib->backend = find_backend(settings->backend);
    if (!fib->backend) {
        snprintf(message, size_bytes, "no FIB backend \"%s\", expected auto, netlink, esxcfg or ip",
                 settings->backend ? settings->backend : "");
        return -EINVAL;
    }
    fib->table = settings->table;
    fib->metric = settings->metric;
    fib->protocol = settings->protocol;
    fib->dry_run = settings->dry_run;
    r = fib->backend->open(fib, settings);
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

/* --- backends that run commands --- */

const char *fib_backend_name(const struct fib *fib)
{
    return fib->backend->name;
}

bool fib_is_slow(const struct fib *fib)
{
    return fib->backend->slow;
}

uint64_t fib_silent_since_ns(const struct fib *fib)
{
    return atomic_load(&fib->silent_since_ns);
}

void fib_hurry(struct fib *fib, bool hurry)
{
    atomic_store(&fib->hurry, hurry);
}

void fib_end(struct fib *fib)
{
    atomic_store(&fib->ending, true);
    atomic_store(&fib->hurry, true);
}

void fib_own(struct fib *fib, const struct address *next_hop)
{
    fib->owned = *next_hop;
}

const struct address *fib_owned(const struct fib *fib)
{
    return &fib->owned;
}

/* --- routes --- */

/* Was it put by us, maybe with another metric than the one of now? */
static bool is_of_us(const struct fib *fib, const struct fib_route *route)
{
    return route->protocol == fib->protocol && route->table == fib->table;
}

static uint32_t metric_of_ours(const struct fib *fib, uint8_t family)
{
    return family == AF_INET6 && fib->metric == 0 ? IPV6_METRIC_OF_ZERO : fib->metric;
}

bool fib_has_leftover(const struct fib *fib)
{
    return address_is_set(&fib->leftover.destination) || fib->stray_count > 0;
}

bool fib_is_ours(const struct fib *fib, const struct fib_route *route)
{
    return is_of_us(fib, route) && route->metric == metric_of_ours(fib, route->destination.family);
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
    return fib->backend->routes(fib, service, 0, routes, count);
}

int fib_lookup(struct fib *fib, const struct address *destination, uint32_t ifindex, struct fib_route *way)
{
    struct fib_route taken = {0};
    int r;

    memset(way, 0, sizeof(*way));
    r = fib->backend->lookup(fib, destination, ifindex, way, &taken);
    way->gateway = taken.gateway;
    way->ifindex = taken.ifindex;
    way->source = taken.source;
    way->type = taken.type;
    way->redirected = taken.redirected;
    return r;
}

/* Is this what the kernel answers when there is no way, and no failure to ask it? */
static bool says_no_way(int error)
{
    return error == -ENETUNREACH || error == -EHOSTUNREACH || error == -EINVAL || error == -EACCES ||
           error == -EAGAIN || error == -ESRCH;
}

static bool leads_nowhere(const struct fib_route *route)
{
    return route->type == RTN_BLACKHOLE || route->type == RTN_UNREACHABLE || route->type == RTN_PROHIBIT ||
           route->type == RTN_THROW;
}

/* A route with one next hop of its own tells where its packets should go. */
static bool is_detoured(const struct fib_route *matched, const struct fib_route *taken)
{
    if (taken->redirected)
        return true;
    return !matched->cached && matched->type == RTN_UNICAST && taken->type == RTN_UNICAST &&
           matched->ifindex && !matched->multipath && !matched->nexthop_id &&
           (matched->ifindex != taken->ifindex || !address_equal(&matched->gateway, &taken->gateway));
}

int fib_way(struct fib *fib, const struct address *destination, struct fib_way *way)
{
    struct fib_route taken = {0};
    int r;

    memset(way, 0, sizeof(*way));
    r = fib->backend->lookup(fib, destination, 0, &way->matched, &taken);
    if (r < 0 && !says_no_way(r))
        return r;
    if (r < 0 || leads_nowhere(&taken)) {
        way->kind = FIB_WAY_NONE;
        way->error = r;
        return 0;
    }
    way->kind = is_detoured(&way->matched, &taken) ? FIB_WAY_DETOUR : FIB_WAY_TAKEN;
    way->taken = way->matched;
    way->taken.gateway = taken.gateway;
    way->taken.ifindex = taken.ifindex;
    way->taken.source = taken.source;
    way->taken.type = taken.type;
    return 0;
}

/* The standing routes (of one protocol when that is not 0), as far as they fit. */
static int host_routes(struct fib *fib, const struct address *service, uint8_t protocol,
                       struct fib_route routes[static HOST_ROUTES_MAX], size_t *count)
{
    int r;

    *count = HOST_ROUTES_MAX;
    r = fib->backend->routes(fib, service, protocol, routes, count);
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
        .metric = metric_of_ours(fib, service->family),
        .protocol = fib->protocol,
        .type = RTN_UNICAST,
    };
    if (address_is_link_local(gateway))
        route->gateway.scope = ifindex;
    return 0;
}

/* May it be replaced? Ours may, and the one that was adopted. */
static bool is_mine(const struct fib *fib, const struct fib_route *found, const struct fib_route *standing)
{
    return is_of_us(fib, found) || (standing && same_route(found, standing));
}

/* Must what stands at the key of ours be left alone? */
static int refuse_foreign(struct fib *fib, const struct fib_route *found, const struct fib_route *standing,
                          struct fib_route *shadow)
{
    if (is_mine(fib, found, standing))
        return 0;
    *shadow = *found;
    return fib_fail(fib, -EEXIST, "a foreign route stands where ours belongs: %s", ROUTE_TEXT(found));
}

/* Puts ours at its key when that is not hidden from us: all routes to the service are looked at. */
static int put_after_listing(struct fib *fib, const struct fib_route *wanted,
                             const struct fib_route *standing, struct fib_route *shadow)
{
    struct fib_route routes[HOST_ROUTES_MAX];
    const struct fib_route *instead = NULL;
    size_t count;
    int r = host_routes(fib, &wanted->destination, 0, routes, &count);

    for (size_t i = 0; r == 0 && i < count; i++) {
        if (!same_key(&routes[i], wanted))
            continue;
        if (!instead || (fib->backend->exact && !is_mine(fib, instead, standing)))
            instead = &routes[i];
    }
    if (r == 0 && instead)
        r = refuse_foreign(fib, instead, standing, shadow);
    if (r < 0 || (instead && same_route(instead, wanted)))
        return r;
    return fib->backend->put(fib, wanted, instead ? instead : wanted);
}

/*
 * Puts ours at its key. The first route there is the one that the kernel would swap. Mostly it is the one
 * that packets match; else there is none, and ours is added; else something hides it, and only a list tells.
 * The very same one is not put again: that would be silent on IPv4 and a change to be notified of on IPv6.
 */
static int put(struct fib *fib, const struct fib_route *wanted, const struct fib_route *standing,
               struct fib_route *shadow)
{
    struct fib_way way;
    int r = fib_way(fib, &wanted->destination, &way);

    if (r < 0)
        return r;
    if (fib->backend->exact && same_key(&way.matched, wanted) && !is_mine(fib, &way.matched, standing))
        return put_after_listing(fib, wanted, standing, shadow); /* ours may stand beside it */
    if (!way.matched.cached && same_key(&way.matched, wanted)) {
        r = refuse_foreign(fib, &way.matched, standing, shadow);
        if (r < 0 || same_route(&way.matched, wanted))
            return r;
        return fib->backend->put(fib, wanted, &way.matched);
    }
    r = fib->backend->put(fib, wanted, NULL);
    return r == -EEXIST ? put_after_listing(fib, wanted, standing, shadow) : r;
}

/*
 * Removes what `wanted` makes superfluous: the adopted route, and our own other ones if there may be any. What
 * cannot be removed is tried again by the next replace.
 */
static void remove_superfluous(struct fib *fib, const struct fib_route *wanted,
                               const struct fib_route *standing)
{
    struct fib_route routes[HOST_ROUTES_MAX];
    size_t count = HOST_ROUTES_MAX;
    bool all;

    if (standing && !same_key(standing, wanted))
        fib->leftover = *standing;
    if (address_is_set(&fib->leftover.destination)) {
        int r = fib->backend->drop(fib, &fib->leftover);

        if (r == 0 || r == -ESRCH)
            fib->leftover = (struct fib_route){0};
    }
    if ((fib->is_tidy && fib->stray_count == 0) ||
        fib->backend->routes(fib, &wanted->destination, fib->protocol, routes, &count) < 0)
        return;
    all = count <= HOST_ROUTES_MAX;
    for (size_t i = 0; i < count && i < HOST_ROUTES_MAX; i++) {
        if (same_route(&routes[i], wanted))
            continue;
        int r = fib->backend->drop(fib, &routes[i]);

        all = all && (r == 0 || r == -ESRCH);
    }
    fib->is_tidy = all;
}

/*
 * Makes the kernel forget where an ICMP redirect sends the packets of a route of ours. On IPv4 what was
 * learnt hangs on the next hop's data, which equal routes share and which goes with the last of them: so ours
 * is swapped for one that differs (it names the source address that packets have anyway) and back. On IPv6 it
 * hangs on the route itself: putting it again is enough. When another route shares the data (a second
 * agent's) it survives that, and all that was learnt is thrown away.
 */
static int renew(struct fib *fib, const struct fib_route *wanted, struct fib_way *way)
{
    struct fib_route different = *wanted;
    int r = 0;

    different.source = way->taken.source;
    if (wanted->destination.family == AF_INET)
        r = fib->backend->put(fib, &different, wanted);
    if (r == 0)
        r = fib->backend->put(fib, wanted, &different);
    if (r == 0)
        r = fib_way(fib, &wanted->destination, way);
    if (r < 0 || way->kind != FIB_WAY_DETOUR)
        return r;
    if (fib->backend->forget(fib, wanted->destination.family) < 0)
        return 0; /* ours stands, and the way says what is wrong with it */
    return fib_way(fib, &wanted->destination, way);
}

/* Does a packet go that way now? Whatever is wrong, ours stands: -ESTALE. */
static int check_way(struct fib *fib, const struct fib_route *wanted, struct fib_route *shadow)
{
    struct fib_way way;
    int r = fib_way(fib, &wanted->destination, &way);

    if (r == 0 && way.kind == FIB_WAY_DETOUR &&
        (way.matched.cached || (same_key(&way.matched, wanted) && is_of_us(fib, &way.matched))))
        r = renew(fib, wanted, &way);
    if (r < 0)
        return fib_fail(fib, -ESTALE, "%s stands, but it is not known where packets go: %s",
                        ROUTE_TEXT(wanted), strerror(-r));
    if (way.kind == FIB_WAY_NONE)
        return fib_fail(fib, -ESTALE, "%s stands, but a packet has no way: %s", ROUTE_TEXT(wanted),
                        fib_way_text(&way, (char[256]){0}, 256));
    if (way.taken.ifindex == wanted->ifindex && address_equal(&way.taken.gateway, &wanted->gateway))
        return 0;
    *shadow = way.taken;
    if (way.kind == FIB_WAY_DETOUR)
        return fib_fail(fib, -ESTALE, "%s stands, but packets are %s", ROUTE_TEXT(wanted),
                        fib_way_text(&way, (char[256]){0}, 256));
    return fib_fail(fib, -ESTALE, "%s is shadowed by %s", ROUTE_TEXT(wanted), ROUTE_TEXT(&way.taken));
}

int fib_replace(struct fib *fib, const struct address *service, const struct address *gateway,
                uint32_t ifindex, const struct fib_route *standing, struct fib_route *shadow)
{
    struct fib_route nobody;
    struct fib_route wanted;
    int r;

    if (!shadow)
        shadow = &nobody;
    memset(shadow, 0, sizeof(*shadow));
    r = describe(fib, service, gateway, ifindex, &wanted);
    if (r < 0 || fib->dry_run)
        return r;
    r = put(fib, &wanted, standing, shadow);
    if (r == -EEXIST && !address_is_set(&shadow->destination)) {
        fib->is_tidy = false; /* it stands already behind another one of ours, which is superfluous now */
        r = 0;
    }
    if (r < 0)
        return r;
    remove_superfluous(fib, &wanted, standing);
    return check_way(fib, &wanted, shadow);
}

int fib_find(struct fib *fib, const struct address *service, const struct fib_route *like,
             struct fib_route *route)
{
    uint32_t metric = like ? like->metric : metric_of_ours(fib, service->family);
    struct fib_route routes[HOST_ROUTES_MAX];
    size_t count;
    int r = host_routes(fib, service, like ? like->protocol : fib->protocol, routes, &count);

    memset(route, 0, sizeof(*route));
    for (size_t i = 0; r == 0 && i < count; i++)
        if (routes[i].metric == metric && routes[i].tos == 0) {
            *route = routes[i];
            return 0;
        }
    return r < 0 ? r : -ENOENT;
}

int fib_remove(struct fib *fib, const struct address *service, const struct fib_route *adopted)
{
    struct fib_route routes[HOST_ROUTES_MAX];
    size_t removed = 0;
    size_t count;
    int r;

    if (fib->dry_run)
        return 0;
    r = host_routes(fib, service, 0, routes, &count);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (!is_of_us(fib, &routes[i]) && !(adopted && same_route(&routes[i], adopted)))
            continue;
        r = fib->backend->drop(fib, &routes[i]);
        if (r < 0 && r != -ESRCH)
            return r;
        removed++;
    }
    return removed > 0 ? 0 : fib_fail(fib, -ESRCH, "no route of ours to %s", ADDRESS_TEXT(service));
}

int fib_reset_connections(struct fib *fib, const struct fib_connections *connections, unsigned *count)
{
    *count = 0;
    return fib->dry_run ? 0 : fib->backend->reset_connections(fib, connections, count);
}

int fib_reset_by_diag(struct fib *fib, const struct fib_connections *connections, unsigned *count)
{
    char message[FIB_MESSAGE_SIZE];
    int r = fib_diag_destroy(connections, count, message, sizeof(message));

    if (r == -EAFNOSUPPORT || r == -EPROTONOSUPPORT) /* there is no sock_diag, and will be none */
        r = -EOPNOTSUPP;
    return r < 0 ? fib_fail(fib, r, "%s", message) : 0;
}

/* --- the host --- */

int fib_know_host(struct fib *fib)
{
    struct fib_host fresh = {0};
    int r;

    if (fib->host_is_known)
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

/*
 * Adds the route by which the kernel would reach the address directly, through that interface if one is given.
 * 1: there is one, 0: there is none, or a negative errno.
 */
static int add_connected_route(struct fib *fib, const struct address *address, uint32_t ifindex,
                               struct fib_route *route)
{
    int r;

    memset(route, 0, sizeof(*route));
    r = fib->backend->lookup(fib, address, ifindex, route, NULL);
    if (r < 0)
        return says_no_way(r) || r == -ENODEV ? 0 : r;
    /* A kernel that cannot tell the matched route takes any address as on-link when an interface is given. */
    if (!fib_route_is_connected(route) || (route->cached && ifindex))
        return 0;
    r = fib_host_add_connected(&fib->host, route);
    return r < 0 ? r : 1;
}

/*
 * The connected networks that hold the address: the kernel is asked about this one address, since a list
 * would be one of all routes. Its first answer may lead to a link that does not work; then the others are
 * asked for.
 */
static int add_connected(struct fib *fib, const struct address *address)
{
    struct fib_route route;
    const struct fib_link *link = NULL;
    size_t asked = 0;
    int r;

    fib->host.connected_count = 0;
    r = add_connected_route(fib, address, 0, &route);
    if (r > 0)
        link = fib_host_link(&fib->host, route.ifindex);
    if (r < 0 || (link && link->usable))
        return r;
    for (size_t i = 0; i < fib->host.link_count && asked < LINKS_ASKED_MAX && r >= 0; i++) {
        link = &fib->host.links[i];
        if (!link->usable || link->loopback || (address->scope && address->scope != link->ifindex))
            continue;
        asked++;
        r = add_connected_route(fib, address, link->ifindex, &route);
    }
    return r;
}

int fib_egress(struct fib *fib, const struct address *address, uint32_t *ifindex, struct address *source)
{
    int r = fib_know_host(fib);

    *ifindex = 0;
    memset(source, 0, sizeof(*source));
    /* Where routes are read by a command, the networks of the addresses are all that is known. */
    if (r == 0 && !fib->backend->slow && !fib_host_owns(&fib->host, address))
        r = add_connected(fib, address);
    if (r < 0)
        return r;
    r = fib_host_egress(&fib->host, address, ifindex, source);
    if (r == -EADDRINUSE)
        return fib_fail(fib, r, "%s is an address of this host", ADDRESS_TEXT(address));
    if (r == -ENETUNREACH)
        return fib_fail(fib, r, "%s is in no network connected to this host", ADDRESS_TEXT(address));
    return r;
}

int fib_link(struct fib *fib, uint32_t ifindex, struct fib_link *link)
{
    const struct fib_link *found;
    int r = fib_know_host(fib);

    memset(link, 0, sizeof(*link));
    if (r < 0)
        return r;
    found = fib_host_link(&fib->host, ifindex);
    if (found)
        *link = *found;
    return found ? 0 : -ENODEV;
}

bool fib_address_is_local(struct fib *fib, const struct address *address)
{
    struct fib_route way;

    if (fib_know_host(fib) == 0 && fib_host_owns(&fib->host, address))
        return true;
    /* Whole networks can be local without being anybody's address. */
    return !fib->backend->slow && fib->backend->lookup(fib, address, 0, &way, NULL) == 0 &&
           way.type == RTN_LOCAL;
}

/* --- events --- */

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
