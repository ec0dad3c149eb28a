/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: a silent path is asked less often the longer it is silent, never later than a tenth of
 * that silence and ten seconds, never more often than usual, and many are not asked at once.
 */
#include <criterion/criterion.h>

#include "route/decide/patience.h"

Test(patience, grows_with_the_silence)
{
    static const struct {
        uint64_t usual_ms, silent_ms, jitter, interval_ms;
    } rows[] = {
        {1000, 0, 0, 1000},          {1000, 19999, 0, 1000},      {1000, 20000, 0, 2000},
        {1000, 39999, 0, 2000},      {1000, 40000, 0, 4000},      {1000, 80000, 0, 8000},
        {1000, 160000, 0, 10000},    {1000, 1u << 31, 0, 10000},  {200, 4000, 0, 400},
        {10000, 1u << 31, 0, 10000}, {60000, 1u << 31, 0, 60000}, {1000, 10000, 255, 1000},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        cr_expect_eq(
            patience_interval_ns(rows[i].usual_ms * NS_PER_MS, rows[i].silent_ms * NS_PER_MS, rows[i].jitter),
            rows[i].interval_ms * NS_PER_MS, "row %zu", i);
}

Test(patience, its_jitter)
{
    uint64_t least_ns = NEVER_NS, most_ns = 0;

    for (uint64_t jitter = 0; jitter < 1000; jitter++) {
        uint64_t interval_ns = patience_interval_ns(NS_PER_S, 1000 * NS_PER_S, jitter);

        least_ns = min_u64(least_ns, interval_ns);
        most_ns = max_u64(most_ns, interval_ns);
    }
    cr_expect_eq(most_ns, PATIENCE_MAX_NS);
    cr_expect(least_ns >= PATIENCE_MAX_NS * 3 / 4 && least_ns < PATIENCE_MAX_NS * 4 / 5);
}
