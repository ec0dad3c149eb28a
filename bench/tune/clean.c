/* SPDX-License-Identifier: Apache-2.0 */
/* What is left out of a trace before it is judged, see clean.h. */
#include "bench/tune/clean.h"

#include "probe/statistics.h"

/* Where the run of requests without a reply that begins at `from` ends. */
static size_t silence_end(const struct trace_path *path, size_t from)
{
    size_t i = from;

    while (i < path->count && path->requests[i].fate != TRACE_REPLY &&
           (i == from || path->requests[i].sent_us - path->requests[i - 1].sent_us < DETECT_GAP_US))
        i++;
    return i;
}

static int summarise(const struct trace_path *path, uint64_t interval_us, struct clean_summary *summary)
{
    CLEANUP(free) char *memory = malloc((path->count + 1) * sizeof(uint64_t));
    uint64_t *rtts = (uint64_t *)(void *)memory;
    size_t replies = 0;

    if (!rtts)
        return -ENOMEM;
    for (size_t i = 0; i < path->count; i++) {
        const struct trace_request *request = &path->requests[i];
        uint64_t gap_us = i ? request->sent_us - path->requests[i - 1].sent_us : interval_us;

        summary->watched_us += gap_us < DETECT_GAP_US ? gap_us : interval_us;
        summary->fates[request->fate]++;
        if (request->fate == TRACE_REPLY)
            rtts[replies++] = request->rtt_us;
    }
    if (replies == 0)
        return 0;
    statistics_sort(rtts, replies);
    summary->p50_us = statistics_percentile(rtts, replies, 50);
    summary->p99_us = statistics_percentile(rtts, replies, 99);
    summary->most_us = rtts[replies - 1];
    return 0;
}

int clean_path(struct trace_path *path, uint64_t interval_us, uint64_t failure_us,
               struct clean_summary *summary)
{
    size_t kept = 0;

    *summary = (struct clean_summary){.requests = path->count};
    for (size_t i = 0; i < path->count; i++) {
        if (path->requests[i].fate == TRACE_SPOILT)
            summary->fates[TRACE_SPOILT]++;
        else
            path->requests[kept++] = path->requests[i];
    }
    path->count = kept;
    kept = 0;
    for (size_t i = 0; i < path->count;) {
        size_t end = silence_end(path, i);
        uint64_t silent_us =
            end > i ? path->requests[end - 1].sent_us - path->requests[i].sent_us + interval_us : 0;

        if (silent_us >= failure_us) {
            summary->failures++;
            summary->failed_us += silent_us;
            i = end;
            continue;
        }
        for (end = max_u64(end, i + 1); i < end; i++)
            path->requests[kept++] = path->requests[i];
    }
    path->count = kept;
    return summarise(path, interval_us, summary);
}
