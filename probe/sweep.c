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
 * A round receives, judges, sends one batch. So replies are fetched between the batches, and never more
 * requests are under way than replies fit into the socket's buffer (engine.h).
 *
 * Memory: struct target, 64 bytes each beside its address.
 */
#include "probe/sweep.h"

#include "probe/engine.h"

#define NOBODY      UINT32_MAX
#define TARGETS_MIN 64
/* How long "no room" may last before it is a result. */
#define PATIENCE_NS (10 * NS_PER_S)

enum target_state {
    TARGET_OPEN,
    TARGET_DONE, /* has its outcome */
};

struct target {
    uint64_t due_ns; /* end of the current wait */
    uint64_t rtt_ns;
    uint8_t from[16]; /* this and the following members: struct probe_error, packed */
    uint32_t from_scope;
    uint32_t mtu_bytes;
    uint32_t requests;
    union {
        uint32_t failed;   /* how many requests failed, from the first on without a gap */
        uint32_t answered; /* TARGET_DONE, PROBE_REPLY: which request */
    };
    uint32_t next;       /* in its queue */
    uint32_t next_ready; /* among the results */
    uint16_t error;
    uint8_t icmp_type;
    uint8_t icmp_code;
    uint8_t from_family;
    uint8_t outcome : 4;
    uint8_t state : 1;
    uint8_t sealed : 1; /* the error cannot have been made up */
};
_Static_assert(sizeof(struct target) <= 64, "a target takes at most 64 bytes");

struct queue {
    uint32_t head;
    uint32_t tail;
};

struct probe_sweep {
    struct engine engine;
    struct address *addresses;
    struct target *targets;
    uint32_t count;
    uint32_t capacity;
    uint32_t first_unsent; /* the targets from here on have not had a request yet */
    uint32_t delivered;
    struct queue waiting;
    struct queue ending;
    struct queue ready;
    uint32_t requests_max;
    uint64_t wait_ns;      /* after each request but the last */
    uint64_t last_wait_ns; /* after the last one */
    uint64_t blocked_until_ns;
    uint64_t blocked_since_ns; /* NEVER_NS: the last send went through */
    int wakeup_fd;
};

static uint32_t *link_next(struct probe_sweep *sweep, uint32_t index)
{
    return &sweep->targets[index].next;
}

static void queue_push(struct probe_sweep *sweep, struct queue *queue, uint32_t index)
{
    *link_next(sweep, index) = NOBODY;
    if (queue->head == NOBODY)
        queue->head = index;
    else
        *link_next(sweep, queue->tail) = index;
    queue->tail = index;
}

static void queue_push_front(struct probe_sweep *sweep, struct queue *queue, uint32_t index)
{
    *link_next(sweep, index) = queue->head;
    if (queue->head == NOBODY)
        queue->tail = index;
    queue->head = index;
}

static void queue_pop(struct probe_sweep *sweep, struct queue *queue)
{
    queue->head = *link_next(sweep, queue->head);
}

/* The first one that is not done, or NOBODY; those before it leave the queue. */
static uint32_t queue_first(struct probe_sweep *sweep, struct queue *queue)
{
    while (queue->head != NOBODY && sweep->targets[queue->head].state == TARGET_DONE)
        queue_pop(sweep, queue);
    return queue->head;
}

static uint64_t queue_due_ns(struct probe_sweep *sweep, struct queue *queue)
{
    uint32_t first = queue_first(sweep, queue);

    return first == NOBODY ? NEVER_NS : sweep->targets[first].due_ns;
}

static void finish(struct probe_sweep *sweep, uint32_t index, enum probe_outcome outcome)
{
    struct target *target = &sweep->targets[index];

    target->state = TARGET_DONE;
    target->outcome = outcome & 0xf;
    target->next_ready = NOBODY;
    if (sweep->ready.head == NOBODY)
        sweep->ready.head = index;
    else
        sweep->targets[sweep->ready.tail].next_ready = index;
    sweep->ready.tail = index;
}

/* Keeps why a request failed. What cannot have been made up is not replaced by what can. */
static void keep_error(struct target *target, enum probe_outcome outcome, const struct probe_error *error,
                       bool sealed)
{
    if (target->sealed && !sealed)
        return;
    target->outcome = outcome & 0xf;
    target->sealed = sealed;
    target->error = (uint16_t)error->error;
    target->icmp_type = error->icmp_type;
    target->icmp_code = error->icmp_code;
    target->mtu_bytes = error->mtu_bytes;
    target->from_family = error->from.family;
    target->from_scope = error->from.scope;
    memcpy(target->from, error->from.bytes, sizeof(target->from));
}

