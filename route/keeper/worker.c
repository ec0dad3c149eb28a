/* SPDX-License-Identifier: Apache-2.0 */
#include "route/keeper/worker.h"

#include "probe/thread.h"
#include "probe/wakeup.h"

#define STACK_BYTES    ((size_t)256 << 10)
#define EVENTS_MAX     64
#define PAUSE_FIRST_NS (250 * NS_PER_MS)
#define PAUSE_MOST_NS  (30 * NS_PER_S)
#define PAUSE_END_NS   (100 * NS_PER_MS) /* before the end's first try: the keeper repairs no sooner */
#define WAITED_NS \
    (1 * NS_PER_S) /* after a command that was killed, or waited for a lock: it has taken long enough */

enum job { JOB_NONE, JOB_LOOK, JOB_MOVE };

struct keeper_worker {
    struct fib *fib;
    struct wakeup wakeup;
    pthread_t thread;

    /* The thread's alone. */
    struct keeper *keeper;
    char unreadable[KEEPER_TEXT_SIZE]; /* what could not be read, as it was last told; empty: it can */

    pthread_mutex_t lock; /* of all below; held for moments only */
    pthread_cond_t work, idle;
    bool ending;    /* after what is unsettled */
    bool given_up;  /* at once */
    bool has_ended; /* the thread */
    enum job doing;
    bool known;      /* the table could be read once */
    bool move_waits; /* and which one: */
    struct keeper_wish waiting;
    struct keeper_wish under_way; /* while a move is done */
    bool unwanted;                /* the one that is done: it is not tried again */
    bool follow_waits;            /* and whether it is to follow only: */
    bool follow_only;
    bool look_waits;
    bool look_again; /* the last one failed: the caller is to ask for another one, though none is due */
    bool is_in_use;  /* and which one: */
    struct keeper_hop in_use;
    uint64_t not_before_ns; /* the pause after a failure */
    bool in_vain;           /* the last move failed */
    bool lost;              /* a route stood, and it is not known any more that one does */
    bool unsettled;         /* the last change of the route failed, so there may be none */
    bool answered;          /* but it was an answer */
    unsigned tries_at_end;
    unsigned failures;                      /* in a row */
    struct keeper_event events[EVENTS_MAX]; /* a ring */
    unsigned first, count;
    struct worker_report report;
};

/* --- the thread: jobs --- */

static void post(struct keeper_worker *worker, const struct keeper_event *event)
{
    if (worker->count == EVENTS_MAX)
        worker->count--;
    worker->events[(worker->first + worker->count++) % EVENTS_MAX] = *event;
}

/* Is that no answer, but that there is none? */
static bool is_unknown(int error)
{
    return error == -ETIMEDOUT || error == -ECANCELED || error == -EBADMSG || error == -EIO ||
           error == -EBUSY || error == -ENOMEM;
}

/* What a job came to. */
struct outcome {
    int error;      /* the last one; 0: none */
    bool unknown;   /* it is to be done again */
    bool unsettled; /* a change failed */
    bool adopted;
};

/* Told once for as long as it is the same. */
static void post_unreadable(struct keeper_worker *worker, struct keeper_event *event)
{
    if (event->error == -ECANCELED || strcmp(event->why, worker->unreadable) == 0)
        return;
    memcpy(worker->unreadable, event->why, sizeof(worker->unreadable));
    event->kind = KEEPER_UNREADABLE;
    post(worker, event);
}

static void take_event(struct keeper_worker *worker, struct keeper_event *event, struct outcome *outcome)
{
    bool unknown = event->kind == KEEPER_UNREADABLE ||
                   (is_unknown(event->error) && !(event->kind == KEEPER_REFUSED && worker->unwanted));

    outcome->error = event->error ? event->error : outcome->error;
    outcome->adopted |= event->kind == KEEPER_ADOPTED;
    outcome->unknown |= unknown;
    outcome->unsettled |= event->kind == KEEPER_REFUSED || event->kind == KEEPER_REPAIR_FAILED;
    if (unknown)
        post_unreadable(worker, event);
    else
        post(worker, event);
}

