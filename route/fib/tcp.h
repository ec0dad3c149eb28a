/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open TCP connections of this network namespace to one address, and how far their data have come
 * (INET_DIAG_INFO, linux/inet_diag.h; struct tcp_info, linux/tcp.h). Only looked at.
 *
 * A list makes the kernel walk over all TCP sockets of the machine. To look again at those that were found costs a
 * round trip for each, however many others there are.
 */
#pragma once

#include "route/fib/tcp_message.h"

/* More than these are not looked at: the first that the kernel names. */
#define FIB_TCP_MAX 16

struct fib_tcp;

/* peer is copied. 0 or a negative errno. */
int fib_tcp_open(struct fib_tcp **out, const struct address *peer);
struct fib_tcp *fib_tcp_close(struct fib_tcp *tcp);
DEFINE_CLEANUP(struct fib_tcp *, fib_tcp_close)

/*
 * Finds them. 0 or a negative errno, and those that were known stay as they were; -EOPNOTSUPP: this kernel does not tell
 * (before Linux 4.1, or without CONFIG_INET_TCP_DIAG).
 */
int fib_tcp_list(struct fib_tcp *tcp);
/* Looks again at those that were found; one that is not open any more is forgotten. 0 or the first negative errno. */
int fib_tcp_look(struct fib_tcp *tcp);

/* Writes those that were found, as they were at the last look; how many. */
size_t fib_tcp_sockets(const struct fib_tcp *tcp, struct fib_tcp_socket sockets[static FIB_TCP_MAX]);
