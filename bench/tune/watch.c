/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watch, see watch.h.
 *
 * It drives the probe engine by itself, because a stream (probe/stream.h) judges a request after one interval
 * and forgets it after 64: here a request is sent every 10 ms and waited for during seconds. The requests
 * whose fate is open are in a ring for each path; they are moved into the trace in the order in which they
 * left.
 *
 * What this host did itself is no evidence. A request that was held up between its time stamp and the kernel
 * is spoilt, as are those without a reply around a moment at which our receive buffer overflowed. A request
 * for which there was no room, or whose time passed while we did not run, was never made: the trace has a
 * gap.
 */
#include "bench/tune/watch.h"

#include "probe/engine.h"

/* A request that needed longer from its stamp into the kernel has no exact round trip time. */
#define HELD_UP_NS NS_PER_MS
/* When the buffer overflowed, replies to requests as old as this may have been lost. */
#define DROP_REACH_NS NS_PER_S
#define PAUSE_NS      (100 * NS_PER_MS)

struct open_request {
    uint64_t sent_ns;
    struct trace_request fate; /* sent_us is filled in at the end */
    bool waiting, suspect;
};

struct watch_path {
    struct watch_target target;
    struct open_request *ring;
    uint32_t ring_size; /* a power of two */
    uint32_t next, oldest;
    uint64_t due_ns;
};

struct watch {
    struct engine engine;
    const struct watch_settings *settings;
    struct trace *trace;
    struct watch_path *paths;
    size_t count;
    uint64_t began_ns, blocked_until_ns, drops;
    int error;
};

static struct open_request *open_at(struct watch_path *path, uint32_t attempt)
{
    return &path->ring[attempt & (path->ring_size - 1)];
}

static bool is_open(const struct watch_path *path, uint32_t attempt)
{
    return attempt - path->oldest < path->next - path->oldest;
}

/* --- what the engine asks and tells ----------------------------------------------------------------------*/

static bool watch_lookup(void *owner, uint32_t index, uint32_t attempt, struct engine_expected *expected)
{
    struct watch *watch = owner;

    if (index >= watch->count || !is_open(&watch->paths[index], attempt))
        return false;
    *expected = (struct engine_expected){
        .address = watch->paths[index].target.address,
        .ifindex = watch->paths[index].target.ifindex,
        .payload_bytes = watch->engine.settings.payload_bytes,
    };
    return true;
}

/* An error that does not quote our token could be anybody's. */
static bool watch_find(void *owner, const struct address *to, uint16_t sequence, uint32_t *index,
                       uint32_t *attempt)
{
    return false;
}

static void watch_event(void *owner, const struct engine_event *event)
{
    struct watch *watch = owner;
    struct open_request *request = open_at(&watch->paths[event->index], event->attempt);
    uint64_t rtt_us = sub_sat_u64(event->at_ns, request->sent_ns) / NS_PER_US;

    if (!request->waiting || rtt_us > watch->trace->wait_us)
        return;
    request->waiting = false;
    request->fate.fate = event->reply ? TRACE_REPLY : TRACE_ERROR;
    request->fate.rtt_us = rtt_us & ((1u << 23) - 1);
    if (event->reply)
        engine_answered(&watch->engine, request->sent_ns, rtt_us * NS_PER_US);
}

static const struct engine_owner watch_owner = {
    .lookup = watch_lookup, .find = watch_find, .event = watch_event};

/* --- one round -------------------------------------------------------------------------------------------*/

/* Replies were lost in our own buffer. A request without a reply may be one of those. */
static void note_drops(struct watch *watch, uint64_t now_ns)
{
    uint64_t drops = engine_counters(&watch->engine)->receive_drops;

    if (drops == watch->drops)
        return;
    watch->drops = drops;
    for (size_t i = 0; i < watch->count; i++) {
        struct watch_path *path = &watch->paths[i];

        for (uint32_t attempt = path->oldest; attempt != path->next; attempt++) {
            struct open_request *request = open_at(path, attempt);

            if (request->waiting && request->sent_ns + DROP_REACH_NS >= now_ns)
                request->suspect = true;
        }
    }
}

static void keep(struct watch *watch, size_t index, const struct open_request *request)
{
    struct trace_request fate = request->fate;
    int r;

    fate.sent_us = (sub_sat_u64(request->sent_ns, watch->began_ns) / NS_PER_US) & TRACE_SENT_MAX_US;
    r = trace_add(&watch->trace->paths[index], fate);
    if (watch->settings->writer)
        trace_write(watch->settings->writer, index, fate);
    if (r < 0)
        watch->error = r;
}

/* Moves what has its fate into the trace. */
static void settle(struct watch *watch, uint64_t now_ns)
{
    uint64_t wait_ns = watch->trace->wait_us * NS_PER_US;

    for (size_t i = 0; i < watch->count; i++) {
        struct watch_path *path = &watch->paths[i];

        for (; path->oldest != path->next; path->oldest++) {
            struct open_request *request = open_at(path, path->oldest);

            if (request->waiting && request->sent_ns + wait_ns >= now_ns)
                break;
            if (request->waiting)
                request->fate.fate = request->suspect ? TRACE_SPOILT : TRACE_LOST;
            keep(watch, i, request);
        }
    }
}

