/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why targets are unreachable, each reason kept once.
 *
 * Of a million targets nearly all that fail do so for the same few reasons, so a target keeps a number. A
 * reason that nobody has any more is forgotten: errors that come again and again, made up ones included, take
 * no more memory than there are targets.
 *
 * A table has one owner. What a target keeps may be read by another thread, once the owner has handed that
 * target over: a reason stays where it is and as it is while somebody has it.
 */
#pragma once

#include "probe/probe.h"

/* No reply in time: nobody's error, and what every target begins with. Not counted. */
#define REASON_TIMEOUT 0

struct reason {
    enum probe_outcome outcome;
    struct probe_error error;
    uint32_t users; /* 0: free */
    uint32_t next;  /* with the same hash, or among the free ones */
};

/* The first piece has so many, each further one as many as all before it: they never move. */
#define REASON_PIECE_MIN 16
#define REASON_PIECES    29

/* All zero is an empty table. */
struct reasons {
    struct reason *pieces[REASON_PIECES];
    uint32_t piece_count;
    uint32_t *buckets; /* as many as `room` */
    uint32_t count, room;
    uint32_t free; /* first free one, 0: none */
};

/*
 * Finds or makes the reason and counts one more user. Without memory the number of another reason, that of
 * the timeout.
 */
uint32_t reasons_take(struct reasons *reasons, enum probe_outcome outcome, const struct probe_error *error);
void reasons_release(struct reasons *reasons, uint32_t number);
enum probe_outcome reasons_get(const struct reasons *reasons, uint32_t number, struct probe_error *error);
void reasons_clear(struct reasons *reasons);
