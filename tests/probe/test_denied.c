/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: whatever call of the kernel a host forbids (seccomp, an odd system), a prober either
 * works, by another call, or ends with an error that names the call. Never does it call a live host
 * unreachable. Each call with each errno, before the sockets are opened and after, over both kinds of
 * sockets.
 */
#include <criterion/criterion.h>

#include "probe/pool.h"
#include "tests/lib/forbid.h"
#include "tests/probe/cluster.h"

enum want {
    WORKS,
    SAYS,    /* an error whose line has `word` */
    REFUSED, /* a result: it could not be sent, with that errno */
};

static const struct row {
    const char *transport;
    long calls[3]; /* 0: none */
    bool late;     /* forbidden when all is open */
    enum want want;
    const char *word;
    uint32_t workers; /* 0: one */
} rows[] = {
    {"epoll", {SYS_recvmmsg}, true, WORKS},
    {"epoll", {SYS_recvmsg}, true, WORKS},
    {"epoll", {SYS_recvmmsg, SYS_recvmsg}, true, SAYS, "recvmsg"},
    {"poll", {SYS_recvmmsg}, true, WORKS},
    {"poll", {SYS_recvmsg}, true, SAYS, "recvmsg"},
    {"epoll", {SYS_sendmmsg}, true, WORKS},
    {"epoll", {SYS_sendmmsg, SYS_sendmsg}, true, REFUSED},
    {"poll", {SYS_sendmsg}, true, REFUSED},
    {"epoll", {SYS_epoll_pwait2}, true, WORKS},
    {"epoll", {SYS_epoll_pwait2, SYS_epoll_wait}, true, SAYS, "epoll_wait"},
    {"poll", {SYS_ppoll}, true, WORKS},
    {"poll", {SYS_ppoll, SYS_poll}, true, SAYS, "poll"},
    {"auto", {SYS_epoll_create1}, false, WORKS},
    {"auto", {SYS_epoll_ctl}, false, WORKS},
    {"auto", {SYS_epoll_wait}, false, WORKS},
    {"epoll", {SYS_epoll_ctl}, false, SAYS, "epoll"},
    {"auto", {SYS_eventfd2}, false, WORKS},
    {"auto", {SYS_eventfd2}, false, WORKS, .workers = 2},
    {"auto", {SYS_eventfd2, SYS_pipe2}, false, WORKS},
    {"auto", {SYS_eventfd2, SYS_pipe2, SYS_socketpair}, false, SAYS, "a socket pair"},
    {"auto", {SYS_getrandom}, false, WORKS},
    {"auto", {SYS_setsockopt}, false, WORKS},
    {"auto", {SYS_getsockopt}, false, WORKS},
};

struct way {
    const struct row *row;
    int error;
};

static void forbid_all(const struct way *way)
{
    for (size_t i = 0; i < ARRAY_SIZE(way->row->calls); i++)
        if (way->row->calls[i] && !forbid(way->row->calls[i], way->error))
            _exit(77);
}

/* Asks a live host; how it ended. */
static int ask(const struct way *way, struct probe_result *result, char *text, size_t size_bytes)
{
    struct probe_settings settings = probe_settings_default();
    CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
    struct probe_targets targets = {0};
    struct probe_range range;
    int r;

    settings.transport = way->row->transport;
    settings.select_timeout_ns = NS_PER_S / 2;
    probe_range_parse(&range, "10.2.0.0/30", text, size_bytes);
    probe_targets_add(&targets, &range);
    if (!way->row->late)
        forbid_all(way);
    r = probe_pool_new(&pool, &settings, way->row->workers ? way->row->workers : 1, &targets, false, text,
                       size_bytes);
    probe_targets_clear(&targets);
    if (r < 0)
        return r;
    if (way->row->late)
        forbid_all(way);
    while (r == 0 && !probe_pool_next(pool, result))
        r = probe_pool_step(pool, NEVER_NS);
    if (r < 0)
        snprintf(text, size_bytes, "%s", probe_pool_failed_call(pool) ? probe_pool_failed_call(pool) : "");
    return r;
}

/* 0: as it should be; otherwise what went wrong. */
static int check(void *context)
{
    const struct way *way = context;
    struct probe_result result = {0};
    char text[256] = "";
    int r = ask(way, &result, text, sizeof(text));

    fprintf(stderr, "# %d %s '%s'\n", r, probe_outcome_text(result.outcome), text);
    switch (way->row->want) {
    case WORKS:
        return r < 0 ? 1 : result.outcome == PROBE_REPLY ? 0 : 2;
    case SAYS:
        return r == 0 ? 3 : strstr(text, way->row->word) ? 0 : 4;
    case REFUSED:
        return r < 0 ? 5 : result.outcome == PROBE_SEND_FAILED && result.error.error == way->error ? 0 : 6;
    }
    return 7;
}

Test(denied, no_call_that_is_forbidden_makes_a_live_host_unreachable, .timeout = 60)
{
    static const int errors[] = {EPERM, ENOSYS, EACCES};
    struct cluster cluster;

    cluster_make(&cluster);
    for (int ping = 0; ping < 2; ping++) {
        cluster_allow_ping_sockets(ping);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
            for (size_t e = 0; e < ARRAY_SIZE(errors); e++) {
                struct way way = {&rows[i], errors[e]};
                int status = netns_wait(netns_spawn(NETNS_HERE, check, &way));

                if (status == 77)
                    cr_skip_test("no seccomp here");
                cr_expect_eq(status, 0, "%s, call %ld, errno %s, %s socket: %d", rows[i].transport,
                             rows[i].calls[0], strerror(errors[e]), ping ? "ping" : "raw", status);
            }
        }
    }
}

/* A firewall of this host sees a request that it refuses once, or twice in a batch; not five times. */
Test(denied, what_our_own_firewall_refuses_is_not_sent_again_and_again, .timeout = 60)
{
    static const struct row row = {.transport = "poll"};
    struct cluster cluster;
    struct way way = {&row, 0};
    struct probe_result result;
    char text[256];

    cluster_make(&cluster);
    netns_must(NETNS_HERE, "nft 'table inet u { chain out { type filter hook output priority 0;"
                           "ip daddr 10.2.0.0/30 counter drop; }; }'");
    cr_assert_eq(ask(&way, &result, text, sizeof(text)), 0);
    cr_expect_eq(result.outcome, PROBE_SEND_FAILED);
    cr_expect_eq(result.error.error, EPERM);
    netns_must(NETNS_HERE, "nft list table inet u | grep -q 'counter packets 4 '");
}
