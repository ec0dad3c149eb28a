/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Liveness: what a history of lists means for each access. Pure: time is an argument, nothing is asked.
 *
 * An access is known by its data address, or by its secondary one where it has no data address. Rules:
 *
 * - alive: it is in a fresh list. stable: alive without a restart for `hold`. dead: two fresh lists in a row
 * did not have it, be it that it had never been in one. unknown: no two fresh lists have said anything of it.
 * - A list is fresh when its alive_sec values have moved on since the last fresh one (or there was none, or
 * it does not carry them, or it knows none of the sessions known so far). After a step of the cluster's clock
 * lists that move on among themselves are fresh again, from the third on. An empty list and a stale one say
 * nothing; lists less than a second apart are stale.
 * - An access that is cut off from its cluster may still answer with an old list: the origin's own entry
 * proves no life while another access can be asked.
 * - Lists that contradict each other say nothing, see testimony.c.
 * - Silence is not death: without lists what was known stands. Silence neither breaks nor satisfies
 * stability.
 * - A restart is a new uuid, or a birth (now - alive_sec) that moved later by more than 15 s; a follower that
 * lags moves it by less. Of several sessions with one address the one with the smaller alive_sec is the new
 * one.
 */
#pragma once

#include "session/session.h"

enum session_state { SESSION_UNKNOWN, SESSION_ALIVE, SESSION_STABLE, SESSION_DEAD };
const char *session_state_text(enum session_state state); /* "unknown", "alive", "stable", "dead" */

/* What a list was good for; with a static text for the log. */
enum session_verdict { SESSION_LIST_FRESH, SESSION_LIST_STALE, SESSION_LIST_EMPTY };
const char *session_verdict_text(enum session_verdict verdict);

struct session_liveness_settings {
    uint64_t hold_ns;      /* how long alive makes stable */
    uint64_t fresh_for_ns; /* how long after a fresh list its "alive" goes on counting as time alive (about
                              two polls) */
};

/* What is known of one access. */
struct session_view {
    enum session_state state;
    char uuid[SESSION_UUID_SIZE]; /* of the session that counts now, or the last one; empty: none ever seen */
    char zone[SESSION_ZONE_SIZE];
    struct address data;
    struct address secondary;
    struct address host_data;
    uint64_t
        born_ns; /* start of the present life on the clock of now_ns; 0 when it began before that clock */
    uint64_t stable_at_ns; /* when it is stable if lists keep coming; NEVER_NS while dead, unknown, or held
                              up by silence */
    bool expected;         /* see session_liveness_expect() */
    uint64_t first_ns;     /* since when no list has missed it */
    bool listed;           /* a list has named it, since the start */
    unsigned missing;      /* fresh lists in a row without it: while it is not dead, "ask again soon" */
    uint64_t missed_ns;    /* when the last of them came */
    bool newly_missing;    /* the last fresh list was the first of them: if it answers, it is worth asking */
    unsigned restarts;     /* in the last five minutes, by their births; 8 at most are counted */
};

struct session_liveness;

int session_liveness_new(struct session_liveness **out, const struct session_liveness_settings *settings);
struct session_liveness *session_liveness_free(struct session_liveness *liveness);
DEFINE_CLEANUP(struct session_liveness *, session_liveness_free)

/* Reload: the new settings hold from now on; what is known stays. */
void session_liveness_configure(struct session_liveness *liveness,
                                const struct session_liveness_settings *settings);

/*
 * A list that arrived at now_ns. `origin` is the data address (or secondary, where there is none) of the
 * access that answered; empty for a provider that is not an access (a file). others_up: another access could
 * have been asked. *verdict says what it was good for. -ENOMEM leaves everything as it was.
 */
int session_liveness_observe(struct session_liveness *liveness, const struct session_list *list,
                             const struct address *origin, bool others_up, uint64_t now_ns,
                             enum session_verdict *verdict);

/*
 * From now on lists are expected to name the access with these addresses (either may be empty): if they do
 * not, it is dead, though it was never in one. Once is enough; it is not forgotten. -ENOMEM, -ENOSPC.
 */
int session_liveness_expect(struct session_liveness *liveness, const struct address *data,
                            const struct address *secondary);

/* Nobody expects this access any more: it is forgotten when room is needed. */
void session_liveness_expect_no_more(struct session_liveness *liveness, const struct address *data,
                                     const struct address *secondary);

/*
 * Of an expected access, before any list: it was dead before this process began; the last list that said so
 * came at missed_ns (0: before this clock). It is no restart when a list names it again.
 */
void session_liveness_restore_dead(struct session_liveness *liveness, const struct address *data,
                                   const struct address *secondary, uint64_t missed_ns);

/*
 * The view of the access with this data or secondary address (either may be empty). Never heard of: state
 * SESSION_UNKNOWN, all else empty.
 */
void session_liveness_view(const struct session_liveness *liveness, const struct address *data,
                           const struct address *secondary, uint64_t now_ns, struct session_view *view);

/* All accesses that were ever seen or expected, in that order: i from 0 until it returns false. */
bool session_liveness_at(const struct session_liveness *liveness, size_t i, uint64_t now_ns,
                         struct session_view *view);

/* When the last fresh list came; NEVER_NS: none yet. */
uint64_t session_liveness_fresh_ns(const struct session_liveness *liveness);
