/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay: the real selector over a history, with the settings of its host or with others. Pure; time is the
 * history's.
 */
#pragma once

#include "route/journal/history.h"
#include "route/journal/tally.h"

#define REPLAY_AS_RECORDED NEVER_NS

struct replay_settings {
    bool follow;             /* decide nothing: what did the host do? The others are not looked at then */
    uint64_t hold_ns;        /* REPLAY_AS_RECORDED: the host's */
    uint64_t damping_max_ns; /* REPLAY_AS_RECORDED: the host's; hold_ns or less: no damping */
    bool without_sessions;   /* what the cluster said does not count */
    bool without_witness;    /* nor does what the host's own connection said */
};

/* Fills *tally (all zero before; tally_clear() afterwards). -ENOMEM, -E2BIG: it asks for more decisions
 * than an agent makes in a journal's time, and could go on for hours. */
int replay_run(const struct history *history, const struct replay_settings *settings, struct tally *tally);

/* Why it failed, in words. */
const char *replay_error_text(int error);

/*
 * A real agent carries out a decision, and writes it down, a moment after its time had come. Two switches
 * that are no further apart than this are the same one.
 */
#define REPLAY_SLACK_NS (50 * NS_PER_MS)

/* Are these the same switches? The index of the first that is not, in either; -1: all are. */
long replay_first_difference(const struct tally *a, const struct tally *b);
