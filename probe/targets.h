/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which addresses are to be probed: numbered from 0 in the order in which they were given, hardly stored.
 *
 * A prefix or a range takes a few bytes whatever its size: an address is computed from its number. Addresses
 * that were listed one by one take 4 bytes (IPv4) or 24. What is excluded, or belongs to another shard, takes
 * nothing: it is left out when a range is added, and the numbers close ranks.
 *
 * All zero is an empty list of the only shard. One that nobody changes any more may be read by any thread.
 */
#pragma once

#include "probe/range.h"
#include "probe/scope.h"

/* The most addresses in one prefix or range: an IPv4 /8, an IPv6 /104. What is larger is a slip of the pen.
 */
#define PROBE_TARGETS_RANGE_MAX (UINT32_C(1) << 24)

struct probe_target_run {
    uint32_t index;  /* of its first target */
    uint32_t listed; /* in which list the addresses are, see targets.c */
    uint32_t step;   /* or how far apart they are when they are counted, */
    union {
        struct address first; /* from this one on */
        uint32_t at;          /* where in the list they begin */
    };
};

/* An address without the name of its interface, which `scopes` has; none (yet): family 0. */
struct probe_target_listed {
    uint8_t family;
    uint8_t bytes[16];
    uint32_t scope;
};

struct probe_targets {
    const struct probe_range_set *excluded; /* left out of what is added from now on; NULL: nothing */
    uint32_t shard, shards; /* of what is added: every shards-th, from number `shard` on; 0 of 0: all */
    uint64_t offered;       /* how many were added to all shards together */
    uint32_t count;
    bool has_ipv4, has_ipv6; /* addresses of that family are among them */
    struct probe_target_run *runs;
    uint32_t run_count, run_room;
    in_addr_t *listed4;
    uint32_t listed4_count, listed4_room;
    struct probe_target_listed *listed;
    uint32_t listed_count, listed_room;
    struct scopes scopes; /* the interfaces of link-local addresses, by the names they had */
};

/*
 * Adds all addresses of a range. -ENOMEM; -E2BIG for more than PROBE_TARGETS_RANGE_MAX, or when all together
 * cannot be counted with 32 bits any more.
 */
int probe_targets_add(struct probe_targets *targets, const struct probe_range *range);
/*
 * Adds a target whose address will be known later. Returns 1 and its *index, or 0 when it belongs to another
 * shard, or errors as above.
 */
int probe_targets_add_later(struct probe_targets *targets, uint32_t *index);
/* Its address has been found. Once. */
void probe_targets_set(struct probe_targets *targets, uint32_t index, const struct address *address);

/*
 * Looks up by name the interfaces of link-local targets: one that was made anew has another index. Not while
 * somebody else reads the list.
 */
void probe_targets_refresh(struct probe_targets *targets);

/* The address of a target; none when it is not known yet. */
struct address probe_targets_at(const struct probe_targets *targets, uint32_t index);

void probe_targets_clear(struct probe_targets *targets);
