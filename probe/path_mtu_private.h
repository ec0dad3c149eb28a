/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of each target while its packet sizes are asked, and the queues they stand in. */
#pragma once

#include <sys/queue.h>

#include "probe/front_end.h"
#include "probe/path_mtu.h"
#include "probe/path_mtu_search.h"

enum path_mtu_state {
    PATH_MTU_NEW,     /* has not had its first turn; in no queue */
    PATH_MTU_DUE,     /* a request is to be sent */
    PATH_MTU_WAITING, /* for a reply to the last one */
    PATH_MTU_REFUSED, /* the kernel had no room for the next one */
    PATH_MTU_READY,   /* done, not pulled */
    PATH_MTU_DONE,    /* in no queue */
    PATH_MTU_STATES,
};

/* All zero is a target that has not been asked. */
struct path_mtu_record {
    TAILQ_ENTRY(path_mtu_record) link; /* in the queue of its state */
    uint64_t due_ns;                   /* PATH_MTU_WAITING: end of this wait */
    uint64_t refused_since_ns;         /* 0: the last request left */
    uint64_t rtt_ns;
    struct path_mtu_search search; /* once the small packet has passed */
    uint32_t size_bytes;           /* that is asked about now */
    uint32_t asked;                /* requests for it */
    uint32_t failed;               /* of them, from the first on without a gap */
    uint32_t named_bytes;          /* MTU in a message about it that could be anybody's */
    uint32_t requests;             /* in all */
    uint32_t drops_seen;           /* growths of the drop counter before the first one for this size */
    uint32_t reason;               /* why this size does not pass, as far as it is known */
    uint32_t limit;                /* why search.fails does not */
    uint32_t reply_bytes;          /* of the last reply that was cut short */
    uint8_t state;                 /* enum path_mtu_state */
    bool is_sealed;                /* the reason cannot have been made up */
    bool is_again;                 /* this size is asked for the second time */
    bool is_doubtful;
    bool is_limited; /* search.fails was tried, or told by somebody */
};
_Static_assert(sizeof(struct path_mtu_record) <= 128, "what path_mtu.h promises");

TAILQ_HEAD(path_mtu_queue, path_mtu_record);

struct probe_path_mtu {
    struct front_end front;
    uint32_t check_bytes; /* 0: search */
    struct path_mtu_record *records;
    struct path_mtu_queue queues[PATH_MTU_STATES];
    uint32_t position; /* of the next first turn */
    uint32_t refused_count;
    uint64_t refused_at_ns; /* when those that were refused are tried again */
    uint64_t blocked_until_ns;
    uint32_t asked_again;
};

extern const struct engine_owner path_mtu_owner;