static void enter(struct watch_path *path, const struct engine_request *made,
                  const struct engine_sending *sending)
{
    struct open_request *request = open_at(path, made->attempt);

    *request = (struct open_request){.sent_ns = sending->sent_ns, .waiting = true};
    path->next++;
    if (made->error) {
        request->waiting = false;
        request->fate.fate = TRACE_REFUSED;
    } else if (sending->left_ns - sending->sent_ns > HELD_UP_NS) {
        request->waiting = false;
        request->fate.fate = TRACE_SPOILT;
    }
}

/* One request to each path that is due, unless its ring is full of requests without a fate. */
static void send_due(struct watch *watch, uint64_t now_ns)
{
    for (size_t i = 0; i < watch->count && now_ns >= watch->blocked_until_ns; i++) {
        struct watch_path *path = &watch->paths[i];
        uint64_t interval_ns = watch->trace->interval_us * NS_PER_US;
        struct engine_sending sending;
        struct engine_request request = {
            .index = (uint32_t)i,
            .attempt = path->next,
            .sequence = (uint16_t)path->next,
            .to = path->target.address,
            .ifindex = path->target.ifindex,
            .payload_bytes = watch->engine.settings.payload_bytes,
            .dont_fragment = watch->engine.settings.dont_fragment,
        };

        if (path->due_ns > now_ns || path->next - path->oldest == path->ring_size)
            continue;
        if (engine_send(&watch->engine, &request, 1, &sending) == 0) {
            watch->blocked_until_ns = now_ns + ENGINE_RETRY_NS;
            return;
        }
        enter(path, &request, &sending);
        path->due_ns += (sub_sat_u64(sending.left_ns, path->due_ns) / interval_ns + 1) * interval_ns;
    }
}

static uint64_t next_due_ns(const struct watch *watch)
{
    uint64_t due_ns = NEVER_NS;

    for (size_t i = 0; i < watch->count; i++)
        due_ns = min_u64(due_ns, watch->paths[i].due_ns);
    return max_u64(due_ns, watch->blocked_until_ns);
}

static bool is_settled(const struct watch *watch)
{
    for (size_t i = 0; i < watch->count; i++)
        if (watch->paths[i].oldest != watch->paths[i].next)
            return false;
    return true;
}

static int run(struct watch *watch, struct transport *transport, struct watch_figures *figures)
{
    const struct watch_settings *settings = watch->settings;
    uint64_t end_ns = watch->began_ns + settings->duration_ns;
    uint64_t pause_ns = 0;

    for (;;) {
        uint64_t now_ns = engine_now_ns(&watch->engine);
        bool sending = now_ns < end_ns;
        int r = engine_receive(&watch->engine, now_ns);

        if (r < 0 || watch->error < 0)
            return r < 0 ? r : watch->error;
        note_drops(watch, now_ns);
        settle(watch, now_ns);
        if (sending)
            figures->watched_ns = now_ns - watch->began_ns;
        if (!sending && is_settled(watch))
            return 0;
        if (now_ns >= pause_ns) {
            if (settings->pause && settings->pause(settings->context, now_ns - watch->began_ns))
                return 0;
            pause_ns = now_ns + PAUSE_NS;
        }
        if (sending)
            send_due(watch, now_ns);
        r = transport->operations->wait(
            transport, sending ? min_u64(next_due_ns(watch), end_ns) : now_ns + 10 * NS_PER_MS, -1);
        if (r < 0 && r != -EINTR)
            return r;
    }
}

static int prepare(struct watch *watch)
{
    struct trace *trace = watch->trace;
    uint32_t needed = (uint32_t)(trace->wait_us / trace->interval_us) + 64, size = 64;
    int r;

    while (size < needed)
        size *= 2;
    watch->paths = calloc(trace->path_count, sizeof(*watch->paths));
    if (!watch->paths)
        return -ENOMEM;
    watch->count = trace->path_count;
    watch->began_ns = engine_now_ns(&watch->engine);
    for (size_t i = 0; i < watch->count; i++) {
        struct watch_path *path = &watch->paths[i];

        path->target = watch->settings->targets[i];
        path->ring_size = size;
        path->due_ns = watch->began_ns + trace->interval_us * NS_PER_US * i / watch->count;
        path->ring = calloc(size, sizeof(*path->ring));
        if (!path->ring)
            return -ENOMEM;
        r = engine_open_family(&watch->engine, path->target.address.family);
        if (r < 0)
            return r;
    }
    /* A path that stood still sends all that it owes at once. */
    return engine_reserve(&watch->engine, watch->engine.settings.payload_bytes,
                          (uint32_t)min_u64((uint64_t)needed * watch->count, UINT64_C(65536)));
}

int watch_run(struct trace *trace, const struct watch_settings *settings, struct transport *transport,
              struct watch_figures *figures)
{
    struct watch watch = {.settings = settings, .trace = trace};
    struct probe_settings probe = *settings->probe;
    int r;

    *figures = (struct watch_figures){0};
    probe.select_timeout_ns = trace->wait_us * NS_PER_US;
    probe.select_count = 1;
    r = engine_init(&watch.engine, transport, &probe, &watch_owner, &watch);
    if (r == 0)
        r = prepare(&watch);
    if (r == 0)
        r = run(&watch, transport, figures);
    if (watch.paths) {
        const struct probe_counters *counters = engine_counters(&watch.engine);

        figures->receive_drops = counters->receive_drops;
        figures->send_retries = counters->send_retries;
        for (size_t i = 0; i < watch.count; i++)
            free(watch.paths[i].ring);
        free(watch.paths);
    }
    engine_destroy(&watch.engine);
    return r;
}
