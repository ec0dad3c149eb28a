/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every study does alike: ends at Ctrl-C with what is known so far, says how long it will take, reads
 * lists and settings from its options.
 */
#pragma once

#include <cjson/cJSON.h>

#include "probe/base.h"

/*
 * From now on SIGINT, SIGTERM and SIGHUP only set a mark, and end a system call that waits; a second one ends
 * the process. study_interrupted() is the signal, 0: there was none. A study that was interrupted prints what
 * it has and exits with 128 + the signal.
 */
void study_catch_signals(void);
int study_interrupted(void);

/* One line on standard error while a study runs, if that is a terminal. All zero to begin with. */
struct study_progress {
    uint64_t began_ns, shown_ns;
    bool shown;
};

/*
 * `done` of `total` is done, in a unit of the study's own (best: expected seconds), and this is what happens
 * now. Draws at most five times a second. study_progress_end() wipes the line away.
 */
void study_progress(struct study_progress *progress, double done, double total, const char *format, ...)
    PRINTF_LIKE(4, 5);
void study_progress_end(struct study_progress *progress);

/*
 * Cuts a list at its commas: calls take(context, item) for each. 0, or the first error of it; -EINVAL for an
 * empty item.
 */
int study_list(const char *list, int (*take)(void *context, const char *item), void *context);

/* Where this ran, in one line for people: the kernel and how many CPUs there are. Returns buffer. */
const char *study_host(char *buffer, size_t size_bytes);

/* Prints a document and frees it. */
void study_print_json(cJSON *document);

/*
 * Where a program or script of ours is that studies start: the file `built` seen from the folder of this
 * program when that is there, else `installed`. Writes the path to buffer and returns it.
 */
const char *study_program(const char *built, const char *installed, char *buffer, size_t size_bytes);

/*
 * "0.1x10" or "100msx10": select-timeout (1 ms to an hour, as quantity_time_argument() reads it) and
 * select-count (1 to 1,000,000). 0 or -EINVAL.
 */
struct study_setting {
    uint64_t select_timeout_ns;
    uint32_t select_count;
};
int study_setting(struct study_setting *out, const char *text);

/* The same setting as text, "0.1x10". Returns buffer. */
#define STUDY_SETTING_SIZE 32
const char *study_setting_text(const struct study_setting *setting, char buffer[static STUDY_SETTING_SIZE]);
