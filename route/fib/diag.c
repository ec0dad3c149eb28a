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
#include "route/fib/netlink.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>

#define ALL_STATES ((1u << (TCP_CLOSING + 1)) - 1)
#define LEFT_ALONE ((1u << TCP_LISTEN) | (1u << TCP_TIME_WAIT))
#define NOT_OPEN   ((1u << TCP_SYN_SENT) | (1u << TCP_SYN_RECV))
#define DUMP_TRIES 8

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

/* Is this the address, as it is or mapped into IPv6 (RFC 4291, section 2.5.5.2)? */
static bool is_address(const struct address *address, uint8_t family, const uint32_t words[4])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *bytes = (const uint8_t *)words;

    if (family == address->family)
        return memcmp(bytes, address->bytes, address_size_bytes(address)) == 0;
    return family == AF_INET6 && address->family == AF_INET && memcmp(bytes, mapped, sizeof(mapped)) == 0 &&
           memcmp(bytes + sizeof(mapped), address->bytes, 4) == 0;
}

static bool is_from_source(const struct fib_connections *wanted, const struct inet_diag_msg *socket)
{
    return wanted->source && is_address(wanted->source, socket->idiag_family, socket->id.idiag_src);
}

static bool is_wanted(const struct fib_connections *wanted, const struct inet_diag_msg *socket)
{
    if (!is_address(wanted->peer, socket->idiag_family, socket->id.idiag_dst) ||
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

/* "The peer is this address": one condition; to accept is to step to the end, to refuse beyond it. */
static void put_filter(struct nlmsghdr *header, const struct address *peer)
{
    const size_t address_offset = sizeof(struct inet_diag_bc_op) + sizeof(struct inet_diag_hostcond);
    const size_t size_bytes = address_offset + address_size_bytes(peer);
    const struct inet_diag_bc_op op = {
        .code = INET_DIAG_BC_D_COND,
        .yes = (uint8_t)size_bytes,
        .no = (uint16_t)(size_bytes + sizeof(op)),
    };
    struct inet_diag_hostcond condition;
    uint8_t program[sizeof(op) + sizeof(condition) + sizeof(peer->bytes)];

    memset(&condition, 0, sizeof(condition)); /* what lies between its members is sent too */
    condition.family = peer->family;
    condition.prefix_len = (uint8_t)(address_size_bytes(peer) * 8);
    condition.port = -1;
    memcpy(program, &op, sizeof(op));
    memcpy(program + sizeof(op), &condition, sizeof(condition));
    memcpy(program + address_offset, peer->bytes, address_size_bytes(peer));
    mnl_attr_put(header, INET_DIAG_REQ_BYTECODE, size_bytes, program);
}

static int list_sockets(struct netlink *netlink, uint8_t family, struct found_sockets *found)
{
    size_t before = found->count;
    int r = -EINTR;

    for (int i = 0; i < DUMP_TRIES && r == -EINTR; i++) {
        union netlink_request request;
        struct nlmsghdr *header = mnl_nlmsg_put_header(request.bytes);
        struct inet_diag_req_v2 *body = mnl_nlmsg_put_extra_header(header, sizeof(*body));

        header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
        header->nlmsg_flags = NLM_F_DUMP;
        body->sdiag_family = family;
        body->sdiag_protocol = IPPROTO_TCP;
        body->idiag_states = ALL_STATES & ~LEFT_ALONE & ~(found->wanted->which == FIB_ALL ? 0u : NOT_OPEN);
        put_filter(header, found->wanted->peer);
        found->count = before;
        r = netlink_request(netlink, header, collect_socket, found);
    }
    return r;
}

static int destroy_socket(struct netlink *netlink, const struct inet_diag_req_v2 *socket)
{
    union netlink_request request;
    struct nlmsghdr *header = mnl_nlmsg_put_header(request.bytes);

    header->nlmsg_type = SOCK_DESTROY;
    memcpy(mnl_nlmsg_put_extra_header(header, sizeof(*socket)), socket, sizeof(*socket));
    return netlink_request(netlink, header, NULL, NULL);
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
    int r = list_sockets(netlink, AF_INET6, found);

    if (r == 0 && found->wanted->peer->family == AF_INET)
        r = list_sockets(netlink, AF_INET, found);
    if (r == -ENOENT) /* nobody answers for TCP: no tcp_diag */
        return -EOPNOTSUPP;
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
