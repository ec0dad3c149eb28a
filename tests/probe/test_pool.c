/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves, against the real kernel: a pool of any number of workers gives each target its one
 * result, the same as a single worker would, with the reason; names may come at any time, also while the
 * workers run; a pool that is stopped ends at once and tells what is known; what fails in one worker ends the
 * whole; the workers together keep the rate; none of them sees the others' replies, and of raw sockets just
 * one hears; there is one worker where more would not pay, and there are fewer where descriptors or threads
 * are few.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <sched.h>
#include <sys/resource.h>

#include "probe/icmp.h"
#include "probe/pool.h"
#include "probe/transport.h"
#include "tests/probe/cluster.h"

#define DEADLINE_NS (30 * NS_PER_S)

static const char *const transports[] = {"poll", "epoll", "io_uring"};

static void add(struct probe_targets *targets, const char *text)
{
    struct probe_range range;
    char message[128];

    cr_assert_eq(probe_range_parse(&range, text, message, sizeof(message)), 0, "%s", message);
    cr_assert_eq(probe_targets_add(targets, &range), 0);
}

static struct probe_settings settings_of(const char *transport, uint64_t timeout_ms)
{
    struct probe_settings settings = probe_settings_default();

    settings.transport = transport;
    settings.select_timeout_ns = timeout_ms * NS_PER_MS;
    return settings;
}

