/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The selector: which path the service route should point at, and why. Pure: no clock, no I/O, no allocation;
 * the same history gives the same decisions. The rules stand, numbered, in selector.c;
 * tests/route/test_selector.c has their rows.
 */
#pragma once

#include "route/decide/selector_memory.h"

struct selector_decision {
    bool switch_now;
    uint32_t to;  /* path, when switch_now */
    bool planned; /* nobody is waiting: probe, refresh, then move (failback, drain, pin) */
    enum selector_reason reason;
    bool doubt;                 /* probe all paths as often as the one in use */
    uint32_t candidate;         /* better path that is waited for; SELECTOR_NO_PATH: none */
    uint64_t candidate_at_ns;   /* when its hold is over; NEVER_NS: not known */
    uint64_t candidate_hold_ns; /* its hold, damping included */
    uint32_t want_full_size;    /* untested path to test with a full-size probe now; SELECTOR_NO_PATH: none */
    uint64_t again_ns;          /* decide again at this time at the latest, without new evidence; NEVER_NS */
};

void selector_decide(struct selector *selector, const struct selector_input *input,
                     struct selector_decision *decision);

/*
 * Rule 10: until when a path that was left comes after all others that work as well; 0: it was not left, or is in use, or
 * there is no route.
 */
uint64_t selector_stay_over_ns(const struct selector *selector, const struct selector_input *input,
                               uint32_t path);

/*
 * Rules 4 and 6: does a path lose so much over the hold that it is not returned to, nor fled to from a degraded one? More
 * than 1 %, and more than the current path.
 */
static inline bool selector_loses(uint32_t loss_ppm, uint32_t current_loss_ppm)
{
    return loss_ppm > 10000 && loss_ppm > current_loss_ppm;
}
