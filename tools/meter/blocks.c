/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/meter/blocks.h"

#include "probe/random.h"

#define WORDS (BLOCK_BYTES / sizeof(uint64_t))

uint64_t block_place(uint64_t number)
{
    return number % BLOCKS;
}

uint64_t block_newest(uint64_t place, uint64_t last)
{
    uint64_t behind = (last + BLOCKS - place) % BLOCKS; /* so many writes ago */

    return last > behind ? last - behind : 0;
}

/* The counter, then numbers that follow from it: a checksum of it as long as the block. */
void block_fill(uint8_t *block, uint64_t token, uint64_t number)
{
    uint64_t words[WORDS] = {number}, state = random_mix(token) ^ number;

    for (size_t i = 1; i < WORDS; i++)
        words[i] = random_next(&state);
    memcpy(block, words, sizeof(words));
}

static bool is_write(const uint8_t *block, uint64_t token, uint64_t number)
{
    uint8_t expected[BLOCK_BYTES];

    block_fill(expected, token, number);
    return memcmp(block, expected, sizeof(expected)) == 0;
}

enum block_verdict block_judge(const uint8_t *block, uint64_t token, uint64_t place, uint64_t acknowledged,
                               uint64_t issued)
{
    static const uint8_t nothing[BLOCK_BYTES];
    uint64_t least = block_newest(place, acknowledged), number;

    memcpy(&number, block, sizeof(number));
    if (number == 0 && memcmp(block, nothing, sizeof(nothing)) == 0)
        return least ? BLOCK_LOST : BLOCK_GOOD;
    if (number == 0 || number > issued || block_place(number) != place || !is_write(block, token, number))
        return BLOCK_DAMAGED;
    return number < least ? BLOCK_LOST : BLOCK_GOOD;
}
