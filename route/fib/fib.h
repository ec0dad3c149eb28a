/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The FIB: the kernel's routes, as much of them as one host route needs.
 *
 * A backend is a handful of functions (struct fib_backend in backend.h); "netlink" is the one of Linux, "esxcfg" and
 * "ip" run commands. Everything here is synchronous, and with netlink fast (a round trip), except events, which are
 * pulled when the descriptor is readable.
 */
#pragma once

#include "route/fib/diag.h"
#include "route/fib/route.h"

struct fib;
struct fib_mtus;

/* A command that was run. Its texts are valid during the call. */
struct fib_heard {
    const char *command; /* without the folder of its program */
    const char *output;  /* NULL: it was killed, or not started */
    int error;           /* 0: it ended by itself; a negative errno: see command_run() */
    int status;          /* as of waitpid(); with error 0 */
    uint64_t took_ns;
};
typedef void fib_hear(void *context, const struct fib_heard *heard);

struct fib_settings {
    const char
        *backend;    /* "netlink", "esxcfg", "ip"; "auto": esxcfg where uname() says VMkernel, else netlink */
    uint32_t table;  /* 254: main */
    uint32_t metric; /* of our route; 0 on IPv4 means none, on IPv6 the kernel makes it 1024 */
    uint8_t protocol; /* of our route; marks it as ours */
    bool dry_run;     /* replace, remove and reset_connections do nothing and succeed */
    /* Of a backend that runs commands. */
    const char *command;         /* the program, an absolute path; NULL or empty: where it is by custom */
    const char *netstack;        /* of esxcfg; NULL or empty: the default one */
    uint64_t command_timeout_ns; /* of each command */
    struct fib_mtus *mtus; /* shared by the FIBs of two threads, see mtus.h; NULL: MTUs are not asked for */
    fib_hear *hear;        /* is told of each command, by the thread that ran it; NULL: nobody is */
    void *hear_context;
};

/* Writes "192.168.33.2/32 via 10.0.0.1 dev eth1 proto 213 metric 0" and returns buffer. */
const char *fib_route_text(const struct fib_route *route, char *buffer, size_t size_bytes);

int fib_open(struct fib **out, const struct fib_settings *settings, char *message, size_t size_bytes);
struct fib *fib_close(struct fib *fib);
DEFINE_CLEANUP(struct fib *, fib_close)

/* The backend that was taken. */
const char *fib_backend_name(const struct fib *fib);

/*
 * Does it run commands? Then what concerns routes may take as long as their timeout, and is for a thread that has this
 * FIB for itself: get, lookup, way, replace, find, remove. -EREMOTEIO is a refusal, in the command's own words;
 * -ETIMEDOUT, -ECANCELED, -EBADMSG, -EIO and -EBUSY say that it is not known what stands now. It has no descriptor
 * (fib_fd() is -1) and no events: to pull one says that all may have changed. What concerns links and addresses is
 * quick.
 */
bool fib_is_slow(const struct fib *fib);
/* Since when a command has not answered (CLOCK_MONOTONIC), be it this one or those before it that were killed; 0: the
 * last one did. For any thread. */
uint64_t fib_silent_since_ns(const struct fib *fib);
#define FIB_HANGS_NS (2 * NS_PER_S) /* one that has not answered for so long hangs */
/* Something waits that is more urgent than to read the table again: while this is set, a command that only does that is
 * given up (-ECANCELED). For any thread. */
void fib_hurry(struct fib *fib, bool hurry);
/* From now on every command is given up, also one that changes the route. For any thread. */
void fib_end(struct fib *fib);

/* Whose a route is cannot be read from every table. The host route through this next hop is ours, as was noted when it
 * was put: by another process here, by fib_replace() from then on. Empty: none is. */
void fib_own(struct fib *fib, const struct address *next_hop);
const struct address *fib_owned(const struct fib *fib);

/* After an error: one line that says what failed and why, with the kernel's own message (NETLINK_EXT_ACK) if
 * it sent one. Valid until the next call. */
const char *fib_error(const struct fib *fib);

