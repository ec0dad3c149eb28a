/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the selector is told, as values, and how good each path is by that alone, without regard to what happened
 * before. Pure.
 */
#pragma once

#include "route/decide/health.h"
#include "session/liveness.h"

enum selector_tier { TIER_DATA, TIER_SECONDARY, TIER_MANAGEMENT, TIER_FOREIGN };
const char *selector_tier_text(enum selector_tier tier); /* "data", "secondary", "management", "foreign" */

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
    KEEP_STAY,
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
/* The reason to keep or to switch that has this word; SELECTOR_REASONS: none has. */
enum selector_reason selector_keep_reason(const char *word);
enum selector_reason selector_switch_reason(const char *word);

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
    bool held_up;        /* they are held up by a loss that pings nearly prove */
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

/* The evidence of its access; NULL: it has none. */
static inline const struct access_evidence *selector_access(const struct selector_input *input, uint32_t path)
{
    uint32_t access = input->paths[path].access;

    return access == SELECTOR_NO_ACCESS ? NULL : &input->accesses[access];
}

/*
 * The level of a path by the evidence in input. *reason (may be NULL): why it would be left, KEEP_BEST for a
 * clean one, KEEP_NO_VERDICT for an unjudged one.
 */
enum selector_level selector_path_level(const struct selector_input *input, uint32_t path,
                                        enum selector_reason *reason);

static inline enum selector_level selector_level_of(const struct selector_input *input, uint32_t path)
{
    return selector_path_level(input, path, NULL);
}

/* "eligible", "degraded", "session", "unwanted", "no verdict", "never": static. */
const char *selector_level_text(enum selector_level level);

/* Rank, 0 is best: locality within the storage network, then locality within the management network. */
unsigned selector_rank(const struct selector_input *input, uint32_t path);

/*
 * Rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998): the
 * access with the highest weight for a host is its choice among equals. host: a number that other hosts have
 * not, see host_identity.h.
 */
uint64_t selector_weight(uint64_t host, const struct address *access);

/* Is this the path in use, and are the host's own connections held up there? */
bool selector_is_held_up(const struct selector_input *input, uint32_t path);

/*
 * Until when the current path is kept though it does not answer, since nothing but lost pings speaks against it and the
 * host's data go over it all the same; 0: it is not kept for that.
 */
uint64_t selector_contradicted_until_ns(const struct selector_input *input);
