/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of pools share: pools over the namespaces of cluster.h, and what must come of them. */
#pragma once

#include "probe/pool.h"
#include "tests/probe/cluster.h"

#define STAGE_DEADLINE_NS (30 * NS_PER_S)

/* Makes the namespaces; with ping sockets, or without them over raw ones. */
void stage_make(struct cluster *c, bool ping_sockets);
/* One address, prefix or range more. */
void stage_add(struct probe_targets *targets, const char *text);
struct probe_settings stage_settings(const char *transport, uint64_t timeout_ms);
/* NULL: this transport is not to be had here. */
struct probe_pool *stage_open(const struct probe_settings *settings, uint32_t workers,
                              struct probe_targets *targets);
/* Steps and pulls until `count` results more are there. Each must come once, and stay. */
void stage_pull(struct probe_pool *pool, uint8_t *seen, uint32_t count);

/*
 * Targets of all kinds: alive, silent, refused by a router, refused by ourselves, and no way there. Each must
 * have its outcome, however many workers there are.
 */
void stage_check_all_kinds(const struct probe_settings *settings, uint32_t workers);
