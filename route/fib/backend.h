/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a FIB backend is: the few things that differ between systems. What a switch means (which route may be
 * swapped, what is removed afterwards, whether the new way is really taken) is decided once, in fib.c.
 */
#pragma once

#include <stdatomic.h>

#include "route/fib/diag.h"
#include "route/fib/host.h"

#define FIB_MESSAGE_SIZE 512
#define FIB_STRAYS_MAX   4

struct fib;
struct fib_event;
struct fib_settings;

struct fib_backend {
    const char *name;
    bool slow;  /* see fib_is_slow() */
    bool exact; /* several routes may have the same key, and put() replaces the very one that it is told */

    /* Sets fib->state. On failure nothing is left open. */
    int (*open)(struct fib *fib, const struct fib_settings *settings);
    void (*close)(struct fib *fib);

    /* As fib_get(), in the order in which the system would try routes of the same metric. protocol: only
     * these routes; 0: all. */
    int (*routes)(struct fib *fib, const struct address *service, uint8_t protocol, struct fib_route *routes,
                  size_t *count);

    /* The route that a packet matches, and the way that it takes (NULL: not asked for), as fib_lookup().
     * matched is `cached` where the system cannot tell. */
    int (*lookup)(struct fib *fib, const struct address *destination, uint32_t ifindex,
                  struct fib_route *matched, struct fib_route *taken);

    /*
     * Makes `route` stand. Swaps a route with the same (table, prefix, metric) for it, its own or another's, or adds it;
     * atomically where the system can, else it restores what stood when adding fails. That is the first of them or,
     * where the backend is exact, the one that goes the way of `instead`. -EEXIST: the very same route stands already,
     * but not as the first one. instead NULL: only adds, and -EEXIST when there is any route to swap.
     */
    int (*put)(struct fib *fib, const struct fib_route *route, const struct fib_route *instead);

    /* Forgets what was learnt about destinations beside the routes, for all of them. */
    int (*forget)(struct fib *fib, uint8_t family);

    /* Removes this route. On IPv4 a metric of 0 stands for any, and so does no preferred source: of several that match
     * the first one goes. -ESRCH: there is none. */
    int (*drop)(struct fib *fib, const struct fib_route *route);

    /* Fills an empty host with links and addresses. What was added before a failure is cleared by the caller.
     */
    int (*load)(struct fib *fib, struct fib_host *host);

    /*
     * A descriptor that is readable while something has changed since it was last read by next_event(), and
     * as fib_next_event(); or -1, see fib_is_slow(). Sets fib->host_is_known to false when the host may have changed, and fib->is_tidy
     * when somebody else touched routes of ours.
     */
    int (*fd)(const struct fib *fib);
    bool (*next_event)(struct fib *fib, struct fib_event *event);

    /* As fib_reset_connections(). */
    int (*reset_connections)(struct fib *fib, const struct fib_connections *connections, unsigned *count);
};

extern const struct fib_backend fib_backend_netlink, fib_backend_esxcfg, fib_backend_ip;

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
    struct fib_route leftover; /* an adopted route that could not be removed; without destination: none */
    bool is_tidy;              /* no route of ours stands beside the one at our key */
    char message[FIB_MESSAGE_SIZE]; /* of the last error */
    struct address owned;           /* see fib_own() */
    /* Other routes that are ours all the same: they could not be removed, or it is not known whether they were put.
     * Until a table that does not show them was read. */
    struct fib_stray {
        struct address destination, gateway;
    } strays[FIB_STRAYS_MAX];
    size_t stray_count;
    atomic_bool hurry, ending; /* see fib_hurry(), fib_end() */
    atomic_uint_least64_t silent_since_ns;
};

/* Reads links and addresses if they are not known. 0 or a negative errno. */
int fib_know_host(struct fib *fib);

/* A backend's reset_connections() where sock_diag is all that there is. */
int fib_reset_by_diag(struct fib *fib, const struct fib_connections *connections, unsigned *count);

/* Writes the message of an error and returns the error. */
__attribute__((format(printf, 3, 4))) int fib_fail(struct fib *fib, int error, const char *format, ...);
