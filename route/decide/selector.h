/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The selector: which path the service route should point at, and why. Pure: no clock, no I/O, no allocation;
 * the same history gives the same decisions. The rules stand, numbered, in selector.c;
 * tests/route/test_selector.c has their rows.
 */
#pragma once

#include "route/decide/health.h"
#include "session/liveness.h"

enum selector_tier { TIER_DATA, TIER_SECONDARY, TIER_MANAGEMENT, TIER_FOREIGN };
const char *selector_tier_text(enum selector_tier tier); /* "data", "secondary", "management", "foreign" */

/* The longest damped hold of an agent. */
#define SELECTOR_DAMPING_MAX_NS (3600 * NS_PER_S)

enum selector_locality { LOCALITY_LOCAL, LOCALITY_SAME_ZONE, LOCALITY_OTHER_ZONE };

/* Does a packet of full size get through, unfragmented? */
enum selector_full_size { FULL_SIZE_UNTESTED, FULL_SIZE_PASSED, FULL_SIZE_LOST };

/* How far a path may be used. Lower is better. */
enum selector_level {
    LEVEL_CLEAN,    /* eligible */
    LEVEL_DEGRADED, /* eligible if no clean path is */
    LEVEL_SESSION,  /* works, but its session is dead or restarts over and over: better than nothing */
    LEVEL_UNWANTED, /* works, but is drained or fails its service check: better than nothing */
    LEVEL_UNJUDGED, /* no verdict yet */
    LEVEL_NEVER,    /* down, or cannot be entered directly from here */
};

enum selector_reason {
    /* keep */
    KEEP_BEST,
    KEEP_NO_VERDICT,
    KEEP_COLD_START,
    KEEP_WAIT_PROOF,
    KEEP_HOLD,
    KEEP_WAIT_STABLE,
    KEEP_WAIT_LOSS,
    KEEP_WAIT_SERVICE_CHECK,
    KEEP_WAIT_FULL_SIZE,
    KEEP_FOREIGN,
    KEEP_PIN_HARD,
    KEEP_DEGRADED,
    KEEP_CONTRADICTED,
    KEEP_NOTHING_ELIGIBLE,
    /* switch */
    SWITCH_COLD_START,
    SWITCH_PATH_DOWN,
    SWITCH_LINK_DOWN,
    SWITCH_NOT_ON_LINK,
    SWITCH_SESSION_DEAD,
    SWITCH_RESTARTING,
    SWITCH_SERVICE_CHECK,
    SWITCH_DEGRADED,
    SWITCH_DRAINED,
    SWITCH_FAILBACK,
    SWITCH_FAILBACK_NOW,
    SWITCH_PIN,
    SELECTOR_REASONS,
};
/* "path-down", "hold", ... for logs and JSON; static. */
const char *selector_reason_text(enum selector_reason reason);
/* A sentence for people; static. */
const char *selector_reason_sentence(enum selector_reason reason);

#define SELECTOR_NO_ACCESS UINT32_MAX
#define SELECTOR_NO_PATH   UINT32_MAX

/* Evidence: all that the rules read of an access, a path, the host. Values, which the caller writes anew. */
struct access_evidence {
    enum selector_locality locality;
    enum session_state session;
    bool unlisted;     /* no list has named it so far, and the last one was the first of them to miss it */
    unsigned restarts; /* in the last five minutes */
    bool drained;
    uint64_t stable_at_ns; /* when its session will be stable; NEVER_NS: not known */
    uint64_t weight;       /* selector_weight(): orders equals */
};

struct path_evidence {
    uint32_t access; /* index; SELECTOR_NO_ACCESS: an adopted next hop that is no configured path */
    enum selector_tier tier;
    bool pinned; /* a person chose it: rank one */
    struct health_evidence health;
    bool on_link;      /* enterable directly, and not an address of this host */
    bool link_usable;  /* its interface is up with a carrier */
    bool service_bad;  /* its service check failed */
    bool service_good; /* its service check succeeded last, or there is none */
    enum selector_full_size full_size;
};

