/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper behind a FIB that is slow: it lives in a thread of its own, and is asked and answers by messages. For
 * guard.c alone; all functions are for its thread.
 *
 * ONE JOB AT A TIME: a look, or a move. Besides, one look and one move can wait; the newest move takes the place of one
 * that waits. A look begins only when all answers were pulled: what it is told of the path in use is true then.
 *
 * WHAT IS NOT KNOWN IS NO ANSWER. A command that hangs, or says what nobody understands, is tried again, with a pause
 * that grows. Before the table could be read once, nothing is moved: there may be a route to adopt.
 *
 * A look that is under way is given up for a move. A move is not: half of it may be done.
 *
 * THE END waits for a change that is under way, and makes one again that did not come to its end: in between there may be
 * no route at all.
 */
#pragma once

#include "route/keeper/keeper.h"

struct keeper_worker;

/* What was known when the last job ended. */
struct worker_report {
    struct keeper_report keeper;
    struct address owned; /* see fib_own() */
};

/* Starts the thread around this keeper, which is its own from now on. 0 or a negative errno: it is still the caller's. */
int keeper_worker_new(struct keeper_worker **out, struct keeper *keeper, struct fib *fib);
/* As guard_end(). */
bool keeper_worker_end(struct keeper_worker *worker, const struct keeper_hop *in_use, uint64_t wait_ns);
/* Waits for nothing, if it has not been ended before. Returns NULL. */
struct keeper_worker *keeper_worker_free(struct keeper_worker *worker);

/* These as the functions of the guard that are named so. */
void keeper_worker_want(struct keeper_worker *worker, const struct keeper_wish *wish);
void keeper_worker_unwant(struct keeper_worker *worker);
void keeper_worker_want_still(struct keeper_worker *worker);
bool keeper_worker_wish(struct keeper_worker *worker, struct keeper_wish *wish);

/* As keeper_follow(), from the next job on. */
void keeper_worker_follow(struct keeper_worker *worker, bool follow_only);

/*
 * Asks for a look when one is `due`; else only says how the path in use is now, to a look that waits. in_use: NULL:
 * none. False: it is busy, or has answers that come first.
 */
bool keeper_worker_look(struct keeper_worker *worker, const struct keeper_hop *in_use, bool due);

bool keeper_worker_next_event(struct keeper_worker *worker, struct keeper_event *event);
/* As fib_own(); before the first job. */
void keeper_worker_own(struct keeper_worker *worker, const struct address *next_hop);

/* Takes what rang at fd, too. */
void keeper_worker_report(struct keeper_worker *worker, struct worker_report *report);
int keeper_worker_fd(const struct keeper_worker *worker);