/* NULL: this transport is not to be had here. */
static struct probe_pool *open_pool(const struct probe_settings *settings, uint32_t workers,
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

/* Steps and pulls until `count` results more are there. Each must come once, and stay. */
static void pull(struct probe_pool *pool, uint8_t *seen, uint32_t count)
{
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + DEADLINE_NS;

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

static void make(struct cluster *c, bool ping_sockets)
{
    cluster_make(c);
    cluster_allow_ping_sockets(ping_sockets);
}

/* Alive, silent, refused by a router, refused by ourselves, and no way there. */
static void add_all_kinds(struct probe_targets *targets)
{
    add(targets, "10.2.0.0-10.2.0.99");
    add(targets, "10.99.0.0/28");
    add(targets, "10.3.0.0/28");
    add(targets, "fd02::10-fd02::4f");
    add(targets, "10.2.3.0/28");
    add(targets, "10.2.1.0/28");
    add(targets, "10.2.0.100-10.2.0.199");
    add(targets, "fd99::/124");
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

static void check_all_kinds(const struct probe_settings *settings, uint32_t workers)
{
    struct probe_targets targets = {0};
    CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
    const struct probe_counters *counters;
    struct probe_result result;
    uint8_t seen[512] = {0};
    uint32_t count, replies = 0;

    add_all_kinds(&targets);
    count = targets.count;
    pool = open_pool(settings, workers, &targets);
    if (!pool)
        return;
    pull(pool, seen, count);
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

Test(pool, same_results_whoever_works, .timeout = 60)
{
    static const uint32_t workers[] = {1, 2, 3, 7};
    struct cluster c;

    make(&c, true);
    for (size_t t = 0; t < ARRAY_SIZE(transports); t++) {
        struct probe_settings settings = settings_of(transports[t], 150);

        for (size_t i = 0; i < ARRAY_SIZE(workers); i++)
            check_all_kinds(&settings, workers[i]);
    }
}

/* More of them than there is to do, uneven shares. */
Test(pool, few_targets, .timeout = 60)
{
    static const struct {
        uint32_t targets, wanted, workers;
    } rows[] = {{1, 8, 1}, {2, 2, 2}, {2, 8, 2}, {5, 4, 3}, {7, 3, 3}, {10, 7, 5}, {255, 0, 1}};
    struct cluster c;

    make(&c, true);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct probe_settings settings = settings_of("auto", 2000);
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        char text[64];
        uint8_t seen[256] = {0};

        snprintf(text, sizeof(text), "10.2.0.0-10.2.0.%u", rows[i].targets - 1);
        add(&targets, text);
        pool = open_pool(&settings, rows[i].wanted, &targets);
        cr_expect_eq(probe_pool_workers(pool), rows[i].workers, "row %zu: %u", i, probe_pool_workers(pool));
        pull(pool, seen, rows[i].targets);
        cr_expect(probe_pool_done(pool));
    }
}

static uint32_t workers_within(int resource, rlim_t limit, uint32_t wanted)
{
    struct probe_settings settings = settings_of("epoll", 5000);
    struct probe_targets targets = {0};
    CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
    uint8_t seen[200] = {0};
    struct rlimit before, less;
    struct probe_result result;

    cr_assert_eq(getrlimit(resource, &before), 0);
    less = (struct rlimit){limit, before.rlim_max};
    cr_assert_eq(setrlimit(resource, &less), 0);
    add(&targets, "10.2.0.0-10.2.0.119");
    add(&targets, "fd02::10-fd02::4f");
    pool = open_pool(&settings, wanted, &targets);
    pull(pool, seen, 184);
    cr_assert_eq(setrlimit(resource, &before), 0);
    for (uint32_t i = 0; i < 184; i++)
        cr_assert(probe_pool_result(pool, i, &result) && result.outcome == PROBE_REPLY, "%u", i);
    return probe_pool_workers(pool);
}

/* Descriptors: some are left for others, and no family is given up for want of them. */
Test(pool, few_descriptors, .timeout = 60)
{
    struct cluster c;

    make(&c, true);
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

    make(&c, true);
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

    make(&c, true);
    for (size_t t = 0; t <= ARRAY_SIZE(transports); t++) {
        bool is_raw = t == ARRAY_SIZE(transports);
        struct probe_settings settings = settings_of(is_raw ? "epoll" : transports[t], 5000);
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
            add(&targets, text);
        }
        cluster_allow_ping_sockets(!is_raw);
        pool = open_pool(&settings, 4, &targets);
        if (!pool)
            continue;
        cr_expect_eq(probe_pool_workers(pool), 4);
        for (uint32_t i = 0; i < 2; i++)
            cr_assert_eq(probe_pool_set(pool, 50 * i, &address), 0);
        pull(pool, seen, 4 * 48 + 2);
        cr_expect_not(probe_pool_done(pool));
        for (uint32_t i = 0; i < 4; i++) {
            cr_assert_eq(probe_pool_set(pool, 50 * i + 1, &address6), 0);
            pull(pool, seen, 1);
        }
        cr_expect_not(probe_pool_done(pool));
        cr_assert_eq(probe_pool_set(pool, 150, &address), 0);
        cr_assert_eq(probe_pool_set(pool, 100, &address), 0);
        pull(pool, seen, 2);
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

    make(&c, true);
    for (int is_raw = 0; is_raw < 2; is_raw++) {
        struct probe_settings settings = settings_of("epoll", window_ns / NS_PER_MS);
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        uint64_t begin_ns = clock_now_ns(CLOCK_MONOTONIC), known_ns, processor_before_ns;
        uint8_t seen[192] = {0};

        cluster_allow_ping_sockets(!is_raw);
        settings.rate = 2000;
        add(&targets, "10.2.1.0/26");
        add(&targets, "10.2.0.0/26");
        add(&targets, "10.2.0.0/27");
        add(&targets, "10.3.0.0/28");
        add(&targets, "10.2.1.0/28");
        pool = open_pool(&settings, 3, &targets);
        cr_assert_eq(probe_pool_workers(pool), 3);
        pull(pool, seen, 64 + 32 + 16);
        known_ns = clock_now_ns(CLOCK_MONOTONIC);
        cr_expect_lt(known_ns - begin_ns, window_ns, "raw %d: the caller was not woken", is_raw);
        processor_before_ns = processor_ns();
        pull(pool, seen, 64 + 16);
        cr_expect_lt(processor_ns() - processor_before_ns, (clock_now_ns(CLOCK_MONOTONIC) - known_ns) / 5,
                     "raw %d: somebody is busy", is_raw);
    }
}

/* Half of them would be waited for a minute. */
Test(pool, stop_tells_what_is_known, .timeout = 60)
{
    struct cluster c;

    make(&c, true);
    for (uint32_t workers = 1; workers <= 4; workers++) {
        struct probe_settings settings = settings_of("auto", 60000);
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        struct probe_result result;
        uint8_t seen[256] = {0};
        uint64_t begin_ns;

        for (int i = 0; i < 8; i++) {
            add(&targets, "10.2.0.0/28");
            add(&targets, "10.2.1.0/28");
        }
        pool = open_pool(&settings, workers, &targets);
        pull(pool, seen, 128);
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

    make(&c, true);
    for (int steps = 0; steps < 4; steps++) {
        struct probe_settings settings = settings_of("auto", 60000);
        struct probe_targets targets = {0};
        struct probe_pool *pool;

        add(&targets, "10.2.0.0/16");
        pool = open_pool(&settings, 3, &targets);
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
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + DEADLINE_NS;
    struct cluster c;
    int r = 0;

    make(&c, true);
    settings = settings_of("epoll", 60000);
    add(&targets, "10.2.1.0/26");
    pool = open_pool(&settings, 3, &targets);
    cr_assert_eq(close(find_descriptor("anon_inode:[eventpoll]")), 0);
    while (r == 0 && clock_now_ns(CLOCK_MONOTONIC) < deadline_ns)
        r = probe_pool_step(pool, deadline_ns);
    cr_expect_eq(r, -EBADF, "%d", r);
}

/* A share for each: never faster than the rate, but for a packet a worker and the slack of a millisecond. */
Test(pool, rate, .timeout = 60)
{
    struct cluster c;

    make(&c, true);
    for (uint32_t workers = 1; workers <= 4; workers += 3) {
        struct probe_settings settings = settings_of("epoll", 1000);
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        uint8_t seen[512] = {0};
        uint64_t begin_ns, least_ns;

        settings.rate = 1000;
        add(&targets, "10.2.0.0/24");
        add(&targets, "10.2.0.0/25");
        pool = open_pool(&settings, workers, &targets);
        begin_ns = clock_now_ns(CLOCK_MONOTONIC);
        least_ns = (384 - workers) * NS_PER_MS - NS_PER_MS;
        pull(pool, seen, 384);
        cr_expect_geq(clock_now_ns(CLOCK_MONOTONIC) - begin_ns, least_ns, "%u workers", workers);
    }
}

/* Written to by anybody, it ends a wait, and is empty then. */
Test(pool, wakeup, .timeout = 60)
{
    struct cluster c;

    make(&c, true);
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct probe_settings settings = settings_of("auto", 600000);
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        uint64_t begin_ns = clock_now_ns(CLOCK_MONOTONIC);
        uint64_t one = 1;

        add(&targets, "10.2.1.0/28");
        pool = open_pool(&settings, workers, &targets);
        cr_assert_eq(probe_pool_step(pool, 0), 0);
        cr_assert_eq(write(probe_pool_wakeup(pool), &one, sizeof(one)), sizeof(one));
        cr_assert_eq(probe_pool_step(pool, begin_ns + 20 * NS_PER_S), 0);
        cr_expect_lt(clock_now_ns(CLOCK_MONOTONIC) - begin_ns, 10 * NS_PER_S);
        cr_expect_eq(read(probe_pool_wakeup(pool), &one, sizeof(one)), -1);
    }
}

static uint32_t default_workers(const char *list, uint32_t rate, bool shuffled)
{
    struct probe_settings settings = settings_of("epoll", 1000);
    struct probe_targets targets = {0};
    CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
    char message[256] = "";

    settings.rate = rate;
    add(&targets, list);
    cr_assert_eq(probe_pool_new(&pool, &settings, 0, &targets, shuffled, message, sizeof(message)), 0);
    return probe_pool_workers(pool);
}

Test(pool, as_many_as_pay, .timeout = 60)
{
    cpu_set_t all, one;
    struct cluster c;

    make(&c, true);
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

/* How many raw sockets of this process hear echo replies, *ear is one; *all: how many there are. */
static unsigned count_ears(unsigned *all, int *ear)
{
    unsigned ears = 0;

    *all = 0;
    *ear = -1;
    for (int fd = 0; fd < 1024; fd++) {
        int type = 0, family = 0;
        socklen_t length = sizeof(int), filter_length = sizeof(struct icmp6_filter);
        struct icmp6_filter filter6;
        uint32_t filter4 = 0;

        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_RAW ||
            getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) < 0)
            continue;
        ++*all;
        if (family == AF_INET) {
            length = sizeof(filter4);
            cr_assert_eq(getsockopt(fd, SOL_RAW, 1 /* ICMP_FILTER */, &filter4, &length), 0);
            if (!(filter4 & 1 << ICMP_ECHOREPLY)) {
                ears++;
                *ear = fd;
            }
        } else {
            cr_assert_eq(getsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter6, &filter_length), 0);
            ears += ICMP6_FILTER_WILLPASS(ICMP6_ECHO_REPLY, &filter6) != 0;
        }
    }
    return ears;
}

/* The kernel copies a reply for each raw socket that hears it: there is one for each family. */
Test(pool, one_raw_socket_hears_for_all, .timeout = 60)
{
    static const struct {
        const char *transport;
        uint32_t wanted, workers;
    } rows[] = {{"auto", 4, 4}, {"epoll", 5, 5}, {"poll", 4, 1}, {"auto", 1, 1}};
    struct cluster c;

    make(&c, false);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct probe_settings settings = settings_of(rows[i].transport, 1000);
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        unsigned all;
        int ear;

        add(&targets, "10.2.0.0/24");
        add(&targets, "fd02::10-fd02::4f");
        pool = open_pool(&settings, rows[i].wanted, &targets);
        cr_expect_eq(probe_pool_workers(pool), rows[i].workers, "row %zu: %u", i, probe_pool_workers(pool));
        cr_expect_eq(count_ears(&all, &ear), 2, "row %zu", i);
        cr_expect_eq(all, rows[i].workers == 1 ? 2 : 2 * rows[i].workers + 2, "row %zu: %u", i, all);
    }
}

/* Sends echo replies with that ident from the peer to us. */
static void send_replies(int fd, uint16_t ident, uint32_t count, size_t size_bytes)
{
    uint8_t packet[1024] = {ICMP_ECHOREPLY};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a010001)};
    uint16_t number = htons(ident), checksum;

    memcpy(packet + 4, &number, sizeof(number));
    checksum = icmp_checksum(packet, size_bytes);
    memcpy(packet + 2, &checksum, sizeof(checksum));
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(sendto(fd, packet, size_bytes, 0, (struct sockaddr *)&to, sizeof(to)),
                     (ssize_t)size_bytes);
}

