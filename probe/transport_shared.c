/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw sockets for several workers: each sends through its own socket, and one socket hears for all.
 *
 * WHY ONE
 * The kernel copies an echo reply for every raw socket that may want it, before it looks at the ident. If
 * each of W workers had a hearing socket, W copies of every reply would be made and W - 1 thrown away. So the
 * workers' own sockets hear nothing (a filter by type works before the copy). A hub has the one socket that
 * hears all their idents, which are a block of numbers.
 *
 * HOW A WORKER RECEIVES
 *   1. It empties the hub's socket into boxes: one for each worker, by ident.
 *   2. It takes what is in its own box.
 * Both are done under the hub's lock. So afterwards the worker has all that had arrived for it, also what
 * another worker has read in between. Arrival times are the kernel's.
 *
 * A sleeping worker wakes up when the socket has something (one of them does: EPOLLEXCLUSIVE), or when
 * another worker has put something into its box.
 *
 * BOUNDS AND ERRORS
 * A box has a bound, so that a flood does not take all memory. What does not fit into it counts like what did
 * not fit into a socket's buffer. Errors of the network come as packets and go the same way. The error queues
 * of the sending sockets are only emptied.
 *
 * WHERE NOT
 * Ping sockets need none of this: the kernel hands out by ident what is for each. They are also opened more
 * quickly, and no batch takes a lock. With io_uring it cannot be done: receives stay in the kernel, where
 * nobody sorts.
 */
#include "probe/icmp.h"
#include "probe/socket.h"
#include "probe/unguessable.h"
#include "probe/wakeup.h"

#include <pthread.h>
#include <sys/epoll.h>

#define BOX_MAX_BYTES (16 << 20)

/* Packets in a row, each a struct packet_in with its bytes behind it. */
struct box {
    uint8_t *bytes;
    size_t used, room;
};

/* Where a worker's packets are put. */
struct desk {
    bool is_open[2]; /* IPv4, IPv6 */
    struct box box[2];
    bool sleeps; /* wake it when there is something */
    struct wakeup wakeup;
};

struct hub {
    pthread_mutex_t lock;
    uint32_t users;
    uint16_t ident, idents;        /* of the workers, from the first on; a power of two */
    struct icmp_socket sockets[2]; /* IPv4, IPv6 */
    uint64_t lost;                 /* did not fit into a box */
    uint32_t count;
    struct desk desks[]; /* one for each worker */
};

struct shared_transport {
    struct socket_transport base; /* with the sockets that send */
    struct hub *hub;
    struct desk *desk;
    struct box reading[2]; /* taken out of the desk's */
    size_t read[2];        /* so much of it has been returned */
    int epoll_fd;
    int wakeup_fd; /* the one that is in the set now; -1: none */
};

static struct shared_transport *shared_of(struct transport *transport)
{
    return (struct shared_transport *)transport;
}

/* --- boxes ---------------------------------------------------------------------------------------------- */

static bool box_grow(struct box *box, size_t used_bytes)
{
    size_t room = box->room ? box->room : 4096;
    uint8_t *bytes;

    if (used_bytes <= box->room)
        return true;
    while (room < used_bytes)
        room *= 2;
    bytes = room > BOX_MAX_BYTES ? NULL : realloc(box->bytes, room);
    if (!bytes)
        return false;
    box->bytes = bytes;
    box->room = room;
    return true;
}

static size_t packed_bytes(const struct packet_in *packet)
{
    return sizeof(*packet) + ((packet->size_bytes + 15) & ~(size_t)15);
}

static bool box_put(struct box *box, const struct packet_in *packet)
{
    size_t at = box->used;

    if (!box_grow(box, at + packed_bytes(packet)))
        return false;
    memcpy(box->bytes + at, packet, sizeof(*packet));
    memcpy(box->bytes + at + sizeof(*packet), packet->bytes, packet->size_bytes);
    box->used = at + packed_bytes(packet);
    return true;
}

/* --- the hub -------------------------------------------------------------------------------------------- */

/* Whose packet is it? Its ident, or that of the request which it quotes, says so; else the first counts it.
 */
