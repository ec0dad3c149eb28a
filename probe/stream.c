/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Continuous probing: the rules are in stream.h.
 *
 * A target keeps its last STREAM_HISTORY requests. A request waits there until its fate is known. It stays
 * for a while longer, so that a late reply and a duplicate can be told apart. Replies to requests that have
 * left the history are counted as late and not reported.
 *
 * Of a thousand targets only a few have something to do in one dispatch. What tells which is close together,
 * apart from the histories, so a look through all of it costs next to nothing. A request that is not urgent
 * goes with others: a target whose interval is much longer than select-timeout may be asked a sixteenth of
 * the interval too early, when something is sent anyway. Its later requests do not move by that.
 *
 * Order. Within one target, the deadlines that passed before a reply arrived are judged before that reply is
 * reported: everything older has been read by then. Observations of one dispatch are sorted by time.
 *
 * One thread; memory is taken when targets are added, and when somebody does not pull the observations.
 */
#include "probe/stream.h"

#include "probe/engine.h"
#include "probe/lacking.h"

#define STREAM_HISTORY PROBE_STREAM_HISTORY
#define QUEUE_MIN      64
/* A few requests at a time would not pay for io_uring and its locked memory. */
#define STREAM_TARGETS 100
/* An interval of so many select-timeouts is not urgent; by which part of it a request may be early. */
#define STREAM_PATIENT 8
#define STREAM_EARLY   16
/* How often to look at a socket that the outer loop cannot watch, or from which nothing could be received. */
#define BLIND_NS (10 * NS_PER_MS)

enum request_state {
    REQUEST_NONE, /* no such request, or forgotten */
    REQUEST_WAITING,
    REQUEST_ANSWERED,
    REQUEST_MISSED,
};

struct stream_request {
    uint32_t attempt;
    enum request_state state;
    uint64_t sent_ns;
    uint64_t deadline_ns;
    uint32_t payload_bytes;
    bool extra;
    enum probe_outcome outcome; /* what it will be when nothing better comes */
    struct probe_error error;
};

struct stream_target {
    uint32_t id;
    struct probe_stream_target wanted;
    uint64_t moved_ns;     /* how far deadlines were moved since the last reply */
    uint32_t next_attempt; /* also how many requests were made */
    uint32_t oldest;       /* no request before this attempt is waiting */
    struct stream_request history[STREAM_HISTORY];
};

struct stream_slot {
    uint32_t id; /* they are in this order */
    uint64_t interval_ns;
    uint64_t due_ns;   /* of the next request */
    uint64_t judge_ns; /* the first deadline of those waiting; NEVER_NS: none is */
    struct stream_target *target;
};

struct extra_request {
    uint32_t id;
    uint32_t payload_bytes;
};

struct probe_stream {
    struct engine engine;
    struct stream_slot *slots;
    size_t count;
    uint32_t next_id;
    struct extra_request *extras; /* to be sent at the next dispatch */
    size_t extra_count;
    struct probe_observation *queue;
    size_t queue_head;
    size_t queue_count;
    size_t queue_capacity;
    size_t queue_sorted; /* observations before this one, counted from the head, are of earlier dispatches */
    uint64_t window_ns;
    uint64_t asked_ns; /* the deadline that the last dispatch asked for */
    uint64_t blocked_until_ns;
    uint64_t failed_until_ns; /* the last dispatch failed, the next one is due then; 0: it did not */
    int failure;              /* no memory for an observation; told once */
};

static struct stream_request *request_slot(struct stream_target *target, uint32_t attempt)
{
    return &target->history[attempt % STREAM_HISTORY];
}

static struct stream_request *request_find(struct stream_target *target, uint32_t attempt)
{
    struct stream_request *request = request_slot(target, attempt);

    return request->attempt == attempt && request->state != REQUEST_NONE ? request : NULL;
}

static struct stream_slot *slot_find(const struct probe_stream *stream, uint32_t id)
{
    size_t low = 0;

    for (size_t high = stream->count; high - low > 1;) {
        size_t middle = low + (high - low) / 2;

        if (stream->slots[middle].id <= id)
            low = middle;
        else
            high = middle;
    }
    return low < stream->count && stream->slots[low].id == id ? &stream->slots[low] : NULL;
}

