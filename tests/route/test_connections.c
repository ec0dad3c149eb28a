/* SPDX-License-Identifier: Apache-2.0 */
/* When connections are looked for, and how often again when the kernel refuses. The FIB is played here. */
#include "route/agent/connections.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/resource.h>

static const struct address service = {.family = AF_INET, .bytes = {192, 168, 33, 2}};
static const struct address source = {.family = AF_INET, .bytes = {10, 0, 0, 1}};
static int answer;
static unsigned resets, stalled, destroyed;
static struct fib_connections last; /* what was asked of the FIB */

/* It needs a descriptor, as the real one does. */
static int answer_with_socket(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    close(fd);
    return answer;
}

int fib_reset_connections(struct fib *fib, const struct fib_connections *which, unsigned *count)
{
    last = *which;
    *count = 0;
    if (which->which == FIB_STALLED) {
        stalled++;
        return answer_with_socket();
    }
    resets++;
    *count = destroyed;
    return answer_with_socket();
}

static struct connections_host host_with(struct spare_fds *spare, const struct address *from,
                                         const char *wanted)
{
    return (struct connections_host){.spare = spare, .service = &service, .source = from, .wanted = wanted};
}

/* Runs until there is nothing to be done, a step at each deadline; returns the time. */
static uint64_t run(struct connections *connections, const struct address *from, uint64_t now_ns)
{
    struct spare_fds spare = SPARE_FDS_NONE;
    const struct connections_host host = host_with(&spare, from, "all");

    for (int i = 0; i < 1000 && connections_deadline_ns(connections) != NEVER_NS; i++) {
        cr_assert_gt(connections_deadline_ns(connections), now_ns, "a deadline that is over: a busy loop");
        now_ns = connections_deadline_ns(connections);
        connections_step(connections, &host, now_ns);
    }
    cr_expect_eq(connections_deadline_ns(connections), NEVER_NS, "it ends");
    spare_fds_release(&spare);
    return now_ns;
}

static void move(struct connections *connections, bool first)
{
    struct spare_fds spare = SPARE_FDS_NONE;
    const struct connections_host host = host_with(&spare, &source, "all");

    connections_moved(connections, &host, first, NS_PER_S);
    spare_fds_release(&spare);
}

Test(connections, a_reset_that_failed_is_tried_again_and_not_for_ever)
{
    const struct {
        int first, then;
        unsigned want;
    } rows[] = {{0, 0, 1}, {-ENOBUFS, 0, 2}, {-EINTR, -ENOBUFS, 11}, {-EOPNOTSUPP, 0, 1}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct connections connections = {0};

        resets = 0;
        answer = rows[i].first;
        move(&connections, false);
        answer = rows[i].then;
        run(&connections, &source, NS_PER_S);
        cr_expect_eq(resets, rows[i].want, "row %zu: %u", i, resets);
    }
    cr_expect_eq(stalled, 0);
}

/* A move that finds no connection does not make it news again. */
Test(connections, what_the_kernel_cannot_do_is_said_once)
{
    struct connections connections = {0};

    for (size_t i = 0; i < 3; i++) {
        answer = i == 1 ? 0 : -EOPNOTSUPP;
        move(&connections, false);
        run(&connections, &source, NS_PER_S);
        cr_expect_eq(connections.error, -EOPNOTSUPP, "move %zu: %d", i, connections.error);
    }
}

/* Who lost his connection connects anew: he must not lose it again because another one could not be destroyed. */
Test(connections, a_reset_of_some_is_not_done_twice)
{
    struct connections connections = {0};

    resets = stalled = 0;
    destroyed = 3;
    answer = -EPERM;
    move(&connections, false);
    answer = destroyed = 0;
    run(&connections, &source, NS_PER_S);
    cr_expect_eq(resets, 1, "%u", resets);
    cr_expect_eq(stalled, 10, "%u", stalled);
}

Test(connections, an_error_does_not_end_the_looks)
{
    struct connections connections = {0};
    struct spare_fds spare = SPARE_FDS_NONE;
    const struct connections_host host = host_with(&spare, &source, "all");

    move(&connections, true);
    answer = -ENOBUFS;
    connections_step(&connections, &host, 2 * NS_PER_S);
    answer = 0;
    run(&connections, &source, 2 * NS_PER_S);
    cr_expect_geq(stalled, 100, "%u", stalled);
    cr_expect_eq(resets, 0, "nothing is destroyed that moves");
    cr_expect_eq(connections.error, 0, "what is over is over");

    stalled = 0;
    answer = -EOPNOTSUPP;
    move(&connections, true);
    run(&connections, &source, NS_PER_S);
    cr_expect_eq(stalled, 1, "a kernel that cannot is asked once");
}

