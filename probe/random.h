/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers that come again with the same seed, for simulations and tests: splitmix64 (Steele, Lea,
 * Flood: Fast splittable pseudorandom number generators, 2014). Not for what must not be guessed.
 */
#pragma once

#include "probe/base.h"

/* 2^64 divided by the golden ratio: odd, and evenly spread. */
#define RANDOM_GOLDEN UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t random_mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The next number of a sequence; any state is a seed. */
static inline uint64_t random_next(uint64_t *state)
{
    return random_mix(*state += RANDOM_GOLDEN);
}

/* The upper 53 bits as a number from 0 up to, but not including, 1. */
static inline double random_unit(uint64_t random)
{
    return (double)(random >> 11) * 0x1p-53;
}
