/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a FIB backend is: the few things that differ between systems. What a switch means (which route may be
 * swapped, what is removed afterwards, whether the new way is really taken) is decided once, in fib.c.
 */
#pragma once

#include "route/fib_host.h"

#define FIB_MESSAGE_SIZE 512

struct fib_backend {
    const char *name;

    /* Sets fib->state. On failure nothing is left open. */
    int (*open)(struct fib *fib);
    void (*close)(struct fib *fib);

    /* As fib_get(), in the order in which the system would try routes of the same metric. */
    int (*routes)(struct fib *fib, const struct address *service, struct fib_route *routes, size_t *count);

    /* As fib_lookup(). */
    int (*lookup)(struct fib *fib, const struct address *destination, uint32_t ifindex,
                  struct fib_route *way);

    /*
     * Makes `route` stand. Swaps the first route with the same (table, prefix, metric) for it, whosever it
     * is, or adds it; atomically where the system can, else it restores what stood when adding fails.
     * -EEXIST: the very same route stands already, but not as the first one.
     */
    int (*put)(struct fib *fib, const struct fib_route *route);

    /* Removes this very route, no similar one. -ESRCH: it is not there. */
    int (*drop)(struct fib *fib, const struct fib_route *route);

    /* Fills an empty host. What was added before a failure is cleared by the caller. */
    int (*load)(struct fib *fib, struct fib_host *host);

    /*
     * A descriptor that is readable while something has changed since it was last read by next_event(), and
     * as fib_next_event(). Sets fib->host_is_known to false when the host may have changed.
     */
    int (*fd)(const struct fib *fib);
    bool (*next_event)(struct fib *fib, struct fib_event *event);

    /* As fib_reset_connections(). */
    int (*reset_connections)(struct fib *fib, const struct address *service, unsigned *count);
};

extern const struct fib_backend fib_backend_netlink;

struct fib {
    const struct fib_backend *backend;
    void *state; /* the backend's own */
    uint32_t table;
    uint32_t metric;
    uint8_t protocol;
    bool dry_run;
    struct address watched;
    struct fib_host host; /* a copy of what the system says, while host_is_known */
    bool host_is_known;
    char message[FIB_MESSAGE_SIZE]; /* of the last error */
};

/* Writes the message of an error and returns the error. */
__attribute__((format(printf, 3, 4))) int fib_fail(struct fib *fib, int error, const char *format, ...);
