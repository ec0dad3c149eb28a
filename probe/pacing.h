/* SPDX-License-Identifier: Apache-2.0 */
/*
 * So many packets a second, and no bursts.
 *
 * A token bucket that is kept as a time: when the next packet is due. Who comes later than that may catch up
 * on PACING_SLACK_NS, because nobody wakes up on the microsecond; a longer stall is lost, not made up for. So
 * in any stretch of time T at most rate x (T + PACING_SLACK_NS) + 1 packets go.
 */
#pragma once

#include "probe/base.h"

#define PACING_SLACK_NS NS_PER_MS

struct pacing {
    uint64_t interval_ns; /* between two packets; 0: no bound */
    uint64_t next_ns;     /* when the next packet is due; it may go from then on */
};

static inline struct pacing pacing_of(uint32_t packets_per_s)
{
    return (struct pacing){.interval_ns = packets_per_s ? (NS_PER_S + packets_per_s - 1) / packets_per_s : 0};
}

/* How many packets may go now, at most `limit`. */
static inline unsigned pacing_allows(const struct pacing *pacing, uint64_t now_ns, unsigned limit)
{
    uint64_t behind_ns;

    if (pacing->interval_ns == 0)
        return limit;
    if (now_ns < pacing->next_ns)
        return 0;
    behind_ns = min_u64(now_ns - pacing->next_ns, PACING_SLACK_NS);
    return (unsigned)min_u64(behind_ns / pacing->interval_ns + 1, limit);
}

/* They went. */
static inline void pacing_take(struct pacing *pacing, uint64_t now_ns, unsigned packets)
{
    if (pacing->interval_ns)
        pacing->next_ns =
            max_u64(pacing->next_ns, sub_sat_u64(now_ns, PACING_SLACK_NS)) + packets * pacing->interval_ns;
}
