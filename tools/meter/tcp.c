/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter's TCP stream: one connection to the service's echo, a small record every few milliseconds. It
 * behaves like a client that reconnects: the moment its connection breaks it connects again, and gives each
 * attempt only a short time, so that what is measured is the network's return and not the kernel's
 * retransmission timer. A connection that is established is never given up by the meter itself.
 */
#include "tools/meter/tcp.h"

#include <netinet/tcp.h>
#include <poll.h>

#define RECORD_BYTES 16
#define UNDERWAY_MAX 16384 /* records written and not echoed; then writing pauses */

enum state { STATE_IDLE, STATE_CONNECTING, STATE_ESTABLISHED };

struct meter_tcp {
    const struct meter_settings *set;
    const struct meter_stalls *stalls;
    struct meter_figures figures;
    int fd;
    enum state state;
    uint64_t connect_until_ns;
    uint64_t *written_ns;           /* a ring: when record n of this connection was written */
    uint64_t written, echoed_bytes; /* of this connection */

    uint64_t good_arrived_ns, good_stalls_ns; /* of the last echo */
    struct meter_interruption run;            /* since then */
    unsigned breaks;
};

static void try_connect(struct meter_tcp *t, uint64_t now_ns);

static void drop(struct meter_tcp *t)
{
    t->run.lost += t->written - t->echoed_bytes / RECORD_BYTES;
    t->fd = close_fd(t->fd);
    t->state = STATE_IDLE;
    t->written = t->echoed_bytes = 0;
}

/* An established connection broke: connect again at once. */
static void broken(struct meter_tcp *t, int error)
{
    t->run.breaks++;
    t->run.error = error;
    t->breaks++;
    drop(t);
    try_connect(t, clock_now_ns(CLOCK_MONOTONIC));
}

/* A connect failed; the next tick tries again. */
static void refused(struct meter_tcp *t, int error)
{
    t->run.errors++;
    t->run.error = error;
    t->figures.send_errors++;
    drop(t);
}

