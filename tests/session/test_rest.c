/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what the rest provider asks, and how it gets its answer when the first one asked does not give it:
 * hedging over accesses and addresses, refreshes, heartbeats, tokens, IPv6. What it makes of servers that
 * misbehave is in test_misbehaviour.c. Servers are real ones on loopback in a namespace of the test's own.
 */
#include "tests/lib/netns.h"
#include "tests/session/client.h"
#include "tests/session/server.h"

#include <criterion/criterion.h>
#include <sys/stat.h>

#define OK       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define TIMER_NS (10 * NS_PER_MS)  /* the loop's timers start at its cached time, a moment ago */
#define HEDGE_NS (500 * NS_PER_MS) /* where somebody hangs: the next one is asked soon */
#define SHORT_NS (400 * NS_PER_MS) /* where the timeout is over in the test, and nothing happens */

static const struct server_answer hangs = {.end = SERVER_HANG};
static const struct server_answer list_a = {
    .head = OK "\r\n{\"ec\":\"EOK\",\"data\":[{\"uuid\":\"a\",\"ip\":\"10.0.0.1\"},{}]}"};
static const struct server_answer list_b = {.head = OK "\r\n[{\"uuid\":\"b\",\"ip\":\"10.0.0.1\"}]"};
static const struct server_answer empty = {.head = OK "\r\n{\"ec\":\"EOK\",\"data\":[]}"};
static const struct server_answer done = {.head = OK "Content-Length: 12\r\n\r\n{\"ec\":\"EOK\"}"};
static const struct server_answer gone = {.head = "HTTP/1.1 404 Not Found\r\n\r\n{\"ec\":\"ENOENT\"}"};
static const struct server_answer broken = {.head = "HTTP/1.1 502 Bad Gateway\r\n\r\n<html>"};
static const struct server_answer page = {.head = OK "\r\n<html>"};
static const struct server_answer denied = {.head = OK "\r\n{\"ec\":\"EPERM\"}"};

Test(rest, list_is_asked_as_the_service_expects)
{
    struct client client;
    struct server *server;
    struct session_provider_settings settings = client_settings();

    setenv("http_proxy", "http://127.0.0.1:9/", 1); /* must not be used */
    setenv("ALL_PROXY", "http://127.0.0.1:9/", 1);
    client_open(&client);
    server = server_new(client.base, "127.0.0.1", CLIENT_PORT, &list_a);
    client_provider(&client, &settings);
    client_list(&client, "7=127.0.0.1");
    cr_expect_eq(client.error, 0, "%s", client.message);
    cr_expect_eq(client.count, 1);
    cr_expect_eq(client.skipped, 1);
    cr_expect_str_eq(client.uuid, "a");
    cr_expect_eq(client.origin.access, 7);
    cr_expect_eq(client.unasked, 0);
    cr_expect(strncmp(server_request(server), "GET /api/v3/sessions HTTP/1.1\r\n", 31) == 0, "%s",
              server_request(server));
    cr_expect_null(strstr(server_request(server), "Content-"));
    server_free(server);
    client_close(&client);
}

Test(rest, second_access_is_asked_when_the_first_hangs)
{
    struct client client;
    struct server *first, *second;
    struct session_provider_settings settings = client_settings();

    settings.hedge_ns = HEDGE_NS;
    client_open(&client);
    first = server_new(client.base, "127.0.0.1", CLIENT_PORT, &hangs);
    second = server_new(client.base, "127.0.0.2", CLIENT_PORT, &list_b);
    client_provider(&client, &settings);
    client_list(&client, "1=127.0.0.1 2=127.0.0.2 3=127.0.0.3");
    cr_expect_eq(client.error, 0, "%s", client.message);
    cr_expect_eq(client.origin.access, 2);
    cr_expect_eq(client.unasked, 1);
    cr_expect(client.took_ns >= settings.hedge_ns - TIMER_NS, "asked too soon");
    cr_expect(client.took_ns < settings.timeout_ns / 2, "waited for the one that hangs");
    /* The other request is cancelled. */
    for (int i = 0; server_open(first) && i < 100; i++)
        client_idle(&client, 10 * NS_PER_MS);
    cr_expect_eq(server_accepted(first), 1);
    cr_expect_eq(server_open(first), 0);
    server_free(first);
    server_free(second);
    client_close(&client);
}

