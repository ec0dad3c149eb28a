/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard of one service's route: a keeper whose calls never wait. Behind a FIB that is quick it is just that keeper;
 * behind one that is slow (fib_is_slow()) a thread of its own does the keeper's work, see worker.h, and the answer may
 * come long after the call. Who uses it waits for the event.
 *
 * All functions are for one thread. They do what the keeper's of the same name do, and here stands what is different.
 */
#pragma once

#include "route/keeper/keeper.h"

struct guard;

/* settings->fib: a slow one is the guard's alone. 0 or a negative errno: there is no memory, or no thread. */
int guard_new(struct guard **out, const struct keeper_settings *settings);
struct guard *guard_free(struct guard *guard);
/*
 * The last call but those of events, reports and guard_free(). A change of the route that is under way comes to its end
 * before, in wait_ns at most; its answer can be pulled. in_use: as for guard_step(). False: it did not, and perhaps no
 * route stands.
 */
bool guard_end(struct guard *guard, const struct keeper_hop *in_use, uint64_t wait_ns);

/*
 * Answered by KEEPER_STANDS or KEEPER_REFUSED. Behind a slow FIB the newest wish counts: one that waits still is
 * forgotten by the next one, without an answer, and by KEEPER_ADOPTED. To wish for where a move leads that is under way is
 * to forget the one that waits. While a command does not answer it is tried again.
 */
void guard_want(struct guard *guard, const struct keeper_wish *wish, uint64_t now_ns);
/*
 * No move is wanted any more. One that waits is forgotten. One that is under way goes on, and is answered: if its command
 * does not answer it is not tried again, and KEEPER_REFUSED says so.
 */
void guard_unwant(struct guard *guard);
/* The move under way is wanted again: what guard_unwant() did to it is undone. */
void guard_want_still(struct guard *guard);
/*
 * The newest wish that has neither been forgotten nor answered by an event that was pulled: the one that waits, else the
 * one that is under way. False: there is none, as ever behind a quick FIB, which answers at once.
 */
bool guard_wish(const struct guard *guard, struct keeper_wish *wish);

void guard_step(struct guard *guard, const struct keeper_hop *in_use, bool doubt, uint64_t now_ns);
void guard_doubt(struct guard *guard);
void guard_follow(struct guard *guard, bool follow_only); /* as keeper_follow() */
bool guard_needs_source(const struct guard *guard, const struct address *address);
bool guard_next_event(struct guard *guard, struct keeper_event *event);

/* Readable when a slow FIB's answer has come: guard_step(), then pull events. -1: there is nothing to wait for. */
int guard_fd(const struct guard *guard);
uint64_t guard_deadline_ns(const struct guard *guard);

const struct keeper_report *guard_report(const struct guard *guard);
/* The command hangs, since then: KEEPER_HANGS was told. 0: it does not. */
uint64_t guard_silent_since_ns(const struct guard *guard);
/* What an earlier process noted of it. Before the first step. */
void guard_own(struct guard *guard, const struct address *next_hop);
/* The next hop of the route that is ours, where no table says so (fib_own()); empty: none, or the table does. */
const struct address *guard_owned(const struct guard *guard);
