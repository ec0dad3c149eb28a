/* SPDX-License-Identifier: Apache-2.0 */
/* A sweep's life, its targets and its results. The rules are in sweep.c. */
#include <sys/random.h>

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
    sweep->pacing = pacing_of(settings->rate);
    sweep->blocked_since_ns = NEVER_NS;
    sweep->wakeup_fd = -1;
    sweep->targets = &sweep->own;
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
    engine_destroy(&sweep->engine);
    probe_targets_clear(&sweep->own);
    reasons_clear(&sweep->reasons);
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
    return engine_reserve(&sweep->engine, sweep->engine.settings.payload_bytes, capacity);
}

int probe_sweep_add(struct probe_sweep *sweep, const struct address *target, uint32_t *index)
{
    int r = engine_open_family(&sweep->engine, target->family);

    if (r == 0 && sweep->count == sweep->capacity)
        r = grow(sweep);
    if (r < 0)
        return r;
    *index = sweep->count;
    r = probe_targets_add(&sweep->own, &(struct probe_range){*target, *target});
    if (r == 0)
        sweep->records[sweep->count++] = (struct record){0};
    return r;
}

int sweep_share(struct probe_sweep *sweep, struct probe_targets *targets, uint32_t first, uint32_t count,
                bool shuffled)
{
    uint32_t key[4];
    int r;

    if (getrandom(key, sizeof(key), 0) != sizeof(key))
        return -EIO;
    /* Not touched before its turn comes: pages of zeroes cost nothing. */
    sweep->records = calloc(max_u64(count, 1), sizeof(*sweep->records));
    if (!sweep->records)
        return -ENOMEM;
    sweep->capacity = count;
    if (targets->has_ipv4)
        engine_open_family(&sweep->engine, AF_INET);
    if (targets->has_ipv6)
        engine_open_family(&sweep->engine, AF_INET6);
    r = engine_reserve(&sweep->engine, sweep->engine.settings.payload_bytes, count);
    if (r < 0)
        return r;
    sweep->targets = targets;
    sweep->first = first;
    sweep->count = count;
    if (shuffled)
        shuffle_init(&sweep->shuffle, count, key);
    return 0;
}

int probe_sweep_take(struct probe_sweep *sweep, struct probe_targets *targets, bool shuffled)
{
    int r = sweep_share(sweep, targets, 0, targets->count, shuffled);

    if (r < 0)
        return r;
    sweep->own = *targets;
    sweep->targets = &sweep->own;
    *targets = (struct probe_targets){0};
    /* What is added from now on is meant. */
    sweep->own.excluded = NULL;
    sweep->own.shard = sweep->own.shards = 0;
    return 0;
}

void sweep_again(struct probe_sweep *sweep)
{
    engine_refresh(&sweep->engine);
    if (sweep->count > 0)
        memset(sweep->records, 0, sweep->count * sizeof(*sweep->records));
    reasons_clear(&sweep->reasons);
    sweep->waiting = sweep->ending = sweep->ready = sweep->refused = (struct queue){NOBODY, NOBODY};
    sweep->refused_count = sweep->refused_turns = 0;
    sweep->position = sweep->finished = 0;
    sweep->blocked_since_ns = NEVER_NS;
    sweep->began_ns = engine_now_ns(&sweep->engine);
}

void probe_sweep_set(struct probe_sweep *sweep, uint32_t index, const struct address *address)
{
    struct record *record = &sweep->records[index];

    engine_open_family(&sweep->engine, address->family);
    probe_targets_set(sweep->targets, sweep->first + index, address);
    record->state = RECORD_OPEN;
    record->due_ns = engine_now_ns(&sweep->engine);
    queue_push_front(sweep->records, &sweep->waiting, index);
}

const struct probe_targets *probe_sweep_targets(const struct probe_sweep *sweep)
{
    return sweep->targets;
}

bool probe_sweep_done(const struct probe_sweep *sweep)
{
    return sweep->finished == sweep->count && sweep->ready.head == NOBODY;
}

void probe_sweep_set_wakeup(struct probe_sweep *sweep, int wakeup_fd)
{
    sweep->wakeup_fd = wakeup_fd;
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
            reasons_get(&sweep->reasons, record->reason, &result->error);
    } else {
        result->outcome = reasons_get(&sweep->reasons, record->reason, &result->error);
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

uint32_t probe_sweep_asked_again(const struct probe_sweep *sweep)
{
    return sweep->asked_again;
}

const struct probe_counters *probe_sweep_counters(const struct probe_sweep *sweep)
{
    return engine_counters((struct engine *)(uintptr_t)&sweep->engine);
}

void sweep_close(struct probe_sweep *sweep)
{
    engine_counters(&sweep->engine);
    engine_destroy(&sweep->engine);
}

const char *probe_sweep_transport(const struct probe_sweep *sweep)
{
    return sweep->engine.operations->name;
}
