/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink messages as data and back (rtnetlink(7)). Pure: bytes in, structs out.
 *
 * The readers return false for a message that is no such thing, is cut off, or says nothing of use here.
 */
#pragma once

#include "route/fib/host.h"
#include <linux/netlink.h>

/* RTM_NEWROUTE and RTM_DELROUTE; false for multicast routing. */
bool fib_message_route(const struct nlmsghdr *message, struct fib_route *route);

/* RTM_NEWLINK and RTM_DELLINK; false for messages about a bridge port. */
bool fib_message_link(const struct nlmsghdr *message, struct fib_link *link);

/* RTM_NEWADDR and RTM_DELADDR. */
bool fib_message_address(const struct nlmsghdr *message, struct fib_own_address *address);

/* RTM_NEWNEIGH, when it is certain: reachable, or failed. */
bool fib_message_neighbour(const struct nlmsghdr *message, struct address *address, uint32_t *ifindex,
                           bool *usable);

/*
 * Fills a started message (mnl_nlmsg_put_header) with everything that tells this route from others;
 * NETLINK_REQUEST_BYTES are room enough. nlmsg_type is RTM_NEWROUTE or RTM_DELROUTE.
 */
void fib_message_put_route(struct nlmsghdr *message, const struct fib_route *route);
