/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated transport: see simulated.h.
 *
 * What is under way is in a heap by arrival; what has arrived waits in one queue for each family, like in a
 * socket's buffer, bounded like one. Whatever moves the clock delivers what became due.
 */
#include "probe/icmp.h"
#include "probe/simulated.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

struct flying {
    uint64_t at_ns;
    uint64_t order; /* of scheduling: two that arrive at one moment keep it */
    struct address from;
    uint32_t ifindex;
    uint32_t size_bytes;
    uint8_t *bytes;
};

struct inbox {
    struct flying *packets;
    size_t head;
    size_t count;
    size_t capacity;
};

struct simulated {
    struct transport base;
    const struct simulated_script *script;
    uint64_t now_ns;
    uint64_t order;
    struct flying *heap;
    size_t heap_count;
    size_t heap_capacity;
    struct inbox inboxes[2];
    uint8_t *lent[TRANSPORT_BATCH]; /* the bytes that the last receive() handed out */
    uint64_t drops;
};

struct simulated *simulated_of(struct transport *transport)
{
    return (struct simulated *)transport;
}

uint64_t simulated_now_ns(const struct simulated *network)
{
    return network->now_ns;
}

static bool earlier(const struct flying *a, const struct flying *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

static void swap(struct flying *a, struct flying *b)
{
    struct flying keep = *a;

    *a = *b;
    *b = keep;
}

static int heap_push(struct simulated *network, const struct flying *packet)
{
    size_t i = network->heap_count;

    if (i == network->heap_capacity) {
        size_t capacity = i ? i * 2 : 64;
        struct flying *heap = realloc(network->heap, capacity * sizeof(*heap));

        if (!heap)
            return -ENOMEM;
        network->heap = heap;
        network->heap_capacity = capacity;
    }
    network->heap[i] = *packet;
    network->heap_count++;
    for (; i > 0 && earlier(&network->heap[i], &network->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&network->heap[i], &network->heap[(i - 1) / 2]);
    return 0;
}

static struct flying heap_pop(struct simulated *network)
{
    struct flying first = network->heap[0];
    size_t i = 0;

    network->heap[0] = network->heap[--network->heap_count];
    for (;;) {
        size_t least = i;

        for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < network->heap_count && earlier(&network->heap[child], &network->heap[least]))
                least = child;
        if (least == i)
            return first;
        swap(&network->heap[i], &network->heap[least]);
        i = least;
    }
}

static bool inbox_push(struct inbox *inbox, const struct flying *packet)
{
    if (inbox->count == inbox->capacity) {
        size_t capacity = inbox->capacity ? inbox->capacity * 2 : 64;
        struct flying *packets = calloc(capacity, sizeof(*packets));

        if (!packets)
            return false;
        for (size_t i = 0; i < inbox->count; i++)
            packets[i] = inbox->packets[(inbox->head + i) % inbox->capacity];
        free(inbox->packets);
        inbox->packets = packets;
        inbox->capacity = capacity;
        inbox->head = 0;
    }
    inbox->packets[(inbox->head + inbox->count++) % inbox->capacity] = *packet;
    return true;
}

/* Everything that was due until now has arrived. */
static void arrive(struct simulated *network)
{
    while (network->heap_count && network->heap[0].at_ns <= network->now_ns) {
        struct flying packet = heap_pop(network);
        struct inbox *inbox = &network->inboxes[packet.from.family == AF_INET6];
        bool full = network->script->receive_limit && inbox->count >= network->script->receive_limit;

        if (full || !inbox_push(inbox, &packet)) {
            network->drops++;
            free(packet.bytes);
        }
    }
}

void simulated_advance(struct simulated *network, uint64_t duration_ns)
{
    network->now_ns += duration_ns;
    arrive(network);
}

int simulated_deliver(struct simulated *network, const struct address *from, uint32_t ifindex,
                      const uint8_t *bytes, size_t size_bytes, uint64_t delay_ns)
{
    struct flying packet = {
        .at_ns = network->now_ns + delay_ns,
        .order = network->order++,
        .from = *from,
        .ifindex = ifindex,
        .size_bytes = (uint32_t)size_bytes,
        .bytes = malloc(size_bytes ? size_bytes : 1),
    };

    if (!packet.bytes)
        return -ENOMEM;
    memcpy(packet.bytes, bytes, size_bytes);
    if (heap_push(network, &packet) < 0) {
        free(packet.bytes);
        return -ENOMEM;
    }
    return 0;
}

static void set_checksum(uint8_t *message, size_t size_bytes)
{
    uint16_t checksum;

    message[2] = message[3] = 0;
    checksum = icmp_checksum(message, size_bytes);
    memcpy(message + 2, &checksum, 2);
}

void simulated_make_reply(const struct packet_out *request, uint8_t *buffer)
{
    memcpy(buffer, request->bytes, request->size_bytes);
    buffer[0] = request->to.family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    set_checksum(buffer, request->size_bytes);
}

int simulated_reply(struct simulated *network, const struct packet_out *request, uint64_t delay_ns)
{
    uint8_t *buffer = malloc(request->size_bytes);
    int r;

    if (!buffer)
        return -ENOMEM;
    simulated_make_reply(request, buffer);
    r = simulated_deliver(network, &request->to, request->ifindex, buffer, request->size_bytes, delay_ns);
    free(buffer);
    return r;
}

/* The IP header in front of the quoted message; returns its length. */
static size_t quote_header(uint8_t *quoted, const struct packet_out *request)
{
    if (request->to.family == AF_INET) {
        quoted[0] = 0x45;
        quoted[9] = IPPROTO_ICMP;
        memcpy(quoted + 16, request->to.bytes, 4);
        return 20;
    }
    quoted[0] = 0x60;
    quoted[6] = IPPROTO_ICMPV6;
    memcpy(quoted + 24, request->to.bytes, 16);
    return 40;
}

int simulated_error(struct simulated *network, const struct packet_out *request, const struct address *from,
                    uint8_t type, uint8_t code, uint32_t mtu_bytes, size_t quote_bytes, uint64_t delay_ns)
{
    uint8_t message[ICMP_HEADER_BYTES + 40 + 576] = {type, code};
    size_t size_bytes = ICMP_HEADER_BYTES;

    for (int i = 0; i < 4; i++)
        message[4 + i] = (uint8_t)(mtu_bytes >> (24 - 8 * i));
    size_bytes += quote_header(message + size_bytes, request);
    quote_bytes = min_u64(quote_bytes, min_u64(request->size_bytes, sizeof(message) - size_bytes));
    memcpy(message + size_bytes, request->bytes, quote_bytes);
    size_bytes += quote_bytes;
    set_checksum(message, size_bytes);
    return simulated_deliver(network, from, request->ifindex, message, size_bytes, delay_ns);
}

static int simulated_open_family(struct transport *transport, int family, uint16_t *ident, char *message,
                                 size_t size_bytes)
{
    *ident = family == AF_INET ? SIMULATED_IDENT4 : SIMULATED_IDENT6;
    return 0;
}

static int simulated_reserve(struct transport *transport, uint32_t payload_bytes, uint32_t replies)
{
    const struct simulated *network = simulated_of(transport);
    uint32_t limit = network->script->receive_limit;

    return (int)min_u64(replies, limit ? limit : INT32_MAX);
}

static unsigned simulated_send(struct transport *transport, struct packet_out *packets, unsigned count)
{
    struct simulated *network = simulated_of(transport);

    for (unsigned i = 0; i < count; i++) {
        int error = network->script->request(network->script->context, network, &packets[i]);

        packets[i].error = error;
        if (error == ENOBUFS || error == EAGAIN || error == ENOMEM)
            return i;
    }
    return count;
}

static int simulated_receive(struct transport *transport, int family, struct packet_in *packets,
                             unsigned count)
{
    struct simulated *network = simulated_of(transport);
    struct inbox *inbox = &network->inboxes[family == AF_INET6];
    unsigned got = 0;

    for (size_t i = 0; i < ARRAY_SIZE(network->lent); i++) {
        free(network->lent[i]);
        network->lent[i] = NULL;
    }
    arrive(network);
    for (; got < count && inbox->count; got++) {
        struct flying *packet = &inbox->packets[inbox->head];

        packets[got] = (struct packet_in){
            .at_ns = network->script->no_stamps ? 0 : packet->at_ns,
            .from = packet->from,
            .ifindex = packet->ifindex,
            .bytes = packet->bytes,
            .size_bytes = packet->size_bytes,
        };
        network->lent[got] = packet->bytes;
        inbox->head = (inbox->head + 1) % inbox->capacity;
        inbox->count--;
    }
    return (int)got;
}

/* Errors come as messages, as they do on a raw socket. */
static int simulated_receive_errors(struct transport *transport, int family, struct packet_in *packets,
                                    unsigned count)
{
    return 0;
}

static int simulated_wait(struct transport *transport, uint64_t until_ns, int wakeup_fd)
{
    struct simulated *network = simulated_of(transport);
    uint64_t next_ns = network->heap_count ? network->heap[0].at_ns : NEVER_NS;

    if (network->inboxes[0].count || network->inboxes[1].count)
        return 0;
    next_ns = min_u64(next_ns, until_ns);
    if (next_ns == NEVER_NS)
        return -EDEADLK; /* nothing will ever happen */
    network->now_ns = max_u64(network->now_ns, next_ns);
    arrive(network);
    return 0;
}

static int simulated_fd(struct transport *transport, bool *complete)
{
    *complete = true;
    return -1;
}

static uint64_t simulated_now(const struct transport *transport)
{
    return ((const struct simulated *)transport)->now_ns;
}

static uint32_t simulated_mtu_bytes(const struct transport *transport, const struct address *to,
                                    uint32_t ifindex)
{
    return ((const struct simulated *)transport)->script->mtu_bytes;
}

static uint64_t simulated_receive_drops(struct transport *transport)
{
    return simulated_of(transport)->drops;
}

static void simulated_close(struct transport *transport)
{
    struct simulated *network = simulated_of(transport);

    for (size_t i = 0; i < ARRAY_SIZE(network->lent); i++)
        free(network->lent[i]);
    for (size_t i = 0; i < network->heap_count; i++)
        free(network->heap[i].bytes);
    for (size_t k = 0; k < ARRAY_SIZE(network->inboxes); k++) {
        struct inbox *inbox = &network->inboxes[k];

        for (size_t i = 0; i < inbox->count; i++)
            free(inbox->packets[(inbox->head + i) % inbox->capacity].bytes);
        free(inbox->packets);
    }
    free(network->heap);
    free(network);
}

static const struct transport_operations simulated_operations = {
    .name = "simulated",
    .open_family = simulated_open_family,
    .reserve = simulated_reserve,
    .send = simulated_send,
    .receive = simulated_receive,
    .receive_errors = simulated_receive_errors,
    .wait = simulated_wait,
    .fd = simulated_fd,
    .now = simulated_now,
    .mtu_bytes = simulated_mtu_bytes,
    .receive_drops = simulated_receive_drops,
    .close = simulated_close,
};

int simulated_open(struct transport **out, const struct simulated_script *script)
{
    struct simulated *network = calloc(1, sizeof(*network));

    if (!network)
        return -ENOMEM;
    network->base.operations = &simulated_operations;
    network->script = script;
    network->now_ns = 1000 * NS_PER_S;
    *out = &network->base;
    return 0;
}
