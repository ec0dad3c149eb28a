/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Continuous probing of a few paths: what the agent lives on.
 *
 * Every target gets a request every interval; each request is judged once its select-timeout is over. What
 * happens is pulled as observations, in the order in which it happened; what it means (up, down, degraded) is
 * decided elsewhere, by pure code (route/decide/health.h).
 *
 * Each target may be tied to an interface: requests leave through it and a reply that came in through another
 * one is foreign. (An address of this host itself may answer through any interface, as the kernel tells it:
 * who must not be fooled by that asks for the address first.) The stream is driven from the owner's event
 * loop: it is due when its descriptor is readable or its deadline has come.
 *
 * Stall guard: a stall is a dispatch that comes more than a quarter of select-timeout after the deadline that
 * was asked for: this process was not running (SIGSTOP, a starved CPU, a paused virtual machine). Queued
 * replies are read before anything is judged, and count by when they arrived; the deadlines of requests that
 * are outstanding then move by the length of the stall, by two windows at most in all until the target's next
 * reply. Evidence is never thrown away.
 *
 * An ICMP error that quotes our token ends its request at once; one whose quote is too short for that could
 * be anybody's, so it is only the reason, given when the request's time is over. A send for which this host
 * has no room (ENOBUFS, EAGAIN, ENOMEM) is tried again until it succeeds, and is no evidence.
 */
#pragma once

#include "probe/probe.h"

/* So many requests of a target are remembered: a late reply to an older one is counted, but not reported. */
#define PROBE_STREAM_HISTORY 64

struct probe_stream;

struct probe_stream_target {
    struct address address;
    uint32_t ifindex;     /* the egress interface; 0: whatever the routing says */
    uint64_t interval_ns; /* between two requests; half of select_timeout_ns or more */
};

struct probe_observation {
    uint32_t id; /* of the target, as probe_stream_add() gave it */
    enum probe_outcome outcome;
    uint64_t sent_ns; /* when the request left */
    uint64_t at_ns;   /* when this became true: reply received (kernel timestamp), deadline passed, ... */
    uint64_t rtt_ns;  /* PROBE_REPLY, PROBE_LATE, PROBE_DUPLICATE */
    uint32_t payload_bytes; /* of the request: tells an extra, full-size request from a usual one */
    bool extra;             /* the request was made by probe_stream_request() */
    struct probe_error error;
};

/*
 * Opens the sockets; settings are copied. Each request's fate is exactly one of REPLY, TIMEOUT, UNREACHABLE,
 * FRAG_NEEDED, SEND_FAILED; LATE may follow TIMEOUT (or UNREACHABLE), DUPLICATE may follow REPLY or LATE.
 * Errors as for probe_sweep_new().
 */
int probe_stream_new(struct probe_stream **out, const struct probe_settings *settings, char *message,
                     size_t size_bytes);
/* The same over a transport that is there already, which the stream takes over (also on failure). */
struct transport;
int probe_stream_new_over(struct probe_stream **out, const struct probe_settings *settings,
                          struct transport *transport);
struct probe_stream *probe_stream_free(struct probe_stream *stream);
DEFINE_CLEANUP(struct probe_stream *, probe_stream_free)

/* The first request goes out at the next dispatch. ids are not used again within a stream. -ENOMEM,
 * -EAFNOSUPPORT. */
int probe_stream_add(struct probe_stream *stream, const struct probe_stream_target *target, uint32_t *id);
/* No observation of this target comes after it. Unknown ids are ignored. */
void probe_stream_remove(struct probe_stream *stream, uint32_t id);
/* The next request is due interval_ns after the last one, at once if that has passed. */
void probe_stream_set_interval(struct probe_stream *stream, uint32_t id, uint64_t interval_ns);
/* Another egress interface, to which a link-local address goes along; outstanding requests are forgotten, the
 * next one goes out at once. */
void probe_stream_set_ifindex(struct probe_stream *stream, uint32_t id, uint32_t ifindex);
/*
 * One extra request at the next dispatch, outside the schedule, with its own payload size and don't-fragment
 * set (IP_PMTUDISC_PROBE): "does a packet of this size get through now?". -ENOENT, -EINVAL (size), -ENOMEM.
 */
int probe_stream_request(struct probe_stream *stream, uint32_t id, uint32_t payload_bytes);

/* The clock that all times of this stream are on: CLOCK_MONOTONIC, or the virtual one of the simulated
 * transport.
 */
uint64_t probe_stream_now_ns(const struct probe_stream *stream);
int probe_stream_fd(const struct probe_stream *stream); /* readable: dispatch; the same for its whole life */
uint64_t
probe_stream_deadline_ns(const struct probe_stream *stream); /* dispatch at this time at the latest */
/*
 * One bounded round: receive all that is queued, then judge, then send what is due. 0 or a negative errno. When not all
 * could be received, nothing is judged and sent, and the deadline is a pause away. For an observation there may have
 * been no memory: -ENOMEM, once. After an error the descriptor may stay readable: wait for the deadline alone, until a
 * dispatch has succeeded.
 */
int probe_stream_dispatch(struct probe_stream *stream);
/* Pulls one observation. Returns false when none is waiting. */
bool probe_stream_next(struct probe_stream *stream, struct probe_observation *observation);

/* Asks the kernel first how much our own buffer has dropped. Owned by the stream, true until the next call. */
const struct probe_counters *probe_stream_counters(struct probe_stream *stream);
const char *probe_stream_transport(const struct probe_stream *stream);
