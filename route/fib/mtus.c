/* SPDX-License-Identifier: Apache-2.0 */
#include "route/fib/mtus.h"

/* The place of this link, or the one after the last. */
static size_t find(const struct fib_mtus *mtus, const char *name)
{
    size_t i = 0;

    while (i < mtus->count && strcmp(mtus->links[i].name, name) != 0)
        i++;
    return i;
}

void fib_mtus_learn(struct fib_mtus *mtus, const char *name, uint32_t mtu_bytes)
{
    struct fib_mtu learnt = {.mtu_bytes = mtu_bytes};
    size_t i;

    snprintf(learnt.name, sizeof(learnt.name), "%s", name);
    pthread_mutex_lock(&mtus->lock);
    i = find(mtus, name);
    if (i < FIB_MTUS_MAX) {
        mtus->links[i] = learnt;
        mtus->count = max_u64(mtus->count, i + 1);
    }
    pthread_mutex_unlock(&mtus->lock);
}

void fib_mtus_apply(struct fib_mtus *mtus, struct fib_host *host)
{
    pthread_mutex_lock(&mtus->lock);
    for (size_t i = 0; i < host->link_count; i++) {
        size_t at = find(mtus, host->links[i].name);

        if (!host->links[i].mtu_bytes && at < mtus->count)
            host->links[i].mtu_bytes = mtus->links[at].mtu_bytes;
    }
    pthread_mutex_unlock(&mtus->lock);
}
