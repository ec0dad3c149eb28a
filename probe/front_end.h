/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is the same of all that ask each of a list of targets something: is it reachable (sweep.h), how good
 * is the way there (rounds.h), which packets get through (path_mtu.h). Each gives its front end, for these
 * calls; what it is and who makes one is in front_end_state.h.
 *
 * One thread.
 */
#pragma once

#include "probe/probe.h"
#include "probe/targets.h"

struct front_end;

/* The address of a target that was taken without one, once. */
void front_end_set(struct front_end *front, uint32_t index, const struct address *address);

/*
 * One bounded round: waits (until the next deadline of its own, at the latest until `until_ns`, or until
 * the wakeup descriptor becomes readable), receives, judges, sends. Returns 0 or a negative errno that makes
 * going on useless. Returns at once when there is nothing to wait for.
 */
int front_end_step(struct front_end *front, uint64_t until_ns);

/* Ends sending: what has arrived by now is read and judged, nothing is sent. 0 or a negative errno. */
int front_end_stop(struct front_end *front);

/* The fd of a wakeup (wakeup.h), which ends a wait; it is emptied then. -1: none. */
void front_end_set_wakeup(struct front_end *front, int wakeup_fd);

/* All targets, for probe_targets_at() and their number. */
const struct probe_targets *front_end_targets(const struct front_end *front);
const struct probe_counters *front_end_counters(struct front_end *front);
/* How often something was asked again because our own buffer had dropped replies. */
uint32_t front_end_asked_again(const struct front_end *front);
const char *front_end_transport(const struct front_end *front); /* the one that runs: "epoll", "poll" */
/* After an error of a step: the call of the kernel that gave it. NULL: not known. Static text. */
const char *front_end_failed_call(const struct front_end *front);
