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
 * There is no table of requests under way either. The time at which a request left travels in it, so the
 * reply alone gives the round trip. It is put into the target's sample of that number. A request without a
 * reply is judged when somebody asks (probe_rounds_result()). The requests of a target are at least a period
 * (less the slack) apart, so the time of the last one says which ones are certain to be over.
 *
 * A target whose turns are used up waits in the queue `ending` for the end of its last window. Windows are
 * equally long, so the queue is in order. If nothing is under way any more it is done at once.
 *
 * Doubt is marked on the samples, for those in flight: when the next request leaves, and in the end.
 */
#include "probe/rounds.h"

#include "probe/front_end_state.h"
#include "probe/transport.h"

#define NOBODY UINT32_MAX

/* What a request's four bytes say; from SAMPLE_FIRST on it is the round trip, in units of sample_ns. */
enum sample {
    SAMPLE_OPEN,     /* no answer (so far) */
    SAMPLE_DOUBTFUL, /* the same, and our own buffer dropped replies meanwhile */
    SAMPLE_UNSENT,   /* it did not leave for want of room on this host */
    SAMPLE_FAILED,   /* an ICMP error that cannot be made up, or no way out */
    SAMPLE_LATE,     /* answered after the window */
    SAMPLE_FIRST,
};

/* All zero is a target that has not had a turn. */
struct rounds_record {
    uint64_t left_ns;    /* when the last request left */
    uint32_t requests;   /* turns used */
    uint32_t drops_seen; /* growths of the drop counter before the last request left */
    uint32_t next;       /* in the queue `ending`, then among the results */
    uint32_t reason;
    uint32_t late;
    uint32_t duplicates;
    uint16_t refusals; /* in a row */
    bool is_sealed;    /* the reason cannot have been made up */
    bool is_done;
    bool has_error;       /* the reason is an error */
    uint16_t reply_bytes; /* of the last reply that was cut short; 0: none was */
};
_Static_assert(sizeof(struct rounds_record) <= 40, "what rounds.h promises");

struct rounds_queue {
    uint32_t head, tail;
};

struct probe_rounds {
    struct front_end front;
    struct probe_rounds_plan plan;
    uint64_t window_ns;
    uint64_t sample_ns; /* the unit of samples: 1 up to a window of 4 seconds */
    uint32_t in_flight; /* how many requests to one target can be under way */
    struct rounds_record *records;
    uint32_t *samples;   /* plan.count for each target */
    uint64_t *scratch;   /* two times plan.count, for probe_rounds_result() */
    uint32_t open;       /* targets with an address and with turns left */
    uint16_t patience;   /* refusals in a row until a turn is given up */
    uint64_t gap_ns;     /* from one turn to the next */
    uint64_t round_ns;   /* when this round began; 0: none has */
    uint32_t held_count; /* turns that came, but found no room */
    uint64_t due_ns;     /* of the first turn that was collected last, or is held */
    uint32_t held[ENGINE_BATCH];
    struct rounds_queue ending; /* all turns used, in the order of the last one */
    struct rounds_queue ready;  /* done, not pulled */
};

static inline uint32_t *rounds_samples(const struct probe_rounds *rounds, uint32_t index)
{
    return rounds->samples + (size_t)index * rounds->plan.count;
}

/* The first request of a target that can be under way. */
static inline uint32_t rounds_first_in_flight(const struct probe_rounds *rounds,
                                              const struct rounds_record *record)
{
    return (uint32_t)sub_sat_u64(record->requests, rounds->in_flight);
}

/* When the wait of a request is over, at the latest. */
static inline uint64_t rounds_deadline_ns(const struct probe_rounds *rounds,
                                          const struct rounds_record *record, uint32_t attempt)
{
    uint64_t before_ns = (record->requests - 1 - attempt) * (rounds->plan.period_ns - PACING_SLACK_NS);

    return sub_sat_u64(record->left_ns, before_ns) + rounds->window_ns;
}

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

/* Marks those that are under way without an answer, if replies were dropped meanwhile. */
static void mark_doubtful(struct probe_rounds *rounds, uint32_t index)
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

static bool rounds_lookup(void *owner, uint32_t index, uint32_t attempt, struct engine_expected *expected)
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

static bool rounds_find(void *owner, const struct address *to, uint16_t sequence, uint32_t *index,
                        uint32_t *attempt)
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

static void keep_error(struct probe_rounds *rounds, uint32_t index, enum probe_outcome outcome,
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

/* All that may still be answered has been. */
static bool nothing_in_flight(const struct probe_rounds *rounds, uint32_t index)
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

    keep_error(rounds, event->index, event->outcome, &event->error, event->sealed);
    if (event->sealed && is_open(*sample))
        *sample = SAMPLE_FAILED;
}

/* Everything that can be known of a target is. */
static void finish(struct probe_rounds *rounds, uint32_t index)
{
    mark_doubtful(rounds, index);
    rounds->records[index].is_done = true;
}

static void rounds_event(void *owner, const struct engine_event *event)
{
    struct probe_rounds *rounds = owner;
    struct rounds_record *record = &rounds->records[event->index];

    if (event->reply)
        take_reply(rounds, event);
    else
        take_error(rounds, event);
    if (record->requests == rounds->plan.count && !record->is_done && nothing_in_flight(rounds, event->index))
        finish(rounds, event->index);
}

static void rounds_refused(void *owner, const struct engine_event *event)
{
    keep_error(owner, event->index, event->outcome, &event->error, event->sealed);
}

/* --- whose turn it is ---------------------------------------------------------------------------------- */

static bool needs_turn(const struct probe_rounds *rounds, uint32_t index)
{
    struct address address;

    if (rounds->records[index].requests == rounds->plan.count)
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
            rounds->round_ns += rounds->plan.period_ns;
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
    if (++record->requests < rounds->plan.count)
        return;
    rounds->open--;
    queue_push(rounds, &rounds->ending, index);
    if (nothing_in_flight(rounds, index))
        finish(rounds, index);
}

/* From now on it is another request that left last. */
static void note_left(struct probe_rounds *rounds, uint32_t index, uint64_t left_ns)
{
    mark_doubtful(rounds, index);
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

        keep_error(rounds, request->index, outcome, &error, true);
        rounds_samples(rounds, request->index)[request->attempt] = SAMPLE_FAILED;
    }
    turn_used(rounds, request->index);
}

/* As long as there is no room, each further turn is given up as well. */
static void give_up(struct probe_rounds *rounds, uint32_t index, uint64_t now_ns, int want)
{
    struct rounds_record *record = &rounds->records[index];

    keep_error(rounds, index, PROBE_SEND_FAILED, &(struct probe_error){.error = want}, false);
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

    finish(rounds, rounds->ending.head);
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
                          (uint32_t)min_u64(each * rounds->front.count, INT32_MAX));
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
    rounds->plan = *plan;
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

/* --- results ------------------------------------------------------------------------------------------- */

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
        mark_doubtful(rounds, index);
    for (uint32_t i = 0; i < record->requests; i++)
        times_ns[i] = count_sample(rounds, record, i, samples[i], now_ns, result);
    result->sent = record->requests - result->unsent;
    result->error_outcome = reasons_get(&rounds->front.reasons, record->reason, &result->error);
    result->has_error = record->has_error;
    result->outcome = result->answered > 0 ? PROBE_REPLY : result->error_outcome;
    result->times = probe_rounds_times_of(times_ns, record->requests, rounds->scratch);
    return record->requests > 0;
}
