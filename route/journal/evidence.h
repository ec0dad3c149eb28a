/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence: what the selector is told of a path, an access and the host, in the form that the journal keeps.
 * Pure. Points in time are on the agent's clock.
 *
 * A path that answers has newer times with every reply, which say nothing new. So they are not times here but
 * EVIDENCE_NOW, for as long as the selector could not tell the difference; whoever reads evidence puts the
 * moment of his decision there. Thus the evidence of a quiet hour does not change.
 */
#pragma once

#include "route/decide/selector.h"

#define EVIDENCE_NOW NEVER_NS

struct evidence_path {
    uint32_t tier;      /* enum selector_tier */
    uint32_t state;     /* enum health_state */
    uint32_t full_size; /* enum selector_full_size */
    bool pinned, on_link, link_usable, service_bad, service_good, degraded;
    bool missing;      /* its newest requests went unanswered */
    uint32_t loss_ppm; /* over the hold */
    uint64_t up_since_ns;
    uint64_t first_missed_ns; /* of the requests that are missing */
    uint64_t last_reply_ns;   /* EVIDENCE_NOW: it answers */
    uint64_t proven_ns;       /* EVIDENCE_NOW: it answers */
};

struct evidence_access {
    uint32_t locality; /* enum selector_locality */
    uint32_t session;  /* enum session_state */
    bool unlisted;
    uint32_t restarts;
    bool drained;
    uint64_t stable_at_ns;
    uint64_t weight;
    char uuid[SESSION_UUID_SIZE]; /* for people */
};

struct evidence_host {
    bool sessions_waived, list_arrived, failback_now, pin_hard, pin_now;
    uint64_t window_ns, select_timeout_ns, hold_ns, damping_max_ns;
    uint64_t cold_deadline_ns;
    uint64_t doubt_since_ns; /* of struct selector, which remembers misses that no line has told of */
};

/* What input says of each of its paths; of the accesses and the host (without a uuid). */
void evidence_of_paths(const struct selector_input *input, struct evidence_path *paths);
void evidence_of_access(const struct selector_input *input, uint32_t access, struct evidence_access *out);
void evidence_of_host(const struct selector_input *input, const struct selector *selector,
                      struct evidence_host *out);

/* Does it answer, as far as is known? */
bool evidence_answers(const struct evidence_path *path);

/*
 * The way back, for a decision at now_ns. path->health must point to *health. Neither touches the selector's
 * memory. Of an access the session's stability is written as recorded.
 */
void evidence_apply_path(const struct evidence_path *evidence, uint64_t now_ns, struct selector_path *path,
                         struct health *health);
void evidence_apply_access(const struct evidence_access *evidence, struct selector_access *access);
void evidence_apply_host(const struct evidence_host *evidence, struct selector_input *input);
