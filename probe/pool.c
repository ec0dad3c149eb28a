/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several sweeps side by side: see pool.h. How many, and over which sockets, is in pool_transports.c.
 *
 * WORKERS
 * Worker w has `block` targets, from the one with index w * block on. It runs a sweep of its own over them,
 * with its own sockets, idents, key, reasons, pacing and doubt. The list of targets is shared and only read.
 * (An exception: the address of a name comes late. It is written by the worker whose target it is.) So there
 * is no data of probing that two workers write to.
 *
 * The caller is the first worker. A pool of one worker has no thread.
 *
 * RESULTS
 * A sweep's results are a list through its records (sweep_state.h).
 *   1. The worker cuts that list off, at most once in HAND_OVER_NS. Under its lock it appends it to the list
 *      that it has for the caller, and it wakes the caller.
 *   2. The caller takes that whole list under the lock.
 * So no result is copied, no queue can be full, and no lock is taken for a single result.
 *
 * The caller may read a result that was handed over at any time: nobody writes to its record any more, but
 * for its place in a queue that only its worker follows, and a reason stays where it is (reason.h).
 *
 * The other way, from the caller to the worker, go addresses of names and the wish to stop: a list under the
 * same lock, a flag, and a wakeup that ends the worker's wait.
 *
 * ROUNDS
 * A thread sleeps until the number of the round changes. The first round begins with the caller's first step.
 * A further round over the same targets keeps threads and sockets; each worker clears its own records. The
 * caller has pulled all results by then.
 *
 * WHERE THREADS RUN
 * The kernel starts a thread on the CPU of its parent and moves it a millisecond or two later, even when
 * another CPU is idle. A few hundred targets take no longer than that. So each thread starts on a CPU of its
 * own; once it runs the kernel may move it like any other. One worker against two:
 *
 *     reroute bench sweep --profile kernel --settings 1x1 --workers 1,2 --addresses 64,128,256,506
 *
 * NOT DONE
 * No target moves from a slow worker to one that is done. Shares are equal and their order is random, so they
 * take the same time unless the CPUs do not.
 */
#include "probe/pool.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "probe/cpus.h"
#include "probe/pool_transports.h"
#include "probe/sweep_state.h"
#include "probe/wakeup.h"

#define HAND_OVER_NS NS_PER_MS

#define CACHE_LINE_BYTES 64

/* The address of a name, on its way to its worker. */
struct mail {
    uint32_t index; /* the worker's */
    struct address address;
};

struct worker {
    struct probe_sweep *sweep;
    struct probe_pool *pool;
    struct wakeup wakeup; /* ends its wait; the first worker's is the pool's */
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
    const char *failed_call; /* whose error that is */
    _Atomic bool has_mail;   /* look into it */
};

struct probe_pool {
    struct probe_targets targets;
    struct worker *workers;
    uint32_t count; /* of workers */
    uint32_t block; /* targets of each worker but the last */
    cpu_set_t cpus; /* where the caller may run */
    bool is_shared; /* one raw socket hears for all: what it drops is dropped once */
    bool is_stopped;
    const char *failed_call;                      /* the call of the kernel that made going on useless */
    struct probe_counters counters;               /* the sum that was last asked for */
    _Alignas(CACHE_LINE_BYTES) _Atomic bool news; /* somebody has handed something over */
    _Atomic bool stop;
    _Atomic uint32_t round; /* 0: none has begun */
};

/* --- a worker's thread ---------------------------------------------------------------------------------- */

static void take_mail(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    atomic_store_explicit(&w->has_mail, false, memory_order_relaxed);
    for (uint32_t i = 0; i < w->mail_count; i++)
        front_end_set(&w->sweep->front, w->mails[i].index, &w->mails[i].address);
    w->mail_count = 0;
    pthread_mutex_unlock(&w->lock);
}

static void hand_over(struct worker *w, int error)
{
    pthread_mutex_lock(&w->lock);
    ready_join(w->sweep->records, &w->handed, &w->pending);
    w->finished = w->sweep->finished;
    w->counters = w->sweep->front.engine.counters;
    w->counters.receive_drops = w->sweep->front.drops;
    w->asked_again = w->sweep->front.asked_again;
    w->error = error;
    w->failed_call = engine_failed_call(&w->sweep->front.engine);
    pthread_mutex_unlock(&w->lock);
    atomic_store_explicit(&w->pool->news, true, memory_order_release);
    wakeup_ring(w->pool->workers[0].wakeup.ring_fd);
}

