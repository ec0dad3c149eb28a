/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often a path that does not answer is asked. Pure.
 *
 * One that has been silent for long is asked again after a tenth of its silence at most, by steps of two, so
 * that its return is noticed soon against what it lasted; and however long it was, after PATIENCE_MAX_NS.
 * Each path waits up to a quarter less than that, by its own jitter, so that a thousand are not asked at
 * once.
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
