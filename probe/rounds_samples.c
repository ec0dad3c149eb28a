/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of each request of the rounds: replies, errors, doubt.
 *
 * There is no table of requests under way. The time at which a request left travels in it, so the reply alone
 * gives the round trip. It is put into the target's sample of that number. A request without a reply is
 * judged when somebody asks (probe_rounds_result()). The requests of a target are at least a period (less the
 * slack) apart, so the time of the last one says which ones are certain to be over.
 *
 * Doubt is marked on the samples, for those in flight: when the next request leaves, and in the end.
 */
#include "probe/rounds_state.h"

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

/* --- what comes in ------------------------------------------------------------------------------------- */

bool rounds_lookup(void *owner, uint32_t index, uint32_t attempt, struct engine_expected *expected)
{
    struct probe_rounds *rounds = owner;
    struct front_end *front = &rounds->front;

    if (index >= front->count || attempt >= rounds->records[index].requests)
        return false;
    *expected = (struct engine_expected){
        .address = front_end_address(front, index),
        .payload_bytes = front->engine.settings.payload_bytes,
        .may_fragment = !front->engine.settings.dont_fragment,
    };
    return true;
}

bool rounds_find(void *owner, const struct address *to, uint16_t sequence, uint32_t *index, uint32_t *attempt)
{
    struct probe_rounds *rounds = owner;

    for (uint64_t i = sequence; front_end_find(&rounds->front, to, &i); i += 65536) {
        if (rounds->records[i].requests == 0)
            continue;
        *index = (uint32_t)i;
        *attempt = rounds->records[i].requests - 1;
        return true;
    }
    return false;
}

void rounds_keep_error(struct probe_rounds *rounds, uint32_t index, enum probe_outcome outcome,
                       const struct probe_error *error, bool sealed)
{
    struct rounds_record *record = &rounds->records[index];

    record->is_sealed =
        front_end_keep_error(&rounds->front, &record->reason, record->is_sealed, outcome, error, sealed);
    record->has_error = true;
}

static bool is_open(uint32_t sample)
{
    return sample == SAMPLE_OPEN || sample == SAMPLE_DOUBTFUL;
}

bool rounds_nothing_in_flight(const struct probe_rounds *rounds, uint32_t index)
{
    const struct rounds_record *record = &rounds->records[index];
    const uint32_t *samples = rounds_samples(rounds, index);

    for (uint32_t i = rounds_first_in_flight(rounds, record); i < record->requests; i++)
        if (is_open(samples[i]))
            return false;
    return true;
}

static void take_reply(struct probe_rounds *rounds, const struct engine_event *event)
{
    struct rounds_record *record = &rounds->records[event->index];
    struct probe_counters *counters = &rounds->front.engine.counters;
    uint32_t *sample = &rounds_samples(rounds, event->index)[event->attempt];
    uint64_t rtt_ns = event->at_ns - event->left_ns;
    bool is_last = event->attempt + 1 == record->requests;
    bool is_late = is_last ? event->at_ns > record->left_ns + rounds->window_ns : rtt_ns > rounds->window_ns;

    if (*sample >= SAMPLE_LATE) {
        counters->duplicates++;
        record->duplicates++;
        return;
    }
    engine_answered(&rounds->front.engine, event->sent_ns, rtt_ns);
    if (event->error.reply_bytes)
        record->reply_bytes = (uint16_t)event->error.reply_bytes;
    /* Without a time stamp it may have come any time before: in favour of the target. */
    if (is_late && event->stamped) {
        counters->late++;
        record->late++;
        *sample = SAMPLE_LATE;
        return;
    }
    counters->replies++;
    *sample = (uint32_t)(SAMPLE_FIRST + min_u64(rtt_ns / rounds->sample_ns, UINT32_MAX - SAMPLE_FIRST));
}

static void take_error(struct probe_rounds *rounds, const struct engine_event *event)
{
    uint32_t *sample = &rounds_samples(rounds, event->index)[event->attempt];

    rounds_keep_error(rounds, event->index, event->outcome, &event->error, event->sealed);
    if (event->sealed && is_open(*sample))
        *sample = SAMPLE_FAILED;
}

void rounds_finish(struct probe_rounds *rounds, uint32_t index)
{
    rounds_mark_doubtful(rounds, index);
    rounds->records[index].is_done = true;
}

void rounds_event(void *owner, const struct engine_event *event)
{
    struct probe_rounds *rounds = owner;
    struct rounds_record *record = &rounds->records[event->index];

    if (event->reply)
        take_reply(rounds, event);
    else
        take_error(rounds, event);
    if (record->requests == rounds->count && !record->is_done &&
        rounds_nothing_in_flight(rounds, event->index))
        rounds_finish(rounds, event->index);
}

void rounds_refused(void *owner, const struct engine_event *event)
{
    rounds_keep_error(owner, event->index, event->outcome, &event->error, event->sealed);
}
