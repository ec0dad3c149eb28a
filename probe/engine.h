/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sweep and stream have in common: the identity of requests, the classification of what comes back, the
 * counters, the bound on requests under way. See engine.c.
 */
#pragma once

#include "probe/icmp.h"
#include "probe/transport.h"

/* Requests that get one reading of the clock and one call to the kernel. */
#define ENGINE_BATCH 16
/* After a "no room now" of the kernel. */
#define ENGINE_RETRY_NS (2 * NS_PER_MS)

/* One request to send; the result is in error and mtu_bytes as in struct packet_out. */
struct engine_request {
    uint32_t index;
    uint32_t attempt;
    uint16_t sequence;
    struct address to;
    uint32_t ifindex;
    uint32_t payload_bytes;
    bool dont_fragment;
    int error;
    uint32_t mtu_bytes;
};

/* What the owner knows of a request that was made; for engine_owner.lookup. */
struct engine_expected {
    struct address address;
    uint32_t ifindex; /* replies must come in through it; 0: any */
    uint32_t payload_bytes;
    bool may_fragment; /* it was sent without DF, and an IPv6 packet that is too big may be sent again */
};

/* A reply to one of our requests, or an ICMP error about one. */
struct engine_event {
    uint32_t index;
    uint32_t attempt;
    uint64_t at_ns; /* when the kernel received it */
    bool stamped;   /* false: at_ns is when it was read, it may have come earlier */
    bool reply;     /* otherwise an error */
    bool
        sealed; /* it carries our token. An error that quotes too little does not: anybody may have sent it */
    uint64_t sent_ns; /* with sealed: when the request was handed to the kernel */
    uint64_t left_ns; /* with sealed: when it left, as well as is known; sent_ns or later */
    /* PROBE_REPLY, PROBE_UNREACHABLE, PROBE_FRAG_NEEDED; PROBE_TIMEOUT for a reply that is refused */
    enum probe_outcome outcome;
    struct probe_error error;
};

struct engine_owner {
    /* Says what was asked of target `index` with request `attempt`; false: no such request. */
    bool (*lookup)(void *owner, uint32_t index, uint32_t attempt, struct engine_expected *expected);
    /* Finds a request by what the shortest quote leaves of it. */
    bool (*find)(void *owner, const struct address *to, uint16_t sequence, uint32_t *index,
                 uint32_t *attempt);
    /*
     * Something valid came in. Replies are counted by the owner, who knows what is late. A reply that was cut
     * short, but not its token, is one: error.reply_bytes says to how much.
     */
    void (*event)(void *owner, const struct engine_event *event);
    /*
     * A reply that cannot be believed: a reason, if no better one comes, and never a verdict. Only with
     * `sealed` it is certain that it is about this target. NULL: the owner does not want to know.
     */
    void (*refused)(void *owner, const struct engine_event *event);
};

/* How many requests are under way; time is cut into slots. See engine_room(). */
#define ENGINE_FLOW_SLOTS 8
struct engine_flow {
    uint64_t slot_ns;
    uint64_t slot; /* the current one: time / slot_ns */
    uint32_t sent[ENGINE_FLOW_SLOTS];
    uint32_t under_way;
    uint32_t limit;
    uint64_t rtt_ns; /* smoothed */
};

/* When a request left this host, as the kernel said. */
struct engine_departure {
    uint32_t index;
    uint32_t attempt;
    uint64_t left_ns; /* 0: no entry */
};
/* The last ones, each in the place that its hash gives: many times what is under way at any time. */
#define ENGINE_DEPARTURES 65536

struct engine {
    struct transport *transport;
    const struct transport_operations *operations;
    const struct engine_owner *owner_operations;
    void *owner;
    struct probe_settings settings;
    struct probe_counters counters;
    uint64_t key[2];
    uint16_t ident[2]; /* IPv4, IPv6 */
    bool is_open[2];   /* requests can be sent to it */
    struct engine_flow flow;
    uint32_t payload_bytes; /* the largest that the buffers are made for */
    uint8_t *buffers;       /* ENGINE_BATCH requests, patterns filled in */
    struct packet_in received[TRANSPORT_BATCH];
    struct packet_in queued[TRANSPORT_BATCH];
    struct engine_departure *departures; /* NULL: not asked for */
    uint64_t repeats;
    const char *failed_call; /* the transport's, once that is closed */
};

/*
 * Takes over the transport (also when it fails). The owner stays where it is for the engine's life. -ENOMEM,
 * -EIO.
 */
int engine_init(struct engine *engine, struct transport *transport, const struct probe_settings *settings,
                const struct engine_owner *owner_operations, void *owner);
void engine_destroy(struct engine *engine);

/* Makes the family of a new target usable. */
int engine_open_family(struct engine *engine, int family);
/* Makes buffers for payloads of that size and room for that many replies. */
int engine_reserve(struct engine *engine, uint32_t payload_bytes, uint32_t replies);

static inline uint64_t engine_now_ns(const struct engine *engine)
{
    return engine->operations->now(engine->transport);
}

/* Between rounds: interfaces are looked up by their names again. */
static inline void engine_refresh(struct engine *engine)
{
    if (engine->operations->refresh && engine->settings.interface[0])
        engine->operations->refresh(engine->transport);
}

/*
 * Sends up to ENGINE_BATCH requests, in order. Returns how many are dealt with (each has its error); the
 * others found no room in the kernel, for *want, and are to be tried again. sent_ns is what travels in them,
 * read before the kernel had them; left_ns is when the kernel had them all. Round trips are counted from the
 * one and waits from the other, so that losing the CPU in between shortens no wait.
 */
struct engine_sending {
    uint64_t sent_ns;
    uint64_t left_ns;
    int want;
};
unsigned engine_send(struct engine *engine, struct engine_request *requests, unsigned count,
                     struct engine_sending *sending);

/*
 * Receives all that arrived before now_ns, the time of the call, and hands it to the owner in the order of
 * arrival of each family. After that any deadline before now_ns may be judged. 0 or a negative errno.
 */
int engine_receive(struct engine *engine, uint64_t now_ns);

/*
 * How many more requests may be sent without the risk that their replies, all unread, overrun our receive
 * buffer. Counted are requests without a reply that left within the time in which replies come: four times
 * the longest round trip seen, at least 20 ms. When 0, room comes with replies, or at engine_room_at_ns().
 */
uint32_t engine_room(struct engine *engine, uint64_t now_ns);
uint64_t engine_room_at_ns(const struct engine *engine);
/* A first reply came. */
void engine_answered(struct engine *engine, uint64_t sent_ns, uint64_t rtt_ns);

const struct probe_counters *engine_counters(struct engine *engine);

/* The call of the kernel whose error has ended it; NULL: none, or it is not known. Static text. */
static inline const char *engine_failed_call(const struct engine *engine)
{
    return engine->transport ? engine->transport->failed_call : engine->failed_call;
}

/*
 * Does a packet come from this address? Of a link-local one that means: over its link. On an interface that
 * is part of a VRF the kernel gives the VRF as the sender's scope, but says through which interface it came.
 */
bool engine_is_from(const struct packet_in *packet, const struct address *expected);

/* PROBE_SEND_FAILED or PROBE_FRAG_NEEDED, for a request whose send was refused. */
enum probe_outcome engine_send_outcome(const struct engine_request *request, struct probe_error *error);
