/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The buffers that one socket's multishot receive fills: see transport_uring_buffers.c.
 */
#pragma once

#include "probe/transport.h"

#include <liburing.h>

/* A buffer that the kernel has filled. */
struct uring_message {
    uint16_t id; /* which buffer */
    uint32_t size_bytes;
};

/* A set of buffers has a number below this at first, and so much more whenever it is replaced. */
#define URING_GROUPS 2

struct uring_buffers {
    struct io_uring *ring;
    uint16_t group; /* the kernel's name for them */
    uint16_t count;
    size_t size_bytes;                /* of each */
    struct io_uring_buf_ring *shared; /* the free ones, for the kernel to take; NULL: not made yet */
    uint8_t *bytes;
    struct uring_message *filled; /* a circle, oldest first */
    uint16_t filled_head;
    uint16_t filled_count;
    uint16_t lent[TRANSPORT_BATCH];
    uint16_t lent_count;
};

/*
 * Makes `count` buffers (a power of two, at least TRANSPORT_BATCH) of that size and tells the kernel of them
 * as `group`, below URING_GROUPS. 0, -ENOMEM, or what the kernel said.
 */
int uring_buffers_init(struct uring_buffers *b, struct io_uring *ring, uint16_t group, uint16_t count,
                       size_t size_bytes);

/* Nothing may be receiving into them any more. Accepts the zero state. */
void uring_buffers_destroy(struct uring_buffers *b);

/*
 * Replaces them by larger ones, in three steps:
 *
 *   prepare   makes the larger ones; the others serve on. On an error (as for init) there are none.
 *   withdraw  The kernel fills no more. What it has filled must be told by uring_buffers_fill(). On an error (what the
 *             kernel said) it fills on.
 *   replace   lets the larger ones take the place of those that were withdrawn. What is filled stays; what was lent is
 *             void.
 *
 * Larger ones that are not used after all are withdrawn and destroyed.
 */
int uring_buffers_prepare(const struct uring_buffers *b, struct uring_buffers *larger, size_t size_bytes);
int uring_buffers_withdraw(struct uring_buffers *b);
void uring_buffers_replace(struct uring_buffers *b, const struct uring_buffers *larger);

/* The kernel has filled buffer `id`. */
void uring_buffers_fill(struct uring_buffers *b, uint16_t id, uint32_t size_bytes);

/* Takes the oldest filled one, and how many bytes are in it; at most TRANSPORT_BATCH. NULL: there is none. */
uint8_t *uring_buffers_lend(struct uring_buffers *b, uint32_t *size_bytes);

/* Everything that was lent is free again. */
void uring_buffers_reclaim(struct uring_buffers *b);

static inline bool uring_buffers_any_free(const struct uring_buffers *b)
{
    return b->filled_count + b->lent_count < b->count;
}
