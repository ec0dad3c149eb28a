/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a row of switches was worth: counted while a history is played, real or virtual. Pure.
 */
#pragma once

#include "route/decide/selector.h"

#define TALLY_WITHIN_NS (600 * NS_PER_S)

/* For people; says what the functions below count. */
#define TALLY_DEFINITIONS                                                                                 \
    "needless: a failback whose path failed within 10 min, together with the failover away from it;\n"    \
    "  and a failover from a path that was well (it served, with little loss) then and for 10 min more\n" \
    "away: the path in use is not on the storage network of an access of the best locality there is\n"    \
    "unserved: the path in use does not serve\n"

struct tally_move {
    uint64_t at_ns;
    uint32_t from, to; /* SELECTOR_NO_PATH: none */
    enum selector_reason reason;
    bool needless;
};

struct tally {
    uint64_t watched_ns, away_ns, unserved_ns;
    struct tally_move *moves;
    size_t move_count, needless;
    /* its own */
    uint64_t at_ns;
    bool watched, away, serves;
    size_t *doubtful; /* per path: 1 + the failover that left it though it was well; 0: none */
    uint32_t path_count;
};

/* All zero before. -ENOMEM. */
int tally_begin(struct tally *tally, uint64_t now_ns, uint32_t path_count);
void tally_clear(struct tally *tally);
static inline void tally_clear_cleanup(struct tally *tally)
{
    tally_clear(tally);
}

/* From now on. watched: an agent runs, what happens counts. */
void tally_state(struct tally *tally, uint64_t now_ns, bool watched, bool away, bool serves);
/* A switch; well: the path that is left serves, with little loss. -ENOMEM. */
int tally_move(struct tally *tally, uint64_t now_ns, uint32_t from, uint32_t to, enum selector_reason reason,
               bool well);
/* A path is not well any more. */
void tally_failed(struct tally *tally, uint64_t now_ns, uint32_t path);
void tally_end(struct tally *tally, uint64_t now_ns);

/* Is the route away from home, when it leads through this path? */
bool tally_is_away(const struct selector_input *input, uint32_t path);
