/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planned switch: for a failback, a drain or a pin nobody is waiting. So the new path is probed once more,
 * then the cluster is told, then the route moves.
 *
 *              decided        answers         told             moved
 *     none ---------> probe --------> tell ---------> move ----------> none
 *                      |  ^            |               |
 *              no reply|  |retry       |refused        |refused
 *                      v  |            |               |
 *                      wait <----------+---------------+
 *
 * It is abandoned in any stage when the selector does not decide for it any more. A cluster that had been told
 * by then is told again where this host enters. A failback ends when its probe is lost, which is of full size:
 * that is evidence for the selector.
 *
 * Where a person waits (all but a failback after its hold), a cluster that does not answer is not waited for
 * longer than ten seconds.
 *
 * Pure: what is known goes in with each step, and what is to be done comes out.
 */
#pragma once

#include "route/decide/selector.h"

enum planned_stage { PLANNED_NONE, PLANNED_PROBE, PLANNED_TELL, PLANNED_MOVE, PLANNED_WAIT };

/* All zero: none. Read freely, written by the functions below only. */
struct planned {
    enum planned_stage stage;
    uint32_t to;
    enum selector_reason reason;
    uint64_t begun_ns;
    uint64_t retry_ns; /* of PLANNED_WAIT */
    unsigned tries;
    bool answered; /* the last probe was */
    bool told;     /* the cluster has been told of the new access, or may have been */
};

enum planned_answer { PLANNED_NO_ANSWER, PLANNED_YES, PLANNED_NO };

struct planned_input {
    uint64_t now_ns;
    bool wanted; /* the selector decides for a planned switch, to this path and for this reason: */
    uint32_t to;
    enum selector_reason reason;
    bool can_tell;             /* there is a cluster that can be told of that path's access */
    bool asked;                /* a probe of that path is under way */
    bool moving;               /* the route is being moved */
    enum planned_answer probe; /* came since the last step */
    enum planned_answer tell;
};

enum planned_act {
    PLANNED_DO_NOTHING,
    PLANNED_DO_PROBE, /* send one request */
    PLANNED_DO_TELL,  /* tell the cluster of the new access */
    PLANNED_DO_MOVE,
};

struct planned_effects {
    uint32_t to; /* the path that all of it is about */
    enum planned_act act;
    bool probe_lost;
    bool untold;    /* it moves though the cluster could not be told */
    bool abandoned; /* the one that was under way, to `abandoned_to` */
    uint32_t abandoned_to;
    bool tell_current; /* what the cluster was told is not true */
};

void planned_step(struct planned *planned, const struct planned_input *input,
                  struct planned_effects *effects);

/* When planned_step() has to be called again without news; NEVER_NS. */
uint64_t planned_deadline_ns(const struct planned *planned);
