/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's TCP connections to the service when its route moves.
 */
#pragma once

#include "route/agent/reserve.h"
#include "route/fib/fib.h"

struct connections {
    uint64_t look_ns, looks_end_ns; /* next look for those that stand still; 0: none */
    bool unsupported;               /* the kernel cannot destroy them, and the log says so */
};

/* The route to `service` moved, or stands for the first time. reset: as configured. */
void connections_moved(struct connections *connections, struct fib *fib, struct reserve *reserve,
                       const struct address *service, bool first, bool reset, uint64_t now_ns);

/* source: the address that the route gives to new connections. */
void connections_step(struct connections *connections, struct fib *fib, const struct address *service,
                      const struct address *source, uint64_t now_ns);
uint64_t connections_deadline_ns(const struct connections *connections);
