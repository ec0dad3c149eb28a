/* SPDX-License-Identifier: Apache-2.0 */
/* How long the listening socket rests: after a flood, and no longer because of requests before it. */
#include "route/agent/server.h"

#include <criterion/criterion.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <sys/un.h>

#define WORK_NS (5 * NS_PER_MS)

static struct event_base *base;
static struct server *server;
static struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "\0reroute-test-server"};
static unsigned answered;
static uint64_t work_ns;

static int answer(void *context, const struct http_request *request, const char **type, struct evbuffer *body)
{
    uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + work_ns;

    while (clock_now_ns(CLOCK_MONOTONIC) < until_ns)
        ;
    answered++;
    return 200;
}

static void begin(void)
{
    const struct server_settings settings = {
        .name = "test", .connections_max = 200, .per_peer_max = 200, .answer = answer};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "reroute-test-server-%d", (int)getpid());
    cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(listen(fd, 200), 0);
    base = event_base_new();
    cr_assert_eq(server_new(&server, base, fd, &settings), 0);
}

static void end(void)
{
    server_free(server);
    event_base_free(base);
}

static int ask(void)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_eq(connect(fd, (const struct sockaddr *)&at, sizeof(at)), 0, "%s", strerror(errno));
    cr_assert_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
    return fd;
}

/* Runs the loop until so many are answered, or the time is over; returns how long that took. */
static uint64_t wait_for(unsigned count, uint64_t timeout_ns)
{
    uint64_t from_ns = clock_now_ns(CLOCK_MONOTONIC);

    while (answered < count && clock_now_ns(CLOCK_MONOTONIC) < from_ns + timeout_ns)
        event_base_loop(base, EVLOOP_NONBLOCK);
    return clock_now_ns(CLOCK_MONOTONIC) - from_ns;
}

static void ask_at_once(int fds[], unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        fds[i] = ask();
}

static void hang_up(const int fds[], unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

/* 240 answers of 5 ms once made 4.8 s of rest for the next burst. */
Test(server, who_asked_before_costs_a_later_burst_nothing, .init = begin, .fini = end)
{
    int fds[80];

    work_ns = WORK_NS;
    for (unsigned i = 0; i < 240; i++) {
        int fd = ask();

        wait_for(i + 1, 5 * NS_PER_S);
        close(fd);
    }
    cr_assert_eq(answered, 240);
    answered = 0;
    work_ns = 0;
    ask_at_once(fds, ARRAY_SIZE(fds));
    wait_for(ARRAY_SIZE(fds), 3 * NS_PER_S);
    cr_expect_eq(answered, ARRAY_SIZE(fds), "%u", answered);
    hang_up(fds, ARRAY_SIZE(fds));
}

/* 32 answers of 60 ms were 7.7 s. */
Test(server, a_rest_is_bounded, .init = begin, .fini = end)
{
    int fds[80];

    work_ns = 60 * NS_PER_MS;
    ask_at_once(fds, ARRAY_SIZE(fds));
    wait_for(64, 30 * NS_PER_S);
    cr_assert_geq(answered, 64);
    work_ns = 0;
    cr_expect_lt(wait_for(ARRAY_SIZE(fds), 30 * NS_PER_S), 5 * NS_PER_S);
    cr_expect_eq(answered, ARRAY_SIZE(fds));
    hang_up(fds, ARRAY_SIZE(fds));
}

Test(server, a_flood_has_it_rest, .init = begin, .fini = end)
{
    uint64_t began_ns = clock_now_ns(CLOCK_MONOTONIC);
    unsigned worked;
    int fds[144];

    work_ns = WORK_NS;
    ask_at_once(fds, ARRAY_SIZE(fds));
    wait_for(32, 30 * NS_PER_S);
    worked = answered;
    work_ns = 0; /* the rest that follows one of the next bursts is for the work on these */
    wait_for(ARRAY_SIZE(fds), 30 * NS_PER_S);
    cr_expect_geq(clock_now_ns(CLOCK_MONOTONIC) - began_ns, worked * WORK_NS + 400 * NS_PER_MS,
                  "%u answers without a rest", worked);
    hang_up(fds, ARRAY_SIZE(fds));
}
