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

static const struct server_answer hangs = {.end = SERVER_HANG};
static struct client client;
static struct server *server;       /* NULL: nobody listens */
static struct service_check *check; /* of 127.0.0.1, where nothing else is said */
static unsigned changes;            /* of its state */

static void begin(void)
{
    client_open(&client);
}

static void unwatch(void)
{
    check = service_check_free(check);
}

static void stop_serving(void)
{
    server = server_free(server);
}

static void end(void)
{
    unwatch();
    stop_serving();
    client_close(&client);
}

TestSuite(service_check, .init = begin, .fini = end);

/* In place of the server from before. */
static void serve(const struct server_answer *answer)
{
    stop_serving();
    server = server_new(client.base, "127.0.0.1", CLIENT_PORT, answer);
}

static void on_change(void *context)
{
    (*(unsigned *)context)++;
}

/* protocol: without its port, "nfs3", or with what comes after it, "http/". In place of the check from before. */
static void watch_at(const char *protocol, const char *address, uint32_t ifindex, uint64_t window_ns)
{
    struct service_check_settings settings = {
        .ifindex = ifindex, .interval_ns = INTERVAL_NS, .window_ns = window_ns};
    int name = (int)strcspn(protocol, "/");
    char text[64];

    unwatch();
    snprintf(text, sizeof(text), "%.*s:%d%s", name, protocol, CLIENT_PORT, protocol + name);
    cr_assert_eq(service_protocol_parse(text, &settings.protocol), 0);
    cr_assert_eq(address_parse(&settings.address, address), 0);
    changes = 0;
    cr_assert_eq(service_check_new(&check, client.base, &settings, on_change, &changes), 0);
    cr_expect_eq(service_check_state(check), SERVICE_CHECK_UNKNOWN);
}

static void watch_for(const char *protocol, uint64_t window_ns)
{
    watch_at(protocol, "127.0.0.1", 0, window_ns);
}

static void watch(const char *protocol)
{
    watch_for(protocol, WINDOW_NS);
}

/* Runs the loop until the check says so; fails the test after 20 s. */
static void wait_state(enum service_check_state state)
{
    for (int i = 0; service_check_state(check) != state && i < 4000; i++)
        client_idle(&client, 5 * NS_PER_MS);
    cr_assert_eq(service_check_state(check), state, "%s", service_check_reason(check));
}

/* Runs the loop until the server has counted so many, wait_for(server_accepted, 3); fails the test after 20 s. */
static void wait_for(unsigned (*counted)(const struct server *server), unsigned count)
{
    for (int i = 0; counted(server) < count && i < 4000; i++)
        client_idle(&client, 5 * NS_PER_MS);
    cr_assert_geq(counted(server), count);
}

/* Runs the loop until it is refused for the first time; fails the test after 20 s. */
static void wait_refused(void)
{
    for (int i = 0; !*service_check_reason(check) && i < 20000; i++)
        client_idle(&client, NS_PER_MS);
    cr_assert_str_eq(service_check_reason(check), "Connection refused");
}

Test(service_check, good_at_once_bad_when_refused_good_again)
{
    serve(&hangs);
    watch("tcp");
    wait_state(SERVICE_CHECK_GOOD);
    stop_serving();
    wait_state(SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(check), "Connection refused");
    serve(&hangs);
    wait_state(SERVICE_CHECK_GOOD);
    cr_expect_eq(changes, 3);
}

/* Refused once, then served: it was never BAD. */
Test(service_check, a_refusal_alone_is_nothing)
{
    watch("tcp");
    wait_refused();
    cr_expect_eq(service_check_state(check), SERVICE_CHECK_UNKNOWN);
    serve(&hangs);
    wait_for(server_accepted, 3);
    cr_expect_eq(changes, 1, "it was BAD in between");
    cr_expect_eq(service_check_state(check), SERVICE_CHECK_GOOD);
}

static void expect_silent(uint64_t since_ns, const char *reason)
{
    wait_state(SERVICE_CHECK_BAD);
    cr_expect_geq(clock_now_ns(CLOCK_MONOTONIC) - since_ns, WINDOW_NS);
    cr_expect_str_eq(service_check_reason(check), reason);
    cr_expect_eq(changes, 1);
}