static struct stream_target *target_find(const struct probe_stream *stream, uint32_t id)
{
    const struct stream_slot *slot = slot_find(stream, id);

    return slot ? slot->target : NULL;
}

/* After any change of what is waiting. */
static void look_ahead(struct stream_slot *slot)
{
    struct stream_target *target = slot->target;

    slot->judge_ns = NEVER_NS;
    for (uint32_t attempt = target->oldest; attempt != target->next_attempt; attempt++)
        if (request_slot(target, attempt)->state == REQUEST_WAITING)
            slot->judge_ns = min_u64(slot->judge_ns, request_slot(target, attempt)->deadline_ns);
}

static struct probe_observation *queue_at(struct probe_stream *stream, size_t i)
{
    return &stream->queue[(stream->queue_head + i) % stream->queue_capacity];
}

static int queue_grow(struct probe_stream *stream)
{
    size_t capacity = stream->queue_capacity ? stream->queue_capacity * 2 : QUEUE_MIN;
    struct probe_observation *queue = calloc(capacity, sizeof(*queue));

    if (!queue)
        return -ENOMEM;
    for (size_t i = 0; i < stream->queue_count; i++)
        queue[i] = *queue_at(stream, i);
    free(stream->queue);
    stream->queue = queue;
    stream->queue_capacity = capacity;
    stream->queue_head = 0;
    return 0;
}

static void observe(struct probe_stream *stream, const struct stream_target *target,
                    const struct stream_request *request, enum probe_outcome outcome, uint64_t at_ns,
                    const struct probe_error *error)
{
    struct probe_observation observation = {
        .id = target->id,
        .outcome = outcome,
        .sent_ns = request->sent_ns,
        .at_ns = at_ns,
        .payload_bytes = request->payload_bytes,
        .extra = request->extra,
    };
    size_t i = stream->queue_count;

    if (outcome == PROBE_REPLY || outcome == PROBE_LATE || outcome == PROBE_DUPLICATE)
        observation.rtt_ns = sub_sat_u64(at_ns, request->sent_ns);
    if (error)
        observation.error = *error;
    if (stream->queue_count == stream->queue_capacity && queue_grow(stream) < 0) {
        stream->failure = -ENOMEM;
        return;
    }
    stream->queue_count++;
    for (; i > stream->queue_sorted && queue_at(stream, i - 1)->at_ns > at_ns; i--)
        *queue_at(stream, i) = *queue_at(stream, i - 1);
    *queue_at(stream, i) = observation;
}

static void miss(struct probe_stream *stream, struct stream_target *target, struct stream_request *request,
                 uint64_t at_ns)
{
    request->state = REQUEST_MISSED;
    observe(stream, target, request, request->outcome, at_ns, &request->error);
}

/* Judges the requests of one target whose deadline came before until_ns. */
static void judge_target(struct probe_stream *stream, struct stream_target *target, uint64_t until_ns)
{
    for (uint32_t attempt = target->oldest; attempt != target->next_attempt; attempt++) {
        struct stream_request *request = request_slot(target, attempt);

        if (request->state == REQUEST_WAITING && request->deadline_ns < until_ns)
            miss(stream, target, request, request->deadline_ns);
        if (request->state != REQUEST_WAITING && attempt == target->oldest)
            target->oldest++;
    }
}

static bool stream_lookup(void *owner, uint32_t index, uint32_t attempt, struct engine_expected *expected)
{
    struct stream_target *target = target_find(owner, index);
    const struct stream_request *request = target ? request_find(target, attempt) : NULL;

    if (!request)
        return false;
    *expected = (struct engine_expected){
        .address = target->wanted.address,
        .ifindex = target->wanted.ifindex,
        .payload_bytes = request->payload_bytes,
    };
    return true;
}

/* The sequence of a request is the low half of its attempt. */
static bool stream_find(void *owner, const struct address *to, uint16_t sequence, uint32_t *index,
                        uint32_t *attempt)
{
    struct probe_stream *stream = owner;

    for (size_t i = 0; i < stream->count; i++) {
        struct stream_target *target = stream->slots[i].target;

        if (target->wanted.address.family != to->family ||
            memcmp(target->wanted.address.bytes, to->bytes, sizeof(to->bytes)) != 0)
            continue;
        for (size_t k = 0; k < STREAM_HISTORY; k++) {
            const struct stream_request *request = &target->history[k];

            if (request->state != REQUEST_NONE && (uint16_t)request->attempt == sequence) {
                *index = target->id;
                *attempt = request->attempt;
                return true;
            }
        }
    }
    return false;
}

