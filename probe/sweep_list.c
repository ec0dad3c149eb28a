/* SPDX-License-Identifier: Apache-2.0 */
/* A sweep's life, its targets and its results. The rules are in sweep.c. */
#include "probe/sweep.h"
#include "probe/sweep_state.h"

#define RECORDS_MIN 64

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
    sweep->waiting = sweep->ending = sweep->ready = sweep->refused = (struct queue){NOBODY, NOBODY};
    plan(sweep, settings);
    r = front_end_init(&sweep->front, transport, settings, &sweep_owner, sweep);
    if (r < 0)
        return r;
    *out = TAKE(sweep);
    return 0;
}

int probe_sweep_new(struct probe_sweep **out, const struct probe_settings *settings, char *message,
                    size_t size_bytes)
{
    struct transport *transport = NULL;
    int r = transport_open(&transport, settings, UINT32_MAX, message, size_bytes);

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
    front_end_destroy(&sweep->front);
    free(sweep->records);
    free(sweep);
    return NULL;
}

static int grow(struct probe_sweep *sweep)
{
    uint32_t capacity = sweep->capacity ? sweep->capacity * 2 : RECORDS_MIN;
    struct record *records;

    if (capacity < sweep->capacity)
        return -ENOMEM;
    records = realloc(sweep->records, capacity * sizeof(*records));
    if (!records)
        return -ENOMEM;
    sweep->records = records;
    sweep->capacity = capacity;
    return engine_reserve(&sweep->front.engine, sweep->front.engine.settings.payload_bytes, capacity);
}

int probe_sweep_add(struct probe_sweep *sweep, const struct address *target, uint32_t *index)
{
    struct front_end *front = &sweep->front;
    int r = engine_open_family(&front->engine, target->family);

    if (r == 0 && front->count == sweep->capacity)
        r = grow(sweep);
    if (r < 0)
        return r;
    *index = front->count;
    r = probe_targets_add(&front->own, &(struct probe_range){*target, *target});
    if (r == 0)
        sweep->records[front->count++] = (struct record){0};
    return r;
}

/* Not touched before its turn comes: pages of zeroes cost nothing. */
static int make_records(struct probe_sweep *sweep, uint32_t count)
{
    sweep->records = calloc(max_u64(count, 1), sizeof(*sweep->records));
    sweep->capacity = count;
    return sweep->records ? 0 : -ENOMEM;
}

int sweep_share(struct probe_sweep *sweep, struct probe_targets *targets, uint32_t first, uint32_t count,
                bool shuffled)
{
    int r = make_records(sweep, count);

    return r < 0 ? r : front_end_share(&sweep->front, targets, first, count, shuffled);
}

int probe_sweep_take(struct probe_sweep *sweep, struct probe_targets *targets, bool shuffled)
{
    int r = make_records(sweep, targets->count);

    if (r == 0)
        r = front_end_take(&sweep->front, targets, shuffled);
    if (r < 0)
        return r;
    /* What is added from now on is meant. */
    sweep->front.own.excluded = NULL;
    sweep->front.own.shard = sweep->front.own.shards = 0;
    return 0;
}

void sweep_again(struct probe_sweep *sweep)
{
    front_end_again(&sweep->front);
    if (sweep->front.count > 0)
        memset(sweep->records, 0, sweep->front.count * sizeof(*sweep->records));
    sweep->waiting = sweep->ending = sweep->ready = sweep->refused = (struct queue){NOBODY, NOBODY};
    sweep->refused_count = sweep->refused_turns = 0;
    sweep->finished = 0;
    sweep->began_ns = engine_now_ns(&sweep->front.engine);
}

struct front_end *probe_sweep_front(struct probe_sweep *sweep)
{
    return &sweep->front;
}

bool probe_sweep_done(const struct probe_sweep *sweep)
{
    return sweep->finished == sweep->front.count && sweep->ready.head == NOBODY;
}

bool probe_sweep_result(const struct probe_sweep *sweep, uint32_t index, struct probe_result *result)
{
    const struct record *record = &sweep->records[index];

    *result = (struct probe_result){.index = index, .requests = record->requests};
    if (record->state != RECORD_DONE)
        return false;
    if (record->is_reply) {
        result->outcome = PROBE_REPLY;
        result->rtt_ns = record->rtt_ns;
        if (record->is_cut)
            reasons_get(&sweep->front.reasons, record->reason, &result->error);
    } else {
        result->outcome = reasons_get(&sweep->front.reasons, record->reason, &result->error);
        result->doubtful = record->is_doubtful;
    }
    return true;
}

bool probe_sweep_next(struct probe_sweep *sweep, struct probe_result *result)
{
    uint32_t index = sweep->ready.head;

    if (index == NOBODY)
        return false;
    sweep->ready.head = sweep->records[index].next_ready;
    return probe_sweep_result(sweep, index, result);
}

void sweep_close(struct probe_sweep *sweep)
{
    engine_counters(&sweep->front.engine);
    engine_destroy(&sweep->front.engine);
}
