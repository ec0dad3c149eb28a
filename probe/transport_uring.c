/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_uring: one call of the kernel sends a batch (transport_uring_send.c) and fetches what has arrived.
 *
 * RECEIVING
 * Each socket has a multishot receive. It stays in the kernel and puts messages into buffers of ours
 * (transport_uring_buffers.c). The kernel does that work when we enter it; a flag in shared memory tells when
 * there is some (DEFER_TASKRUN, TASKRUN_FLAG). So with nothing to fetch no call is made.
 *
 * A multishot receive may end at any time:
 *   - no buffer is free;
 *   - the socket has an ICMP error;
 *   - the completion queue is full (the kernel keeps what did not fit in, it comes with the next call).
 * Its last completion says so: it lacks F_MORE. Then the receive is armed again.
 *
 * The queue of ICMP errors is read as on the other transports, but only after a multishot poll has seen
 * something in it.
 *
 * WAITING
 * One call sends what is queued, runs what has to run, and sleeps.
 *
 * An outer loop gets an epoll set. In it are:
 *   - An eventfd, which the kernel and we write. Messages may be in the ring or in our hands already: they come
 *     in with those of the other family, and during a send.
 *   - The sockets that have buffers; nobody would drain another one. With DEFER_TASKRUN the kernel should write the
 *     eventfd when a message comes, but Linux 6.12.117 does so once and then never again (its signal for that is
 *     deferred since 6.12.114).
 * It cannot have the ring's own descriptor: with DEFER_TASKRUN that becomes readable, but nobody who sleeps on
 * it is woken (seen on Linux 6.18).
 *
 * THREADS AND VERSIONS
 * The ring belongs to the first thread that sends, receives or waits; the kernel insists on that.
 * Linux 6.0 is needed (multishot recvmsg, SINGLE_ISSUER). Nobody asks for the version: the flags are tried.
 *
 * WHAT IT IS GOOD FOR
 *   - Fewer calls than epoll, and many fewer than poll.
 *   - Requests leave when their time stamp says, also on a busy machine: sendmmsg() lets other processes run
 *     between its messages.
 * Making and ending the ring costs something, so it pays from a thousand targets a worker on (`auto`). The
 * measurement: `tools/bench-tables transports`. Most of the time is the kernel's, on every transport.
 */
#include "probe/transport_uring.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

/* A batch, and for each family a receive and a poll; a wakeup and the end of one. */
#define SUBMISSIONS 64
_Static_assert(TRANSPORT_BATCH + 6 <= SUBMISSIONS, "a full batch must fit");

/* Room for the sender's address and the control messages in front of each message. */
#define NAME_BYTES    32
#define CONTROL_BYTES 160

/* --- what the kernel says ------------------------------------------------------------------------------- */

static void take_message(struct uring_transport *u, struct uring_family *f, const struct io_uring_cqe *cqe)
{
    if (cqe->res >= 0 && cqe->flags & IORING_CQE_F_BUFFER)
        uring_buffers_fill(&f->buffers, (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT),
                           (uint32_t)cqe->res);
    if (!(cqe->flags & IORING_CQE_F_MORE))
        f->receiving = false;
    /* No ICMP error has these. */
    if (cqe->res == -EINVAL || cqe->res == -EFAULT || cqe->res == -EBADF)
        u->failure = cqe->res;
}

static void take(struct uring_transport *u, const struct io_uring_cqe *cqe)
{
    unsigned detail = (unsigned)(cqe->user_data >> 8);

    switch ((enum uring_request)(cqe->user_data & 0xff)) {
    case URING_RECEIVE:
        take_message(u, &u->families[detail], cqe);
        break;
    case URING_ERRORS:
        u->families[detail].errors = true;
        if (!(cqe->flags & IORING_CQE_F_MORE))
            u->families[detail].watching = false;
        break;
    case URING_SEND:
        u->refused |= UINT32_C(1) << detail;
        if (cqe->res == -EINVAL)
            u->in_order = true; /* 6.0 cannot send to an address */
        break;
    case URING_WAKEUP:
        if ((int)detail != u->wakeup_fd || cqe->res == -ECANCELED)
            break; /* the one before */
        u->wakeup_armed = false;
        if (cqe->res < 0)
            u->failure = cqe->res;
        break;
    case URING_OTHER:
        break;
    }
}

