/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves, against the real kernel: a pool of any number of workers gives each target its one
 * result, the same as a single worker would, with the reason; names may come at any time, also while the
 * workers run; a pool that is stopped ends at once and tells what is known; what fails in one worker ends the
 * whole; the workers together keep the rate; there is one worker where more would not pay, and there are fewer
 * where descriptors or threads are few.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <sched.h>
#include <sys/resource.h>

#include "tests/probe/pool_stage.h"

static const char *const transports[] = {"poll", "epoll", "io_uring"};

Test(pool, same_results_whoever_works, .timeout = 60)
{
    static const uint32_t workers[] = {1, 2, 3, 7};
    struct cluster c;

    stage_make(&c, true);
    for (size_t t = 0; t < ARRAY_SIZE(transports); t++) {
        struct probe_settings settings = stage_settings(transports[t], 150);

        for (size_t i = 0; i < ARRAY_SIZE(workers); i++)
            stage_check_all_kinds(&settings, workers[i]);
    }
}

/* More of them than there is to do, uneven shares. */
Test(pool, few_targets, .timeout = 60)
{
    static const struct {
        uint32_t targets, wanted, workers;
    } rows[] = {{1, 8, 1}, {2, 2, 2}, {2, 8, 2}, {5, 4, 3}, {7, 3, 3}, {10, 7, 5}, {255, 0, 1}};
    struct cluster c;

    stage_make(&c, true);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct probe_settings settings = stage_settings("auto", 2000);
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        char text[64];
        uint8_t seen[256] = {0};

        snprintf(text, sizeof(text), "10.2.0.0-10.2.0.%u", rows[i].targets - 1);
        stage_add(&targets, text);
        pool = stage_open(&settings, rows[i].wanted, &targets);
        cr_expect_eq(probe_pool_workers(pool), rows[i].workers, "row %zu: %u", i, probe_pool_workers(pool));
        stage_pull(pool, seen, rows[i].targets);
        cr_expect(probe_pool_done(pool));
    }
}

static uint32_t workers_within(int resource, rlim_t limit, uint32_t wanted)
{
    struct probe_settings settings = stage_settings("epoll", 5000);
    struct probe_targets targets = {0};
    CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
    uint8_t seen[200] = {0};
    struct rlimit before, less;
    struct probe_result result;

    cr_assert_eq(getrlimit(resource, &before), 0);
    less = (struct rlimit){limit, before.rlim_max};
    cr_assert_eq(setrlimit(resource, &less), 0);
    stage_add(&targets, "10.2.0.0-10.2.0.119");
    stage_add(&targets, "fd02::10-fd02::4f");
    pool = stage_open(&settings, wanted, &targets);
    stage_pull(pool, seen, 184);
    cr_assert_eq(setrlimit(resource, &before), 0);
    for (uint32_t i = 0; i < 184; i++)
        cr_assert(probe_pool_result(pool, i, &result) && result.outcome == PROBE_REPLY, "%u", i);
    return probe_pool_workers(pool);
}

/* Descriptors: some are left for others, and no family is given up for want of them. */
Test(pool, few_descriptors, .timeout = 60)
{
    struct cluster c;

    stage_make(&c, true);
    cr_expect_eq(workers_within(RLIMIT_NOFILE, 60, 64), 1);
    cr_expect_eq(workers_within(RLIMIT_NOFILE, 100, 64), 6);
    cluster_allow_ping_sockets(false);
    cr_expect_eq(workers_within(RLIMIT_NOFILE, 100, 64), 6);
}

/* The limit is one of all threads of a user, and this process has two already; it is none for root. */
Test(pool, few_threads, .timeout = 60)
{
    uid_t user = 1000000 + (uid_t)getpid(); /* nobody else's */
    struct cluster c;

    stage_make(&c, true);
    if (setresuid(user, user, user) < 0)
        return; /* in a user namespace there is no other user */
    cr_expect_eq(workers_within(RLIMIT_NPROC, 1, 4), 1);
    cr_expect_eq(workers_within(RLIMIT_NPROC, 4, 8), 3);
    cr_expect_eq(workers_within(RLIMIT_NPROC, 100, 8), 8);
}

