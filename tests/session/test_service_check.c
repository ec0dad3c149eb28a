/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves over real connections that the service check is GOOD after one answer and BAD after a confirmed refusal, or a
 * window of silence and not before, whatever way a server has of not serving; that it goes through the interface it is
 * told to; and that it leaves neither sockets in TIME_WAIT nor descriptors behind.
 */
#include "session/service_check.h"

#include "probe/lacking.h"
#include "tests/lib/netns.h"
#include "tests/session/client.h"
#include "tests/session/server.h"

#include <criterion/criterion.h>

#define INTERVAL_NS SERVICE_CHECK_INTERVAL_MIN_NS
#define WINDOW_NS   (400 * NS_PER_MS)

/* This program's own: it can leave the last byte unsent. */
static bool sends_in_part;

ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    ssize_t sent = sendto(fd, bytes, sends_in_part ? size - 1 : size, flags, NULL, 0);

    if (sends_in_part)
        errno = ECONNREFUSED;
    return sent;
}

struct watcher {
    struct client client;
    struct service_check *check;
    unsigned changes;
};

static void on_change(void *context)
{
    ((struct watcher *)context)->changes++;
}

/* protocol: without its port, "nfs3", or with what comes after it, "http/". */
static void watch_for(struct watcher *watcher, const char *protocol, const char *address, uint32_t ifindex,
                      uint64_t window_ns)
{
    struct service_check_settings settings = {
        .ifindex = ifindex, .interval_ns = INTERVAL_NS, .window_ns = window_ns};
    int name = (int)strcspn(protocol, "/");
    char text[64];

    snprintf(text, sizeof(text), "%.*s:%d%s", name, protocol, CLIENT_PORT, protocol + name);
    cr_assert_eq(service_protocol_parse(text, &settings.protocol), 0);
    cr_assert_eq(address_parse(&settings.address, address), 0);
    watcher->changes = 0;
    cr_assert_eq(service_check_new(&watcher->check, watcher->client.base, &settings, on_change, watcher), 0);
    cr_expect_eq(service_check_state(watcher->check), SERVICE_CHECK_UNKNOWN);
}

static void watch_by(struct watcher *watcher, const char *protocol, const char *address, uint32_t ifindex)
{
    watch_for(watcher, protocol, address, ifindex, WINDOW_NS);
}

static void watch(struct watcher *watcher, const char *address, uint32_t ifindex)
{
    watch_by(watcher, "tcp", address, ifindex);
}

/* Runs the loop until the check says so; fails the test after 20 s. */
static void wait_state(struct watcher *watcher, enum service_check_state state)
{
    for (int i = 0; service_check_state(watcher->check) != state && i < 4000; i++)
        client_idle(&watcher->client, 5 * NS_PER_MS);
    cr_assert_eq(service_check_state(watcher->check), state, "%s", service_check_reason(watcher->check));
}

Test(service_check, good_at_once_bad_when_refused_good_again)
{
    struct watcher watcher = {0};
    struct server *server;

    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.end = SERVER_HANG});
    watch(&watcher, "127.0.0.1", 0);
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    server_free(server);
    wait_state(&watcher, SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(watcher.check), "Connection refused");
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.end = SERVER_HANG});
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    cr_expect_eq(watcher.changes, 3);
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

/* Runs the loop until the server has accepted so many connections; fails the test after 20 s. */
static void wait_accepted(struct watcher *watcher, const struct server *server, unsigned count)
{
    for (int i = 0; server_accepted(server) < count && i < 4000; i++)
        client_idle(&watcher->client, 5 * NS_PER_MS);
    cr_assert_geq(server_accepted(server), count);
}

