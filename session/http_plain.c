/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In place of http.c where there is no libcurl, in a static program for instance: HTTP without TLS by libevent's
 * buffered sockets. The same promises: one thread, the loop's; nothing blocks; head and body are bounded while
 * they arrive; redirects are not followed; every request has a connection of its own.
 *
 * libevent has an HTTP client too. It tells neither why a connection failed nor a reset from a cut, and it frees
 * the request before it says so: three errors that struct session_answer keeps apart would be one.
 */
#include "session/http.h"

#include "session/http_answer.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/queue.h>

struct http_client {
    struct event_base *base;
    LIST_HEAD(, http_request) requests;
    struct http_settings settings;
    char *header;
};

struct http_request {
    LIST_ENTRY(http_request) link;
    struct http_client *client;
    struct bufferevent *connection;
    struct event *timer;
    uint64_t started_ns;
    int refused; /* a negative errno: the connection could not even be begun; told from the loop */
    bool is_connected;
    struct http_answer answer;
    http_done_fn *done;
    void *context;
};

bool http_has_tls(void)
{
    return false;
}

static struct http_request *request_free(struct http_request *request)
{
    LIST_REMOVE(request, link);
    if (request->connection)
        bufferevent_free(request->connection);
    if (request->timer)
        event_free(request->timer);
    http_answer_clear(&request->answer);
    free(request);
    return NULL;
}

/* The owner may start and cancel others meanwhile. */
static void request_finish(struct http_request *request, int error, const char *message)
{
    struct http_result result = {
        .error = error,
        .message = message,
        .status = request->answer.status,
        .body = request->answer.body ? request->answer.body : "",
        .body_bytes = request->answer.body_bytes,
    };

    bufferevent_disable(request->connection, EV_READ | EV_WRITE);
    event_del(request->timer);
    request->done(request->context, &result);
    request_free(request);
}

/* With what the parser says: more than 0 is the end. */
static void request_judge(struct http_request *request, int r)
{
    switch (r) {
    case 0:
        return;
    case 1:
        return request_finish(request, 0, NULL);
    case -EMSGSIZE:
        return request_finish(request, r, "the answer is too long");
    case -ECONNRESET:
        return request_finish(request, r, "it closed the connection without an answer");
    case -EBADMSG:
        return request_finish(request, r, "the answer is no HTTP, or cut off");
    default:
        return request_finish(request, r, strerror(-r));
    }
}

/* --- what happens --------------------------------------------------------------------------------------- */

static void on_bytes(struct bufferevent *connection, void *context)
{
    struct http_request *request = context;
    struct evbuffer *input = bufferevent_get_input(connection);
    char bytes[4096];
    int got, r = 0;

    while (r == 0 && (got = evbuffer_remove(input, bytes, sizeof(bytes))) > 0)
        r = http_answer_take(&request->answer, bytes, (size_t)got);
    request_judge(request, r);
}

static struct timeval to_timeval(uint64_t ns)
{
    ns = max_u64(ns, NS_PER_US);
    return (struct timeval){.tv_sec = (time_t)(ns / NS_PER_S),
                            .tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US)};
}

/* Connecting may take half of the time; the answer has all that is left. */
static void take_connected(struct http_request *request)
{
    uint64_t passed_ns = clock_now_ns(CLOCK_MONOTONIC) - request->started_ns;
    struct timeval rest = to_timeval(sub_sat_u64(request->client->settings.timeout_ns, passed_ns));

    request->is_connected = true;
    event_add(request->timer, &rest);
    bufferevent_enable(request->connection, EV_READ);
}

static void on_end(struct bufferevent *connection, short what, void *context)
{
    struct http_request *request = context;
    int error = EVUTIL_SOCKET_ERROR();

    if (what & BEV_EVENT_CONNECTED)
        return take_connected(request);
    if (what & BEV_EVENT_EOF)
        return request_judge(request, http_answer_end(&request->answer));
    error = error > 0 ? -error : -ECONNRESET;
    /* A connection that stood was broken, however the kernel calls it. */
    request_finish(request, request->is_connected ? -ECONNRESET : error, strerror(-error));
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct http_request *request = context;

    if (request->refused < 0)
        return request_finish(request, request->refused, strerror(-request->refused));
    request_finish(request, -ETIMEDOUT,
                   request->is_connected ? "no answer in time" : "no connection in time");
}

