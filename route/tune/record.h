/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was seen of a path while it was in use, in a few KiB. Pure: every time is handed in.
 *
 * A trace of weeks would be too much to keep. Of each select-timeout of a short list only this is kept: for how long
 * the path was watched, and how often runs of unanswered requests reached each length (route/tune/estimate.h makes
 * rates of it). Most requests are answered at once and say nothing more than that time has passed. The others are
 * kept, with their neighbours, until all is calm again. Then this stretch is judged for every select-timeout by the
 * same replay that `bench tune` uses (detect.h), and forgotten. So:
 *
 *   - A request that is overtaken by a later one is a loss but no silence, as in path health.
 *   - A stretch is one cause, however many runs of misses are in it. Counts and squares of counts are summed, which
 *     is all that Kish's effective sample size asks for.
 *   - Of a longer select-timeout than the one in force the requests hold several histories; all are judged.
 *   - Of a shorter one they hold too few requests. What lies between two requests is taken to be as bad as the worse
 *     of them, and the time that was watched counts less, by how many requests were missing. All of that is forgotten
 *     when requests begin to leave faster, and is not asked for while there is better.
 *   - A silence during which the path was left is known by its ends only. So many requests fell into it.
 *   - A silence that lasts longer than the longest window that is allowed is a failure, which says nothing here.
 *
 * Only the path in use is asked often enough to say anything of runs.
 *
 * Two spans are remembered: the last month or so, of which older evidence fades by ninths, as does how sure it makes; and
 * a week, which begins anew when it is over. When a whole week had far more or far fewer runs of some length than the
 * month, the network has changed, and the month is as this week was.
 */
#pragma once

#include "probe/stream.h"
#include "route/tune/estimate.h"
#include "route/tune/request.h"

#define RECORD_TIMEOUTS 8
#define RECORD_LEVELS   48
#define RECORD_ROWS     256

extern const uint32_t record_timeouts_ms[RECORD_TIMEOUTS]; /* the shortest first */

/* Runs of misses of one select-timeout. */
struct record_tail {
    uint64_t
        interval_ns;  /* of the requests that told of it, or its own pace if they left faster; 0: none did */
    double watched_s; /* as many requests of its own pace were seen as fit into this */
    struct {
        float count, squares;
    } levels[RECORD_LEVELS]; /* [n - 1]: of runs that reached n, summed over stretches */
};

enum record_span { RECORD_MONTH, RECORD_WEEK, RECORD_SPANS };

/* All zero: nothing was seen. */
struct record {
    struct record_span_memory {
        double watched_s;
        struct record_tail tails[RECORD_TIMEOUTS];
    } spans[RECORD_SPANS];
    uint64_t silent_ns; /* since when the path is silent, if it is not watched any more; 0: it is not */
    bool left;          /* and the route has left it because of that, and did not come back yet */
};

/* The stretch of the path in use that is not judged yet. All zero: nothing was seen. */
struct record_watch {
    uint64_t interval_ns; /* between two requests */
    uint64_t base_ns;     /* the times of the rows count from here */
    struct trace_request rows[RECORD_ROWS];
    size_t count;
    bool stirred;        /* a row was not answered at once */
    size_t calm;         /* so many were, since */
    uint64_t newest_ns;  /* when the newest request left; 0: none yet */
    uint64_t watched_ns; /* not in the record yet */
};

/*
 * A usual observation of the path in use, which is asked every interval_ns. failure_ns: a longer silence is a
 * failure. A path to which the route came back before it answered (a person pinned it) was no false failover: nobody
 * knows whether to wait would have been right. Its silence counts as one.
 */
void record_observe(struct record *record, struct record_watch *watch, uint64_t interval_ns,
                    const struct probe_observation *observation, uint64_t failure_ns);

/*
 * The path is not in use any more, or is asked at another pace from now on. down: the route left it because it was
 * silent.
 */
void record_leave(struct record *record, struct record_watch *watch, bool down);

/*
 * A path that is not in use has answered. True: the route had left it, and the silence was shorter than failure_ns. To
 * wait would have been right, so the failover was false. What was known before tells nothing of the present any more
 * and is forgotten; the record begins anew with this silence.
 */
bool record_answered(struct record *record, uint64_t now_ns, uint64_t failure_ns);

/* So much time passed in which all requests, one every interval_ns, were answered at once. */
void record_watched(struct record *record, uint64_t watched_ns, uint64_t interval_ns);

/* What is known of one select-timeout of the list. */
struct estimate_tail record_tail_of(const struct record *record, enum record_span span, size_t timeout);
