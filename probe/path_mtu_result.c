/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a search for packet sizes, and its results. The rules are in path_mtu.c. */
#include "probe/path_mtu_private.h"

#include "probe/transport.h"

static int take(struct probe_path_mtu *mtu, struct probe_targets *targets, bool shuffled)
{
    mtu->records = calloc(max_u64(targets->count, 1), sizeof(*mtu->records));
    if (!mtu->records)
        return -ENOMEM;
    return front_end_take(&mtu->front, targets, shuffled);
}

int probe_path_mtu_new_over(struct probe_path_mtu **out, const struct probe_settings *settings,
                            uint32_t check_bytes, struct probe_targets *targets, bool shuffled,
                            struct transport *transport)
{
    CLEANUP(probe_path_mtu_free) struct probe_path_mtu *mtu = calloc(1, sizeof(*mtu));
    struct probe_settings small = *settings;
    int r;

    if (!mtu) {
        transport_close(transport);
        return -ENOMEM;
    }
    mtu->check_bytes = check_bytes;
    for (size_t i = 0; i < ARRAY_SIZE(mtu->queues); i++)
        TAILQ_INIT(&mtu->queues[i]);
    small.payload_bytes = PROBE_PATH_MTU_SMALL_PAYLOAD_BYTES;
    r = front_end_init(&mtu->front, transport, &small, &path_mtu_owner, mtu);
    if (r == 0)
        r = take(mtu, targets, shuffled);
    if (r < 0)
        return r;
    *out = TAKE(mtu);
    return 0;
}

int probe_path_mtu_new(struct probe_path_mtu **out, const struct probe_settings *settings,
                       uint32_t check_bytes, struct probe_targets *targets, bool shuffled, char *message,
                       size_t size_bytes)
{
    struct transport *transport = NULL;
    int r = transport_open(&transport, settings, targets->count, message, size_bytes);

    if (r < 0)
        return r;
    r = probe_path_mtu_new_over(out, settings, check_bytes, targets, shuffled, transport);
    if (r < 0)
        snprintf(message, size_bytes, "%s", strerror(-r));
    return r;
}

struct probe_path_mtu *probe_path_mtu_free(struct probe_path_mtu *mtu)
{
    if (!mtu)
        return NULL;
    front_end_destroy(&mtu->front);
    free(mtu->records);
    free(mtu);
    return NULL;
}

const struct probe_targets *probe_path_mtu_targets(const struct probe_path_mtu *mtu)
{
    return &mtu->front.targets;
}

void probe_path_mtu_set_wakeup(struct probe_path_mtu *mtu, int wakeup_fd)
{
    mtu->front.wakeup_fd = wakeup_fd;
}

bool probe_path_mtu_next(struct probe_path_mtu *mtu, uint32_t *index)
{
    struct path_mtu_record *record = TAILQ_FIRST(&mtu->queues[PATH_MTU_READY]);

    if (!record)
        return false;
    TAILQ_REMOVE(&mtu->queues[PATH_MTU_READY], record, link);
    TAILQ_INSERT_TAIL(&mtu->queues[PATH_MTU_DONE], record, link);
    record->state = PATH_MTU_DONE;
    *index = (uint32_t)(record - mtu->records);
    return true;
}

bool probe_path_mtu_result(const struct probe_path_mtu *mtu, uint32_t index,
                           struct probe_path_mtu_result *result)
{
    const struct path_mtu_record *record = &mtu->records[index];

    *result = (struct probe_path_mtu_result){
        .requests = record->requests,
        .doubtful = record->is_doubtful,
        .passes_bytes = record->search.passes,
        .outcome = PROBE_REPLY,
        .rtt_ns = record->rtt_ns,
        .error.reply_bytes = record->search.passes ? record->reply_bytes : 0,
    };
    if (record->search.passes == 0)
        result->outcome = reasons_get(&mtu->front.reasons, record->reason, &result->error);
    if (record->is_limited) {
        result->fails_bytes = record->search.fails;
        result->limit = reasons_get(&mtu->front.reasons, record->limit, &result->limit_error);
    }
    return record->state == PATH_MTU_READY || record->state == PATH_MTU_DONE;
}

uint32_t probe_path_mtu_asked_again(const struct probe_path_mtu *mtu)
{
    return mtu->asked_again;
}

const struct probe_counters *probe_path_mtu_counters(struct probe_path_mtu *mtu)
{
    return engine_counters(&mtu->front.engine);
}

const char *probe_path_mtu_transport(const struct probe_path_mtu *mtu)
{
    return mtu->front.engine.operations->name;
}

const char *probe_path_mtu_failed_call(const struct probe_path_mtu *mtu)
{
    return engine_failed_call(&mtu->front.engine);
}