Test(rest, third_access_is_asked_when_two_hang)
{
    struct client client;
    struct server *servers[3];
    struct session_provider_settings settings = client_settings();

    settings.hedge_ns = HEDGE_NS;
    client_open(&client);
    servers[0] = server_new(client.base, "127.0.0.1", CLIENT_PORT, &hangs);
    servers[1] = server_new(client.base, "127.0.0.2", CLIENT_PORT, &hangs);
    servers[2] = server_new(client.base, "127.0.0.3", CLIENT_PORT, &list_b);
    client_provider(&client, &settings);
    client_list(&client, "1=127.0.0.1 2=127.0.0.2 3=127.0.0.3");
    cr_expect_eq(client.error, 0, "%s", client.message);
    cr_expect_eq(client.origin.access, 3);
    cr_expect(client.took_ns >= 2 * settings.hedge_ns - TIMER_NS && client.took_ns < settings.timeout_ns / 2);
    for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
        server_free(servers[i]);
    client_close(&client);
}

Test(rest, first_access_is_not_hurried)
{
    struct client client;
    struct server *first, *second;
    struct session_provider_settings settings = client_settings();

    client_open(&client);
    first = server_new(client.base, "127.0.0.1", CLIENT_PORT, &list_a);
    second = server_new(client.base, "127.0.0.2", CLIENT_PORT, &list_b);
    client_provider(&client, &settings);
    client_list(&client, "1=127.0.0.1 2=127.0.0.2");
    cr_expect_eq(client.origin.access, 1);
    cr_expect_eq(client.unasked, 1);
    cr_expect_eq(server_accepted(second), 0);
    server_free(first);
    server_free(second);
    client_close(&client);
}

/* First the first address of each access, then the others; a failure starts the next at once. */
Test(rest, failures_go_on_at_once_through_accesses_and_addresses)
{
    struct client client;
    struct server *server;
    struct session_provider_settings settings = client_settings();

    client_open(&client);
    server = server_new(client.base, "127.0.0.4", CLIENT_PORT, &list_a);
    client_provider(&client, &settings);
    client_list(&client, "1=127.0.0.1 1=127.0.0.4 2=127.0.0.2");
    cr_expect_eq(client.error, 0, "%s", client.message);
    cr_expect_eq(client.origin.access, 1);
    cr_expect(client.took_ns < settings.hedge_ns / 2);
    client_list(&client, "1=127.0.0.1 2=127.0.0.2 3=127.0.0.3");
    cr_expect_eq(client.error, -ECONNREFUSED, "%s", client.message);
    cr_expect(strstr(client.message, "127.0.0.3"), "the last error: %s", client.message);
    cr_expect(strstr(client.message, "asked 3 addresses"), "and how many there were: %s", client.message);
    cr_expect_eq(client.count, SIZE_MAX);
    /* There is no way to this one: the kernel says so at once. */
    client_list(&client, "1=10.0.0.1 2=127.0.0.4");
    cr_expect_eq(client.error, 0, "%s", client.message);
    client_list(&client, "1=10.0.0.1");
    cr_expect_eq(client.error, -ENETUNREACH, "%s", client.message);
    server_free(server);
    client_close(&client);
}

Test(rest, empty_list_is_given_only_when_nobody_has_a_better_one)
{
    struct client client;
    struct server *first, *second;
    struct session_provider_settings settings = client_settings();

    client_open(&client);
    first = server_new(client.base, "127.0.0.1", CLIENT_PORT, &empty);
    second = server_new(client.base, "127.0.0.2", CLIENT_PORT, &list_b);
    client_provider(&client, &settings);
    client_list(&client, "1=127.0.0.1 2=127.0.0.2");
    cr_expect_eq(client.error, 0);
    cr_expect_eq(client.count, 1);
    cr_expect_eq(client.origin.access, 2);
    server_set(second, &broken);
    client_list(&client, "1=127.0.0.1 1=127.0.0.9 2=127.0.0.2");
    cr_expect_eq(client.error, 0, "%s", client.message);
    cr_expect_eq(client.count, 0);
    cr_expect_eq(client.origin.access, 1);
    client_list(&client, "2=127.0.0.2 1=127.0.0.1");
    cr_expect_eq(client.error, 0, "%s", client.message);
    cr_expect_eq(client.count, 0);
    server_free(first);
    server_free(second);
    client_close(&client);
}