Test(service_check, connecting_hangs)
{
    int fds[SERVER_FULL_FDS];
    uint64_t since_ns = clock_now_ns(CLOCK_MONOTONIC);

    server_full("127.0.0.1", CLIENT_PORT, fds);
    watch("tcp");
    expect_silent(since_ns, "Connection timed out");
    unwatch();
    for (int i = 0; i < SERVER_FULL_FDS; i++)
        close_fd(fds[i]);
}

/* What a stopped server looks like: its kernel accepts, nobody answers. A tcp check cannot see it. */
Test(service_check, accepts_but_does_not_answer)
{
    static const char *const protocols[] = {"nfs3", "http/", "iscsi"};

    serve(&hangs);
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
        uint64_t since_ns = clock_now_ns(CLOCK_MONOTONIC);

        watch(protocols[i]);
        expect_silent(since_ns, "it accepts connections but does not answer");
    }
    watch("tcp");
    wait_state(SERVICE_CHECK_GOOD);
}

/* The end of the only one is known at once, before the next question; then it is served again. */
static void expect_one_connection(const struct server_answer *again)
{
    cr_expect_eq(server_accepted(server), 1);
    cr_expect_eq(server_open(server), 1);
    service_check_set_interval(check, 3600 * NS_PER_S);
    stop_serving();
    wait_state(SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(check), "Connection refused");
    service_check_set_interval(check, INTERVAL_NS);
    serve(again);
    wait_state(SERVICE_CHECK_GOOD);
    cr_expect_eq(changes, 3);
}

/* NFS: one connection for all questions; when it ends, the next question is not waited for. */
Test(service_check, rpc_over_one_connection)
{
    struct server_answer nfs = {.rpc = true};

    serve(&nfs);
    watch("nfs3");
    wait_state(SERVICE_CHECK_GOOD);
    client_idle(&client, 5 * INTERVAL_NS);
    expect_one_connection(&nfs);
}

/* A target is logged in to once, and its own pings are answered. When it ends that is known at once. */
Test(service_check, iscsi_over_one_connection)
{
    struct server_answer target = {.iscsi = true, .iscsi_asks = true};

    serve(&target);
    watch("iscsi");
    wait_state(SERVICE_CHECK_GOOD);
    wait_for(server_pings, 5);
    expect_one_connection(&target);
}

/* What a busy machine takes beside. */
#define SLACK_NS (500 * NS_PER_MS)

static void expect_bad_within(uint64_t ns)
{
    uint64_t since_ns = clock_now_ns(CLOCK_MONOTONIC);

    wait_state(SERVICE_CHECK_BAD);
    cr_expect_leq(clock_now_ns(CLOCK_MONOTONIC) - since_ns, ns + SLACK_NS, "%.3f s",
                  (double)(clock_now_ns(CLOCK_MONOTONIC) - since_ns) / (double)NS_PER_S);
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

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        serve(&rows[i].answer);
        watch("iscsi");
        wait_for(server_logins, rows[i].logins);
        client_idle(&client, 25 * INTERVAL_NS);
        cr_expect_eq(server_logins(server), rows[i].logins, "%s: %u logins", rows[i].what,
                     server_logins(server));
        cr_expect_leq(server_accepted(server), rows[i].logins + 3, "%s: %u connections", rows[i].what,
                      server_accepted(server));
        cr_expect_eq(service_check_state(check), SERVICE_CHECK_GOOD, "%s", rows[i].what);
        cr_expect_eq(changes, 1, "%s", rows[i].what);
        stop_serving();
        expect_bad_within(service_check_dead_after_ns(INTERVAL_NS));
        cr_expect_str_eq(service_check_reason(check), "Connection refused", "%s", rows[i].what);
    }
}

/* A target that answers logins and no question is not GOOD again by each login. One that hangs after a question is, so its
 * logins count: the hang may last for longer than a second, the session has not. */
Test(service_check, iscsi_sessions_that_hang)
{
    static const struct {
        const char *what;
        struct server_answer answer;
        unsigned changes; /* over two logins */
    } rows[] = {
        {"hangs within the login", {.iscsi = true, .iscsi_hangs = 2}, 1},
        {"hangs after the login", {.iscsi = true, .iscsi_hangs = 3}, 2},
        {"hangs after the first question", {.iscsi = true, .iscsi_hangs = 4}, 4},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        serve(&rows[i].answer);
        watch_for("iscsi", 15 * INTERVAL_NS);
        wait_for(server_logins, 2);
        client_idle(&client, 35 * INTERVAL_NS);
        cr_expect_eq(changes, rows[i].changes, "%s: %u changes", rows[i].what, changes);
        cr_expect_eq(server_logins(server), 2, "%s: %u logins", rows[i].what, server_logins(server));
        cr_expect_eq(service_check_state(check), SERVICE_CHECK_BAD, "%s", rows[i].what);
    }
}

