/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the program that wants to know of changes, by a thread of its own: the event loop never waits for it.
 *
 * One run at a time. While it lasts one notice can wait, the newest: one that is handed over takes its place. A run is
 * killed after its time, with all that it started. What has become of it is told by notifier_report().
 *
 * All functions are for the loop's thread. Times are on CLOCK_MONOTONIC.
 */
#pragma once

#include "probe/base.h"

#define NOTIFIER_TEXT_SIZE 200

struct notifier;

/* What the program is run with. All of it is owned by the notice. */
struct notice {
    char *program; /* an absolute path; it gets no arguments */
    uint64_t timeout_ns;
    char *document;   /* its standard input, of COMMAND_INPUT_BYTES at most */
    char **variables; /* "NAME=VALUE", NULL at the end: its environment besides the agent's */
};

/* Returns NULL. */
struct notice *notice_free(struct notice *notice);

struct notifier_report {
    uint64_t runs;     /* that ended, or could not begin */
    uint64_t failures; /* those of them that did not end with exit code 0 */
    bool running;
    char error[NOTIFIER_TEXT_SIZE]; /* why the last run failed; empty: it did not */
};

/* Starts no thread yet. 0 or a negative errno. */
int notifier_open(struct notifier **out);
/* Waits for what runs and what waits, but for no longer than this; then kills it. Returns NULL. */
struct notifier *notifier_close(struct notifier *notifier, uint64_t wait_ns);

/* Takes *notice; NULL when there was no memory for it, which counts as a failure. */
void notifier_hand_over(struct notifier *notifier, struct notice *notice);
/* The notice that waits never runs. False: none does. */
bool notifier_take_back(struct notifier *notifier);

/* Readable when a run ended: notifier_report(), which takes that away. */
int notifier_fd(const struct notifier *notifier);
void notifier_report(struct notifier *notifier, struct notifier_report *report);
