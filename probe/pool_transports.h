/* SPDX-License-Identifier: Apache-2.0 */
/* How many workers a pool gets, and over which sockets. */
#pragma once

#include "probe/transport.h"

/* With one socket to hear for all, their idents are a block of so many. */
#define POOL_WORKERS_MAX TRANSPORT_SHARED_MAX

/* Targets of each worker, rounded up. */
static inline uint32_t pool_share(uint32_t targets, uint32_t workers)
{
    return targets / workers + (targets % workers != 0);
}

/* workers: 0 leaves the number to us. Then who wants targets asked in their order gets one. */
uint32_t pool_workers_wanted(const struct probe_settings *settings, uint32_t workers, uint32_t targets,
                             bool shuffled);

/*
 * Opens up to *count, and says how many: as many as there are sockets for; and whether they share one. 0, or a
 * negative errno with one line in message.
 */
int pool_transports_open(struct transport **out, uint32_t *count, bool *is_shared,
                         struct probe_settings settings, uint32_t targets, char *message, size_t size_bytes);