Test(rest, new_list_request_replaces_the_one_under_way)
{
    struct client client, other = {0};
    struct server *first, *second;
    struct session_endpoint endpoint[1];
    struct session_provider_settings settings = client_settings();

    settings.timeout_ns = SHORT_NS;
    client_open(&client);
    first = server_new(client.base, "127.0.0.1", CLIENT_PORT, &hangs);
    second = server_new(client.base, "127.0.0.2", CLIENT_PORT, &list_b);
    client_provider(&client, &settings);
    other.base = client.base;
    endpoints_make("1=127.0.0.1", endpoint, 1);
    cr_assert_eq(session_provider_list(client.provider, endpoint, 1, client_answered, &other), 0);
    client_list(&client, "2=127.0.0.2");
    cr_expect_eq(client.origin.access, 2);
    client_idle(&client, 2 * settings.timeout_ns);
    cr_expect_eq(other.answers, 0);
    server_free(first);
    server_free(second);
    client_close(&client);
}

Test(rest, no_callback_from_inside_the_call_nor_after_free)
{
    struct client client;
    struct session_endpoint endpoint[1];
    struct session_provider_settings settings = client_settings();
    unsigned fds;

    settings.timeout_ns = SHORT_NS;
    client_open(&client);
    client_provider(&client, &settings);
    fds = open_fds();
    endpoints_make("1=127.0.0.1", endpoint, 1);
    cr_assert_eq(session_provider_list(client.provider, endpoint, 1, client_answered, &client), 0);
    cr_assert_eq(
        session_provider_refresh(client.provider, endpoint, 1, "u", "10.0.0.1", client_answered, &client), 0);
    cr_expect_eq(client.answers, 0);
    client.provider = session_provider_free(client.provider);
    client_idle(&client, settings.timeout_ns);
    cr_expect_eq(client.answers, 0);
    cr_expect_leq(open_fds(), fds);
    client_close(&client);
}

static void refresh(struct client *client, const char *endpoints_text, const char *uuid)
{
    struct session_endpoint endpoints[8];
    size_t count = endpoints_make(endpoints_text, endpoints, ARRAY_SIZE(endpoints));

    cr_assert_eq(session_provider_refresh(client->provider, endpoints, count, uuid,
                                          "192.168.33.1,10.10.85.11", client_answered, client),
                 0);
    client_wait(client, client->answers + 1);
}

Test(rest, refresh_is_a_put_with_the_addresses)
{
    struct client client;
    struct server *server;
    struct session_provider_settings settings = client_settings();
    const char *request;

    client_open(&client);
    server = server_new(client.base, "127.0.0.1", CLIENT_PORT, &done);
    client_provider(&client, &settings);
    refresh(&client, "1=127.0.0.1", "86dccf70-f0c8/../x y%");
    request = server_request(server);
    cr_expect_eq(client.error, 0, "%s", client.message);
    cr_expect(
        strstr(request, "PUT /api/v2/zbs_session/session/86dccf70-f0c8%2F%2E%2E%2Fx%20y%25 HTTP/1.1\r\n") ==
            request,
        "%s", request);
    cr_expect(strstr(request, "\r\nContent-Type: application/json\r\n"), "%s", request);
    cr_expect(strstr(request, "\r\n\r\n{\"local_clients_ips\":\"192.168.33.1,10.10.85.11\"}"), "%s", request);
    cr_expect_null(strstr(request, "Expect:"));
    server_free(server);
    client_close(&client);
}

