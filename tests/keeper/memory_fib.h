/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A FIB in memory, behind the same fib_replace(), fib_way() and fib_find() as the kernel's: routes as the kernel
 * keeps them (the first one of a key is swapped), calls that fail when they are told to, and an ICMP redirect.
 */
#pragma once

#include "route/fib/backend.h"

#define MEMORY_ROUTES_MAX 64
#define MEMORY_IFINDEX    4711 /* no interface of the host that tests */

struct failure {
    unsigned after; /* this many calls succeed, */
    unsigned times; /* then so many fail */
    int error;
    int last_error; /* of the last of them; 0: the same */
};

struct memory_fib {
    struct fib fib;
    struct fib_route routes[MEMORY_ROUTES_MAX]; /* in the order in which they are tried */
    size_t count;
    struct failure put, drop, list, lookup, load;
    unsigned puts; /* calls */
    unsigned lists;
    struct address detour; /* packets of the route through `detoured` go here instead; empty: they do not */
    struct address detoured;
    bool detour_is_shared; /* a renewal does not end it */
    int forget_error;
    /* A slow one: calls that wait until they are let go, or given up. */
    atomic_bool lookup_waits, put_waits;
    atomic_uint lookups_begun, puts_begun;
    atomic_int caller; /* the thread of the last such call, as gettid() has it */
};

/* A host with the interface MEMORY_IFINDEX, on which everything is on-link; ours has the protocol 213 and the metric 0. */
void memory_fib_init(struct memory_fib *memory);
void memory_fib_init_slow(struct memory_fib *memory); /* the same, but slow */

/* What somebody else does: adds a route behind its like, removes one. */
void memory_fib_add(struct memory_fib *memory, const struct fib_route *route);
void memory_fib_remove(struct memory_fib *memory, size_t at);

struct fib_route memory_route(const char *gateway, uint8_t protocol, uint32_t metric);
struct address memory_address(const char *text);
