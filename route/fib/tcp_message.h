/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sock_diag says of a TCP socket, as data. Pure: bytes in, structs out.
 */
#pragma once

#include "probe/base.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>

struct fib_tcp_socket {
    uint64_t cookie;      /* no other socket has it until the next boot */
    uint32_t unacked;     /* segments that were sent and wait for their acknowledgement */
    uint8_t retransmits;  /* of the oldest of them, by its timer, in a row */
    uint64_t acked_bytes; /* acknowledged since it was opened (RFC 4898, tcpEStatsAppHCThruOctetsAcked) */
};

struct fib_tcp_found {
    struct fib_tcp_socket socket;
    uint8_t family; /* with id: how to ask for this very socket */
    struct inet_diag_sockid id;
};

/*
 * 1: `message` is about an open connection to peer, found is set. 0: it is about something else, or is no whole one.
 * -EOPNOTSUPP: it does not tell how far the data have come.
 */
int fib_tcp_message(const struct nlmsghdr *message, const struct address *peer, struct fib_tcp_found *found);
