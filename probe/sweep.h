/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-shot reachability of many targets.
 *
 * For each target request k goes out k x select-timeout after the first as long as no reply came; the target
 * is reachable at the first valid reply to any of its requests, unreachable when the window is over:
 * select-timeout x select-count, or ping-timeout when that is set and shorter. Results come as they are
 * known, in that order: who waits for a dead target does not hold up a live one.
 *
 * What counts is when a reply arrived (the kernel's time stamp), not when it was read: everything that is
 * queued is read before a target is judged, so a process that was not running for a while loses nothing.
 *
 * An ICMP error or a refused send does not end a target's waiting while there is hope: as with fping, the
 * remaining requests are sent, and a reply to any of them makes it reachable. Only when the last request that
 * may be sent has failed as well, like every one before it, is the target unreachable at once: nobody is left
 * who could answer. (An error counts for that only if it quotes our token, so that it cannot be made up.) The
 * reason that is reported is the last error, or the timeout when there was none.
 *
 * A send for which this host has no room (ENOBUFS, EAGAIN, ENOMEM) is tried again; the target's time begins
 * when the first request has left. If nothing at all can be sent for a whole window, and for ten seconds at
 * least, the target that waits longest gets PROBE_SEND_FAILED with that errno, so that every sweep ends.
 *
 * Replies that our own full buffer dropped are no evidence about a target. A target is doubtful if its
 * waiting is over without a reply and the drop counter grew since its first request. It is asked once more,
 * from the beginning (settings.retry_doubtful). When that ends in the same way, the result says so. A target
 * to which this host had no room to send is doubtful as well.
 *
 * settings.rate bounds the packets a second, those to all targets together, see pacing.h.
 *
 * A sweep belongs to one thread. It allocates when targets are added, never per probe.
 *
 *     probe_sweep_new(&sweep, &settings, message, sizeof(message));
 *     probe_sweep_take(sweep, &targets, true);      // once, before any other target
 *     probe_sweep_add(sweep, &address, &index);     // at any time, also between the steps
 *     while (!probe_sweep_done(sweep)) {
 *         probe_sweep_step(sweep, NEVER_NS);        // waits for the next thing to happen, does it
 *         while (probe_sweep_next(sweep, &result))  // pull what is known by now
 *             ...
 *     }
 *     probe_sweep_free(sweep);
 */
#pragma once

#include "probe/probe.h"
#include "probe/targets.h"

struct probe_sweep;

struct probe_result {
    uint32_t index; /* as probe_sweep_add() gave it */
    enum probe_outcome
        outcome;              /* PROBE_REPLY: reachable. Otherwise why not: the last thing that was learnt */
    struct probe_error error; /* of a reply: only reply_bytes */
    uint64_t rtt_ns;          /* of the reply; PROBE_REPLY only */
    uint32_t requests;        /* how many were sent */
    bool doubtful;            /* not reachable, but this host may be the reason */
};

/*
 * Opens the sockets. On failure returns a negative errno (-EACCES: neither ping sockets nor raw sockets are
 * allowed; -EINVAL: settings) and one line in message; *out stays NULL.
 */
int probe_sweep_new(struct probe_sweep **out, const struct probe_settings *settings, char *message,
                    size_t size_bytes);
/* The same over a transport that is there already, which the sweep takes over (also on failure). */
struct transport;
int probe_sweep_new_over(struct probe_sweep **out, const struct probe_settings *settings,
                         struct transport *transport);
struct probe_sweep *probe_sweep_free(struct probe_sweep *sweep);
DEFINE_CLEANUP(struct probe_sweep *, probe_sweep_free)

/*
 * Moves a list of targets into an empty sweep; their numbers are its indices. shuffled: their first requests
 * go out in random order, so that no network is hit in a row; otherwise in the order of the list. Targets
 * whose address is not known are passed over until probe_sweep_set(). -ENOMEM, -EIO.
 */
int probe_sweep_take(struct probe_sweep *sweep, struct probe_targets *targets, bool shuffled);
void probe_sweep_set(struct probe_sweep *sweep, uint32_t index, const struct address *address);

/*
 * Adds a target at the end; *index counts from 0. The same address may be added more than once. Returns
 * -ENOMEM, -EAFNOSUPPORT when this host has no sockets for the family (a target of probe_sweep_take() has
 * PROBE_SEND_FAILED for that), or another error of opening them.
 */
int probe_sweep_add(struct probe_sweep *sweep, const struct address *target, uint32_t *index);

/* All targets, for probe_targets_at() and their number. */
const struct probe_targets *probe_sweep_targets(const struct probe_sweep *sweep);

/* True when every target that was added has its result and all results have been pulled. */
bool probe_sweep_done(const struct probe_sweep *sweep);

/*
 * One bounded round: waits (until the next deadline of its own, at the latest until `until_ns`, or until
 * wakeup_fd becomes readable), receives, judges, sends. Returns 0 or a negative errno that makes going on
 * useless. Returns at once when there is nothing to wait for.
 */
int probe_sweep_step(struct probe_sweep *sweep, uint64_t until_ns);

/* The fd of a wakeup (wakeup.h), which ends a wait; the sweep empties it then. -1: none. */
void probe_sweep_set_wakeup(struct probe_sweep *sweep, int wakeup_fd);

/* Pulls one result. Returns false when none is waiting. */
bool probe_sweep_next(struct probe_sweep *sweep, struct probe_result *result);
/* The result of one target, at any time. False: not known yet; how many requests were sent is said anyway. */
bool probe_sweep_result(const struct probe_sweep *sweep, uint32_t index, struct probe_result *result);

/* How many targets were asked again because our own buffer had dropped replies. */
uint32_t probe_sweep_asked_again(const struct probe_sweep *sweep);

const struct probe_counters *probe_sweep_counters(const struct probe_sweep *sweep);
const char *probe_sweep_transport(const struct probe_sweep *sweep); /* the one that runs: "epoll", "poll" */