static struct probe_error kept_error(const struct target *target)
{
    struct probe_error error = {
        .error = target->error,
        .icmp_type = target->icmp_type,
        .icmp_code = target->icmp_code,
        .mtu_bytes = target->mtu_bytes,
        .from = {.family = target->from_family, .scope = target->from_scope},
    };

    memcpy(error.from.bytes, target->from, sizeof(target->from));
    return error;
}

/* Request `attempt` will not be answered. When that is true of all that may be sent, waiting is pointless. */
static void request_failed(struct probe_sweep *sweep, uint32_t index, uint32_t attempt)
{
    struct target *target = &sweep->targets[index];

    if (attempt != target->failed)
        return;
    target->failed++;
    if (target->failed == sweep->requests_max)
        finish(sweep, index, target->outcome);
}

static bool sweep_lookup(void *owner, uint32_t index, uint32_t attempt, struct engine_expected *expected)
{
    struct probe_sweep *sweep = owner;

    if (index >= sweep->count || attempt >= sweep->targets[index].requests)
        return false;
    *expected = (struct engine_expected){
        .address = sweep->addresses[index],
        .payload_bytes = sweep->engine.settings.payload_bytes,
    };
    return true;
}

/* The sequence of a request is the low half of its target's index. */
static bool sweep_find(void *owner, const struct address *to, uint16_t sequence, uint32_t *index,
                       uint32_t *attempt)
{
    struct probe_sweep *sweep = owner;

    for (uint64_t i = sequence; i < sweep->count; i += 65536) {
        const struct address *address = &sweep->addresses[i];

        if (sweep->targets[i].requests && address->family == to->family &&
            memcmp(address->bytes, to->bytes, sizeof(to->bytes)) == 0) {
            *index = (uint32_t)i;
            *attempt = sweep->targets[i].requests - 1;
            return true;
        }
    }
    return false;
}

static void take_reply(struct probe_sweep *sweep, const struct engine_event *event)
{
    struct target *target = &sweep->targets[event->index];
    struct probe_counters *counters = &sweep->engine.counters;
    uint64_t rtt_ns = event->at_ns - event->sent_ns;

    if (target->state == TARGET_DONE) {
        if (target->outcome == PROBE_REPLY && target->answered == event->attempt)
            counters->duplicates++;
        else if (target->outcome == PROBE_REPLY && rtt_ns <= sweep->wait_ns)
            counters->replies++;
        else
            counters->late++;
        return;
    }
    engine_answered(&sweep->engine, event->sent_ns, rtt_ns);
    if (target->requests == sweep->requests_max && event->stamped && event->at_ns > target->due_ns) {
        counters->late++;
        return;
    }
    counters->replies++;
    target->rtt_ns = rtt_ns;
    target->answered = event->attempt;
    finish(sweep, event->index, PROBE_REPLY);
}

static void sweep_event(void *owner, const struct engine_event *event)
{
    struct probe_sweep *sweep = owner;
    struct target *target = &sweep->targets[event->index];

    if (event->reply) {
        take_reply(sweep, event);
    } else if (target->state != TARGET_DONE) {
        keep_error(target, event->outcome, &event->error, event->sealed);
        if (event->sealed)
            request_failed(sweep, event->index, event->attempt);
    }
}

static const struct engine_owner sweep_owner = {
    .lookup = sweep_lookup,
    .find = sweep_find,
    .event = sweep_event,
};

/* Splits the window into waits. */
static void plan(struct probe_sweep *sweep, const struct probe_settings *settings)
{
    uint64_t window_ns = settings->select_timeout_ns * settings->select_count;

    if (settings->ping_timeout_ns)
        window_ns = min_u64(window_ns, settings->ping_timeout_ns);
    sweep->wait_ns = settings->select_timeout_ns;
    sweep->requests_max = 1;
    if (!settings->single_request)
        sweep->requests_max = (uint32_t)((window_ns + sweep->wait_ns - 1) / sweep->wait_ns);
    sweep->last_wait_ns = window_ns - (sweep->requests_max - 1) * sweep->wait_ns;
}

int probe_sweep_new_over(struct probe_sweep **out, const struct probe_settings *settings,
                         struct transport *transport)
{
    CLEANUP(probe_sweep_free) struct probe_sweep *sweep = calloc(1, sizeof(*sweep));
    int r;

    if (!sweep) {
        transport_close(transport);
        return -ENOMEM;
    }
    sweep->waiting = sweep->ending = sweep->ready = (struct queue){NOBODY, NOBODY};
    sweep->blocked_since_ns = NEVER_NS;
    sweep->wakeup_fd = -1;
    plan(sweep, settings);
    r = engine_init(&sweep->engine, transport, settings, &sweep_owner, sweep);
    if (r < 0)
        return r;
    *out = TAKE(sweep);
    return 0;
}

