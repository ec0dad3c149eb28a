/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sweep keeps of each target, and the queues that these records form. All zero is a target that has
 * not been asked yet.
 */
#pragma once

#include "probe/front_end_state.h"

#define NOBODY UINT32_MAX

enum record_state {
    RECORD_NEW,  /* no request has been made */
    RECORD_OPEN, /* asked, or about to be */
    RECORD_DONE, /* the verdict has fallen */
};

/* All zero is a target that has not been asked yet. */
struct record {
    union {
        uint64_t due_ns; /* end of the current wait */
        uint64_t rtt_ns; /* RECORD_DONE, is_reply */
    };
    uint32_t next;            /* in its queue */
    uint32_t next_ready;      /* among the results */
    uint32_t reason;          /* why not, as far as it is known: see reason.h */
    uint32_t drops_seen;      /* growths of the drop counter before the first request left */
    uint32_t requests : 24;   /* how many were made */
    uint32_t state : 2;       /* enum record_state */
    uint32_t is_reply : 1;    /* RECORD_DONE: it answered */
    uint32_t is_sealed : 1;   /* the reason cannot have been made up */
    uint32_t is_again : 1;    /* it is asked for the second time, see sweep.h */
    uint32_t is_doubtful : 1; /* RECORD_DONE: it may have answered all the same */
    uint32_t is_cut : 1;      /* is_reply: the reply was truncated; the reason says to how much */
    union {
        uint32_t failed;   /* how many requests failed, from the first on without a gap */
        uint32_t answered; /* RECORD_DONE, is_reply: which request */
    };
};
_Static_assert(sizeof(struct record) <= 32, "half of what a target may take beyond its address");

struct queue {
    uint32_t head;
    uint32_t tail;
};

static inline void queue_push(struct record *records, struct queue *queue, uint32_t index)
{
    records[index].next = NOBODY;
    if (queue->head == NOBODY)
        queue->head = index;
    else
        records[queue->tail].next = index;
    queue->tail = index;
}

static inline void queue_push_front(struct record *records, struct queue *queue, uint32_t index)
{
    records[index].next = queue->head;
    if (queue->head == NOBODY)
        queue->tail = index;
    queue->head = index;
}

static inline void queue_pop(struct record *records, struct queue *queue)
{
    queue->head = records[queue->head].next;
}

/* When the first one that is not done is due, NEVER_NS for none; those before it leave the queue. */
static inline uint64_t queue_due_ns(struct record *records, struct queue *queue)
{
    while (queue->head != NOBODY && records[queue->head].state == RECORD_DONE)
        queue_pop(records, queue);
    return queue->head == NOBODY ? NEVER_NS : records[queue->head].due_ns;
}

/* The results that have not been pulled have a queue of their own, since the others may hold them still. */
static inline void ready_push(struct record *records, struct queue *ready, uint32_t index)
{
    records[index].next_ready = NOBODY;
    if (ready->head == NOBODY)
        ready->head = index;
    else
        records[ready->tail].next_ready = index;
    ready->tail = index;
}

/* Appends all of one queue of results to another and leaves it empty. */
static inline void ready_join(struct record *records, struct queue *ready, struct queue *more)
{
    if (more->head == NOBODY)
        return;
    if (ready->head == NOBODY)
        ready->head = more->head;
    else
        records[ready->tail].next_ready = more->head;
    ready->tail = more->tail;
    more->head = NOBODY;
}

struct probe_sweep {
    struct front_end front;
    struct record *records; /* one for each target */
    uint32_t capacity;
    uint32_t finished; /* how many have their result */
    uint64_t began_ns; /* this round; what was sent before it is of another one */
    struct queue waiting;
    struct queue ending;
    struct queue ready;
    struct queue refused; /* the kernel had no room for their next request */
    uint32_t refused_count;
    uint32_t refused_turns; /* how many of them are tried again in this round */
    uint64_t refused_at_ns; /* the next round */
    uint32_t requests_max;
    uint64_t wait_ns;      /* after each request but the last */
    uint64_t last_wait_ns; /* after the last one */
};

/* What is done with a single target: sweep.c. */
extern const struct front_end_owner sweep_owner;

/*
 * What a pool asks of the sweeps that are its workers. The first replaces probe_sweep_take(): the targets
 * stay the pool's, numbers count from `first`. Of its own part of them a sweep sets addresses that come late.
 * -ENOMEM, -EIO.
 */
int sweep_share(struct probe_sweep *sweep, struct probe_targets *targets, uint32_t first, uint32_t count,
                bool shuffled);
/* Forgets all results and begins anew. */
void sweep_again(struct probe_sweep *sweep);
/* Closes the transport, in the thread to which it belongs. Results and counters stay. */
void sweep_close(struct probe_sweep *sweep);
