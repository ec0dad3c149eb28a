/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute bench hold`: what its parts share. The essay is in hold.c.
 */
#pragma once

#include "probe/random.h"
#include "route/journal/history.h"
#include "route/journal/tally.h"

/* --- histories: what happens to the access of this host --- */

enum hold_what {
    HOLD_PING,         /* the node answers pings, or not (value) */
    HOLD_SERVICE,      /* its service runs, or not (value) */
    HOLD_LOSS,         /* its path loses this many of a million (value) */
    HOLD_SESSION_DEAD, /* the agent hears that its session is dead */
    HOLD_SESSION_BORN, /* the agent hears of a session that was born at `value` (ns) */
};

struct hold_change {
    uint64_t at_ns;
    enum hold_what what;
    uint64_t value;
};

/* One run of a history; in order of time. */
struct hold_history {
    struct hold_change *changes;
    size_t count;
    uint64_t from_ns, until_ns; /* of the trouble: what happens then is simulated probe by probe */
    uint64_t length_ns;
};

struct hold_kind {
    const char *name, *about;
    int (*make)(struct hold_history *history, uint64_t *random); /* -ENOMEM */
};
extern const struct hold_kind hold_kinds[];
extern const size_t hold_kind_count;

/* A run of a kind of history, the same one for the same seed. -ENOMEM. */
int hold_history_make(struct hold_history *history, const struct hold_kind *kind, uint64_t seed);
void hold_history_clear(struct hold_history *history);

/* --- the world they happen in --- */

struct hold_settings {
    uint64_t hold_ns, damping_max_ns;
};

/* What it took. */
struct hold_effort {
    uint64_t probes, decisions;
};

/* A history through the health and the selector of an agent. Fills *tally (all zero before) and adds to
 * *effort. -ENOMEM. */
int hold_world_run(const struct hold_history *history, const struct hold_settings *settings, uint64_t seed,
                   struct tally *tally, struct hold_effort *effort);

/* --- the study --- */

/* One history with one setting: sums over its runs. */
struct hold_cell {
    const char *history;
    struct hold_settings settings;
    uint64_t runs, switches, needless, away_ns, unserved_ns, watched_ns;
};

/* The mean of one of the sums. */
static inline double hold_per_run(const struct hold_cell *cell, uint64_t sum)
{
    return (double)sum / (double)cell->runs;
}

/* A row of settings for each history that was played; all rows have the same settings. */
struct hold_cells {
    struct hold_cell *cells;
    size_t histories, settings;
};

static inline const struct hold_cell *hold_cell_at(const struct hold_cells *cells, size_t history,
                                                   size_t setting)
{
    return &cells->cells[history * cells->settings + setting];
}

/*
 * In how many histories is one setting worse than another: more needless switches, or more than 1 % more time
 * without service? *first: the first of them.
 */
size_t hold_worse(const struct hold_cells *cells, size_t setting, size_t than, size_t *first);

/*
 * Can the hold be shorter than base_ns? *base: the setting with the longest hold up to that, with the most
 * damping there is; *shortest: the one with the shortest hold and that damping that is no worse, which may be
 * *base itself. Settings ascend by hold.
 */
void hold_shortest(const struct hold_cells *cells, uint64_t base_ns, size_t *base, size_t *shortest);

/* The answer in a sentence. */
void hold_answer(const struct hold_cells *cells, uint64_t base_ns, char *text, size_t size_bytes);

int hold_plot(const char *file, const struct hold_cells *cells, char *message, size_t size_bytes);
