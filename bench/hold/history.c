/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failure histories of the access of this host, a day each. What is drawn differs from run to run within the
 * bounds that `about` gives; the same seed gives the same run.
 */
#include "bench/hold/history.h"

#include "probe/random.h"

#define DAY_NS (24 * 3600 * NS_PER_S)
/* A session stays listed until its lease is over; two lists are needed to call it dead. */
#define DEAD_AFTER_NS (10 * NS_PER_S)
#define POLL_NS       (2 * NS_PER_S)

static uint64_t between(uint64_t *random, uint64_t least_s, uint64_t most_s)
{
    return least_s * NS_PER_S + random_next(random) % ((most_s - least_s) * NS_PER_S + 1);
}

static int add(struct hold_history *h, uint64_t at_ns, enum hold_what what, uint64_t value)
{
    if ((h->count & (h->count - 1)) == 0) {
        void *bigger = realloc(h->changes, (h->count ? 2 * h->count : 16) * sizeof(*h->changes));

        if (!bigger)
            return -ENOMEM;
        h->changes = bigger;
    }
    h->changes[h->count++] = (struct hold_change){at_ns, what, value};
    return 0;
}

/* The service is away from at_ns on for off_ns, and with it the session if that is long enough. */
static int stop_service(struct hold_history *h, uint64_t at_ns, uint64_t off_ns, uint64_t *random)
{
    uint64_t back_ns = at_ns + off_ns;
    int error = add(h, at_ns, HOLD_SERVICE, false);

    if (!error)
        error = add(h, back_ns, HOLD_SERVICE, true);
    if (!error && off_ns > DEAD_AFTER_NS)
        error = add(h, at_ns + DEAD_AFTER_NS, HOLD_SESSION_DEAD, 0);
    if (!error)
        error = add(h, back_ns + random_next(random) % POLL_NS, HOLD_SESSION_BORN, back_ns);
    return error;
}

/* The node does not answer for off_ns; its service takes start_ns longer. */
static int reboot_node(struct hold_history *h, uint64_t at_ns, uint64_t off_ns, uint64_t start_ns,
                       uint64_t *random)
{
    int error = add(h, at_ns, HOLD_PING, false);

    if (!error)
        error = add(h, at_ns + off_ns, HOLD_PING, true);
    return error ? error : stop_service(h, at_ns, off_ns + start_ns, random);
}

static int make_reboot(struct hold_history *h, uint64_t *random)
{
    uint64_t off_ns = between(random, 90, 300), start_ns = between(random, 10, 60);

    h->from_ns = between(random, 3600, 7200);
    h->until_ns = h->from_ns + off_ns + start_ns;
    return reboot_node(h, h->from_ns, off_ns, start_ns, random);
}

static int make_reboots(struct hold_history *h, uint64_t *random)
{
    uint64_t at_ns = h->from_ns = between(random, 3600, 7200), end_ns = at_ns + 6 * 3600 * NS_PER_S;
    int error = 0;

    while (!error && at_ns < end_ns) {
        uint64_t off_ns = between(random, 90, 150), start_ns = between(random, 10, 30);

        error = reboot_node(h, at_ns, off_ns, start_ns, random);
        h->until_ns = at_ns + off_ns + start_ns;
        at_ns = h->until_ns + between(random, 30, 900);
    }
    return error;
}

static int make_flap(struct hold_history *h, uint64_t *random)
{
    uint64_t at_ns = h->from_ns = between(random, 3600, 7200), end_ns = at_ns + 3600 * NS_PER_S;
    int error = 0;

    while (!error && at_ns < end_ns) {
        uint64_t off_ns = between(random, 7, 13);

        error = add(h, at_ns, HOLD_PING, false);
        if (!error)
            error = add(h, at_ns + off_ns, HOLD_PING, true);
        if (!error && off_ns > DEAD_AFTER_NS)
            error = stop_service(h, at_ns, off_ns, random);
        h->until_ns = at_ns + off_ns;
        at_ns += 20 * NS_PER_S;
    }
    return error;
}

static int make_restarts(struct hold_history *h, uint64_t *random)
{
    uint64_t at_ns = h->from_ns = between(random, 3600, 7200), end_ns = at_ns + 3600 * NS_PER_S;
    int error = 0;

    while (!error && at_ns < end_ns) {
        uint64_t off_ns = between(random, 4, 9);

        error = stop_service(h, at_ns, off_ns, random);
        h->until_ns = at_ns + off_ns;
        at_ns = h->until_ns + between(random, 15, 90);
    }
    return error;
}

/* In steps of a minute. */
static int make_leak(struct hold_history *h, uint64_t *random)
{
    uint64_t minutes = 120, most_ppm = 300000 + random_next(random) % 200000;
    int error = 0;

    h->from_ns = between(random, 3600, 7200);
    for (uint64_t i = 1; !error && i <= minutes; i++)
        error = add(h, h->from_ns + i * 60 * NS_PER_S, HOLD_LOSS, most_ppm * i / minutes);
    h->until_ns = h->from_ns + (minutes + 1) * 60 * NS_PER_S;
    return error ? error : add(h, h->until_ns, HOLD_LOSS, 0);
}

const struct hold_kind hold_kinds[] = {
    {"reboot", "the node reboots once: 90-300 s without an answer, its service 10-60 s later", make_reboot},
    {"reboots", "the node reboots again and again for 6 h, 30-900 s after each time it is back",
     make_reboots},
    {"flap", "its network is away for 7-13 s every 20 s, for an hour", make_flap},
    {"restarts", "its service restarts 15-90 s after each start, for an hour; each takes 4-9 s",
     make_restarts},
    {"leak", "its path loses more and more, from nothing to 30-50 %, for two hours", make_leak},
};
const size_t hold_kind_count = ARRAY_SIZE(hold_kinds);

/* By insertion: nearly in order already. */
static void sort(struct hold_history *h)
{
    for (size_t i = 1; i < h->count; i++) {
        struct hold_change change = h->changes[i];
        size_t at = i;

        for (; at > 0 && h->changes[at - 1].at_ns > change.at_ns; at--)
            h->changes[at] = h->changes[at - 1];
        h->changes[at] = change;
    }
}

int hold_history_make(struct hold_history *history, const struct hold_kind *kind, uint64_t seed)
{
    uint64_t random = seed;
    int error;

    *history = (struct hold_history){.length_ns = DAY_NS};
    error = kind->make(history, &random);
    if (error)
        hold_history_clear(history);
    else
        sort(history);
    return error;
}

void hold_history_clear(struct hold_history *history)
{
    free(history->changes);
    *history = (struct hold_history){0};
}
