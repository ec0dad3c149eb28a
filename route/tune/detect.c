/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests seen as a probe stream sees a network, see detect.h.
 *
 * A stream asks the path in use every half a select-timeout; of a trace whose requests left ten times as often,
 * it would have sent every tenth. Which tenth is the phase: a trace holds ten histories of that stream, and all
 * of them are used. What the stream then reports of a request follows from its fate: a reply within its select-timeout is
 * a reply, one that came after it is a timeout and, when it comes, a late reply, unless so many requests were
 * made in between that the stream has forgotten it (PROBE_STREAM_HISTORY). A test runs the stream itself over
 * a simulated network and finds the same observations.
 *
 * The verdict is not modelled at all: the observations go through health_observe().
 */
#include "route/tune/detect.h"

/* --- replay ----------------------------------------------------------------------------------------------*/

/* What is still to come of a request. */
struct pending {
    uint64_t at_us;
    size_t request;
    uint64_t attempt;
    enum probe_outcome outcome;
};

struct replay {
    const struct detect_requests *requests;
    const struct detect_observer *observer;
    uint64_t select_timeout_us;
    uint64_t attempt; /* of the next request */
    struct pending pending[PROBE_STREAM_HISTORY];
    size_t pending_count;
};

static void observe(const struct replay *replay, const struct pending *what)
{
    uint64_t sent_us = replay->requests->rows[what->request].sent_us;
    struct probe_observation observation = {
        .outcome = what->outcome,
        .sent_ns = DETECT_BEGIN_NS + sent_us * NS_PER_US,
        .at_ns = DETECT_BEGIN_NS + what->at_us * NS_PER_US,
    };

    if (what->outcome == PROBE_REPLY || what->outcome == PROBE_LATE)
        observation.rtt_ns = (what->at_us - sent_us) * NS_PER_US;
    replay->observer->observe(replay->observer->context, &observation, what->request);
}

static void drop(struct replay *replay, size_t index)
{
    replay->pending_count--;
    memmove(&replay->pending[index], &replay->pending[index + 1],
            (replay->pending_count - index) * sizeof(replay->pending[0]));
}

/* A reply that did not come in time is due when it comes. */
static bool is_late(const struct replay *replay, const struct pending *what)
{
    return what->outcome == PROBE_TIMEOUT && replay->requests->rows[what->request].fate == TRACE_REPLY;
}

/* Delivers what came until then, the earliest first. */
static void deliver(struct replay *replay, uint64_t until_us)
{
    while (replay->pending_count) {
        size_t first = 0;
        struct pending what;

        for (size_t i = 1; i < replay->pending_count; i++)
            if (replay->pending[i].at_us < replay->pending[first].at_us)
                first = i;
        what = replay->pending[first];
        if (what.at_us > until_us)
            return;
        observe(replay, &what);
        if (is_late(replay, &what)) {
            const struct trace_request *request = &replay->requests->rows[what.request];

            replay->pending[first].outcome = PROBE_LATE;
            replay->pending[first].at_us = request->sent_us + request->rtt_us;
        } else {
            drop(replay, first);
        }
    }
}

/* The place of the oldest request is needed for a new one. */
static void forget(struct replay *replay)
{
    if (replay->pending_count && replay->pending[0].attempt + PROBE_STREAM_HISTORY <= replay->attempt)
        drop(replay, 0);
}

static void send_one(struct replay *replay, size_t index)
{
    const struct trace_request *request = &replay->requests->rows[index];
    bool in_time = request->rtt_us <= replay->select_timeout_us;
    struct pending next = {.at_us = request->sent_us + replay->select_timeout_us,
                           .request = index,
                           .attempt = replay->attempt,
                           .outcome = PROBE_TIMEOUT};

    if (request->fate == TRACE_REFUSED) {
        next.outcome = PROBE_SEND_FAILED;
        next.at_us = request->sent_us;
    } else if ((request->fate == TRACE_REPLY || request->fate == TRACE_ERROR) && in_time) {
        next.outcome = request->fate == TRACE_REPLY ? PROBE_REPLY : PROBE_UNREACHABLE;
        next.at_us = request->sent_us + request->rtt_us;
    }
    deliver(replay, request->sent_us);
    forget(replay);
    replay->pending[replay->pending_count++] = next;
    replay->attempt++;
}