static uint32_t owner_of(const struct hub *hub, int family, const struct packet_in *packet)
{
    struct icmp_message message;
    enum icmp_kind kind = icmp_parse(&message, family, packet->bytes, packet->size_bytes);
    uint32_t number = (uint32_t)message.echo.ident - hub->ident;

    return (kind == ICMP_KIND_REPLY || kind == ICMP_KIND_ERROR) && number < hub->count ? number : 0;
}

static void put(struct hub *hub, int family, const struct packet_in *packet)
{
    struct desk *desk = &hub->desks[owner_of(hub, family, packet)];

    if (!desk->is_open[family == AF_INET6])
        return;
    if (!box_put(&desk->box[family == AF_INET6], packet))
        hub->lost++;
    if (desk->sleeps)
        wakeup_ring(desk->wakeup.ring_fd);
    desk->sleeps = false;
}

/* Reads what had arrived for anybody when it began. 0 or a negative errno. */
static int empty_socket(struct shared_transport *t, int family)
{
    struct icmp_socket *s = &t->hub->sockets[family == AF_INET6];
    uint64_t begin_ns = clock_now_ns(CLOCK_MONOTONIC), last_ns = 0;
    int got;

    do {
        struct clock_pair clocks;

        for (unsigned i = 0; i < TRANSPORT_BATCH; i++)
            socket_transport_fill_receive(&t->base, i);
        got = socket_transport_fetch(&t->base, s, t->base.messages, TRANSPORT_BATCH, 0);
        if (got <= 0)
            return got;
        clocks = clock_pair_read();
        for (unsigned i = 0; i < (unsigned)got; i++) {
            struct packet_in packet;

            socket_transport_decode(&t->base, s, i, &clocks, &packet);
            put(t->hub, family, &packet);
            last_ns = packet.at_ns;
        }
    } while (got == TRANSPORT_BATCH && last_ns <= begin_ns);
    return 0;
}

/* --- the operations ------------------------------------------------------------------------------------- */

/* Moves what is in the desk's box behind what has not been returned yet. */
static void take_box(struct shared_transport *t, size_t i)
{
    struct box *ours = &t->reading[i], *box = &t->desk->box[i], full = *box;
    size_t left = ours->used - t->read[i];

    if (box->used == 0 && left > 0)
        return;
    ours->used = left;
    if (left == 0) {
        *box = *ours;
        *ours = full;
    } else {
        memmove(ours->bytes, ours->bytes + t->read[i], left);
        if (box_grow(ours, left + box->used)) {
            memcpy(ours->bytes + left, box->bytes, box->used);
            ours->used += box->used;
        } else {
            t->hub->lost++;
        }
        box->used = 0;
    }
    t->read[i] = 0;
}

static int shared_receive(struct transport *transport, int family, struct packet_in *packets, unsigned count)
{
    struct shared_transport *t = shared_of(transport);
    size_t i = family == AF_INET6;
    struct box *box = &t->reading[i];
    unsigned got = 0;
    int r;

    if (t->base.sockets[i].fd < 0)
        return 0;
    pthread_mutex_lock(&t->hub->lock);
    r = empty_socket(t, family);
    take_box(t, i);
    pthread_mutex_unlock(&t->hub->lock);
    if (r < 0)
        return r;
    for (; got < count && t->read[i] < box->used; got++) {
        memcpy(&packets[got], box->bytes + t->read[i], sizeof(packets[got]));
        packets[got].bytes = box->bytes + t->read[i] + sizeof(packets[got]);
        t->read[i] += packed_bytes(&packets[got]);
    }
    return (int)got;
}

