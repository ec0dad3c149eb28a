/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of this host: its links, its addresses and the networks connected to it. Plain data that a
 * backend fills; the questions are pure.
 */
#pragma once

#include "route/fib/route.h"

struct fib_own_address {
    struct address address;
    struct address network; /* an address in the connected network: the peer's, or the same as address */
    uint8_t prefix_length;  /* of the network */
    uint32_t ifindex;
    uint32_t metric; /* of the connected route; UINT32_MAX: the kernel made none for this address */
    bool secondary;  /* deprecated, temporary, tentative: not the first choice as a source */
};

/* All zero is the empty host. */
struct fib_host {
    struct fib_link *links;
    size_t link_count;
    struct fib_own_address *addresses;
    size_t address_count;
    struct fib_route *connected; /* unicast routes without a gateway, prefix_length > 0 */
    size_t connected_count;
};

void fib_host_clear(struct fib_host *host);

/* -ENOMEM leaves the host as it was. */
int fib_host_add_link(struct fib_host *host, const struct fib_link *link);
int fib_host_add_address(struct fib_host *host, const struct fib_own_address *address);
int fib_host_add_connected(struct fib_host *host, const struct fib_route *route);

/*
 * Fills an empty host without netlink: by getifaddrs(), or where the C library needs netlink for that, by SIOCGIFCONF
 * (netdevice(7)), which knows IPv4 alone. 0 or a negative errno; what was added before is cleared by the caller.
 */
int fib_host_read(struct fib_host *host);
int fib_host_read_by_ioctl(struct fib_host *host); /* the second way */

const struct fib_link *fib_host_link(const struct fib_host *host, uint32_t ifindex); /* NULL: none */
bool fib_host_owns(const struct fib_host *host, const struct address *address);

/* See fib_egress(). */
int fib_host_egress(const struct fib_host *host, const struct address *address, uint32_t *ifindex,
                    struct address *source);

/* True when the first `length` bits are equal and the families are. */
bool fib_prefix_covers(const struct address *prefix, uint8_t length, const struct address *address);

/* The connected networks of a host are unicast routes without a gateway; a default route is none. */
bool fib_route_is_connected(const struct fib_route *route);
