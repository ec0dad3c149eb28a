/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a trace fit for judging by route/tune/detect.h. */
#pragma once

#include "bench/tune/trace.h"
#include "route/tune/detect.h"

/* What clean_path() took out of a path, and what is left in it. */
struct clean_summary {
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
int clean_path(struct trace_path *path, uint64_t interval_us, uint64_t failure_us,
               struct clean_summary *summary);

/* The requests of a path, for as long as the path does not change. */
static inline struct detect_requests trace_requests(const struct trace_path *path, uint64_t interval_us)
{
    return (struct detect_requests){.rows = path->requests, .count = path->count, .interval_us = interval_us};
}