static int work_on(struct worker *w)
{
    bool waits = w->pending.head != NOBODY;
    int r;

    if (atomic_load_explicit(&w->has_mail, memory_order_acquire))
        take_mail(w);
    r = front_end_step(&w->sweep->front, waits ? w->handed_ns + HAND_OVER_NS : NEVER_NS);
    ready_join(w->sweep->records, &w->pending, &w->sweep->ready);
    if (r == 0 && w->pending.head != NOBODY) {
        uint64_t now_ns = engine_now_ns(&w->sweep->front.engine);

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

    while (r == 0 && is_round(w, round) && w->sweep->finished < w->sweep->front.count)
        r = work_on(w);
    if (r == 0 && w->pending.head != NOBODY)
        hand_over(w, 0);
    return r;
}

/* Sleeps until there is another round, which it returns, or no more. */
static uint32_t wait_for_round(struct worker *w, uint32_t round)
{
    struct pollfd event = {.fd = w->wakeup.fd, .events = POLLIN};

    while (is_round(w, round)) {
        poll(&event, 1, -1);
        wakeup_empty(w->wakeup.fd);
    }
    return atomic_load_explicit(&w->pool->round, memory_order_acquire);
}

static void *work(void *argument)
{
    struct worker *w = argument;
    uint32_t round = wait_for_round(w, 0);
    int r;

    /* It has been put on a CPU of its own; from here on the kernel may move it. */
    pthread_setaffinity_np(pthread_self(), sizeof(w->pool->cpus), &w->pool->cpus);
    r = work_round(w, round);
    while (r == 0 && !is_stopped(w)) {
        round = wait_for_round(w, round);
        if (is_stopped(w))
            break;
        sweep_again(w->sweep);
        r = work_round(w, round);
    }
    if (r == 0 && w->sweep->finished < w->sweep->front.count)
        r = front_end_stop(&w->sweep->front);
    ready_join(w->sweep->records, &w->pending, &w->sweep->ready);
    /* In this thread: a ring belongs to it. */
    sweep_close(w->sweep);
    w->sweep->front.drops = w->sweep->front.engine.counters.receive_drops;
    hand_over(w, r);
    return NULL;
}

/* --- making and ending ---------------------------------------------------------------------------------- */

static void free_worker(struct worker *w)
{
    probe_sweep_free(w->sweep);
    wakeup_close(&w->wakeup);
    pthread_mutex_destroy(&w->lock);
    free(w->mails);
}

/* On the CPU that is `steps` further than this one, where we know them. */
static int start_worker(struct probe_pool *pool, struct worker *w, uint32_t steps)
{
    int cpu = probe_cpus_next(&pool->cpus, sched_getcpu(), steps);
    int r = -pthread_create(&w->thread, NULL, work, w);
    cpu_set_t one;

    w->is_running = r == 0;
    if (r == 0 && cpu >= 0) {
        CPU_ZERO(&one);
        CPU_SET((size_t)cpu, &one);
        pthread_setaffinity_np(w->thread, sizeof(one), &one);
    }
    return r;
}

/* Starts a thread for each worker but the first; those that get none are taken out of the pool. */
static void start_workers(struct probe_pool *pool)
{
    uint32_t running = 1;
    sigset_t all, before;

    if (pool->count == 1)
        return;
    if (sched_getaffinity(0, sizeof(pool->cpus), &pool->cpus) < 0)
        CPU_ZERO(&pool->cpus);
    /* Signals are the caller's. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (running < pool->count && start_worker(pool, &pool->workers[running], running) == 0)
        running++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    while (pool->count > running)
        free_worker(&pool->workers[--pool->count]);
}

static void begin_round(struct probe_pool *pool)
{
    atomic_fetch_add_explicit(&pool->round, 1, memory_order_release);
    for (uint32_t i = 1; i < pool->count; i++)
        if (pool->workers[i].is_running)
            wakeup_ring(pool->workers[i].wakeup.ring_fd);
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
        if (r == 0 && w->error < 0) {
            r = w->error;
            pool->failed_call = w->failed_call;
        }
        pthread_mutex_unlock(&w->lock);
    }
    return r;
}

static int join(struct probe_pool *pool)
{
    atomic_store_explicit(&pool->stop, true, memory_order_release);
    for (uint32_t i = 1; i < pool->count; i++)
        if (pool->workers[i].is_running)
            wakeup_ring(pool->workers[i].wakeup.ring_fd);
    for (uint32_t i = 1; i < pool->count; i++) {
        if (pool->workers[i].is_running)
            pthread_join(pool->workers[i].thread, NULL);
        pool->workers[i].is_running = false;
    }
    return take_news(pool);
}

void probe_pool_again(struct probe_pool *pool)
{
    /* The others sleep until the round begins. */
    probe_targets_refresh(&pool->targets);
    sweep_again(pool->workers[0].sweep);
    for (uint32_t i = 1; i < pool->count; i++) {
        struct worker *w = &pool->workers[i];

        pthread_mutex_lock(&w->lock);
        w->finished = 0;
        w->taken_count = 0;
        pthread_mutex_unlock(&w->lock);
    }
    begin_round(pool);
}

int probe_pool_stop(struct probe_pool *pool)
{
    struct probe_sweep *ours = pool->workers[0].sweep;
    int r, joined;

    if (pool->is_stopped)
        return 0;
    pool->is_stopped = true;
    r = ours->finished < ours->front.count ? front_end_stop(&ours->front) : 0;
    joined = join(pool);
    return r < 0 ? r : joined;
}

struct probe_pool *probe_pool_free(struct probe_pool *pool)
{
    if (!pool)
        return NULL;
    join(pool);
    for (uint32_t i = 0; i < pool->count; i++)
        free_worker(&pool->workers[i]);
    free(pool->workers);
    probe_targets_clear(&pool->targets);
    free(pool);
    return NULL;
}

/* --- the caller's side ---------------------------------------------------------------------------------- */

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
    front_end_set_wakeup(&w->sweep->front, w->wakeup.fd);
    pthread_mutex_init(&w->lock, NULL);
    pool->count++;
    return 0;
}