/* It was logged in to, and answered no question. The next login is still to come. */
static void hang_after_login(void)
{
    serve(&(struct server_answer){.iscsi = true, .iscsi_hangs = 3});
    watch("iscsi");
    service_check_set_interval(check, 3600 * NS_PER_S);
    wait_state(SERVICE_CHECK_GOOD);
    wait_for(server_logins, 1);
    service_check_soon(check);
    wait_state(SERVICE_CHECK_BAD);
    cr_expect_eq(server_logins(server), 1);
}

/* The question comes at once after the login, whatever the interval. */
Test(service_check, iscsi_answers_again_after_it_hung)
{
    hang_after_login();
    server_set(server, &(struct server_answer){.iscsi = true});
    service_check_soon(check);
    wait_state(SERVICE_CHECK_GOOD);
    cr_expect_eq(server_accepted(server), 2);
    cr_expect_eq(changes, 3);
}

/* One that ends its sessions after the login never answers a question: by the end of one its logins count again. */
Test(service_check, iscsi_ends_sessions_after_it_hung)
{
    hang_after_login();
    server_set(server, &(struct server_answer){.iscsi = true, .iscsi_ends = 3});
    service_check_soon(check);
    wait_for(server_logins, 2);
    service_check_set_interval(check, INTERVAL_NS);
    wait_state(SERVICE_CHECK_GOOD);
    client_idle(&client, 5 * INTERVAL_NS);
    cr_expect_eq(changes, 3);
}

/* It dies when it has just accepted a connection. */
Test(service_check, iscsi_asked_seldom)
{
    static const uint64_t interval_ns = 2 * NS_PER_S;

    serve(&(struct server_answer){.iscsi = true, .iscsi_status = 0x0201});
    watch("iscsi");
    service_check_set_interval(check, interval_ns);
    wait_for(server_accepted, 2);
    stop_serving();
    expect_bad_within(service_check_dead_after_ns(interval_ns));
    cr_expect_str_eq(service_check_reason(check), "Connection refused");
}

struct restarts {
    const char *what;
    unsigned count;
    uint64_t lived_ns; /* each session */
    bool dies;         /* in the end; else it hangs */
};

static void restart_often(const struct restarts *restarts)
{
    static const struct server_answer lives = {.iscsi = true};

    serve(&lives);
    watch("iscsi");
    for (unsigned i = 0; i < restarts->count; i++) {
        wait_for(server_logins, 1);
        client_idle(&client, restarts->lived_ns);
        stop_serving();
        client_idle(&client, SERVICE_CONFIRM_NS / 2); /* it refuses, but not for long */
        serve(&lives);
    }
    wait_for(server_logins, 1);
    client_idle(&client, restarts->lived_ns);
    stop_serving();
    if (!restarts->dies)
        serve(&(struct server_answer){.iscsi = true, .iscsi_hangs = 1});
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

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        restart_often(&rows[i]);
        expect_bad_within(rows[i].dies ? service_check_dead_after_ns(INTERVAL_NS) : WINDOW_NS + NS_PER_S);
        cr_expect_str_eq(service_check_reason(check),
                         rows[i].dies ? "Connection refused" : "it accepts connections but does not answer",
                         "%s", rows[i].what);
    }
}

/* Somebody ends our own connections while an answer is waited for. While no login is allowed nobody is asked, so nobody is
 * silent. */
Test(service_check, iscsi_not_asked_is_no_silence)
{
    serve(&(struct server_answer){.iscsi = true, .iscsi_hangs = 3});
    watch_for("iscsi", 20 * INTERVAL_NS);
    for (unsigned logins = 1; logins <= 2; logins++) {
        wait_for(server_logins, logins);
        client_idle(&client, 2 * INTERVAL_NS);
        netns_must(NETNS_HERE, "ss -tK dport = :8080 >/dev/null");
    }
    client_idle(&client, 25 * INTERVAL_NS);
    cr_expect_eq(server_logins(server), 2);
    cr_expect_eq(service_check_state(check), SERVICE_CHECK_GOOD, "%s", service_check_reason(check));
}

