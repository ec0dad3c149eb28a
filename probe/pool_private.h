/* SPDX-License-Identifier: Apache-2.0 */
/* What a pool consists of: see pool.c. */
#pragma once

#include "probe/pool.h"
#include "probe/sweep_state.h"
#include "probe/wakeup.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

/* With one socket to hear for all, their idents are a block of so many. */
#define WORKERS_MAX TRANSPORT_SHARED_MAX

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

/* Starts a thread for each worker but the first; those that get none are taken out of the pool. */
void pool_start_workers(struct probe_pool *pool);
