/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provided buffers: where a multishot receive puts its messages.
 *
 * Each buffer is in one of three places:
 *
 *   free    in the ring from which the kernel takes them
 *   filled  in a queue by arrival
 *   lent    to the reader of the message
 *
 * Moving one on is a store to shared memory, no call.
 *
 * A larger set gets a name (group) from which no buffer was taken before. A kernel may keep its place in the ring of a
 * group beyond the end of that ring (Linux 6.1 does, for groups below 64, when the next ring has the same
 * name): it then looks for free buffers where there are none and ends each receive with ENOBUFS, while
 * messages wait in the socket. A receive that is still armed with the former group ends with ENOBUFS at the
 * next message and is armed again with the new one; the message stays where it is meanwhile.
 *
 * When the kernel finds none free, the receive ends with ENOBUFS and messages wait in the socket. Nothing is
 * lost by that, so there are not many of them: few that are used again soon stay in the processor's cache.
 */
#include "probe/transport_uring_buffers.h"

#include <sys/mman.h>

/* The ring comes first, since the kernel wants it at the start of a page. */
static size_t ring_bytes(uint16_t count)
{
    return count * sizeof(struct io_uring_buf);
}

static size_t map_bytes(uint16_t count, size_t size_bytes)
{
    return ring_bytes(count) + count * size_bytes;
}

static void offer(struct uring_buffers *b, uint16_t id, int offset)
{
    io_uring_buf_ring_add(b->shared, b->bytes + id * b->size_bytes, (unsigned)b->size_bytes, id,
                          io_uring_buf_ring_mask(b->count), offset);
}

static struct uring_message *filled_at(struct uring_buffers *b, unsigned i)
{
    return &b->filled[(b->filled_head + i) % b->count];
}

static bool is_filled(struct uring_buffers *b, uint16_t id)
{
    for (unsigned i = 0; i < b->filled_count; i++)
        if (filled_at(b, i)->id == id)
            return true;
    return false;
}

/* Lets the kernel have all that are not filled. */
static void offer_free(struct uring_buffers *b)
{
    int offered = 0;

    for (uint16_t id = 0; id < b->count; id++)
        if (!is_filled(b, id))
            offer(b, id, offered++);
    io_uring_buf_ring_advance(b->shared, offered);
}

/* Takes the memory, and tells the kernel where they will be; it has none of them yet. */
static int make(struct uring_buffers *b, size_t size_bytes)
{
    struct io_uring_buf_reg group = {.ring_entries = b->count, .bgid = b->group};
    void *map = mmap(NULL, map_bytes(b->count, size_bytes), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return -ENOMEM;
    b->shared = map;
    b->bytes = (uint8_t *)map + ring_bytes(b->count);
    b->size_bytes = size_bytes;
    group.ring_addr = (uintptr_t)b->shared;
    return io_uring_register_buf_ring(b->ring, &group, 0);
}

int uring_buffers_init(struct uring_buffers *b, struct io_uring *ring, uint16_t group, uint16_t count,
                       size_t size_bytes)
{
    int r = -ENOMEM;

    *b = (struct uring_buffers){.ring = ring, .group = group, .count = count};
    b->filled = calloc(count, sizeof(*b->filled));
    if (b->filled)
        r = make(b, size_bytes);
    if (r < 0)
        uring_buffers_destroy(b);
    else
        offer_free(b);
    return r;
}

void uring_buffers_destroy(struct uring_buffers *b)
{
    if (b->shared)
        munmap(b->shared, map_bytes(b->count, b->size_bytes));
    free(b->filled);
    *b = (struct uring_buffers){0};
}

int uring_buffers_prepare(const struct uring_buffers *b, struct uring_buffers *larger, size_t size_bytes)
{
    int r;

    *larger = (struct uring_buffers){
        .ring = b->ring, .group = (uint16_t)(b->group + URING_GROUPS), .count = b->count};
    r = make(larger, size_bytes);
    if (r < 0)
        uring_buffers_destroy(larger);
    return r;
}

int uring_buffers_withdraw(struct uring_buffers *b)
{
    return io_uring_unregister_buf_ring(b->ring, b->group);
}

void uring_buffers_replace(struct uring_buffers *b, const struct uring_buffers *larger)
{
    struct uring_buffers old = *b;

    for (unsigned i = 0; i < b->filled_count; i++) {
        const struct uring_message *m = filled_at(b, i);

        memcpy(larger->bytes + m->id * larger->size_bytes, old.bytes + m->id * old.size_bytes, m->size_bytes);
    }
    *b = *larger;
    b->filled = old.filled;
    b->filled_head = old.filled_head;
    b->filled_count = old.filled_count;
    offer_free(b);
    old.filled = NULL;
    uring_buffers_destroy(&old);
}

void uring_buffers_fill(struct uring_buffers *b, uint16_t id, uint32_t size_bytes)
{
    *filled_at(b, b->filled_count++) = (struct uring_message){id, size_bytes};
}

uint8_t *uring_buffers_lend(struct uring_buffers *b, uint32_t *size_bytes)
{
    const struct uring_message *m;

    if (b->filled_count == 0)
        return NULL;
    m = filled_at(b, 0);
    b->filled_head = (uint16_t)((b->filled_head + 1) % b->count);
    b->filled_count--;
    b->lent[b->lent_count++] = m->id;
    *size_bytes = m->size_bytes;
    return b->bytes + m->id * b->size_bytes;
}

void uring_buffers_reclaim(struct uring_buffers *b)
{
    for (unsigned i = 0; i < b->lent_count; i++)
        offer(b, b->lent[i], (int)i);
    io_uring_buf_ring_advance(b->shared, b->lent_count);
    b->lent_count = 0;
}
