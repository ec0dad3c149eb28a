/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plainest transport: sendmsg, recvmsg, poll. One call for each packet, nothing that an old or odd kernel
 * would not have. It is what is left when the others cannot run, and the one to compare them with.
 *
 * poll(2) has no descriptor of its own. For an outer event loop the first socket serves; when IPv6 was opened
 * beside IPv4, the other one is looked at by time.
 */
#include "probe/lacking.h"
#include "probe/socket.h"

#include <poll.h>

static unsigned poll_send(struct transport *transport, struct packet_out *packets, unsigned count)
{
    struct socket_transport *t = (struct socket_transport *)transport;

    for (unsigned i = 0; i < count; i++) {
        struct icmp_socket *s = socket_way(t, &packets[i]);

        packets[i].error = -icmp_socket_set_dont_fragment(s, packets[i].dont_fragment);
        if (packets[i].error)
            continue;
        socket_transport_fill_send(t, 0, &packets[i]);
        if (socket_transport_send_one(t, s, 0, &packets[i]) == 0)
            return i;
    }
    return count;
}

/* ppoll(), or poll() where it is refused: then in milliseconds, rounded up. -1 with errno. */
static int wait_for(struct pollfd *fds, nfds_t count, uint64_t until_ns)
{
    uint64_t left_ns = sub_sat_u64(until_ns, clock_now_ns(CLOCK_MONOTONIC));
    struct timespec timeout = {.tv_sec = (time_t)(left_ns / NS_PER_S), .tv_nsec = (long)(left_ns % NS_PER_S)};
    uint64_t left_ms = min_u64((left_ns + NS_PER_MS - 1) / NS_PER_MS, INT32_MAX);
    int r = -1;

    if (!lacking_error(LACKING_PPOLL)) {
        r = ppoll(fds, count, until_ns == NEVER_NS ? NULL : &timeout, NULL);
        if (r >= 0 || errno == EINTR)
            return r;
        lacking_note(LACKING_PPOLL, -errno);
    }
    return poll(fds, count, until_ns == NEVER_NS ? -1 : (int)left_ms);
}

static int poll_wait(struct transport *transport, uint64_t until_ns, int wakeup_fd)
{
    struct socket_transport *t = (struct socket_transport *)transport;
    struct pollfd fds[3] = {
        {.fd = t->sockets[0].fd, .events = POLLIN},
        {.fd = t->sockets[1].fd, .events = POLLIN},
        {.fd = wakeup_fd, .events = POLLIN},
    };

    if (wait_for(fds, ARRAY_SIZE(fds), until_ns) < 0 && errno != EINTR) {
        transport->failed_call = "poll";
        return -errno;
    }
    return 0;
}

static int poll_fd(struct transport *transport, bool *complete)
{
    const struct socket_transport *t = (const struct socket_transport *)transport;

    *complete = t->sockets[0].fd < 0 || t->sockets[1].fd < 0;
    return t->sockets[0].fd >= 0 ? t->sockets[0].fd : t->sockets[1].fd;
}

static void poll_close(struct transport *transport)
{
    socket_transport_destroy((struct socket_transport *)transport);
    free(transport);
}

static const struct transport_operations poll_operations = {
    .name = "poll",
    .open_family = socket_transport_open_family,
    .reserve = socket_transport_reserve,
    .send = poll_send,
    .receive = socket_transport_receive,
    .receive_errors = socket_transport_receive_errors,
    .wait = poll_wait,
    .fd = poll_fd,
    .now = socket_transport_now,
    .mtu_bytes = socket_transport_mtu_bytes,
    .receive_drops = socket_transport_receive_drops,
    .refresh = socket_transport_refresh,
    .close = poll_close,
};

int transport_poll_open(struct transport **out, const struct probe_settings *settings)
{
    struct socket_transport *t = calloc(1, sizeof(*t));
    int r;

    if (!t)
        return -ENOMEM;
    t->singly = true;
    r = socket_transport_init(t, &poll_operations, settings);
    if (r < 0) {
        poll_close(&t->base);
        return r;
    }
    *out = &t->base;
    return 0;
}
