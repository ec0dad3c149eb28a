/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-shot reachability: the rules are in sweep.h.
 *
 * Every request waits equally long, so deadlines need no heap: a target that was asked goes to the end of a
 * queue. There are two, because the last wait may be shorter or longer than the others (ping-timeout,
 * --single-request): `waiting` has those with a request left to send, `ending` those whose end of waiting is
 * the verdict. A reply takes nobody out of a queue; who is done is skipped when its turn comes.
 *
 * Order in a queue holds because requests that are due go out before first ones, and because a target's next
 * deadline follows from its last one: request k leaves k select-timeouts after the first, however late each
 * single one was, unless that would leave it less than three quarters of its wait.
 *
 * Rounds, batches and drops are the front end's (front_end.c). Of the drops a target notes how many growths
 * there were when its first request left. If there was another one before its waiting was over, its reply may
 * have been among the dropped.
 *
 * Memory: struct record, 32 bytes a target, touched in the order of sending; reasons, each once (reason.h);
 * addresses as in targets.h. The number of a target is its place in the array, and nothing else limits how
 * many there are: sequence numbers repeat every 65,536 targets, the token tells them apart.
 */
#include "probe/sweep.h"

#include "probe/sweep_state.h"

/* Those for whom there was no room are tried again after this for each of them: not to be busy with nothing
 * else. */
#define REFUSED_PAUSE_NS (10 * NS_PER_US)

static void finish(struct probe_sweep *sweep, uint32_t index)
{
    sweep->records[index].state = RECORD_DONE;
    sweep->finished++;
    ready_push(sweep->records, &sweep->ready, index);
}

static void keep_error(struct probe_sweep *sweep, uint32_t index, enum probe_outcome outcome,
                       const struct probe_error *error, bool sealed)
{
    struct record *record = &sweep->records[index];

    record->is_sealed =
        front_end_keep_error(&sweep->front, &record->reason, record->is_sealed, outcome, error, sealed);
}

/* How many requests the target had before it was asked again. */
static uint32_t requests_before(const struct probe_sweep *sweep, const struct record *record)
{
    return record->is_again ? sweep->requests_max : 0;
}

/* No request is left to be made, in this asking. */
static bool is_asked_out(const struct probe_sweep *sweep, const struct record *record)
{
    return record->requests == requests_before(sweep, record) + sweep->requests_max;
}

/* Request `attempt` will not be answered. When that is true of all that may be sent, waiting is pointless. */
static void request_failed(struct probe_sweep *sweep, uint32_t index, uint32_t attempt)
{
    struct record *record = &sweep->records[index];

    if (attempt != record->failed)
        return;
    record->failed++;
    if (record->failed == requests_before(sweep, record) + sweep->requests_max)
        finish(sweep, index);
}

static bool sweep_lookup(void *owner, uint32_t index, uint32_t attempt, struct engine_expected *expected)
{
    struct probe_sweep *sweep = owner;

    /* What was made in a round before is not known any more; the token says whether it was. */
    if (index >= sweep->front.count || (attempt >= sweep->records[index].requests && sweep->began_ns == 0))
        return false;
    *expected = (struct engine_expected){
        .address = front_end_address(&sweep->front, index),
        .payload_bytes = sweep->front.engine.settings.payload_bytes,
        .may_fragment = !sweep->front.engine.settings.dont_fragment,
    };
    return true;
}

static bool sweep_find(void *owner, const struct address *to, uint16_t sequence, uint32_t *index,
                       uint32_t *attempt)
{
    struct probe_sweep *sweep = owner;

    for (uint64_t i = sequence; front_end_find(&sweep->front, to, &i); i += 65536) {
        if (sweep->records[i].requests == 0)
            continue;
        *index = (uint32_t)i;
        *attempt = sweep->records[i].requests - 1;
        return true;
    }
    return false;
}

static void take_late_reply(struct probe_sweep *sweep, const struct record *record, uint32_t attempt,
                            uint64_t rtt_ns)
{
    struct probe_counters *counters = &sweep->front.engine.counters;

    if (record->is_reply && record->answered == attempt)
        counters->duplicates++;
    else if (record->is_reply && rtt_ns <= sweep->wait_ns)
        counters->replies++;
    else
        counters->late++;
}

static void take_reply(struct probe_sweep *sweep, const struct engine_event *event)
{
    struct record *record = &sweep->records[event->index];
    uint64_t rtt_ns = event->at_ns - event->left_ns;

    if (event->sent_ns < sweep->began_ns) {
        sweep->front.engine.counters.late++;
        return;
    }
    if (record->state == RECORD_DONE) {
        take_late_reply(sweep, record, event->attempt, rtt_ns);
        return;
    }
    engine_answered(&sweep->front.engine, event->sent_ns, rtt_ns);
    /* A reply to a request before it was asked again has missed the window. */
    if (event->attempt < requests_before(sweep, record) ||
        (is_asked_out(sweep, record) && event->stamped && event->at_ns > record->due_ns)) {
        sweep->front.engine.counters.late++;
        return;
    }
    sweep->front.engine.counters.replies++;
    record->is_reply = true;
    if (event->error.reply_bytes) {
        record->is_sealed = false;
        keep_error(sweep, event->index, PROBE_REPLY, &event->error, true);
        record->is_cut = true;
    }
    record->rtt_ns = rtt_ns;
    record->answered = event->attempt;
    finish(sweep, event->index);
}

