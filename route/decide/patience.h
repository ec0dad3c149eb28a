/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often a path that does not answer is asked. Pure.
 *
 * The longer it has been silent, the less often it is asked: the usual interval is doubled as long as that is
 * no more than a tenth of the silence, and PATIENCE_MAX_NS at most. So its return is noticed soon, compared
 * with how long it was away. For example a path that is usually asked every second and has been silent for
 * 50 s is asked every 4 s.
 *
 * Each path waits up to a quarter less than that, by its own jitter: a thousand are not asked at once.
 */
#pragma once

#include "probe/base.h"

#define PATIENCE_MAX_NS (10 * NS_PER_S)

static inline uint64_t patience_interval_ns(uint64_t usual_ns, uint64_t silent_ns, uint64_t jitter)
{
    uint64_t wait_ns = usual_ns;

    while (wait_ns < PATIENCE_MAX_NS && 2 * wait_ns <= silent_ns / 10)
        wait_ns *= 2;
    wait_ns = min_u64(wait_ns, PATIENCE_MAX_NS);
    return max_u64(usual_ns, wait_ns - wait_ns / 1024 * (jitter % 256));
}
