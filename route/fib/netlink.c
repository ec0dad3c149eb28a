/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the kernel by netlink (RFC 3549; netlink(7)).
 *
 * Every request asks for an acknowledgement, so every answer has an end: NLMSG_DONE of a dump, else
 * NLMSG_ERROR. Left-overs of an earlier request that timed out carry an older sequence number and are
 * skipped. A list is read to its end whatever becomes of it: until then the kernel starts no other one on that
 * socket. Datagrams that do not come from the kernel (port 0) are skipped too.
 */
#include "route/fib/netlink.h"

#include <limits.h>
#include <linux/netlink.h>
#include <sys/time.h>

#include "probe/lacking.h"

#define ANSWER_TIMEOUT_S 2

void netlink_close(struct netlink *netlink)
{
    if (netlink->socket)
        mnl_socket_close(netlink->socket);
    netlink->socket = NULL;
}

int netlink_open(struct netlink *netlink, int protocol)
{
    const struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
    int on = 1;

    memset(netlink, 0, sizeof(*netlink));
    netlink->socket = mnl_socket_open2(protocol, SOCK_CLOEXEC);
    if (!netlink->socket)
        return errno == EAFNOSUPPORT ? lacking_note(LACKING_NETLINK, -errno) : -errno;
    if (mnl_socket_bind(netlink->socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
        setsockopt(mnl_socket_get_fd(netlink->socket), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) <
            0) {
        int error = errno;

        netlink_close(netlink);
        return -error;
    }
    /* Older kernels have none of them: no message then, and dumps are filtered by us alone. */
    mnl_socket_setsockopt(netlink->socket, NETLINK_EXT_ACK, &on, sizeof(on));
    mnl_socket_setsockopt(netlink->socket, NETLINK_CAP_ACK, &on, sizeof(on));
    mnl_socket_setsockopt(netlink->socket, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
    netlink->sequence = (uint32_t)clock_now_ns(CLOCK_MONOTONIC);
    return 0;
}

ssize_t netlink_receive(const struct mnl_socket *socket, void *buffer, size_t size_bytes, int flags)
{
    struct sockaddr_nl from = {0};
    struct iovec piece = {.iov_base = buffer, .iov_len = size_bytes};
    struct msghdr message = {
        .msg_name = &from,
        .msg_namelen = sizeof(from),
        .msg_iov = &piece,
        .msg_iovlen = 1,
    };
    ssize_t n;

    do
        n = recvmsg(mnl_socket_get_fd(socket), &message, flags);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (message.msg_flags & MSG_TRUNC)
        return -EMSGSIZE;
    return message.msg_namelen == sizeof(from) && from.nl_pid == 0 ? n : 0;
}

/* The text among the attributes behind an error. */
static void keep_text(const struct nlmsghdr *header, size_t offset, char *text, size_t size_bytes)
{
    const char *payload = mnl_nlmsg_get_payload(header);
    size_t left = mnl_nlmsg_get_payload_len(header);

    while (offset <= left && left - offset <= INT_MAX) {
        const struct nlattr *attribute = (const void *)(payload + offset);

        if (!mnl_attr_ok(attribute, (int)(left - offset)))
            return;
        if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG &&
            mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0)
            snprintf(text, size_bytes, "%s", mnl_attr_get_str(attribute));
        offset += MNL_ALIGN(attribute->nla_len);
    }
}

int netlink_read_end(const struct nlmsghdr *header, char *text, size_t size_bytes)
{
    size_t offset = header->nlmsg_type == NLMSG_DONE ? sizeof(int) : sizeof(struct nlmsgerr);
    int error;

    if (mnl_nlmsg_get_payload_len(header) < sizeof(error))
        return header->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
    memcpy(&error, mnl_nlmsg_get_payload(header), sizeof(error));
    if (error == 0)
        return 0;
    if (header->nlmsg_type == NLMSG_ERROR && !(header->nlmsg_flags & NLM_F_CAPPED) &&
        mnl_nlmsg_get_payload_len(header) >= sizeof(struct nlmsgerr)) {
        const struct nlmsgerr *payload = mnl_nlmsg_get_payload(header);

        if (payload->msg.nlmsg_len > NLMSG_HDRLEN)
            offset += MNL_ALIGN((size_t)payload->msg.nlmsg_len) - NLMSG_HDRLEN;
    }
    if (header->nlmsg_flags & NLM_F_ACK_TLVS)
        keep_text(header, offset, text, size_bytes);
    if (error == INT_MIN)
        return -EBADMSG;
    return error < 0 ? error : -error;
}

/* One datagram of an answer. 1: more to come; 0: the end; or a negative errno. After *failed nothing is handed
 * over any more. */
static int read_datagram(struct netlink *netlink, const void *bytes, size_t size_bytes,
                         netlink_message_fn *each, void *context, bool *interrupted, int *failed)
{
    const struct nlmsghdr *header = bytes;
    int left = (int)size_bytes;

    for (; left > 0 && netlink_message_ok(header, (size_t)left); header = mnl_nlmsg_next(header, &left)) {
        if (header->nlmsg_seq != netlink->sequence ||
            !mnl_nlmsg_portid_ok(header, mnl_socket_get_portid(netlink->socket)))
            continue;
        if (header->nlmsg_flags & NLM_F_DUMP_INTR)
            *interrupted = true;
        if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR)
            return netlink_read_end(header, netlink->message, sizeof(netlink->message));
        if (header->nlmsg_type >= NLMSG_MIN_TYPE && each && *failed == 0)
            *failed = each(context, header);
    }
    return 1;
}

int netlink_request(struct netlink *netlink, struct nlmsghdr *request, netlink_message_fn *each,
                    void *context)
{
    union {
        struct nlmsghdr header;
        char bytes[NETLINK_RECEIVE_BYTES];
    } buffer;
    bool interrupted = false;
    int r = 1, failed = 0;

    netlink->message[0] = '\0';
    request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    request->nlmsg_seq = ++netlink->sequence;
    if (mnl_socket_sendto(netlink->socket, request, request->nlmsg_len) < 0)
        return -errno;
    while (r > 0) {
        ssize_t n = netlink_receive(netlink->socket, buffer.bytes, sizeof(buffer), 0);

        if (n < 0)
            return n == -EAGAIN ? -ETIMEDOUT : (int)n;
        r = read_datagram(netlink, buffer.bytes, (size_t)n, each, context, &interrupted, &failed);
    }
    if (r == 0)
        r = failed;
    return r == 0 && interrupted ? -EINTR : r;
}