static uint32_t receive_all(struct transport *transport)
{
    struct packet_in packets[TRANSPORT_BATCH];
    uint32_t count = 0;
    int got;

    do {
        got = transport->operations->receive(transport, AF_INET, packets, TRANSPORT_BATCH);
        cr_assert_geq(got, 0);
        count += (uint32_t)got;
        for (int i = 0; i < got; i++)
            cr_assert_eq(packets[i].from.bytes[3], 2);
    } while (got == TRANSPORT_BATCH);
    return count;
}

/* What each transport gets of what one socket hears, in any order of reading. Drops concern all of them. */
Test(pool, what_is_heard_is_sorted, .timeout = 60)
{
    struct probe_settings settings;
    struct transport *ways[3];
    uint16_t idents[3];
    char message[256] = "";
    struct cluster c;
    int peer;

    make(&c, false);
    settings = settings_of("epoll", 1000);
    peer = netns_socket(c.peer, AF_INET, SOCK_RAW, IPPROTO_ICMP);
    cr_assert_eq(transport_shared_open(ways, 3, &settings, message, sizeof(message)), 0, "%s", message);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(ways[i]->operations->open_family(ways[i], AF_INET, &idents[i], message, 256), 0);
        cr_expect_eq(idents[i], idents[0] + i);
    }
    for (int round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < 3; i++)
            send_replies(peer, idents[i], 40 * i + 7, 64);
        send_replies(peer, (uint16_t)(idents[0] + 4), 5, 64); /* beyond the block */
        send_replies(peer, (uint16_t)(idents[0] + 3), 5, 64); /* in it, but nobody's: the first counts them */
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t which = (i + (uint32_t)round) % 3;
            uint32_t got = receive_all(ways[which]), want = 40 * which + 7 + (which == 0 ? 5 : 0);

            cr_assert_eq(got, want, "round %d, number %u: %u", round, which, got);
        }
    }
    send_replies(peer, idents[1], 1, 64);
    cr_expect_eq(receive_all(ways[2]), 0);
    cr_expect_eq(ways[1]->operations->wait(ways[1], NEVER_NS, -1), 0, "it is in its box already");
    cr_expect_eq(receive_all(ways[1]), 1);
    cr_expect_eq(ways[0]->operations->receive_drops(ways[0]), 0);
    send_replies(peer, idents[1], 1000, sizeof((uint8_t[1024]){0}));
    cr_expect_gt(ways[0]->operations->receive_drops(ways[0]), 0);
    cr_expect_eq(ways[0]->operations->receive_drops(ways[0]) + receive_all(ways[1]), 1000);
    cr_expect_eq(ways[0]->operations->receive_drops(ways[0]), ways[2]->operations->receive_drops(ways[2]));
    for (int i = 0; i < 3; i++)
        transport_close(ways[i]);
    close(peer);
}

