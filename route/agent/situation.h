/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every part of the agent may read and none may write. Made anew by each step.
 */
#pragma once

#include "route/agent/options.h"
#include "route/agent/table.h"

struct situation {
    uint64_t now_ns; /* read once per step */
    uint64_t started_ns;
    const struct agent_options *options;
    bool acts; /* false: nothing is touched, the cluster is told nothing */
    const struct config *config;
    const struct agent_table *table;
    uint32_t current; /* the path in use; SELECTOR_NO_PATH: no route */
    uint64_t since_realtime_ns;
    const char *reason; /* why the route is as it is, a word */
};

/* How a part asks for a step of the loop: from a callback, which only notes what it learnt. */
struct waker {
    void (*wake)(void *context);
    void *context;
};

static inline void waker_wake(const struct waker *waker)
{
    waker->wake(waker->context);
}

static inline bool situation_has_provider(const struct situation *now)
{
    return strcmp(now->config->session.provider, "none") != 0;
}

/* Can the cluster be told anything? */
static inline bool situation_has_rest(const struct situation *now)
{
    return strcmp(now->config->session.provider, "rest") == 0;
}