Test(service_check, iscsi_not_available)
{
    serve(&(struct server_answer){.iscsi = true, .iscsi_status = 0x0301});
    watch_for("iscsi", 3600 * NS_PER_S); /* none of this is silence */
    wait_state(SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(check),
                     "the target says that its service is not available (login status 0301)");
    server_set(server, &(struct server_answer){.iscsi = true});
    wait_state(SERVICE_CHECK_GOOD);
}

/* The first Login Response is a sign of life, but no answer: nobody can log in here. */
Test(service_check, iscsi_ends_within_the_login)
{
    serve(&(struct server_answer){.iscsi = true, .iscsi_ends = 2});
    watch_for("iscsi", 3600 * NS_PER_S);
    wait_state(SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(check), "the connection is closed without an answer");
    cr_expect_eq(changes, 1);
}

/* A question of which only a part can be sent is no refusal, whatever errno is from before. */
Test(service_check, sent_in_part)
{
    serve(&(struct server_answer){.rpc = true});
    sends_in_part = true;
    watch_for("nfs3", 3600 * NS_PER_S);
    wait_for(server_accepted, 3);
    cr_expect_eq(service_check_state(check), SERVICE_CHECK_UNKNOWN);
    cr_expect_str_eq(service_check_reason(check), "Resource temporarily unavailable");
    sends_in_part = false;
    wait_state(SERVICE_CHECK_GOOD);
}

Test(service_check, soon_is_at_once)
{
    serve(&(struct server_answer){.end = SERVER_CLOSE});
    watch("tcp");
    service_check_set_interval(check, 3600 * NS_PER_S);
    wait_state(SERVICE_CHECK_GOOD);
    cr_expect_eq(server_accepted(server), 1);
    service_check_soon(check);
    wait_for(server_accepted, 2);
    client_idle(&client, 4 * SERVICE_CONFIRM_NS);
    cr_expect_eq(server_accepted(server), 2, "once");
}

Test(service_check, http)
{
    struct server_answer good = {.head = "HTTP/1.1 200 OK\r\n\r\n"},
                         bad = {.head = "HTTP/1.1 503 Busy\r\n\r\n"};

    serve(&good);
    watch_for("http/healthz", 3600 * NS_PER_S); /* none of this is silence */
    wait_state(SERVICE_CHECK_GOOD);
    cr_expect_str_eq(server_request(server), "GET /healthz HTTP/1.0\r\nHost: 127.0.0.1:8080\r\n\r\n");
    server_set(server, &bad);
    wait_state(SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(check), "an HTTP status that is no success");
    server_set(server, &good);
    wait_state(SERVICE_CHECK_GOOD);
    server_set(server, &(struct server_answer){.end = SERVER_CLOSE});
    wait_state(SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(check), "the connection is closed without an answer");
    server_set(server, &good);
    wait_state(SERVICE_CHECK_GOOD);
    server_set(server, &(struct server_answer){.end = SERVER_RESET});
    wait_state(SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(check), "Connection reset by peer");
}

/* A new interval counts while a question is under way too, and does not put off the first one. */
Test(service_check, interval_changes_meanwhile)
{
    watch("nfs3");
    service_check_set_interval(check, 1000 * 3600 * NS_PER_S);
    wait_refused();
    serve(&hangs);
    wait_for(server_accepted, 1); /* it is asked again, to confirm */
    service_check_set_interval(check, INTERVAL_NS);
    server_set(server, &(struct server_answer){.rpc = true});
    wait_state(SERVICE_CHECK_GOOD);
}

/* A new interval whose time is over already means no stall of this process: silence goes on to count. */
Test(service_check, interval_changes_while_it_is_silent)
{
    watch_at("tcp", "192.0.2.1", 0, WINDOW_NS); /* there is no way to it */
    for (int i = 0; service_check_state(check) == SERVICE_CHECK_UNKNOWN && i < 20; i++) {
        service_check_set_interval(check, 3600 * NS_PER_S);
        client_idle(&client, WINDOW_NS * 3 / 4);
        service_check_set_interval(check, INTERVAL_NS);
        client_idle(&client, NS_PER_MS);
    }
    cr_expect_eq(service_check_state(check), SERVICE_CHECK_BAD);
}

