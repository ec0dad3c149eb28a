/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What requests to NETLINK_SOCK_DIAG about TCP have in common (linux/sock_diag.h, linux/inet_diag.h; sock_diag(7)).
 */
#pragma once

#include "probe/base.h"
#include "route/fib/netlink.h"

#include <linux/inet_diag.h>

struct diag_query {
    const struct address *peer;
    uint32_t states;    /* a bit for each TCP state, as the kernel numbers them: 1 << TCP_ESTABLISHED, ... */
    uint8_t extensions; /* what is told besides: 1 << (INET_DIAG_INFO - 1), ...; 0: nothing */
};

/* Is this the address, as it is or mapped into IPv6 (RFC 4291, section 2.5.5.2)? */
bool diag_is_address(const struct address *address, uint8_t family, const uint32_t words[4]);

/*
 * Hands each of this namespace's TCP sockets with that peer to each(), as SOCK_DIAG_BY_FAMILY; each() compares the peer
 * again. *count is what each() counts: a list that has to be begun anew begins at its old value. 0 or a negative errno,
 * -EOPNOTSUPP: this kernel has no tcp_diag.
 */
int diag_list(struct netlink *netlink, const struct diag_query *query, netlink_message_fn *each,
              void *context, size_t *count);