static int open_workers(struct probe_pool *pool, const struct probe_settings *settings, uint32_t count,
                        uint32_t targets, char *message, size_t size_bytes)
{
    struct transport *transports[POOL_WORKERS_MAX];
    int r =
        pool_transports_open(transports, &count, &pool->is_shared, *settings, targets, message, size_bytes);

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

    pool->block = (uint32_t)max_u64(1, pool_share(targets, pool->count));
    for (uint32_t i = 0; r == 0 && i < pool->count; i++) {
        struct probe_sweep *sweep = pool->workers[i].sweep;
        uint32_t count = (uint32_t)min_u64(pool->block, targets - first);

        r = sweep_share(sweep, &pool->targets, first, count, shuffled);
        first += count;
        /* Each has its share of the rate, one after the other. */
        sweep->front.pacing.next_ns =
            engine_now_ns(&sweep->front.engine) + i * sweep->front.pacing.interval_ns;
        sweep->front.pacing.interval_ns *= pool->count;
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
    workers = pool_workers_wanted(settings, workers, targets->count, shuffled);
    r = open_workers(pool, settings, workers, targets->count, message, size_bytes);
    if (r < 0)
        return r;
    start_workers(pool);
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
        wakeup_ring(w->wakeup.ring_fd);
    return r;
}

int probe_pool_set(struct probe_pool *pool, uint32_t index, const struct address *address)
{
    struct worker *w = &pool->workers[index / pool->block];

    if (pool->is_stopped)
        return 0;
    if (w->is_running)
        return send_mail(w, index % pool->block, address);
    front_end_set(&w->sweep->front, index % pool->block, address);
    return 0;
}

int probe_pool_wakeup(const struct probe_pool *pool)
{
    return pool->workers[0].wakeup.ring_fd;
}

int probe_pool_step(struct probe_pool *pool, uint64_t until_ns)
{
    int r;

    if (atomic_load_explicit(&pool->round, memory_order_relaxed) == 0)
        begin_round(pool);
    r = front_end_step(&pool->workers[0].sweep->front, until_ns);
    if (r < 0)
        pool->failed_call = engine_failed_call(&pool->workers[0].sweep->front.engine);
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

        if (w->taken.head != NOBODY || w->taken_count < w->sweep->front.count)
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

static void counters_add(struct probe_counters *sum, const struct probe_counters *more)
{
    _Static_assert(sizeof(*sum) == 13 * sizeof(uint64_t), "each of them is added here");
    sum->sent += more->sent;
    sum->replies += more->replies;
    sum->late += more->late;
    sum->duplicates += more->duplicates;
    sum->truncated += more->truncated;
    sum->corrupt += more->corrupt;
    sum->foreign += more->foreign;
    sum->icmp_errors += more->icmp_errors;
    sum->send_failures += more->send_failures;
    sum->send_retries += more->send_retries;
    sum->receive_drops += more->receive_drops;
    sum->tx_stamps += more->tx_stamps;
    sum->stalls += more->stalls;
}

const struct probe_counters *probe_pool_counters(struct probe_pool *pool)
{
    pool->counters = *front_end_counters(&pool->workers[0].sweep->front);
    for (uint32_t i = 1; i < pool->count; i++) {
        struct worker *w = &pool->workers[i];

        pthread_mutex_lock(&w->lock);
        counters_add(&pool->counters, &w->counters);
        pthread_mutex_unlock(&w->lock);
    }
    if (pool->is_shared)
        pool->counters.receive_drops = front_end_counters(&pool->workers[0].sweep->front)->receive_drops;
    return &pool->counters;
}

uint32_t probe_pool_asked_again(struct probe_pool *pool)
{
    uint32_t sum = front_end_asked_again(&pool->workers[0].sweep->front);

    for (uint32_t i = 1; i < pool->count; i++) {
        pthread_mutex_lock(&pool->workers[i].lock);
        sum += pool->workers[i].asked_again;
        pthread_mutex_unlock(&pool->workers[i].lock);
    }
    return sum;
}

const char *probe_pool_transport(const struct probe_pool *pool)
{
    return front_end_transport(&pool->workers[0].sweep->front);
}

const char *probe_pool_failed_call(const struct probe_pool *pool)
{
    return pool->failed_call;
}

uint32_t probe_pool_workers(const struct probe_pool *pool)
{
    return pool->count;
}