static int watch(struct shared_transport *t, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};

    return epoll_ctl(t->epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

static int set_wakeup(struct shared_transport *t, int wakeup_fd)
{
    int r = 0;

    if (wakeup_fd == t->wakeup_fd)
        return 0;
    if (t->wakeup_fd >= 0)
        watch(t, EPOLL_CTL_DEL, t->wakeup_fd, 0);
    if (wakeup_fd >= 0)
        r = watch(t, EPOLL_CTL_ADD, wakeup_fd, EPOLLIN);
    t->wakeup_fd = r < 0 ? -1 : wakeup_fd;
    return r;
}

static bool has_something(struct shared_transport *t)
{
    for (size_t i = 0; i < ARRAY_SIZE(t->reading); i++)
        if (t->read[i] < t->reading[i].used || t->desk->box[i].used > 0)
            return true;
    return false;
}

static int shared_wait(struct transport *transport, uint64_t until_ns, int wakeup_fd)
{
    struct shared_transport *t = shared_of(transport);
    int r = set_wakeup(t, wakeup_fd);
    bool sleeps;

    if (r < 0)
        return r;
    pthread_mutex_lock(&t->hub->lock);
    t->desk->sleeps = sleeps = !has_something(t);
    pthread_mutex_unlock(&t->hub->lock);
    if (!sleeps)
        return 0;
    r = socket_transport_sleep(t->epoll_fd, until_ns);
    if (r < 0)
        transport->failed_call = "epoll_wait";
    pthread_mutex_lock(&t->hub->lock);
    t->desk->sleeps = false;
    wakeup_empty(t->desk->wakeup.fd);
    pthread_mutex_unlock(&t->hub->lock);
    return r;
}

/* Nobody has an outer loop around a pool's worker. */
static int shared_descriptor(struct transport *transport, bool *complete)
{
    *complete = false;
    return shared_of(transport)->epoll_fd;
}

static uint64_t shared_drops(struct transport *transport)
{
    struct hub *hub = shared_of(transport)->hub;
    uint64_t drops;

    pthread_mutex_lock(&hub->lock);
    drops = hub->lost;
    for (size_t i = 0; i < ARRAY_SIZE(hub->sockets); i++)
        if (hub->sockets[i].fd >= 0)
            drops += icmp_socket_drops(&hub->sockets[i]);
    pthread_mutex_unlock(&hub->lock);
    return drops;
}

static int shared_reserve(struct transport *transport, uint32_t payload_bytes, uint32_t replies)
{
    struct hub *hub = shared_of(transport)->hub;
    int room = socket_transport_reserve(transport, payload_bytes, replies);
    uint64_t all = min_u64((uint64_t)replies * hub->count, UINT32_MAX);

    pthread_mutex_lock(&hub->lock);
    for (size_t i = 0; room >= 0 && i < ARRAY_SIZE(hub->sockets); i++)
        if (hub->sockets[i].fd >= 0)
            all = min_u64(all, icmp_socket_reserve(&hub->sockets[i], payload_bytes, (uint32_t)all));
    pthread_mutex_unlock(&hub->lock);
    return room < 0 ? room : (int)max_u64(1, min_u64((uint64_t)room, all / hub->count));
}

static int shared_open_family(struct transport *transport, int family, uint16_t *ident, char *message,
                              size_t size_bytes)
{
    struct shared_transport *t = shared_of(transport);
    struct hub *hub = t->hub;
    size_t i = family == AF_INET6;
    struct icmp_socket *ears = &hub->sockets[i], *mouth = &t->base.sockets[i];
    int r = 0;

    *ident = (uint16_t)(hub->ident + (t->desk - hub->desks));
    if (mouth->fd >= 0)
        return 0;
    pthread_mutex_lock(&hub->lock);
    if (ears->fd < 0)
        r = icmp_socket_open_raw(ears, family, &t->base.settings, hub->ident, hub->idents, message,
                                 size_bytes);
    if (r == 0)
        r = icmp_socket_open_raw(mouth, family, &t->base.settings, *ident, 0, message, size_bytes);
    if (r == 0) {
        icmp_socket_reserve(ears, t->base.payload_bytes,
                            (uint32_t)min_u64((uint64_t)t->base.replies * hub->count, UINT32_MAX));
        r = watch(t, EPOLL_CTL_ADD, ears->fd, EPOLLIN | EPOLLEXCLUSIVE);
        if (r < 0)
            snprintf(message, size_bytes, "epoll: %s", strerror(-r));
    }
    t->desk->is_open[i] = r == 0;
    pthread_mutex_unlock(&hub->lock);
    if (r < 0)
        icmp_socket_close(mouth);
    return r;
}

/* --- opening and closing -------------------------------------------------------------------------------- */

static void hub_leave(struct hub *hub)
{
    bool last;

    pthread_mutex_lock(&hub->lock);
    last = --hub->users == 0;
    pthread_mutex_unlock(&hub->lock);
    if (!last)
        return;
    icmp_socket_close(&hub->sockets[0]);
    icmp_socket_close(&hub->sockets[1]);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

static void shared_close(struct transport *transport)
{
    struct shared_transport *t = shared_of(transport);
    struct desk *desk = t->desk;

    pthread_mutex_lock(&t->hub->lock);
    for (size_t i = 0; i < ARRAY_SIZE(desk->box); i++) {
        desk->is_open[i] = false;
        free(desk->box[i].bytes);
        free(t->reading[i].bytes);
    }
    pthread_mutex_unlock(&t->hub->lock);
    wakeup_close(&desk->wakeup);
    close_fd(t->epoll_fd);
    hub_leave(t->hub);
    socket_transport_destroy(&t->base);
    free(t);
}

static void shared_refresh(struct transport *transport)
{
    struct hub *hub = shared_of(transport)->hub;

    socket_transport_refresh(transport);
    pthread_mutex_lock(&hub->lock);
    for (size_t i = 0; i < ARRAY_SIZE(hub->sockets); i++)
        icmp_socket_bind_interface(&hub->sockets[i], &shared_of(transport)->base.settings);
    pthread_mutex_unlock(&hub->lock);
}

static const struct transport_operations shared_operations = {
    .name = "epoll",
    .open_family = shared_open_family,
    .reserve = shared_reserve,
    .send = socket_transport_send,
    .receive = shared_receive,
    .receive_errors = socket_transport_receive_errors,
    .wait = shared_wait,
    .fd = shared_descriptor,
    .now = socket_transport_now,
    .mtu_bytes = socket_transport_mtu_bytes,
    .receive_drops = shared_drops,
    .refresh = shared_refresh,
    .close = shared_close,
};

/* On failure *out may be there, to be closed, all the same. */
static int open_one(struct transport **out, struct hub *hub, uint32_t number,
                    const struct probe_settings *settings, char *message, size_t size_bytes)
{
    struct shared_transport *t = calloc(1, sizeof(*t));
    uint16_t ident;
    int r;

    if (!t)
        return -ENOMEM;
    t->hub = hub;
    hub->users++;
    t->desk = &hub->desks[number];
    t->wakeup_fd = -1;
    *out = &t->base.base;
    t->desk->wakeup = WAKEUP_NONE;
    r = socket_transport_init(&t->base, &shared_operations, settings);
    t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (r == 0 && t->epoll_fd < 0)
        r = -errno;
    if (r == 0)
        r = wakeup_open(&t->desk->wakeup, message, size_bytes);
    if (r == 0)
        r = watch(t, EPOLL_CTL_ADD, t->desk->wakeup.fd, EPOLLIN);
    if (r < 0) {
        snprintf(message, size_bytes, "%s", strerror(-r));
        return r;
    }
    r = shared_open_family(&t->base.base, AF_INET, &ident, message, size_bytes);
    if (r == -EAFNOSUPPORT || (r == 0 && address_is_set(&settings->source6)))
        r = shared_open_family(&t->base.base, AF_INET6, &ident, message, size_bytes);
    return r;
}

static int hub_new(struct hub **out, uint32_t count)
{
    struct hub *hub = calloc(1, sizeof(*hub) + count * sizeof(hub->desks[0]));
    pthread_mutexattr_t attributes;
    int r;

    if (!hub)
        return -ENOMEM;
    hub->count = count;
    hub->users = 1; /* until all are open */
    hub->sockets[0].fd = hub->sockets[1].fd = -1;
    for (hub->idents = 1; hub->idents < count;)
        hub->idents = (uint16_t)(2 * hub->idents);
    r = unguessable_fill(&hub->ident, sizeof(hub->ident));
    if (r < 0) {
        free(hub);
        return r;
    }
    hub->ident &= (uint16_t) ~(hub->idents - 1);
    /* The worker that has it will be done in some microseconds: not worth a sleep. */
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&hub->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    *out = hub;
    return 0;
}

int transport_shared_open(struct transport **out, uint32_t count, const struct probe_settings *settings,
                          char *message, size_t size_bytes)
{
    struct hub *hub;
    int r = hub_new(&hub, count);

    if (r < 0) {
        snprintf(message, size_bytes, "%s", strerror(-r));
        return r;
    }
    memset(out, 0, count * sizeof(*out));
    for (uint32_t i = 0; r == 0 && i < count; i++)
        r = open_one(&out[i], hub, i, settings, message, size_bytes);
    for (uint32_t i = 0; r < 0 && i < count; i++)
        out[i] = transport_close(out[i]);
    hub_leave(hub);
    return r;
}
