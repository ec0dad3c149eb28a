/* SPDX-License-Identifier: Apache-2.0 */
/* The life of rounds, and what their samples say. The rules are in rounds.c. */
#include "probe/rounds_private.h"

#include "probe/statistics.h"
#include "probe/transport.h"

struct probe_rounds *probe_rounds_free(struct probe_rounds *rounds)
{
    if (!rounds)
        return NULL;
    front_end_destroy(&rounds->front);
    free(rounds->records);
    free(rounds->samples);
    free(rounds->scratch);
    free(rounds);
    return NULL;
}

/* What follows from the number of targets. */
static void plan_periods(struct probe_rounds *rounds)
{
    uint64_t count = max_u64(rounds->front.targets.count, 1);
    uint64_t refusals;

    rounds->plan.period_ns = max_u64(rounds->plan.period_ns, count * rounds->front.pacing.interval_ns);
    rounds->gap_ns = rounds->plan.period_ns / count;
    rounds->in_flight =
        (uint32_t)min_u64(rounds->window_ns / (rounds->plan.period_ns - PACING_SLACK_NS) + 1, UINT32_MAX);
    refusals = FRONT_END_PATIENCE_NS / rounds->plan.period_ns + 1;
    rounds->patience = (uint16_t)min_u64(refusals, UINT16_MAX);
}

/* Room for the replies to all that can be under way. */
static int reserve(struct probe_rounds *rounds)
{
    uint64_t each = min_u64(rounds->in_flight, rounds->plan.count);

    return engine_reserve(&rounds->front.engine, rounds->front.engine.settings.payload_bytes,
                          (uint32_t)min_u64(each * rounds->front.targets.count, INT32_MAX));
}

static int take(struct probe_rounds *rounds, struct probe_targets *targets, bool shuffled)
{
    uint32_t count = targets->count;
    int r;

    rounds->records = calloc(max_u64(count, 1), sizeof(*rounds->records));
    rounds->samples = calloc((size_t)max_u64(count, 1) * rounds->plan.count, sizeof(*rounds->samples));
    rounds->scratch = calloc(rounds->plan.count, 2 * sizeof(*rounds->scratch));
    if (!rounds->records || !rounds->samples || !rounds->scratch)
        return -ENOMEM;
    r = front_end_take(&rounds->front, targets, shuffled);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < count; i++) {
        struct address address = probe_targets_at(&rounds->front.targets, i);

        rounds->open += address_is_set(&address);
    }
    plan_periods(rounds);
    return reserve(rounds);
}

int probe_rounds_new_over(struct probe_rounds **out, const struct probe_settings *settings,
                          const struct probe_rounds_plan *plan, struct probe_targets *targets, bool shuffled,
                          struct transport *transport)
{
    CLEANUP(probe_rounds_free) struct probe_rounds *rounds = calloc(1, sizeof(*rounds));
    int r;

    if (!rounds) {
        transport_close(transport);
        return -ENOMEM;
    }
    rounds->plan = *plan;
    rounds->window_ns = settings->select_timeout_ns * settings->select_count;
    rounds->sample_ns = rounds->window_ns / (UINT32_MAX - SAMPLE_FIRST) + 1;
    rounds->blocked_since_ns = NEVER_NS;
    rounds->ending = rounds->ready = (struct rounds_queue){NOBODY, NOBODY};
    r = front_end_init(&rounds->front, transport, settings, &rounds_owner, rounds);
    if (r == 0)
        r = take(rounds, targets, shuffled);
    if (r < 0)
        return r;
    *out = TAKE(rounds);
    return 0;
}

int probe_rounds_new(struct probe_rounds **out, const struct probe_settings *settings,
                     const struct probe_rounds_plan *plan, struct probe_targets *targets, bool shuffled,
                     char *message, size_t size_bytes)
{
    struct transport *transport = NULL;
    int r = transport_open(&transport, settings, targets->count, message, size_bytes);

    if (r < 0)
        return r;
    r = probe_rounds_new_over(out, settings, plan, targets, shuffled, transport);
    if (r < 0)
        snprintf(message, size_bytes, "%s", strerror(-r));
    return r;
}

void probe_rounds_set(struct probe_rounds *rounds, uint32_t index, const struct address *address)
{
    engine_open_family(&rounds->front.engine, address->family);
    probe_targets_set(&rounds->front.targets, index, address);
    rounds->open++;
}

const struct probe_targets *probe_rounds_targets(const struct probe_rounds *rounds)
{
    return &rounds->front.targets;
}

void probe_rounds_set_wakeup(struct probe_rounds *rounds, int wakeup_fd)
{
    rounds->front.wakeup_fd = wakeup_fd;
}

const struct probe_counters *probe_rounds_counters(struct probe_rounds *rounds)
{
    return engine_counters(&rounds->front.engine);
}

const char *probe_rounds_transport(const struct probe_rounds *rounds)
{
    return rounds->front.engine.operations->name;
}

const char *probe_rounds_failed_call(const struct probe_rounds *rounds)
{
    return engine_failed_call(&rounds->front.engine);
}

/* --- results ------------------------------------------------------------------------------------------- */

void rounds_mark_doubtful(struct probe_rounds *rounds, uint32_t index)
{
    const struct rounds_record *record = &rounds->records[index];
    uint32_t *samples = rounds_samples(rounds, index);

    if (record->drops_seen == rounds->front.growths)
        return;
    for (uint32_t i = rounds_first_in_flight(rounds, record); i < record->requests; i++)
        if (samples[i] == SAMPLE_OPEN &&
            front_end_has_dropped(&rounds->front, record->drops_seen, rounds_deadline_ns(rounds, record, i)))
            samples[i] = SAMPLE_DOUBTFUL;
}

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
    uint64_t *times_ns = rounds->scratch + rounds->plan.count;
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
