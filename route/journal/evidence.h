/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence in the form that the journal keeps. Pure. Points in time are on the agent's clock.
 *
 * A path that answers has newer times with every reply, which say nothing new. So they are not times here but
 * EVIDENCE_NOW, for as long as the selector could not tell the difference; a reader of evidence puts the
 * moment of his decision there. Thus the evidence of a quiet hour does not change.
 */
#pragma once

#include "route/decide/selector.h"

#define EVIDENCE_NOW NEVER_NS

struct journal_access {
    struct access_evidence evidence;
    char uuid[SESSION_UUID_SIZE]; /* for people */
};

struct journal_host {
    struct host_evidence evidence;
    /* Of struct selector, which remembers misses that no line has told of. */
    uint64_t doubt_since_ns, asked_since_ns;
};

/* Does it answer, as far as is known? */
bool evidence_answers(const struct path_evidence *path);

/* The paths of input as the journal keeps them: last_reply_ns and proven_ns may be EVIDENCE_NOW. */
void evidence_of_paths(const struct selector_input *input, struct path_evidence *paths);
/* The way back, for a decision at now_ns. */
struct path_evidence evidence_at(struct path_evidence path, uint64_t now_ns);
