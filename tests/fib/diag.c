/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel refuses of one socket keeps no other one from its end. The kernel is played here. */
#include "route/fib/diag.h"
#include "route/fib/netlink.h"

#include <criterion/criterion.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#define SOCKETS 4

static int answers[SOCKETS]; /* to the destruction of each */
static int answer_to_none;   /* to that of a socket that does not exist */
static int answer_to_list;
static bool destroyed[SOCKETS];

int netlink_open(struct netlink *netlink, int family)
{
    return 0;
}

void netlink_close(struct netlink *netlink)
{
}

static int tell_sockets(const struct inet_diag_req_v2 *asked, netlink_message_fn *each, void *context)
{
    for (uint32_t i = 0; i < SOCKETS && asked->sdiag_family == AF_INET; i++) {
        union netlink_request buffer;
        struct nlmsghdr *message = mnl_nlmsg_put_header(buffer.bytes);
        struct inet_diag_msg *socket = mnl_nlmsg_put_extra_header(message, sizeof(*socket));

        message->nlmsg_type = SOCK_DIAG_BY_FAMILY;
        socket->idiag_family = AF_INET;
        socket->id.idiag_dst[0] = htonl(0x0a000001);
        socket->id.idiag_cookie[0] = i + 1;
        each(context, message);
    }
    return asked->sdiag_family == AF_INET ? answer_to_list : 0;
}

int netlink_request(struct netlink *netlink, struct nlmsghdr *request, netlink_message_fn *each,
                    void *context)
{
    struct inet_diag_req_v2 asked;
    uint32_t cookie;

    memcpy(&asked, mnl_nlmsg_get_payload(request), sizeof(asked));
    if (request->nlmsg_type == SOCK_DIAG_BY_FAMILY)
        return tell_sockets(&asked, each, context);
    cookie = asked.id.idiag_cookie[0];
    if (cookie == 0)
        return answer_to_none;
    destroyed[cookie - 1] = answers[cookie - 1] == 0;
    return answers[cookie - 1];
}

static int destroy(unsigned *count)
{
    const struct address peer = {.family = AF_INET, .bytes = {10, 0, 0, 1}};
    char message[160];

    return fib_diag_destroy(&(struct fib_connections){.peer = &peer, .which = FIB_ALL}, count, message,
                            sizeof(message));
}

Test(diag, one_that_fails_leaves_no_other)
{
    const struct {
        const char *name;
        int first, second, none, list;
        int want;
        unsigned count;
    } rows[] = {
        {"all", 0, 0, -ENOENT, 0, 0, 4},
        {"one has ended", -ENOENT, 0, -ENOENT, 0, 0, 3},
        {"no room for one", -ENOBUFS, 0, -ENOENT, 0, -ENOBUFS, 3},
        {"the first error is told", -ENOBUFS, -EIO, -ENOENT, 0, -ENOBUFS, 2},
        {"one is TIME_WAIT by now", -EOPNOTSUPP, 0, -ENOENT, 0, 0, 3},
        {"both of it", -ENOBUFS, -EOPNOTSUPP, -ENOENT, 0, -ENOBUFS, 2},
        {"the list came in part", 0, 0, -ENOENT, -ENOBUFS, -ENOBUFS, 4},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned count;

        answers[0] = rows[i].first;
        answers[1] = rows[i].second;
        answer_to_none = rows[i].none;
        answer_to_list = rows[i].list;
        cr_expect_eq(destroy(&count), rows[i].want, "%s", rows[i].name);
        cr_expect_eq(count, rows[i].count, "%s: %u", rows[i].name, count);
        cr_expect(destroyed[2] && destroyed[3], "%s: the others", rows[i].name);
    }
}

Test(diag, a_kernel_that_cannot_says_so_at_once)
{
    unsigned count;

    for (size_t i = 0; i < SOCKETS; i++)
        answers[i] = -EOPNOTSUPP;
    answer_to_none = -EOPNOTSUPP;
    cr_expect_eq(destroy(&count), -EOPNOTSUPP);
    cr_expect_eq(count, 0);
}
