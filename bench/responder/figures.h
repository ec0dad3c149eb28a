/* SPDX-License-Identifier: Apache-2.0 */
/* What a responder counts. */
#pragma once

#include "bench/responder/model.h"

/* Of one rule. Every request ends in exactly one of the verdicts; what was made of it later is below. */
struct responder_counters {
    uint64_t requests;
    uint64_t verdicts[RESPONDER_VERDICTS];
    uint64_t spiked, late, reordered, duplicates, corrupt, truncated, wrong_source;
    uint64_t overflows; /* answers not sent: too many bytes were pending */
};

#define RESPONDER_LATENESS_BUCKETS 640 /* 16 to each doubling of nanoseconds */

/* Of the device as a whole. */
struct responder_figures {
    uint64_t other;                                /* packets that are no intact echo request */
    uint64_t write_failures;                       /* answers that the device did not take */
    uint64_t forgotten;                            /* addresses whose memory was given to another one */
    uint64_t pending, pending_most;                /* answers that wait for their time */
    uint64_t busy_ns;                              /* CPU time used */
    uint64_t lateness[RESPONDER_LATENESS_BUCKETS]; /* of answers with a delay: written, minus due, in ns */
    uint64_t lateness_most_ns;
};

/*
 * The lateness below which this share (0..1) of the delayed answers was, in ns, at most 7 % too high; 0
 * without any.
 */
uint64_t responder_lateness_ns(const struct responder_figures *figures, double share);

/* Counts an answer that was written so long after its time. */
void responder_lateness_note(struct responder_figures *figures, uint64_t late_ns);