static void try_connect(struct meter_tcp *t, uint64_t now_ns)
{
    struct sockaddr_storage to;
    socklen_t size = address_to_sockaddr(&t->set->service, t->set->port, &to);
    int one = 1;

    t->fd = socket(t->set->service.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (t->fd < 0) {
        refused(t, errno);
        return;
    }
    setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    t->state = STATE_CONNECTING;
    t->connect_until_ns = now_ns + t->set->connect_timeout_ns;
    if (connect(t->fd, (struct sockaddr *)&to, size) < 0 && errno != EINPROGRESS)
        refused(t, errno);
}

static void write_record(struct meter_tcp *t, uint64_t now_ns)
{
    char record[RECORD_BYTES] = "lab-meter record";
    ssize_t n;

    if (t->written - t->echoed_bytes / RECORD_BYTES >= UNDERWAY_MAX)
        return;
    n = send(t->fd, record, sizeof(record), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n == RECORD_BYTES) {
        t->written_ns[t->written++ % UNDERWAY_MAX] = now_ns;
        t->figures.sent++;
    } else if (n >= 0) {
        broken(t, EMSGSIZE); /* a part of 16 bytes: the buffer is full to the brim */
    } else if (errno != EAGAIN) {
        broken(t, errno);
    }
}

void meter_tcp_tick(struct meter_tcp *t, uint64_t now_ns)
{
    meter_watch(&t->figures, now_ns);
    if (t->state == STATE_CONNECTING && now_ns >= t->connect_until_ns)
        refused(t, ETIMEDOUT);
    if (t->state == STATE_IDLE)
        try_connect(t, now_ns);
    else if (t->state == STATE_ESTABLISHED)
        write_record(t, now_ns);
}

/* --- echoes ----------------------------------------------------------------------------------------------*/

static void good(struct meter_tcp *t, uint64_t written_ns, uint64_t at_ns)
{
    uint64_t own_ns = t->stalls->total_ns - t->good_stalls_ns;

    if (t->figures.started) {
        uint64_t silence_ns = at_ns - t->good_arrived_ns;
        uint64_t took_ns = min_u64(silence_ns, at_ns - written_ns);

        t->figures.longest_silence_ns = max_u64(t->figures.longest_silence_ns, silence_ns);
        if (t->run.breaks || sub_sat_u64(took_ns, own_ns) > METER_HITCH_NS) {
            t->run.from_ns = t->good_arrived_ns;
            t->run.until_ns = at_ns;
            t->run.silence_ns = silence_ns;
            t->run.own_ns = own_ns;
            meter_interrupted(&t->figures, &t->run);
        }
    }
    meter_arrived(&t->figures, at_ns);
    t->run = (struct meter_interruption){0};
    t->good_arrived_ns = at_ns;
    t->good_stalls_ns = t->stalls->total_ns;
}

static void read_echoes(struct meter_tcp *t)
{
    for (;;) {
        char buffer[4096];
        ssize_t n = recv(t->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        uint64_t at_ns = clock_now_ns(CLOCK_MONOTONIC), before;

        if (n <= 0) {
            if (n == 0 || errno != EAGAIN)
                broken(t, n == 0 ? ECONNRESET : errno);
            return;
        }
        before = t->echoed_bytes / RECORD_BYTES;
        t->echoed_bytes += (uint64_t)n;
        for (uint64_t i = before; i < t->echoed_bytes / RECORD_BYTES; i++)
            good(t, t->written_ns[i % UNDERWAY_MAX], at_ns);
    }
}

void meter_tcp_ready(struct meter_tcp *t, short events)
{
    if (t->state == STATE_CONNECTING && events & (POLLOUT | POLLERR | POLLHUP)) {
        int error = 0;
        socklen_t size = sizeof(error);

        if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
            error = errno;
        if (error == 0) {
            t->state = STATE_ESTABLISHED;
            write_record(t, clock_now_ns(CLOCK_MONOTONIC));
        } else {
            refused(t, error);
            if (error == ECONNABORTED) /* destroyed: the way has just changed */
                try_connect(t, clock_now_ns(CLOCK_MONOTONIC));
        }
    } else if (t->state == STATE_ESTABLISHED && events & (POLLIN | POLLERR | POLLHUP)) {
        read_echoes(t);
    }
}

/* --- life ------------------------------------------------------------------------------------------------*/

struct meter_figures *meter_tcp_finish(struct meter_tcp *t, uint64_t now_ns)
{
    uint64_t own_ns = t->stalls->total_ns - t->good_stalls_ns;

    if (t->figures.started &&
        (t->run.breaks || sub_sat_u64(now_ns - t->good_arrived_ns, own_ns) > METER_HITCH_NS)) {
        t->run.from_ns = t->good_arrived_ns;
        t->run.until_ns = now_ns;
        t->run.silence_ns = now_ns - t->good_arrived_ns;
        t->run.own_ns = own_ns;
        t->run.open = true;
        meter_interrupted(&t->figures, &t->run);
    }
    return &t->figures;
}

unsigned meter_tcp_breaks(const struct meter_tcp *t)
{
    return t->breaks;
}

int meter_tcp_fd(const struct meter_tcp *t)
{
    return t->fd;
}

short meter_tcp_events(const struct meter_tcp *t)
{
    return t->state == STATE_CONNECTING ? POLLOUT : POLLIN;
}

int meter_tcp_new(struct meter_tcp **out, const struct meter_settings *settings,
                  const struct meter_stalls *stalls)
{
    CLEANUP(meter_tcp_free) struct meter_tcp *t = calloc(1, sizeof(*t));

    if (!t)
        return -ENOMEM;
    t->fd = -1;
    t->set = settings;
    t->stalls = stalls;
    t->figures.stream = "tcp";
    t->written_ns = calloc(UNDERWAY_MAX, sizeof(*t->written_ns));
    if (!t->written_ns)
        return -ENOMEM;
    *out = TAKE(t);
    return 0;
}

struct meter_tcp *meter_tcp_free(struct meter_tcp *t)
{
    if (!t)
        return NULL;
    close_fd(t->fd);
    free(t->written_ns);
    free(t);
    return NULL;
}
