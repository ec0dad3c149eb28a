/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of a TCP socket becomes data, or nothing: never more than the message holds. */
#include "route/fib/tcp_message.h"

#include "route/fib/netlink.h"

#include <criterion/criterion.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>

#define PEER 0x0a000001

union message {
    struct nlmsghdr header;
    char bytes[1024];
};

/* One about a socket to that peer, with tcp_info cut to so many bytes; 0: without it. */
static struct nlmsghdr *make(union message *message, uint8_t state, uint32_t peer, size_t info_bytes)
{
    const struct tcp_info info = {.tcpi_unacked = 3, .tcpi_retransmits = 2, .tcpi_bytes_acked = 4711};
    struct nlmsghdr *header = mnl_nlmsg_put_header(message->bytes);
    struct inet_diag_msg *socket = mnl_nlmsg_put_extra_header(header, sizeof(*socket));

    header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    socket->idiag_family = AF_INET;
    socket->idiag_state = state;
    socket->id.idiag_dst[0] = htonl(peer);
    socket->id.idiag_cookie[0] = 5;
    socket->id.idiag_cookie[1] = 1;
    mnl_attr_put_u8(header, INET_DIAG_SHUTDOWN, 0);
    if (info_bytes)
        mnl_attr_put(header, INET_DIAG_INFO, info_bytes, &info);
    return header;
}

static int read_message(const struct nlmsghdr *message, struct fib_tcp_found *found)
{
    const struct address peer = {.family = AF_INET, .bytes = {10, 0, 0, 1}};

    return fib_tcp_message(message, &peer, found);
}

Test(tcp_message, what_counts)
{
    const size_t whole = sizeof(struct tcp_info), acked = offsetof(struct tcp_info, tcpi_bytes_acked) + 8;
    const struct {
        const char *name;
        uint8_t state;
        uint32_t peer;
        size_t info_bytes;
        int want;
    } rows[] = {
        {"open", 1, PEER, whole, 1},
        {"the connection is being made", 2, PEER, whole, 0},
        {"it is being closed", 4, PEER, whole, 0},
        {"to somebody else", 1, PEER + 1, whole, 0},
        {"of an older kernel that tells just enough", 1, PEER, acked, 1},
        {"of one that does not tell what was acknowledged", 1, PEER, acked - 8, -EOPNOTSUPP},
        {"of one that tells nothing", 1, PEER, 0, -EOPNOTSUPP},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fib_tcp_found found = {0};
        union message message;

        cr_expect_eq(read_message(make(&message, rows[i].state, rows[i].peer, rows[i].info_bytes), &found),
                     rows[i].want, "%s", rows[i].name);
        if (rows[i].want > 0)
            cr_expect(found.socket.unacked == 3 && found.socket.retransmits == 2 && found.socket.acked_bytes == 4711 &&
                          found.socket.cookie == UINT64_C(0x100000005) && found.family == AF_INET,
                      "%s: what it says", rows[i].name);
    }
}

Test(tcp_message, one_that_is_cut_off_says_nothing)
{
    union message whole;
    uint32_t size_bytes = make(&whole, 1, PEER, sizeof(struct tcp_info))->nlmsg_len;

    for (uint32_t part = NLMSG_HDRLEN; part < size_bytes; part++) {
        struct nlmsghdr *exact = malloc(part); /* nothing behind it, for the sanitizer */
        struct fib_tcp_found found;

        memcpy(exact, whole.bytes, part);
        exact->nlmsg_len = part;
        cr_expect_leq(read_message(exact, &found), 0, "%u bytes", part);
        free(exact);
    }
}

Test(tcp_message, another_kind_of_message)
{
    struct fib_tcp_found found;
    union message message;
    struct nlmsghdr *header = make(&message, 1, PEER, sizeof(struct tcp_info));

    header->nlmsg_type = SOCK_DESTROY;
    cr_expect_eq(read_message(header, &found), 0);
}