/* This host has no port left: nobody was asked, so nobody was silent. */
Test(service_check, no_means_is_no_silence)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(CLIENT_PORT)};
    int fd;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    netns_must(NETNS_HERE, "sysctl -qw net.ipv4.ip_local_port_range='40000 40000'");
    serve(&hangs);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    watch("tcp");
    client_idle(&client, 2 * WINDOW_NS);
    cr_expect_eq(service_check_state(check), SERVICE_CHECK_UNKNOWN, "%s", service_check_reason(check));
    shutdown(fd, SHUT_RDWR);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close_fd(fd);
    wait_state(SERVICE_CHECK_GOOD);
}

/* What this process did not see since it was not running is no silence. */
Test(service_check, stopped_while_it_asks)
{
    const struct timespec stop = {.tv_nsec = 2 * WINDOW_NS};

    serve(&(struct server_answer){.head = "HTTP/1.1 200 OK\r\n\r\n"});
    watch("http/");
    wait_state(SERVICE_CHECK_GOOD);
    for (unsigned i = 0, before; i < 3; i++) {
        for (before = server_accepted(server); server_accepted(server) == before;)
            event_base_loop(client.base, EVLOOP_ONCE);
        nanosleep(&stop, NULL);
    }
    client_idle(&client, 2 * INTERVAL_NS);
    cr_expect_eq(changes, 1, "%s", service_check_reason(check));
}

/* A server that closes after each answer does so by habit: that is no news, and no cause to ask more often. */
Test(service_check, closes_after_each_answer)
{
    serve(&(struct server_answer){.rpc = true, .rpc_once = true});
    watch("nfs3");
    wait_for(server_accepted, 3);
    service_check_set_interval(check, 3600 * NS_PER_S);
    client_idle(&client, 6 * SERVICE_CONFIRM_NS);
    cr_expect_leq(server_accepted(server), 4, "%u: the last one may have been under way",
                  server_accepted(server));
    cr_expect_eq(changes, 1);
}

Test(service_check, no_way_there)
{
    watch_at("tcp", "192.0.2.1", 0, WINDOW_NS);
    wait_state(SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(check), "Network is unreachable");
    watch_at("tcp", "127.0.0.1", 9999, WINDOW_NS); /* an interface that is gone */
    wait_state(SERVICE_CHECK_BAD);
}

/* The address answers through one interface; asked through the other, it must not. */
static void try_interfaces(void)
{
    netns_must(NETNS_HERE,
               "ip link add name a0 type veth peer name a1 && ip link set a0 up && ip link set a1 up "
               "&& ip address add 192.0.2.1/24 dev a0");
    serve(&hangs);
    watch_at("tcp", "127.0.0.1", if_nametoindex("lo"), WINDOW_NS);
    wait_state(SERVICE_CHECK_GOOD);
    watch_at("tcp", "127.0.0.1", if_nametoindex("a0"), WINDOW_NS);
    wait_state(SERVICE_CHECK_BAD);
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
    struct address gone, own;

    address_parse(&gone, "192.0.2.1");
    address_parse(&own, "127.0.0.2");
    lacking_note(LACKING_BIND_TO_IFINDEX, -ENOPROTOOPT);
    lacking_note(LACKING_BIND_TO_DEVICE, -ENOPROTOOPT);
    serve(&hangs);
    watch_at("tcp", "127.0.0.1", if_nametoindex("lo"), WINDOW_NS);
    service_check_set_source(check, &gone);
    client_idle(&client, 3 * INTERVAL_NS);
    cr_expect_eq(service_check_state(check), SERVICE_CHECK_UNKNOWN);
    cr_expect_eq(server_accepted(server), 0);
    service_check_set_source(check, &own);
    wait_state(SERVICE_CHECK_GOOD);
}

Test(service_check, leaves_nothing_behind)
{
    unsigned fds;

    serve(&hangs);
    fds = open_fds();
    watch("tcp");
    wait_for(server_accepted, 8);
    cr_expect_eq(tcp_sockets_waiting(), 0);
    unwatch();
    client_idle(&client, 50 * NS_PER_MS);
    cr_expect_leq(open_fds(), fds);
    cr_expect_null(service_check_free(NULL));
}
