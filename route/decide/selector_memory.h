/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the selector remembers from one decision to the next. Pure.
 */
#pragma once

#include "route/decide/selector_level.h"

/* The longest damped hold of an agent. */
#define SELECTOR_DAMPING_MAX_NS (3600 * NS_PER_S)

/* A local access that was healthy for so long has no failures any more: its damping is over. */
#define SELECTOR_HEALTHY_AGAIN_NS (3600 * NS_PER_S)

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
    uint64_t asked_since_ns; /* since when all paths are probed as often as the one in use; 0: they are not */
};

/* The hold of a path with damping (rule 7). */
uint64_t selector_hold_ns(const struct selector *selector, const struct selector_input *input, uint32_t path);

/* Notes what the evidence of now means for later decisions. */
void selector_remember(struct selector *selector, const struct selector_input *input);
