/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of addresses, in bounded memory: 4 million of them in 64 MiB, which the kernel hands out
 * only as far as it is touched. Beyond that the one not heard of for longest, of eight, is forgotten.
 */
#pragma once

#include "bench/responder/model.h"

/* All zero remembers nothing and can remember nothing. */
struct responder_memories {
    struct responder_memory *entries;
    uint64_t forgotten;
};

int responder_memories_open(struct responder_memories *memories);
void responder_memories_close(struct responder_memories *memories);

/* The memory of an address, by its hash; a new one is all zero but for its tag. */
struct responder_memory *responder_memories_find(struct responder_memories *memories, uint64_t hash);