/* Takes all completions. There is a place for each: they are no more than our buffers and requests. */
static void harvest(struct uring_transport *u)
{
    struct io_uring_cqe *cqe;
    unsigned count = 0;
    unsigned head;

    io_uring_for_each_cqe(&u->ring, head, cqe)
    {
        take(u, cqe);
        count++;
    }
    io_uring_cq_advance(&u->ring, count);
}

int uring_start(struct uring_transport *u)
{
    if (u->is_started)
        return 0;
    /* Not by io_uring_enable_rings(), which liburing 2.3 declares and does not have. */
    if (syscall(SYS_io_uring_register, u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
        return -errno;
    u->is_started = true;
    return 0;
}

int uring_enter(struct uring_transport *u)
{
    int r = io_uring_submit_and_get_events(&u->ring);

    harvest(u);
    return r < 0 ? r : 0;
}

void uring_flush_overflow(struct uring_transport *u)
{
    for (int tries = 0; tries < URING_TRIES && uring_kernel_has(u, IORING_SQ_CQ_OVERFLOW); tries++)
        uring_enter(u);
}

/* Of the kernel's own resources: it may have them again the next time. */
static bool is_want(int r)
{
    return r == -EAGAIN || r == -EBUSY || r == -ENOMEM || r == -EINTR;
}

/* --- receiving ------------------------------------------------------------------------------------------ */

static void arm_family(struct uring_transport *u, unsigned i)
{
    struct uring_family *f = &u->families[i];
    struct io_uring_sqe *sqe;

    if (!f->buffers.shared)
        return;
    /* Without a free buffer it would end at once. */
    if (!f->receiving && uring_buffers_any_free(&f->buffers) && (sqe = io_uring_get_sqe(&u->ring))) {
        io_uring_prep_recvmsg_multishot(sqe, (int)i, &u->layout, 0);
        sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
        sqe->buf_group = f->buffers.group;
        uring_name(sqe, URING_RECEIVE, i);
        f->receiving = true;
    }
    if (!f->watching && (sqe = io_uring_get_sqe(&u->ring))) {
        io_uring_prep_poll_multishot(sqe, (int)i, POLLERR);
        sqe->flags |= IOSQE_FIXED_FILE;
        uring_name(sqe, URING_ERRORS, i);
        f->watching = true;
    }
}

void uring_arm(struct uring_transport *u)
{
    for (unsigned i = 0; i < ARRAY_SIZE(u->families); i++)
        arm_family(u, i);
}

static bool any_waits(const struct uring_transport *u)
{
    for (size_t i = 0; i < ARRAY_SIZE(u->families); i++)
        if (u->families[i].buffers.filled_count || u->families[i].errors)
            return true;
    return false;
}

/* Makes the outer loop's eventfd readable if something is left, and else not. */
static void settle(struct uring_transport *u)
{
    eventfd_t events;

    if (u->event_fd < 0)
        return;
    eventfd_read(u->event_fd, &events);
    /* What came before that call is seen here, what comes after it is told by the kernel. */
    if (any_waits(u) || io_uring_cq_ready(&u->ring) || uring_kernel_has(u, IORING_SQ_TASKRUN))
        eventfd_write(u->event_fd, 1);
}

/* Fetches until `count` messages wait, or the kernel has no more. */
static int fetch(struct uring_transport *u, struct uring_family *f, unsigned count)
{
    int r = uring_start(u);

    harvest(u);
    for (int tries = 0; r == 0 && tries < URING_TRIES && f->buffers.filled_count < count; tries++) {
        uring_arm(u);
        if (!io_uring_sq_ready(&u->ring) && !uring_kernel_has(u, IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW))
            break;
        r = uring_enter(u);
        if (is_want(r) && tries + 1 < URING_TRIES)
            r = 0;
    }
    if (r == 0)
        r = u->failure;
    u->failure = 0;
    return r;
}

/* Makes header i of the message in a buffer: the kernel puts name, control messages and payload in a row. */
static void unpack(struct uring_transport *u, unsigned i, uint8_t *bytes, uint32_t size_bytes)
{
    struct socket_transport *t = &u->base;
    struct io_uring_recvmsg_out *out = (struct io_uring_recvmsg_out *)(void *)bytes;
    uint8_t *payload = io_uring_recvmsg_payload(out, &u->layout);

    t->messages[i].msg_hdr = (struct msghdr){
        .msg_name = io_uring_recvmsg_name(out),
        .msg_namelen = out->namelen,
        .msg_control = (uint8_t *)io_uring_recvmsg_name(out) + NAME_BYTES,
        .msg_controllen = out->controllen,
    };
    t->messages[i].msg_len = (unsigned)sub_sat_u64(size_bytes, (uint64_t)(payload - bytes));
    t->headers[i].vector.iov_base = payload;
}

static int uring_receive(struct transport *transport, int family, struct packet_in *packets, unsigned count)
{
    struct uring_transport *u = uring_of(transport);
    struct uring_family *f = &u->families[family == AF_INET6];
    struct icmp_socket *s = socket_transport_socket(&u->base, family);
    struct clock_pair clocks = {0};
    unsigned got = 0;
    uint32_t size_bytes;
    uint8_t *bytes;
    int r;

    /* Without buffers the family is not open, and its socket in no set. */
    if (s->fd < 0 || !f->buffers.shared)
        return 0;
    uring_buffers_reclaim(&f->buffers);
    r = fetch(u, f, count);
    if (r < 0) {
        transport->failed_call = "io_uring_enter";
        return r;
    }
    if (f->buffers.filled_count)
        clocks = clock_pair_read();
    for (; got < count && (bytes = uring_buffers_lend(&f->buffers, &size_bytes)); got++) {
        unpack(u, got, bytes, size_bytes);
        socket_transport_decode(&u->base, s, got, &clocks, &packets[got]);
    }
    settle(u);
    return (int)got;
}

static int uring_receive_errors(struct transport *transport, int family, struct packet_in *packets,
                                unsigned count)
{
    struct uring_family *f = &uring_of(transport)->families[family == AF_INET6];
    int got;

    if (!f->errors)
        return 0;
    got = socket_transport_receive_errors(transport, family, packets, count);
    f->errors = got == (int)count;
    return got;
}

/* --- waiting -------------------------------------------------------------------------------------------- */

/* Polls wakeup_fd: once, so that it is looked at anew when the owner has read from it, or has not. */
static void arm_wakeup(struct uring_transport *u, int wakeup_fd)
{
    struct io_uring_sqe *sqe;

    if (u->wakeup_armed && wakeup_fd != u->wakeup_fd && (sqe = io_uring_get_sqe(&u->ring))) {
        io_uring_prep_poll_remove(sqe, uring_request(URING_WAKEUP, (unsigned)u->wakeup_fd));
        uring_name(sqe, URING_OTHER, 0);
        u->wakeup_armed = false;
    }
    u->wakeup_fd = wakeup_fd;
    if (!u->wakeup_armed && wakeup_fd >= 0 && (sqe = io_uring_get_sqe(&u->ring))) {
        io_uring_prep_poll_add(sqe, wakeup_fd, POLLIN);
        uring_name(sqe, URING_WAKEUP, (unsigned)wakeup_fd);
        u->wakeup_armed = true;
    }
}

static int uring_wait(struct transport *transport, uint64_t until_ns, int wakeup_fd)
{
    struct uring_transport *u = uring_of(transport);
    uint64_t left_ns = sub_sat_u64(until_ns, clock_now_ns(CLOCK_MONOTONIC));
    struct __kernel_timespec timeout = {.tv_sec = (long long)(left_ns / NS_PER_S),
                                        .tv_nsec = (long long)(left_ns % NS_PER_S)};
    struct io_uring_cqe *first;
    int r = uring_start(u);

    if (r < 0 || any_waits(u))
        return r;
    uring_arm(u);
    arm_wakeup(u, wakeup_fd);
    r = io_uring_submit_and_wait_timeout(&u->ring, &first, 1, until_ns == NEVER_NS ? NULL : &timeout, NULL);
    if (r >= 0 || r == -ETIME || is_want(r))
        return 0;
    transport->failed_call = "io_uring_enter";
    return r;
}

/* Puts a descriptor into the outer loop's set, if it is not in it yet. 0 or a negative errno. */
static int show_outside(const struct uring_transport *u, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(u->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 && errno != EEXIST ? -errno : 0;
}

static int fill_outer_set(struct uring_transport *u)
{
    int r = u->event_fd < 0 || u->epoll_fd < 0 ? -EMFILE : show_outside(u, u->event_fd);

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(u->families); i++)
        if (u->families[i].buffers.shared)
            r = show_outside(u, u->base.sockets[i].fd);
    return r < 0 ? r : io_uring_register_eventfd(&u->ring, u->event_fd);
}

static int uring_descriptor(struct transport *transport, bool *complete)
{
    struct uring_transport *u = uring_of(transport);

    /* Once: the loop keeps what it was told the first time, and another set would be nobody's. */
    if (!u->is_asked) {
        u->is_asked = true;
        u->event_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        u->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (fill_outer_set(u) < 0) {
            u->event_fd = close_fd(u->event_fd);
            u->epoll_fd = close_fd(u->epoll_fd);
        }
    }
    *complete = u->epoll_fd >= 0;
    return *complete ? u->epoll_fd : u->ring.ring_fd;
}

/* --- opening and closing -------------------------------------------------------------------------------- */

static size_t message_bytes(const struct uring_transport *u)
{
    return sizeof(struct io_uring_recvmsg_out) + NAME_BYTES + CONTROL_BYTES + u->base.buffer_bytes;
}

/* Gives a family buffers, and its socket a place in the outer loop's set, if there is one: both or neither. */
static int let_receive(struct uring_transport *u, unsigned i)
{
    struct uring_buffers *buffers = &u->families[i].buffers;
    int r = uring_buffers_init(buffers, &u->ring, (uint16_t)i, u->limits.buffers, message_bytes(u));

    if (r < 0 || u->epoll_fd < 0)
        return r;
    r = show_outside(u, u->base.sockets[i].fd);
    if (r < 0) {
        uring_buffers_withdraw(buffers);
        uring_buffers_destroy(buffers);
    }
    return r;
}

static int uring_open_family(struct transport *transport, int family, uint16_t *ident, char *message,
                             size_t size_bytes)
{
    struct uring_transport *u = uring_of(transport);
    unsigned i = family == AF_INET6;
    struct uring_buffers *buffers = &u->families[i].buffers;
    int r = socket_transport_open_family(transport, family, ident, message, size_bytes);

    if (r < 0 || buffers->shared)
        return r;
    r = io_uring_register_files_update(&u->ring, i, &u->base.sockets[i].fd, 1);
    if (r >= 0)
        r = let_receive(u, i);
    if (r < 0)
        snprintf(message, size_bytes, "io_uring: %s", strerror(-r));
    return r < 0 ? r : 0;
}

/* On an error the buffers are what they were. */
static int grow(struct uring_transport *u, struct uring_buffers *buffers)
{
    struct uring_buffers larger;
    int r = uring_buffers_prepare(buffers, &larger, message_bytes(u));

    if (r < 0)
        return r;
    r = uring_buffers_withdraw(buffers);
    if (r < 0) {
        uring_buffers_withdraw(&larger);
        uring_buffers_destroy(&larger);
        return r;
    }
    harvest(u);
    uring_flush_overflow(u);
    uring_buffers_replace(buffers, &larger);
    return 0;
}

static int uring_reserve(struct transport *transport, uint32_t payload_bytes, uint32_t replies)
{
    struct uring_transport *u = uring_of(transport);
    int room = socket_transport_reserve(transport, payload_bytes, replies);
    int r = 0;

    for (size_t i = 0; room >= 0 && r == 0 && i < ARRAY_SIZE(u->families); i++) {
        struct uring_buffers *buffers = &u->families[i].buffers;

        if (buffers->shared && buffers->size_bytes < message_bytes(u))
            r = grow(u, buffers);
    }
    return r < 0 ? r : room;
}

static void uring_close(struct transport *transport)
{
    struct uring_transport *u = uring_of(transport);
    struct io_uring_sync_cancel_reg all = {
        .flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL,
        .timeout = {.tv_sec = -1, .tv_nsec = -1},
    };

    /* Before their buffers go; the end of the ring itself is only noticed later by the kernel. */
    if (u->is_started)
        io_uring_register_sync_cancel(&u->ring, &all);
    if (u->is_open)
        io_uring_queue_exit(&u->ring);
    for (size_t i = 0; i < ARRAY_SIZE(u->families); i++)
        uring_buffers_destroy(&u->families[i].buffers);
    close_fd(u->event_fd);
    close_fd(u->epoll_fd);
    socket_transport_destroy(&u->base);
    free(u);
}

static const struct transport_operations uring_operations = {
    .name = "io_uring",
    .open_family = uring_open_family,
    .reserve = uring_reserve,
    .send = uring_send,
    .receive = uring_receive,
    .receive_errors = uring_receive_errors,
    .wait = uring_wait,
    .fd = uring_descriptor,
    .now = socket_transport_now,
    .mtu_bytes = socket_transport_mtu_bytes,
    .receive_drops = socket_transport_receive_drops,
    .refresh = socket_transport_refresh,
    .close = uring_close,
};

/* Not running yet: which thread it belongs to is not known. */
static int make_ring(struct uring_transport *u, uint32_t completion)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
                 IORING_SETUP_TASKRUN_FLAG | completion,
        .cq_entries = u->limits.completions,
    };
    int r = io_uring_queue_init_params(SUBMISSIONS, &u->ring, &params);

    u->is_open = r == 0;
    return r;
}

