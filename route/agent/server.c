/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: one request a connection, and a bound on everything that somebody else chooses.
 *
 *   connections    So many in all, so many of one peer. One more takes the place of the oldest (of that peer,
 *                  or of all). Who asks is answered at once, so the oldest is one that is idle.
 *   time           From accept() to the end of the answer, however it is spent.
 *   size           See request.h.
 *   rate           So many are accepted at once. Then the listening socket rests for four times as long as
 *                  their answers took, REST_MAX_NS at most. So a flood of connections gets its answers late,
 *                  and a person who comes after it does not. Who asks in a loop, and waits for each answer,
 *                  is not slowed by this: he gets what the agent leaves (see priority).
 *   descriptors    The last ones of the process are kept for sockets that a switch needs. When there are none
 *                  at all the listening socket rests, for accept() would fail again at once.
 *
 * Libevent's own server (2.1) cannot do that: it does not count its connections, does not say when one has
 * ended, goes on calling accept() when that fails, and gives a slow client a new span with each byte.
 */
#include "route/agent/server.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <sys/queue.h>
#include <sys/resource.h>

#include "route/log.h"

#define CONNECTION_NS    (5 * NS_PER_S)
#define ACCEPT_AT_ONCE   32
#define REST_NS          (10 * NS_PER_MS)
#define REST_PER_WORK    4
#define REST_MAX_NS      (500 * NS_PER_MS)
#define STARVED_NS       (500 * NS_PER_MS)
#define DESCRIPTORS_LEFT 24

struct client {
    TAILQ_ENTRY(client) link;
    struct server *server;
    int fd;
    struct address peer; /* family AF_UNIX: bytes hold the user id */
    uint64_t until_ns;
    struct event *event;
    struct evbuffer *answer; /* NULL: the request has not come yet */
    bool refused; /* what the client still sends is read and thrown away, so that it gets our answer */
    size_t size_bytes;
    char text[REQUEST_MAX_BYTES + 1]; /* a zero at the end: cJSON before 1.7.18 looks one byte further */
};

struct server {
    struct server_settings settings;
    struct event_base *base;
    int fd;
    struct event *acceptable, *rest;
    bool starved;                        /* the log has been told */
    uint64_t work_ns;                    /* on answers, since it rested or nobody waited */
    TAILQ_HEAD(clients, client) clients; /* oldest first */
};

/* --- a connection --- */

static void client_close(struct client *client)
{
    TAILQ_REMOVE(&client->server->clients, client, link);
    if (client->event)
        event_free(client->event);
    if (client->answer)
        evbuffer_free(client->answer);
    close_fd(client->fd);
    free(client);
}

static const char *phrase(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    default:
        return status < 500 ? "Bad Request" : "Internal Server Error";
    }
}

/* The answer as it goes out. Returns -ENOMEM without one. */
static int make_answer(struct client *client, int status, const struct http_request *request)
{
    const struct server_settings *settings = &client->server->settings;
    const char *type = "text/plain";
    struct evbuffer *body = evbuffer_new();

    client->answer = evbuffer_new();
    if (!body || !client->answer) {
        if (body)
            evbuffer_free(body);
        return -ENOMEM;
    }
    if (request) {
        uint64_t begun_ns = clock_now_ns(CLOCK_MONOTONIC);

        status = settings->answer(settings->context, request, &type, body);
        client->server->work_ns += clock_now_ns(CLOCK_MONOTONIC) - begun_ns;
    }
    client->refused = !request;
    if (evbuffer_get_length(body) == 0)
        evbuffer_add_printf(body, "%d %s\n", status, phrase(status));
    evbuffer_add_printf(
        client->answer,
        "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
        phrase(status), type, evbuffer_get_length(body));
    evbuffer_add_buffer(client->answer, body);
    evbuffer_free(body);
    return 0;
}

/* 0: there is more to do when the socket is ready; negative: the connection is over. */
static int client_write(struct client *client)
{
    while (evbuffer_get_length(client->answer))
        if (evbuffer_write(client->answer, client->fd) < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (!client->refused)
        return -ECONNRESET;
    return shutdown(client->fd, SHUT_WR) < 0 ? -errno : 0;
}

static int client_read(struct client *client)
{
    struct http_request request;
    ssize_t n;
    int status;

    if (client->answer) /* refused: the answer is out */
        client->size_bytes = 0;
    n = read(client->fd, client->text + client->size_bytes, sizeof(client->text) - 1 - client->size_bytes);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -ECONNRESET;
    if (client->answer)
        return 0;
    client->size_bytes += (size_t)n;
    status = http_request_parse(&request, client->text, client->size_bytes);
    if (status == -EAGAIN)
        return 0;
    if (make_answer(client, status, status ? NULL : &request) < 0)
        return -ENOMEM;
    return client_write(client);
}

static void client_wait(struct client *client);

static void on_client(evutil_socket_t fd, short what, void *context)
{
    struct client *client = context;
    int error = what & EV_TIMEOUT ? -ETIMEDOUT : what & EV_WRITE ? client_write(client) : client_read(client);

    if (error < 0)
        client_close(client);
    else
        client_wait(client);
}

/* Waits for the socket, until the connection's time is over. */
static void client_wait(struct client *client)
{
    uint64_t left_us = sub_sat_u64(client->until_ns, clock_now_ns(CLOCK_MONOTONIC)) / NS_PER_US;
    struct timeval wait = {.tv_sec = (time_t)(left_us / 1000000),
                           .tv_usec = (suseconds_t)(left_us % 1000000)};
    bool writing = client->answer && evbuffer_get_length(client->answer);

    event_del(client->event);
    if (event_assign(client->event, client->server->base, client->fd, writing ? EV_WRITE : EV_READ, on_client,
                     client) < 0 ||
        event_priority_set(client->event, client->server->settings.priority) < 0 ||
        event_add(client->event, &wait) < 0)
        client_close(client);
}

/* --- accepting --- */

/* Who is to be counted together. Of a user nothing else is known, of IPv6 a /64 is what one host can have. */
static struct address peer_of(int fd)
{
    struct sockaddr_storage sa = {0};
    socklen_t length = sizeof(sa);
    struct ucred user = {0};
    struct address peer = {0};

    if (getpeername(fd, (struct sockaddr *)&sa, &length) < 0)
        return peer;
    if (sa.ss_family == AF_UNIX) {
        length = sizeof(user);
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &length);
        peer.family = AF_UNIX;
        memcpy(peer.bytes, &user.uid, sizeof(user.uid));
        return peer;
    }
    peer = address_from_sockaddr((const struct sockaddr *)&sa);
    if (peer.family == AF_INET6)
        memset(peer.bytes + 8, 0, 8);
    return peer;
}

