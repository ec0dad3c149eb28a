/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's TCP connections to the service when its route moves.
 */
#pragma once

#include "route/agent/reserve.h"
#include "route/fib/fib.h"

struct connections {
    uint64_t look_ns, looks_end_ns; /* next look; 0: none */
    bool all;                       /* it is for all of them, else for those that stand still */
    int error;                      /* of the last look, which the log has; 0: none */
};

/* The route to `service` moved, or stands for the first time. reset: as configured. */
void connections_moved(struct connections *connections, struct fib *fib, struct reserve *reserve,
                       const struct address *service, bool first, bool reset, uint64_t now_ns);

/* source: the address that the route gives to new connections; NULL: there is no route, and no look. */
void connections_step(struct connections *connections, struct fib *fib, struct reserve *reserve,
                      const struct address *service, const struct address *source, uint64_t now_ns);
uint64_t connections_deadline_ns(const struct connections *connections);