/* In every worker's part: before the first step, while all run, and the last one when all others are done. */
Test(pool, names_come_late, .timeout = 60)
{
    struct cluster c;

    stage_make(&c, true);
    for (size_t t = 0; t <= ARRAY_SIZE(transports); t++) {
        bool is_raw = t == ARRAY_SIZE(transports);
        struct probe_settings settings = stage_settings(is_raw ? "epoll" : transports[t], 5000);
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        struct address address = {.family = AF_INET, .bytes = {10, 2, 0, 1}};
        struct address address6 = {.family = AF_INET6, .bytes = {0xfd, 0x02, [15] = 9}};
        uint8_t seen[400] = {0};
        uint32_t later;

        for (uint32_t i = 0; i < 4; i++) {
            char text[64];

            snprintf(text, sizeof(text), "10.2.0.%u-10.2.0.%u", 50 * i, 50 * i + 47);
            for (int k = 0; k < 2; k++)
                cr_assert_eq(probe_targets_add_later(&targets, &later), 1);
            stage_add(&targets, text);
        }
        cluster_allow_ping_sockets(!is_raw);
        pool = stage_open(&settings, 4, &targets);
        if (!pool)
            continue;
        cr_expect_eq(probe_pool_workers(pool), 4);
        for (uint32_t i = 0; i < 2; i++)
            cr_assert_eq(probe_pool_set(pool, 50 * i, &address), 0);
        stage_pull(pool, seen, 4 * 48 + 2);
        cr_expect_not(probe_pool_done(pool));
        for (uint32_t i = 0; i < 4; i++) {
            cr_assert_eq(probe_pool_set(pool, 50 * i + 1, &address6), 0);
            stage_pull(pool, seen, 1);
        }
        cr_expect_not(probe_pool_done(pool));
        cr_assert_eq(probe_pool_set(pool, 150, &address), 0);
        cr_assert_eq(probe_pool_set(pool, 100, &address), 0);
        stage_pull(pool, seen, 2);
        cr_expect(probe_pool_done(pool));
        for (uint32_t i = 0; i < 200; i++)
            cr_expect_eq(seen[i], 1);
        address = probe_targets_at(probe_pool_targets(pool), 151);
        cr_expect(address_equal(&address, &address6));
    }
}

static uint64_t processor_ns(void)
{
    struct timespec time;

    cr_assert_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time), 0);
    return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

/*
 * The caller waits for silent targets of its own, and is woken for what the others know before that is over;
 * then all sleep, though errors and replies have come and others' sockets or boxes have had them.
 */
Test(pool, waits_asleep_and_wakes_for_others, .timeout = 60)
{
    const uint64_t window_ns = 1500 * NS_PER_MS;
    struct cluster c;

    stage_make(&c, true);
    for (int is_raw = 0; is_raw < 2; is_raw++) {
        struct probe_settings settings = stage_settings("epoll", window_ns / NS_PER_MS);
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        uint64_t begin_ns = clock_now_ns(CLOCK_MONOTONIC), known_ns, processor_before_ns;
        uint8_t seen[192] = {0};

        cluster_allow_ping_sockets(!is_raw);
        settings.rate = 2000;
        stage_add(&targets, "10.2.1.0/26");
        stage_add(&targets, "10.2.0.0/26");
        stage_add(&targets, "10.2.0.0/27");
        stage_add(&targets, "10.3.0.0/28");
        stage_add(&targets, "10.2.1.0/28");
        pool = stage_open(&settings, 3, &targets);
        cr_assert_eq(probe_pool_workers(pool), 3);
        stage_pull(pool, seen, 64 + 32 + 16);
        known_ns = clock_now_ns(CLOCK_MONOTONIC);
        cr_expect_lt(known_ns - begin_ns, window_ns, "raw %d: the caller was not woken", is_raw);
        processor_before_ns = processor_ns();
        stage_pull(pool, seen, 64 + 16);
        cr_expect_lt(processor_ns() - processor_before_ns, (clock_now_ns(CLOCK_MONOTONIC) - known_ns) / 5,
                     "raw %d: somebody is busy", is_raw);
    }
}

/* Half of them would be waited for a minute. */
Test(pool, stop_tells_what_is_known, .timeout = 60)
{
    struct cluster c;

    stage_make(&c, true);
    for (uint32_t workers = 1; workers <= 4; workers++) {
        struct probe_settings settings = stage_settings("auto", 60000);
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        struct probe_result result;
        uint8_t seen[256] = {0};
        uint64_t begin_ns;

        for (int i = 0; i < 8; i++) {
            stage_add(&targets, "10.2.0.0/28");
            stage_add(&targets, "10.2.1.0/28");
        }
        pool = stage_open(&settings, workers, &targets);
        stage_pull(pool, seen, 128);
        begin_ns = clock_now_ns(CLOCK_MONOTONIC);
        cr_expect_eq(probe_pool_stop(pool), 0);
        cr_expect_lt(clock_now_ns(CLOCK_MONOTONIC) - begin_ns, 10 * NS_PER_S);
        cr_expect_eq(probe_pool_stop(pool), 0);
        cr_expect_not(probe_pool_next(pool, &result));
        cr_expect_not(probe_pool_done(pool));
        cr_expect_eq(probe_pool_counters(pool)->sent, 256);
        for (uint32_t i = 0; i < 256; i++) {
            cr_expect_eq(probe_pool_result(pool, i, &result), i % 32 < 16);
            cr_expect_eq(result.requests, 1);
        }
    }
}

/* Before anything has been done, and in the middle. */
Test(pool, is_freed_at_any_time, .timeout = 60)
{
    struct cluster c;

    stage_make(&c, true);
    for (int steps = 0; steps < 4; steps++) {
        struct probe_settings settings = stage_settings("auto", 60000);
        struct probe_targets targets = {0};
        struct probe_pool *pool;

        stage_add(&targets, "10.2.0.0/16");
        pool = stage_open(&settings, 3, &targets);
        for (int i = 0; i < steps; i++)
            cr_assert_eq(probe_pool_step(pool, 0), 0);
        cr_expect_null(probe_pool_free(pool));
    }
}

