/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the meters of a storage stream have in common: writes of a block each, one at a time, how long each took, and
 * what became of them (see blocks.h). What stands at a place is read before it is written again, and in the end: no
 * write is overwritten unseen. An interruption is a write that took more than 50 ms, or one in which the connection
 * broke. It lasts from the issuing of the write to its acknowledgement: for so long a VM's disk stood still.
 */
#pragma once

#include "tools/meter/blocks.h"
#include "tools/meter/timing.h"

#define WRITES_TICK_NS   (10 * NS_PER_MS) /* a write so often */
#define WRITES_FINISH_NS (5 * NS_PER_S)   /* in the end so long is waited for the one that is under way */

struct writes {
    uint64_t started_ns, token;
    struct meter_figures figures;
    struct meter_stalls stalls;
    uint64_t issued, acknowledged;        /* numbers */
    uint64_t issued_ns, issued_stalls_ns; /* of the write that is under way */
    struct meter_interruption run;        /* since then */
    unsigned breaks;
    unsigned verdicts[BLOCK_DAMAGED + 1]; /* how often each was the verdict on what was read */
    unsigned unread;                      /* asked for in vain */
};

/*
 * From now on writes count; prints that it begins. `stream` is their name in all that is said, and stays the caller's;
 * `service` is for the reader. -errno.
 */
int writes_begin(struct writes *writes, const char *stream, const char *service);
/* The next write goes out: its number, and its bytes in `block`. True: its place must be read and judged before. */
bool writes_issue(struct writes *writes, uint64_t now_ns, uint8_t *block);
void writes_acknowledge(struct writes *writes, uint64_t now_ns);
static inline bool writes_under_way(const struct writes *writes)
{
    return writes->issued > writes->acknowledged;
}
/* One is under way, and it ends here: an interruption that is open. What stands in the file stays unread. */
void writes_cut_off(struct writes *writes, uint64_t now_ns);
/* The places that may have been written: 0 up to, but not including, this. */
uint64_t writes_places(const struct writes *writes);
/* Counts what was read from a place: BLOCK_BYTES, zero where there was nothing. */
void writes_judge(struct writes *writes, uint64_t place, const uint8_t *block);
void writes_summary(const struct writes *writes);
