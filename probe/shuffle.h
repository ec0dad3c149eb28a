/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A random order without a list: a keyed permutation of the numbers below `count`.
 *
 * A Feistel network of four rounds permutes the numbers below a power of four; a result that is not below
 * `count` is put in again until it is ("cycle walking", Black and Rogaway, "Ciphers with Arbitrary Finite
 * Domains", 2002), less than three times on average. It is to spread load, not to hide anything: the round
 * function is a quick mixer.
 */
#pragma once

#include "probe/base.h"

struct shuffle {
    uint32_t count;
    uint32_t half_bits; /* the network works on twice as many */
    uint32_t keys[4];
};

static inline void shuffle_init(struct shuffle *shuffle, uint32_t count, const uint32_t key[static 4])
{
    *shuffle = (struct shuffle){.count = count, .half_bits = 1};
    while (shuffle->half_bits < 16 && UINT64_C(1) << 2 * shuffle->half_bits < count)
        shuffle->half_bits++;
    memcpy(shuffle->keys, key, sizeof(shuffle->keys));
}

static inline uint32_t shuffle_mix(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352d;
    x = (x ^ x >> 15) * 0x846ca68b;
    return x ^ x >> 16;
}

/* Which number comes at `position`; both are below count. */
static inline uint32_t shuffle_at(const struct shuffle *shuffle, uint32_t position)
{
    uint32_t mask = (UINT32_C(1) << shuffle->half_bits) - 1;
    uint32_t x = position;

    do {
        uint32_t left = x >> shuffle->half_bits, right = x & mask;

        for (size_t i = 0; i < ARRAY_SIZE(shuffle->keys); i++) {
            uint32_t before = right;

            right = left ^ (shuffle_mix(right ^ shuffle->keys[i]) & mask);
            left = before;
        }
        x = left << shuffle->half_bits | right;
    } while (x >= shuffle->count);
    return x;
}
