/* SPDX-License-Identifier: Apache-2.0 */
#include "route/fib/diag_request.h"

#include <linux/netlink.h>
#include <linux/sock_diag.h>

#define DUMP_TRIES 8

bool diag_is_address(const struct address *address, uint8_t family, const uint32_t words[4])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *bytes = (const uint8_t *)words;

    if (family == address->family)
        return memcmp(bytes, address->bytes, address_size_bytes(address)) == 0;
    return family == AF_INET6 && address->family == AF_INET && memcmp(bytes, mapped, sizeof(mapped)) == 0 &&
           memcmp(bytes + sizeof(mapped), address->bytes, 4) == 0;
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

static int list_family(struct netlink *netlink, const struct diag_query *query, uint8_t family,
                       netlink_message_fn *each, void *context, size_t *count)
{
    size_t before = *count;
    int r = -EINTR;

    for (int i = 0; i < DUMP_TRIES && r == -EINTR; i++) {
        union netlink_request request;
        struct nlmsghdr *header = mnl_nlmsg_put_header(request.bytes);
        struct inet_diag_req_v2 *body = mnl_nlmsg_put_extra_header(header, sizeof(*body));

        header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
        header->nlmsg_flags = NLM_F_DUMP;
        body->sdiag_family = family;
        body->sdiag_protocol = IPPROTO_TCP;
        body->idiag_ext = query->extensions;
        body->idiag_states = query->states;
        put_filter(header, query->peer);
        *count = before;
        r = netlink_request(netlink, header, each, context);
    }
    return r;
}

int diag_list(struct netlink *netlink, const struct diag_query *query, netlink_message_fn *each,
              void *context, size_t *count)
{
    int r = list_family(netlink, query, AF_INET6, each, context, count);

    if (r == 0 && query->peer->family == AF_INET)
        r = list_family(netlink, query, AF_INET, each, context, count);
    return r == -ENOENT ? -EOPNOTSUPP : r; /* nobody answers for TCP */
}
