/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several sweeps side by side: see pool.h.
 *
 * Worker w has the targets from w x block on, and a sweep of its own over them: own sockets, idents, key,
 * reasons, pacing, doubt. The list of targets is shared and only read, but for addresses that come late,
 * which their worker itself writes. So the workers have nothing in common that anybody writes to.
 *
 * Results. A sweep's results form a list through its records (sweep_private.h). A worker cuts off that list
 * and appends it to the one that it has for the caller, at most once in HAND_OVER_NS, under a lock, and wakes
 * the caller. The caller takes the whole list under the lock. No result is copied, nothing can be full, and
 * no lock is taken for a single one. A record that has been handed over is never written to again, but for
 * its place in a queue that only its worker follows; and a reason stays where it is (reason.h). So the caller
 * may read a handed-over result at any time.
 *
 * Another round over the same targets keeps threads and sockets: a worker that has finished sleeps until the
 * number of the round changes, then clears its records. The caller has pulled all results by then.
 *
 * The other way go addresses of names and the end: a list under the same lock, a flag, an eventfd that ends
 * the worker's wait.
 */
#include "probe/pool.h"
#include "probe/cpus.h"
#include "probe/sweep_private.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#define HAND_OVER_NS NS_PER_MS
/* So many for each make one worker more worth its while. */
#define TARGETS_A_WORKER 128
/* Packets a second that one worker sends on any machine. */
#define RATE_OF_ONE 50000

#define CACHE_LINE_BYTES 64

struct mail {
    uint32_t index; /* the worker's */
    struct address address;
};

struct worker {
    struct probe_sweep *sweep;
    struct probe_pool *pool;
    int event_fd; /* ends its wait; the first worker's is the pool's */
    pthread_t thread;
    bool is_running; /* the thread has not been joined */

    struct queue pending; /* the worker's: results to be handed over */
    uint64_t handed_ns;

    struct queue taken; /* the caller's: results to be pulled */
    uint32_t taken_count;

    _Alignas(CACHE_LINE_BYTES) pthread_mutex_t lock; /* what follows is shared */
    struct queue handed;
    uint32_t finished;
    struct mail *mails;
    uint32_t mail_count, mail_room;
    struct probe_counters counters; /* as of the last hand-over */
    uint32_t asked_again;
    int error;
    _Atomic bool has_mail; /* look into it */
};

struct probe_pool {
    struct probe_targets targets;
    struct worker *workers;
    uint32_t count; /* of workers */
    uint32_t block; /* targets of each worker but the last */
    cpu_set_t cpus; /* where the caller may run */
    bool is_started, is_stopped;
    struct probe_counters counters;               /* the sum that was last asked for */
    _Alignas(CACHE_LINE_BYTES) _Atomic bool news; /* somebody has handed something over */
    _Atomic bool stop;
    _Atomic uint32_t round;
};

/* --- a worker's thread ---------------------------------------------------------------------------------- */

static void take_mail(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    atomic_store_explicit(&w->has_mail, false, memory_order_relaxed);
    for (uint32_t i = 0; i < w->mail_count; i++)
        probe_sweep_set(w->sweep, w->mails[i].index, &w->mails[i].address);
    w->mail_count = 0;
    pthread_mutex_unlock(&w->lock);
}

static void hand_over(struct worker *w, int error)
{
    pthread_mutex_lock(&w->lock);
    ready_join(w->sweep->records, &w->handed, &w->pending);
    w->finished = w->sweep->finished;
    w->counters = w->sweep->engine.counters;
    w->counters.receive_drops = w->sweep->drops;
    w->asked_again = w->sweep->asked_again;
    w->error = error;
    pthread_mutex_unlock(&w->lock);
    atomic_store_explicit(&w->pool->news, true, memory_order_release);
    eventfd_write(w->pool->workers[0].event_fd, 1);
}

static int work_on(struct worker *w)
{
    bool waits = w->pending.head != NOBODY;
    int r;

    if (atomic_load_explicit(&w->has_mail, memory_order_acquire))
        take_mail(w);
    r = probe_sweep_step(w->sweep, waits ? w->handed_ns + HAND_OVER_NS : NEVER_NS);
    ready_join(w->sweep->records, &w->pending, &w->sweep->ready);
    if (r == 0 && w->pending.head != NOBODY) {
        uint64_t now_ns = engine_now_ns(&w->sweep->engine);

        if (now_ns - w->handed_ns >= HAND_OVER_NS) {
            hand_over(w, 0);
            w->handed_ns = now_ns;
        }
    }
    return r;
}

