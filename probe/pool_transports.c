/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many workers a pool gets, and over which sockets.
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
#include "probe/pool_transports.h"

#include <sys/resource.h>

#include "probe/cpus.h"

/* So many targets for each make one worker more worth its while: pool.c has the measurement. */
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
               ? POOL_WORKERS_MAX
               : sub_sat_u64(limit.rlim_cur, DESCRIPTORS_LEFT) / DESCRIPTORS_A_WORKER;
}

uint32_t pool_workers_wanted(const struct probe_settings *settings, uint32_t workers, uint32_t targets,
                             bool shuffled)
{
    if (targets < 2)
        return 1;
    if (workers == 0 && shuffled && targets >= 2 * TARGETS_A_WORKER &&
        (settings->rate == 0 || settings->rate > RATE_OF_ONE))
        workers = (uint32_t)min_u64(probe_cpus_usable(), targets / TARGETS_A_WORKER);
    if (workers > 1)
        workers = (uint32_t)min_u64(min_u64(workers, POOL_WORKERS_MAX), workers_by_descriptors());
    if (workers < 2)
        return 1;
    /* Rounding up the share of each leaves the last ones nothing when there are hardly more targets. */
    return pool_share(targets, pool_share(targets, (uint32_t)min_u64(workers, targets)));
}

int pool_transports_open(struct transport **out, uint32_t *count, bool *is_shared,
                         struct probe_settings settings, uint32_t targets, char *message, size_t size_bytes)
{
    uint32_t each = pool_share(targets, *count), opened = 1;
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
