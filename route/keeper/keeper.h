/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper of one service's route: it adopts a route that stands, moves it when it is told to, and between
 * moves sees to it that ours stands and that packets take it. See keeper.c.
 *
 * It is asked and told by calls, and answers by events, which are pulled. Its calls take as long as the FIB's: who may
 * not wait for a slow one has a guard, see guard.h.
 */
#pragma once

#include "route/fib/fib.h"

#define KEEPER_TEXT_SIZE 512

struct keeper;

struct keeper_settings {
    struct fib *fib; /* used, not owned; its settings say which routes are ours */
    struct address service;
    bool follow_only; /* nothing is touched, the route is followed as others move it */
};

/* A next hop, and how it is entered now. */
struct keeper_hop {
    struct address address;
    uint32_t ifindex;
    bool on_link; /* the kernel would take a route through it, as far as is known */
    bool link_usable;
};

/* A move that the keeper is asked for. */
struct keeper_wish {
    struct keeper_hop to;
    uint32_t tag; /* the caller's own: the answer bears it */
};

enum keeper_packets {
    PACKETS_UNKNOWN,
    PACKETS_OURS,       /* they take our route */
    PACKETS_REDIRECTED, /* our route stands, but an ICMP redirect sends them elsewhere */
    PACKETS_SHADOWED,   /* a foreign route or rule hides ours */
    PACKETS_NOWHERE,    /* there is no way: a rule or a route says so, or ours cannot stand */
};
const char *keeper_packets_text(enum keeper_packets packets); /* static */

enum keeper_event_kind {
    KEEPER_STANDS,          /* answers keeper_want(): the route leads to `hop` */
    KEEPER_REFUSED,         /* answers keeper_want(): it does not, what stood before still stands; `error` */
    KEEPER_ADOPTED,         /* `route`, which leads to `hop`, was found and is kept as it is */
    KEEPER_GONE,            /* follow_only: the route that was followed does not stand any more */
    KEEPER_REPAIRED,        /* ours was put back; `text`: what stood in its place, or "none" */
    KEEPER_REPAIR_FAILED,   /* it could not be put back; told once until it can; `text`, `error` */
    KEEPER_TAKEN_BACK,      /* somebody replaced ours by `text`; ours replaces that */
    KEEPER_REDIRECT_UNDONE, /* packets went as `text` says; `again`: so they did within the last minute */
    KEEPER_PACKETS,         /* what packets do has changed: `before`, `packets`; `text`: what instead */
    KEEPER_UNREADABLE,      /* the system did not say; `error` */
    KEEPER_HANGS,           /* of a guard: the route command has not answered for some seconds; `took_ns` */
    KEEPER_ANSWERS,         /* of a guard: it answers again, and did not for `took_ns` */
};

struct keeper_event {
    enum keeper_event_kind kind;
    struct address hop;     /* it is about the route through this one; empty: there is none */
    uint32_t tag;           /* STANDS, REFUSED: of the wish that is answered */
    struct fib_route route; /* ADOPTED */
    bool ours;              /* ADOPTED: it has our protocol and metric */
    enum keeper_packets packets, before;
    bool again;
    int error;                  /* REFUSED, REPAIR_FAILED, UNREADABLE: a negative errno */
    char why[KEEPER_TEXT_SIZE]; /* and the kernel's words for it */
    uint64_t took_ns;           /* STANDS, REFUSED: how long it took */
    char text[KEEPER_TEXT_SIZE];
};

/* What the keeper knows and has done, for people. */
struct keeper_report {
    enum keeper_packets packets;
    char instead[KEEPER_TEXT_SIZE]; /* what packets do when they do not take our route */
    bool unrepaired;                /* ours is gone and could not be put back; that has been told */
    bool stands;        /* a route that is kept stood at the last look, and no move has failed since */
    uint64_t repairs;   /* times ours was put back */
    uint64_t redirects; /* times it was renewed because of a redirect */
};

/* 0 or -ENOMEM. */
int keeper_new(struct keeper **out, const struct keeper_settings *settings);
struct keeper *keeper_free(struct keeper *keeper);
DEFINE_CLEANUP(struct keeper *, keeper_free)

/* Moves the route. Answered by KEEPER_STANDS or KEEPER_REFUSED, one for each call. */
void keeper_want(struct keeper *keeper, const struct keeper_wish *wish, uint64_t now_ns);

/*
 * Looks what packets do, when that is due or `doubt` says so, and puts right what is wrong. in_use: the next
 * hop in use, as it is entered now; NULL: there is none, and a route that stands is adopted.
 */
void keeper_step(struct keeper *keeper, const struct keeper_hop *in_use, bool doubt, uint64_t now_ns);

/* From now on follow_only, or not any more. */
void keeper_follow(struct keeper *keeper, bool follow_only);

/* Something happened on this host that may concern the route: the next step looks again, at everything. */
void keeper_doubt(struct keeper *keeper);

/* Is this the source address of an adopted route, which goes with it? */
bool keeper_needs_source(const struct keeper *keeper, const struct address *address);

/* The oldest event that was not pulled; false: there is none. */
bool keeper_next_event(struct keeper *keeper, struct keeper_event *event);

/* When keeper_step() has to be called at the latest. */
uint64_t keeper_deadline_ns(const struct keeper *keeper);

const struct keeper_report *keeper_report(const struct keeper *keeper);
