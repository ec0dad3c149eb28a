/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core that sweep and stream share.
 *
 * Identity. Each request carries its own state and a token (icmp.h) under a key of this engine's, drawn at
 * the start. What comes back is a reply of ours only if ident, token and pattern are right and it comes from
 * the address that was asked, through the interface that was asked. The round trip is arrival (the kernel's
 * time stamp) minus the time that travelled along: nothing is kept for it.
 *
 * A reply may be shorter than its request: some hosts echo 64 bytes at most. What proves a reply is the
 * token, and what came of the pattern behind it must be right; so one that was cut behind the token is a
 * reply, and is called truncated. One that is cut before the end of the token proves nothing: anybody may
 * have made it up.
 *
 * A reply that is not believed is told to the owner as what it is (from elsewhere, corrupt, too short): a
 * person who reads "no reply" would look in the wrong place. It is a reason and no more.
 *
 * An ICMP error is about us if the request it quotes is ours. Where the quote is too short to hold the token,
 * ident, sequence and destination must do, and the event is marked: such an error may be a reason, but not a
 * verdict.
 *
 * Receiving comes before judging: engine_receive() reads everything that arrived before a moment; only then
 * are deadlines up to that moment judged. A process that was not running for a while finds its replies
 * waiting, and they count by when they arrived.
 *
 * When a request left. There are two answers:
 *
 *   - The time at which its batch was handed to the kernel. For all but the first of a batch that is too
 *     early, by what sending those before it takes.
 *   - With settings.tx_timestamps the time at which the device got the packet. The kernel gives the packet
 *     back with it, and our state in the packet tells which one it is. (Numbers, SOF_TIMESTAMPING_OPT_ID,
 *     would have to be counted along, and lose count when a send fails.) The time is kept until the reply
 *     comes. A reply is judged only after all such times from before it have been read.
 *
 * An entry may be overwritten, and a device may give no time stamps. Then the first answer holds.
 * counters.tx_stamps says how often the second one was there.
 *
 * On IPv6 only the sender fragments, and it has to be told first. A packet that is too big for a link is
 * lost, and the next one goes in pieces. Where fragments are welcome, such a loss says nothing about the
 * target. So the request is repeated as it was when the first message about it comes. That happens once for
 * each request at most, on average.
 *
 * The bound on requests under way keeps our own receive buffer from overflowing, which would look like loss:
 * as many replies as there is room for may be waiting unread, however long we do not run.
 *
 * One engine belongs to one thread. It knows nothing of targets: the owner does.
 */
#include "probe/engine.h"

#include "probe/unguessable.h"

#define FLOW_HORIZON_MIN_NS (20 * NS_PER_MS)

int engine_init(struct engine *engine, struct transport *transport, const struct probe_settings *settings,
                const struct engine_owner *owner_operations, void *owner)
{
    int r;

    *engine = (struct engine){
        .transport = transport,
        .operations = transport->operations,
        .owner_operations = owner_operations,
        .owner = owner,
        .settings = *settings,
        .flow.slot_ns = FLOW_HORIZON_MIN_NS / ENGINE_FLOW_SLOTS,
    };
    r = unguessable_fill(engine->key, sizeof(engine->key));
    if (r < 0)
        return r;
    if (settings->tx_timestamps) {
        engine->departures = calloc(ENGINE_DEPARTURES, sizeof(*engine->departures));
        if (!engine->departures)
            return -ENOMEM;
    }
    return engine_reserve(engine, settings->payload_bytes, 64);
}

void engine_destroy(struct engine *engine)
{
    engine->failed_call = engine_failed_call(engine);
    engine->transport = transport_close(engine->transport);
    free(engine->buffers);
    engine->buffers = NULL;
    free(engine->departures);
    engine->departures = NULL;
}

int engine_open_family(struct engine *engine, int family)
{
    int i = family == AF_INET6;
    int r;

    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    if (engine->is_open[i])
        return 0;
    r = engine->operations->open_family(engine->transport, family, &engine->ident[i], (char[1]){0}, 1);
    if (r < 0)
        return r;
    engine->is_open[i] = true;
    return 0;
}

