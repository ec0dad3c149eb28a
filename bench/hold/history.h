/* SPDX-License-Identifier: Apache-2.0 */
/* The histories of `bench hold`: what happens to the access of this host. */
#pragma once

#include "probe/base.h"

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