static void sweep_event(void *owner, const struct engine_event *event)
{
    struct probe_sweep *sweep = owner;

    if (event->reply) {
        take_reply(sweep, event);
    } else if (sweep->records[event->index].state != RECORD_DONE &&
               (!event->sealed || event->sent_ns >= sweep->began_ns)) {
        keep_error(sweep, event->index, event->outcome, &event->error, event->sealed);
        if (event->sealed)
            request_failed(sweep, event->index, event->attempt);
    }
}

/* A reply that cannot be believed: the target goes on waiting for one that can. */
static void sweep_refused(void *owner, const struct engine_event *event)
{
    struct probe_sweep *sweep = owner;

    if (sweep->records[event->index].state != RECORD_DONE &&
        (!event->sealed || event->sent_ns >= sweep->began_ns))
        keep_error(sweep, event->index, event->outcome, &event->error, event->sealed);
}

/* Files a target whose request has left, or was refused for good. */
static void sweep_made(void *owner, const struct engine_request *request, uint64_t left_ns)
{
    struct probe_sweep *sweep = owner;
    struct record *record = &sweep->records[request->index];
    bool first = record->requests == requests_before(sweep, record);
    uint64_t planned_ns = first ? left_ns : record->due_ns;
    uint64_t wait_ns;
    bool last;

    record->requests++;
    last = is_asked_out(sweep, record);
    wait_ns = last ? sweep->last_wait_ns : sweep->wait_ns;
    record->due_ns = max_u64(planned_ns + wait_ns, sub_sat_u64(left_ns + wait_ns, sweep->wait_ns / 4));
    if (first)
        record->drops_seen = sweep->front.growths;
    if (request->error) {
        struct probe_error error;
        enum probe_outcome outcome = engine_send_outcome(request, &error);

        keep_error(sweep, request->index, outcome, &error, true);
        request_failed(sweep, request->index, request->attempt);
    }
    if (record->state != RECORD_DONE)
        queue_push(sweep->records, last ? &sweep->ending : &sweep->waiting, request->index);
}

/* False: nothing can be sent to this target (any more, or yet). */
static bool request_prepare(struct probe_sweep *sweep, uint32_t index, struct engine_request *request)
{
    *request = (struct engine_request){
        .index = index,
        .attempt = sweep->records[index].requests,
        .sequence = (uint16_t)index,
        .to = front_end_address(&sweep->front, index),
        .payload_bytes = sweep->front.engine.settings.payload_bytes,
        .dont_fragment = sweep->front.engine.settings.dont_fragment,
    };
    if (!address_is_set(&request->to))
        return false;
    if (!sweep->front.engine.is_open[request->to.family == AF_INET6]) {
        keep_error(sweep, index, PROBE_SEND_FAILED, &(struct probe_error){.error = EAFNOSUPPORT}, true);
        finish(sweep, index);
        return false;
    }
    return true;
}

/* The kernel has had no room for anything for so long that somebody must be told. */
static bool give_up(struct probe_sweep *sweep, uint32_t index, uint64_t now_ns, int want)
{
    uint64_t window_ns = (sweep->requests_max - 1) * sweep->wait_ns + sweep->last_wait_ns;

    if (!front_end_is_stuck(&sweep->front, now_ns, max_u64(FRONT_END_PATIENCE_NS, window_ns)))
        return false;
    keep_error(sweep, index, PROBE_SEND_FAILED, &(struct probe_error){.error = want}, true);
    sweep->records[index].is_doubtful = true;
    finish(sweep, index);
    return true;
}

static void sweep_blocked(void *owner, const struct engine_request *requests, unsigned count, uint64_t now_ns,
                          int want)
{
    struct probe_sweep *sweep = owner;

    for (unsigned i = count; i-- > 0;)
        queue_push_front(sweep->records, &sweep->waiting, requests[i].index);
    give_up(sweep, requests[0].index, now_ns, want);
}

/* The turn of a request that found no room is over: the target's time goes on without it. */
static void skip(struct probe_sweep *sweep, uint32_t index, uint64_t now_ns, int want)
{
    struct record *record = &sweep->records[index];
    struct queue *queue = &sweep->waiting;

    keep_error(sweep, index, PROBE_SEND_FAILED, &(struct probe_error){.error = want}, false);
    record->requests++;
    if (is_asked_out(sweep, record))
        queue = &sweep->ending;
    record->due_ns += queue == &sweep->ending ? sweep->last_wait_ns : sweep->wait_ns;
    if (record->due_ns <= now_ns)
        queue_push_front(sweep->records, queue, index);
    else
        queue_push(sweep->records, queue, index);
}

/*
 * It is tried again a little later. Its time begins when its first request has left; after that it goes on,
 * with or without the request.
 */
