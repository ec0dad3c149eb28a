/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/responder/figures.h"

/* 16 buckets to each doubling: up to 31 exact, then the upper five bits of the number. */
static size_t bucket_of(uint64_t ns)
{
    int shift = ns < 32 ? 0 : 59 - __builtin_clzll(ns);
    size_t bucket = (size_t)shift * 16 + (size_t)(ns >> shift);

    return bucket < RESPONDER_LATENESS_BUCKETS ? bucket : RESPONDER_LATENESS_BUCKETS - 1;
}

/* The largest number of a bucket. */
static uint64_t bucket_top_ns(size_t bucket)
{
    size_t shift = bucket < 32 ? 0 : bucket / 16 - 1;

    return ((bucket - shift * 16 + 1) << shift) - 1;
}

uint64_t responder_lateness_ns(const struct responder_figures *figures, double share)
{
    uint64_t count = 0, seen = 0;
    size_t last = 0;

    for (size_t i = 0; i < RESPONDER_LATENESS_BUCKETS; i++)
        count += figures->lateness[i];
    for (size_t i = 0; i < RESPONDER_LATENESS_BUCKETS && (double)seen < share * (double)count; i++) {
        seen += figures->lateness[i];
        last = i;
    }
    return count ? min_u64(bucket_top_ns(last), figures->lateness_most_ns) : 0;
}

void responder_lateness_note(struct responder_figures *figures, uint64_t late_ns)
{
    figures->lateness[bucket_of(late_ns)]++;
    figures->lateness_most_ns = max_u64(figures->lateness_most_ns, late_ns);
}
