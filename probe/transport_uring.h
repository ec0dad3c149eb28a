/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two halves of the io_uring transport share, transport_uring.c and transport_uring_send.c; and what
 * tests need to bring it to its limits.
 */
#pragma once

#include "probe/socket.h"
#include "probe/transport_uring_buffers.h"

/* How often the kernel is entered for one purpose: more only happens while errors pour in. */
#define URING_TRIES 32

struct uring_limits {
    uint32_t completions; /* entries of the completion queue, a power of two, at least 64 */
    uint16_t buffers;     /* for each family, a power of two, at least TRANSPORT_BATCH */
    bool cooperative;     /* complete requests as kernel 6.0 does, which has no DEFER_TASKRUN */
};

/* transport_uring_open() with other limits. */
int transport_uring_open_limited(struct transport **out, const struct probe_settings *settings,
                                 const struct uring_limits *limits);

/* What a completion is about. */
enum uring_request {
    URING_RECEIVE, /* detail: which family */
    URING_ERRORS,  /* detail: which family */
    URING_SEND,    /* which message of the batch */
    URING_WAKEUP,  /* which descriptor */
    URING_OTHER,   /* nobody cares how it ends */
};

struct uring_family {
    struct uring_buffers buffers;
    bool receiving; /* the multishot receive is armed */
    bool watching;  /* so is the poll for errors */
    bool errors;    /* there may be some in the queue */
};

struct uring_transport {
    struct socket_transport base;
    struct uring_limits limits;
    struct io_uring ring;
    bool is_open;
    bool is_started;
    struct msghdr layout; /* of a received message in its buffer */
    struct uring_family families[2];
    int wakeup_fd; /* the one that is polled; -1: none */
    bool wakeup_armed;
    bool is_asked;    /* for a descriptor; the answer stands */
    int event_fd;     /* written when messages are in the ring or here; -1: there is no outer loop's set */
    int epoll_fd;     /* that set: event_fd and the sockets that have buffers; -1: there is none */
    bool in_order;    /* send by sendmmsg() */
    uint32_t refused; /* messages of this batch, a bit for each */
    int failure;      /* negative errno: the kernel does not do what we need; told once */
};

static inline struct uring_transport *uring_of(struct transport *transport)
{
    return (struct uring_transport *)transport;
}

static inline uint64_t uring_request(enum uring_request request, unsigned detail)
{
    return (uint64_t)detail << 8 | request;
}

static inline void uring_name(struct io_uring_sqe *sqe, enum uring_request request, unsigned detail)
{
    io_uring_sqe_set_data64(sqe, uring_request(request, detail));
}

/* Whether one of these is set: IORING_SQ_TASKRUN (it has work for us), IORING_SQ_CQ_OVERFLOW. */
static inline bool uring_kernel_has(const struct uring_transport *u, uint32_t flags)
{
    return __atomic_load_n(u->ring.sq.kflags, __ATOMIC_ACQUIRE) & flags;
}

/* The ring comes to belong to this thread, if it does not yet. 0 or a negative errno. */
int uring_start(struct uring_transport *u);
/* Queues the receives and polls that have ended, or were never begun. */
void uring_arm(struct uring_transport *u);
/* Submits what is queued, lets the kernel do its work, takes what came of it. 0 or a negative errno. */
int uring_enter(struct uring_transport *u);
/* Enters until no completion is missing. */
void uring_flush_overflow(struct uring_transport *u);

/* A member of transport_operations. */
unsigned uring_send(struct transport *transport, struct packet_out *packets, unsigned count);
