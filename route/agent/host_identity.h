/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tells this host from others, so that hosts spread over accesses of equal rank.
 *
 * A name alone does not: many systems are called "localhost". Nor does a machine id: clones share it. So all
 * of it counts together: the name, /etc/machine-id, and what the network has only once, the smallest
 * permanent hardware address of this host's interfaces, or where there is none its smallest address. All of
 * that stays over restarts of the agent and of the host.
 */
#pragma once

#include "probe/base.h"

struct host_identity {
    char machine_id[33];             /* empty: none */
    char network[ADDRESS_TEXT_SIZE]; /* "52:54:00:12:34:56" or "10.0.0.1"; empty: none */
};

/* Reads them from this host; what cannot be read stays empty. */
void host_identity_read(struct host_identity *out);
/* For selector_weight(). Pure. */
uint64_t host_identity_key(const struct host_identity *identity, const char *name);
/* What counts, for people: "name, machine-id, 52:54:00:12:34:56". Returns buffer. */
const char *host_identity_text(const struct host_identity *identity, char *buffer, size_t size_bytes);