static int grow_buffers(struct engine *engine, uint32_t payload_bytes)
{
    size_t size_bytes = ICMP_HEADER_BYTES + payload_bytes;
    uint8_t *buffers = realloc(engine->buffers, ENGINE_BATCH * size_bytes);

    if (!buffers)
        return -ENOMEM;
    for (size_t i = 0; i < ENGINE_BATCH; i++)
        icmp_pattern_fill(buffers + i * size_bytes, size_bytes);
    engine->buffers = buffers;
    engine->payload_bytes = payload_bytes;
    return 0;
}

int engine_reserve(struct engine *engine, uint32_t payload_bytes, uint32_t replies)
{
    bool grows = payload_bytes > engine->payload_bytes;
    int room = engine->operations->reserve(engine->transport, grows ? payload_bytes : engine->payload_bytes,
                                           replies);

    if (room < 0)
        return room;
    engine->flow.limit = (uint32_t)room;
    return grows ? grow_buffers(engine, payload_bytes) : 0;
}

/* Moves the slots on to now; what left too long ago is not expected back any more. */
static void flow_advance(struct engine_flow *flow, uint64_t now_ns)
{
    uint64_t slot = now_ns / flow->slot_ns;

    for (int i = 0; flow->slot < slot && i < ENGINE_FLOW_SLOTS; i++) {
        uint32_t *oldest = &flow->sent[++flow->slot % ENGINE_FLOW_SLOTS];

        flow->under_way -= *oldest;
        *oldest = 0;
    }
    flow->slot = slot;
}

/* The horizon follows the round trips, in steps of two; everything under way counts as sent just now. */
static void flow_follow(struct engine_flow *flow, uint64_t horizon_ns)
{
    uint64_t now_ns = flow->slot * flow->slot_ns;
    uint64_t before_ns = flow->slot_ns * ENGINE_FLOW_SLOTS;

    if (horizon_ns <= 2 * before_ns && horizon_ns >= before_ns / 2)
        return;
    flow->slot_ns = horizon_ns / ENGINE_FLOW_SLOTS;
    flow->slot = now_ns / flow->slot_ns;
    memset(flow->sent, 0, sizeof(flow->sent));
    flow->sent[flow->slot % ENGINE_FLOW_SLOTS] = flow->under_way;
}

uint32_t engine_room(struct engine *engine, uint64_t now_ns)
{
    struct engine_flow *flow = &engine->flow;

    flow_advance(flow, now_ns);
    return (uint32_t)sub_sat_u64(flow->limit, flow->under_way);
}

uint64_t engine_room_at_ns(const struct engine *engine)
{
    return (engine->flow.slot + 1) * engine->flow.slot_ns;
}

void engine_answered(struct engine *engine, uint64_t sent_ns, uint64_t rtt_ns)
{
    struct engine_flow *flow = &engine->flow;
    uint64_t slot = sent_ns / flow->slot_ns;
    uint32_t *sent = &flow->sent[slot % ENGINE_FLOW_SLOTS];

    if (slot <= flow->slot && slot + ENGINE_FLOW_SLOTS > flow->slot && *sent > 0) {
        (*sent)--;
        flow->under_way--;
    }
    flow->rtt_ns = flow->rtt_ns ? flow->rtt_ns - flow->rtt_ns / 8 + rtt_ns / 8 : rtt_ns;
    flow_follow(flow,
                max_u64(FLOW_HORIZON_MIN_NS, min_u64(4 * flow->rtt_ns, engine->settings.select_timeout_ns)));
}

static void build(struct engine *engine, const struct engine_request *request, uint64_t sent_ns,
                  uint8_t *buffer, struct packet_out *packet)
{
    struct icmp_echo echo = {
        .sent_ns = sent_ns,
        .index = request->index,
        .attempt = request->attempt,
        .ident = engine->ident[request->to.family == AF_INET6],
        .sequence = request->sequence,
    };
    size_t size_bytes = ICMP_HEADER_BYTES + request->payload_bytes;

    icmp_request_build(buffer, size_bytes, request->to.family, &echo,
                       icmp_token(&echo, &request->to, engine->key));
    *packet = (struct packet_out){
        .to = request->to,
        .ifindex = request->ifindex,
        .dont_fragment = request->dont_fragment,
        .bytes = buffer,
        .size_bytes = (uint32_t)size_bytes,
    };
}

unsigned engine_send(struct engine *engine, struct engine_request *requests, unsigned count,
                     struct engine_sending *sending)
{
    struct packet_out packets[ENGINE_BATCH];
    size_t stride_bytes = ICMP_HEADER_BYTES + engine->payload_bytes;
    unsigned done;