/* --- requests ------------------------------------------------------------------------------------------- */

/* 0 or -1. */
static int put_request(struct evbuffer *out, const struct http_client *client,
                       const struct http_target *target)
{
    struct address bare = target->address;
    int r;

    bare.scope = 0; /* means nothing to the other end */
    bare.zone[0] = '\0';
    r = evbuffer_add_printf(out,
                            bare.family == AF_INET6 ? "%s %s HTTP/1.1\r\nHost: [%s]:%u\r\n"
                                                    : "%s %s HTTP/1.1\r\nHost: %s:%u\r\n",
                            target->method, target->path, ADDRESS_TEXT(&bare), target->port);
    if (r >= 0)
        r = evbuffer_add_printf(out,
                                "User-Agent: reroute\r\nAccept: application/json\r\nConnection: close\r\n");
    if (r >= 0 && client->header)
        r = evbuffer_add_printf(out, "%s\r\n", client->header);
    if (r >= 0 && target->body)
        r = evbuffer_add_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                                strlen(target->body));
    if (r >= 0)
        r = evbuffer_add_printf(out, "\r\n%s", target->body ? target->body : "");
    return r < 0 ? -1 : 0;
}

/* An error of the connection comes by on_end(); one of its beginning by on_timer(), never from here. */
static int request_connect(struct http_request *request, const struct http_target *target)
{
    struct sockaddr_storage name;
    socklen_t length = address_to_sockaddr(&target->address, target->port, &name);
    struct timeval half = to_timeval(request->client->settings.timeout_ns / 2);

    request->connection =
        bufferevent_socket_new(request->client->base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    request->timer = event_new(request->client->base, -1, 0, on_timer, request);
    if (!request->connection || !request->timer || event_add(request->timer, &half) < 0 ||
        put_request(bufferevent_get_output(request->connection), request->client, target) < 0)
        return -ENOMEM;
    bufferevent_setcb(request->connection, on_bytes, NULL, on_end, request);
    errno = 0;
    if (bufferevent_socket_connect(request->connection, (struct sockaddr *)&name, (int)length) < 0) {
        request->refused = errno ? -errno : -EIO;
        event_active(request->timer, EV_TIMEOUT, 0);
    }
    return 0;
}

int http_request_start(struct http_request **out, struct http_client *client,
                       const struct http_target *target, http_done_fn *done, void *context)
{
    struct http_request *request = calloc(1, sizeof(*request));
    int r;

    if (!request)
        return -ENOMEM;
    request->client = client;
    request->done = done;
    request->context = context;
    request->started_ns = clock_now_ns(CLOCK_MONOTONIC);
    request->answer.body_limit_bytes = client->settings.body_limit_bytes;
    LIST_INSERT_HEAD(&client->requests, request, link);
    r = request_connect(request, target);
    if (r < 0) {
        request_free(request);
        return r;
    }
    *out = request;
    return 0;
}

struct http_request *http_request_cancel(struct http_request *request)
{
    return request ? request_free(request) : NULL;
}

/* --- the client ----------------------------------------------------------------------------------------- */

struct http_client *http_client_free(struct http_client *client)
{
    if (!client)
        return NULL;
    while (!LIST_EMPTY(&client->requests))
        request_free(LIST_FIRST(&client->requests));
    free(client->header);
    free(client);
    return NULL;
}

int http_client_new(struct http_client **out, struct event_base *base, const struct http_settings *settings,
                    char *message, size_t size_bytes)
{
    CLEANUP(http_client_free) struct http_client *client = calloc(1, sizeof(*client));

    snprintf(message, size_bytes, "out of memory");
    if (!client)
        return -ENOMEM;
    /* libevent writes without MSG_NOSIGNAL: to a connection that was reset that would end the process. */
    signal(SIGPIPE, SIG_IGN);
    LIST_INIT(&client->requests);
    client->base = base;
    client->settings = *settings;
    if (settings->header && *settings->header) {
        client->header = strdup(settings->header);
        if (!client->header)
            return -ENOMEM;
    }
    *out = TAKE(client);
    return 0;
}