/* Refused once, then served: it was never BAD. */
Test(service_check, a_refusal_alone_is_nothing)
{
    struct watcher watcher = {0};
    struct server *server;

    client_open(&watcher.client);
    watch(&watcher, "127.0.0.1", 0);
    for (int i = 0; !*service_check_reason(watcher.check) && i < 10000; i++)
        client_idle(&watcher.client, NS_PER_MS);
    cr_expect_str_eq(service_check_reason(watcher.check), "Connection refused");
    cr_expect_eq(service_check_state(watcher.check), SERVICE_CHECK_UNKNOWN);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.end = SERVER_HANG});
    wait_accepted(&watcher, server, 3);
    cr_expect_eq(watcher.changes, 1, "it was BAD in between");
    cr_expect_eq(service_check_state(watcher.check), SERVICE_CHECK_GOOD);
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

static void expect_silent(struct watcher *watcher, uint64_t since_ns, const char *reason)
{
    wait_state(watcher, SERVICE_CHECK_BAD);
    cr_expect_geq(clock_now_ns(CLOCK_MONOTONIC) - since_ns, WINDOW_NS);
    cr_expect_str_eq(service_check_reason(watcher->check), reason);
    cr_expect_eq(watcher->changes, 1);
}

Test(service_check, connecting_hangs)
{
    struct watcher watcher = {0};
    int fds[SERVER_FULL_FDS];
    uint64_t since_ns = clock_now_ns(CLOCK_MONOTONIC);

    client_open(&watcher.client);
    server_full("127.0.0.1", CLIENT_PORT, fds);
    watch(&watcher, "127.0.0.1", 0);
    expect_silent(&watcher, since_ns, "Connection timed out");
    service_check_free(watcher.check);
    for (int i = 0; i < SERVER_FULL_FDS; i++)
        close_fd(fds[i]);
    client_close(&watcher.client);
}

/* What a stopped server looks like: its kernel accepts, nobody answers. A tcp check cannot see it. */
Test(service_check, accepts_but_does_not_answer)
{
    static const char *const protocols[] = {"nfs3", "http/", "iscsi"};
    struct watcher watcher = {0};
    struct server *server;

    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.end = SERVER_HANG});
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
        uint64_t since_ns = clock_now_ns(CLOCK_MONOTONIC);

        watch_by(&watcher, protocols[i], "127.0.0.1", 0);
        expect_silent(&watcher, since_ns, "it accepts connections but does not answer");
        service_check_free(watcher.check);
    }
    watch_by(&watcher, "tcp", "127.0.0.1", 0);
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

/* NFS: one connection for all questions; when it ends, the next question is not waited for. */
Test(service_check, rpc_over_one_connection)
{
    struct watcher watcher = {0};
    struct server *server;

    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT, &(struct server_answer){.rpc = true});
    watch_by(&watcher, "nfs3", "127.0.0.1", 0);
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    client_idle(&watcher.client, 5 * INTERVAL_NS);
    cr_expect_eq(server_accepted(server), 1);
    cr_expect_eq(server_open(server), 1);
    service_check_set_interval(watcher.check, 3600 * NS_PER_S);
    server_free(server);
    wait_state(&watcher, SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(watcher.check), "Connection refused");
    service_check_set_interval(watcher.check, INTERVAL_NS);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT, &(struct server_answer){.rpc = true});
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    cr_expect_eq(watcher.changes, 3);
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

/* A target is logged in to once, and its own pings are answered. When it ends that is known at once. */
Test(service_check, iscsi_over_one_connection)
{
    struct watcher watcher = {0};
    struct server_answer target = {.iscsi = true, .iscsi_asks = true};
    struct server *server;

    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT, &target);
    watch_by(&watcher, "iscsi", "127.0.0.1", 0);
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    for (int i = 0; server_pings(server) < 5 && i < 4000; i++)
        client_idle(&watcher.client, 5 * NS_PER_MS);
    cr_expect_geq(server_pings(server), 5);
    cr_expect_eq(server_accepted(server), 1);
    cr_expect_eq(server_open(server), 1);
    service_check_set_interval(watcher.check, 3600 * NS_PER_S);
    server_free(server);
    wait_state(&watcher, SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(watcher.check), "Connection refused");
    service_check_set_interval(watcher.check, INTERVAL_NS);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT, &target);
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    cr_expect_eq(watcher.changes, 3);
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

/* What a busy machine takes beside. */
#define SLACK_NS (500 * NS_PER_MS)

