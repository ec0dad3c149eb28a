/* SPDX-License-Identifier: Apache-2.0 */
/* A program that includes this has a pthread_create(3) of its own, which refuses a thread on command. */
#pragma once

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>

static bool no_threads; /* from now on there is none: EAGAIN */

int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                   void *(*run)(void *), void *restrict context)
{
    int (*create)(pthread_t *restrict, const pthread_attr_t *restrict, void *(*)(void *), void *restrict);

    *(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
    return no_threads ? EAGAIN : create(thread, attributes, run, context);
}
