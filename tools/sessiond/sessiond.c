/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session service of one access in the lab: `tools/lab` starts one in each node.
 *
 * One process, one thread, one libevent loop. This file is the edge: it reads the arguments and owns the
 * sockets (UDP between the members, HTTP, a TCP echo that stands for the storage protocol). What the cluster
 * knows is in cluster.c, what it answers in api.c. Nothing is kept on disk: a restart is a new
 * session, as with the real one.
 */
#include "probe/text.h"
#include "tools/sessiond/api.h"
#include "tools/sessiond/cluster.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>

#define PEER_PORT       10201
#define MESSAGE_MAX     65507 /* the longest UDP payload over IPv4 */
#define MESSAGES_A_TURN 256   /* then the other events get their turn */

struct options {
    struct lab_cluster_settings cluster;
    struct address members[LAB_MEMBERS_MAX + 1]; /* by id */
    uint16_t http_port, echo_port;
};

/* One connection to the echo. */
struct echo_client {
    struct echo_client *next, **link; /* link: the pointer that points here */
    struct bufferevent *bev;
};

struct service {
    struct options options;
    struct event_base *base;
    struct lab_cluster *cluster;
    struct lab_api *api;
    struct echo_client *echo_clients;
    int peer_fd;
};

/* --- between the members ---------------------------------------------------------------------------------*/

static void send_to(struct service *s, unsigned id, const char *text)
{
    struct sockaddr_storage to;
    socklen_t size = address_to_sockaddr(&s->options.members[id], PEER_PORT, &to);

    /* An unreachable peer is what heartbeats are for. */
    (void)!sendto(s->peer_fd, text, strlen(text), MSG_DONTWAIT, (struct sockaddr *)&to, size);
}

static void on_send(void *context, unsigned to, const char *text)
{
    struct service *s = context;

    for (unsigned id = 1; id <= s->options.cluster.members; id++) {
        if (id != s->options.cluster.self.id && (to == 0 || to == id))
            send_to(s, id, text);
    }
}

static void on_peer(evutil_socket_t fd, short what, void *context)
{
    struct service *s = context;
    static char message[MESSAGE_MAX];
    ssize_t size;

    for (int i = 0; i < MESSAGES_A_TURN; i++) {
        size = recv((int)fd, message, sizeof(message), MSG_DONTWAIT);
        if (size < 0)
            break; /* EAGAIN; or ECONNREFUSED of an earlier send, which proves nothing */
        lab_cluster_receive(s->cluster, message, (size_t)size, clock_now_ns(CLOCK_MONOTONIC));
    }
    lab_api_advance(s->api, clock_now_ns(CLOCK_MONOTONIC));
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct service *s = context;
    uint64_t now_ns;

    /* What has arrived is read before anything is judged: this process may not have run for a while. */
    on_peer(s->peer_fd, EV_READ, s);
    now_ns = clock_now_ns(CLOCK_MONOTONIC);
    lab_cluster_tick(s->cluster, now_ns);
    lab_api_advance(s->api, now_ns);
}

static int open_peer_socket(const struct address *self)
{
    struct sockaddr_storage at;
    socklen_t size = address_to_sockaddr(self, PEER_PORT, &at);
    int fd = socket(self->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&at, size) < 0) {
        int r = -errno;

        close(fd);
        return r;
    }
    return fd;
}

/* --- the echo --------------------------------------------------------------------------------------------*/

static void on_echo_read(struct bufferevent *bev, void *context)
{
    bufferevent_write_buffer(bev, bufferevent_get_input(bev));
}

static void echo_client_free(struct echo_client *client)
{
    *client->link = client->next;
    if (client->next)
        client->next->link = client->link;
    bufferevent_free(client->bev);
    free(client);
}

static void on_echo_event(struct bufferevent *bev, short what, void *context)
{
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        echo_client_free(context);
}

static void on_echo_client(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                           int length, void *context)
{
    struct service *s = context;
    struct echo_client *client = calloc(1, sizeof(*client));
    int one = 1;

    if (client)
        client->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!client || !client->bev) {
        free(client);
        evutil_closesocket(fd);
        return;
    }
    client->link = &s->echo_clients;
    client->next = s->echo_clients;
    if (client->next)
        client->next->link = &client->next;
    s->echo_clients = client;
    setsockopt((int)fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    bufferevent_setcb(client->bev, on_echo_read, NULL, on_echo_event, client);
    bufferevent_enable(client->bev, EV_READ | EV_WRITE);
}

static struct evconnlistener *echo_new(struct service *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(s->options.echo_port)};

    return evconnlistener_new_bind(s->base, on_echo_client, s,
                                   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, -1,
                                   (struct sockaddr *)&at, sizeof(at));
}

/* --- start -----------------------------------------------------------------------------------------------*/

static const char usage[] =
    "Usage: lab-sessiond --id N --member ADDRESS [--member ADDRESS...] [OPTION...]\n"
    "The session service of one access in the lab. Members are numbered from 1 in the order given.\n\n"
    "  --id N               which of the members this is\n"
    "  --member ADDRESS     data address of a member\n"
    "  --host-data ADDRESS  data address of the host on which this access runs\n"
    "  --zone NAME          availability zone (default: default)\n"
    "  --machine UUID       machine_uuid in the list\n"
    "  --lease MS           lease of a session (default 7000)\n"
    "  --heartbeat MS       interval of heartbeats between members (default 250)\n"
    "  --http-port PORT     (default 80)\n"
    "  --echo-port PORT     TCP echo (default 2049)\n";