int probe_sweep_new(struct probe_sweep **out, const struct probe_settings *settings, char *message,
                    size_t size_bytes)
{
    struct transport *transport = NULL;
    int r = probe_settings_check(settings, message, size_bytes);

    if (r == 0)
        r = transport_open(&transport, settings, message, size_bytes);
    if (r < 0)
        return r;
    r = probe_sweep_new_over(out, settings, transport);
    if (r < 0)
        snprintf(message, size_bytes, "%s", strerror(-r));
    return r;
}

struct probe_sweep *probe_sweep_free(struct probe_sweep *sweep)
{
    if (!sweep)
        return NULL;
    engine_destroy(&sweep->engine);
    free(sweep->addresses);
    free(sweep->targets);
    free(sweep);
    return NULL;
}

static int grow(struct probe_sweep *sweep)
{
    uint32_t capacity = sweep->capacity ? sweep->capacity * 2 : TARGETS_MIN;
    struct address *addresses;
    struct target *targets;

    if (capacity < sweep->capacity)
        return -ENOMEM;
    addresses = realloc(sweep->addresses, capacity * sizeof(*addresses));
    if (!addresses)
        return -ENOMEM;
    sweep->addresses = addresses;
    targets = realloc(sweep->targets, capacity * sizeof(*targets));
    if (!targets)
        return -ENOMEM;
    sweep->targets = targets;
    sweep->capacity = capacity;
    return engine_reserve(&sweep->engine, sweep->engine.settings.payload_bytes, capacity);
}

int probe_sweep_add(struct probe_sweep *sweep, const struct address *target, uint32_t *index)
{
    int r = engine_open_family(&sweep->engine, target->family);

    if (r == 0 && sweep->count == sweep->capacity)
        r = grow(sweep);
    if (r < 0)
        return r;
    sweep->addresses[sweep->count] = *target;
    sweep->targets[sweep->count] = (struct target){.outcome = PROBE_TIMEOUT, .next = NOBODY};
    *index = sweep->count++;
    return 0;
}

struct address probe_sweep_target(const struct probe_sweep *sweep, uint32_t index)
{
    return sweep->addresses[index];
}

bool probe_sweep_done(const struct probe_sweep *sweep)
{
    return sweep->delivered == sweep->count;
}

/* Files a target whose request has left, or was refused for good. */
static void request_made(struct probe_sweep *sweep, const struct engine_request *request, uint64_t left_ns)
{
    struct target *target = &sweep->targets[request->index];
    uint64_t planned_ns = target->requests ? target->due_ns : left_ns;
    bool last = ++target->requests == sweep->requests_max;
    uint64_t wait_ns = last ? sweep->last_wait_ns : sweep->wait_ns;

    target->due_ns = max_u64(planned_ns + wait_ns, sub_sat_u64(left_ns + wait_ns, sweep->wait_ns / 4));
    if (request->error) {
        struct probe_error error;
        enum probe_outcome outcome = engine_send_outcome(request, &error);

        keep_error(target, outcome, &error, true);
        request_failed(sweep, request->index, request->attempt);
    }
    if (target->state != TARGET_DONE)
        queue_push(sweep, last ? &sweep->ending : &sweep->waiting, request->index);
}

static void request_prepare(struct probe_sweep *sweep, uint32_t index, struct engine_request *request)
{
    *request = (struct engine_request){
        .index = index,
        .attempt = sweep->targets[index].requests,
        .sequence = (uint16_t)index,
        .to = sweep->addresses[index],
        .payload_bytes = sweep->engine.settings.payload_bytes,
        .dont_fragment = sweep->engine.settings.dont_fragment,
    };
}

/* The kernel has had no room for so long that somebody must be told. */
static void give_up(struct probe_sweep *sweep, struct engine_request *request, uint64_t now_ns, int want)
{
    uint64_t window_ns = (sweep->requests_max - 1) * sweep->wait_ns + sweep->last_wait_ns;
    struct target *target = &sweep->targets[request->index];
    struct probe_error error = {.error = want};

    if (now_ns - sweep->blocked_since_ns < max_u64(PATIENCE_NS, window_ns))
        return;
    keep_error(target, PROBE_SEND_FAILED, &error, true);
    finish(sweep, request->index, PROBE_SEND_FAILED);
}

