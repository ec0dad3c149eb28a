/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sweep of many targets on several CPUs: the same results as one sweep's (sweep.h), from one or more
 * workers, in one stream.
 *
 * The caller's thread is the first worker, it works in probe_pool_step(); each further one is a thread. A
 * pool of one has no thread and costs nothing beyond its sweep. Every function is for the caller's thread
 * only; the descriptor of probe_pool_wakeup() may be written by any thread and by a signal handler.
 *
 *     probe_pool_new(&pool, &settings, 0, &targets, true, message, sizeof(message));
 *     while (!probe_pool_done(pool)) {
 *         probe_pool_step(pool, NEVER_NS);
 *         while (probe_pool_next(pool, &result))
 *             ...
 *     }
 *     probe_pool_stop(pool);
 *     ... probe_pool_result(), probe_pool_counters() ...
 *     probe_pool_free(pool);
 */
#pragma once

#include "probe/sweep.h"

struct probe_pool;

/*
 * Opens the sockets and, on success, moves the list of targets in; their numbers are the results' indices.
 * workers: how many there are to be; 0: as many as pay, at most one a CPU that this process may use, and one
 * when not shuffled. There are fewer when there are fewer targets, when the system gives no more sockets,
 * descriptors or threads, and over raw sockets when settings name another transport than "auto" or "epoll",
 * see pool_transports.c. shuffled: as for probe_sweep_take(), each worker by itself. Errors as for
 * probe_sweep_new(), and -ENOMEM.
 */
int probe_pool_new(struct probe_pool **out, const struct probe_settings *settings, uint32_t workers,
                   struct probe_targets *targets, bool shuffled, char *message, size_t size_bytes);
struct probe_pool *probe_pool_free(struct probe_pool *pool);
DEFINE_CLEANUP(struct probe_pool *, probe_pool_free)

/* The address of a target that was added without one, once. 0 or -ENOMEM. */
int probe_pool_set(struct probe_pool *pool, uint32_t index, const struct address *address);

/* The ring_fd of a wakeup (wakeup.h) that ends a wait of probe_pool_step(). */
int probe_pool_wakeup(const struct probe_pool *pool);

/* True when every target has its result and all results have been pulled. */
bool probe_pool_done(const struct probe_pool *pool);

/*
 * One bounded round: waits until something has happened, at the latest until `until_ns`, and does this
 * thread's share. Pull all results before the next one. The other workers begin with the first one. Returns
 * 0, or a negative errno of any worker that makes going on useless.
 */
int probe_pool_step(struct probe_pool *pool, uint64_t until_ns);

/* Pulls one result. Returns false when none is waiting. */
bool probe_pool_next(struct probe_pool *pool, struct probe_result *result);

/*
 * Begins another round over the same targets: when the results of all that have an address have been pulled,
 * and the pool has not been stopped. The results of the last round are gone; counters go on. A reply to a
 * request of a round before is late. Interfaces that were made anew meanwhile are found by their names.
 */
void probe_pool_again(struct probe_pool *pool);

/*
 * Ends probing: what has arrived by now is read and judged, nothing more is sent, the other workers end. What
 * became known by it waits to be pulled. 0 or a negative errno. May be called again.
 */
int probe_pool_stop(struct probe_pool *pool);

/*
 * The result of one target: of any whose result has been pulled, and of all after probe_pool_stop(). False:
 * it is not known; how many requests were sent is said anyway.
 */
bool probe_pool_result(const struct probe_pool *pool, uint32_t index, struct probe_result *result);

/* All targets, for probe_targets_at() and their number. */
const struct probe_targets *probe_pool_targets(const struct probe_pool *pool);

/* Sums over the workers; while they run, as of their last results. */
const struct probe_counters *probe_pool_counters(struct probe_pool *pool);
/* How many targets were asked again because our own buffer had dropped replies. */
uint32_t probe_pool_asked_again(struct probe_pool *pool);

const char *probe_pool_transport(const struct probe_pool *pool); /* the one that runs: "epoll", "poll" */
/* After an error of probe_pool_step(): the call of the kernel that gave it. NULL: not known. Static text. */
const char *probe_pool_failed_call(const struct probe_pool *pool);
uint32_t probe_pool_workers(const struct probe_pool *pool);
