/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/session/server.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <strings.h>
#include <sys/queue.h>

#define REQUEST_MAX_BYTES 65536

struct connection {
    LIST_ENTRY(connection) link;
    struct server *server;
    struct server_answer answer;
    struct bufferevent *bev;
    struct event *drip;
    size_t head_sent;
    size_t units_sent;
    bool answering;
    unsigned pdus; /* requests of an initiator so far */
};

struct server {
    struct event_base *base;
    struct evconnlistener *listener;
    struct server_answer answer;
    LIST_HEAD(, connection) connections;
    unsigned accepted;
    unsigned open;
    unsigned logins;
    unsigned pings;
    char request[REQUEST_MAX_BYTES + 1];
};

static void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "server: %s: %s\n", what, strerror(errno));
        abort();
    }
}

static void connection_free(struct connection *connection)
{
    LIST_REMOVE(connection, link);
    connection->server->open--;
    if (connection->drip)
        event_free(connection->drip);
    bufferevent_free(connection->bev);
    free(connection);
}

static void connection_end(struct connection *connection)
{
    struct linger reset = {.l_onoff = 1};

    if (connection->answer.end == SERVER_HANG)
        return;
    if (connection->answer.end == SERVER_RESET)
        setsockopt(bufferevent_getfd(connection->bev), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    connection_free(connection);
}

/* Sends what comes next once the last piece is out. */
static void on_sent(struct bufferevent *bev, void *context)
{
    struct connection *connection = context;
    const struct server_answer *answer = &connection->answer;

    if (!connection->answering || connection->drip)
        return;
    if (connection->units_sent == answer->repeat) {
        connection_end(connection);
        return;
    }
    for (int i = 0; i < 1024 && connection->units_sent < answer->repeat; i++, connection->units_sent++)
        bufferevent_write(bev, answer->unit, strlen(answer->unit));
}

static void on_drip(evutil_socket_t fd, short what, void *context)
{
    struct connection *connection = context;
    const char *next = connection->answer.head + connection->head_sent++;

    if (*next) {
        bufferevent_write(connection->bev, next, 1);
        return;
    }
    event_free(connection->drip);
    connection->drip = NULL;
    on_sent(connection->bev, connection);
}

static void connection_answer(struct connection *connection)
{
    const struct server_answer *answer = &connection->answer;
    struct timeval tv = {.tv_sec = (time_t)(answer->drip_ns / NS_PER_S),
                         .tv_usec = (suseconds_t)(answer->drip_ns % NS_PER_S / NS_PER_US)};

    connection->answering = true;
    if (answer->drip_ns) {
        connection->drip = event_new(connection->server->base, -1, EV_PERSIST, on_drip, connection);
        event_add(connection->drip, &tv);
    } else if (answer->head && *answer->head) {
        bufferevent_write(connection->bev, answer->head, strlen(answer->head));
    } else {
        on_sent(connection->bev, connection);
    }
}

/* The whole request is there: its head, and as much body as it announces. */
static bool request_complete(const char *request, size_t size_bytes)
{
    const char *body = strstr(request, "\r\n\r\n");
    const char *length = strcasestr(request, "\r\nContent-Length:");

    if (!body)
        return false;
    return !length || (size_t)(request + size_bytes - (body + 4)) >= strtoul(length + 17, NULL, 10);
}

/* RFC 5531: record mark, xid, REPLY, MSG_ACCEPTED, an empty verifier, SUCCESS. */
static void answer_calls(struct bufferevent *bev)
{
    struct evbuffer *input = bufferevent_get_input(bev);
    uint32_t call[11], reply[7] = {htonl(0x80000018)};

    while (evbuffer_get_length(input) >= sizeof(call)) {
        evbuffer_remove(input, call, sizeof(call));
        reply[1] = call[1];
        reply[2] = htonl(1);
        bufferevent_write(bev, reply, sizeof(reply));
    }
}

/* RFC 7143 section 11: opcode, flags, ISID, task tag come back; the number of this answer. */
static void answer_pdu(struct connection *connection, const uint8_t *request)
{
    const struct server_answer *answer = &connection->answer;
    bool login = (request[0] & 0x3f) == 0x03;
    uint8_t reply[48] = {login ? 0x23 : 0x24, answer->iscsi_status ? 0 : request[1]},
            ping[48] = {0x20, 0x80, [16] = 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 7};

    memcpy(reply + 8, request + 8, 12);
    reply[27] = (uint8_t)connection->pdus;
    ping[27] = (uint8_t)(connection->pdus + 1);
    reply[36] = login ? (uint8_t)(answer->iscsi_status >> 8) : 0;
    reply[37] = login ? (uint8_t)answer->iscsi_status : 0;
    bufferevent_write(connection->bev, reply, sizeof(reply));
    if (answer->iscsi_asks && !login)
        bufferevent_write(connection->bev, ping, sizeof(ping));
    connection->answering = answer->iscsi_status;
}

static void answer_pdus(struct connection *connection)
{
    struct evbuffer *input = bufferevent_get_input(connection->bev);
    uint8_t request[512];
    size_t size;

    while (evbuffer_copyout(input, request, 48) == 48) {
        size = 48 + ((request[7] + 3U) & ~3U);
        if (evbuffer_get_length(input) < size)
            return;
        evbuffer_drain(input, size);
        if (request[0] == 0x40) {
            connection->server->pings++;
            continue;
        }
        if (++connection->pdus == 1)
            connection->server->logins++;
        if (connection->pdus == connection->answer.iscsi_ends) {
            connection_free(connection);
            return;
        }
        if (!connection->answer.iscsi_hangs || connection->pdus < connection->answer.iscsi_hangs)
            answer_pdu(connection, request);
    }
}

static void on_received(struct bufferevent *bev, void *context)
{
    struct connection *connection = context;
    struct evbuffer *input = bufferevent_get_input(bev);
    char *request = connection->server->request;
    ssize_t size_bytes;

    if (connection->answer.rpc) {
        answer_calls(bev);
        connection->answering = connection->answer.rpc_once;
        return;
    }
    if (connection->answer.iscsi) {
        answer_pdus(connection);
        return;
    }
    if (connection->answering)
        return;
    size_bytes = evbuffer_copyout(input, request, REQUEST_MAX_BYTES);
    must(size_bytes >= 0, "request");
    request[size_bytes] = '\0';
    if (request_complete(request, (size_t)size_bytes)) {
        evbuffer_drain(input, (size_t)size_bytes);
        connection_answer(connection);
    }
}

static void on_event(struct bufferevent *bev, short what, void *context)
{
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        connection_free(context);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from, int size,
                      void *context)
{
    struct server *server = context;
    struct connection *connection = calloc(1, sizeof(*connection));

    must(connection, "accept");
    connection->server = server;
    connection->answer = server->answer;
    connection->bev = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
    must(connection->bev, "accept");
    LIST_INSERT_HEAD(&server->connections, connection, link);
    server->accepted++;
    server->open++;
    bufferevent_setcb(connection->bev, on_received, on_sent, on_event, connection);
    bufferevent_enable(connection->bev, EV_READ | EV_WRITE);
    if (connection->answer.at_once)
        connection_answer(connection);
}

struct server *server_new(struct event_base *base, const char *address, uint16_t port,
                          const struct server_answer *answer)
{
    struct server *server = calloc(1, sizeof(*server));
    struct sockaddr_storage to;
    struct address a;
    socklen_t size;

    must(server && address_parse(&a, address) == 0, address);
    size = address_to_sockaddr(&a, port, &to);
    LIST_INIT(&server->connections);
    server->base = base;
    server->answer = *answer;
    server->listener =
        evconnlistener_new_bind(base, on_accept, server, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 64,
                                (struct sockaddr *)&to, (int)size);
    must(server->listener, address);
    return server;
}

struct server *server_free(struct server *server)
{
    if (!server)
        return NULL;
    evconnlistener_free(server->listener);
    while (!LIST_EMPTY(&server->connections))
        connection_free(LIST_FIRST(&server->connections));
    free(server);
    return NULL;
}

void server_set(struct server *server, const struct server_answer *answer)
{
    server->answer = *answer;
}

const char *server_request(const struct server *server)
{
    return server->request;
}

unsigned server_accepted(const struct server *server)
{
    return server->accepted;
}

unsigned server_open(const struct server *server)
{
    return server->open;
}

unsigned server_logins(const struct server *server)
{
    return server->logins;
}

unsigned server_pings(const struct server *server)
{
    return server->pings;
}

void server_full(const char *address, uint16_t port, int fds[static SERVER_FULL_FDS])
{
    struct sockaddr_storage to;
    struct address a;
    socklen_t size;

    must(address_parse(&a, address) == 0, address);
    size = address_to_sockaddr(&a, port, &to);
    for (int i = 0; i < SERVER_FULL_FDS; i++) {
        fds[i] = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        must(fds[i] >= 0, "socket");
        if (i == 0)
            must(bind(fds[0], (struct sockaddr *)&to, size) == 0 && listen(fds[0], 0) == 0, address);
        else
            must(connect(fds[i], (struct sockaddr *)&to, size) == 0 || errno == EINPROGRESS, address);
    }
}
