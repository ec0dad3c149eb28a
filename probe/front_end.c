/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common part of what asks each of a list of targets something. It decides nothing about a target.
 *
 * A round receives, judges, sends one batch. So replies are fetched between the batches, and never more
 * requests are under way than replies fit into the socket's buffer (engine.h).
 *
 * Drops. The kernel counts what it dropped for want of room in our receive buffer, but not whose reply it
 * was. Each growth of that counter is kept with the time before which it cannot have happened.
 * front_end_has_dropped() compares these times with the time in which a request was under way. So it tells
 * whether our own drops may be the reason for a silence.
 */
#include "probe/front_end.h"

#include "probe/front_end_state.h"
#include "probe/unguessable.h"
#include "probe/wakeup.h"

/* How old our knowledge of the drop counter may be while requests leave. */
#define DROPS_PERIOD_NS NS_PER_MS
/* How long the index of an interface is believed. Looking one up takes some microseconds. */
#define REFRESH_PERIOD_NS (NS_PER_S / 4)

/* --- life and targets ---------------------------------------------------------------------------------- */

int front_end_init(struct front_end *front, struct transport *transport,
                   const struct probe_settings *settings, const struct front_end_owner *operations,
                   void *owner)
{
    front->operations = operations;
    front->targets = &front->own;
    front->wakeup_fd = -1;
    front->pacing = pacing_of(settings->rate);
    front->blocked_since_ns = NEVER_NS;
    return engine_init(&front->engine, transport, settings, &operations->incoming, owner);
}

void front_end_destroy(struct front_end *front)
{
    engine_destroy(&front->engine);
    probe_targets_clear(&front->own);
    reasons_clear(&front->reasons);
    free(front->growths_ns);
}

int front_end_share(struct front_end *front, struct probe_targets *targets, uint32_t first, uint32_t count,
                    bool shuffled)
{
    uint32_t key[4];
    int r = unguessable_fill(key, sizeof(key));

    if (r < 0)
        return r;
    /* A family that cannot be opened is a result of its targets, not of all. */
    if (targets->has_ipv4)
        engine_open_family(&front->engine, AF_INET);
    if (targets->has_ipv6)
        engine_open_family(&front->engine, AF_INET6);
    r = engine_reserve(&front->engine, front->engine.settings.payload_bytes, count);
    if (r < 0)
        return r;
    front->targets = targets;
    front->first = first;
    front->count = count;
    if (shuffled)
        shuffle_init(&front->shuffle, count, key);
    return 0;
}

int front_end_take(struct front_end *front, struct probe_targets *targets, bool shuffled)
{
    int r = front_end_share(front, targets, 0, targets->count, shuffled);

    if (r < 0)
        return r;
    front->own = *targets;
    front->targets = &front->own;
    *targets = (struct probe_targets){0};
    return 0;
}

void front_end_again(struct front_end *front)
{
    engine_refresh(&front->engine);
    reasons_clear(&front->reasons);
    front->position = 0;
    front->growths = 0;
    front->blocked_since_ns = NEVER_NS;
}

void front_end_set(struct front_end *front, uint32_t index, const struct address *address)
{
    engine_open_family(&front->engine, address->family);
    probe_targets_set(front->targets, front->first + index, address);
    front->operations->found(front->engine.owner, index, address);
}

bool front_end_find(const struct front_end *front, const struct address *to, uint64_t *index)
{
    for (; *index < front->count; *index += 65536) {
        struct address address = front_end_address(front, (uint32_t)*index);

        if (address.family == to->family && memcmp(address.bytes, to->bytes, sizeof(to->bytes)) == 0)
            return true;
    }
    return false;
}

bool front_end_keep_error(struct front_end *front, uint32_t *reason, bool is_sealed,
                          enum probe_outcome outcome, const struct probe_error *error, bool sealed)
{
    if (is_sealed && !sealed)
        return true;
    reasons_release(&front->reasons, *reason);
    *reason = reasons_take(&front->reasons, outcome, error);
    return sealed;
}

/* --- the round ----------------------------------------------------------------------------------------- */

static int add_growth(struct front_end *front)
{
    if (front->growths == front->growths_room) {
        uint32_t room = front->growths_room ? 2 * front->growths_room : 16;
        uint64_t *larger = realloc(front->growths_ns, room * sizeof(*larger));

        if (!larger)
            return -ENOMEM;
        front->growths_ns = larger;
        front->growths_room = room;
    }
    front->growths_ns[front->growths++] = front->drops_at_ns;
    return 0;
}

/* Looks how much our own buffer has dropped. */
static int look_at_drops(struct front_end *front, uint64_t now_ns)
{
    uint64_t drops = front->engine.operations->receive_drops(front->engine.transport);
    int r = drops != front->drops ? add_growth(front) : 0;

    front->drops = drops;
    front->drops_at_ns = now_ns;
    return r;
}

/* Ends the waits that are over. */
static int judge(struct front_end *front, uint64_t now_ns)
{
    const struct front_end_owner *operations = front->operations;
    void *owner = front->engine.owner;
    int r;

    if (operations->due_ns(owner) > now_ns)
        return 0;
    r = look_at_drops(front, now_ns);
    while (r == 0 && operations->due_ns(owner) <= now_ns)
        operations->judge(owner, now_ns);
    return r;
}

