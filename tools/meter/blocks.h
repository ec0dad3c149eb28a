/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a storage stream writes, and what it must find when it reads it back. Pure.
 *
 * The file is a ring of blocks. Write number n (from 1 on) goes to place n modulo BLOCKS, so each place is written
 * again and again: a block that an old server brought out too late stands where a newer one must be. All bytes of a
 * block follow from the run's token and the number. One write is under way at a time; number n + 1 follows when
 * number n is acknowledged.
 */
#pragma once

#include "probe/base.h"

#define BLOCK_BYTES 4096
#define BLOCKS      256

enum block_verdict {
    BLOCK_GOOD,
    BLOCK_LOST,   /* a write that was acknowledged is not there: older, or nothing */
    BLOCK_DAMAGED /* some bytes are of no write that this place can have */
};

/* The place of a write in the file, in blocks. */
uint64_t block_place(uint64_t number);
/* The newest write to a place among 1..last; 0: none. */
uint64_t block_newest(uint64_t place, uint64_t last);
/* Fills all BLOCK_BYTES. */
void block_fill(uint8_t *block, uint64_t token, uint64_t number);
/*
 * What was read from a place, when the writes 1..acknowledged are acknowledged and 1..issued were issued. Those
 * after `acknowledged` may have arrived or not.
 */
enum block_verdict block_judge(const uint8_t *block, uint64_t token, uint64_t place, uint64_t acknowledged,
                               uint64_t issued);
