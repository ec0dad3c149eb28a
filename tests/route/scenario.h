/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small language for histories of the selector: a cluster of four nodes, and rows that say what happens at
 * which time and what must be decided then. What a row does not mention stays as it was; a decision to switch
 * is carried out.
 *
 * The cluster: the host's own node, two nodes in its zone that are equals (the host prefers NEAR to TWIN by
 * rendezvous), one in another zone, and a next hop that nobody configured. At the start all of it is up and
 * stable since an hour ago; the secondary networks are there only when the scenario says so.
 * select-timeout 100 ms, window 1 s, hold 180 s, session timeout 1 s.
 */
#pragma once

#include "route/decide/selector.h"

enum path {
    NO_ROUTE,
    LOCAL,
    LOCAL_2ND,
    LOCAL_MGMT,
    NEAR,
    NEAR_2ND,
    NEAR_MGMT,
    TWIN,
    TWIN_MGMT,
    FAR,
    FAR_2ND,
    FAR_MGMT,
    FOREIGN,
    PATHS
};

enum node { LOCAL_NODE, NEAR_NODE, TWIN_NODE, FAR_NODE, NODES };

/* What a path does from now on. */
enum doing {
    AS_BEFORE,
    UP,       /* answers; since now, if it did not before */
    STALE,    /* up, but has answered nothing that was sent within the last window */
    RACED,    /* up, but its newest proof was sent between the last reply and the first miss of what went down
                 now */
    LOSING,   /* up, but one of its last requests went unanswered */
    MISSING,  /* up, but the newest request went unanswered */
    DOWN,     /* the verdict: nothing for a window */
    DEGRADED, /* up, but loses too much */
    UNJUDGED, /* no verdict yet */
    LINK_DOWN, /* its interface lost the carrier */
    UNPLUGGED, /* the same, and nothing is said of its health yet: it answered a moment ago */
    OFF_LINK,  /* cannot be entered directly any more, but still answers */
    ABSENT,    /* is not configured */
};

/* What the cluster says of a node's session from now on. ALIVE is stable a hold later, UNSTABLE never. */
enum said { SAID_BEFORE, UNHEARD, UNLISTED, ALIVE, UNSTABLE, STABLE, DEAD };

enum choice { UNCHANGED, YES, NO };
enum service { SERVICE_AS_BEFORE, GOOD, BAD, UNTRIED };
enum size_test { SIZE_AS_BEFORE, PASSED, LOST, UNTESTED };
enum want { KEEP, SWITCH, PLANNED };

struct row {
    const char *name; /* NULL ends the scenario */
    uint64_t t_ms;

    enum doing is[PATHS], node[NODES]; /* node: all its paths */
    enum said session[NODES];
    int restarts[NODES]; /* in the last five minutes; -1: none */
    enum choice drained[NODES], pinned[PATHS];
    enum service service[PATHS];
    enum size_test full_size[PATHS];
    int lost_per_mille[PATHS]; /* over hold; -1: none */
    enum choice list;          /* has a session list arrived? */
    enum choice contradicted;  /* do the host's own data go over the path in use all the same? */
    enum choice stalled;       /* do their data wait for a window? */
    enum choice held_up;       /* do they retransmit in vain while nearly enough pings are lost? */
    bool failback_now, pin_now, pin_hard, waived;
    bool route_gone; /* somebody removed it */

    enum want want; /* PLANNED: a switch that nobody waits for */
    enum path to;
    enum selector_reason why;
    /* checked where given */
    uint64_t again_ms;
    enum path tests; /* a full-size probe of this path is asked for; NO_ROUTE: of none */
    unsigned hold_s; /* of the candidate */
    enum path candidate;
    enum choice doubt;
};

struct scenario {
    const char *name;
    enum path start;
    bool unjudged; /* this process has just started */
    bool secondaries;
    unsigned stay_s; /* 0: ten seconds */
    struct row rows[24];
};

void scenarios_play(const struct scenario *scenarios, size_t count);

/* The cluster of a scenario that has not begun, for tests that look at one function. */
const struct selector_input *scenario_input(void);
uint32_t scenario_index(enum path path);
void scenario_pin(enum path path);