/* Sends a batch; returns how many requests are dealt with. */
static unsigned send_requests(struct front_end *front, uint64_t now_ns, struct engine_request *requests,
                              unsigned count)
{
    const struct front_end_owner *operations = front->operations;
    void *owner = front->engine.owner;
    struct engine_sending sending;
    unsigned sent = 0;

    for (unsigned at = 0; at < count; at++) {
        unsigned done = engine_send(&front->engine, requests + at, count - at, &sending);

        for (unsigned i = 0; i < done; i++)
            operations->made(owner, &requests[at + i], sending.left_ns);
        sent += done;
        at += done;
        if (at == count)
            break;
        if (sending.want != ENOBUFS) {
            front->blocked_until_ns = now_ns + ENGINE_RETRY_NS;
            operations->blocked(owner, requests + at, count - at, now_ns, sending.want);
            break;
        }
        operations->no_room(owner, &requests[at], now_ns, sending.want);
    }
    return sent;
}

static int send_batch(struct front_end *front, uint64_t now_ns)
{
    struct engine_request requests[ENGINE_BATCH];
    unsigned room = (unsigned)min_u64(engine_room(&front->engine, now_ns), ENGINE_BATCH);
    unsigned limit = pacing_allows(&front->pacing, now_ns, room), sent;
    int count = front->operations->collect(front->engine.owner, now_ns, requests, limit), r = 0;

    if (count <= 0)
        return count;
    if (now_ns - front->drops_at_ns >= DROPS_PERIOD_NS)
        r = look_at_drops(front, now_ns);
    if (r < 0)
        return r;
    sent = send_requests(front, now_ns, requests, (unsigned)count);
    pacing_take(&front->pacing, now_ns, sent);
    if (sent)
        front->blocked_since_ns = NEVER_NS;
    else if (front->blocked_since_ns == NEVER_NS)
        front->blocked_since_ns = now_ns;
    return 0;
}

/* When there is something to do again; now_ns or earlier: at once. */
static uint64_t next_ns(struct front_end *front, uint64_t now_ns)
{
    uint64_t send_ns = front->operations->turn_ns(front->engine.owner, now_ns);

    if (send_ns != NEVER_NS) {
        send_ns = max_u64(send_ns, max_u64(front->blocked_until_ns, front->pacing.next_ns));
        if (send_ns <= now_ns && engine_room(&front->engine, now_ns) == 0)
            send_ns = engine_room_at_ns(&front->engine);
    }
    return min_u64(send_ns, front->operations->due_ns(front->engine.owner));
}

/*
 * It may take hours: an interface that is made anew meanwhile has another index. Who has a list in common
 * with others (pool.c) looks when nobody reads it.
 */
static void refresh(struct front_end *front, uint64_t now_ns)
{
    if (now_ns < front->refresh_at_ns || front->targets != &front->own)
        return;
    probe_targets_refresh(&front->own);
    engine_refresh(&front->engine);
    front->refresh_at_ns = now_ns + REFRESH_PERIOD_NS;
}

/* *now_ns is the time after it. */
static int wait_until(struct front_end *front, uint64_t until_ns, uint64_t *now_ns)
{
    const struct engine *engine = &front->engine;
    int r;

    if (until_ns <= *now_ns || front->operations->has_results(engine->owner))
        return 0;
    r = engine->operations->wait(engine->transport, until_ns, front->wakeup_fd);
    *now_ns = engine_now_ns(engine);
    /* Whatever it was for is looked at after this. */
    if (front->wakeup_fd >= 0)
        wakeup_empty(front->wakeup_fd);
    return r;
}

int front_end_step(struct front_end *front, uint64_t until_ns)
{
    uint64_t now_ns = engine_now_ns(&front->engine);
    uint64_t wait_ns = min_u64(until_ns, next_ns(front, now_ns));
    int r;

    if (wait_ns == NEVER_NS && front->wakeup_fd < 0)
        return 0;
    refresh(front, now_ns);
    r = wait_until(front, wait_ns, &now_ns);
    if (r == 0)
        r = engine_receive(&front->engine, now_ns);
    if (r == 0)
        r = judge(front, now_ns);
    if (r == 0 && now_ns >= front->blocked_until_ns)
        r = send_batch(front, now_ns);
    return r;
}

int front_end_stop(struct front_end *front)
{
    uint64_t now_ns = engine_now_ns(&front->engine);
    int r = engine_receive(&front->engine, now_ns);

    return r < 0 ? r : judge(front, now_ns);
}

/* --- what is asked of it ------------------------------------------------------------------------------- */

void front_end_set_wakeup(struct front_end *front, int wakeup_fd)
{
    front->wakeup_fd = wakeup_fd;
}

const struct probe_targets *front_end_targets(const struct front_end *front)
{
    return front->targets;
}

const struct probe_counters *front_end_counters(struct front_end *front)
{
    return engine_counters(&front->engine);
}

uint32_t front_end_asked_again(const struct front_end *front)
{
    return front->asked_again;
}

const char *front_end_transport(const struct front_end *front)
{
    return front->engine.operations->name;
}

const char *front_end_failed_call(const struct front_end *front)
{
    return engine_failed_call(&front->engine);
}
