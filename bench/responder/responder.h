/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network that misbehaves on command.
 *
 * The responder answers ICMP echo requests for any number of addresses on a TUN device of its own. What
 * happens to each request follows from a profile, one string such as "nested,loss=5%,duplicate=0.1%"; each
 * prefix of addresses may have another one. With the same seed the same requests in the same order meet the
 * same fate.
 *
 * Three layers, each usable without the ones below it: profiles and rules (text to data), the model (what
 * becomes of this request; pure), and the running responder (device, pending answers, counters).
 */
#pragma once

#include "bench/responder/figures.h"
#include "bench/responder/settings.h"

struct responder;

/*
 * Makes the device in the calling thread's network namespace, brings it up, adds addresses and routes. From
 * now on requests queue up in it (some 250,000). The device is gone when the responder is closed, in all
 * processes that have it. 0, or a negative errno with one line in message.
 */
int responder_open(struct responder **out, const struct responder_settings *settings, char *message,
                   size_t size_bytes);

/*
 * Answers in a process of its own, so that its CPU time is not ours; it ends with this one, also when this
 * one is killed. responder_stop() ends it and waits. 0 or a negative errno.
 */
int responder_start(struct responder *responder);
int responder_stop(struct responder *responder);

struct responder *responder_close(struct responder *responder);
DEFINE_CLEANUP(struct responder *, responder_close)

/*
 * The rules as they are matched (the last is for all that no other one covers), their counters in the same
 * order, and the device's figures; valid until close and up to date at any time, in the process that opened
 * it too.
 */
const struct responder_rule *responder_rules(const struct responder *responder, size_t *count);
const struct responder_counters *responder_counters(const struct responder *responder);
const struct responder_figures *responder_figures(const struct responder *responder);

/* Requests that the kernel dropped because the device's queue was full; a negative errno. */
int64_t responder_queue_drops(struct responder *responder);

/* Writes everything that was counted as one line of JSON (schema reroute.responder/1). */
void responder_write_json(struct responder *responder, FILE *out);