static void expect_bad_within(struct watcher *watcher, uint64_t ns)
{
    uint64_t since_ns = clock_now_ns(CLOCK_MONOTONIC);

    wait_state(watcher, SERVICE_CHECK_BAD);
    cr_expect_leq(clock_now_ns(CLOCK_MONOTONIC) - since_ns, ns + SLACK_NS, "%.3f s",
                  (double)(clock_now_ns(CLOCK_MONOTONIC) - since_ns) / (double)NS_PER_S);
}

/* Runs the loop until so many initiators have logged in to the server; fails the test after 20 s. */
static void wait_logins(struct watcher *watcher, const struct server *server, unsigned count)
{
    for (int i = 0; server_logins(server) < count && i < 4000; i++)
        client_idle(&watcher->client, 5 * NS_PER_MS);
    cr_assert_geq(server_logins(server), count);
}

/* Targets with which no session lasts serve all the same, and are not logged in to again and again. But that they
 * die is known soon. */
Test(service_check, iscsi_sessions_that_do_not_last)
{
    static const struct {
        const char *what;
        struct server_answer answer;
        unsigned logins; /* in 10 s */
    } rows[] = {
        {"wants a password", {.iscsi = true, .iscsi_status = 0x0201}, 2},
        {"is elsewhere", {.iscsi = true, .iscsi_status = 0x0101}, 2},
        {"ends it after the login", {.iscsi = true, .iscsi_ends = 3}, 2},
        {"ends it after the first question", {.iscsi = true, .iscsi_ends = 4}, 6},
    };
    struct watcher watcher = {0};

    client_open(&watcher.client);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct server *server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT, &rows[i].answer);

        watch_by(&watcher, "iscsi", "127.0.0.1", 0);
        wait_logins(&watcher, server, rows[i].logins);
        client_idle(&watcher.client, 25 * INTERVAL_NS);
        cr_expect_eq(server_logins(server), rows[i].logins, "%s: %u logins", rows[i].what,
                     server_logins(server));
        cr_expect_leq(server_accepted(server), rows[i].logins + 3, "%s: %u connections", rows[i].what,
                      server_accepted(server));
        cr_expect_eq(service_check_state(watcher.check), SERVICE_CHECK_GOOD, "%s", rows[i].what);
        cr_expect_eq(watcher.changes, 1, "%s", rows[i].what);
        server_free(server);
        expect_bad_within(&watcher, 1200 * NS_PER_MS);
        cr_expect_str_eq(service_check_reason(watcher.check), "Connection refused", "%s", rows[i].what);
        service_check_free(watcher.check);
    }
    client_close(&watcher.client);
}

struct restarts {
    const char *what;
    unsigned count;
    uint64_t lived_ns; /* each session */
    bool dies;         /* in the end; else it hangs */
};

/* Returns the last server; NULL: it has died. */
static struct server *restart_often(struct watcher *watcher, const struct restarts *restarts)
{
    static const struct server_answer lives = {.iscsi = true}, hangs = {.iscsi = true, .iscsi_hangs = 1};
    struct server *server = server_new(watcher->client.base, "127.0.0.1", CLIENT_PORT, &lives);

    watch_by(watcher, "iscsi", "127.0.0.1", 0);
    for (unsigned i = 0; i < restarts->count; i++) {
        wait_logins(watcher, server, 1);
        client_idle(&watcher->client, restarts->lived_ns);
        server_free(server);
        client_idle(&watcher->client, SERVICE_CONFIRM_NS / 2); /* it refuses, but not for long */
        server = server_new(watcher->client.base, "127.0.0.1", CLIENT_PORT, &lives);
    }
    wait_logins(watcher, server, 1);
    client_idle(&watcher->client, restarts->lived_ns);
    server_free(server);
    if (restarts->dies)
        return NULL;
    return server_new(watcher->client.base, "127.0.0.1", CLIENT_PORT, &hangs);
}

