/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's TCP connections to the service when its route moves.
 */
#pragma once

#include "probe/spare_fds.h"
#include "route/fib/fib.h"

struct connections {
    uint64_t look_ns, looks_end_ns; /* next look; 0: none */
    enum fib_which which;           /* what it is for */
    int error;                      /* of the last look, which the log has; 0: none */
    uint64_t left_ns;               /* when they were ended for a move that has not come yet; 0: none */
};

/* What is asked of, and about which. */
struct connections_host {
    struct fib *fib;
    struct spare_fds *spare;
    const struct address *service;
    const struct address
        *source;        /* that the route gives to new connections; NULL: there is no route, and no look */
    const char *wanted; /* "all", "established" (no handshakes), "none": which are ended by a move */
};

/* Which that means once the route has moved. Not for "none". */
enum fib_which connections_which(const char *wanted);

/*
 * The route is about to move though its way works. Once for a move: when the kernel refuses it, it is tried again every
 * second perhaps. A minute later it is another one.
 */
void connections_leave(struct connections *connections, const struct connections_host *host, uint64_t now_ns);
/* It moved, or stands for the first time. */
void connections_moved(struct connections *connections, const struct connections_host *host, bool first,
                       uint64_t now_ns);

void connections_step(struct connections *connections, const struct connections_host *host, uint64_t now_ns);
uint64_t connections_deadline_ns(const struct connections *connections);
