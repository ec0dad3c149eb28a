/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MTUs that the system tells by a command alone. The FIB of the thread that runs commands learns them; that of another
 * thread, which may not wait for commands, gets them from here.
 */
#pragma once

#include <pthread.h>

#include "route/fib/host.h"

#define FIB_MTUS_MAX 64

struct fib_mtu {
    char name[IF_NAMESIZE];
    uint32_t mtu_bytes;
};

/* FIB_MTUS_EMPTY to begin with. */
struct fib_mtus {
    pthread_mutex_t lock;
    struct fib_mtu links[FIB_MTUS_MAX];
    size_t count;
};

#define FIB_MTUS_EMPTY ((struct fib_mtus){.lock = PTHREAD_MUTEX_INITIALIZER})

/* Both for any thread. A link more than FIB_MTUS_MAX stays unknown. */
void fib_mtus_learn(struct fib_mtus *mtus, const char *name, uint32_t mtu_bytes);
/* Gives the links without an MTU theirs, where it is known. */
void fib_mtus_apply(struct fib_mtus *mtus, struct fib_host *host);
