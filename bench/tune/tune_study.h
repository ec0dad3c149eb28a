/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `reroute bench tune` share: what was asked for, and what was found. */
#pragma once

#include "bench/responder/responder.h"
#include "bench/study/study.h"
#include "bench/tune/tune_analysis.h"
#include "bench/tune/validate.h"
#include "bench/tune/watch.h"
#include "route/config/config.h"

/* The simulated network has so many paths that are watched. */
#define TUNE_SIMULATED_PATHS 3

struct tune_options {
    char **targets; /* addresses, or NULL */
    char **files;   /* traces, or NULL */
    int operand_count;
    const char *config_file, *save, *plot;
    bool simulated; /* by `profile`, not a real network */
    bool virtual_time, validate, json, csv;
    struct responder_profile profile;
    uint64_t duration_ns, interval_ns, wait_ns, seed;

    struct config *config; /* NULL: none was given */
    struct probe_settings probe;
    struct tune_settings tune;
    uint64_t hold_ns;
};

/* One setting, run for comparison. */
struct tune_validation {
    size_t pair;
    struct validate_counts counts;
    struct validate_rate rate;
    bool agrees; /* the interval that was predicted and the one that was observed overlap */
};
#define TUNE_VALIDATIONS_MAX 6

struct tune_study {
    const struct tune_options *options;
    struct responder *responder; /* of a simulated network in real time */
    struct trace trace;
    struct watch_figures figures;
    struct tune_result result;
    struct tune_validation validations[TUNE_VALIDATIONS_MAX];
    size_t validation_count;
};

/*
 * Fills the trace: from files, from the real network, or from a simulated one. Complains by itself: 0 or the
 * exit code.
 */
int tune_source(struct tune_study *study, const char *program);

/* Runs the recommended pair, and others that fail often enough to be counted. 0 or the exit code. */
int tune_validate(struct tune_study *study, const char *program);

/* "0.1x10", as other studies have it. Returns buffer. */
static inline const char *tune_pair_text(const struct tune_pair *pair, char buffer[static STUDY_SETTING_SIZE])
{
    const struct study_setting setting = {pair->select_timeout_us * NS_PER_US, pair->select_count};

    return study_setting_text(&setting, buffer);
}

/* Prints what was found. */
void tune_report_text(const struct tune_study *study, FILE *out);
void tune_report_csv(const struct tune_study *study, FILE *out);
void tune_report_json(const struct tune_study *study);
/* Draws it. 0, or a negative errno with one line in message. */
int tune_plot(const struct tune_study *study, const char *file, char *message, size_t size_bytes);
