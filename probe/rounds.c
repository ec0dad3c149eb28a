/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounds: the rules are in rounds.h.
 *
 * The schedule is no list. A round is a walk over all positions of the (shuffled) order, a gap of
 * period / targets apart; the next round begins a period after this one. Whose turn it is at a position is
 * computed. A target that needs no turn (it is done, or has no address yet) is passed over without waiting.
 * When a turn comes more than PACING_SLACK_NS late, the round's beginning moves with it. So two requests to
 * one target never come closer than a period less that slack. There are as many rounds as it takes: a target
 * that was refused, or whose name was found later, has its turns in further rounds.
 *
 * A target whose turns are used up waits in the queue `ending` for the end of its last window. Windows are
 * equally long, so the queue is in order. If nothing is under way any more it is done at once.
 *
 * What becomes of the requests is in rounds_samples.c.
 */
#include "probe/rounds.h"

#include "probe/rounds_state.h"
#include "probe/transport.h"

static void queue_push(struct probe_rounds *rounds, struct rounds_queue *queue, uint32_t index)
{
    rounds->records[index].next = NOBODY;
    if (queue->head == NOBODY)
        queue->head = index;
    else
        rounds->records[queue->tail].next = index;
    queue->tail = index;
}

static uint32_t queue_pop(struct probe_rounds *rounds, struct rounds_queue *queue)
{
    uint32_t index = queue->head;

    if (index != NOBODY)
        queue->head = rounds->records[index].next;
    return index;
}

/* --- whose turn it is ---------------------------------------------------------------------------------- */

static bool needs_turn(const struct probe_rounds *rounds, uint32_t index)
{
    struct address address;

    if (rounds->records[index].requests == rounds->count)
        return false;
    address = front_end_address(&rounds->front, index);
    return address_is_set(&address);
}

/* Goes on to the next one who needs a turn; says when it is. Only when there is one. */
static uint64_t next_turn_ns(struct probe_rounds *rounds, uint64_t now_ns, uint32_t *index)
{
    struct front_end *front = &rounds->front;

    if (rounds->round_ns == 0)
        rounds->round_ns = now_ns;
    for (;; front->position++) {
        if (front->position >= front->count) {
            front->position = 0;
            rounds->round_ns += rounds->period_ns;
        }
        *index = front_end_at(front, front->position);
        if (needs_turn(rounds, *index))
            return rounds->round_ns + front->position * rounds->gap_ns;
    }
}

/* What is late moves everything behind it, and itself. Returns when it is due then. */
static uint64_t move_schedule(struct probe_rounds *rounds, uint64_t due_ns, uint64_t now_ns)
{
    uint64_t late_ns = sub_sat_u64(now_ns - due_ns, PACING_SLACK_NS);

    rounds->round_ns += late_ns;
    return due_ns + late_ns;
}

/* A turn is over: what became of it is in the sample. */
static void turn_used(struct probe_rounds *rounds, uint32_t index)
{
    struct rounds_record *record = &rounds->records[index];

    record->refusals = 0;
    if (++record->requests < rounds->count)
        return;
    rounds->open--;
    queue_push(rounds, &rounds->ending, index);
    if (rounds_nothing_in_flight(rounds, index))
        rounds_finish(rounds, index);
}

/* From now on it is another request that left last. */
static void note_left(struct probe_rounds *rounds, uint32_t index, uint64_t left_ns)
{
    rounds_mark_doubtful(rounds, index);
    rounds->records[index].left_ns = left_ns;
    rounds->records[index].drops_seen = rounds->front.growths;
}

static void rounds_made(void *owner, const struct engine_request *request, uint64_t left_ns)
{
    struct probe_rounds *rounds = owner;

    note_left(rounds, request->index, left_ns);
    if (request->error) {
        struct probe_error error;
        enum probe_outcome outcome = engine_send_outcome(request, &error);

        rounds_keep_error(rounds, request->index, outcome, &error, true);
        rounds_samples(rounds, request->index)[request->attempt] = SAMPLE_FAILED;
    }
    turn_used(rounds, request->index);
}

