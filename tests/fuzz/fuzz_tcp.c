/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: no netlink message about a TCP socket, however cut off or wrong its lengths, makes its reader read
 * outside of it. What it takes for an open connection to the peer (192.0.2.1) is as long as one has to be.
 */
#include "route/fib/netlink.h"
#include "route/fib/tcp_message.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct address peer = {.family = AF_INET, .bytes = {192, 0, 2, 1}};
    struct nlmsghdr *message = malloc(size ? size : 1); /* aligned, and nothing after it */
    struct fib_tcp_found found;

    memcpy(message, data, size);
    if (size >= sizeof(*message)) /* else one that is cut off is not whole, and not looked at */
        message->nlmsg_len = (uint32_t)min_u64(message->nlmsg_len, size);
    if (netlink_message_ok(message, size) && fib_tcp_message(message, &peer, &found) > 0)
        fuzz_check(message->nlmsg_len >=
                   NLMSG_HDRLEN + sizeof(struct inet_diag_msg) + sizeof(struct nlattr) + 128);
    free(message);
    return 0;
}
