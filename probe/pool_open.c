/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many workers a pool gets, over which sockets, and who has which targets.
 *
 * With ping sockets each worker has a transport like any other: the kernel gives it only the replies to its
 * own ident. With raw sockets there is one that hears for all (transport_shared.c), for a copy of every reply
 * for each worker would cost more than the further ones give. Who asks for a transport that cannot do that by
 * name gets one worker.
 *
 * A worker more that cannot be had, for want of descriptors or threads say, is no error: the others do its
 * work, and the report says how many there were. So threads start before targets are shared out. Descriptors
 * are asked for in advance, since the names that are looked up and the file that is written need some too.
 */
#include "probe/cpus.h"
#include "probe/pool_private.h"

#include <sys/resource.h>

/* So many targets for each make one worker more worth its while: pool.c has the figures. */
#define TARGETS_A_WORKER 128
/* Packets a second that one worker sends on any machine. */
#define RATE_OF_ONE 50000

/* A socket for each family, what wakes it, what it waits with, and one to spare; and for all else. */
#define DESCRIPTORS_A_WORKER 6
#define DESCRIPTORS_LEFT     64

static uint64_t workers_by_descriptors(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) < 0
               ? WORKERS_MAX
               : sub_sat_u64(limit.rlim_cur, DESCRIPTORS_LEFT) / DESCRIPTORS_A_WORKER;
}

static uint32_t divide_up(uint32_t targets, uint32_t workers)
{
    return targets / workers + (targets % workers != 0);
}

/* Who wants targets asked in their order gets one worker, unless he says how many. */
static uint32_t wanted_workers(const struct probe_settings *settings, uint32_t workers, uint32_t targets,
                               bool shuffled)
{
    if (targets < 2)
        return 1;
    if (workers == 0 && shuffled && targets >= 2 * TARGETS_A_WORKER &&
        (settings->rate == 0 || settings->rate > RATE_OF_ONE))
        workers = (uint32_t)min_u64(probe_cpus_usable(), targets / TARGETS_A_WORKER);
    if (workers > 1)
        workers = (uint32_t)min_u64(min_u64(workers, WORKERS_MAX), workers_by_descriptors());
    if (workers < 2)
        return 1;
    /* Rounding up the share of each leaves the last ones nothing when there are hardly more targets. */
    return divide_up(targets, divide_up(targets, (uint32_t)min_u64(workers, targets)));
}

/* Takes over the transport, also when it fails. */
static int add_worker(struct probe_pool *pool, const struct probe_settings *settings,
                      struct transport *transport, char *message, size_t size_bytes)
{
    struct worker *w = &pool->workers[pool->count];
    int r;

    *w = (struct worker){
        .pool = pool, .pending = {NOBODY, NOBODY}, .taken = {NOBODY, NOBODY}, .handed = {NOBODY, NOBODY}};
    r = probe_sweep_new_over(&w->sweep, settings, transport);
    if (r < 0) {
        snprintf(message, size_bytes, "%s", strerror(-r));
        return r;
    }
    r = wakeup_open(&w->wakeup, message, size_bytes);
    if (r < 0) {
        r = r == -EACCES ? -EPERM : r; /* that says that sockets are not allowed */
        probe_sweep_free(w->sweep);
        return r;
    }
    probe_sweep_set_wakeup(w->sweep, w->wakeup.fd);
    pthread_mutex_init(&w->lock, NULL);
    pool->count++;
    return 0;
}

/* Opens up to *count, and says how many: as many as there are sockets for; and whether they share one. */
static int open_transports(struct transport **out, uint32_t *count, bool *is_shared,
                           struct probe_settings settings, uint32_t targets, char *message, size_t size_bytes)
{
    uint32_t each = divide_up(targets, *count), opened = 1;
    struct transport *first;
    int r = transport_open(&first, &settings, each, message, size_bytes);

    if (r < 0)
        return r;
    if (*count > 1 && first->is_raw) {
        *is_shared = (strcmp(settings.transport, "auto") == 0 || strcmp(settings.transport, "epoll") == 0) &&
                     transport_shared_open(out, *count, &settings, (char[1]){0}, 1) == 0;
        if (*is_shared) {
            transport_close(first);
            return 0;
        }
        *count = 1;
    }
    out[0] = first;
    settings.transport = first->operations->name;
    while (opened < *count && transport_open(&out[opened], &settings, each, (char[1]){0}, 1) == 0)
        opened++;
    *count = opened;
    return 0;
}

static int open_workers(struct probe_pool *pool, const struct probe_settings *settings, uint32_t count,
                        uint32_t targets, char *message, size_t size_bytes)
{
    struct transport *transports[WORKERS_MAX];
    int r = open_transports(transports, &count, &pool->is_shared, *settings, targets, message, size_bytes);

    if (r < 0)
        return r;
    pool->workers = aligned_alloc(CACHE_LINE_BYTES, count * sizeof(*pool->workers));
    r = pool->workers ? 0 : -ENOMEM;
    if (r < 0)
        snprintf(message, size_bytes, "%s", strerror(-r));
    for (uint32_t i = 0; i < count; i++) {
        if (r == 0)
            r = add_worker(pool, settings, transports[i], message, size_bytes);
        else
            transport_close(transports[i]);
    }
    return r;
}

static int share_out(struct probe_pool *pool, uint32_t targets, bool shuffled)
{
    uint32_t first = 0;
    int r = 0;

    pool->block = (uint32_t)max_u64(1, divide_up(targets, pool->count));
    for (uint32_t i = 0; r == 0 && i < pool->count; i++) {
        struct probe_sweep *sweep = pool->workers[i].sweep;
        uint32_t count = (uint32_t)min_u64(pool->block, targets - first);

        r = sweep_share(sweep, &pool->targets, first, count, shuffled);
        first += count;
        /* Each has its share of the rate, one after the other. */
        sweep->pacing.next_ns = engine_now_ns(&sweep->engine) + i * sweep->pacing.interval_ns;
        sweep->pacing.interval_ns *= pool->count;
    }
    return r;
}

int probe_pool_new(struct probe_pool **out, const struct probe_settings *settings, uint32_t workers,
                   struct probe_targets *targets, bool shuffled, char *message, size_t size_bytes)
{
    CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
    int r;

    pool = aligned_alloc(CACHE_LINE_BYTES, sizeof(*pool));
    if (!pool) {
        snprintf(message, size_bytes, "%s", strerror(ENOMEM));
        return -ENOMEM;
    }
    *pool = (struct probe_pool){0};
    workers = wanted_workers(settings, workers, targets->count, shuffled);
    r = open_workers(pool, settings, workers, targets->count, message, size_bytes);
    if (r < 0)
        return r;
    pool_start_workers(pool);
    pool->targets = *targets;
    r = share_out(pool, targets->count, shuffled);
    if (r < 0) {
        pool->targets = (struct probe_targets){0};
        snprintf(message, size_bytes, "%s", strerror(-r));
        return r;
    }
    *targets = (struct probe_targets){0};
    *out = TAKE(pool);
    return 0;
}
