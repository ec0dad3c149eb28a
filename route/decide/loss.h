/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a path loses: over a sliding span, and whether that has become too much. Pure: every time is handed in.
 */
#pragma once

#include "probe/base.h"

/* --- over a sliding span, in buckets of a twentieth of it --- */

#define LOSS_BUCKETS 20
/* All zero: nothing counted. */
struct loss_span {
    uint64_t begun_ns;  /* of the counting; 0: not begun */
    uint64_t bucket_ns; /* start of the newest bucket */
    unsigned newest;
    struct {
        uint32_t requests, lost;
    } buckets[LOSS_BUCKETS];
};

void loss_span_count(struct loss_span *span, uint64_t length_ns, uint64_t now_ns, uint32_t requests,
                     uint32_t lost);
/* One request that was counted as lost was only late. */
void loss_span_take_back(struct loss_span *span);
/* In parts per million; 0 without data. */
uint32_t loss_span_ppm(const struct loss_span *span);

/* --- too much --- */

/*
 * Is it too much? Two questions, and both must say so:
 *
 *   - Did a bad share of the last twenty requests get lost, or more?
 *   - Is that no chance? A sequential test: CUSUM, E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954).
 *     Each answer weighs against an alarm and each loss for it, by the logarithm of how much likelier it is at the bad
 *     share than at the usual one. The sum never falls below zero; at the threshold it is an alarm.
 *
 * The usual share is the path's own loss over a longer time, as it was when the sum began to rise. So a clean path is
 * left after few losses, and one that always loses a little is judged by that. A sum that is still no alarm after 200
 * answers begins anew: by then what it began with is no longer what is usual.
 *
 * The threshold follows from LOSS_FALSE_A_YEAR, the false alarms a year of a path that has its usual loss. Of its N
 * requests a year N * usual are lost and may begin a rise. By Wald's inequality such a rise reaches the threshold with
 * a probability of (bad / usual) * e^-threshold at most. So there are N * bad * e^-threshold at most.
 */
#define LOSS_FALSE_A_YEAR 1

/* All zero: nothing speaks for an alarm. */
struct loss_test {
    double sum;
    double usual;     /* a share: from 0.3 % to half of the bad one */
    uint32_t answers; /* since the sum began to rise */
    uint32_t newest;  /* the last requests, the newest in bit 0: was it lost? */
};

/* What a path answers and loses, in its order. bad_percent is 1..99. */
void loss_test_answer(struct loss_test *test, uint32_t bad_percent);
/*
 * So many losses in a row weigh as one: a burst tells little of what comes after it. span is what the path lost over a
 * longer time; it is taken as if ten requests with one loss had come before.
 */
void loss_test_loss(struct loss_test *test, uint32_t bad_percent, uint32_t lost,
                    const struct loss_span *span);
void loss_test_take_back(struct loss_test *test, uint32_t bad_percent); /* one loss was only a late answer */
/* Of a path that is asked at this interval. more: if so many more requests, one by one, had been lost. */
bool loss_test_alarms(const struct loss_test *test, uint32_t bad_percent, uint64_t interval_ns,
                      uint32_t more);
