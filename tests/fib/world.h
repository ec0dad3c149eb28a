/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small world of the FIB tests: this host with two links, and behind both of them a node that owns the
 * service.
 *
 *     host   data        10.1.0.1/24  fd01::1/64  ----  data        10.1.0.2 .3 .4  fd01::2 ::3 ::4   node
 *            management  10.2.0.1/24  fd02::1/64  ----  management  10.2.0.2        fd02::2
 *                                                       lo          192.168.33.2    fd99::1  (the service)
 *
 * The calling thread is the host, in a fresh namespace for every world.
 */
#pragma once

#include "route/fib/fib.h"
#include "tests/lib/netns.h"
#include <criterion/criterion.h>

#define OUR_PROTOCOL 213

struct world {
    struct fib *fib;
    int node; /* namespace */
    uint32_t data;
    uint32_t management;
    uint32_t there; /* the node's end of data, in its namespace */
};

/* The defaults of a configuration. */
struct fib_settings world_settings(void);

/* Skips the test without the privilege to make namespaces. */
void world_open(struct world *world, const struct fib_settings *settings);
void world_close(struct world *world);

/* Ends the test when the text is no address. */
struct address address_of(const char *text);
struct address service_of(uint8_t family);

/* All standing host routes to the service as text, joined by "; "; empty: none. */
const char *routes_text(struct fib *fib, const struct address *service, char *buffer, size_t size_bytes);

/* Like fib_route_text(), empty for an empty route. */
const char *route_text(const struct fib_route *route, char *buffer, size_t size_bytes);

/* A text with each S written out as the service's prefix ("192.168.33.2/32"). */
const char *expand_service(const char *text, const struct address *service, char *buffer, size_t size_bytes);

/* One raw request, exactly as asked for: RTM_NEWROUTE or RTM_DELROUTE with these flags. 0 or -errno. */
int raw_change(uint16_t type, uint16_t flags, const struct fib_route *route);

/* The node tells this host by ICMP to send what is for the service to `gateway` instead (RFC 792; RFC 4861,
 * section 4.5). It says so in the name of `router`, the next hop that the route has now. Waits until the
 * kernel obeys. */
void world_redirect(struct world *world, const struct address *service, const struct address *router,
                    const struct address *gateway);

/* Pulls events until one of that kind comes; false when none did within five seconds. */
bool wait_for_event(struct fib *fib, enum fib_event_kind kind, struct fib_event *event);

/* Throws away what is waiting; returns how many events of that kind there were. */
unsigned drain_events(struct fib *fib, enum fib_event_kind kind);