/* Known as soon as after the first session. */
Test(service_check, iscsi_restarted_often)
{
    static const struct restarts rows[] = {
        {"each after a moment, then dead", 3, 3 * INTERVAL_NS, true},
        {"each after a moment, then hung", 3, 3 * INTERVAL_NS, false},
        {"each after more than a second, then dead", 7, 12 * INTERVAL_NS, true},
        {"each after more than a second, then hung", 7, 12 * INTERVAL_NS, false},
    };
    struct watcher watcher = {0};

    client_open(&watcher.client);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct server *server = restart_often(&watcher, &rows[i]);

        expect_bad_within(&watcher, rows[i].dies ? 1200 * NS_PER_MS : WINDOW_NS + NS_PER_S);
        cr_expect_str_eq(service_check_reason(watcher.check),
                         rows[i].dies ? "Connection refused" : "it accepts connections but does not answer",
                         "%s", rows[i].what);
        service_check_free(watcher.check);
        server_free(server);
    }
    client_close(&watcher.client);
}

/* Somebody ends our own connections while an answer is waited for. While no login is allowed nobody is asked, so nobody is
 * silent. */
Test(service_check, iscsi_not_asked_is_no_silence)
{
    struct watcher watcher = {0};
    struct server *server;

    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.iscsi = true, .iscsi_hangs = 3});
    watch_for(&watcher, "iscsi", "127.0.0.1", 0, 20 * INTERVAL_NS);
    for (unsigned logins = 1; logins <= 2; logins++) {
        wait_logins(&watcher, server, logins);
        client_idle(&watcher.client, 2 * INTERVAL_NS);
        netns_must(NETNS_HERE, "ss -tK dport = :8080 >/dev/null");
    }
    client_idle(&watcher.client, 25 * INTERVAL_NS);
    cr_expect_eq(server_logins(server), 2);
    cr_expect_eq(service_check_state(watcher.check), SERVICE_CHECK_GOOD, "%s",
                 service_check_reason(watcher.check));
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

Test(service_check, iscsi_not_available)
{
    struct watcher watcher = {0};
    struct server *server;

    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.iscsi = true, .iscsi_status = 0x0301});
    watch_for(&watcher, "iscsi", "127.0.0.1", 0, 3600 * NS_PER_S); /* none of this is silence */
    wait_state(&watcher, SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(watcher.check),
                     "the target says that its service is not available (login status 0301)");
    server_set(server, &(struct server_answer){.iscsi = true});
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

/* A question of which only a part can be sent is no refusal, whatever errno is from before. */
Test(service_check, sent_in_part)
{
    struct watcher watcher = {0};
    struct server *server;

    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT, &(struct server_answer){.rpc = true});
    sends_in_part = true;
    watch_for(&watcher, "nfs3", "127.0.0.1", 0, 3600 * NS_PER_S);
    wait_accepted(&watcher, server, 3);
    cr_expect_eq(service_check_state(watcher.check), SERVICE_CHECK_UNKNOWN);
    cr_expect_str_eq(service_check_reason(watcher.check), "Resource temporarily unavailable");
    sends_in_part = false;
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

Test(service_check, soon_is_at_once)
{
    struct watcher watcher = {0};
    struct server *server;

    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.end = SERVER_CLOSE});
    watch_by(&watcher, "tcp", "127.0.0.1", 0);
    service_check_set_interval(watcher.check, 3600 * NS_PER_S);
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    cr_expect_eq(server_accepted(server), 1);
    service_check_soon(watcher.check);
    wait_accepted(&watcher, server, 2);
    client_idle(&watcher.client, 4 * SERVICE_CONFIRM_NS);
    cr_expect_eq(server_accepted(server), 2, "once");
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

