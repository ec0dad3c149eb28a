/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `reroute report --watch` remembers of each target from one round to the next, and the lines that tell
 * what has changed. 8 bytes a target.
 */
#pragma once

#include "tools/report/line.h"

struct report_watch {
    uint64_t *states; /* since when on CLOCK_MONOTONIC, and in the lowest bit: reachable; 0: not known yet */
    uint64_t rounds, changes;
};

/* -ENOMEM. All zero is a watch that has not been begun, which clear() takes too. */
int report_watch_init(struct report_watch *watch, uint32_t count);
void report_watch_clear(struct report_watch *watch);

/*
 * Takes the outcome of a target in this round, REPORT_REACHABLE or REPORT_UNREACHABLE, and returns what it
 * was before; REPORT_UNFINISHED: not known. A change is written as a line, for people or as JSON.
 */
enum report_outcome report_watch_take(struct report_watch *watch, struct report_writer *writer,
                                      const struct report_view *view, uint32_t index,
                                      enum report_outcome outcome);

/* The last line for people: for how long, what has changed, how it is now. */
void report_watch_summary(struct report_writer *writer, const struct report_watch *watch,
                          const struct report_view *view);
