/* SPDX-License-Identifier: Apache-2.0 */
/* What rounds keep of each target and of each request. */
#pragma once

#include "probe/front_end_state.h"

#define NOBODY UINT32_MAX

/* What a request's four bytes say; from SAMPLE_FIRST on it is the round trip, in units of sample_ns. */
enum sample {
    SAMPLE_OPEN,     /* no answer (so far) */
    SAMPLE_DOUBTFUL, /* the same, and our own buffer dropped replies meanwhile */
    SAMPLE_UNSENT,   /* it did not leave for want of room on this host */
    SAMPLE_FAILED,   /* an ICMP error that cannot be made up, or no way out */
    SAMPLE_LATE,     /* answered after the window */
    SAMPLE_FIRST,
};

/* All zero is a target that has not had a turn. */
struct rounds_record {
    uint64_t left_ns;    /* when the last request left */
    uint32_t requests;   /* turns used */
    uint32_t drops_seen; /* growths of the drop counter before the last request left */
    uint32_t next;       /* in the queue `ending`, then among the results */
    uint32_t reason;
    uint32_t late;
    uint32_t duplicates;
    uint16_t refusals; /* in a row */
    bool is_sealed;    /* the reason cannot have been made up */
    bool is_done;
    bool has_error;       /* the reason is an error */
    uint16_t reply_bytes; /* of the last reply that was cut short; 0: none was */
};
_Static_assert(sizeof(struct rounds_record) <= 40, "what rounds.h promises");

struct rounds_queue {
    uint32_t head, tail;
};

struct probe_rounds {
    struct front_end front;
    uint32_t count;     /* of requests to each target */
    uint64_t period_ns; /* from one to the next */
    uint64_t window_ns;
    uint64_t sample_ns; /* the unit of samples: 1 up to a window of 4 seconds */
    uint32_t in_flight; /* how many requests to one target can be under way */
    struct rounds_record *records;
    uint32_t *samples;   /* `count` for each target */
    uint64_t *scratch;   /* two times `count`, for probe_rounds_result() */
    uint32_t open;       /* targets with an address and with turns left */
    uint16_t patience;   /* refusals in a row until a turn is given up */
    uint64_t gap_ns;     /* from one turn to the next */
    uint64_t round_ns;   /* when this round began; 0: none has */
    uint32_t held_count; /* turns that came, but found no room */
    uint64_t due_ns;     /* of the first turn that was collected last, or is held */
    uint32_t held[ENGINE_BATCH];
    struct rounds_queue ending; /* all turns used, in the order of the last one */
    struct rounds_queue ready;  /* done, not pulled */
};

static inline uint32_t *rounds_samples(const struct probe_rounds *rounds, uint32_t index)
{
    return rounds->samples + (size_t)index * rounds->count;
}

/* The first request of a target that can be under way. */
static inline uint32_t rounds_first_in_flight(const struct probe_rounds *rounds,
                                              const struct rounds_record *record)
{
    return (uint32_t)sub_sat_u64(record->requests, rounds->in_flight);
}

/* When the wait of a request is over, at the latest. */
static inline uint64_t rounds_deadline_ns(const struct probe_rounds *rounds,
                                          const struct rounds_record *record, uint32_t attempt)
{
    uint64_t before_ns = (record->requests - 1 - attempt) * (rounds->period_ns - PACING_SLACK_NS);

    return sub_sat_u64(record->left_ns, before_ns) + rounds->window_ns;
}

/* What becomes of requests: rounds_samples.c. The first four are those of struct engine_owner. */
bool rounds_lookup(void *owner, uint32_t index, uint32_t attempt, struct engine_expected *expected);
bool rounds_find(void *owner, const struct address *to, uint16_t sequence, uint32_t *index,
                 uint32_t *attempt);
void rounds_event(void *owner, const struct engine_event *event);
void rounds_refused(void *owner, const struct engine_event *event);
void rounds_keep_error(struct probe_rounds *rounds, uint32_t index, enum probe_outcome outcome,
                       const struct probe_error *error, bool sealed);
/* Marks those that are under way without an answer, if replies were dropped meanwhile. */
void rounds_mark_doubtful(struct probe_rounds *rounds, uint32_t index);
/* All that may still be answered has been. */
bool rounds_nothing_in_flight(const struct probe_rounds *rounds, uint32_t index);
/* Everything that can be known of a target is. */
void rounds_finish(struct probe_rounds *rounds, uint32_t index);