/* As long as there is no room, each further turn is given up as well. */
static void give_up(struct probe_rounds *rounds, uint32_t index, uint64_t now_ns, int want)
{
    struct rounds_record *record = &rounds->records[index];

    rounds_keep_error(rounds, index, PROBE_SEND_FAILED, &(struct probe_error){.error = want}, false);
    note_left(rounds, index, now_ns);
    rounds_samples(rounds, index)[record->requests] = SAMPLE_UNSENT;
    turn_used(rounds, index);
    record->refusals = rounds->patience;
}

/* It will have another turn, but not for ever. */
static void rounds_no_room(void *owner, const struct engine_request *request, uint64_t now_ns, int want)
{
    struct probe_rounds *rounds = owner;

    if (++rounds->records[request->index].refusals >= rounds->patience)
        give_up(rounds, request->index, now_ns, want);
}

/* Turns that have come are kept, those to come move. */
static void rounds_blocked(void *owner, const struct engine_request *requests, unsigned count,
                           uint64_t now_ns, int want)
{
    struct probe_rounds *rounds = owner;
    unsigned first = 0;

    if (front_end_is_stuck(&rounds->front, now_ns, FRONT_END_PATIENCE_NS))
        give_up(rounds, requests[first++].index, now_ns, want);
    memmove(rounds->held + count - first, rounds->held, rounds->held_count * sizeof(rounds->held[0]));
    for (unsigned i = first; i < count; i++)
        rounds->held[i - first] = requests[i].index;
    rounds->held_count += count - first;
}

static void request_prepare(struct probe_rounds *rounds, uint32_t index, struct engine_request *request)
{
    const struct engine *engine = &rounds->front.engine;

    *request = (struct engine_request){
        .index = index,
        .attempt = rounds->records[index].requests,
        .sequence = (uint16_t)index,
        .to = front_end_address(&rounds->front, index),
        .payload_bytes = engine->settings.payload_bytes,
        .dont_fragment = engine->settings.dont_fragment,
    };
}

/* A family for which this host has no sockets: known without asking. */
static bool has_no_sockets(struct probe_rounds *rounds, struct engine_request *request, uint64_t now_ns)
{
    if (rounds->front.engine.is_open[request->to.family == AF_INET6])
        return false;
    request->error = EAFNOSUPPORT;
    rounds_made(rounds, request, now_ns);
    return true;
}

static int rounds_collect(void *owner, uint64_t now_ns, struct engine_request *requests, unsigned limit)
{
    struct probe_rounds *rounds = owner;
    uint64_t due_ns = now_ns;
    unsigned count = 0;
    uint32_t taken = 0;

    if (limit == 0)
        return 0;
    if (rounds->held_count > 0)
        due_ns = move_schedule(rounds, rounds->due_ns, now_ns);
    while (count < limit && taken < rounds->held_count)
        request_prepare(rounds, rounds->held[taken++], &requests[count++]);
    rounds->held_count -= taken;
    memmove(rounds->held, rounds->held + taken, rounds->held_count * sizeof(rounds->held[0]));
    while (count < limit && rounds->held_count == 0 && rounds->open > 0) {
        uint32_t index;
        uint64_t turn_ns = next_turn_ns(rounds, now_ns, &index);

        if (turn_ns > now_ns)
            break;
        due_ns = min_u64(due_ns, move_schedule(rounds, turn_ns, now_ns));
        rounds->front.position++;
        request_prepare(rounds, index, &requests[count]);
        count += !has_no_sockets(rounds, &requests[count], now_ns);
    }
    rounds->due_ns = due_ns;
    return (int)count;
}

/* --- the round of rounds ------------------------------------------------------------------------------- */

