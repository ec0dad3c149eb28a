/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's own TCP connections to the service, as a witness of the path in use. Pure: every time is given.
 *
 * Data that are acknowledged went over the path, and the acknowledgement came back. So a connection that makes progress
 * contradicts lost pings: they were dropped or limited on the way, the path works. Data that wait for a window while
 * pings are answered are a doubt: pings do not show all. A connection whose retransmission got no answer either, though
 * a ping in between was answered, has lost packets at moments that are apart from each other; so it adds to a loss that
 * pings nearly prove (held up).
 *
 * When an acknowledgement came is known by two looks: after the first of them if more bytes are acknowledged at the
 * second. It counts
 *   - against lost pings if it came a select-timeout after the first lost one was sent: one that was under way when the
 *     path died does not,
 *   - for a path if it came WITNESS_OF_BEFORE_NS after the route was moved there: else it may be the former node's.
 */
#pragma once

#include "probe/base.h"

#define WITNESS_MAX 16 /* connections */

/* Who receives data may wait so long with the acknowledgement (RFC 1122 section 4.2.3.2). */
#define WITNESS_OF_BEFORE_NS (500 * NS_PER_MS)
/* Data that wait for less are no standstill, whatever the window: an acknowledgement waits, a lost segment is sent again
 * after 200 ms at least. */
#define WITNESS_STALL_MIN_NS (500 * NS_PER_MS)

/* What is seen of a connection at a look. */
struct witness_sample {
    uint64_t cookie; /* no other connection has it */
    uint64_t acked_bytes;
    bool waiting;         /* data were sent and are not acknowledged */
    uint32_t retransmits; /* how often they were sent again, by the retransmission timer (RFC 6298) */
};

/* What is known of it. */
struct witness_connection {
    uint64_t cookie;
    uint64_t acked_bytes;
    uint64_t seen_ns;    /* when it was first seen */
    uint64_t acked_ns;   /* the newest moment after which data were acknowledged; 0: none */
    uint64_t waiting_ns; /* since when data wait without any progress, as far as was seen; 0: none do */
    uint32_t retransmits;
    /*
     * They were sent again, and a ping that was sent since they wait had been answered before it. From when on that is
     * known to be in vain: the first time a select-timeout after it was seen, each next time at once, for the timer has
     * then run out without an answer to the one before. The newest time counts. 0: it did not happen.
     */
    uint64_t vain_ns;
};

/* All zero: nothing was seen. */
struct witness {
    struct witness_connection connections[WITNESS_MAX];
    size_t count;
    uint64_t looked_ns; /* the newest look; 0: none yet */
    uint64_t proven_ns; /* when the newest ping that was answered by then was sent; 0: not known since moved_ns */
    uint64_t moved_ns;  /* when the route was led to the path in use; 0: it stood already */
    uint64_t
        missed_ns; /* when the first lost ping since the path last answered steadily was sent; 0: it answers */
};

/* The path in use, and the settings by which it is judged. */
struct witness_path {
    bool answers; /* it is up, and its newest ping was answered */
    uint64_t
        first_missed_ns; /* when the first of a row of lost pings was sent; 0: the newest one was answered */
    uint64_t proven_ns;  /* when the newest answered ping was sent; 0: none was */
    bool doubtful;       /* its pings nearly prove that it loses too much (health_is_doubtful()) */
    uint64_t window_ns;
    uint64_t select_timeout_ns;
};

enum witness_says {
    WITNESS_NONE,     /* there is no connection, or nobody has looked for a window */
    WITNESS_IDLE,     /* nothing to be said */
    WITNESS_PROGRESS, /* data were acknowledged within the last window */
    WITNESS_STALLED,  /* data wait since a window, and no connection makes progress */
};

struct witness_verdict {
    enum witness_says says;
    uint64_t
        contradicted_ns; /* the lost pings since then are contradicted; 0: there are none, or they are not */
    bool doubtful;       /* stalled while pings are answered */
    bool held_up;        /* the path is doubtful, and the vain_ns of a connection is within the last window */
};

/*
 * All connections that are open now, the first WITNESS_MAX of them. Of the path proven_ns and select_timeout_ns are read.
 * now_ns: not after the look.
 */
void witness_look(struct witness *witness, const struct witness_sample *samples, size_t count,
                  const struct witness_path *path, uint64_t now_ns);
/* The route leads elsewhere from now on. */
void witness_moved(struct witness *witness, uint64_t now_ns);

struct witness_verdict witness_judge(struct witness *witness, const struct witness_path *path,
                                     uint64_t now_ns);

const char *witness_text(enum witness_says says); /* "none", "idle", "progress", "stalled"; static */
