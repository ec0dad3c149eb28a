/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread of the kind that does slow work beside the one that probes: no signal is its own, and its stack is small.
 */
#pragma once

#include <limits.h>
#include <pthread.h>
#include <signal.h>

#include "probe/base.h"

/* 0 or a negative errno. */
static inline int thread_start(pthread_t *thread, size_t stack_bytes, void *(*run)(void *), void *context)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, max_u64(stack_bytes, (uint64_t)PTHREAD_STACK_MIN));
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(thread, &attributes, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -error;
}

/* For timed waits on CLOCK_MONOTONIC. */
static inline void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* Waits until somebody signals, or until that time at the latest (NEVER_NS: for good). False: the time is over. */
static inline bool condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S), .tv_nsec = (long)(until_ns % NS_PER_S)};

    if (until_ns == NEVER_NS)
        return pthread_cond_wait(condition, lock) == 0;
    return pthread_cond_timedwait(condition, lock, &until) == 0;
}