    sending->sent_ns = engine_now_ns(engine);
    flow_advance(&engine->flow, sending->sent_ns);
    for (unsigned i = 0; i < count; i++)
        build(engine, &requests[i], sending->sent_ns, engine->buffers + i * stride_bytes, &packets[i]);

    done = engine->operations->send(engine->transport, packets, count);
    sending->left_ns = engine_now_ns(engine);
    for (unsigned i = 0; i < done; i++) {
        requests[i].error = packets[i].error;
        requests[i].mtu_bytes = packets[i].mtu_bytes;
        if (packets[i].error) {
            engine->counters.send_failures++;
            continue;
        }
        engine->counters.sent++;
        engine->flow.sent[engine->flow.slot % ENGINE_FLOW_SLOTS]++;
        engine->flow.under_way++;
    }
    sending->want = done < count ? packets[done].error : 0;
    if (done < count)
        engine->counters.send_retries++;
    return done;
}

enum probe_outcome engine_send_outcome(const struct engine_request *request, struct probe_error *error)
{
    *error = (struct probe_error){.error = request->error, .mtu_bytes = request->mtu_bytes};
    return request->error == EMSGSIZE ? PROBE_FRAG_NEEDED : PROBE_SEND_FAILED;
}

bool engine_is_from(const struct packet_in *packet, const struct address *expected)
{
    struct address from = packet->from;

    /* A target without a scope is reached through an interface that was named otherwise. */
    if (expected->scope == 0 || packet->ifindex == expected->scope)
        from.scope = expected->scope;
    return address_equal(&from, expected);
}

/* True when the request that `message` carries or quotes is one of ours. */
static bool is_sealed(const struct engine *engine, const struct icmp_message *message,
                      const struct address *destination)
{
    return icmp_token(&message->echo, destination, engine->key) == message->token;
}

static struct engine_departure *departure_of(const struct engine *engine, uint32_t index, uint32_t attempt)
{
    uint32_t hash = (index ^ attempt * UINT32_C(0x9e3779b1)) * UINT32_C(0x85ebca6b);

    return &engine->departures[hash >> 16];
}
_Static_assert(ENGINE_DEPARTURES == 1 << 16, "the upper half of the hash");

/* The kernel's word that a request of ours has left. */
static void take_departure(struct engine *engine, int family, const struct packet_in *packet)
{
    struct icmp_message message = {0};
    struct engine_expected expected;

    if (!engine->departures || packet->at_ns == 0 ||
        !icmp_parse_quote(&message, family, packet->bytes, packet->size_bytes) || !message.has_state ||
        !engine->owner_operations->lookup(engine->owner, message.echo.index, message.echo.attempt,
                                          &expected) ||
        !is_sealed(engine, &message, &expected.address))
        return;
    engine->counters.tx_stamps++;
    *departure_of(engine, message.echo.index, message.echo.attempt) = (struct engine_departure){
        .index = message.echo.index,
        .attempt = message.echo.attempt,
        .left_ns = packet->at_ns,
    };
}

/* When the request of this event left: between its sending and now, or the note is about another one. */
static uint64_t left_ns(const struct engine *engine, const struct engine_event *event)
{
    const struct engine_departure *departure =
        engine->departures ? departure_of(engine, event->index, event->attempt) : NULL;

    return departure && departure->index == event->index && departure->attempt == event->attempt &&
                   departure->left_ns >= event->sent_ns && departure->left_ns <= event->at_ns
               ? departure->left_ns
               : event->sent_ns;
}

/* Tells the owner of a reply that is not believed. */
static void refuse(struct engine *engine, const struct packet_in *packet, struct engine_event *event,
                   enum probe_refusal refusal, uint32_t reply_bytes)
{
    event->outcome = PROBE_TIMEOUT;
    event->error = (struct probe_error){.refusal = refusal, .from = packet->from, .reply_bytes = reply_bytes};
    if (engine->owner_operations->refused)
        engine->owner_operations->refused(engine->owner, event);
}

/* The same for one without a token that is right: whom it is about is known as from a short quote. */
static void refuse_unsealed(struct engine *engine, const struct packet_in *packet,
                            const struct icmp_message *message, struct engine_event *event,
                            enum probe_refusal refusal)
{
    bool is_short = refusal == PROBE_REFUSED_SHORT;

