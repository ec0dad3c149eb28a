/* SPDX-License-Identifier: Apache-2.0 */
#include "route/keeper/guard.h"

#include "route/keeper/worker.h"

#define LOOK_NS (10 * NS_PER_S) /* between two looks without a cause: a look is a command */
#define BUSY_NS (1 * NS_PER_S)  /* what cannot be asked now is asked when it rings, or after this */

struct guard {
    struct keeper *keeper;        /* of a quick FIB; else NULL */
    struct keeper_worker *worker; /* of a slow one; else NULL */
    struct fib *fib;

    /* Of a slow one. */
    struct worker_report report;
    bool doubted;     /* the worker has not been told yet */
    uint64_t look_ns; /* when it looks next without a cause */
    uint64_t deadline_ns;
    uint64_t silent_since_ns;
    struct keeper_event silence; /* to be told */
    bool tells;
};

static int start_worker(struct guard *guard, const struct keeper_settings *settings)
{
    struct keeper *keeper;
    int error = keeper_new(&keeper, settings);

    if (!error)
        error = keeper_worker_new(&guard->worker, keeper, settings->fib);
    if (error)
        keeper_free(keeper);
    return error;
}

int guard_new(struct guard **out, const struct keeper_settings *settings)
{
    struct guard *guard = calloc(1, sizeof(*guard));
    int error;

    *out = NULL;
    if (!guard)
        return -ENOMEM;
    guard->fib = settings->fib;
    error = fib_is_slow(settings->fib) ? start_worker(guard, settings) : keeper_new(&guard->keeper, settings);
    if (error)
        guard_free(guard);
    else
        *out = guard;
    return error;
}

struct guard *guard_free(struct guard *guard)
{
    if (!guard)
        return NULL;
    keeper_worker_free(guard->worker);
    keeper_free(guard->keeper);
    free(guard);
    return NULL;
}

bool guard_end(struct guard *guard, const struct keeper_hop *in_use, uint64_t wait_ns)
{
    bool settled = !guard->worker || keeper_worker_end(guard->worker, in_use, wait_ns);

    if (guard->worker)
        keeper_worker_report(guard->worker, &guard->report);
    return settled;
}

void guard_want(struct guard *guard, const struct keeper_wish *wish, uint64_t now_ns)
{
    if (guard->keeper)
        keeper_want(guard->keeper, wish, now_ns);
    else
        keeper_worker_want(guard->worker, wish);
}

void guard_unwant(struct guard *guard)
{
    if (guard->worker)
        keeper_worker_unwant(guard->worker);
}

void guard_want_still(struct guard *guard)
{
    if (guard->worker)
        keeper_worker_want_still(guard->worker);
}

bool guard_wish(const struct guard *guard, struct keeper_wish *wish)
{
    return guard->worker && keeper_worker_wish(guard->worker, wish);
}

void guard_follow(struct guard *guard, bool follow_only)
{
    if (guard->keeper)
        keeper_follow(guard->keeper, follow_only);
    else
        keeper_worker_follow(guard->worker, follow_only);
    guard_doubt(guard);
}

void guard_doubt(struct guard *guard)
{
    if (guard->keeper)
        keeper_doubt(guard->keeper);
    guard->doubted = true;
    guard->deadline_ns = 0;
}

bool guard_needs_source(const struct guard *guard, const struct address *address)
{
    return guard->keeper && keeper_needs_source(guard->keeper, address);
}

/* --- behind a slow FIB --- */

static void tell_silence(struct guard *guard, enum keeper_event_kind kind, const struct keeper_hop *in_use,
                         uint64_t took_ns)
{
    guard->silence = (struct keeper_event){.kind = kind, .took_ns = took_ns};
    if (in_use)
        guard->silence.hop = in_use->address;
    guard->tells = true;
}

/* Does a command hang? Both its beginning and its end are told. */
static void note_silence(struct guard *guard, const struct keeper_hop *in_use, uint64_t now_ns)
{
    uint64_t since_ns = fib_silent_since_ns(guard->fib);

    if (guard->silent_since_ns && since_ns != guard->silent_since_ns) {
        tell_silence(guard, KEEPER_ANSWERS, in_use, sub_sat_u64(now_ns, guard->silent_since_ns));
        guard->silent_since_ns = 0;
    } else if (!guard->silent_since_ns && since_ns && now_ns >= since_ns + FIB_HANGS_NS) {
        tell_silence(guard, KEEPER_HANGS, in_use, now_ns - since_ns);
        guard->silent_since_ns = since_ns;
    }
}

static void step_worker(struct guard *guard, const struct keeper_hop *in_use, bool doubt, uint64_t now_ns)
{
    bool due;

    keeper_worker_report(guard->worker, &guard->report);
    note_silence(guard, in_use, now_ns);
    guard->doubted |= doubt;
    due = guard->doubted || now_ns >= guard->look_ns;
    guard->deadline_ns = now_ns + BUSY_NS;
    if (!keeper_worker_look(guard->worker, in_use, due) || !due)
        return;
    guard->doubted = false;
    guard->look_ns = now_ns + LOOK_NS;
}

/* --- either --- */

void guard_step(struct guard *guard, const struct keeper_hop *in_use, bool doubt, uint64_t now_ns)
{
    if (guard->keeper)
        keeper_step(guard->keeper, in_use, doubt, now_ns);
    else
        step_worker(guard, in_use, doubt, now_ns);
}

static bool worker_event(struct guard *guard, struct keeper_event *event)
{
    if (!keeper_worker_next_event(guard->worker, event))
        return false;
    guard->doubted |= event->kind == KEEPER_REFUSED; /* half of a move may have been done */
    return true;
}

bool guard_next_event(struct guard *guard, struct keeper_event *event)
{
    if (guard->keeper)
        return keeper_next_event(guard->keeper, event);
    if (!guard->tells)
        return worker_event(guard, event);
    *event = guard->silence;
    guard->tells = false;
    return true;
}

int guard_fd(const struct guard *guard)
{
    return guard->worker ? keeper_worker_fd(guard->worker) : -1;
}

uint64_t guard_deadline_ns(const struct guard *guard)
{
    return guard->keeper ? keeper_deadline_ns(guard->keeper) : guard->deadline_ns;
}

const struct keeper_report *guard_report(const struct guard *guard)
{
    return guard->keeper ? keeper_report(guard->keeper) : &guard->report.keeper;
}

uint64_t guard_silent_since_ns(const struct guard *guard)
{
    return guard->silent_since_ns;
}

void guard_own(struct guard *guard, const struct address *next_hop)
{
    if (!guard->worker)
        return;
    keeper_worker_own(guard->worker, next_hop);
    guard->report.owned = *next_hop;
}

const struct address *guard_owned(const struct guard *guard)
{
    return &guard->report.owned;
}