static int open_ring(struct uring_transport *u)
{
    int r = u->limits.cooperative ? -EINVAL : make_ring(u, IORING_SETUP_DEFER_TASKRUN);

    if (r == -EINVAL)
        r = make_ring(u, IORING_SETUP_COOP_TASKRUN);
    if (r == 0)
        r = io_uring_register_files_sparse(&u->ring, ARRAY_SIZE(u->families));
    /* Who may make a ring may be forbidden to enter it. This one is not running, and must say just that. */
    if (r == 0 && syscall(SYS_io_uring_enter, u->ring.ring_fd, 0, 0, 0, NULL, 0) < 0 && errno != EBADFD)
        r = -errno;
    return r;
}

int transport_uring_open_limited(struct transport **out, const struct probe_settings *settings,
                                 const struct uring_limits *limits)
{
    struct uring_transport *u = calloc(1, sizeof(*u));
    int r;

    if (!u)
        return -ENOMEM;
    u->limits = *limits;
    u->wakeup_fd = -1;
    u->event_fd = -1;
    u->epoll_fd = -1;
    u->layout = (struct msghdr){.msg_namelen = NAME_BYTES, .msg_controllen = CONTROL_BYTES};
    r = socket_transport_init(&u->base, &uring_operations, settings);
    if (r == 0)
        r = open_ring(u);
    if (r < 0) {
        uring_close(&u->base.base);
        return r;
    }
    *out = &u->base.base;
    return 0;
}

int transport_uring_open(struct transport **out, const struct probe_settings *settings)
{
    static const struct uring_limits limits = {.completions = 256, .buffers = 64};

    return transport_uring_open_limited(out, settings, &limits);
}
