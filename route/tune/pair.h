/* SPDX-License-Identifier: Apache-2.0 */
/* A select-timeout and a select-count: how soon they notice a failure. */
#pragma once

#include "probe/base.h"

/* After the verdict the route has to be moved: within so long. */
#define PAIR_SWITCH_MS 20.0

/* Larger counts are not considered. */
#define PAIR_COUNT_MAX 20

/*
 * From the failure to traffic on the new path, at most; and as it is in the middle. The window begins with the last
 * request that was answered, up to half a select-timeout before the failure. With a count of one it is the wait of
 * the first request that fails.
 */
static inline double pair_bound_ms(uint64_t select_timeout_us, uint32_t select_count)
{
    return (double)(2 * select_timeout_us * select_count + select_timeout_us) / 2e3 + PAIR_SWITCH_MS;
}
static inline double pair_median_ms(uint64_t select_timeout_us, uint32_t select_count)
{
    double off_us = (double)select_timeout_us / 4;

    return ((double)(select_timeout_us * select_count) + (select_count > 1 ? -off_us : off_us)) / 1e3;
}

/*
 * At the pace of the path in use (health_pace()) a path is down with so many unanswered requests: those of a window,
 * but the two in its last select-timeout.
 */
static inline uint32_t pair_misses(uint32_t select_count)
{
    return select_count > 1 ? 2 * select_count - 2 : 1;
}