/*
 * The standing host routes to `service` in our table, best metric first, as the kernel would try them (those
 * for a TOS come last): ours and foreign ones. *count in: room in routes; out: how many there are (may be
 * more than the room; the best ones are kept). 0 or a negative errno.
 */
int fib_get(struct fib *fib, const struct address *service, struct fib_route *routes, size_t *count);

/*
 * Which way a packet to `destination` goes now (RTM_GETROUTE), through `ifindex` only when that is not 0.
 * Policy rules and what the kernel learnt by ICMP redirects are part of the answer. gateway, ifindex, source
 * and type are what the packet gets; destination, prefix_length, table, metric and protocol are those of the
 * route that the kernel matched. No way: -ENETUNREACH; -EHOSTUNREACH, -EINVAL or -EACCES for a route that
 * says unreachable, blackhole or prohibit.
 */
int fib_lookup(struct fib *fib, const struct address *destination, uint32_t ifindex, struct fib_route *way);

enum fib_way_kind {
    FIB_WAY_TAKEN,  /* as `matched` says */
    FIB_WAY_DETOUR, /* `matched` stands, but an ICMP redirect (RFC 792, RFC 4861 section 8) sends packets
                       elsewhere */
    FIB_WAY_NONE,   /* nowhere: no route, or a route or a rule that says blackhole, unreachable or prohibit */
};

/* What becomes of a packet. */
struct fib_way {
    enum fib_way_kind kind;
    struct fib_route matched; /* TAKEN, DETOUR: the route in the FIB. NONE: what says no, or empty */
    struct fib_route taken;   /* TAKEN, DETOUR: as fib_lookup() tells it */
    int error;                /* NONE: the kernel's, -ENETUNREACH, -EINVAL (a blackhole), ... */
};

/* What becomes of a packet to `destination` now. Two round trips, whatever the size of the tables. 0 (NONE is
 * an answer too), or a negative errno when the kernel did not say. */
int fib_way(struct fib *fib, const struct address *destination, struct fib_way *way);

/* "192.168.33.2/32 via ...", "redirected via 10.0.0.1 dev eth1", "no route", "blackhole", ... */
const char *fib_way_text(const struct fib_way *way, char *buffer, size_t size_bytes);

/*
 * Makes `service` go through gateway at ifindex, without a moment in which there is no route: one
 * RTM_NEWROUTE with create + replace, and with our table, metric and protocol. The same route that stands
 * already is left as it is. (An exception: an ICMP redirect sends its packets elsewhere. Then it is renewed,
 * so that the kernel forgets the detour. On IPv4, where another route shares the detour, that needs a
 * writable /proc/sys, and the whole namespace's path MTUs and redirects are forgotten.)
 *
 * `standing` (or NULL) is the adopted route to take over, as fib_get() gave it; it may have another protocol
 * or metric.
 *   - At our own key (table, prefix, metric): it is swapped for ours.
 *   - Elsewhere: it is removed after ours is in place. When ours has the larger metric, traffic moves at that
 *     moment, still without a gap.
 * Afterwards duplicates of our own (our protocol, same prefix, another metric or gateway) are removed, as far
 * as the kernel lets us. Other foreign routes are never touched.
 *
 * Returns
 *   0         packets take the new route, as the FIB says when asked
 *   -EEXIST   a foreign route that is not `standing` is the first one at our key. The kernel would swap that
 *             one, so nothing was done. *shadow (when not NULL) is that route. Who knows that it took the
 *             place of ours (somebody's `ip route replace`) calls again with it as `standing`
 *   -ESTALE   ours is in place, but packets take another one, or the kernel does not say. *shadow is the one
 *             that decides (a lower metric, another table by a rule); its family is 0 when none was named
 *   others    are the kernel's; what stood before still stands. -ENETUNREACH: the gateway is not on-link
 *             there, or the link is down. -EPERM
 */
int fib_replace(struct fib *fib, const struct address *service, const struct address *gateway,
                uint32_t ifindex, const struct fib_route *standing, struct fib_route *shadow);

/* Is it the route that fib_replace() puts: our table, metric and protocol? */
bool fib_is_ours(const struct fib *fib, const struct fib_route *route);

