/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent would have made of a path that was watched: its requests seen through a probe stream of any
 * select-timeout, and judged by path health (route/decide/health.h).
 */
#pragma once

#include "route/decide/health.h"
#include "route/tune/request.h"

/* Requests to one path, in the order in which they left, an interval apart as far as there is no gap. */
struct detect_requests {
    const struct trace_request *rows;
    size_t count;
    uint64_t interval_us;
    bool up; /* the path was up when the first one left */
};

/*
 * Calls observe() for every observation of a stream that probes this path as the agent does the one in use,
 * every half a select_timeout_us, beginning phase_us after its first request; `request` is the request's place in the row. restart() is called where
 * the row has a gap of a second or more. Nothing is known of what was there, so the observer begins anew.
 * Times are those of the row plus a second.
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

void detect_replay(const struct detect_requests *requests, uint64_t select_timeout_us, uint64_t phase_us,
                   const struct detect_observer *observer);

/* Path health over a whole row, for one setting and phase: what it came to. */
struct detect_verdicts {
    uint64_t up_ns;     /* the path was up for so long */
    uint64_t degradeds; /* changes from clean to degraded */
};
/* Who is told while it is judged, with the last request that was missed. A function may be NULL. */
struct detect_notes {
    void (*down)(void *context, size_t request); /* from up to down */
    /* A run of misses of a path that was up has reached this length. */
    void (*level)(void *context, uint32_t level, size_t request);
    void *context;
};
struct detect_verdicts detect_judge(const struct detect_requests *requests,
                                    const struct health_settings *settings, uint64_t phase_us,
                                    const struct detect_notes *notes);
