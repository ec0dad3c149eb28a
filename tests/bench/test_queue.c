/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves that answers leave the queue in the order of their times and, of equals, in that of their arrival;
 * that the queue is bounded; and that what is remembered of addresses is found again, within its bounds.
 */
#include <criterion/criterion.h>

#include "bench/responder/memory.h"
#include "bench/responder/queue.h"

Test(queue, in_order_of_time_then_of_arrival)
{
    struct responder_queue queue = {0};
    uint64_t last_due = 0, last_order = 0;
    uint32_t state = 1;

    cr_expect_eq(responder_queue_due_ns(&queue), NEVER_NS);
    for (uint32_t round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < 5000; i++) {
            state = state * 1664525 + 1013904223;
            cr_assert_eq(responder_queue_add(&queue, last_due + (state >> 24), (uint8_t *)&i, sizeof(i)), 0);
        }
        while (queue.count > (round == 19 ? 0u : 2500u)) {
            uint64_t due_ns = responder_queue_due_ns(&queue);
            struct responder_pending next = responder_queue_take(&queue);

            cr_assert_eq(next.due_ns, due_ns);
            cr_assert(next.due_ns > last_due || (next.due_ns == last_due && next.order >= last_order));
            cr_assert_eq(next.size_bytes, 4);
            last_due = next.due_ns;
            last_order = next.order;
            free(next.bytes);
        }
    }
    cr_expect_eq(queue.held_bytes, 0);
    responder_queue_clear(&queue);
}

Test(queue, bytes_are_kept)
{
    struct responder_queue queue = {0};
    uint8_t bytes[100];

    for (uint8_t i = 0; i < 100; i++) {
        memset(bytes, i, sizeof(bytes));
        cr_assert_eq(responder_queue_add(&queue, 1000u - i, bytes, 1u + i), 0);
    }
    for (uint8_t i = 100; i-- > 0;) {
        struct responder_pending next = responder_queue_take(&queue);

        cr_expect_eq(next.size_bytes, 1u + i);
        cr_expect_eq(next.bytes[0], i);
        cr_expect_eq(next.bytes[i], i);
        free(next.bytes);
    }
    responder_queue_add(&queue, 1, bytes, sizeof(bytes)); /* freed with the queue: the sanitizer would say */
    responder_queue_clear(&queue);
    cr_expect_eq(responder_queue_due_ns(&queue), NEVER_NS);
}

Test(queue, is_bounded_in_bytes)
{
    struct responder_queue queue = {0};
    static uint8_t bytes[60000];
    size_t count = 0;

    while (responder_queue_add(&queue, count, bytes, sizeof(bytes)) == 0)
        count++;
    cr_expect_gt(count, RESPONDER_QUEUE_MAX_BYTES / 70000);
    cr_expect_leq(count * sizeof(bytes), RESPONDER_QUEUE_MAX_BYTES);
    free(responder_queue_take(&queue).bytes);
    cr_expect_eq(responder_queue_add(&queue, 0, bytes, sizeof(bytes)), 0, "there is room again");
    responder_queue_clear(&queue);
}

static uint64_t hash_of(uint32_t n)
{
    static struct responder_rule rule = {.key = 1};
    struct address address = {.family = AF_INET};

    memcpy(address.bytes, &n, 4);
    return responder_address_hash(&rule, &address);
}

Test(memory, a_million_addresses_are_remembered)
{
    struct responder_memories memories = {0};
    uint32_t count = 1000000, wrong = 0;

    cr_assert_eq(responder_memories_open(&memories), 0);
    for (uint32_t n = 0; n < count; n++) {
        struct responder_memory *memory = responder_memories_find(&memories, hash_of(n));

        wrong += memory->answers != 0;
        memory->answers = n + 1;
    }
    for (uint32_t n = 0; n < count; n++)
        wrong += responder_memories_find(&memories, hash_of(n))->answers != n + 1;
    cr_expect_leq(wrong, 1000 + 2 * memories.forgotten, "wrong: %u", wrong);
    cr_expect_lt(memories.forgotten, 1000, "forgotten: %" PRIu64, memories.forgotten);
    responder_memories_close(&memories);
}

Test(memory, what_was_not_heard_of_for_longest_is_forgotten)
{
    struct responder_memories memories = {0};

    cr_assert_eq(responder_memories_open(&memories), 0);
    for (uint32_t i = 0; i < 8; i++) /* all of one set */
        responder_memories_find(&memories, 2 * i + 1)->second = 10 + (i + 3) % 8;
    cr_expect_eq(memories.forgotten, 0);
    cr_expect_eq(responder_memories_find(&memories, 101)->second, 0, "a new one");
    cr_expect_eq(memories.forgotten, 1);
    for (uint32_t i = 0; i < 8; i++)
        if (i != 5)
            cr_expect_eq(responder_memories_find(&memories, 2 * i + 1)->second, 10 + (i + 3) % 8);
    cr_expect_eq(memories.forgotten, 1);
    responder_memories_close(&memories);
}