static void sweep_no_room(void *owner, const struct engine_request *request, uint64_t now_ns, int want)
{
    struct probe_sweep *sweep = owner;
    struct record *record = &sweep->records[request->index];
    bool first = record->requests == requests_before(sweep, record);

    if (!first && now_ns >= record->due_ns + sweep->wait_ns) {
        skip(sweep, request->index, now_ns, want);
    } else if (!give_up(sweep, request->index, now_ns, want)) {
        if (sweep->refused_count++ == 0)
            sweep->refused_at_ns = now_ns + ENGINE_RETRY_NS;
        queue_push(sweep->records, &sweep->refused, request->index);
    }
}

/* The next target whose first turn it is. Those without an address get theirs by sweep_found(). */
static uint32_t next_first(struct probe_sweep *sweep)
{
    return front_end_at(&sweep->front, sweep->front.position++);
}

/* The next one of those that were refused, each once in a while; NOBODY: it is not their time. */
static uint32_t next_refused(struct probe_sweep *sweep, uint64_t now_ns)
{
    if (sweep->refused_turns == 0 && now_ns >= sweep->refused_at_ns) {
        sweep->refused_turns = sweep->refused_count;
        sweep->refused_at_ns = now_ns + max_u64(ENGINE_RETRY_NS, sweep->refused_count * REFUSED_PAUSE_NS);
    }
    while (sweep->refused_turns > 0) {
        uint32_t index = sweep->refused.head;

        queue_pop(sweep->records, &sweep->refused);
        sweep->refused_turns--;
        sweep->refused_count--;
        if (sweep->records[index].state != RECORD_DONE)
            return index;
    }
    return NOBODY;
}

/* Collects one batch: first the requests that are due, then first requests, then those that were refused. */
static int sweep_collect(void *owner, uint64_t now_ns, struct engine_request *requests, unsigned limit)
{
    struct probe_sweep *sweep = owner;
    unsigned count = 0;
    uint32_t again;

    while (count < limit && queue_due_ns(sweep->records, &sweep->waiting) <= now_ns) {
        uint32_t index = sweep->waiting.head;

        queue_pop(sweep->records, &sweep->waiting);
        count += request_prepare(sweep, index, &requests[count]);
    }
    while (count < limit && sweep->front.position < sweep->front.count) {
        uint32_t index = next_first(sweep);
        struct record *record = &sweep->records[index];

        if (record->state != RECORD_NEW || !request_prepare(sweep, index, &requests[count]))
            continue;
        record->state = RECORD_OPEN;
        record->due_ns = now_ns;
        count++;
    }
    while (count < limit && (again = next_refused(sweep, now_ns)) != NOBODY)
        count += request_prepare(sweep, again, &requests[count]);
    return (int)count;
}

static void ask_again(struct probe_sweep *sweep, uint32_t index, uint64_t now_ns)
{
    struct record *record = &sweep->records[index];

    record->is_again = true;
    record->failed = record->requests;
    record->due_ns = now_ns;
    queue_push_front(sweep->records, &sweep->waiting, index);
    sweep->front.asked_again++;
}

static uint64_t sweep_due_ns(void *owner)
{
    struct probe_sweep *sweep = owner;

    return queue_due_ns(sweep->records, &sweep->ending);
}

static void sweep_judge(void *owner, uint64_t now_ns)
{
    struct probe_sweep *sweep = owner;
    uint32_t index = sweep->ending.head;
    struct record *record = &sweep->records[index];
    bool doubtful = front_end_has_dropped(&sweep->front, record->drops_seen, record->due_ns);

    queue_pop(sweep->records, &sweep->ending);
    if (doubtful && !record->is_again && sweep->front.engine.settings.retry_doubtful) {
        ask_again(sweep, index, now_ns);
        return;
    }
    record->is_doubtful = doubtful;
    finish(sweep, index);
}

static uint64_t sweep_turn_ns(void *owner, uint64_t now_ns)
{
    struct probe_sweep *sweep = owner;
    uint64_t due_ns = queue_due_ns(sweep->records, &sweep->waiting);

    if (sweep->front.position < sweep->front.count || sweep->refused_turns > 0)
        return now_ns;
    return sweep->refused_count > 0 ? min_u64(due_ns, sweep->refused_at_ns) : due_ns;
}

static bool sweep_has_results(const void *owner)
{
    const struct probe_sweep *sweep = owner;

    return sweep->ready.head != NOBODY;
}

static void sweep_found(void *owner, uint32_t index, const struct address *address)
{
    struct probe_sweep *sweep = owner;
    struct record *record = &sweep->records[index];

    record->state = RECORD_OPEN;
    record->due_ns = engine_now_ns(&sweep->front.engine);
    queue_push_front(sweep->records, &sweep->waiting, index);
}

const struct front_end_owner sweep_owner = {
    .incoming = {.lookup = sweep_lookup, .find = sweep_find, .event = sweep_event, .refused = sweep_refused},
    .found = sweep_found,
    .has_results = sweep_has_results,
    .due_ns = sweep_due_ns,
    .judge = sweep_judge,
    .turn_ns = sweep_turn_ns,
    .collect = sweep_collect,
    .made = sweep_made,
    .no_room = sweep_no_room,
    .blocked = sweep_blocked,
};
