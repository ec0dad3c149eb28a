/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/probe/pool_stage.h"

#include <criterion/criterion.h>

void stage_add(struct probe_targets *targets, const char *text)
{
    struct probe_range range;
    char message[128];

    cr_assert_eq(probe_range_parse(&range, text, message, sizeof(message)), 0, "%s", message);
    cr_assert_eq(probe_targets_add(targets, &range), 0);
}

struct probe_settings stage_settings(const char *transport, uint64_t timeout_ms)
{
    struct probe_settings settings = probe_settings_default();

    settings.transport = transport;
    settings.select_timeout_ns = timeout_ms * NS_PER_MS;
    return settings;
}

struct probe_pool *stage_open(const struct probe_settings *settings, uint32_t workers,
                              struct probe_targets *targets)
{
    struct probe_pool *pool = NULL;
    char message[256] = "";
    int r = probe_pool_new(&pool, settings, workers, targets, true, message, sizeof(message));

    if (r < 0 && strcmp(settings->transport, "io_uring") == 0) {
        probe_targets_clear(targets);
        return NULL;
    }
    cr_assert_eq(r, 0, "%s", message);
    cr_assert_eq(targets->count, 0);
    return pool;
}

void stage_pull(struct probe_pool *pool, uint8_t *seen, uint32_t count)
{
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + STAGE_DEADLINE_NS;

    while (count > 0) {
        struct probe_result result, again;

        cr_assert_eq(probe_pool_step(pool, deadline_ns), 0);
        while (probe_pool_next(pool, &result)) {
            cr_assert_lt(result.index, probe_pool_targets(pool)->count);
            cr_assert_eq(seen[result.index]++, 0, "target %u twice", result.index);
            cr_assert(probe_pool_result(pool, result.index, &again));
            cr_assert_eq(memcmp(&result, &again, sizeof(result)), 0);
            cr_assert_gt(count--, 0);
        }
        cr_assert_lt(clock_now_ns(CLOCK_MONOTONIC), deadline_ns, "%u results are missing", count);
    }
}

void stage_make(struct cluster *c, bool ping_sockets)
{
    cluster_make(c);
    cluster_allow_ping_sockets(ping_sockets);
}

/* Alive, silent, refused by a router, refused by ourselves, and no way there. */
static void add_all_kinds(struct probe_targets *targets)
{
    stage_add(targets, "10.2.0.0-10.2.0.99");
    stage_add(targets, "10.99.0.0/28");
    stage_add(targets, "10.3.0.0/28");
    stage_add(targets, "fd02::10-fd02::4f");
    stage_add(targets, "10.2.3.0/28");
    stage_add(targets, "10.2.1.0/28");
    stage_add(targets, "10.2.0.100-10.2.0.199");
    stage_add(targets, "fd99::/124");
}

static enum probe_outcome kind_of(const struct address *address)
{
    static const uint8_t refused[] = {10, 3}, silent[] = {10, 2, 1};

    if (memcmp(address->bytes, (const uint8_t[]){10, 2, 0}, 3) == 0 || address->bytes[1] == 2)
        if (address->family == AF_INET6 || address->bytes[2] == 0)
            return PROBE_REPLY;
    if (memcmp(address->bytes, refused, sizeof(refused)) == 0)
        return PROBE_UNREACHABLE;
    if (memcmp(address->bytes, silent, sizeof(silent)) == 0)
        return PROBE_TIMEOUT;
    return PROBE_SEND_FAILED;
}

void stage_check_all_kinds(const struct probe_settings *settings, uint32_t workers)
{
    struct probe_targets targets = {0};
    CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
    const struct probe_counters *counters;
    struct probe_result result;
    uint8_t seen[512] = {0};
    uint32_t count, replies = 0;

    add_all_kinds(&targets);
    count = targets.count;
    pool = stage_open(settings, workers, &targets);
    if (!pool)
        return;
    stage_pull(pool, seen, count);
    cr_expect(probe_pool_done(pool));
    cr_expect_eq(probe_pool_stop(pool), 0);
    cr_expect_not(probe_pool_next(pool, &result));
    for (uint32_t i = 0; i < count; i++) {
        struct address address = probe_targets_at(probe_pool_targets(pool), i);

        cr_assert(probe_pool_result(pool, i, &result));
        cr_expect_eq(result.outcome, kind_of(&address), "%s, %u workers: %s is %s", settings->transport,
                     workers, ADDRESS_TEXT(&address), probe_outcome_text(result.outcome));
        if (result.outcome == PROBE_UNREACHABLE)
            cr_expect_eq(result.error.from.bytes[0], 10);
        if (result.outcome == PROBE_SEND_FAILED)
            cr_expect_neq(result.error.error, 0);
        replies += result.outcome == PROBE_REPLY;
    }
    counters = probe_pool_counters(pool);
    cr_expect_eq(replies, 264);
    cr_expect_eq(counters->replies, replies);
    cr_expect_eq(counters->foreign, 0, "%s, %u workers: %" PRIu64 " foreign", settings->transport, workers,
                 counters->foreign);
    cr_expect_eq(counters->receive_drops, 0);
    cr_expect_eq(probe_pool_workers(pool), workers);
    cr_expect_str_eq(probe_pool_transport(pool), settings->transport);
}