static void blocked(struct probe_sweep *sweep, struct engine_request *requests, unsigned count, bool progress,
                    uint64_t now_ns, int want)
{
    if (progress || sweep->blocked_since_ns == NEVER_NS)
        sweep->blocked_since_ns = now_ns;
    sweep->blocked_until_ns = now_ns + ENGINE_RETRY_NS;
    for (unsigned i = count; i-- > 0;)
        queue_push_front(sweep, &sweep->waiting, requests[i].index);
    give_up(sweep, &requests[0], now_ns, want);
}

/* Sends one batch: first the requests that are due, then first requests. */
static void send_batch(struct probe_sweep *sweep, uint64_t now_ns)
{
    struct engine_request requests[ENGINE_BATCH];
    unsigned limit = (unsigned)min_u64(engine_room(&sweep->engine, now_ns), ENGINE_BATCH);
    unsigned count = 0;
    unsigned done;
    struct engine_sending sending;

    for (; count < limit && queue_due_ns(sweep, &sweep->waiting) <= now_ns; count++) {
        request_prepare(sweep, sweep->waiting.head, &requests[count]);
        queue_pop(sweep, &sweep->waiting);
    }
    for (; count < limit && sweep->first_unsent < sweep->count; count++) {
        sweep->targets[sweep->first_unsent].due_ns = now_ns;
        request_prepare(sweep, sweep->first_unsent++, &requests[count]);
    }
    if (count == 0)
        return;
    done = engine_send(&sweep->engine, requests, count, &sending);
    for (unsigned i = 0; i < done; i++)
        request_made(sweep, &requests[i], sending.left_ns);
    if (done < count)
        blocked(sweep, requests + done, count - done, done > 0, now_ns, sending.want);
    else
        sweep->blocked_since_ns = NEVER_NS;
}

/* Ends the waits that are over. Everything that arrived before now_ns has been read. */
static void judge(struct probe_sweep *sweep, uint64_t now_ns)
{
    while (queue_due_ns(sweep, &sweep->ending) <= now_ns) {
        uint32_t index = sweep->ending.head;

        queue_pop(sweep, &sweep->ending);
        finish(sweep, index, sweep->targets[index].outcome);
    }
}

/* When there is something to do again; now_ns or earlier: at once. */
static uint64_t next_ns(struct probe_sweep *sweep, uint64_t now_ns)
{
    uint64_t send_ns = queue_due_ns(sweep, &sweep->waiting);

    if (sweep->first_unsent < sweep->count)
        send_ns = now_ns;
    if (send_ns != NEVER_NS) {
        send_ns = max_u64(send_ns, sweep->blocked_until_ns);
        if (send_ns <= now_ns && engine_room(&sweep->engine, now_ns) == 0)
            send_ns = engine_room_at_ns(&sweep->engine);
    }
    return min_u64(send_ns, queue_due_ns(sweep, &sweep->ending));
}

int probe_sweep_step(struct probe_sweep *sweep, uint64_t until_ns)
{
    const struct transport_operations *operations = sweep->engine.operations;
    uint64_t now_ns = engine_now_ns(&sweep->engine);
    uint64_t wait_ns = min_u64(until_ns, next_ns(sweep, now_ns));
    int r = 0;

    if (wait_ns == NEVER_NS && sweep->wakeup_fd < 0)
        return 0;
    if (wait_ns > now_ns && sweep->ready.head == NOBODY) {
        r = operations->wait(sweep->engine.transport, wait_ns, sweep->wakeup_fd);
        now_ns = engine_now_ns(&sweep->engine);
    }
    if (r == 0)
        r = engine_receive(&sweep->engine, now_ns);
    if (r < 0)
        return r;
    judge(sweep, now_ns);
    if (now_ns >= sweep->blocked_until_ns)
        send_batch(sweep, now_ns);
    return 0;
}

void probe_sweep_set_wakeup(struct probe_sweep *sweep, int wakeup_fd)
{
    sweep->wakeup_fd = wakeup_fd;
}

bool probe_sweep_next(struct probe_sweep *sweep, struct probe_result *result)
{
    uint32_t index = sweep->ready.head;
    const struct target *target;

    if (index == NOBODY)
        return false;
    target = &sweep->targets[index];
    sweep->ready.head = target->next_ready;
    sweep->delivered++;
    *result = (struct probe_result){
        .index = index,
        .outcome = (enum probe_outcome)target->outcome,
        .requests = target->requests,
    };
    if (result->outcome == PROBE_REPLY)
        result->rtt_ns = target->rtt_ns;
    else
        result->error = kept_error(target);
    return true;
}

const struct probe_counters *probe_sweep_counters(const struct probe_sweep *sweep)
{
    return engine_counters((struct engine *)(uintptr_t)&sweep->engine);
}

const char *probe_sweep_transport(const struct probe_sweep *sweep)
{
    return sweep->engine.operations->name;
}
