/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the agent only observe? By what is known of the file of `observe-file`; pure.
 *
 * The last answer counts, for as long as there is no newer one. Where there has been none nothing changes, and at the
 * start nothing is touched, but for OBSERVING_WAIT_NS only: then the agent acts. A disk that is well answers within
 * moments, and a person who has laid the file is heeded. A disk that hangs may do so for good, and an agent that never
 * acts protects nobody. So the wait is as long as it takes until a look is said to hang.
 */
#pragma once

#include "route/agent/presence.h"

#define OBSERVING_WAIT_NS PRESENCE_HANGS_NS

struct observing {
    bool holds;        /* nothing is touched */
    bool there;        /* because the file is there, by the last answer */
    bool settled;      /* there has been an answer about this file, or the wait for one is over */
    uint64_t until_ns; /* the end of that wait */
    int error;         /* why it is not known now whether the file is there; 0: it is known */
};

/* At the start: nothing is touched yet. Then observing_begin() is due. */
#define OBSERVING_START ((struct observing){.holds = true})

/* From now on it is about another file; or about none, and the agent acts. */
void observing_begin(struct observing *observing, bool has_file, uint64_t now_ns);

/* What the looks at it have found. */
void observing_take(struct observing *observing, const struct presence_report *report, uint64_t now_ns);

/* When the wait for the first answer ends; NEVER_NS: it is over. */
uint64_t observing_deadline_ns(const struct observing *observing);
