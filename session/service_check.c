/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service check: one connection per interval, in the owner's loop.
 *
 * One timer drives it: at each tick the connection of the last round that is still not there has failed, and
 * the next one starts. A connection that is there is reset at once (SO_LINGER of zero): one every second to
 * every path, closed politely, would keep sixty sockets in TIME_WAIT for each of them.
 *
 * A round for which this host lacked the means (no descriptor, no memory) is no evidence and does not count.
 * When this process itself was not running, the connection is looked at before it is judged.
 *
 * Deliberately not done: nothing is sent. That the port accepts says that the service runs; more would need
 * to speak its protocol.
 */
#include "session/service_check.h"

#include <event2/event.h>
#include <poll.h>

struct service_check {
    struct service_check_settings settings;
    struct event_base *base;
    struct event *tick;
    struct event *writable; /* NULL: no connection under way */
    int fd;
    unsigned failures; /* in a row */
    enum service_check_state state;
    char reason[96];
    void (*changed)(void *context);
    void *context;
};

int service_check_parse(const char *text, uint16_t *port)
{
    unsigned long value;
    const char *digits = text + 4;

    if (strncmp(text, "tcp:", 4) != 0 || strlen(digits) < 1 || strlen(digits) > 5 ||
        digits[strspn(digits, "0123456789")] != '\0')
        return -EINVAL;
    value = strtoul(digits, NULL, 10);
    if (value == 0 || value > UINT16_MAX)
        return -EINVAL;
    *port = (uint16_t)value;
    return 0;
}

static void connection_close(struct service_check *check)
{
    if (check->writable)
        event_free(check->writable);
    check->writable = NULL;
    check->fd = close_fd(check->fd);
}

/* How a round ended: 0, or the positive errno of a failure. */
static void note(struct service_check *check, int error)
{
    if (error == 0) {
        check->failures = 0;
        check->state = SERVICE_CHECK_GOOD;
        return;
    }
    snprintf(check->reason, sizeof(check->reason), "%s", strerror(error));
    if (++check->failures >= check->settings.rise)
        check->state = SERVICE_CHECK_BAD;
}

/* What has become of the connection; ETIMEDOUT: nothing yet. */
static int connection_error(const struct service_check *check)
{
    struct pollfd pollfd = {.fd = check->fd, .events = POLLOUT};
    int error = 0;

    if (poll(&pollfd, 1, 0) <= 0)
        return ETIMEDOUT;
    if (getsockopt(check->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)}) < 0)
        return errno;
    return error;
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct service_check *check = context;
    enum service_check_state before = check->state;

    note(check, connection_error(check));
    connection_close(check);
    if (check->state != before)
        check->changed(check->context); /* last: it may free us */
}

/* 0: under way; a positive errno of connect(); a negative one: our own lack of means. */
static int connection_start(struct service_check *check)
{
    struct linger reset = {.l_onoff = 1};
    int ifindex = (int)check->settings.ifindex;
    struct sockaddr_storage to;
    socklen_t size = address_to_sockaddr(&check->settings.address, check->settings.port, &to);

    check->fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (check->fd < 0 || setsockopt(check->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
        return -errno;
    if (ifindex && setsockopt(check->fd, SOL_SOCKET, SO_BINDTOIFINDEX, &ifindex, sizeof(ifindex)) < 0)
        return errno == ENODEV ? ENODEV : -errno;
    if (connect(check->fd, (struct sockaddr *)&to, size) < 0 && errno != EINPROGRESS)
        return errno == ENOMEM || errno == ENOBUFS || errno == EAGAIN ? -errno : errno;
    check->writable = event_new(check->base, check->fd, EV_WRITE, on_writable, check);
    if (!check->writable || event_add(check->writable, NULL) < 0)
        return -ENOMEM;
    return 0;
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
    struct service_check *check = context;
    enum service_check_state before = check->state;
    int error;

    if (check->writable)
        note(check, connection_error(check));
    connection_close(check);
    error = connection_start(check);
    if (error > 0)
        note(check, error);
    if (error != 0)
        connection_close(check);
    if (check->state != before)
        check->changed(check->context); /* last: it may free us */
}

int service_check_new(struct service_check **out, struct event_base *base,
                      const struct service_check_settings *settings, void (*changed)(void *context),
                      void *context)
{
    struct timeval interval = {.tv_sec = (time_t)(settings->interval_ns / NS_PER_S),
                               .tv_usec = (suseconds_t)(settings->interval_ns % NS_PER_S / NS_PER_US)};
    struct service_check *check = calloc(1, sizeof(*check));

    if (!check)
        return -ENOMEM;
    *check = (struct service_check){
        .settings = *settings, .base = base, .fd = -1, .changed = changed, .context = context};
    check->tick = event_new(base, -1, EV_PERSIST, on_tick, check);
    if (!check->tick || event_add(check->tick, &interval) < 0) {
        service_check_free(check);
        return -ENOMEM;
    }
    event_active(check->tick, EV_TIMEOUT, 0); /* the first round at once */
    *out = check;
    return 0;
}

struct service_check *service_check_free(struct service_check *check)
{
    if (!check)
        return NULL;
    connection_close(check);
    if (check->tick)
        event_free(check->tick);
    free(check);
    return NULL;
}

enum service_check_state service_check_state(const struct service_check *check)
{
    return check->state;
}

const char *service_check_reason(const struct service_check *check)
{
    return check->reason;
}