struct host_evidence {
    uint64_t window_ns;
    uint64_t select_timeout_ns;
    uint64_t hold_ns;
    uint64_t stay_ns;          /* a path that was left is not taken again for so long (rule 10) */
    uint64_t damping_max_ns;   /* a damped hold grows up to this (rule 7); hold_ns or less: no damping */
    bool sessions_waived;      /* provider "none": stability is not asked for */
    bool list_arrived;         /* at least one session list, or there will be none */
    uint64_t cold_deadline_ns; /* start + the longer of the window and the session timeout */
    bool failback_now;         /* a person ended the countdown: hold, stability and loss are not asked for */
    bool pin_hard;             /* the pinned paths are never left */
    bool pin_now;              /* the pin is new: go there without hold */
    /* What the host's own connections to the service say of the current path, see witness.h. */
    uint64_t
        contradicted_ns; /* they made progress since the pings were lost that began then; 0: they do not say so */
    bool stalled;        /* their data wait for a window, while pings are answered */
};

struct selector_input {
    uint64_t now_ns;
    const struct path_evidence *paths;
    uint32_t path_count;
    const struct access_evidence *accesses;
    uint32_t access_count;
    uint32_t current; /* SELECTOR_NO_PATH: there is no route */
    struct host_evidence host;
};

/* What the selector remembers of an access, of a path. */
struct access_memory {
    bool was_healthy;
    unsigned failures; /* of a local access, since it was last healthy for an hour */
    uint64_t healthy_since_ns;
};
struct path_memory {
    uint64_t used_ns;    /* when it was last seen in use; 0: never */
    uint64_t blocked_ns; /* until when something beside its health spoke against it; NEVER_NS: still does */
};

/*
 * All that it remembers; zero at first. The arrays are the caller's and have the indices of the evidence. When
 * those change the caller moves each memory, as a whole, to its new index.
 */
struct selector {
    struct path_memory *paths;
    struct access_memory *accesses;
    /* Of the current path: when its first missed request was sent, or a cause to leave it came; 0: none. */
    uint64_t doubt_since_ns;
    uint32_t doubted;        /* the index of that path */
    uint64_t asked_since_ns; /* since when all paths are probed every select-timeout; 0: they are not */
};

struct selector_decision {
    bool switch_now;
    uint32_t to;  /* path, when switch_now */
    bool planned; /* nobody is waiting: probe, refresh, then move (failback, drain, pin) */
    enum selector_reason reason;
    bool doubt;                 /* probe all paths every select-timeout */
    uint32_t candidate;         /* better path that is waited for; SELECTOR_NO_PATH: none */
    uint64_t candidate_at_ns;   /* when its hold is over; NEVER_NS: not known */
    uint64_t candidate_hold_ns; /* its hold, damping included */
    uint32_t want_full_size;    /* untested path to test with a full-size probe now; SELECTOR_NO_PATH: none */
    uint64_t again_ns;          /* decide again at this time at the latest, without new evidence; NEVER_NS */
};

void selector_decide(struct selector *selector, const struct selector_input *input,
                     struct selector_decision *decision);

/*
 * The level of a path by the evidence in input. *reason (may be NULL): why it would be left, KEEP_BEST for a
 * clean one, KEEP_NO_VERDICT for an unjudged one.
 */
enum selector_level selector_path_level(const struct selector_input *input, uint32_t path,
                                        enum selector_reason *reason);
/* "eligible", "degraded", "session", "unwanted", "no verdict", "never": static. */
const char *selector_level_text(enum selector_level level);

/* Rank, 0 is best: locality within the storage network, then locality within the management network. */
unsigned selector_rank(const struct selector_input *input, uint32_t path);

/*
 * Rules 4 and 6: does a path lose so much over the hold that it is not returned to, nor fled to from a degraded one? More
 * than 1 %, and more than the current path.
 */
static inline bool selector_loses(uint32_t loss_ppm, uint32_t current_loss_ppm)
{
    return loss_ppm > 10000 && loss_ppm > current_loss_ppm;
}

/* The hold of a path with damping (rule 7). */
uint64_t selector_hold_ns(const struct selector *selector, const struct selector_input *input, uint32_t path);

/*
 * Rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998): the
 * access with the highest weight for a host is its choice among equals. host: a number that other hosts have
 * not, see host_identity.h.
 */
uint64_t selector_weight(uint64_t host, const struct address *access);
