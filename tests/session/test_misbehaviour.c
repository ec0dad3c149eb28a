/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves that whatever a session service does wrong ends in an error of the right kind within the timeout,
 * does not stop the loop, and leaks nothing: neither memory nor descriptors, over hundreds of polls. Each row
 * is a server that really does it over TCP; what session-service.md says of servers in the field is all here.
 */
#include "tests/session/client.h"
#include "tests/session/server.h"

#include <criterion/criterion.h>
#include <malloc.h>

#define OK     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define LIST   "[{\"uuid\":\"a\",\"ip\":\"10.0.0.1\"}]"                            /* 30 bytes */
#define FILLER "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n" /* 64 bytes */

static const struct {
    const char *title;
    struct server_answer answer;
    int error;
    const char *message; /* part of it; NULL: any */
} rows[] = {
    {"hangs after accept", {.end = SERVER_HANG}, -ETIMEDOUT, "127.0.0.1"},
    {"hangs after a part of the head",
     {.head = "HTTP/1.1 200 OK\r\nContent-", .end = SERVER_HANG},
     -ETIMEDOUT,
     NULL},
    {"hangs after the head", {.head = OK "Content-Length: 30\r\n\r\n", .end = SERVER_HANG}, -ETIMEDOUT, NULL},
    {"hangs in the body",
     {.head = OK "Content-Length: 30\r\n\r\n[{\"uuid\"", .end = SERVER_HANG},
     -ETIMEDOUT,
     NULL},
    {"closes without a word", {0}, -ECONNRESET, NULL},
    {"resets at once", {.at_once = true, .end = SERVER_RESET}, -ECONNRESET, NULL},
    {"resets in the body",
     {.head = OK "Content-Length: 30\r\n\r\n[{\"uuid\"", .end = SERVER_RESET},
     -ECONNRESET,
     NULL},
    {"half a body", {.head = OK "Content-Length: 30\r\n\r\n[{\"uuid\""}, -EBADMSG, NULL},
    {"half a body without a length", {.head = OK "\r\n[{\"uuid\""}, -EBADMSG, "cut off"},
    {"half a chunked body",
     {.head = OK "Transfer-Encoding: chunked\r\n\r\n1e\r\n[{\"uuid\""},
     -EBADMSG,
     NULL},
    {"a page with 200",
     {.head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><h1>It works!</h1></html>"},
     -EBADMSG,
     "not JSON"},
    {"a proxy's 502", {.head = "HTTP/1.1 502 Bad Gateway\r\n\r\n<html>502</html>"}, -EREMOTEIO, "HTTP 502"},
    {"503 with words",
     {.head = "HTTP/1.1 503 X\r\n\r\n{\"ec\":\"EBUSY\",\"error\":{\"msg\":\"leader election\"}}"},
     -EREMOTEIO,
     "leader election"},
    {"404: no such service", {.head = "HTTP/1.1 404 Not Found\r\n\r\n"}, -EREMOTEIO, "HTTP 404"},
    {"a redirect is not followed",
     {.head = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:8080/\r\n\r\n"},
     -EREMOTEIO,
     "HTTP 302"},
    {"ec is not EOK",
     {.head = OK "\r\n{\"ec\":\"ENOLEADER\",\"error\":{\"msg\":\"no leader\"},\"data\":[]}"},
     -EREMOTEIO,
     "no leader"},
    {"garbage", {.head = "\x16\x03\x01\x02garbage\r\n\r\n"}, -EBADMSG, NULL},
    {"garbage at once", {.head = "220 smtp.example ESMTP\r\n", .at_once = true}, -EBADMSG, NULL},
    {"garbage in the body", {.head = OK "Content-Length: 4\r\n\r\n\x01\x02\x03\x04"}, -EBADMSG, "not JSON"},
    {"no body", {.head = OK "Content-Length: 0\r\n\r\n"}, -EBADMSG, NULL},
    {"an empty list", {.head = OK "\r\n{\"ec\":\"EOK\",\"data\":[]}"}, 0, NULL},
    {"40 MiB, announced",
     {.head = OK "Content-Length: 41943040\r\n\r\n", .unit = FILLER, .repeat = 640 * 1024},
     -EMSGSIZE,
     NULL},
    {"40 MiB, not announced",
     {.head = OK "\r\n", .unit = FILLER, .repeat = 640 * 1024},
     -EMSGSIZE,
     "too long"},
    {"a head without end",
     {.head = "HTTP/1.1 200 OK\r\n", .unit = "X-Filler: 0123456789\r\n", .repeat = 1 << 20},
     -EMSGSIZE,
     "too long"},
    {"interim answers without end",
     {.unit = "HTTP/1.1 100 Continue\r\n\r\n", .repeat = 1 << 20},
     -EMSGSIZE,
     NULL},
    {"brackets without end", {.head = OK "\r\n", .unit = "[", .repeat = 100000}, -EBADMSG, NULL},
    {"values without end", {.head = OK "\r\n[0", .unit = ",0", .repeat = 1 << 20}, -EBADMSG, "values"},
    {"one byte now and then",
     {.head = OK "Content-Length: 30\r\n\r\n" LIST, .drip_ns = 50 * NS_PER_MS},
     -ETIMEDOUT,
     NULL},
    {"too slow by half",
     {.head = OK "Content-Length: 30\r\n\r\n" LIST, .drip_ns = 10 * NS_PER_MS},
     -ETIMEDOUT,
     NULL},
};

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    (*(unsigned *)context)++;
}

Test(misbehaviour, every_kind)
{
    struct session_provider_settings settings = client_settings();
    struct client client;
    struct event *ticker;
    unsigned ticks = 0;

    client_open(&client);
    ticker = event_new(client.base, -1, EV_PERSIST, on_tick, &ticks);
    event_add(ticker, &(struct timeval){.tv_usec = 1000});
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct server *server = server_new(client.base, "127.0.0.1", CLIENT_PORT, &rows[i].answer);

        /* Who is not to time out must not do so on a busy machine either. */
        settings.timeout_ns = (rows[i].error == -ETIMEDOUT ? 400 : 10000) * NS_PER_MS;
        client_provider(&client, &settings);
        ticks = 0;
        client_list(&client, "1=127.0.0.1");
        cr_expect_eq(client.error, rows[i].error, "%s: %d, \"%s\"", rows[i].title, client.error,
                     client.message);
        cr_expect(!rows[i].message || strstr(client.message, rows[i].message), "%s: \"%s\"", rows[i].title,
                  client.message);
        cr_expect_null(strpbrk(client.message, "\r\n"), "%s: more than a line", rows[i].title);
        cr_expect_eq(client.count, rows[i].error ? SIZE_MAX : 0, "%s", rows[i].title);
        if (rows[i].error == -ETIMEDOUT) {
            cr_expect_geq(client.took_ns, settings.timeout_ns - 5 * NS_PER_MS, "%s", rows[i].title);
            cr_expect_geq(ticks, 20, "%s: the loop stood still", rows[i].title);
        }
        server_free(server);
    }
    event_free(ticker);
    client_close(&client);
}

