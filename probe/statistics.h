/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order statistics of times, for everybody who reports them.
 */
#pragma once

#include <stdlib.h>

#include "probe/base.h"

static inline int statistics_compare(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

/* Ascending, in place. */
static inline void statistics_sort(uint64_t *values, size_t count)
{
    qsort(values, count, sizeof(*values), statistics_compare);
}

/*
 * The smallest value that at least `percent` % of the values do not exceed (nearest rank). sorted ascends,
 * count is at least 1, percent 0 to 100; 0 is the least value.
 */
static inline uint64_t statistics_percentile(const uint64_t *sorted, size_t count, unsigned percent)
{
    size_t rank = (count * percent + 99) / 100;

    return sorted[rank > 0 ? rank - 1 : 0];
}