static void take_reply(struct probe_stream *stream, struct stream_target *target,
                       struct stream_request *request, const struct engine_event *event)
{
    struct probe_counters *counters = &stream->engine.counters;
    uint64_t at_ns = event->at_ns;

    /* Without a time stamp it may have come any time before: in favour of the target. */
    if (!event->stamped && request->state == REQUEST_WAITING)
        at_ns = max_u64(request->sent_ns, min_u64(at_ns, request->deadline_ns));
    judge_target(stream, target, at_ns);
    switch (request->state) {
    case REQUEST_WAITING:
        counters->replies++;
        observe(stream, target, request, PROBE_REPLY, at_ns, NULL);
        break;
    case REQUEST_MISSED:
        counters->late++;
        observe(stream, target, request, PROBE_LATE, at_ns, NULL);
        break;
    case REQUEST_ANSWERED:
        counters->duplicates++;
        observe(stream, target, request, PROBE_DUPLICATE, at_ns, NULL);
        break;
    case REQUEST_NONE:
        break;
    }
    if (request->state != REQUEST_ANSWERED)
        engine_answered(&stream->engine, request->sent_ns, sub_sat_u64(at_ns, request->sent_ns));
    request->state = REQUEST_ANSWERED;
    target->moved_ns = 0;
}

static void take_event(struct probe_stream *stream, struct stream_target *target,
                       const struct engine_event *event)
{
    struct stream_request *request = request_find(target, event->attempt);

    if (!request)
        return;
    if (event->reply) {
        /* One of full size asks about the way back as well: of that a reply that was cut says nothing. */
        if (event->error.reply_bytes == 0 || request->payload_bytes <= stream->engine.settings.payload_bytes)
            take_reply(stream, target, request, event);
        return;
    }
    if (event->stamped)
        judge_target(stream, target, event->at_ns);
    if (request->state != REQUEST_WAITING)
        return;
    request->outcome = event->outcome;
    request->error = event->error;
    if (event->sealed)
        miss(stream, target, request, event->at_ns);
}

static void stream_event(void *owner, const struct engine_event *event)
{
    struct stream_slot *slot = slot_find(owner, event->index);

    if (!slot)
        return;
    take_event(owner, slot->target, event);
    look_ahead(slot);
}

static const struct engine_owner stream_owner = {
    .lookup = stream_lookup,
    .find = stream_find,
    .event = stream_event,
};

int probe_stream_new_over(struct probe_stream **out, const struct probe_settings *settings,
                          struct transport *transport)
{
    CLEANUP(probe_stream_free) struct probe_stream *stream = calloc(1, sizeof(*stream));
    int r;

    if (!stream) {
        transport_close(transport);
        return -ENOMEM;
    }
    stream->asked_ns = NEVER_NS;
    stream->window_ns = settings->select_timeout_ns * settings->select_count;
    r = engine_init(&stream->engine, transport, settings, &stream_owner, stream);
    if (r == 0)
        r = queue_grow(stream);
    if (r < 0)
        return r;
    *out = TAKE(stream);
    return 0;
}

int probe_stream_new(struct probe_stream **out, const struct probe_settings *settings, char *message,
                     size_t size_bytes)
{
    struct transport *transport = NULL;
    int r = transport_open(&transport, settings, STREAM_TARGETS, message, size_bytes);

    if (r < 0)
        return r;
    r = probe_stream_new_over(out, settings, transport);
    if (r < 0)
        snprintf(message, size_bytes, "%s", strerror(-r));
    return r;
}

struct probe_stream *probe_stream_free(struct probe_stream *stream)
{
    if (!stream)
        return NULL;
    for (size_t i = 0; i < stream->count; i++)
        free(stream->slots[i].target);
    free(stream->slots);
    free(stream->extras);
    free(stream->queue);
    engine_destroy(&stream->engine);
    free(stream);
    return NULL;
}

