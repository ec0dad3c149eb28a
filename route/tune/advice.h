/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which select-timeout and select-count a record speaks for: the fastest pair that takes a working path for a dead one
 * at most so often, as far as can be said with 95 %. Pure.
 *
 * What was never seen cannot be fitted, and to see by watching alone that something happens less than once in ten
 * years takes thirty. So one thing is assumed here that `bench tune` does not assume: a run of misses that is longer
 * than all that were seen goes on from one request to the next like a coin that is thrown, with one half. Where nothing
 * is ever lost a month of watching then speaks for a count of six.
 *
 * A day and a night are watched before anything is said: what happens every night has been seen then. That goes for each
 * select-timeout: its evidence begins anew when requests begin to leave faster. When the present week errs more often
 * than the month lets expect, it is believed, and the month is not.
 */
#pragma once

#include "route/tune/pair.h"
#include "route/tune/record.h"

#define ADVICE_WATCH_S        (24 * 3600.0)
#define ADVICE_FALSE_PER_YEAR 0.1

struct advice_pair {
    uint64_t select_timeout_ns;
    uint32_t select_count;
};

static inline bool advice_same_pair(const struct advice_pair *a, const struct advice_pair *b)
{
    return a->select_timeout_ns == b->select_timeout_ns && a->select_count == b->select_count;
}

struct advice_limits {
    uint64_t least_ns, most_ns; /* of the window */
    uint64_t timeout_most_ns;   /* of the select-timeout */
};

struct advice {
    struct advice_pair pair;  /* a count of 0: there is none yet */
    struct estimate estimate; /* of the pair; `high` holds with 95 % */
    double watched_s;         /* the path, by the month's record */
};

static inline uint64_t advice_window_ns(const struct advice_pair *pair)
{
    return pair->select_timeout_ns * pair->select_count;
}

/* From the failure to the verdict, at most. */
static inline uint64_t advice_detection_ns(const struct advice_pair *pair)
{
    return advice_window_ns(pair) + pair->select_timeout_ns / 2;
}

/* How long the path is to be watched more before anything is said; 0: long enough. */
double advice_needs_s(const struct record *record);

/*
 * How often at most (with 95 %) a year a window errs whose requests leave at any pace that was watched: more requests
 * in the same time only add answers. INFINITY: nobody knows.
 */
double advice_high(const struct record *record, uint64_t window_ns);

/*
 * How the advised window is best kept, when the agent may choose: by the shortest select-timeout of the list that is
 * least_ns or more and in which nearly all requests are answered. The configured one, if that is shorter or none is. So
 * the evidence becomes finer.
 */
struct advice_pair advice_finest(const struct record *record, const struct advice *advice, uint64_t least_ns,
                                 uint64_t configured_ns);

/* A search: so that nothing waits for it, one select-timeout a step. All zero: to begin. */
struct advice_search {
    size_t next;
    struct advice best;
};
/* True when it is over: the answer is in search->best. */
bool advice_search_step(struct advice_search *search, const struct record *record,
                        const struct advice_limits *limits);