Test(misbehaviour, connecting_hangs)
{
    struct session_provider_settings settings = client_settings();
    struct client client;
    struct server *second;
    int fds[SERVER_FULL_FDS];

    settings.timeout_ns = 2 * NS_PER_S;
    settings.hedge_ns = 100 * NS_PER_MS;
    client_open(&client);
    client_provider(&client, &settings);
    server_full("127.0.0.1", CLIENT_PORT, fds);
    client_list(&client, "1=127.0.0.1");
    cr_expect_eq(client.error, -ETIMEDOUT, "%d, %s", client.error, client.message);
    cr_expect(client.took_ns < settings.timeout_ns, "connecting gets half of the timeout");
    second =
        server_new(client.base, "127.0.0.2", CLIENT_PORT, &(struct server_answer){.head = OK "\r\n" LIST});
    client_list(&client, "1=127.0.0.1 2=127.0.0.2");
    cr_expect_eq(client.error, 0, "%s", client.message);
    cr_expect_eq(client.origin.access, 2);
    for (int i = 0; i < SERVER_FULL_FDS; i++)
        close_fd(fds[i]);
    server_free(second);
    client_close(&client);
}

/* A kept connection to a server that died would cost a timeout. */
Test(misbehaviour, server_that_restarted_is_asked_anew)
{
    static const struct server_answer keeps = {.head = OK "Content-Length: 30\r\n\r\n" LIST,
                                               .end = SERVER_HANG};
    struct session_provider_settings settings = client_settings();
    struct client client;
    struct server *server;

    client_open(&client);
    client_provider(&client, &settings);
    server = server_new(client.base, "127.0.0.1", CLIENT_PORT, &keeps);
    for (int i = 0; i < 3; i++) {
        client_list(&client, "1=127.0.0.1");
        cr_expect_eq(client.error, 0, "%s", client.message);
    }
    cr_expect_eq(server_accepted(server), 3, "a connection was used again");
    server_free(server);
    client_close(&client);
}