Test(connections, without_a_route_nobody_looks)
{
    struct connections connections = {0};

    move(&connections, true);
    run(&connections, NULL, NS_PER_S);
    cr_expect_eq(stalled, 0);
}

/* The kernel gives the lowest descriptor, so the limit is at the first free one. */
Test(connections, the_last_descriptors_are_for_a_look)
{
    struct connections connections = {0};
    struct spare_fds spare = SPARE_FDS_NONE;
    const struct connections_host host = host_with(&spare, &source, "all");
    int next;

    spare_fds_keep(&spare);
    next = open("/", O_PATH | O_CLOEXEC);
    cr_assert_geq(next, 0);
    close(next);
    cr_assert_eq(
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = (rlim_t)next}), 0);
    cr_assert_eq(open("/", O_PATH | O_CLOEXEC), -1, "no descriptor is left");
    connections_moved(&connections, &host, true, NS_PER_S);
    connections_step(&connections, &host, 3 * NS_PER_S);
    cr_expect_eq(stalled, 1);
    cr_expect_eq(connections.error, 0);
    spare_fds_release(&spare);
}

/* What is asked of the kernel when the route is about to move, and when it has. */
Test(connections, which)
{
    static const struct {
        const char *wanted;
        bool leaves, moves;
        enum fib_which which;
    } rows[] = {
        {"all", true, true, FIB_ALL}, {"established", true, true, FIB_OPEN}, {"none", false, false, FIB_ALL}};

    answer = 0;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct connections connections = {0};
        struct spare_fds spare = SPARE_FDS_NONE;
        const struct connections_host host = host_with(&spare, &source, rows[i].wanted);

        resets = 0;
        connections_leave(&connections, &host, NS_PER_S);
        cr_expect_eq(resets, rows[i].leaves, "%s", rows[i].wanted);
        if (rows[i].leaves) {
            cr_expect_eq(last.which, FIB_OPEN, "a handshake goes on by itself");
            cr_expect_eq(last.but_port, 3260, "iSCSI's end once only");
        }
        resets = 0;
        connections_moved(&connections, &host, false, NS_PER_S);
        cr_expect_eq(resets, rows[i].moves, "%s", rows[i].wanted);
        if (rows[i].moves) {
            cr_expect_eq(last.which, rows[i].which, "%s", rows[i].wanted);
            cr_expect_eq(last.source, &source);
            cr_expect_eq(last.but_port, 0);
        }
        spare_fds_release(&spare);
    }
}

/* What was still to be looked for is over with the next move, also when that one ends nothing. */
Test(connections, a_move_ends_the_looks_of_the_one_before)
{
    struct connections connections = {0};
    struct spare_fds spare = SPARE_FDS_NONE;
    const struct connections_host none = host_with(&spare, &source, "none");

    move(&connections, true);
    cr_expect_neq(connections_deadline_ns(&connections), NEVER_NS);
    connections_moved(&connections, &none, false, 2 * NS_PER_S);
    cr_expect_eq(connections_deadline_ns(&connections), NEVER_NS);
    spare_fds_release(&spare);
}

/*
 * The kernel refuses the move, and it is tried again and again: that must not end the connections each time. But what
 * was given up then is no cause to leave them alone for ever.
 */
Test(connections, left_once_for_a_move)
{
    static const struct {
        uint64_t at_ns;
        bool moves;
        unsigned resets; /* in all */
    } rows[] = {
        {1 * NS_PER_S, false, 1},                                 /* refused */
        {2 * NS_PER_S, false, 1},                                 /* tried again */
        {61 * NS_PER_S - 1, false, 1}, {61 * NS_PER_S, false, 2}, /* another one */
        {120 * NS_PER_S, true, 3},                                /* tried again: it moves */
        {121 * NS_PER_S, false, 4},                               /* the next one */
    };
    struct connections connections = {0};
    struct spare_fds spare = SPARE_FDS_NONE;
    const struct connections_host host = host_with(&spare, &source, "all");

    answer = 0;
    resets = 0;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        connections_leave(&connections, &host, rows[i].at_ns);
        if (rows[i].moves)
            connections_moved(&connections, &host, false, rows[i].at_ns);
        cr_expect_eq(resets, rows[i].resets, "row %zu: %u", i, resets);
    }
    spare_fds_release(&spare);
}