Test(service_check, http)
{
    struct watcher watcher = {0};
    struct server_answer good = {.head = "HTTP/1.1 200 OK\r\n\r\n"},
                         bad = {.head = "HTTP/1.1 503 Busy\r\n\r\n"};
    struct server *server;

    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT, &good);
    watch_for(&watcher, "http/healthz", "127.0.0.1", 0, 3600 * NS_PER_S); /* none of this is silence */
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    cr_expect_str_eq(server_request(server), "GET /healthz HTTP/1.0\r\nHost: 127.0.0.1:8080\r\n\r\n");
    server_set(server, &bad);
    wait_state(&watcher, SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(watcher.check), "an HTTP status that is no success");
    server_set(server, &good);
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    server_set(server, &(struct server_answer){.end = SERVER_CLOSE});
    wait_state(&watcher, SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(watcher.check), "the connection is closed without an answer");
    server_set(server, &good);
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    server_set(server, &(struct server_answer){.end = SERVER_RESET});
    wait_state(&watcher, SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(watcher.check), "Connection reset by peer");
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

/* A new interval counts while a question is under way too, and does not put off the first one. */
Test(service_check, interval_changes_meanwhile)
{
    struct watcher watcher = {0};
    struct server *server;

    client_open(&watcher.client);
    watch_by(&watcher, "nfs3", "127.0.0.1", 0);
    service_check_set_interval(watcher.check, 1000 * 3600 * NS_PER_S);
    for (int i = 0; !*service_check_reason(watcher.check) && i < 4000; i++)
        client_idle(&watcher.client, 5 * NS_PER_MS);
    cr_assert_str_eq(service_check_reason(watcher.check), "Connection refused");
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.end = SERVER_HANG});
    wait_accepted(&watcher, server, 1); /* it is asked again, to confirm */
    service_check_set_interval(watcher.check, INTERVAL_NS);
    server_set(server, &(struct server_answer){.rpc = true});
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

/* A new interval whose time is over already means no stall of this process: silence goes on to count. */
Test(service_check, interval_changes_while_it_is_silent)
{
    struct watcher watcher = {0};

    client_open(&watcher.client);
    watch(&watcher, "192.0.2.1", 0); /* there is no way to it */
    for (int i = 0; service_check_state(watcher.check) == SERVICE_CHECK_UNKNOWN && i < 20; i++) {
        service_check_set_interval(watcher.check, 3600 * NS_PER_S);
        client_idle(&watcher.client, WINDOW_NS * 3 / 4);
        service_check_set_interval(watcher.check, INTERVAL_NS);
        client_idle(&watcher.client, NS_PER_MS);
    }
    cr_expect_eq(service_check_state(watcher.check), SERVICE_CHECK_BAD);
    service_check_free(watcher.check);
    client_close(&watcher.client);
}

/* This host has no port left: nobody was asked, so nobody was silent. */
Test(service_check, no_means_is_no_silence)
{
    struct watcher watcher = {0};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(CLIENT_PORT)};
    struct server *server;
    int fd;

    client_open(&watcher.client);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    netns_must(NETNS_HERE, "sysctl -qw net.ipv4.ip_local_port_range='40000 40000'");
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.end = SERVER_HANG});
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    watch(&watcher, "127.0.0.1", 0);
    client_idle(&watcher.client, 2 * WINDOW_NS);
    cr_expect_eq(service_check_state(watcher.check), SERVICE_CHECK_UNKNOWN, "%s",
                 service_check_reason(watcher.check));
    shutdown(fd, SHUT_RDWR);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close_fd(fd);
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

/* What this process did not see since it was not running is no silence. */
Test(service_check, stopped_while_it_asks)
{
    struct watcher watcher = {0};
    const struct timespec stop = {.tv_nsec = 2 * WINDOW_NS};
    struct server *server;

    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.head = "HTTP/1.1 200 OK\r\n\r\n"});
    watch_by(&watcher, "http/", "127.0.0.1", 0);
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    for (unsigned i = 0, before; i < 3; i++) {
        for (before = server_accepted(server); server_accepted(server) == before;)
            event_base_loop(watcher.client.base, EVLOOP_ONCE);
        nanosleep(&stop, NULL);
    }
    client_idle(&watcher.client, 2 * INTERVAL_NS);
    cr_expect_eq(watcher.changes, 1, "%s", service_check_reason(watcher.check));
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

