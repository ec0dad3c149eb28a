/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a trace says about select-timeout and select-count: detection time and false failures of every pair,
 * the frontier between them, and a recommendation. Pure.
 */
#pragma once

#include "bench/tune/clean.h"
#include "route/tune/estimate.h"
#include "route/tune/pair.h"

struct tune_settings {
    struct health_settings health; /* all but select-timeout and select-count, which are `standing` */
    double most_per_year;          /* false failovers that are acceptable */
    uint64_t window_most_us;       /* longer windows are not considered */
    uint64_t failure_us;           /* a longer silence is a true failure */
};

struct tune_pair {
    uint64_t select_timeout_us;
    uint32_t select_count;
    struct estimate estimate; /* of the path with the highest rate, but `low` and `high` are the highest of
                                 all paths */
    size_t path;              /* the one with the highest rate */
    double needed_s;          /* for so long the paths must be watched to be sure */
    double degraded_per_year; /* changes to degraded, of the path that has most */
    bool frontier;            /* no faster pair has fewer false failures */
};

#define TUNE_NO_PAIR SIZE_MAX
struct tune_result {
    struct tune_pair *pairs; /* the fastest first */
    size_t count;
    struct clean_summary *summaries; /* one for each path of the trace */
    size_t standing;                 /* the pair that the settings give; always there */
    size_t sure;                     /* the fastest whose estimate and interval are both below the limit */
    size_t likely;                   /* the fastest whose estimate is */
    size_t unseen; /* the fastest that never failed, and whose window is far longer than any round trip */
};

static inline uint64_t tune_window_us(const struct tune_pair *pair)
{
    return pair->select_timeout_us * pair->select_count;
}

static inline double tune_bound_ms(const struct tune_pair *pair)
{
    return pair_bound_ms(pair->select_timeout_us, pair->select_count);
}
static inline double tune_median_ms(const struct tune_pair *pair)
{
    return pair_median_ms(pair->select_timeout_us, pair->select_count);
}

/*
 * Cleans the paths of the trace (clean_path()) and judges them. progress() (may be NULL) is told how much
 * of the work is done, 0 to 1. 0; -ENODATA: no path ever answered; -ENOMEM. tune_clear() is due in any case.
 */
int tune_analyse(struct tune_result *result, struct trace *trace, const struct tune_settings *settings,
                 void (*progress)(void *context, double share), void *context);
void tune_clear(struct tune_result *result);

/* The pair that is recommended: sure, else likely, else the one that stands. */
size_t tune_recommended(const struct tune_result *result);
