/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of this host's interfaces, without netlink where there is none.
 */
#pragma once

#include "probe/base.h"

struct interface_address {
    char name[IF_NAMESIZE];
    uint32_t index;
    unsigned flags; /* IFF_UP, IFF_RUNNING, IFF_LOOPBACK ... */
    struct address address;
    struct address peer; /* of a point-to-point link, else the address again */
    uint8_t prefix_length;
};

static inline struct interface_address *interfaces_free(struct interface_address *list)
{
    free(list);
    return NULL;
}
DEFINE_CLEANUP(struct interface_address *, interfaces_free)

/*
 * By getifaddrs(3), or by SIOCGIFCONF (netdevice(7)) where that fails: then of IPv4 only, and an interface without an
 * address is not there. The caller frees *out. Returns how many, or a negative errno.
 */
int interfaces_list(struct interface_address **out);

/* The first address of the family; empty: there is none, or nobody says. */
struct address interface_first_address(const char *name, int family);
