/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How good is the way to each of these targets? N requests to each, one in a period, and what became of them.
 *
 * Two requests to the same target are a period apart, by less than a millisecond at most when this process
 * was late; those of different targets are spread evenly over the period, so they are no burst. With
 * settings.rate a period is at least as long as all targets need at that rate. Time in which this host could
 * not send is not made up for: everything that follows moves.
 *
 * A request is answered by a valid reply within the window (select-timeout x select-count), otherwise lost;
 * nothing is sent again. What counts is when the reply arrived (the kernel's time stamp), not when it was
 * read. A reply after the window is late, a second one a duplicate. An ICMP error that quotes our token, and
 * a send that this host has no way out for, are a loss that is known at once.
 *
 * What this host itself loses is no loss: a turn for which the kernel has no room (ENOBUFS, EAGAIN, ENOMEM)
 * is not used up, the target gets another one after the others have had their last; for ten seconds in a row
 * at most, then it is "not sent". A request that is lost while our own receive buffer dropped replies is
 * doubtful: lost, but this host may be the reason.
 *
 * One thread. Memory: 40 bytes a target and 4 for each of its requests, taken at the start.
 *
 *     probe_rounds_new(&rounds, &settings, &plan, &targets, true, message, sizeof(message));
 *     front = probe_rounds_front(rounds);
 *     while (...)                                   // until all have been pulled, or at any time before
 *         front_end_step(front, NEVER_NS);          // waits for the next thing to happen, does it
 *         while (probe_rounds_next(rounds, &index)) // who is done
 *             probe_rounds_result(rounds, index, &result);
 *     probe_rounds_free(rounds);
 */
#pragma once

#include "probe/front_end.h"
#include "probe/rounds_times.h"

#define PROBE_ROUNDS_COUNT_MAX     1000000
#define PROBE_ROUNDS_PERIOD_MIN_NS (10 * NS_PER_MS)

struct probe_rounds;

struct probe_rounds_plan {
    uint32_t count;     /* requests to each target: 1 to PROBE_ROUNDS_COUNT_MAX */
    uint64_t period_ns; /* from one to the next: PROBE_ROUNDS_PERIOD_MIN_NS or more */
};

/* sent = answered + lost + waiting. Until it is done, a target's numbers are those of now. */
struct probe_rounds_result {
    bool done;
    enum probe_outcome outcome; /* PROBE_REPLY: at least one was answered; otherwise why not */
    struct probe_error error;   /* the last one that was learnt of, also when others were answered */
    uint32_t sent;
    uint32_t answered;
    uint32_t lost;     /* their wait is over */
    uint32_t waiting;  /* may still be answered; 0 when the target is done */
    uint32_t unsent;   /* turns that were given up for want of room on this host */
    uint32_t doubtful; /* of those that are lost */
    uint32_t late;
    uint32_t duplicates;
    uint32_t reply_bytes; /* payload of the last reply that was cut short; 0: none was */
    bool has_error;       /* error has something to say */
    enum probe_outcome error_outcome;
    struct probe_rounds_times times;
};

/*
 * Opens the sockets and, on success, moves the list of targets in; their numbers are the indices. shuffled:
 * in random order, the same in each period; otherwise in that of the list. Those whose address is not known
 * have their turns from front_end_set() on. settings.ping_timeout_ns and .single_request have no meaning
 * here. Errors as for probe_sweep_new(), and -ENOMEM.
 */
int probe_rounds_new(struct probe_rounds **out, const struct probe_settings *settings,
                     const struct probe_rounds_plan *plan, struct probe_targets *targets, bool shuffled,
                     char *message, size_t size_bytes);
/* The same over a transport that is there already, which the rounds take over (also on failure). */
struct transport;
int probe_rounds_new_over(struct probe_rounds **out, const struct probe_settings *settings,
                          const struct probe_rounds_plan *plan, struct probe_targets *targets, bool shuffled,
                          struct transport *transport);
struct probe_rounds *probe_rounds_free(struct probe_rounds *rounds);
DEFINE_CLEANUP(struct probe_rounds *, probe_rounds_free)

/* What makes it run, and what is true of all targets together. Once it is stopped, results are those of then. */
struct front_end *probe_rounds_front(struct probe_rounds *rounds);

/* Pulls the index of one target that is done. False: none is waiting. */
bool probe_rounds_next(struct probe_rounds *rounds, uint32_t *index);
/* What is known of a target now. False: nothing, not a single request has been made. */
bool probe_rounds_result(struct probe_rounds *rounds, uint32_t index, struct probe_rounds_result *result);
