/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what the NFS stream says of a block that it reads back: every write is told from every other one, from
 * nothing, and from a write of another run; each byte counts; older than acknowledged is lost.
 */
#include "tools/meter/blocks.h"

#include <criterion/criterion.h>

#define TOKEN 7

static enum block_verdict judge(uint64_t written, uint64_t place, uint64_t acknowledged, uint64_t issued)
{
    uint8_t block[BLOCK_BYTES] = {0};

    if (written)
        block_fill(block, TOKEN, written);
    return block_judge(block, TOKEN, place, acknowledged, issued);
}

Test(blocks, newest_write_to_a_place)
{
    for (uint64_t last = 0; last < 3 * BLOCKS; last++) {
        uint64_t expected[BLOCKS] = {0};

        for (uint64_t n = 1; n <= last; n++)
            expected[block_place(n)] = n;
        for (uint64_t place = 0; place < BLOCKS; place++)
            cr_assert_eq(block_newest(place, last), expected[place], "place %d of %d writes", (int)place,
                         (int)last);
    }
}

Test(blocks, verdicts)
{
    static const struct {
        const char *what;
        uint64_t written, place, acknowledged, issued;
        enum block_verdict verdict;
    } rows[] = {
        {"never written, nothing there", 0, 9, 5, 5, BLOCK_GOOD},
        {"place 0 is first written by the 256th", 0, 0, 255, 255, BLOCK_GOOD},
        {"acknowledged and there", 5, 5, 5, 5, BLOCK_GOOD},
        {"acknowledged and not there", 0, 5, 5, 5, BLOCK_LOST},
        {"under way and not there", 0, 6, 5, 6, BLOCK_GOOD},
        {"under way and there", 6, 6, 5, 6, BLOCK_GOOD},
        {"never issued", 7, 7, 5, 6, BLOCK_DAMAGED},
        {"of another place", 5, 6, 5, 6, BLOCK_DAMAGED},
        {"the second time round", 261, 5, 261, 261, BLOCK_GOOD},
        {"the second time round, under way: the first is there", 5, 5, 260, 261, BLOCK_GOOD},
        {"the second time round, acknowledged: the first is there", 5, 5, 261, 261, BLOCK_LOST},
        {"the third time round, the first is there", 5, 5, 516, 517, BLOCK_LOST},
        {"the third time round, the second is there", 261, 5, 516, 517, BLOCK_GOOD},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        cr_assert_eq(judge(rows[i].written, rows[i].place, rows[i].acknowledged, rows[i].issued),
                     rows[i].verdict, "%s", rows[i].what);
}

Test(blocks, every_byte_counts)
{
    uint8_t block[BLOCK_BYTES];

    for (size_t i = 0; i < BLOCK_BYTES; i++) {
        block_fill(block, TOKEN, 261);
        block[i] ^= 0x40;
        cr_assert_neq(block_judge(block, TOKEN, 5, 261, 261), BLOCK_GOOD, "byte %zu", i);
    }
    memset(block, 0, sizeof(block));
    block[BLOCK_BYTES - 1] = 1;
    cr_assert_eq(block_judge(block, TOKEN, 9, 5, 5), BLOCK_DAMAGED, "hardly anything");
}

Test(blocks, another_run)
{
    uint8_t block[BLOCK_BYTES];

    block_fill(block, TOKEN + 1, 5);
    cr_assert_eq(block_judge(block, TOKEN, 5, 5, 5), BLOCK_DAMAGED);
}