static int bad_usage(const char *what, const char *value)
{
    fprintf(stderr, "lab-sessiond: %s: %s\n%s", what, TEXT(value), usage);
    return -EINVAL;
}

static int parse_number(const char *text, unsigned long max, unsigned long *out)
{
    char *end;

    errno = 0;
    *out = strtoul(text, &end, 10);
    if (errno || end == text || *end || *out == 0 || *out > max)
        return bad_usage("not a number in range", text);
    return 0;
}

static int parse_option(struct options *o, int option, const char *value)
{
    struct lab_identity *self = &o->cluster.self;
    unsigned long number = 0;
    struct address address;

    if (strchr("ilbpe", option) && parse_number(value,
                                                option == 'i'          ? LAB_MEMBERS_MAX
                                                : strchr("pe", option) ? 65535
                                                                       : 3600000,
                                                &number) < 0)
        return -EINVAL;
    if (strchr("md", option) && address_parse(&address, value) < 0)
        return bad_usage("not an address", value);
    switch (option) {
    case 'i':
        self->id = (unsigned)number;
        return 0;
    case 'm':
        if (o->cluster.members == LAB_MEMBERS_MAX)
            return bad_usage("too many members", value);
        o->members[++o->cluster.members] = address;
        return 0;
    case 'd':
        address_format(&address, self->host_data);
        return 0;
    case 'z':
        snprintf(self->zone, sizeof(self->zone), "%s", value);
        return 0;
    case 'u':
        snprintf(self->machine, sizeof(self->machine), "%s", value);
        return 0;
    case 'l':
        o->cluster.lease_ns = number * NS_PER_MS;
        return 0;
    case 'b':
        o->cluster.heartbeat_ns = number * NS_PER_MS;
        return 0;
    case 'p':
        o->http_port = (uint16_t)number;
        return 0;
    case 'e':
        o->echo_port = (uint16_t)number;
        return 0;
    default:
        fputs(usage, stderr);
        return -EINVAL;
    }
}

static int parse_arguments(struct options *o, int argc, char **argv)
{
    static const struct option options[] = {
        {"id", required_argument, NULL, 'i'},        {"member", required_argument, NULL, 'm'},
        {"host-data", required_argument, NULL, 'd'}, {"zone", required_argument, NULL, 'z'},
        {"machine", required_argument, NULL, 'u'},   {"lease", required_argument, NULL, 'l'},
        {"heartbeat", required_argument, NULL, 'b'}, {"http-port", required_argument, NULL, 'p'},
        {"echo-port", required_argument, NULL, 'e'}, {0},
    };
    int option;

    *o = (struct options){.http_port = 80, .echo_port = 2049};
    o->cluster.lease_ns = 7 * NS_PER_S;
    o->cluster.heartbeat_ns = 250 * NS_PER_MS;
    snprintf(o->cluster.self.zone, sizeof(o->cluster.self.zone), "default");
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (parse_option(o, option, optarg) < 0)
            return -EINVAL;
    }
    if (o->cluster.self.id == 0 || o->cluster.self.id > o->cluster.members)
        return bad_usage("--id", "must be the number of a --member");
    address_format(&o->members[o->cluster.self.id], o->cluster.self.ip);
    return 0;
}

static void on_signal(evutil_socket_t fd, short what, void *context)
{
    event_base_loopbreak(context);
}

/* Runs until SIGTERM or SIGINT. */
static int run(struct service *s)
{
    uint64_t tick_us = s->options.cluster.heartbeat_ns / 5 / NS_PER_US;
    struct timeval tick = {.tv_sec = (time_t)(tick_us / 1000000),
                           .tv_usec = (suseconds_t)(tick_us % 1000000)};
    struct evconnlistener *echo = echo_new(s);
    struct event *events[] = {
        event_new(s->base, s->peer_fd, EV_READ | EV_PERSIST, on_peer, s),
        event_new(s->base, -1, EV_PERSIST, on_tick, s),
        evsignal_new(s->base, SIGTERM, on_signal, s->base),
        evsignal_new(s->base, SIGINT, on_signal, s->base),
    };
    int r = echo ? 0 : -EADDRINUSE;

    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        if (!events[i] || event_add(events[i], i == 1 ? &tick : NULL) < 0)
            r = r < 0 ? r : -ENOMEM;
    }
    if (r == 0 && event_base_dispatch(s->base) < 0)
        r = -EIO;
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        if (events[i])
            event_free(events[i]);
    }
    while (s->echo_clients)
        echo_client_free(s->echo_clients);
    if (echo)
        evconnlistener_free(echo);
    return r;
}

int main(int argc, char **argv)
{
    struct service s = {.peer_fd = -1};
    int r;

    if (parse_arguments(&s.options, argc, argv) < 0)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    s.options.cluster.send = on_send;
    s.options.cluster.context = &s;
    s.base = event_base_new();
    r = s.base ? 0 : -ENOMEM;
    if (r == 0)
        r = s.peer_fd = open_peer_socket(&s.options.members[s.options.cluster.self.id]);
    if (r >= 0)
        r = lab_cluster_new(&s.cluster, &s.options.cluster, clock_now_ns(CLOCK_MONOTONIC));
    if (r == 0)
        r = lab_api_new(&s.api, s.base, s.cluster, s.options.http_port);
    if (r == 0)
        r = run(&s);
    if (r < 0)
        fprintf(stderr, "lab-sessiond: %s\n", strerror(-r));
    lab_api_free(s.api);
    lab_cluster_free(s.cluster);
    close_fd(s.peer_fd);
    if (s.base)
        event_base_free(s.base);
    return r < 0;
}
