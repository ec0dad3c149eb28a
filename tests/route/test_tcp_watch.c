/* SPDX-License-Identifier: Apache-2.0 */
/* How often the host's own connections are looked at, and what becomes of errors. The kernel is played here. */
#include "route/agent/tcp_watch.h"

#include <criterion/criterion.h>

#define BEGIN_NS (1000 * NS_PER_S)

static const struct address service = {.family = AF_INET, .bytes = {192, 168, 33, 2}};
static const struct address home = {.family = AF_INET, .bytes = {10, 0, 0, 1}};
static const struct address away = {.family = AF_INET, .bytes = {10, 0, 0, 2}};
static int open_answer, list_answer;
static unsigned opens, lists, looks;
static size_t sockets_open = 1;
static struct fib_tcp_socket played = {.cookie = 1};

int fib_tcp_open(struct fib_tcp **out, const struct address *peer)
{
    opens++;
    *out = open_answer ? NULL : malloc(1);
    return open_answer;
}

struct fib_tcp *fib_tcp_close(struct fib_tcp *tcp)
{
    free(tcp);
    return NULL;
}

int fib_tcp_list(struct fib_tcp *tcp)
{
    lists++;
    return list_answer;
}

int fib_tcp_look(struct fib_tcp *tcp)
{
    looks++;
    return 0;
}

size_t fib_tcp_sockets(const struct fib_tcp *tcp, struct fib_tcp_socket sockets[static FIB_TCP_MAX])
{
    sockets[0] = played;
    return sockets_open;
}

/* A step each 10 ms for so long, with data that are acknowledged all the time; returns the time. */
static uint64_t run(struct tcp_watch *watch, const struct address *hop, bool ours, uint64_t now_ns,
                    unsigned for_ms)
{
    const struct tcp_watch_host host = {
        .service = &service,
        .hop = hop,
        .ours = ours,
        .path = {.answers = true, .window_ns = 1 * NS_PER_S, .select_timeout_ns = 100 * NS_PER_MS}};

    opens = lists = looks = 0;
    for (unsigned ms = 0; ms < for_ms; ms += 10) {
        played.acked_bytes++;
        tcp_watch_step(watch, &host, now_ns + ms * NS_PER_MS);
    }
    return now_ns + for_ms * NS_PER_MS;
}

Test(tcp_watch, a_list_every_ten_seconds_and_a_look_each_half_select_timeout)
{
    struct tcp_watch watch = {0};

    run(&watch, &home, true, BEGIN_NS, 20000);
    cr_expect(opens == 1 && lists == 2 && looks == 398, "%u, %u, %u", opens, lists, looks);
    cr_expect_eq(watch.verdict.says, WITNESS_PROGRESS);
    tcp_watch_close(&watch);
}

Test(tcp_watch, a_list_every_two_seconds_while_there_is_none)
{
    struct tcp_watch watch = {0};
    uint64_t now_ns;

    sockets_open = 0;
    now_ns = run(&watch, &home, true, BEGIN_NS, 10000);
    cr_expect_eq(lists, 5, "%u", lists);
    cr_expect_eq(watch.verdict.says, WITNESS_NONE);
    sockets_open = 1;
    now_ns = run(&watch, &home, true, now_ns, 5000);
    cr_expect_eq(lists, 1, "%u", lists);
    sockets_open = 0; /* it has gone: who comes in its place is soon found */
    run(&watch, &home, true, now_ns, 2500);
    cr_expect_eq(lists, 1, "%u", lists);
    tcp_watch_close(&watch);
}

Test(tcp_watch, without_a_route_nobody_looks)
{
    struct tcp_watch watch = {0};

    run(&watch, NULL, false, BEGIN_NS, 2000);
    cr_expect(opens == 0 && lists == 0 && watch.verdict.says == WITNESS_NONE);
}

Test(tcp_watch, what_takes_another_route_says_nothing)
{
    struct tcp_watch watch = {0};

    run(&watch, &home, false, BEGIN_NS, 2000);
    cr_expect_eq(watch.verdict.says, WITNESS_NONE);
    tcp_watch_close(&watch);
}

Test(tcp_watch, a_kernel_that_does_not_tell_is_asked_once)
{
    struct tcp_watch watch = {0};

    list_answer = -EOPNOTSUPP;
    run(&watch, &home, true, BEGIN_NS, 5000);
    cr_expect(opens == 1 && lists == 1 && looks == 0, "%u, %u, %u", opens, lists, looks);
    cr_expect_eq(watch.verdict.says, WITNESS_NONE);
    tcp_watch_close(&watch);
}

Test(tcp_watch, what_fails_is_tried_again)
{
    struct tcp_watch watch = {0};
    uint64_t now_ns;

    open_answer = -EMFILE;
    now_ns = run(&watch, &home, true, BEGIN_NS, 6000);
    cr_expect(opens == 3 && lists == 0 && looks == 0, "%u, %u, %u", opens, lists, looks);
    open_answer = 0;
    run(&watch, &home, true, now_ns, 1000);
    cr_expect(opens == 1 && lists == 1, "%u, %u", opens, lists);
    cr_expect_eq(watch.verdict.says, WITNESS_PROGRESS);
    tcp_watch_close(&watch);
}

Test(tcp_watch, a_move_is_another_path)
{
    struct tcp_watch watch = {0};
    uint64_t now_ns = run(&watch, &home, true, BEGIN_NS, 1000);

    cr_expect_eq(watch.witness.moved_ns, 0, "it stood");
    run(&watch, &away, true, now_ns, 1000);
    cr_expect_eq(watch.witness.moved_ns, now_ns);
    now_ns = run(&watch, NULL, false, now_ns + 1 * NS_PER_S, 1000);
    run(&watch, &away, true, now_ns, 1000);
    cr_expect_eq(watch.witness.moved_ns, now_ns, "so it is after a time without a route");
    tcp_watch_close(&watch);
}