    if (engine->owner_operations->refused &&
        engine->owner_operations->find(engine->owner, &packet->from, message->echo.sequence, &event->index,
                                       &event->attempt))
        refuse(engine, packet, event, refusal, is_short ? (uint32_t)message->payload_bytes : 0);
}

/* The request is ours, and what was asked is known. Is this an answer to it? */
static enum probe_refusal judge_reply(const struct packet_in *packet, const struct icmp_message *message,
                                      const struct engine_expected *expected)
{
    if (!engine_is_from(packet, &expected->address) ||
        (expected->ifindex && packet->ifindex != expected->ifindex))
        return PROBE_REFUSED_FROM;
    return message->payload_bytes <= expected->payload_bytes && icmp_pattern_is_intact(message)
               ? PROBE_NOT_REFUSED
               : PROBE_REFUSED_CORRUPT;
}

static void take_valid_reply(struct engine *engine, const struct icmp_message *message,
                             const struct engine_expected *expected, struct engine_event *event)
{
    event->reply = true;
    /* The wall clock was set back under the time stamp: then it came just now. */
    if (event->at_ns < event->sent_ns)
        event->at_ns = max_u64(event->sent_ns, engine_now_ns(engine));
    event->left_ns = left_ns(engine, event);
    event->outcome = PROBE_REPLY;
    if (message->payload_bytes < expected->payload_bytes) {
        engine->counters.truncated++;
        event->error.reply_bytes = (uint32_t)message->payload_bytes;
    }
    engine->owner_operations->event(engine->owner, event);
}

static void take_reply(struct engine *engine, const struct packet_in *packet, struct icmp_message *message,
                       struct engine_event *event)
{
    struct engine_expected expected;
    enum probe_refusal refusal;

    if (!message->has_state) {
        engine->counters.corrupt++;
        refuse_unsealed(engine, packet, message, event, PROBE_REFUSED_SHORT);
        return;
    }
    if (!engine->owner_operations->lookup(engine->owner, message->echo.index, message->echo.attempt,
                                          &expected)) {
        engine->counters.foreign++;
        return;
    }
    if (!is_sealed(engine, message, &expected.address)) {
        engine->counters.corrupt++;
        refuse_unsealed(engine, packet, message, event, PROBE_REFUSED_CORRUPT);
        return;
    }
    event->sealed = true;
    event->index = message->echo.index;
    event->attempt = message->echo.attempt;
    event->sent_ns = message->echo.sent_ns;
    refusal = judge_reply(packet, message, &expected);
    if (refusal == PROBE_NOT_REFUSED) {
        take_valid_reply(engine, message, &expected, event);
        return;
    }
    if (refusal == PROBE_REFUSED_FROM)
        engine->counters.foreign++;
    else
        engine->counters.corrupt++;
    refuse(engine, packet, event, refusal, 0);
}

/* Sends the same request again: this host knows by now into how small pieces. */
static void repeat(struct engine *engine, const struct icmp_echo *echo,
                   const struct engine_expected *expected)
{
    const struct engine_request request = {
        .index = echo->index,
        .attempt = echo->attempt,
        .sequence = echo->sequence,
        .to = expected->address,
        .ifindex = expected->ifindex,
        .payload_bytes = expected->payload_bytes,
    };
    struct packet_out packet;

    if (engine->repeats >= engine->counters.sent)
        return;
    engine->repeats++;
    build(engine, &request, echo->sent_ns, engine->buffers, &packet);
    engine->operations->send(engine->transport, &packet, 1);
}

static void take_error(struct engine *engine, const struct packet_in *packet, struct icmp_message *message,
                       struct engine_event *event)
{
    struct engine_expected expected = {0};

    if (message->has_state) {
        if (!engine->owner_operations->lookup(engine->owner, message->echo.index, message->echo.attempt,
                                              &expected) ||
            !is_sealed(engine, message, &expected.address)) {
            engine->counters.corrupt++;
            return;
        }
        event->sealed = true;
        event->index = message->echo.index;
        event->attempt = message->echo.attempt;
        event->sent_ns = message->echo.sent_ns;
        event->left_ns = left_ns(engine, event);
    } else if (!engine->owner_operations->find(engine->owner, &message->destination, message->echo.sequence,
                                               &event->index, &event->attempt)) {
        engine->counters.foreign++;
        return;
    }
    engine->counters.icmp_errors++;
    event->outcome = icmp_error_outcome(packet->from.family, message->type, message->code);
    if (event->sealed && event->outcome == PROBE_FRAG_NEEDED && expected.may_fragment &&
        expected.address.family == AF_INET6) {
        repeat(engine, &message->echo, &expected);
        event->sealed = false; /* a reason, if nothing comes of it, but no verdict */
    }
    event->error = (struct probe_error){
        .icmp_type = message->type,
        .icmp_code = message->code,
        .mtu_bytes = message->mtu_bytes,
        .from = packet->from,
    };
    engine->owner_operations->event(engine->owner, event);
}

