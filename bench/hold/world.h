/* SPDX-License-Identifier: Apache-2.0 */
/* The world in which a history happens. */
#pragma once

#include "bench/hold/history.h"
#include "route/journal/tally.h"

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
