/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that wait for their time: a heap by (due, order of arrival), bounded in bytes.
 *
 * A heap and not a timing wheel: due times are exact to the nanosecond and may be an hour away, and with a
 * constant delay an answer goes in at the end without a comparison beyond its parent.
 */
#pragma once

#include "probe/base.h"

struct responder_pending {
    uint64_t due_ns;
    uint64_t order; /* of equals, the first in comes out first */
    uint8_t *bytes;
    uint32_t size_bytes;
};

/* All zero is empty. */
struct responder_queue {
    struct responder_pending *heap;
    size_t count, room;
    size_t held_bytes;
    uint64_t orders;
};

#define RESPONDER_QUEUE_MAX_BYTES (UINT64_C(512) << 20)

/* Keeps a copy of an answer. 0, -ENOBUFS: RESPONDER_QUEUE_MAX_BYTES are held already; -ENOMEM. */
int responder_queue_add(struct responder_queue *queue, uint64_t due_ns, const uint8_t *bytes,
                        size_t size_bytes);

/* When the next one is due; NEVER_NS: there is none. */
static inline uint64_t responder_queue_due_ns(const struct responder_queue *queue)
{
    return queue->count ? queue->heap[0].due_ns : NEVER_NS;
}

/* Takes out the next one, which there is; its bytes are the caller's to free. */
struct responder_pending responder_queue_take(struct responder_queue *queue);

void responder_queue_clear(struct responder_queue *queue);
