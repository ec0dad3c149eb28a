/* SPDX-License-Identifier: Apache-2.0 */
/* What the samples of a target come to. */
#include "probe/rounds.h"
#include "probe/rounds_state.h"

/* Files one sample under what it is, now. Returns its round trip, 0 for none. */
static uint64_t count_sample(struct probe_rounds *rounds, const struct rounds_record *record,
                             uint32_t attempt, uint32_t sample, uint64_t now_ns,
                             struct probe_rounds_result *result)
{
    switch (sample) {
    case SAMPLE_OPEN:
    case SAMPLE_DOUBTFUL:
        if (!record->is_done && rounds_deadline_ns(rounds, record, attempt) > now_ns) {
            result->waiting++;
            return 0;
        }
        result->doubtful += sample == SAMPLE_DOUBTFUL;
        result->lost++;
        return 0;
    case SAMPLE_UNSENT:
        result->unsent++;
        return 0;
    case SAMPLE_FAILED:
    case SAMPLE_LATE:
        result->lost++;
        return 0;
    default:
        result->answered++;
        /* 0 stands for no answer. */
        return max_u64(1, (sample - SAMPLE_FIRST) * rounds->sample_ns);
    }
}

bool probe_rounds_result(struct probe_rounds *rounds, uint32_t index, struct probe_rounds_result *result)
{
    const struct rounds_record *record = &rounds->records[index];
    const uint32_t *samples = rounds_samples(rounds, index);
    uint64_t *times_ns = rounds->scratch + rounds->count;
    uint64_t now_ns = engine_now_ns(&rounds->front.engine);

    *result = (struct probe_rounds_result){
        .done = record->is_done,
        .late = record->late,
        .duplicates = record->duplicates,
        .reply_bytes = record->reply_bytes,
    };
    if (!record->is_done)
        rounds_mark_doubtful(rounds, index);
    for (uint32_t i = 0; i < record->requests; i++)
        times_ns[i] = count_sample(rounds, record, i, samples[i], now_ns, result);
    result->sent = record->requests - result->unsent;
    result->error_outcome = reasons_get(&rounds->front.reasons, record->reason, &result->error);
    result->has_error = record->has_error;
    result->outcome = result->answered > 0 ? PROBE_REPLY : result->error_outcome;
    result->times = probe_rounds_times_of(times_ns, record->requests, rounds->scratch);
    return record->requests > 0;
}
