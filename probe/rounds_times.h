/* SPDX-License-Identifier: Apache-2.0 */
/* What the round trips of one target say together. Pure. */
#pragma once

#include "probe/base.h"

/* Round trips of requests that were answered; all 0 when none was. */
struct probe_rounds_times {
    uint64_t min_ns, mean_ns, p50_ns, p95_ns, p99_ns, max_ns; /* percentiles by nearest rank */
    /*
     * The mean of how much the round trip differs from that of the request before, over all pairs of requests
     * in a row that were both answered (the delay variation of RFC 3393 section 4, of round trips, as an
     * absolute value); without a pair 0 and `pairs` is 0. Not smoothed as in RFC 3550 section 6.4.1, so that
     * its value does not depend on where one stops.
     */
    uint64_t jitter_ns;
    uint32_t pairs;
};

/*
 * Samples are round trips in ns, in the order of the requests, 0 where there was no
 * answer. Works in `scratch`, which has room for `count` values.
 */
struct probe_rounds_times probe_rounds_times_of(const uint64_t *samples_ns, uint32_t count,
                                                uint64_t *scratch);