/* No more request for a while: all are judged, and late replies come until the gap is one. */
static void settle(struct replay *replay, uint64_t newest_us)
{
    deliver(replay, newest_us + max_u64(DETECT_GAP_US, replay->select_timeout_us));
    replay->pending_count = 0;
}

/*
 * How many requests behind `from` are surely of other phases, and without a gap among them: as many as there
 * are intervals until the next one is due, when they took about that long.
 */
static size_t stride(const struct detect_requests *requests, size_t from, uint64_t due_us)
{
    const struct trace_request *rows = &requests->rows[from];
    uint64_t intervals = sub_sat_u64(due_us, rows[0].sent_us) / requests->interval_us;
    uint64_t others = sub_sat_u64(intervals, 2);

    if (from + others >= requests->count || rows[others].sent_us + requests->interval_us / 2 >= due_us ||
        rows[others].sent_us - rows[0].sent_us > others * requests->interval_us + DETECT_GAP_US / 2)
        return 0;
    return others;
}

void detect_replay(const struct detect_requests *requests, uint64_t select_timeout_us, uint64_t phase_us,
                   const struct detect_observer *observer)
{
    struct replay replay = {
        .requests = requests, .observer = observer, .select_timeout_us = select_timeout_us};
    uint64_t pace_us = detect_pace_us(select_timeout_us);
    uint64_t before_us = requests->count ? requests->rows[0].sent_us : 0, due_us = before_us + phase_us;

    for (size_t i = 0; i < requests->count; i++) {
        uint64_t sent_us = requests->rows[i].sent_us;

        if (sent_us - before_us >= DETECT_GAP_US) {
            settle(&replay, before_us);
            observer->restart(observer->context);
            due_us = sent_us + phase_us;
        }
        before_us = sent_us;
        if (sent_us + requests->interval_us / 2 < due_us)
            continue;
        send_one(&replay, i);
        due_us += pace_us;
        if (due_us <= sent_us) /* as a stream: what was missed is not made up for */
            due_us = sent_us + pace_us;
        i += stride(requests, i, due_us);
        before_us = requests->rows[i].sent_us;
    }
    deliver(&replay, before_us + select_timeout_us);
}

/* --- verdicts --------------------------------------------------------------------------------------------*/

struct judge {
    const struct health_settings *settings;
    const struct detect_notes *notes;
    struct health health;
    struct detect_verdicts verdicts;
    uint64_t at_ns;
};

static void judge_observation(void *context, const struct probe_observation *observation, size_t request)
{
    struct judge *judge = context;
    const struct detect_notes *notes = judge->notes;
    struct health *health = &judge->health;
    bool was_up = health->state == HEALTH_UP, was_degraded = health->degraded;
    uint32_t misses = health->misses;

    if (was_up)
        judge->verdicts.up_ns += sub_sat_u64(observation->at_ns, judge->at_ns);
    judge->at_ns = max_u64(judge->at_ns, observation->at_ns);
    health_observe(health, judge->settings, observation);
    if (was_up && health->state == HEALTH_DOWN && notes->down)
        notes->down(notes->context, request);
    if (was_up && health->misses > misses && notes->level)
        notes->level(notes->context, health->misses, request);
    judge->verdicts.degradeds += !was_degraded && health->degraded;
}

static void judge_restart(void *context)
{
    struct judge *judge = context;

    judge->health = (struct health){0};
}

struct detect_verdicts detect_judge(const struct detect_requests *requests,
                                    const struct health_settings *settings, uint64_t phase_us,
                                    const struct detect_notes *notes)
{
    struct judge judge = {
        .settings = settings, .notes = notes, .health.state = requests->up ? HEALTH_UP : HEALTH_UNKNOWN};
    const struct detect_observer observer = {
        .observe = judge_observation, .restart = judge_restart, .context = &judge};

    detect_replay(requests, settings->select_timeout_ns / NS_PER_US, phase_us, &observer);
    return judge.verdicts;
}
