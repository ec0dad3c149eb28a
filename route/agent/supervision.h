/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a supervisor does with its agent, and when. Pure: the time is an argument, on one clock that does not jump.
 *
 *   it ends well                the supervisor ends too
 *   it ends badly               started again after 1 s, then 2, 4, ... 30 s; 1 s again after a run of a minute
 *   it has not spoken for 10 s  killed (90 s before its first word); then as if it had ended badly
 *   it was told to end          killed when it has not done so after 45 s: it may wait 30 s for a route command
 *   a supervisor was killed     the next one ends the agent that it has left, as one that is told to end, and only then
 *                               starts its own
 *
 * A supervisor that was not running itself (a machine that stood still) judges nobody by that time.
 */
#pragma once

#include "probe/base.h"

#define SUPERVISION_WATCHDOG_NS (10 * NS_PER_S)
#define SUPERVISION_FIRST_NS    (90 * NS_PER_S) /* for its first word */
#define SUPERVISION_STOP_NS     (45 * NS_PER_S)
#define SUPERVISION_LOOK_NS     (100 * NS_PER_MS) /* how often it is looked whether one that was left has ended */
#define SUPERVISION_AGAIN_NS    (1 * NS_PER_S)
#define SUPERVISION_MOST_NS     (30 * NS_PER_S)
#define SUPERVISION_STEADY_NS   (60 * NS_PER_S)
#define SUPERVISION_LATE_NS     (1 * NS_PER_S) /* who looks so much too late was not running */

enum supervision_act { SUPERVISION_WAIT, SUPERVISION_START, SUPERVISION_END, SUPERVISION_KILL };

struct supervision {
    bool runs, stopping, killed;
    bool watched;        /* it can say that it lives */
    uint64_t started_ns; /* of the run, or of the last one */
    uint64_t heard_ns;   /* its last word; NEVER_NS: none in this run */
    uint64_t due_ns;     /* supervision_due() is to be asked then; NEVER_NS: there is nothing to wait for */
    uint64_t again_ns;   /* how long the next start waits */
    uint64_t restarts;   /* since the supervisor began */
    uint64_t
        left_ns; /* since then one that another supervisor has left has time to end; NEVER_NS: none has been met
                         since the last start */
};

/* A start is due at once. watched: false where agents have no way to speak; then none is killed for its silence. */
void supervision_begin(struct supervision *supervision, bool watched, uint64_t now_ns);
/* What is to be done now. Whoever gets START starts one, and says so by _started(), or by _ended() in vain. */
enum supervision_act supervision_due(struct supervision *supervision, uint64_t now_ns);
void supervision_started(struct supervision *supervision, uint64_t now_ns);
void supervision_heard(struct supervision *supervision, uint64_t now_ns);
/* It says that it ends, whoever told it to. */
void supervision_ends(struct supervision *supervision, uint64_t now_ns);

/* It cannot be started yet, as one runs that another supervisor has left: what is to be done with that. END and KILL once
 * each. */
enum supervision_act supervision_blocked(struct supervision *supervision, uint64_t now_ns);

/* It ended, or could not be started. True: the supervisor ends too; else due_ns is when the next one is started. */
bool supervision_ended(struct supervision *supervision, bool well, uint64_t now_ns);
/* The supervisor is told to end. True: nothing runs, it ends at once; else the agent is to be told. */
bool supervision_stop(struct supervision *supervision, uint64_t now_ns);
