/* SPDX-License-Identifier: Apache-2.0 */
#include "route/fib/tcp_message.h"

#include "route/fib/diag_request.h"

#include <linux/sock_diag.h>
#include <linux/tcp.h>

#define ESTABLISHED \
    1 /* TCP_ESTABLISHED, linux/include/net/tcp_states.h; <netinet/tcp.h> does not go with <linux/tcp.h> */

/* The payload of an attribute behind the fixed header, of at least that size; NULL: there is none. */
static const void *find_attribute(const struct nlmsghdr *message, size_t header_bytes, uint16_t type,
                                  size_t least_bytes, size_t *size_bytes)
{
    const struct nlattr *attribute = mnl_nlmsg_get_payload_offset(message, header_bytes);
    int left = (int)(mnl_nlmsg_get_payload_len(message) - header_bytes);

    for (; mnl_attr_ok(attribute, left); attribute = mnl_attr_next(attribute)) {
        *size_bytes = mnl_attr_get_payload_len(attribute);
        if (mnl_attr_get_type(attribute) == type && *size_bytes >= least_bytes)
            return mnl_attr_get_payload(attribute);
        left -= (int)MNL_ALIGN(attribute->nla_len);
    }
    return NULL;
}

int fib_tcp_message(const struct nlmsghdr *message, const struct address *peer, struct fib_tcp_found *found)
{
    const size_t header_bytes = MNL_ALIGN(sizeof(struct inet_diag_msg)),
                 least_bytes = offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(uint64_t);
    struct inet_diag_msg socket;
    struct tcp_info info = {0};
    const void *payload;
    size_t size_bytes;

    if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY || message->nlmsg_len < NLMSG_HDRLEN + header_bytes)
        return 0;
    memcpy(&socket, mnl_nlmsg_get_payload(message), sizeof(socket));
    if (socket.idiag_state != ESTABLISHED || !diag_is_address(peer, socket.idiag_family, socket.id.idiag_dst))
        return 0;
    payload = find_attribute(message, header_bytes, INET_DIAG_INFO, least_bytes, &size_bytes);
    if (!payload)
        return -EOPNOTSUPP;
    memcpy(&info, payload, min_u64(size_bytes, sizeof(info)));
    *found = (struct fib_tcp_found){
        .socket = {.cookie = (uint64_t)socket.id.idiag_cookie[1] << 32 | socket.id.idiag_cookie[0],
                   .unacked = info.tcpi_unacked,
                   .retransmits = info.tcpi_retransmits,
                   .acked_bytes = info.tcpi_bytes_acked},
        .family = socket.idiag_family,
        .id = socket.id,
    };
    return 1;
}