Test(rest, refresh_failures)
{
    static const struct {
        const char *title;
        const struct server_answer *first, *second; /* NULL: refuses */
        int error;
        uint64_t timeout_ns, hedge_ns; /* 0: never */
    } rows[] = {
        {"gone", &gone, NULL, -ENOENT, 0, 0},
        {"gone says more than silence", &gone, &hangs, -ENOENT, 2 * NS_PER_S, 0},
        {"gone here, fine there", &gone, &done, 0, 0, 0},
        {"a proxy's 502 and nobody else", &broken, NULL, -ECONNREFUSED, 0, 0},
        {"502 twice", &broken, &broken, -EREMOTEIO, 0, 0},
        {"a page with 200 is no success", &page, NULL, -ECONNREFUSED, 0, 0},
        {"an error answer with 200", &denied, &denied, -EREMOTEIO, 0, 0},
        {"hangs, then fine", &hangs, &done, 0, 0, HEDGE_NS},
    };
    struct client client;

    client_open(&client);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct server *first = server_new(client.base, "127.0.0.1", CLIENT_PORT, rows[i].first);
        struct server *second =
            rows[i].second ? server_new(client.base, "127.0.0.2", CLIENT_PORT, rows[i].second) : NULL;
        struct session_provider_settings settings = client_settings();

        if (rows[i].timeout_ns)
            settings.timeout_ns = rows[i].timeout_ns;
        if (rows[i].hedge_ns)
            settings.hedge_ns = rows[i].hedge_ns;
        client_provider(&client, &settings);
        refresh(&client, "1=127.0.0.1 2=127.0.0.2", "u");
        cr_expect_eq(client.error, rows[i].error, "%s: %d, %s", rows[i].title, client.error, client.message);
        server_free(first);
        server_free(second);
    }
    client_close(&client);
}

Test(rest, refresh_can_be_cancelled)
{
    struct client client;
    struct server *server;
    struct session_endpoint endpoint[1];
    struct session_provider_settings settings = client_settings();

    settings.timeout_ns = SHORT_NS;
    client_open(&client);
    server = server_new(client.base, "127.0.0.1", CLIENT_PORT, &hangs);
    client_provider(&client, &settings);
    session_provider_cancel_refresh(client.provider); /* none: fine */
    endpoints_make("1=127.0.0.1", endpoint, 1);
    cr_assert_eq(
        session_provider_refresh(client.provider, endpoint, 1, "u", "10.0.0.1", client_answered, &client), 0);
    client_idle(&client, 50 * NS_PER_MS);
    session_provider_cancel_refresh(client.provider);
    client_idle(&client, 2 * settings.timeout_ns);
    cr_expect_eq(client.answers, 0);
    cr_expect_eq(server_open(server), 0);
    server_free(server);
    client_close(&client);
}

Test(rest, heartbeat_is_a_post)
{
    struct client client;
    struct server *server;
    struct session_endpoint endpoint[1];
    struct session_provider_settings settings = client_settings();

    client_open(&client);
    server = server_new(client.base, "127.0.0.1", CLIENT_PORT, &done);
    endpoints_make("1=127.0.0.1", endpoint, 1);
    client_provider(&client, &settings);
    cr_expect_eq(session_provider_heartbeat(client.provider, endpoint, "{}", client_answered, &client),
                 -ENOTSUP, "no path configured");
    settings.heartbeat_path = "/api/v2/reroute/heartbeat";
    client_provider(&client, &settings);
    cr_assert_eq(
        session_provider_heartbeat(client.provider, endpoint, "{\"host\":\"h\"}", client_answered, &client),
        0);
    client_wait(&client, 1);
    cr_expect_eq(client.error, 0, "%s", client.message);
    cr_expect(strstr(server_request(server), "POST /api/v2/reroute/heartbeat HTTP/1.1\r\n"));
    cr_expect(strstr(server_request(server), "\r\n\r\n{\"host\":\"h\"}"));
    server_free(server);
    client_close(&client);
}

Test(rest, ipv6_with_and_without_scope)
{
    struct client client;
    struct server *server;
    struct session_provider_settings settings = client_settings();

    client_open(&client);
    client_provider(&client, &settings);
    netns_must(NETNS_HERE,
               "ip link add name a0 type veth peer name a1 && ip link set a0 up && ip link set a1 up "
               "&& ip address add fe80::77/64 dev a0 nodad");
    netns_await_address(NETNS_HERE, "fe80::77");
    server = server_new(client.base, "::1", CLIENT_PORT, &list_a);
    client_list(&client, "1=::1");
    cr_expect_eq(client.error, 0, "%s", client.message);
    cr_expect(strstr(server_request(server), "\r\nHost: [::1]:8080\r\n"), "%s", server_request(server));
    server_free(server);
    server = server_new(client.base, "fe80::77%a0", CLIENT_PORT, &list_a);
    client_list(&client, "1=fe80::77%a0");
    cr_expect_eq(client.error, 0, "%s", client.message);
    server_free(server);
    client_close(&client);
}

