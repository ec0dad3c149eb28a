/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-shot reachability of many targets.
 *
 * VERDICTS
 * Request k to a target goes out k x select-timeout after the first, as long as no reply came. The target is
 *   - reachable at the first valid reply to any of its requests;
 *   - unreachable when the window is over: select-timeout x select-count, or a shorter ping-timeout;
 *   - unreachable at once when all requests that may be sent have failed (an ICMP error, a refused send):
 *     nobody is left who could answer.
 * Before that an error ends nothing: as with fping the remaining requests are sent. An error counts as a
 * failure only if it quotes our token, so that nobody can make it up. The reason that is reported is the last
 * error, or the timeout when there was none. Results come in the order in which they are known.
 *
 * What counts is when a reply arrived (the kernel's time stamp), not when it was read. All that is queued is
 * read before a target is judged, so a process that did not run for a while loses nothing.
 *
 * WHAT IS THIS HOST'S OWN FAULT
 *   - No room to send (ENOBUFS, EAGAIN, ENOMEM): it is tried again. The target's time begins when its first
 *     request has left. If nothing can be sent for a window, and for ten seconds at least, the target that
 *     waits longest gets PROBE_SEND_FAILED with that errno: every sweep ends.
 *   - No room to receive: a target is doubtful if its waiting is over without a reply and the drop counter
 *     grew since its first request. It is asked once more, from the beginning (settings.retry_doubtful). When
 *     that ends in the same way the result says so.
 *   - A target to which this host had no room to send is doubtful as well.
 *
 * settings.rate bounds the packets a second, those to all targets together, see pacing.h.
 *
 * A sweep belongs to one thread. It allocates when targets are added, and for a drop counter that grows; never
 * per probe.
 *
 *     probe_sweep_new(&sweep, &settings, message, sizeof(message));
 *     front = probe_sweep_front(sweep);
 *     probe_sweep_take(sweep, &targets, true);      // once, before any other target
 *     probe_sweep_add(sweep, &address, &index);     // at any time, also between the steps
 *     while (!probe_sweep_done(sweep)) {
 *         front_end_step(front, NEVER_NS);          // waits for the next thing to happen, does it
 *         while (probe_sweep_next(sweep, &result))  // pull what is known by now
 *             ...
 *     }
 *     probe_sweep_free(sweep);
 */
#pragma once

#include "probe/front_end.h"

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

/* What makes it run, and what is true of all targets together. It lives as long as the sweep. */
struct front_end *probe_sweep_front(struct probe_sweep *sweep);

/*
 * Moves a list of targets into an empty sweep; their numbers are its indices. shuffled: their first requests
 * go out in random order, so that no network is hit in a row; otherwise in the order of the list. Targets
 * whose address is not known are passed over until front_end_set(). -ENOMEM, -EIO.
 */
int probe_sweep_take(struct probe_sweep *sweep, struct probe_targets *targets, bool shuffled);

/*
 * Adds a target at the end; *index counts from 0. The same address may be added more than once. Returns
 * -ENOMEM, -EAFNOSUPPORT when this host has no sockets for the family (a target of probe_sweep_take() has
 * PROBE_SEND_FAILED for that), or another error of opening them.
 */
int probe_sweep_add(struct probe_sweep *sweep, const struct address *target, uint32_t *index);

/* True when every target that was added has its result and all results have been pulled. */
bool probe_sweep_done(const struct probe_sweep *sweep);

/* Pulls one result. Returns false when none is waiting. */
bool probe_sweep_next(struct probe_sweep *sweep, struct probe_result *result);
/* The result of one target, at any time. False: not known yet; how many requests were sent is said anyway. */
bool probe_sweep_result(const struct probe_sweep *sweep, uint32_t index, struct probe_result *result);
