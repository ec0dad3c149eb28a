/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One netlink socket for requests and their answers, on top of libmnl: sequence numbers and senders checked,
 * bounded in time, with the kernel's own error message.
 */
#pragma once

#include "probe/base.h"
#include <libmnl/libmnl.h>

#define NETLINK_RECEIVE_BYTES 32768 /* the kernel never sends more in one message of a dump */
#define NETLINK_REQUEST_BYTES 512

/* Room for one request; mnl_nlmsg_put_header() starts it. */
union netlink_request {
    struct nlmsghdr header;
    char bytes[NETLINK_REQUEST_BYTES];
};

/* All zero is closed. */
struct netlink {
    struct mnl_socket *socket;
    uint32_t sequence;
    char message[192]; /* of the last failed request, from the kernel; empty: it said nothing */
};

/* Opens the protocol (NETLINK_ROUTE, ...) with extended acknowledgements and strict checks. */
int netlink_open(struct netlink *netlink, int protocol);
void netlink_close(struct netlink *netlink);

/* Is there a whole message in these bytes? Unlike mnl_nlmsg_ok() no length becomes a negative one. */
static inline bool netlink_message_ok(const struct nlmsghdr *header, size_t size_bytes)
{
    return size_bytes >= sizeof(*header) && header->nlmsg_len >= sizeof(*header) &&
           header->nlmsg_len <= size_bytes;
}

/* What the last message of an answer (NLMSG_DONE, NLMSG_ERROR) says: 0 or a negative errno, with the kernel's
 * own text in `text` if it sent one. Reads within nlmsg_len only. */
int netlink_read_end(const struct nlmsghdr *header, char *text, size_t size_bytes);

/* Called for each message of an answer; after a negative errno for none any more: the request ends with it. */
typedef int netlink_message_fn(void *context, const struct nlmsghdr *message);

/*
 * Sends a request and reads its answer to the end; each may be NULL. Sets NLM_F_REQUEST, NLM_F_ACK and the
 * sequence number. 0 or a negative errno: the kernel's, -ETIMEDOUT when it does not answer in 2 s, -EINTR
 * when what was dumped changed meanwhile (all of it came, some may be missing: start again).
 */
int netlink_request(struct netlink *netlink, struct nlmsghdr *request, netlink_message_fn *each,
                    void *context);

/* The next datagram from the kernel into buffer; its size, 0 for one from somebody else, or a negative errno
 * (-EMSGSIZE: it did not fit). */
ssize_t netlink_receive(const struct mnl_socket *socket, void *buffer, size_t size_bytes, int flags);