/* The oldest connection of a peer, of all with NULL; and how many it has. */
static struct client *oldest(const struct server *server, const struct address *peer, unsigned *count)
{
    struct client *first = NULL, *client;

    *count = 0;
    TAILQ_FOREACH(client, &server->clients, link)
    {
        if (peer && !address_equal(&client->peer, peer))
            continue;
        if (!first)
            first = client;
        ++*count;
    }
    return first;
}

/* Is this one of the last descriptors? The kernel always gives the lowest. */
static bool is_scarce(int fd)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)fd + DESCRIPTORS_LEFT >= limit.rlim_cur;
}

/* Gives the place of an old connection away where there are too many. False: there is no place. */
static bool make_room(const struct server *server, int fd, const struct address *peer)
{
    unsigned of_peer, all;
    struct client *old = oldest(server, peer, &of_peer), *first = oldest(server, NULL, &all);

    if (of_peer >= server->settings.per_peer_max)
        client_close(old);
    else if (all >= server->settings.connections_max)
        client_close(first);
    else if (is_scarce(fd) && first)
        client_close(first);
    else
        return !is_scarce(fd);
    return true;
}

static void client_new(struct server *server, int fd)
{
    struct address peer = peer_of(fd);
    struct client *client = make_room(server, fd, &peer) ? calloc(1, sizeof(*client)) : NULL;

    if (!client) {
        close(fd);
        return;
    }
    client->server = server;
    client->fd = fd;
    client->peer = peer;
    client->until_ns = clock_now_ns(CLOCK_MONOTONIC) + CONNECTION_NS;
    client->event = event_new(server->base, fd, EV_READ, on_client, client);
    TAILQ_INSERT_TAIL(&server->clients, client, link);
    if (client->event)
        client_wait(client);
    else
        client_close(client);
}

static void rest(struct server *server, uint64_t length_ns)
{
    struct timeval wait = {.tv_sec = (time_t)(length_ns / NS_PER_S),
                           .tv_usec = (suseconds_t)(length_ns % NS_PER_S / NS_PER_US)};

    event_del(server->acceptable);
    event_add(server->rest, &wait);
}

static void on_rested(evutil_socket_t fd, short what, void *context)
{
    struct server *server = context;

    event_add(server->acceptable, NULL);
}

static void note_starved(struct server *server, int error)
{
    if (!server->starved)
        log_event(LOG_LEVEL_WARN, "accept-paused", "socket=%s error=%s", server->settings.name,
                  LOG_QUOTE(strerror(error)));
    server->starved = true;
    rest(server, STARVED_NS);
}

static void on_acceptable(evutil_socket_t listening, short what, void *context)
{
    struct server *server = context;

    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0 && errno == EAGAIN) {
            server->work_ns = 0;
            return;
        }
        if (fd < 0) {
            note_starved(server, errno);
            return;
        }
        server->starved = false;
        client_new(server, fd);
    }
    rest(server, min_u64(REST_NS + REST_PER_WORK * server->work_ns, REST_MAX_NS));
    server->work_ns = 0;
}

/* --- the server --- */

int server_new(struct server **out, struct event_base *base, int listening_fd,
               const struct server_settings *settings)
{
    struct server *server = calloc(1, sizeof(*server));

    *out = NULL;
    if (!server) {
        close(listening_fd);
        return -ENOMEM;
    }
    server->settings = *settings;
    server->base = base;
    server->fd = listening_fd;
    TAILQ_INIT(&server->clients);
    server->acceptable = event_new(base, listening_fd, EV_READ | EV_PERSIST, on_acceptable, server);
    server->rest = evtimer_new(base, on_rested, server);
    if (!server->acceptable || !server->rest ||
        event_priority_set(server->acceptable, settings->priority) < 0 ||
        event_add(server->acceptable, NULL) < 0) {
        server_free(server);
        return -ENOMEM;
    }
    *out = server;
    return 0;
}

struct server *server_free(struct server *server)
{
    if (!server)
        return NULL;
    while (!TAILQ_EMPTY(&server->clients))
        client_close(TAILQ_FIRST(&server->clients));
    if (server->acceptable)
        event_free(server->acceptable);
    if (server->rest)
        event_free(server->rest);
    close_fd(server->fd);
    free(server);
    return NULL;
}