/* A server that closes after each answer does so by habit: that is no news, and no cause to ask more often. */
Test(service_check, closes_after_each_answer)
{
    struct watcher watcher = {0};
    struct server *server;

    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.rpc = true, .rpc_once = true});
    watch_by(&watcher, "nfs3", "127.0.0.1", 0);
    wait_accepted(&watcher, server, 3);
    service_check_set_interval(watcher.check, 3600 * NS_PER_S);
    client_idle(&watcher.client, 6 * SERVICE_CONFIRM_NS);
    cr_expect_leq(server_accepted(server), 4, "%u: the last one may have been under way",
                  server_accepted(server));
    cr_expect_eq(watcher.changes, 1);
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

Test(service_check, no_way_there)
{
    struct watcher watcher = {0};

    client_open(&watcher.client);
    watch(&watcher, "192.0.2.1", 0);
    wait_state(&watcher, SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(watcher.check), "Network is unreachable");
    service_check_free(watcher.check);
    watch(&watcher, "127.0.0.1", 9999); /* an interface that is gone */
    wait_state(&watcher, SERVICE_CHECK_BAD);
    service_check_free(watcher.check);
    client_close(&watcher.client);
}

/* The address answers through one interface; asked through the other, it must not. */
static void try_interfaces(void)
{
    struct watcher watcher = {0};
    struct server *server;

    client_open(&watcher.client);
    netns_must(NETNS_HERE,
               "ip link add name a0 type veth peer name a1 && ip link set a0 up && ip link set a1 up "
               "&& ip address add 192.0.2.1/24 dev a0");
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.end = SERVER_HANG});
    watch(&watcher, "127.0.0.1", if_nametoindex("lo"));
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    service_check_free(watcher.check);
    watch(&watcher, "127.0.0.1", if_nametoindex("a0"));
    wait_state(&watcher, SERVICE_CHECK_BAD);
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

static unsigned tcp_sockets_waiting(void)
{
    FILE *file = fopen("/proc/thread-self/net/tcp", "re");
    char line[256];
    unsigned count = 0, state;

    while (fgets(line, sizeof(line), file))
        count += sscanf(line, " %*u: %*s %*s %x", &state) == 1 && state == 6;
    fclose(file);
    return count;
}

Test(service_check, goes_through_its_interface)
{
    try_interfaces();
}

Test(service_check, goes_through_its_interface_on_old_kernels)
{
    lacking_note(LACKING_BIND_TO_IFINDEX, -ENOPROTOOPT);
    try_interfaces();
}

/* The address is not this host's any more; then the check is told of the new one. */
Test(service_check, goes_from_an_address_without_interfaces)
{
    struct watcher watcher = {0};
    struct address gone, own;
    struct server *server;

    address_parse(&gone, "192.0.2.1");
    address_parse(&own, "127.0.0.2");
    lacking_note(LACKING_BIND_TO_IFINDEX, -ENOPROTOOPT);
    lacking_note(LACKING_BIND_TO_DEVICE, -ENOPROTOOPT);
    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.end = SERVER_HANG});
    watch(&watcher, "127.0.0.1", if_nametoindex("lo"));
    service_check_set_source(watcher.check, &gone);
    client_idle(&watcher.client, 3 * INTERVAL_NS);
    cr_expect_eq(service_check_state(watcher.check), SERVICE_CHECK_UNKNOWN);
    cr_expect_eq(server_accepted(server), 0);
    service_check_set_source(watcher.check, &own);
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

Test(service_check, leaves_nothing_behind)
{
    struct watcher watcher = {0};
    struct server *server;
    unsigned fds;

    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.end = SERVER_HANG});
    fds = open_fds();
    watch(&watcher, "127.0.0.1", 0);
    wait_accepted(&watcher, server, 8);
    cr_expect_eq(tcp_sockets_waiting(), 0);
    service_check_free(watcher.check);
    client_idle(&watcher.client, 50 * NS_PER_MS);
    cr_expect_leq(open_fds(), fds);
    cr_expect_null(service_check_free(NULL));
    server_free(server);
    client_close(&watcher.client);
}
