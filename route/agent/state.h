/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state directory: what a restart should still know, and the last list.
 *
 * What cannot be read is as if it were not there, after a line in the log: the state is a convenience, never
 * a condition for starting. Errors are for own_error_text().
 */
#pragma once

#include "route/agent/terms.h"
#include "route/config/config.h"

struct state_path {
    struct address address;
    uint64_t up_since_ns; /* CLOCK_BOOTTIME */
};

/* An access that was dead, by its data or secondary address, and when the last list came that said so. */
struct state_death {
    struct address address;
    uint64_t missed_ns; /* CLOCK_BOOTTIME; 0: before this boot */
    uint64_t before_ns; /* how long before */
};

/* Owned by its caller: state_clear(). */
struct state {
    struct state_death *deaths; /* not older than STATE_DEATH_AGE_NS, whichever boot they are of */
    size_t death_count;
    struct state_path *paths; /* valid only when they were saved in this boot, and not long ago */
    size_t path_count;
    char pin[CONFIG_NAME_SIZE]; /* access name or address; empty: none */
    bool pin_hard;
    struct terms pin_terms;
    struct address service,
        next_hop;             /* the route that was put, where no table says whose it is; empty: none */
    struct address unsettled; /* it is not known whether a route through this one was put; empty: it is */
    struct drain *drained;
    size_t drained_count;
};

void state_clear(struct state *state);

/* For how long the cluster may have thought otherwise since. */
#define STATE_DEATH_AGE_NS (600 * NS_PER_S)

/* Reads the state; paths are left out when they are older than max_age_ns or of another boot. */
void state_load(struct state *state, const char *directory, uint64_t max_age_ns);
char *state_text(const struct state *state); /* what goes into state.json, malloc'ed; NULL without memory */

/* Notes the route that was put, for who does it while no agent runs. What else was known stays, but since when paths are
 * up. 0 or a negative errno. */
int state_own_route(const char *directory, const struct address *service, const struct address *next_hop);

/* What was seen of the paths, for tuning_take_text() (malloc'ed; NULL: nothing). */
char *state_load_tune(const char *directory, size_t *size_bytes);
/* The last list's text (malloc'ed; NULL: none). */
char *state_load_list(const char *directory, size_t *size_bytes);
