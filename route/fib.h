/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FIB: the kernel's routes, as much of them as one host route needs.
 *
 * A backend is a handful of functions (struct fib_backend in fib_backend.h); "netlink" is the one of Linux.
 * Everything here is synchronous and fast (a netlink round trip), except events, which are pulled when the
 * descriptor is readable.
 */
#pragma once

#include "probe/base.h"

struct fib;

struct fib_settings {
    const char *backend; /* "netlink" */
    uint32_t table;      /* 254: main */
    uint32_t metric;     /* of our route; 0 on IPv4 means none, on IPv6 the kernel makes it 1024 */
    uint8_t protocol;    /* of our route; marks it as ours */
    bool dry_run;        /* replace, remove and reset_connections do nothing and succeed */
};

/* One route to the service (a /32 or /128), or one that covers it. */
struct fib_route {
    struct address destination;
    uint8_t prefix_length;
    struct address gateway; /* empty: on-link (or no unicast route) */
    uint32_t ifindex;       /* 0: none (blackhole, unreachable, multipath) */
    struct address source;  /* preferred source; empty: none */
    uint32_t table;
    uint32_t metric;
    uint8_t protocol; /* rtnetlink(7) RTPROT_*, or ours */
    uint8_t type;     /* RTN_UNICAST, RTN_LOCAL, RTN_BLACKHOLE, ... */
    uint8_t tos;
    bool onlink;    /* RTNH_F_ONLINK */
    bool link_down; /* RTNH_F_LINKDOWN or RTNH_F_DEAD */
    bool multipath; /* more than one next hop: gateway and ifindex are those of the first one */
};

/* Writes "192.168.33.2/32 via 10.0.0.1 dev eth1 proto 213 metric 0" and returns buffer. */
const char *fib_route_text(const struct fib_route *route, char *buffer, size_t size_bytes);

int fib_open(struct fib **out, const struct fib_settings *settings, char *message, size_t size_bytes);
struct fib *fib_close(struct fib *fib);
DEFINE_CLEANUP(struct fib *, fib_close)

/* After an error: the kernel's own message (NETLINK_EXT_ACK) if it sent one, else the errno's text. */
const char *fib_error(const struct fib *fib);

/*
 * The standing host routes to `service` in our table, best metric first: ours and foreign ones. *count in:
 * room in routes; out: how many there are (may be more than the room). 0 or a negative errno.
 */
int fib_get(struct fib *fib, const struct address *service, struct fib_route *routes, size_t *count);

/*
 * Which way a packet to `destination` goes now (RTM_GETROUTE), through `ifindex` only when that is not 0.
 * -ENETUNREACH and the like: no way.
 */
int fib_lookup(struct fib *fib, const struct address *destination, uint32_t ifindex, struct fib_route *way);

/*
 * Makes `service` go through gateway at ifindex without a moment in which there is no route: one RTM_NEWROUTE
 * with create + replace, our table, metric and protocol. `standing` (or NULL) is the adopted route to take
 * over: it may have another protocol or metric; when its metric differs from ours it is removed after ours is
 * in place. Then the FIB is asked which way a packet goes; -ESTALE with a message when that is not the new
 * way (a foreign route shadows ours: *shadow, when not NULL, says which). Duplicates of our own (our
 * protocol, same prefix, another metric or gateway) are removed. Never touches other foreign routes.
 */
int fib_replace(struct fib *fib, const struct address *service, const struct address *gateway,
                uint32_t ifindex, const struct fib_route *standing, struct fib_route *shadow);

/* Removes our route to the service (all of our protocol in our table), and `adopted` too when not NULL.
 * -ESRCH: none. */
int fib_remove(struct fib *fib, const struct address *service, const struct fib_route *adopted);

/*
 * How this host would enter `address` directly: the interface whose connected network holds it. 0 with
 * *ifindex and *source (the host's own address there), -ENETUNREACH: not on-link anywhere, -EADDRINUSE: it is
 * an address of this host. Works by this host's addresses and scope-link routes, so that it still knows the
 * way while the link has no carrier.
 */
int fib_egress(struct fib *fib, const struct address *address, uint32_t *ifindex, struct address *source);

/* True when the interface exists, is administratively up and has a carrier. name may be NULL. */
bool fib_link_usable(struct fib *fib, uint32_t ifindex, char name[IF_NAMESIZE], uint32_t *mtu_bytes);

/* True when this is an address of this host. */
bool fib_address_is_local(struct fib *fib, const struct address *address);

/* The value of the interface's rp_filter as the kernel applies it (the larger of all and its own): 0, 1
 * strict, 2. */
int fib_rp_filter(struct fib *fib, uint32_t ifindex);

enum fib_event_kind {
    FIB_EVENT_LINK,      /* an interface came, went, or its state changed */
    FIB_EVENT_ADDRESS,   /* an address of this host came or went */
    FIB_EVENT_ROUTE,     /* a route to the watched service came, went or changed, or one that may shadow it */
    FIB_EVENT_NEIGHBOUR, /* `address` at ifindex: reachable (usable true) or failed (false) */
    FIB_EVENT_RESYNC,    /* notifications were lost (ENOBUFS): everything may have changed */
};
struct fib_event {
    enum fib_event_kind kind;
    uint32_t ifindex;
    struct address address;
    bool usable; /* LINK: up with carrier; ADDRESS: added; NEIGHBOUR: not failed; ROUTE: added */
};

/* Only routes that cover this address make FIB_EVENT_ROUTE. */
void fib_watch(struct fib *fib, const struct address *service);
int fib_fd(const struct fib *fib); /* readable: pull events */
/* Pulls one event; false: none is waiting. Updates what fib_egress() and its kin know. */
bool fib_next_event(struct fib *fib, struct fib_event *event);

/*
 * Destroys this namespace's TCP sockets whose peer is `service` (SOCK_DESTROY over sock_diag, RFC none;
 * linux/sock_diag.h), whatever state they are in, so that clients reconnect over the new way at once. *count:
 * how many. -EOPNOTSUPP: the kernel cannot (no CONFIG_INET_DIAG_DESTROY); -EPERM.
 */
int fib_reset_connections(struct fib *fib, const struct address *service, unsigned *count);
