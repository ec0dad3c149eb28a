/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/responder/queue.h"

#define ROOM_FIRST 1024
#define OVERHEAD   (sizeof(struct responder_pending) + 16) /* what an answer costs beside its bytes */

static bool before(const struct responder_pending *a, const struct responder_pending *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static int grow(struct responder_queue *queue)
{
    size_t room = queue->room ? 2 * queue->room : ROOM_FIRST;
    struct responder_pending *heap = reallocarray(queue->heap, room, sizeof(*heap));

    if (!heap)
        return -ENOMEM;
    queue->heap = heap;
    queue->room = room;
    return 0;
}

int responder_queue_add(struct responder_queue *queue, uint64_t due_ns, const uint8_t *bytes,
                        size_t size_bytes)
{
    struct responder_pending pending = {
        .due_ns = due_ns, .order = queue->orders, .size_bytes = (uint32_t)size_bytes};
    size_t at;

    if (queue->held_bytes + size_bytes + OVERHEAD > RESPONDER_QUEUE_MAX_BYTES)
        return -ENOBUFS;
    if (queue->count == queue->room && grow(queue) < 0)
        return -ENOMEM;
    pending.bytes = malloc(size_bytes);
    if (!pending.bytes)
        return -ENOMEM;
    memcpy(pending.bytes, bytes, size_bytes);
    queue->orders++;
    queue->held_bytes += size_bytes + OVERHEAD;
    for (at = queue->count++; at > 0 && before(&pending, &queue->heap[(at - 1) / 2]); at = (at - 1) / 2)
        queue->heap[at] = queue->heap[(at - 1) / 2];
    queue->heap[at] = pending;
    return 0;
}

struct responder_pending responder_queue_take(struct responder_queue *queue)
{
    struct responder_pending first = queue->heap[0], last = queue->heap[--queue->count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < queue->count && before(&queue->heap[child + 1], &queue->heap[child]))
            child++;
        if (child >= queue->count || !before(&queue->heap[child], &last))
            break;
        queue->heap[at] = queue->heap[child];
        at = child;
    }
    queue->heap[at] = last;
    queue->held_bytes -= first.size_bytes + OVERHEAD;
    return first;
}

void responder_queue_clear(struct responder_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        free(queue->heap[i].bytes);
    free(queue->heap);
    memset(queue, 0, sizeof(*queue));
}
