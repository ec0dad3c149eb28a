/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches: sendmmsg, recvmmsg, epoll. It runs on any Linux.
 */
#include "probe/lacking.h"
#include "probe/socket.h"

#include <sys/epoll.h>
#include <sys/syscall.h>

struct epoll_transport {
    struct socket_transport base;
    int epoll_fd;
    int wakeup_fd; /* the one that is in the set now; -1: none */
    bool watched[2];
};

static int watch(struct epoll_transport *e, int operation, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(e->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

static int epoll_open_family(struct transport *transport, int family, uint16_t *ident, char *message,
                             size_t size_bytes)
{
    struct epoll_transport *e = (struct epoll_transport *)transport;
    bool *watched = &e->watched[family == AF_INET6];
    int r = socket_transport_open_family(transport, family, ident, message, size_bytes);

    if (r < 0 || *watched)
        return r;
    r = watch(e, EPOLL_CTL_ADD, socket_transport_socket(&e->base, family)->fd);
    if (r < 0)
        snprintf(message, size_bytes, "epoll: %s", strerror(-r));
    else
        *watched = true;
    return r;
}

static int set_wakeup(struct epoll_transport *e, int wakeup_fd)
{
    int r = 0;

    if (wakeup_fd == e->wakeup_fd)
        return 0;
    if (e->wakeup_fd >= 0)
        watch(e, EPOLL_CTL_DEL, e->wakeup_fd); /* gone by itself when its owner has closed it */
    if (wakeup_fd >= 0)
        r = watch(e, EPOLL_CTL_ADD, wakeup_fd);
    e->wakeup_fd = r < 0 ? -1 : wakeup_fd;
    return r;
}

/* Nanoseconds where the kernel has epoll_pwait2 (5.11), else milliseconds, rounded up. Not every libc knows it. */
int socket_transport_sleep(int epoll_fd, uint64_t until_ns)
{
    struct epoll_event events[3];
    uint64_t left_ns = sub_sat_u64(until_ns, clock_now_ns(CLOCK_MONOTONIC));
    struct timespec timeout = {.tv_sec = (time_t)(left_ns / NS_PER_S), .tv_nsec = (long)(left_ns % NS_PER_S)};
    uint64_t left_ms = min_u64((left_ns + NS_PER_MS - 1) / NS_PER_MS, INT32_MAX);
    int r;

    if (!lacking_error(LACKING_EPOLL_PWAIT2)) {
        r = (int)syscall(SYS_epoll_pwait2, epoll_fd, events, ARRAY_SIZE(events),
                         until_ns == NEVER_NS ? NULL : &timeout, NULL, 0);
        if (r >= 0 || errno == EINTR)
            return 0;
        lacking_note(LACKING_EPOLL_PWAIT2, -errno);
    }
    /* A filter of system calls may give any error for a call that it does not know. */
    r = epoll_wait(epoll_fd, events, ARRAY_SIZE(events), until_ns == NEVER_NS ? -1 : (int)left_ms);
    return r < 0 && errno != EINTR ? -errno : 0;
}

static int epoll_wait_until(struct transport *transport, uint64_t until_ns, int wakeup_fd)
{
    struct epoll_transport *e = (struct epoll_transport *)transport;
    int r = set_wakeup(e, wakeup_fd);

    if (r == 0)
        r = socket_transport_sleep(e->epoll_fd, until_ns);
    if (r < 0)
        transport->failed_call = "epoll_wait";
    return r;
}

static int epoll_descriptor(struct transport *transport, bool *complete)
{
    *complete = true;
    return ((const struct epoll_transport *)transport)->epoll_fd;
}

static void epoll_close(struct transport *transport)
{
    struct epoll_transport *e = (struct epoll_transport *)transport;

    socket_transport_destroy(&e->base);
    close_fd(e->epoll_fd);
    free(e);
}

static const struct transport_operations epoll_operations = {
    .name = "epoll",
    .open_family = epoll_open_family,
    .reserve = socket_transport_reserve,
    .send = socket_transport_send,
    .receive = socket_transport_receive,
    .receive_errors = socket_transport_receive_errors,
    .wait = epoll_wait_until,
    .fd = epoll_descriptor,
    .now = socket_transport_now,
    .mtu_bytes = socket_transport_mtu_bytes,
    .receive_drops = socket_transport_receive_drops,
    .refresh = socket_transport_refresh,
    .close = epoll_close,
};

int transport_epoll_open(struct transport **out, const struct probe_settings *settings)
{
    struct epoll_transport *e = calloc(1, sizeof(*e));
    struct epoll_event event;
    int r;

    if (!e)
        return -ENOMEM;
    e->wakeup_fd = -1;
    e->epoll_fd = -1;
    r = socket_transport_init(&e->base, &epoll_operations, settings);
    if (r == 0)
        e->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (r == 0 && e->epoll_fd < 0)
        r = -errno;
    /* Some systems let one create the descriptor and refuse to wait on it. */
    if (r == 0 && epoll_wait(e->epoll_fd, &event, 1, 0) < 0)
        r = -errno;
    if (r < 0) {
        epoll_close(&e->base.base);
        return r;
    }
    *out = &e->base.base;
    return 0;
}