/* The greatest descriptor of that kind. */
static int find_descriptor(const char *kind)
{
    DIR *directory = opendir("/proc/thread-self/fd");
    int found = -1;

    cr_assert(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[300], target[64] = "";

        snprintf(path, sizeof(path), "/proc/thread-self/fd/%s", entry->d_name);
        if (readlink(path, target, sizeof(target) - 1) > 0 && strcmp(target, kind) == 0)
            found = (int)max_u64((uint64_t)(found + 1), (uint64_t)atoi(entry->d_name) + 1) - 1;
    }
    closedir(directory);
    return found;
}

/* The last worker loses its epoll descriptor. */
Test(pool, an_error_of_one_ends_all, .timeout = 60)
{
    struct probe_settings settings;
    struct probe_targets targets = {0};
    CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + STAGE_DEADLINE_NS;
    struct cluster c;
    int r = 0;

    stage_make(&c, true);
    settings = stage_settings("epoll", 60000);
    stage_add(&targets, "10.2.1.0/26");
    pool = stage_open(&settings, 3, &targets);
    cr_assert_eq(close(find_descriptor("anon_inode:[eventpoll]")), 0);
    while (r == 0 && clock_now_ns(CLOCK_MONOTONIC) < deadline_ns)
        r = probe_pool_step(pool, deadline_ns);
    cr_expect_eq(r, -EBADF, "%d", r);
}

/* A share for each: never faster than the rate, but for a packet a worker and the slack of a millisecond. */
Test(pool, rate, .timeout = 60)
{
    struct cluster c;

    stage_make(&c, true);
    for (uint32_t workers = 1; workers <= 4; workers += 3) {
        struct probe_settings settings = stage_settings("epoll", 1000);
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        uint8_t seen[512] = {0};
        uint64_t begin_ns, least_ns;

        settings.rate = 1000;
        stage_add(&targets, "10.2.0.0/24");
        stage_add(&targets, "10.2.0.0/25");
        pool = stage_open(&settings, workers, &targets);
        begin_ns = clock_now_ns(CLOCK_MONOTONIC);
        least_ns = (384 - workers) * NS_PER_MS - NS_PER_MS;
        stage_pull(pool, seen, 384);
        cr_expect_geq(clock_now_ns(CLOCK_MONOTONIC) - begin_ns, least_ns, "%u workers", workers);
    }
}

/* Written to by anybody, it ends a wait, and is empty then. */
Test(pool, wakeup, .timeout = 60)
{
    struct cluster c;

    stage_make(&c, true);
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct probe_settings settings = stage_settings("auto", 600000);
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        uint64_t begin_ns = clock_now_ns(CLOCK_MONOTONIC);
        uint64_t one = 1;

        stage_add(&targets, "10.2.1.0/28");
        pool = stage_open(&settings, workers, &targets);
        cr_assert_eq(probe_pool_step(pool, 0), 0);
        cr_assert_eq(write(probe_pool_wakeup(pool), &one, sizeof(one)), sizeof(one));
        cr_assert_eq(probe_pool_step(pool, begin_ns + 20 * NS_PER_S), 0);
        cr_expect_lt(clock_now_ns(CLOCK_MONOTONIC) - begin_ns, 10 * NS_PER_S);
        cr_expect_eq(read(probe_pool_wakeup(pool), &one, sizeof(one)), -1);
    }
}

static uint32_t default_workers(const char *list, uint32_t rate, bool shuffled)
{
    struct probe_settings settings = stage_settings("epoll", 1000);
    struct probe_targets targets = {0};
    CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
    char message[256] = "";

    settings.rate = rate;
    stage_add(&targets, list);
    cr_assert_eq(probe_pool_new(&pool, &settings, 0, &targets, shuffled, message, sizeof(message)), 0);
    return probe_pool_workers(pool);
}

Test(pool, as_many_as_pay, .timeout = 60)
{
    cpu_set_t all, one;
    struct cluster c;

    stage_make(&c, true);
    cr_assert_eq(sched_getaffinity(0, sizeof(all), &all), 0);
    cr_expect_eq(default_workers("10.2.0.1", 0, true), 1);
    cr_expect_eq(default_workers("10.2.0.0/26", 0, true), 1);
    cr_expect_eq(default_workers("10.2.0.0/16", 1000, true), 1);
    cr_expect_eq(default_workers("10.2.0.0/16", 0, false), 1);
    cr_expect_leq(default_workers("10.2.0.0/16", 0, true), (uint32_t)CPU_COUNT(&all));
    if (CPU_COUNT(&all) > 1)
        cr_expect_gt(default_workers("10.2.0.0/16", 0, true), 1, "unless a cgroup allows less than two CPUs");
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    cr_expect_eq(default_workers("10.2.0.0/16", 0, true), 1);
    cr_assert_eq(sched_setaffinity(0, sizeof(all), &all), 0);
}
