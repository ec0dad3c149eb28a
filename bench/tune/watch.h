/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches paths: sends requests to each of them at a steady beat, waits long for every reply, and keeps what
 * became of each request in a trace.
 */
#pragma once

#include "bench/tune/trace.h"
#include "probe/transport.h"

struct watch_target {
    struct address address;
    uint32_t ifindex; /* replies must come in through it; 0: whatever the routing says */
};

struct watch_settings {
    const struct probe_settings *probe; /* payload, TOS, mark */
    const struct watch_target *targets; /* one for each path of the trace */
    uint64_t duration_ns;        /* in which requests are sent; the last replies are waited for after it */
    struct trace_writer *writer; /* gets everything too; NULL: nobody does */
    /* Called at most ten times a second of the transport's clock; true: stop now. */
    bool (*pause)(void *context, uint64_t done_ns);
    void *context;
};

/* What the trace does not say. */
struct watch_figures {
    uint64_t watched_ns;    /* requests were sent for so long */
    uint64_t receive_drops; /* replies lost in our own buffer */
    uint64_t send_retries;  /* this host had no room for a request */
};

/*
 * Fills `trace`, which has its paths, interval and wait and is empty otherwise. Takes the transport over.
 * Requests of which nothing is known yet when it is stopped are left out. 0 or a negative errno (-EACCES,
 * -EAFNOSUPPORT, -ENOMEM, what the sockets say, -EIO: the trace could not be written).
 */
int watch_run(struct trace *trace, const struct watch_settings *settings, struct transport *transport,
              struct watch_figures *figures);