/* Does a route to the service of the same protocol and metric as `like` (NULL: as ours) stand in our table?
 * *route: the first such one. 0, -ENOENT or another negative errno. Costs a walk over all routes inside the
 * kernel. */
int fib_find(struct fib *fib, const struct address *service, const struct fib_route *like,
             struct fib_route *route);

/* Is there an adopted route that fib_replace() took over and could not remove, or another one of ours beside the one that
 * was put? The next one tries again. */
bool fib_has_leftover(const struct fib *fib);

/* Removes our route to the service (all of our protocol in our table), and `adopted` too when not NULL.
 * -ESRCH: none. */
int fib_remove(struct fib *fib, const struct address *service, const struct fib_route *adopted);

/*
 * How this host would enter `address` directly: the interface whose connected network holds it. 0 with
 * *ifindex and *source (the host's own address there), -ENETUNREACH: not on-link anywhere, -EADDRINUSE: it is
 * an address of this host. Works by this host's addresses and scope-link routes, so that it still knows the
 * way while the link has no carrier or is down (IPv6 addresses go with an administrative down). The longest
 * prefix wins, then a usable link, then the lower metric. A default route is no connected network. The
 * addresses are as they were when the last event was pulled; the routes are asked for now. Another negative
 * errno: it is not known.
 */
int fib_egress(struct fib *fib, const struct address *address, uint32_t *ifindex, struct address *source);

/* 0; -ENODEV: there is no such interface; or another negative errno: it is not known. *link is all zero then. */
int fib_link(struct fib *fib, uint32_t ifindex, struct fib_link *link);

/* True when this is an address of this host. */
bool fib_address_is_local(struct fib *fib, const struct address *address);

/* The value of the interface's rp_filter as the kernel applies it (the larger of all and its own): 0, 1
 * strict, 2. */
int fib_rp_filter(struct fib *fib, uint32_t ifindex);

/* Does the interface take ICMP redirects of that family (accept_redirects, as the kernel applies it)? 1, 0,
 * or a negative errno. */
int fib_accepts_redirects(struct fib *fib, uint32_t ifindex, uint8_t family);

enum fib_event_kind {
    FIB_EVENT_LINK,    /* an interface came, went, or its state changed */
    FIB_EVENT_ADDRESS, /* an address of this host came or went */
    FIB_EVENT_ROUTE,   /* a route to the watched service came, went or changed, or one that may shadow it */
    FIB_EVENT_NETWORK, /* a connected network (address/prefix_length) came or went; not one around the service
                        */
    FIB_EVENT_NEIGHBOUR, /* `address` at ifindex: reachable (usable true) or failed (false) */
    FIB_EVENT_RESYNC,    /* notifications were lost (ENOBUFS): everything may have changed */
};
struct fib_event {
    enum fib_event_kind kind;
    uint32_t ifindex;
    struct address address;
    struct address
        network; /* ADDRESS: the connected one (a peer's, or address); ROUTE, NETWORK: the destination */
    uint8_t prefix_length; /* of network */
    bool usable;           /* LINK: up with carrier; ADDRESS: added; NEIGHBOUR: not failed; else: added */
};

/* Only routes that cover this address make FIB_EVENT_ROUTE. */
void fib_watch(struct fib *fib, const struct address *service);
int fib_fd(const struct fib *fib); /* readable: pull events */
/*
 * Pulls one event; false: none is waiting, or much that concerns nobody was read (the descriptor stays
 * readable then). Our own changes come back as events too. What was read of this host's links and addresses
 * is read again after an event about them was pulled, and not before: pull all that is waiting, then ask.
 */
bool fib_next_event(struct fib *fib, struct fib_event *event);

/*
 * Destroys sockets (SOCK_DESTROY over sock_diag, linux/sock_diag.h), so that clients connect anew over the new way at
 * once: they get ECONNABORTED, and the peer a RST over the way of this moment. *count: how many, in a failure too.
 * -EOPNOTSUPP: the kernel cannot (no CONFIG_INET_DIAG_DESTROY); -EPERM.
 */
int fib_reset_connections(struct fib *fib, const struct fib_connections *connections, unsigned *count);