/* A worker that waits long is woken for its own replies, also when another one reads them. Others' echoes
 * reach nobody. */
Test(pool, raw_workers_get_their_own, .timeout = 60)
{
    struct probe_settings settings;
    struct cluster c;
    int peer;

    make(&c, false);
    peer = netns_socket(c.peer, AF_INET, SOCK_RAW, IPPROTO_ICMP);
    settings = settings_of("epoll", 150);
    for (uint32_t workers = 2; workers <= 7; workers += 5)
        check_all_kinds(&settings, workers);
    settings.rate = 2000;
    for (int i = 0; i < 3; i++) {
        struct probe_targets targets = {0};
        CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
        uint8_t seen[256] = {0};
        uint64_t begin_ns = clock_now_ns(CLOCK_MONOTONIC);

        settings.select_timeout_ns = 20 * NS_PER_S;
        add(&targets, "10.2.0.0/24");
        pool = open_pool(&settings, 3, &targets);
        send_replies(peer, 1, 200, 64);
        pull(pool, seen, 256);
        cr_expect_lt(clock_now_ns(CLOCK_MONOTONIC) - begin_ns, 10 * NS_PER_S);
        cr_expect_eq(probe_pool_stop(pool), 0);
        cr_expect_eq(probe_pool_counters(pool)->replies, 256);
        cr_expect_leq(probe_pool_counters(pool)->foreign, 200);
    }
    close(peer);
}