static bool is_stopped(const struct worker *w)
{
    return atomic_load_explicit(&w->pool->stop, memory_order_acquire);
}

static bool is_round(const struct worker *w, uint32_t round)
{
    return !is_stopped(w) && atomic_load_explicit(&w->pool->round, memory_order_acquire) == round;
}

static int work_round(struct worker *w, uint32_t round)
{
    int r = 0;

    while (r == 0 && is_round(w, round) && w->sweep->finished < w->sweep->count)
        r = work_on(w);
    if (r == 0 && w->pending.head != NOBODY)
        hand_over(w, 0);
    return r;
}

/* Sleeps until there is another round, or no more. */
static void wait_for_round(struct worker *w, uint32_t round)
{
    struct pollfd event = {.fd = w->event_fd, .events = POLLIN};
    eventfd_t ignored;

    while (is_round(w, round)) {
        poll(&event, 1, -1);
        eventfd_read(w->event_fd, &ignored);
    }
}

static void *work(void *argument)
{
    struct worker *w = argument;
    uint32_t round = 0;
    int r;

    /* It has been put on a CPU of its own; from here on the kernel may move it. */
    pthread_setaffinity_np(pthread_self(), sizeof(w->pool->cpus), &w->pool->cpus);
    r = work_round(w, round);
    while (r == 0 && !is_stopped(w)) {
        wait_for_round(w, round);
        if (is_stopped(w))
            break;
        round = atomic_load_explicit(&w->pool->round, memory_order_acquire);
        sweep_again(w->sweep);
        r = work_round(w, round);
    }
    if (r == 0 && w->sweep->finished < w->sweep->count)
        r = sweep_last_look(w->sweep);
    ready_join(w->sweep->records, &w->pending, &w->sweep->ready);
    /* In this thread: a ring belongs to it. */
    sweep_close(w->sweep);
    w->sweep->drops = w->sweep->engine.counters.receive_drops;
    hand_over(w, r);
    return NULL;
}

/* --- making and ending ---------------------------------------------------------------------------------- */

static uint32_t divide_up(uint32_t targets, uint32_t workers)
{
    return targets / workers + (targets % workers != 0);
}

static uint32_t wanted_workers(const struct probe_settings *settings, uint32_t workers, uint32_t targets)
{
    if (targets < 2)
        return 1;
    if (workers == 0 && targets >= 2 * TARGETS_A_WORKER &&
        (settings->rate == 0 || settings->rate > RATE_OF_ONE))
        workers = (uint32_t)min_u64(probe_cpus_usable(), targets / TARGETS_A_WORKER);
    if (workers < 2)
        return 1;
    /* Rounding up the share of each leaves the last ones nothing when there are hardly more targets. */
    return divide_up(targets, divide_up(targets, (uint32_t)min_u64(workers, targets)));
}

static int open_worker(struct probe_pool *pool, const struct probe_settings *settings,
                       struct transport **transport)
{
    struct worker *w = &pool->workers[pool->count];
    int r;

    *w = (struct worker){
        .pool = pool, .pending = {NOBODY, NOBODY}, .taken = {NOBODY, NOBODY}, .handed = {NOBODY, NOBODY}};
    w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->event_fd < 0)
        return -errno;
    r = probe_sweep_new_over(&w->sweep, settings, TAKE(*transport));
    if (r < 0) {
        close_fd(w->event_fd);
        return r;
    }
    probe_sweep_set_wakeup(w->sweep, w->event_fd);
    pthread_mutex_init(&w->lock, NULL);
    pool->count++;
    return 0;
}

