/* SPDX-License-Identifier: Apache-2.0 */
#include "route/fib/tcp.h"

#include "route/fib/diag_request.h"

#include <linux/sock_diag.h>
#include <netinet/tcp.h>

#define EXTENSIONS (1 << (INET_DIAG_INFO - 1))

struct found_list {
    const struct address *peer;
    struct fib_tcp_found items[FIB_TCP_MAX];
    size_t count;
};

struct fib_tcp {
    struct address peer;
    struct netlink netlink;
    struct found_list found;
};

int fib_tcp_open(struct fib_tcp **out, const struct address *peer)
{
    struct fib_tcp *tcp = calloc(1, sizeof(*tcp));
    int r;

    if (!tcp)
        return -ENOMEM;
    tcp->peer = *peer;
    tcp->found.peer = &tcp->peer;
    r = netlink_open(&tcp->netlink, NETLINK_SOCK_DIAG);
    if (r < 0) {
        free(tcp);
        return r == -EPROTONOSUPPORT ? -EOPNOTSUPP : r;
    }
    *out = tcp;
    return 0;
}

struct fib_tcp *fib_tcp_close(struct fib_tcp *tcp)
{
    if (tcp)
        netlink_close(&tcp->netlink);
    free(tcp);
    return NULL;
}

static int take_socket(void *context, const struct nlmsghdr *message)
{
    struct found_list *list = context;
    int r;

    if (list->count == FIB_TCP_MAX)
        return 0;
    r = fib_tcp_message(message, list->peer, &list->items[list->count]);
    if (r > 0)
        list->count++;
    return r < 0 ? r : 0;
}

int fib_tcp_list(struct fib_tcp *tcp)
{
    const struct diag_query query = {
        .peer = &tcp->peer, .states = 1 << TCP_ESTABLISHED, .extensions = EXTENSIONS};
    struct found_list found = {.peer = &tcp->peer};
    int r = diag_list(&tcp->netlink, &query, take_socket, &found, &found.count);

    if (r == 0)
        tcp->found = found;
    return r;
}

/* 1: *socket is as it is now; 0: it is not open any more; or a negative errno. */
static int look_at(struct fib_tcp *tcp, struct fib_tcp_found *socket)
{
    struct found_list found = {.peer = &tcp->peer};
    union netlink_request request;
    struct nlmsghdr *header = mnl_nlmsg_put_header(request.bytes);
    struct inet_diag_req_v2 *body = mnl_nlmsg_put_extra_header(header, sizeof(*body));
    int r;

    header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    body->sdiag_family = socket->family;
    body->sdiag_protocol = IPPROTO_TCP;
    body->idiag_ext = EXTENSIONS;
    body->idiag_states = UINT32_MAX;
    body->id = socket->id;
    r = netlink_request(&tcp->netlink, header, take_socket, &found);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    if (found.count == 0)
        return 0;
    *socket = found.items[0];
    return 1;
}

int fib_tcp_look(struct fib_tcp *tcp)
{
    size_t kept = 0;
    int error = 0;

    for (size_t i = 0; i < tcp->found.count; i++) {
        struct fib_tcp_found socket = tcp->found.items[i];
        int r = look_at(tcp, &socket);

        if (r != 0)
            tcp->found.items[kept++] = socket;
        if (r < 0 && error == 0)
            error = r;
    }
    tcp->found.count = kept;
    return error;
}

size_t fib_tcp_sockets(const struct fib_tcp *tcp, struct fib_tcp_socket sockets[static FIB_TCP_MAX])
{
    for (size_t i = 0; i < tcp->found.count; i++)
        sockets[i] = tcp->found.items[i].socket;
    return tcp->found.count;
}
