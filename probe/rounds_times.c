/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/rounds_times.h"

#include "probe/statistics.h"

struct probe_rounds_times probe_rounds_times_of(const uint64_t *samples_ns, uint32_t count, uint64_t *scratch)
{
    struct probe_rounds_times times = {0};
    uint64_t sum_ns = 0, differences_ns = 0;
    size_t answered = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (samples_ns[i] == 0)
            continue;
        scratch[answered++] = samples_ns[i];
        sum_ns += samples_ns[i];
        if (i == 0 || samples_ns[i - 1] == 0)
            continue;
        differences_ns +=
            max_u64(samples_ns[i], samples_ns[i - 1]) - min_u64(samples_ns[i], samples_ns[i - 1]);
        times.pairs++;
    }
    if (answered == 0)
        return times;
    statistics_sort(scratch, answered);
    times.min_ns = scratch[0];
    times.mean_ns = sum_ns / answered;
    times.p50_ns = statistics_percentile(scratch, answered, 50);
    times.p95_ns = statistics_percentile(scratch, answered, 95);
    times.p99_ns = statistics_percentile(scratch, answered, 99);
    times.max_ns = scratch[answered - 1];
    if (times.pairs)
        times.jitter_ns = differences_ns / times.pairs;
    return times;
}