static struct outcome take_events(struct keeper_worker *worker)
{
    bool stood = worker->report.keeper.stands;
    struct keeper_event event;
    struct outcome outcome = {0};

    while (keeper_next_event(worker->keeper, &event))
        take_event(worker, &event, &outcome);
    if (!outcome.unknown)
        worker->unreadable[0] = '\0';
    worker->report.keeper = *keeper_report(worker->keeper);
    worker->report.owned = *fib_owned(worker->fib);
    worker->lost = !worker->report.keeper.stands && (worker->lost || stood);
    worker->unsettled = outcome.unsettled || worker->report.keeper.unrepaired ||
                        (worker->unsettled && (outcome.error || worker->lost));
    worker->answered = !outcome.unknown;
    return outcome;
}

static void pause_after(struct keeper_worker *worker, int error)
{
    uint64_t pause_ns = PAUSE_FIRST_NS << min_u64(worker->failures, 10);

    if (error == 0) {
        worker->failures = 0;
        worker->not_before_ns = 0;
        return;
    }
    if (error == -ECANCELED)
        pause_ns = 0;
    else if (error == -ETIMEDOUT || error == -EBUSY)
        pause_ns = WAITED_NS;
    else
        worker->failures++;
    worker->not_before_ns = clock_now_ns(CLOCK_MONOTONIC) + min_u64(pause_ns, PAUSE_MOST_NS);
}

/* The jobs: called with the lock, which they give back while they work. */

static void move(struct keeper_worker *worker)
{
    const struct keeper_wish wish = worker->waiting;
    struct outcome outcome;

    worker->under_way = wish;
    worker->move_waits = worker->unwanted = false;
    pthread_mutex_unlock(&worker->lock);
    keeper_want(worker->keeper, &wish, clock_now_ns(CLOCK_MONOTONIC));
    pthread_mutex_lock(&worker->lock);
    outcome = take_events(worker);
    worker->look_waits = worker->look_again =
        false; /* what it was told of the path in use is not true any more */
    if (outcome.unknown && !worker->move_waits && !worker->unwanted) {
        worker->move_waits = true;
        worker->waiting = wish;
    }
    worker->in_vain = outcome.error != 0;
    pause_after(worker, outcome.error);
}

static void look(struct keeper_worker *worker)
{
    struct keeper_hop in_use = worker->in_use;
    bool is_in_use = worker->is_in_use;
    struct fib_event none;
    struct outcome outcome;

    worker->look_waits = false;
    pthread_mutex_unlock(&worker->lock);
    while (fib_next_event(worker->fib, &none))
        ;
    keeper_doubt(worker->keeper); /* a table that is read is worth to be looked at as a whole */
    keeper_step(worker->keeper, is_in_use ? &in_use : NULL, true, clock_now_ns(CLOCK_MONOTONIC));
    pthread_mutex_lock(&worker->lock);
    outcome = take_events(worker);
    if (!outcome.error && worker->report.keeper.unrepaired)
        outcome.error = -EREMOTEIO; /* it was told the first time only */
    worker->known |= !outcome.unknown;
    worker->look_again = outcome.error != 0;
    if (outcome.adopted)
        worker->move_waits = false; /* it was wanted when nobody knew of this route */
    pause_after(worker, outcome.error);
}

static enum job next_job(const struct keeper_worker *worker)
{
    if (!worker->known && (worker->move_waits || worker->look_waits))
        return JOB_LOOK;
    return worker->move_waits ? JOB_MOVE : worker->look_waits ? JOB_LOOK : JOB_NONE;
}

/* What is answered is tried once more at the end, what is not for as long as there is time. */
static bool is_over(const struct keeper_worker *worker)
{
    return worker->given_up ||
           (worker->ending && (!worker->unsettled || (worker->answered && worker->tries_at_end)));
}

