/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pulse of a session: its alive_sec, list after list. Pure. The essay is in pulse.c.
 */
#pragma once

#include "probe/base.h"

/* Lists lag behind each other; a birth that moves by more than this means something else. */
#define PULSE_SLACK_NS (15 * NS_PER_S)

/* All zero: never heard. Written by the functions below only. */
struct pulse {
    bool heard;
    uint64_t newest_sec; /* largest alive_sec on this track */
    int64_t birth_ns; /* now - alive_sec, as it was heard last on this track; may be before the clock began */
    unsigned doubts;  /* values in a row that left the track and go on among themselves */
    uint64_t doubted_sec, doubted_ns; /* the newest of them */
};

enum pulse_word {
    PULSE_STILL,   /* on its track, but no larger than before: an old list */
    PULSE_MOVED,   /* on its track, and larger: news */
    PULSE_DOUBTED, /* off its track: not believed yet */
    PULSE_ANEW,    /* off its track, and goes on from there: it began anew since the last news */
    PULSE_STEPPED, /* off its track, and goes on from there: the cluster's clock stepped */
};

/* Notes that a list of now_ns has this value, be it news or not. */
void pulse_note(struct pulse *pulse, uint64_t alive_sec, uint64_t now_ns);

/*
 * What the value means, after pulse_note(). news_ns: when the last list came that was news (NEVER_NS: none
 * yet).
 */
enum pulse_word pulse_read(const struct pulse *pulse, uint64_t alive_sec, uint64_t now_ns, uint64_t news_ns);

/* The value is believed: from now on this is its track. */
void pulse_follow(struct pulse *pulse, uint64_t alive_sec, uint64_t now_ns);

/* now_ns - alive_sec; may be before the clock began. */
int64_t pulse_birth_ns(uint64_t alive_sec, uint64_t now_ns);