/* The kernel has taken the error apart; only our request that it quotes is left to read. */
static enum icmp_kind parse_queued_error(struct icmp_message *message, int family,
                                         const struct packet_in *packet)
{
    *message = (struct icmp_message){
        .type = packet->icmp_type,
        .code = packet->icmp_code,
        .mtu_bytes = packet->mtu_bytes,
        .destination = packet->destination,
    };
    return icmp_is_error(family, packet->icmp_type) &&
                   icmp_parse_quote(message, family, packet->bytes, packet->size_bytes)
               ? ICMP_KIND_ERROR
               : ICMP_KIND_OTHER;
}

static void take(struct engine *engine, int family, const struct packet_in *packet, uint64_t now_ns)
{
    struct icmp_message message;
    struct engine_event event = {.at_ns = packet->at_ns, .stamped = packet->at_ns != 0};
    enum icmp_kind kind = packet->quoted ? parse_queued_error(&message, family, packet)
                                         : icmp_parse(&message, family, packet->bytes, packet->size_bytes);

    if (!event.stamped)
        event.at_ns = max_u64(now_ns, engine_now_ns(engine));
    if (kind == ICMP_KIND_CORRUPT) {
        engine->counters.corrupt++;
        if (message.echo.ident == engine->ident[family == AF_INET6])
            refuse_unsealed(engine, packet, &message, &event, PROBE_REFUSED_CORRUPT);
        return;
    }
    if (kind == ICMP_KIND_OTHER || message.echo.ident != engine->ident[family == AF_INET6]) {
        engine->counters.foreign++;
        return;
    }
    if (kind == ICMP_KIND_REPLY)
        take_reply(engine, packet, &message, &event);
    else
        take_error(engine, packet, &message, &event);
}

/* What does not come with the messages. */
static int receive_queued(struct engine *engine, int family, uint64_t now_ns)
{
    struct packet_in *packets = engine->queued;
    int got;

    do {
        got = engine->operations->receive_errors(engine->transport, family, packets, TRANSPORT_BATCH);
        for (int i = 0; i < got; i++) {
            if (packets[i].left)
                take_departure(engine, family, &packets[i]);
            else
                take(engine, family, &packets[i], now_ns);
        }
    } while (got == TRANSPORT_BATCH && packets[got - 1].at_ns <= now_ns);
    return got < 0 ? got : 0;
}

static int receive_family(struct engine *engine, int family, uint64_t now_ns)
{
    struct packet_in *packets = engine->received;
    int got, r = 0;

    /* The kernel's queue is in order of arrival: a packet from after now_ns ends what came before it. */
    do {
        got = engine->operations->receive(engine->transport, family, packets, TRANSPORT_BATCH);
        /* Of every request that has a reply here, the note that it left is in the queue by now. */
        if (engine->departures && got > 0)
            r = receive_queued(engine, family, now_ns);
        for (int i = 0; i < got; i++)
            take(engine, family, &packets[i], now_ns);
    } while (r == 0 && got == TRANSPORT_BATCH && packets[got - 1].at_ns <= now_ns);
    if (got < 0 || r < 0)
        return got < 0 ? got : r;
    return receive_queued(engine, family, now_ns);
}

/*
 * Both families, whatever was opened here: the transport may have opened one to which nothing is sent. What anybody
 * sends to that one would else stay unread, and whoever waits for us would be woken without an end.
 */
int engine_receive(struct engine *engine, uint64_t now_ns)
{
    int r = receive_family(engine, AF_INET, now_ns);

    return r == 0 ? receive_family(engine, AF_INET6, now_ns) : r;
}

const struct probe_counters *engine_counters(struct engine *engine)
{
    if (engine->transport)
        engine->counters.receive_drops = engine->operations->receive_drops(engine->transport);
    return &engine->counters;
}