int probe_stream_add(struct probe_stream *stream, const struct probe_stream_target *wanted, uint32_t *id)
{
    struct stream_slot *slots;
    struct stream_target *target;
    int r = engine_open_family(&stream->engine, wanted->address.family);

    if (r < 0)
        return r;
    slots = realloc(stream->slots, (stream->count + 1) * sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    stream->slots = slots;
    target = calloc(1, sizeof(*target));
    if (!target)
        return -ENOMEM;
    /* A path may have several requests under way: late ones, extra ones. */
    r = engine_reserve(&stream->engine, stream->engine.payload_bytes,
                       (uint32_t)max_u64(64, (stream->count + 1) * STREAM_HISTORY));
    if (r < 0) {
        free(target);
        return r;
    }
    target->id = stream->next_id++;
    target->wanted = *wanted;
    slots[stream->count++] = (struct stream_slot){.id = target->id,
                                                  .interval_ns = wanted->interval_ns,
                                                  .due_ns = engine_now_ns(&stream->engine),
                                                  .judge_ns = NEVER_NS,
                                                  .target = target};
    *id = target->id;
    return 0;
}

void probe_stream_remove(struct probe_stream *stream, uint32_t id)
{
    size_t kept = 0;

    for (size_t i = 0; i < stream->count; i++) {
        if (stream->slots[i].id == id)
            free(stream->slots[i].target);
        else
            stream->slots[kept++] = stream->slots[i];
    }
    stream->count = kept;

    kept = 0;
    for (size_t i = 0; i < stream->queue_count; i++)
        if (queue_at(stream, i)->id != id)
            *queue_at(stream, kept++) = *queue_at(stream, i);
    stream->queue_count = kept;

    kept = 0;
    for (size_t i = 0; i < stream->extra_count; i++)
        if (stream->extras[i].id != id)
            stream->extras[kept++] = stream->extras[i];
    stream->extra_count = kept;
}

void probe_stream_set_interval(struct probe_stream *stream, uint32_t id, uint64_t interval_ns)
{
    struct stream_slot *slot = slot_find(stream, id);

    if (!slot || slot->interval_ns == interval_ns)
        return;
    if (slot->target->next_attempt)
        slot->due_ns = slot->due_ns - slot->interval_ns + interval_ns;
    slot->interval_ns = interval_ns;
}

void probe_stream_set_ifindex(struct probe_stream *stream, uint32_t id, uint32_t ifindex)
{
    struct stream_slot *slot = slot_find(stream, id);
    struct stream_target *target = slot ? slot->target : NULL;

    if (!target || target->wanted.ifindex == ifindex)
        return;
    target->wanted.ifindex = ifindex;
    if (address_is_link_local(&target->wanted.address))
        target->wanted.address.scope = ifindex;
    for (size_t i = 0; i < STREAM_HISTORY; i++)
        target->history[i].state = REQUEST_NONE;
    target->oldest = target->next_attempt;
    slot->due_ns = engine_now_ns(&stream->engine);
    slot->judge_ns = NEVER_NS;
}

int probe_stream_request(struct probe_stream *stream, uint32_t id, uint32_t payload_bytes)
{
    struct extra_request *extras;
    int r;

    if (!target_find(stream, id))
        return -ENOENT;
    if (payload_bytes < PROBE_PAYLOAD_MIN_BYTES || payload_bytes > PROBE_PAYLOAD_MAX_BYTES)
        return -EINVAL;
    r = engine_reserve(&stream->engine, payload_bytes, (uint32_t)max_u64(64, stream->count * STREAM_HISTORY));
    if (r < 0)
        return r;
    extras = realloc(stream->extras, (stream->extra_count + 1) * sizeof(*extras));
    if (!extras)
        return -ENOMEM;
    stream->extras = extras;
    extras[stream->extra_count++] = (struct extra_request){.id = id, .payload_bytes = payload_bytes};
    return 0;
}

uint64_t probe_stream_now_ns(const struct probe_stream *stream)
{
    return engine_now_ns(&stream->engine);
}

int probe_stream_fd(const struct probe_stream *stream)
{
    bool complete;

    return stream->engine.operations->fd(stream->engine.transport, &complete);
}

uint64_t probe_stream_deadline_ns(const struct probe_stream *stream)
{
    uint64_t send_ns = stream->extra_count ? 0 : NEVER_NS;
    uint64_t judge_ns = NEVER_NS;
    bool complete;

    if (stream->failed_until_ns)
        return stream->failed_until_ns;
    for (size_t i = 0; i < stream->count; i++) {
        send_ns = min_u64(send_ns, stream->slots[i].due_ns);
        judge_ns = min_u64(judge_ns, stream->slots[i].judge_ns);
    }
    if (send_ns != NEVER_NS)
        send_ns = max_u64(send_ns, stream->blocked_until_ns);
    stream->engine.operations->fd(stream->engine.transport, &complete);
    if (judge_ns != NEVER_NS && !complete)
        judge_ns = min_u64(judge_ns, engine_now_ns(&stream->engine) + BLIND_NS);
    /* A deadline is over once it has passed, not when it is reached. */
    return min_u64(send_ns, add_sat_u64(judge_ns, 1));
}

/* Moves the deadlines of what is outstanding by the time for which this process did not run. */
static void forgive_stall(struct probe_stream *stream, uint64_t now_ns)
{
    uint64_t stall_ns = sub_sat_u64(now_ns, stream->asked_ns);

    if (stall_ns <= stream->engine.settings.select_timeout_ns / 4)
        return;
    stream->engine.counters.stalls++;
    for (size_t i = 0; i < stream->count; i++) {
        struct stream_target *target = stream->slots[i].target;
        uint64_t move_ns = min_u64(stall_ns, sub_sat_u64(2 * stream->window_ns, target->moved_ns));
        bool any = false;

        for (uint32_t attempt = target->oldest; attempt != target->next_attempt; attempt++) {
            struct stream_request *request = request_slot(target, attempt);

            if (request->state == REQUEST_WAITING) {
                request->deadline_ns += move_ns;
                any = true;
            }
        }
        if (any)
            target->moved_ns += move_ns;
        look_ahead(&stream->slots[i]);
    }
}

/* Enters a request that has left, or was refused for good. */
static void request_made(struct probe_stream *stream, struct stream_slot *slot,
                         const struct engine_request *made, bool extra, const struct engine_sending *sending)
{
    struct stream_target *target = slot->target;
    struct stream_request *request = request_slot(target, made->attempt);

    /* Only moved deadlines let a request wait so long that its place is needed. */
    if (request->state == REQUEST_WAITING)
        miss(stream, target, request, sending->sent_ns);
    *request = (struct stream_request){
        .attempt = made->attempt,
        .state = REQUEST_WAITING,
        .sent_ns = sending->sent_ns,
        .deadline_ns = sending->left_ns + stream->engine.settings.select_timeout_ns,
        .payload_bytes = made->payload_bytes,
        .extra = extra,
        .outcome = PROBE_TIMEOUT,
    };
    target->next_attempt = made->attempt + 1;
    if (target->next_attempt - target->oldest > STREAM_HISTORY)
        target->oldest = target->next_attempt - STREAM_HISTORY;
    if (made->error) {
        request->outcome = engine_send_outcome(made, &request->error);
        miss(stream, target, request, sending->left_ns);
    }
    look_ahead(slot);
}

static void request_prepare(const struct stream_target *target, uint32_t payload_bytes, bool dont_fragment,
                            struct engine_request *request)
{
    *request = (struct engine_request){
        .index = target->id,
        .attempt = target->next_attempt,
        .sequence = (uint16_t)target->next_attempt,
        .to = target->wanted.address,
        .ifindex = target->wanted.ifindex,
        .payload_bytes = payload_bytes,
        /* A life sign that may be fragmented is better than none. */
        .dont_fragment = dont_fragment && !lacking_error(LACKING_DONT_FRAGMENT),
    };
}

static void block(struct probe_stream *stream, uint64_t now_ns)
{
    stream->blocked_until_ns = now_ns + ENGINE_RETRY_NS;
}

/* The requests to be sent now: those that are due, and with them what need not wait for its own turn. */
static bool is_due(const struct probe_stream *stream, const struct stream_slot *slot, uint64_t now_ns)
{
    if (slot->due_ns <= now_ns)
        return true;
    return slot->interval_ns >= STREAM_PATIENT * stream->engine.settings.select_timeout_ns &&
           slot->due_ns - now_ns <= slot->interval_ns / STREAM_EARLY;
}

static bool any_due(const struct probe_stream *stream, uint64_t now_ns)
{
    for (size_t i = 0; i < stream->count; i++)
        if (stream->slots[i].due_ns <= now_ns)
            return true;
    return false;
}

/* Sends the requests that are due, a batch at a time. */
static void send_due(struct probe_stream *stream, uint64_t now_ns)
{
    const struct probe_settings *settings = &stream->engine.settings;
    size_t i = any_due(stream, now_ns) ? 0 : stream->count;

    while (i < stream->count) {
        struct engine_request requests[ENGINE_BATCH];
        struct stream_slot *slots[ENGINE_BATCH];
        unsigned count = 0;
        unsigned done;
        struct engine_sending sending;

        for (; i < stream->count && count < ENGINE_BATCH; i++) {
            if (!is_due(stream, &stream->slots[i], now_ns))
                continue;
            slots[count] = &stream->slots[i];
            request_prepare(slots[count]->target, settings->payload_bytes, settings->dont_fragment,
                            &requests[count]);
            count++;
        }
        if (count == 0)
            return;
        done = engine_send(&stream->engine, requests, count, &sending);
        for (unsigned k = 0; k < done; k++) {
            request_made(stream, slots[k], &requests[k], false, &sending);
            /* On the beat, but what was missed is not made up for. */
            slots[k]->due_ns += slots[k]->interval_ns;
            if (slots[k]->due_ns <= sending.left_ns)
                slots[k]->due_ns = sending.left_ns + slots[k]->interval_ns;
        }
        if (done < count) {
            block(stream, now_ns);
            return;
        }
    }
}

static void send_extras(struct probe_stream *stream, uint64_t now_ns)
{
    size_t sent = 0;

    for (; sent < stream->extra_count; sent++) {
        struct stream_slot *slot = slot_find(stream, stream->extras[sent].id);
        struct engine_request request;
        struct engine_sending sending;

        request_prepare(slot->target, stream->extras[sent].payload_bytes, true, &request);
        if (engine_send(&stream->engine, &request, 1, &sending) == 0) {
            block(stream, now_ns);
            break;
        }
        request_made(stream, slot, &request, true, &sending);
    }
    stream->extra_count -= sent;
    if (sent && stream->extra_count)
        memmove(stream->extras, stream->extras + sent, stream->extra_count * sizeof(*stream->extras));
}

/* What is due, once everything that had arrived by now_ns is known. */
static void judge_and_send(struct probe_stream *stream, uint64_t now_ns)
{
    for (size_t i = 0; i < stream->count; i++) {
        if (stream->slots[i].judge_ns >= now_ns)
            continue;
        judge_target(stream, stream->slots[i].target, now_ns);
        look_ahead(&stream->slots[i]);
    }
    if (now_ns >= stream->blocked_until_ns) {
        send_due(stream, now_ns);
        send_extras(stream, now_ns);
    }
}

int probe_stream_dispatch(struct probe_stream *stream)
{
    uint64_t now_ns = engine_now_ns(&stream->engine);
    int r;

    stream->queue_sorted = stream->queue_count;
    forgive_stall(stream, now_ns);
    r = engine_receive(&stream->engine, now_ns);
    stream->failed_until_ns = r < 0 ? now_ns + BLIND_NS : 0;
    if (r == 0) {
        judge_and_send(stream, now_ns);
        r = stream->failure;
        stream->failure = 0;
    }
    stream->asked_ns = probe_stream_deadline_ns(stream);
    return r;
}

bool probe_stream_next(struct probe_stream *stream, struct probe_observation *observation)
{
    if (stream->queue_count == 0)
        return false;
    *observation = *queue_at(stream, 0);
    stream->queue_head = (stream->queue_head + 1) % stream->queue_capacity;
    stream->queue_count--;
    return true;
}

const struct probe_counters *probe_stream_counters(struct probe_stream *stream)
{
    return engine_counters(&stream->engine);
}

const char *probe_stream_transport(const struct probe_stream *stream)
{
    return stream->engine.operations->name;
}
