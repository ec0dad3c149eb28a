/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: no bytes of a target make the initiator read or write outside of what it was given, what it says
 * fits, and what they mean does not depend on the pieces in which they come.
 *
 * The first byte is the size of the pieces, the rest is what a target sent.
 */
#include "probe/iscsi.h"
#include "tests/fuzz/fuzz.h"

/* Of bytes from a piece's begin: what the first part of it means, and on to the next. */
static size_t hear(struct iscsi_initiator *initiator, const uint8_t *bytes, size_t size,
                   struct service_reply *reply)
{
    uint8_t *exact = malloc(size); /* nothing after it, for the sanitizer */
    size_t taken;

    memcpy(exact, bytes, size);
    taken = iscsi_hear(initiator, exact, size, reply);
    free(exact);
    fuzz_check(taken >= 1 && taken <= size);
    fuzz_check(reply->say_bytes <= SERVICE_REQUEST_SIZE && reply->say_bytes % 4 == 0);
    fuzz_check(reply->answer != SERVICE_REFUSES || (reply->why && *reply->why));
    return taken;
}

static bool is_over(const struct service_reply *reply)
{
    return reply->answer == SERVICE_ENDS || reply->answer == SERVICE_REFUSES;
}

/* The sum of all that it meant and all that was said. */
static uint64_t talk(const uint8_t *bytes, size_t size, size_t piece)
{
    struct iscsi_initiator initiator;
    struct service_reply reply = {0};
    uint8_t out[SERVICE_REQUEST_SIZE];
    uint64_t sum = 0;

    iscsi_begin(&initiator, 1);
    iscsi_ask(&initiator, out);
    for (size_t taken; size > 0 && !is_over(&reply); bytes += taken, size -= taken) {
        taken = hear(&initiator, bytes, (size_t)min_u64(size, piece), &reply);
        sum = reply.answer == SERVICE_INCOMPLETE ? sum : sum * 31 + reply.answer;
        for (size_t i = 0; i < reply.say_bytes; i++)
            sum = sum * 31 + reply.say[i];
        if (reply.answer == SERVICE_ANSWERS)
            fuzz_check(iscsi_ask(&initiator, out) <= sizeof(out));
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    fuzz_check(talk(data + 1, size - 1, size) == talk(data + 1, size - 1, (size_t)data[0] + 1));
    return 0;
}