/* When the first of those that have had their turns is due, NEVER_NS for none; the done ones are results. */
static uint64_t ending_ns(struct probe_rounds *rounds)
{
    while (rounds->ending.head != NOBODY && rounds->records[rounds->ending.head].is_done)
        queue_push(rounds, &rounds->ready, queue_pop(rounds, &rounds->ending));
    if (rounds->ending.head == NOBODY)
        return NEVER_NS;
    return rounds->records[rounds->ending.head].left_ns + rounds->window_ns;
}

static uint64_t rounds_due_ns(void *owner)
{
    return ending_ns(owner);
}

static void rounds_judge(void *owner, uint64_t now_ns)
{
    struct probe_rounds *rounds = owner;

    rounds_finish(rounds, rounds->ending.head);
}

static uint64_t rounds_turn_ns(void *owner, uint64_t now_ns)
{
    struct probe_rounds *rounds = owner;
    uint32_t index;

    if (rounds->held_count > 0)
        return now_ns;
    return rounds->open > 0 ? next_turn_ns(rounds, now_ns, &index) : NEVER_NS;
}

static bool rounds_has_results(const void *owner)
{
    const struct probe_rounds *rounds = owner;

    return rounds->ready.head != NOBODY;
}

static void rounds_found(void *owner, uint32_t index, const struct address *address)
{
    struct probe_rounds *rounds = owner;

    rounds->open++;
}

static const struct front_end_owner rounds_owner = {
    .incoming = {.lookup = rounds_lookup,
                 .find = rounds_find,
                 .event = rounds_event,
                 .refused = rounds_refused},
    .found = rounds_found,
    .has_results = rounds_has_results,
    .due_ns = rounds_due_ns,
    .judge = rounds_judge,
    .turn_ns = rounds_turn_ns,
    .collect = rounds_collect,
    .made = rounds_made,
    .no_room = rounds_no_room,
    .blocked = rounds_blocked,
};

bool probe_rounds_next(struct probe_rounds *rounds, uint32_t *index)
{
    ending_ns(rounds);
    *index = queue_pop(rounds, &rounds->ready);
    return *index != NOBODY;
}

/* --- life ---------------------------------------------------------------------------------------------- */

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
    uint64_t count = max_u64(rounds->front.count, 1);
    uint64_t refusals;

    rounds->period_ns = max_u64(rounds->period_ns, count * rounds->front.pacing.interval_ns);
    rounds->gap_ns = rounds->period_ns / count;
    rounds->in_flight =
        (uint32_t)min_u64(rounds->window_ns / (rounds->period_ns - PACING_SLACK_NS) + 1, UINT32_MAX);
    refusals = FRONT_END_PATIENCE_NS / rounds->period_ns + 1;
    rounds->patience = (uint16_t)min_u64(refusals, UINT16_MAX);
}

/* Room for the replies to all that can be under way. */
static int reserve(struct probe_rounds *rounds)
{
    uint64_t each = min_u64(rounds->in_flight, rounds->count);

    return engine_reserve(&rounds->front.engine, rounds->front.engine.settings.payload_bytes,
                          (uint32_t)min_u64(each * rounds->front.count, INT32_MAX));
}

static int take(struct probe_rounds *rounds, struct probe_targets *targets, bool shuffled)
{
    uint32_t count = targets->count;
    int r;

    rounds->records = calloc(max_u64(count, 1), sizeof(*rounds->records));
    rounds->samples = calloc((size_t)max_u64(count, 1) * rounds->count, sizeof(*rounds->samples));
    rounds->scratch = calloc(rounds->count, 2 * sizeof(*rounds->scratch));
    if (!rounds->records || !rounds->samples || !rounds->scratch)
        return -ENOMEM;
    r = front_end_take(&rounds->front, targets, shuffled);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < count; i++) {
        struct address address = front_end_address(&rounds->front, i);

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
    rounds->count = plan->count;
    rounds->period_ns = plan->period_ns;
    rounds->window_ns = settings->select_timeout_ns * settings->select_count;
    rounds->sample_ns = rounds->window_ns / (UINT32_MAX - SAMPLE_FIRST) + 1;
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

struct front_end *probe_rounds_front(struct probe_rounds *rounds)
{
    return &rounds->front;
}