/* --- the token ----------------------------------------------------------------------------------------- */

static void file_make(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "we");

    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0 && chmod(path, mode) == 0);
}

Test(rest, token_is_shown_and_read_again)
{
    struct client client;
    struct server *server;
    static const char path[] = "/tmp/token";
    struct session_provider_settings settings = client_settings();

    client_open(&client);
    server = server_new(client.base, "127.0.0.1", CLIENT_PORT, &list_a);
    settings.token_file = path;
    file_make(path, "first\n", 0600);
    client_provider(&client, &settings);
    client_list(&client, "1=127.0.0.1");
    cr_expect(strstr(server_request(server), "\r\nx-smartx-token: first\r\n"), "%s", server_request(server));
    file_make(path, "second", 0400);
    settings.token_header = "Authorization";
    client_provider(&client, &settings);
    client_list(&client, "1=127.0.0.1");
    cr_expect(strstr(server_request(server), "\r\nAuthorization: Bearer second\r\n"), "%s",
              server_request(server));
    server_free(server);
    client_close(&client);
}

Test(rest, settings_that_cannot_work)
{
    static const struct {
        const char *title, *token, *want;
        mode_t mode;
        int error;
        struct session_provider_settings settings;
    } rows[] = {
        {"others may read the token", "t", "chmod 600", 0640, -EINVAL, {0}},
        {"two lines", "a\nX: y", "one line", 0600, -EINVAL, {0}},
        {"no token in it", " \n", "one line", 0600, -EINVAL, {0}},
        {"no such token file", NULL, "No such file", 0, -ENOENT, {.token_file = "/nonexistent"}},
        {"a directory", NULL, "not a regular file", 0, -EINVAL, {.token_file = "/tmp"}},
        {"it cannot be read",
         NULL,
         "/proc/self/mem: Input/output error",
         0,
         -EIO,
         {.token_file = "/proc/self/mem"}},
        {"a header that is none", "t", "not the name of a header", 0600, -EINVAL, {.token_header = "a: b"}},
        {"a relative path", NULL, "heartbeat-path", 0, -EINVAL, {.heartbeat_path = "x"}},
        {"no CA file", NULL, "ca-file", 0, -EINVAL, {.ca_file = "/nonexistent"}},
        {"an unknown kind", NULL, "expected rest, file or none", 0, -EINVAL, {.kind = "nfs"}},
    };
    static const char path[] = "/tmp/token";
    struct client client;

    client_open(&client);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct session_provider_settings settings = rows[i].settings;
        char message[256] = "";
        int r;

        settings.kind = settings.kind ? settings.kind : "rest";
        settings.port = CLIENT_PORT;
        settings.timeout_ns = NS_PER_S;
        if (rows[i].token) {
            file_make(path, rows[i].token, rows[i].mode);
            settings.token_file = path;
        }
        r = session_provider_new(&client.provider, client.base, &settings, message, sizeof(message));
        cr_expect_eq(r, rows[i].error, "%s: %d", rows[i].title, r);
        cr_expect(strstr(message, rows[i].want), "%s: %s", rows[i].title, message);
    }
    client_close(&client);
}

Test(rest, calls_that_cannot_work)
{
    struct client client;
    struct session_endpoint nowhere = {.access = 1};
    struct session_provider_settings settings = client_settings();

    client_open(&client);
    client_provider(&client, &settings);
    cr_expect_eq(session_provider_list(client.provider, &nowhere, 0, client_answered, &client), -EINVAL);
    cr_expect_eq(session_provider_list(client.provider, &nowhere, 1, client_answered, &client), -EINVAL);
    settings.kind = "none";
    client_provider(&client, &settings);
    cr_expect_eq(session_provider_list(client.provider, &nowhere, 1, client_answered, &client), -ENOTSUP);
    cr_expect_eq(session_provider_refresh(client.provider, &nowhere, 1, "u", "", client_answered, &client),
                 -ENOTSUP);
    session_provider_cancel_refresh(client.provider);
    client_idle(&client, 10 * NS_PER_MS);
    cr_expect_eq(client.answers, 0);
    client_close(&client);
}
