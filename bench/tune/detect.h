/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent would have made of a path that was watched: a trace seen through a probe stream of any
 * select-timeout, and judged by path health (route/decide/health.h).
 */
#pragma once

#include "bench/tune/trace.h"
#include "route/decide/health.h"

/* What detect_clean() took out of a path, and what is left in it. */
struct detect_summary {
    uint64_t requests;
    uint64_t fates[TRACE_FATES]; /* spoilt ones are out */
    uint64_t failures;           /* stretches without any reply that were taken for true failures: out too */
    uint64_t failed_us;
    uint64_t watched_us; /* what is left, as time */
    uint64_t p50_us, p99_us, most_us;
};

/*
 * Makes a path fit for judging: takes out what this host spoilt, and stretches of failure_us or more without
 * any reply, in which it was right to leave. -ENOMEM.
 */
int detect_clean(struct trace_path *path, uint64_t interval_us, uint64_t failure_us,
                 struct detect_summary *summary);

/*
 * Calls observe() for every observation of a stream that probes this path as the agent does the one in use,
 * every half a select_timeout_us, beginning phase_us after its first request; `request` is the request's place in the path. restart() is called where
 * the trace has a gap of a second or more. Nothing is known of what was there, so the observer begins anew.
 * Times are those of the trace plus a second.
 */
struct detect_observer {
    void (*observe)(void *context, const struct probe_observation *observation, size_t request);
    void (*restart)(void *context);
    void *context;
};
#define DETECT_GAP_US   UINT64_C(1000000)
#define DETECT_BEGIN_NS NS_PER_S

static inline uint64_t detect_pace_us(uint64_t select_timeout_us)
{
    return max_u64(health_pace(select_timeout_us), 1);
}

/*
 * At that pace a path is down with so many unanswered requests: those of a window, but the two in its last
 * select-timeout.
 */
static inline uint32_t detect_misses(uint32_t select_count)
{
    return select_count > 1 ? 2 * select_count - 2 : 1;
}

void detect_replay(const struct trace_path *path, uint64_t interval_us, uint64_t select_timeout_us,
                   uint64_t phase_us, const struct detect_observer *observer);

/* Path health over a whole trace, for one setting and phase: what it came to. */
struct detect_verdicts {
    uint64_t up_ns;            /* the path was up for so long */
    uint64_t downs, degradeds; /* changes from up to down, from clean to degraded */
};
/* down() (may be NULL) is called for each change to down, with the last request that was missed. */
struct detect_verdicts detect_judge(const struct trace_path *path, uint64_t interval_us,
                                    const struct health_settings *settings, uint64_t phase_us,
                                    void (*down)(void *context, size_t request), void *context);