/* The ident for which a socket of IPv4 was opened, by its filter. */
static uint16_t ident_of(int fd)
{
    struct sock_filter code[32];
    socklen_t count = ARRAY_SIZE(code);

    cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, code, &count), 0);
    cr_assert_eq(count, 16);
    return (uint16_t)code[13].k;
}

/* One buffer that is too small for three workers: what it drops is counted once, and doubted by each. */
Test(pool, a_shared_drop_is_one_drop, .timeout = 60)
{
    struct probe_settings settings;
    struct probe_targets targets = {0};
    CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
    uint8_t seen[48] = {0};
    uint32_t memory[SK_MEMINFO_VARS];
    socklen_t length = sizeof(memory);
    struct cluster c;
    unsigned all;
    int peer, ear;

    make(&c, false);
    settings = settings_of("epoll", 2000);
    add(&targets, "10.2.0.0-10.2.0.47");
    pool = open_pool(&settings, 3, &targets);
    cr_assert_eq(count_ears(&all, &ear), 1);
    peer = netns_socket(c.peer, AF_INET, SOCK_RAW, IPPROTO_ICMP);
    send_replies(peer, ident_of(ear), 1000, 1024);
    cr_assert_eq(getsockopt(ear, SOL_SOCKET, SO_MEMINFO, memory, &length), 0);
    cr_assert_gt(memory[SK_MEMINFO_DROPS], 0);
    pull(pool, seen, 48);
    cr_expect_eq(probe_pool_stop(pool), 0);
    cr_expect_eq(probe_pool_counters(pool)->receive_drops, memory[SK_MEMINFO_DROPS]);
    cr_expect_eq(probe_pool_counters(pool)->replies, 48);
    close(peer);
}
