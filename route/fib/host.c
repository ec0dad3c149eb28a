/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How this host would enter an address directly, from data alone.
 *
 * The kernel's own lookup is not asked for this: once a link has no carrier or is down, its connected routes
 * are flagged or gone and the answer would be the default route. An address of the host keeps saying which
 * network is behind its interface. Routes without a gateway are looked at too, since a network can be
 * connected by such a route alone (and some network managers make the connected routes by themselves, with
 * addresses that say "no prefix route").
 *
 * Deliberately not done: policy rules and VRFs. A path is entered through its interface, whatever table holds
 * the connected route.
 */
#include "route/fib/host.h"

#include <linux/rtnetlink.h>

void fib_host_clear(struct fib_host *host)
{
    free(host->links);
    free(host->addresses);
    free(host->connected);
    memset(host, 0, sizeof(*host));
}

/* One more item of size_bytes at the end of *items; doubles the room at powers of two. */
static int append(void **items, size_t *count, const void *item, size_t size_bytes)
{
    if ((*count & (*count - 1)) == 0) {
        void *more = reallocarray(*items, *count ? *count * 2 : 1, size_bytes);

        if (!more)
            return -ENOMEM;
        *items = more;
    }
    memcpy((char *)*items + *count * size_bytes, item, size_bytes);
    ++*count;
    return 0;
}

int fib_host_add_link(struct fib_host *host, const struct fib_link *link)
{
    void *items = host->links;
    int r = append(&items, &host->link_count, link, sizeof(*link));

    host->links = items;
    return r;
}

int fib_host_add_address(struct fib_host *host, const struct fib_own_address *address)
{
    void *items = host->addresses;
    int r = append(&items, &host->address_count, address, sizeof(*address));

    host->addresses = items;
    return r;
}

int fib_host_add_connected(struct fib_host *host, const struct fib_route *route)
{
    void *items = host->connected;
    int r = append(&items, &host->connected_count, route, sizeof(*route));

    host->connected = items;
    return r;
}

const struct fib_link *fib_host_link(const struct fib_host *host, uint32_t ifindex)
{
    for (size_t i = 0; i < host->link_count; i++)
        if (host->links[i].ifindex == ifindex)
            return &host->links[i];
    return NULL;
}

bool fib_prefix_covers(const struct address *prefix, uint8_t length, const struct address *address)
{
    size_t whole = length / 8;
    uint8_t mask = (uint8_t)(0xff00 >> (length % 8));

    if (prefix->family != address->family || length > address_size_bytes(address) * 8)
        return false;
    if (memcmp(prefix->bytes, address->bytes, whole) != 0)
        return false;
    return length % 8 == 0 || ((prefix->bytes[whole] ^ address->bytes[whole]) & mask) == 0;
}

/* Link-local addresses are the same only on the same link; without a scope on one side, anywhere. */
static bool scope_allows(const struct address *address, uint32_t ifindex)
{
    return !address_is_link_local(address) || address->scope == 0 || address->scope == ifindex;
}

bool fib_host_owns(const struct fib_host *host, const struct address *address)
{
    for (size_t i = 0; i < host->address_count; i++) {
        const struct fib_own_address *own = &host->addresses[i];
        const struct fib_link *link = fib_host_link(host, own->ifindex);

        if (fib_prefix_covers(&own->address, (uint8_t)(address_size_bytes(address) * 8), address) &&
            scope_allows(address, own->ifindex))
            return true;
        /* The whole network of an IPv4 address on a loopback interface is this host. */
        if (link && link->loopback && address->family == AF_INET &&
            fib_prefix_covers(&own->network, own->prefix_length, address))
            return true;
    }
    return false;
}

/* One way to enter the address; ranked by way_is_better(). */
struct way {
    uint32_t ifindex;
    uint32_t metric;
    uint8_t prefix_length;
    bool usable;
    struct address source; /* empty: still to be chosen */
};

static bool way_is_better(const struct way *a, const struct way *b)
{
    if (a->prefix_length != b->prefix_length)
        return a->prefix_length > b->prefix_length;
    if (a->usable != b->usable)
        return a->usable;
    return a->metric < b->metric;
}

static void consider(const struct fib_host *host, struct way *best, struct way way)
{
    const struct fib_link *link = fib_host_link(host, way.ifindex);

    if (!link || link->loopback)
        return;
    way.usable = link->usable;
    if (best->ifindex == 0 || way_is_better(&way, best))
        *best = way;
}

/* The host's address that fits best on that interface: in the same network, of the same kind, not secondary.
 */
static struct address choose_source(const struct fib_host *host, uint32_t ifindex,
                                    const struct address *destination)
{
    const struct fib_own_address *best = NULL;
    int best_points = -1;

    for (size_t i = 0; i < host->address_count; i++) {
        const struct fib_own_address *own = &host->addresses[i];
        int points = 0;

        if (own->ifindex != ifindex || own->address.family != destination->family)
            continue;
        points += address_is_link_local(&own->address) == address_is_link_local(destination) ? 4 : 0;
        points += fib_prefix_covers(&own->network, own->prefix_length, destination) ? 2 : 0;
        points += own->secondary ? 0 : 1;
        if (points > best_points) {
            best = own;
            best_points = points;
        }
    }
    return best ? best->address : (struct address){0};
}

int fib_host_egress(const struct fib_host *host, const struct address *address, uint32_t *ifindex,
                    struct address *source)
{
    struct way best = {0};

    *ifindex = 0;
    memset(source, 0, sizeof(*source));
    if (fib_host_owns(host, address))
        return -EADDRINUSE;
    for (size_t i = 0; i < host->address_count; i++) {
        const struct fib_own_address *own = &host->addresses[i];

        if (own->prefix_length > 0 && scope_allows(address, own->ifindex) &&
            fib_prefix_covers(&own->network, own->prefix_length, address))
            consider(host, &best,
                     (struct way){.ifindex = own->ifindex,
                                  .metric = own->metric,
                                  .prefix_length = own->prefix_length});
    }
    for (size_t i = 0; i < host->connected_count; i++) {
        const struct fib_route *route = &host->connected[i];

        if (scope_allows(address, route->ifindex) &&
            fib_prefix_covers(&route->destination, route->prefix_length, address))
            consider(host, &best,
                     (struct way){.ifindex = route->ifindex,
                                  .metric = route->metric,
                                  .prefix_length = route->prefix_length,
                                  .source = route->source});
    }
    /* Every interface has fe80::/64: a link-local address without a scope could be anywhere. */
    if (best.ifindex == 0 || (address_is_link_local(address) && address->scope == 0))
        return -ENETUNREACH;
    *ifindex = best.ifindex;
    *source = address_is_set(&best.source) ? best.source : choose_source(host, best.ifindex, address);
    return 0;
}

bool fib_route_is_connected(const struct fib_route *route)
{
    return route->type == RTN_UNICAST && !address_is_set(&route->gateway) && route->ifindex != 0 &&
           route->prefix_length > 0 && !route->multipath;
}