static int open_workers(struct probe_pool *pool, struct probe_settings settings, uint32_t workers,
                        uint32_t targets, char *message, size_t size_bytes)
{
    CLEANUP(transport_close) struct transport *transport = NULL;
    int r = transport_open(&transport, &settings, divide_up(targets, workers), message, size_bytes);

    if (r < 0)
        return r;
    if (transport->is_raw)
        workers = 1;
    settings.transport = transport->operations->name;
    pool->workers = aligned_alloc(CACHE_LINE_BYTES, workers * sizeof(*pool->workers));
    r = pool->workers ? open_worker(pool, &settings, &transport) : -ENOMEM;
    if (r < 0) {
        snprintf(message, size_bytes, "%s", strerror(-r));
        return r;
    }
    /* As many as there are sockets for. */
    while (pool->count < workers && transport_open(&transport, &settings, targets, (char[1]){0}, 1) == 0 &&
           open_worker(pool, &settings, &transport) == 0) {
        /* one more */
    }
    return 0;
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
    int r = probe_settings_check(settings, message, size_bytes);

    if (r < 0)
        return r;
    pool = aligned_alloc(CACHE_LINE_BYTES, sizeof(*pool));
    if (!pool) {
        snprintf(message, size_bytes, "%s", strerror(ENOMEM));
        return -ENOMEM;
    }
    *pool = (struct probe_pool){0};
    r = open_workers(pool, *settings, wanted_workers(settings, workers, targets->count), targets->count,
                     message, size_bytes);
    if (r < 0)
        return r;
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

/* On the CPU that is `steps` further than this one, where we know them. */
static int start_worker(struct probe_pool *pool, struct worker *w, uint32_t steps)
{
    int cpu = probe_cpus_next(&pool->cpus, sched_getcpu(), steps);
    pthread_attr_t attributes;
    cpu_set_t one;
    int r;

    pthread_attr_init(&attributes);
    if (cpu >= 0) {
        CPU_ZERO(&one);
        CPU_SET((size_t)cpu, &one);
        pthread_attr_setaffinity_np(&attributes, sizeof(one), &one);
    }
    r = -pthread_create(&w->thread, &attributes, work, w);
    w->is_running = r == 0;
    pthread_attr_destroy(&attributes);
    return r;
}

static int start(struct probe_pool *pool)
{
    sigset_t all, before;
    int r = 0;

    pool->is_started = true;
    if (pool->count == 1)
        return 0;
    if (sched_getaffinity(0, sizeof(pool->cpus), &pool->cpus) < 0)
        CPU_ZERO(&pool->cpus);
    /* Signals are the caller's. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    for (uint32_t i = 1; r == 0 && i < pool->count; i++)
        r = start_worker(pool, &pool->workers[i], i);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

/* Takes over what the others have handed over. Returns 0 or what one of them has failed of. */
static int take_news(struct probe_pool *pool)
{
    int r = 0;

    if (!atomic_load_explicit(&pool->news, memory_order_relaxed))
        return 0;
    atomic_exchange_explicit(&pool->news, false, memory_order_acquire);
    for (uint32_t i = 1; i < pool->count; i++) {
        struct worker *w = &pool->workers[i];

        pthread_mutex_lock(&w->lock);
        ready_join(w->sweep->records, &w->taken, &w->handed);
        w->taken_count = w->finished;
        if (r == 0)
            r = w->error;
        pthread_mutex_unlock(&w->lock);
    }
    return r;
}

static int join(struct probe_pool *pool)
{
    atomic_store_explicit(&pool->stop, true, memory_order_release);
    for (uint32_t i = 1; i < pool->count; i++)
        if (pool->workers[i].is_running)
            eventfd_write(pool->workers[i].event_fd, 1);
    for (uint32_t i = 1; i < pool->count; i++) {
        if (pool->workers[i].is_running)
            pthread_join(pool->workers[i].thread, NULL);
        pool->workers[i].is_running = false;
    }
    return take_news(pool);
}

void probe_pool_again(struct probe_pool *pool)
{
    sweep_again(pool->workers[0].sweep);
    for (uint32_t i = 1; i < pool->count; i++) {
        struct worker *w = &pool->workers[i];

        pthread_mutex_lock(&w->lock);
        w->finished = 0;
        w->taken_count = 0;
        pthread_mutex_unlock(&w->lock);
    }
    atomic_fetch_add_explicit(&pool->round, 1, memory_order_release);
    for (uint32_t i = 1; i < pool->count; i++)
        if (pool->workers[i].is_running)
            eventfd_write(pool->workers[i].event_fd, 1);
}

int probe_pool_stop(struct probe_pool *pool)
{
    struct probe_sweep *ours = pool->workers[0].sweep;
    int r, joined;

    if (pool->is_stopped)
        return 0;
    pool->is_stopped = true;
    r = ours->finished < ours->count ? sweep_last_look(ours) : 0;
    joined = join(pool);
    return r < 0 ? r : joined;
}

struct probe_pool *probe_pool_free(struct probe_pool *pool)
{
    if (!pool)
        return NULL;
    join(pool);
    for (uint32_t i = 0; i < pool->count; i++) {
        probe_sweep_free(pool->workers[i].sweep);
        close_fd(pool->workers[i].event_fd);
        pthread_mutex_destroy(&pool->workers[i].lock);
        free(pool->workers[i].mails);
    }
    free(pool->workers);
    probe_targets_clear(&pool->targets);
    free(pool);
    return NULL;
}

/* --- the caller's side ---------------------------------------------------------------------------------- */

static int send_mail(struct worker *w, uint32_t index, const struct address *address)
{
    struct mail *mails = w->mails;
    int r = -ENOMEM;

    pthread_mutex_lock(&w->lock);
    if (w->mail_count == w->mail_room) {
        uint32_t room = w->mail_room ? 2 * w->mail_room : 16;

        mails = realloc(w->mails, room * sizeof(*mails));
        if (mails) {
            w->mails = mails;
            w->mail_room = room;
        }
    }
    if (mails) {
        w->mails[w->mail_count++] = (struct mail){index, *address};
        atomic_store_explicit(&w->has_mail, true, memory_order_release);
        r = 0;
    }
    pthread_mutex_unlock(&w->lock);
    if (r == 0)
        eventfd_write(w->event_fd, 1);
    return r;
}

int probe_pool_set(struct probe_pool *pool, uint32_t index, const struct address *address)
{
    struct worker *w = &pool->workers[index / pool->block];

    if (pool->is_stopped)
        return 0;
    if (w->is_running)
        return send_mail(w, index % pool->block, address);
    probe_sweep_set(w->sweep, index % pool->block, address);
    return 0;
}

int probe_pool_wakeup(const struct probe_pool *pool)
{
    return pool->workers[0].event_fd;
}

int probe_pool_step(struct probe_pool *pool, uint64_t until_ns)
{
    int r = 0;

    if (!pool->is_started)
        r = start(pool);
    if (r == 0)
        r = probe_sweep_step(pool->workers[0].sweep, until_ns);
    return r < 0 ? r : take_news(pool);
}

bool probe_pool_next(struct probe_pool *pool, struct probe_result *result)
{
    if (probe_sweep_next(pool->workers[0].sweep, result))
        return true;
    for (uint32_t i = 1; i < pool->count; i++) {
        struct worker *w = &pool->workers[i];
        uint32_t index = w->taken.head;

        if (index == NOBODY)
            continue;
        w->taken.head = w->sweep->records[index].next_ready;
        return probe_pool_result(pool, i * pool->block + index, result);
    }
    return false;
}

bool probe_pool_done(const struct probe_pool *pool)
{
    for (uint32_t i = 1; i < pool->count; i++) {
        const struct worker *w = &pool->workers[i];

        if (w->taken.head != NOBODY || w->taken_count < w->sweep->count)
            return false;
    }
    return probe_sweep_done(pool->workers[0].sweep);
}

bool probe_pool_result(const struct probe_pool *pool, uint32_t index, struct probe_result *result)
{
    const struct worker *w = &pool->workers[index / pool->block];
    bool known = probe_sweep_result(w->sweep, index % pool->block, result);

    result->index = index;
    return known;
}

const struct probe_targets *probe_pool_targets(const struct probe_pool *pool)
{
    return &pool->targets;
}

const struct probe_counters *probe_pool_counters(struct probe_pool *pool)
{
    uint64_t *sum = (uint64_t *)&pool->counters;

    pool->counters = *probe_sweep_counters(pool->workers[0].sweep);
    for (uint32_t i = 1; i < pool->count; i++) {
        struct worker *w = &pool->workers[i];

        pthread_mutex_lock(&w->lock);
        for (size_t k = 0; k < sizeof(w->counters) / sizeof(*sum); k++)
            sum[k] += ((const uint64_t *)&w->counters)[k];
        pthread_mutex_unlock(&w->lock);
    }
    return &pool->counters;
}

uint32_t probe_pool_asked_again(struct probe_pool *pool)
{
    uint32_t sum = probe_sweep_asked_again(pool->workers[0].sweep);

    for (uint32_t i = 1; i < pool->count; i++) {
        pthread_mutex_lock(&pool->workers[i].lock);
        sum += pool->workers[i].asked_again;
        pthread_mutex_unlock(&pool->workers[i].lock);
    }
    return sum;
}

const char *probe_pool_transport(const struct probe_pool *pool)
{
    return probe_sweep_transport(pool->workers[0].sweep);
}

uint32_t probe_pool_workers(const struct probe_pool *pool)
{
    return pool->count;
}
