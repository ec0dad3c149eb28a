/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path health: what a sequence of observations means for one path. Pure: every time comes from the
 * observation.
 *
 *   down       Nothing was answered that was sent in a window (select-timeout times select-count), counted from
 *              the newest request that was answered, and at least select-count requests in a row went
 *              unanswered. A timeout tells so of the select-timeout that it waited, too. An ICMP error and a send
 *              that found no way out tell it up to when the request was sent. A late reply is life.
 *   up         `rise` replies in a row. A miss that its own late reply takes back does not break the row, nor
 *              does a request that still waits.
 *   unknown    At the start a path is neither: no verdict without evidence.
 *   degraded   Up, but it loses too much: degraded_percent is far likelier than what it lost over hold (loss.h).
 *              It is clean again after a degraded_over in which it lost half of degraded_percent at most. A run of
 *              misses counts once, and once more with the request that is overtaken at its end: a single burst
 *              tells nothing of the next minute.
 *
 * A run of misses that still goes on is the business of "down". It counts for "degraded" only when a reply
 * has ended it: a long window is not cut short by it. A request that is given up after a later one was answered
 * is a loss, but no silence: it begins no run of misses.
 *
 * Between two requests at most a select-timeout counts: of a longer pause nothing is known, be it that a path is
 * asked seldom or that this process did not run.
 */
#pragma once

#include "probe/stream.h"
#include "route/decide/loss.h"

/* So many answers in a row, and a path loses nothing at present. */
#define HEALTH_LOSSLESS 15

struct health_settings {
    uint64_t select_timeout_ns;
    uint32_t select_count;
    uint32_t rise;
    uint32_t degraded_percent; /* 1..100; 100: never degraded */
    uint64_t degraded_over_ns;
    uint64_t hold_ns; /* loss_ppm is taken over this time */
};

enum health_state { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };

/* All zero: nothing known. Read freely, written by the functions below only. */
struct health {
    enum health_state state;
    bool degraded;
    uint32_t misses;          /* unanswered requests in a row */
    uint32_t replies;         /* answered ones in a row */
    uint32_t replies_before;  /* in a row before this run of misses */
    uint64_t first_missed_ns; /* when the first request of this run of misses was sent */
    uint64_t newest_ns;       /* when the newest judged request was sent; 0: none yet */
    uint64_t silent_ns;       /* from the last life to the newest judged request, pauses cut short */
    uint64_t run_since_ns;    /* when the first reply of this run of replies came, or it was clean again */
    uint64_t up_since_ns;     /* start of the present steady (up, not degraded) health; 0: it is not */
    uint64_t restored_up_ns;  /* up_since of before a restart of this process; 0: none */
    uint64_t last_reply_ns;   /* when the newest reply came; 0: never */
    uint64_t proven_ns;       /* when the newest answered request was sent; 0: never */
    uint64_t rtt_ns;          /* smoothed, RFC 6298 section 2 (alpha 1/8); 0: never measured */
    enum probe_outcome last;  /* of the newest judged request */
    struct probe_error error; /* with it */
    struct loss_span steady;  /* over hold */
    struct loss_test alarm;   /* while it is not degraded */
    struct loss_span recent;  /* over degraded_over, while it is */
};

/* What a decision reads of a path's health: a value. Times as in struct health. */
struct health_evidence {
    enum health_state state;
    bool degraded;
    bool missing;      /* its newest request went unanswered */
    bool losing;       /* one of its last HEALTH_LOSSLESS requests went unanswered, or it had not so many */
    uint32_t loss_ppm; /* health_loss_ppm() */
    uint64_t up_since_ns;
    uint64_t first_missed_ns;
    uint64_t last_reply_ns;
    uint64_t proven_ns;
};

struct health_evidence health_evidence(const struct health *health);

/* How often the path in use is asked, and in doubt each: twice in a select-timeout. In the unit of that. */
static inline uint64_t health_pace(uint64_t select_timeout)
{
    return select_timeout / 2;
}

/* One observation of a usual request of this path, or the reply to an extra one. */
void health_observe(struct health *health, const struct health_settings *settings,
                    const struct probe_observation *observation);

/*
 * It is up and not degraded, but would be if HEALTH_DOUBT_LOSSES more of its requests had been lost. So many packets has a
 * connection lost whose retransmission by timer got no answer: the segment, what was sent again at once for those behind
 * it or as a probe of the tail (RFC 8985 section 7), and the retransmission.
 */
#define HEALTH_DOUBT_LOSSES 3
bool health_is_doubtful(const struct health *health, const struct health_settings *settings);

/* The link or the address at this end is gone: down at once, whatever the window says. */
void health_link_lost(struct health *health);

/*
 * The path was steadily up since up_since_ns before this process started, and nothing speaks against it: that
 * counts when its first verdict is "up".
 */
void health_restore(struct health *health, uint64_t up_since_ns);

/* Loss in parts per million over the last hold_ns (or as long as the path is up); 0 without data. */
uint32_t health_loss_ppm(const struct health *health);

const char *health_state_text(enum health_state state); /* "unknown", "up", "down" */
