/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash of sets: 19 bits of an address' hash choose the set, 31 others are its tag. Two addresses of one set
 * with the same tag would share a memory: with a million addresses that happens in one run of two thousand.
 */
#include "bench/responder/memory.h"

#include <sys/mman.h>

#define SETS_BITS 19
#define WAYS      8
#define SIZE      (sizeof(struct responder_memory) * WAYS << SETS_BITS)

int responder_memories_open(struct responder_memories *memories)
{
    void *entries =
        mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (entries == MAP_FAILED)
        return -errno;
    memories->entries = entries;
    return 0;
}

void responder_memories_close(struct responder_memories *memories)
{
    if (memories->entries)
        munmap(memories->entries, SIZE);
    memories->entries = NULL;
}

struct responder_memory *responder_memories_find(struct responder_memories *memories, uint64_t hash)
{
    struct responder_memory *set = memories->entries + (hash >> (64 - SETS_BITS)) * WAYS;
    struct responder_memory *oldest = set;
    uint32_t tag = (uint32_t)hash | 1; /* 0 is an empty entry */

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].tag == tag)
            return &set[i];
        if (set[i].tag == 0) {
            set[i].tag = tag;
            return &set[i];
        }
        if (set[i].second < oldest->second)
            oldest = &set[i];
    }
    memories->forgotten++;
    *oldest = (struct responder_memory){.tag = tag};
    return oldest;
}