static void *run(void *context)
{
    struct keeper_worker *worker = context;

    pthread_mutex_lock(&worker->lock);
    while (!is_over(worker)) {
        bool at_end = worker->ending; /* what began before the end is not what is tried at it */
        enum job job;

        worker->look_waits |= at_end;
        job = next_job(worker);
        if (job == JOB_NONE || clock_now_ns(CLOCK_MONOTONIC) < worker->not_before_ns) {
            condition_wait(&worker->work, &worker->lock, job == JOB_NONE ? NEVER_NS : worker->not_before_ns);
            continue;
        }
        worker->doing = job;
        if (worker->follow_waits) {
            keeper_follow(worker->keeper, worker->follow_only);
            worker->unsettled &= !worker->follow_only; /* it is others' now */
        }
        worker->follow_waits = false;
        fib_hurry(worker->fib, false);
        if (job == JOB_MOVE)
            move(worker);
        else
            look(worker);
        worker->doing = JOB_NONE;
        worker->tries_at_end +=
            at_end && job == JOB_LOOK; /* a move that is refused may leave none: a look follows */
        wakeup_ring(worker->wakeup.ring_fd);
    }
    worker->has_ended = true;
    pthread_cond_signal(&worker->idle);
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

static void take_in_use(struct keeper_worker *worker, const struct keeper_hop *in_use)
{
    worker->is_in_use = in_use != NULL;
    if (in_use)
        worker->in_use = *in_use;
}

/* --- start and end --- */

int keeper_worker_new(struct keeper_worker **out, struct keeper *keeper, struct fib *fib)
{
    struct keeper_worker *worker = calloc(1, sizeof(*worker));
    char message[128];
    int error;

    *out = NULL;
    if (!worker)
        return -ENOMEM;
    worker->fib = fib;
    worker->keeper = keeper;
    pthread_mutex_init(&worker->lock, NULL);
    condition_init(&worker->work);
    condition_init(&worker->idle);
    error = wakeup_open(&worker->wakeup, message, sizeof(message));
    if (!error)
        error = thread_start(&worker->thread, STACK_BYTES, run, worker);
    if (error) {
        wakeup_close(&worker->wakeup);
        free(worker);
        return error;
    }
    *out = worker;
    return 0;
}

bool keeper_worker_end(struct keeper_worker *worker, const struct keeper_hop *in_use, uint64_t wait_ns)
{
    uint64_t until_ns = add_sat_u64(clock_now_ns(CLOCK_MONOTONIC), wait_ns);

    if (worker->given_up)
        return !worker->unsettled;
    pthread_mutex_lock(&worker->lock);
    worker->ending = true;
    worker->failures = 0;
    worker->not_before_ns = min_u64(worker->not_before_ns, clock_now_ns(CLOCK_MONOTONIC) + PAUSE_END_NS);
    take_in_use(worker, in_use);
    fib_hurry(worker->fib, true);
    pthread_cond_signal(&worker->work);
    while (!worker->has_ended && condition_wait(&worker->idle, &worker->lock, until_ns))
        ;
    worker->given_up = true;
    pthread_cond_signal(&worker->work);
    pthread_mutex_unlock(&worker->lock);
    fib_end(worker->fib);
    pthread_join(worker->thread, NULL);
    return !worker->unsettled;
}

struct keeper_worker *keeper_worker_free(struct keeper_worker *worker)
{
    if (!worker)
        return NULL;
    keeper_worker_end(worker, NULL, 0);
    wakeup_close(&worker->wakeup);
    pthread_cond_destroy(&worker->work);
    pthread_cond_destroy(&worker->idle);
    pthread_mutex_destroy(&worker->lock);
    keeper_free(worker->keeper);
    free(worker);
    return NULL;
}

/* --- messages --- */

static bool is_under_way(const struct keeper_worker *worker, const struct keeper_hop *to)
{
    const struct keeper_hop *other = &worker->under_way.to;

    return worker->doing == JOB_MOVE && address_equal(&other->address, &to->address) &&
           other->ifindex == to->ifindex;
}

void keeper_worker_want(struct keeper_worker *worker, const struct keeper_wish *wish)
{
    pthread_mutex_lock(&worker->lock);
    worker->move_waits = !is_under_way(worker, &wish->to);
    worker->waiting = *wish;
    if (!worker->move_waits)
        worker->unwanted = false;
    if (!worker->in_vain)
        worker->not_before_ns = 0; /* it is looks that failed: this is more urgent */
    if (worker->doing == JOB_LOOK && worker->known)
        fib_hurry(worker->fib, true);
    pthread_cond_signal(&worker->work);
    pthread_mutex_unlock(&worker->lock);
}

void keeper_worker_unwant(struct keeper_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->move_waits = false;
    worker->unwanted = worker->doing == JOB_MOVE;
    pthread_mutex_unlock(&worker->lock);
}

void keeper_worker_want_still(struct keeper_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->unwanted = false;
    pthread_mutex_unlock(&worker->lock);
}

/* The newest answer to a wish that was not pulled; NULL: there is none. */
static const struct keeper_event *newest_answer(const struct keeper_worker *worker)
{
    for (unsigned i = worker->count; i-- > 0;) {
        const struct keeper_event *event = &worker->events[(worker->first + i) % EVENTS_MAX];

        if (event->kind == KEEPER_STANDS || event->kind == KEEPER_REFUSED)
            return event;
    }
    return NULL;
}

bool keeper_worker_wish(struct keeper_worker *worker, struct keeper_wish *wish)
{
    const struct keeper_event *answer;
    bool any = true;

    pthread_mutex_lock(&worker->lock);
    answer = newest_answer(worker);
    if (worker->move_waits)
        *wish = worker->waiting;
    else if (worker->doing == JOB_MOVE)
        *wish = worker->under_way;
    else if (answer)
        *wish = (struct keeper_wish){.to = {.address = answer->hop}, .tag = answer->tag};
    else
        any = false;
    pthread_mutex_unlock(&worker->lock);
    return any;
}

void keeper_worker_follow(struct keeper_worker *worker, bool follow_only)
{
    pthread_mutex_lock(&worker->lock);
    worker->follow_waits = true;
    worker->follow_only = follow_only;
    pthread_mutex_unlock(&worker->lock);
}

bool keeper_worker_look(struct keeper_worker *worker, const struct keeper_hop *in_use, bool due)
{
    bool free;

    pthread_mutex_lock(&worker->lock);
    free = worker->doing == JOB_NONE && worker->count == 0 && (!worker->move_waits || !worker->known);
    if (free && (due || worker->look_waits || worker->look_again)) {
        worker->look_waits = true;
        worker->look_again = false;
        take_in_use(worker, in_use);
        pthread_cond_signal(&worker->work);
    }
    pthread_mutex_unlock(&worker->lock);
    return free;
}

bool keeper_worker_next_event(struct keeper_worker *worker, struct keeper_event *event)
{
    bool any;

    pthread_mutex_lock(&worker->lock);
    any = worker->count > 0;
    if (any) {
        *event = worker->events[worker->first];
        worker->first = (worker->first + 1) % EVENTS_MAX;
        worker->count--;
    }
    pthread_mutex_unlock(&worker->lock);
    return any;
}

void keeper_worker_report(struct keeper_worker *worker, struct worker_report *report)
{
    wakeup_empty(worker->wakeup.fd);
    pthread_mutex_lock(&worker->lock);
    *report = worker->report;
    pthread_mutex_unlock(&worker->lock);
}

void keeper_worker_own(struct keeper_worker *worker, const struct address *next_hop)
{
    pthread_mutex_lock(&worker->lock);
    fib_own(worker->fib, next_hop);
    worker->report.owned = *next_hop;
    pthread_mutex_unlock(&worker->lock);
}

int keeper_worker_fd(const struct keeper_worker *worker)
{
    return worker->wakeup.fd;
}
