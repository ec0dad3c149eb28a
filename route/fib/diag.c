/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Destroying the TCP sockets that are connected to one address.
 *
 * A connection keeps the source address it began with, so after a switch to another network its segments, or
 * the answers to them, go nowhere until its retransmissions give up. Destroyed, its owner gets ECONNABORTED
 * at once and connects anew.
 *
 * The sockets are listed first and destroyed afterwards, each by its cookie, so that one that takes over the
 * same ports meanwhile is safe. A small program filters by the peer inside the kernel; since destroying the
 * wrong socket would be grave the peer is compared again here. The socket for all this lives for one call.
 *
 * What cannot be listed or destroyed keeps no other one from its end; the first error is told.
 *
 * Left alone: listening sockets, which have no peer, and TIME_WAIT, which nobody owns.
 */
#include "route/fib/diag.h"
#include "route/fib/diag_request.h"

#include <linux/sock_diag.h>
#include <netinet/tcp.h>

#define ALL_STATES ((1u << (TCP_CLOSING + 1)) - 1)
#define LEFT_ALONE ((1u << TCP_LISTEN) | (1u << TCP_TIME_WAIT))
#define NOT_OPEN   ((1u << TCP_SYN_SENT) | (1u << TCP_SYN_RECV))

/* struct inet_diag_msg: idiag_timer of a segment that is sent again, and how often that shows a standstill.
 */
#define TIMER_RETRANSMIT 1
#define STALLED_RETRIES  2

/* linux/net/sunrpc/clnt.c waits so long after a connection that failed while it was being made. */
#define HANDSHAKE_PENALTY_MS 3000

struct found_sockets {
    const struct fib_connections *wanted;
    struct inet_diag_req_v2 *items;
    size_t count;
};

static bool is_from_source(const struct fib_connections *wanted, const struct inet_diag_msg *socket)
{
    return wanted->source && diag_is_address(wanted->source, socket->idiag_family, socket->id.idiag_src);
}

static bool is_wanted(const struct fib_connections *wanted, const struct inet_diag_msg *socket)
{
    if (!diag_is_address(wanted->peer, socket->idiag_family, socket->id.idiag_dst) ||
        (wanted->but_port && ntohs(socket->id.idiag_dport) == wanted->but_port))
        return false;
    switch (wanted->which) {
    case FIB_STALLED:
        return !is_from_source(wanted, socket) && socket->idiag_timer == TIMER_RETRANSMIT &&
               socket->idiag_retrans >= STALLED_RETRIES;
    case FIB_ALL:
        return socket->idiag_state != TCP_SYN_SENT || !is_from_source(wanted, socket) ||
               socket->idiag_timer != TIMER_RETRANSMIT || socket->idiag_expires > HANDSHAKE_PENALTY_MS;
    case FIB_OPEN:
        break;
    }
    return true;
}

static int collect_socket(void *context, const struct nlmsghdr *message)
{
    struct found_sockets *found = context;
    struct inet_diag_req_v2 *more;
    struct inet_diag_msg socket;

    if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY || mnl_nlmsg_get_payload_len(message) < sizeof(socket))
        return 0;
    memcpy(&socket, mnl_nlmsg_get_payload(message), sizeof(socket));
    if (!is_wanted(found->wanted, &socket))
        return 0;
    more = reallocarray(found->items, found->count + 1, sizeof(*more));
    if (!more)
        return -ENOMEM;
    found->items = more;
    found->items[found->count++] = (struct inet_diag_req_v2){
        .sdiag_family = socket.idiag_family,
        .sdiag_protocol = IPPROTO_TCP,
        .idiag_states = UINT32_MAX,
        .id = socket.id,
    };
    return 0;
}

/* Linux before 4.5 does not know what is asked, which is EINVAL. */
static int destroy_socket(struct netlink *netlink, const struct inet_diag_req_v2 *socket)
{
    union netlink_request request;
    struct nlmsghdr *header = mnl_nlmsg_put_header(request.bytes);
    int error;

    header->nlmsg_type = SOCK_DESTROY;
    memcpy(mnl_nlmsg_put_extra_header(header, sizeof(*socket)), socket, sizeof(*socket));
    error = netlink_request(netlink, header, NULL, NULL);
    return error == -EINVAL ? -EOPNOTSUPP : error;
}

/*
 * It ended by itself, or is TIME_WAIT by now. Some kernels answer EOPNOTSUPP to that one alone, so they are asked
 * about a socket that does not exist.
 */
static bool has_ended(struct netlink *netlink, int error)
{
    static const struct inet_diag_req_v2 none = {.sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP};

    return error == -ENOENT || (error == -EOPNOTSUPP && destroy_socket(netlink, &none) == -ENOENT);
}

static int destroy_all(struct netlink *netlink, struct found_sockets *found, unsigned *count)
{
    const struct diag_query query = {
        .peer = found->wanted->peer,
        .states = ALL_STATES & ~LEFT_ALONE & ~(found->wanted->which == FIB_ALL ? 0u : NOT_OPEN),
    };
    int r = diag_list(netlink, &query, collect_socket, found, &found->count);

    for (size_t i = 0; i < found->count && r != -EOPNOTSUPP; i++) {
        int error = destroy_socket(netlink, &found->items[i]);

        if (error == 0)
            ++*count;
        else if (r == 0 && !has_ended(netlink, error))
            r = error;
    }
    return r;
}

int fib_diag_destroy(const struct fib_connections *connections, unsigned *count, char *message,
                     size_t size_bytes)
{
    struct found_sockets found = {.wanted = connections};
    struct netlink netlink;
    int r;

    *count = 0;
    r = netlink_open(&netlink, NETLINK_SOCK_DIAG);
    if (r == 0) {
        r = destroy_all(&netlink, &found, count);
        netlink_close(&netlink);
        free(found.items);
    }
    if (r == -EOPNOTSUPP)
        snprintf(message, size_bytes,
                 "this kernel cannot destroy sockets (CONFIG_INET_TCP_DIAG, CONFIG_INET_DIAG_DESTROY)");
    else if (r < 0)
        snprintf(message, size_bytes, "cannot reset the connections to %s: %s",
                 ADDRESS_TEXT(connections->peer), strerror(-r));
    return r;
}