Test(misbehaviour, body_limit_is_exact)
{
    struct session_provider_settings settings = client_settings();
    struct client client;
    struct server *server;

    client_open(&client);
    server =
        server_new(client.base, "127.0.0.1", CLIENT_PORT, &(struct server_answer){.head = OK "\r\n" LIST});
    settings.body_limit_bytes = strlen(LIST);
    client_provider(&client, &settings);
    client_list(&client, "1=127.0.0.1");
    cr_expect_eq(client.error, 0, "%s", client.message);
    settings.body_limit_bytes--;
    client_provider(&client, &settings);
    client_list(&client, "1=127.0.0.1");
    cr_expect_eq(client.error, -EMSGSIZE, "%s", client.message);
    server_free(server);
    client_close(&client);
}

static size_t rss_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    size_t pages = 0;

    cr_assert_eq(fscanf(file, "%*u %zu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* All rows but those that wait for the timeout, again and again, then once cancelled half-way. */
static void poll_all(struct client *client, struct server *server)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct session_endpoint endpoint[1];

        endpoints_make("1=127.0.0.1", endpoint, 1);
        server_set(server, &rows[i].answer);
        if (rows[i].error != -ETIMEDOUT)
            client_list(client, "1=127.0.0.1");
        /* Replaced by the next round's: never answered. */
        session_provider_list(client->provider, endpoint, 1, client_answered, client);
        event_base_loop(client->base, EVLOOP_NONBLOCK);
    }
}

Test(misbehaviour, hundreds_of_failed_polls_leak_nothing, .timeout = 120)
{
    struct session_provider_settings settings = client_settings();
    struct client client;
    struct server *server;
    size_t heap_bytes, rss;
    unsigned fds;

    client_open(&client);
    settings.body_limit_bytes = 1 << 20;
    server = server_new(client.base, "127.0.0.1", CLIENT_PORT, &rows[0].answer);
    client_provider(&client, &settings);
    for (int round = 0; round < 3; round++)
        poll_all(&client, server);
    client_list(&client, "1=127.0.0.9");
    client_idle(&client, 50 * NS_PER_MS);
    malloc_trim(0);
    heap_bytes = mallinfo2().uordblks;
    rss = rss_kib();
    fds = open_fds();
    for (int round = 0; round < 12; round++)
        poll_all(&client, server);
    client_list(&client, "1=127.0.0.9");
    client_idle(&client, 50 * NS_PER_MS);
    malloc_trim(0);
    cr_expect_geq(client.answers, 300);
    cr_expect_eq(server_open(server), 0);
    cr_expect_leq(open_fds(), fds);
#ifndef __SANITIZE_ADDRESS__ /* it keeps freed memory, and looks for leaks itself */
    cr_expect_leq(mallinfo2().uordblks, heap_bytes + 64 * 1024);
    cr_expect_leq(rss_kib(), rss + 4096);
#endif
    (void)heap_bytes;
    (void)rss;
    server_free(server);
    client_close(&client);
}
