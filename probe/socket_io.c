/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between the transports' packets and the kernel's msghdr: addresses, interfaces, time stamps, the
 * error queue.
 *
 * THE ERROR QUEUE
 * With IP_RECVERR an ICMP error about one of our requests is queued beside the messages. Its errno is also
 * the result of the next call on the socket, often of a send to another target. So when a send fails with an
 * errno that may be such a one, it is tried again, and the errno is believed when it repeats itself.
 *
 *   - Ping sockets learn of ICMP errors only from this queue.
 *   - Raw sockets get them as messages too: there the queue is only emptied.
 *   - Notes of departure (settings.tx_timestamps) come by it on both kinds: the packet as the device got it,
 *     and its time.
 */
#include "probe/icmp.h"
#include "probe/lacking.h"
#include "probe/socket.h"

#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

/* The fewest bytes for one received message: a whole ICMP error with all it may quote (RFC 1812, RFC 4443).
 */
#define BUFFER_MIN_BYTES 1536
#define SEND_TRIES       4

int socket_transport_init(struct socket_transport *t, const struct transport_operations *operations,
                          const struct probe_settings *settings)
{
    int r;

    t->base.operations = operations;
    t->singly |= lacking_error(LACKING_RECVMMSG) != 0;
    t->settings = *settings;
    t->sockets[0].fd = t->sockets[1].fd = -1;
    r = socket_transport_reserve(&t->base, settings->payload_bytes, 1);
    return r < 0 ? r : 0;
}

void socket_transport_destroy(struct socket_transport *t)
{
    socket_ways_close(t);
    icmp_socket_close(&t->sockets[0]);
    icmp_socket_close(&t->sockets[1]);
    free(t->buffers);
}

struct icmp_socket *socket_transport_socket(struct socket_transport *t, int family)
{
    return &t->sockets[family == AF_INET6];
}

int socket_transport_open_family(struct transport *transport, int family, uint16_t *ident, char *message,
                                 size_t size_bytes)
{
    struct socket_transport *t = (struct socket_transport *)transport;
    struct icmp_socket *s = socket_transport_socket(t, family);

    if (s->fd < 0) {
        int r = icmp_socket_open(s, family, &t->settings, message, size_bytes);

        if (r < 0)
            return r;
        icmp_socket_reserve(s, t->payload_bytes, t->replies);
        t->base.is_raw |= s->raw;
    }
    *ident = s->ident;
    return 0;
}

int socket_transport_reserve(struct transport *transport, uint32_t payload_bytes, uint32_t replies)
{
    struct socket_transport *t = (struct socket_transport *)transport;
    /* An IPv4 header with options may be in front. A multiple of 16: control messages may follow. */
    size_t buffer_bytes =
        (max_u64(BUFFER_MIN_BYTES, (uint64_t)payload_bytes + ICMP_HEADER_BYTES + 64) + 15) & ~(size_t)15;
    uint32_t room = replies;

    if (buffer_bytes > t->buffer_bytes) {
        uint8_t *buffers = realloc(t->buffers, TRANSPORT_BATCH * buffer_bytes);

        if (!buffers)
            return -ENOMEM;
        t->buffers = buffers;
        t->buffer_bytes = buffer_bytes;
    }
    t->payload_bytes = payload_bytes;
    t->replies = replies;
    for (size_t i = 0; i < ARRAY_SIZE(t->sockets); i++)
        if (t->sockets[i].fd >= 0)
            room = (uint32_t)min_u64(room, icmp_socket_reserve(&t->sockets[i], payload_bytes, replies));
    return (int)min_u64(room, INT32_MAX);
}

uint64_t socket_transport_now(const struct transport *transport)
{
    return clock_now_ns(CLOCK_MONOTONIC);
}

uint32_t socket_transport_mtu_bytes(const struct transport *transport, const struct address *to,
                                    uint32_t ifindex)
{
    return icmp_socket_mtu_bytes(&((const struct socket_transport *)transport)->settings, to, ifindex);
}

uint64_t socket_transport_receive_drops(struct transport *transport)
{
    struct socket_transport *t = (struct socket_transport *)transport;
    uint64_t drops = 0;

    for (size_t i = 0; i < ARRAY_SIZE(t->sockets); i++)
        if (t->sockets[i].fd >= 0)
            drops += icmp_socket_drops(&t->sockets[i]);
    return drops;
}

void socket_transport_refresh(struct transport *transport)
{
    struct socket_transport *t = (struct socket_transport *)transport;

    t->ways_are_stale = true;
    for (size_t i = 0; i < ARRAY_SIZE(t->sockets); i++)
        icmp_socket_bind_interface(&t->sockets[i], &t->settings);
}

static size_t put_control(uint8_t *control, int level, int type, const void *data, size_t size_bytes)
{
    struct cmsghdr *header = (struct cmsghdr *)(void *)control;

    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(size_bytes);
    memcpy(CMSG_DATA(header), data, size_bytes);
    return CMSG_SPACE(size_bytes);
}

/* The interface of one packet. The source address must be said again: the kernel takes both from here. */
static size_t put_interface(uint8_t *control, const struct probe_settings *settings,
                            const struct packet_out *packet)
{
    if (packet->to.family == AF_INET) {
        struct in_pktinfo info = {.ipi_ifindex = (int)packet->ifindex};

        memcpy(&info.ipi_spec_dst, settings->source4.bytes, 4);
        return put_control(control, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    }

    struct in6_pktinfo info = {.ipi6_ifindex = packet->ifindex};

    memcpy(&info.ipi6_addr, settings->source6.bytes, 16);
    return put_control(control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
}

void socket_transport_fill_send(struct socket_transport *t, unsigned i, const struct packet_out *packet)
{
    struct socket_header *h = &t->headers[i];
    struct address to = packet->to;

    if (to.scope == 0 && address_is_link_local(&to))
        to.scope = packet->ifindex;
    h->vector = iovec_out(packet->bytes, packet->size_bytes);
    t->messages[i].msg_hdr = (struct msghdr){
        .msg_name = &h->name,
        .msg_namelen = address_to_sockaddr(&to, 0, &h->name),
        .msg_iov = &h->vector,
        .msg_iovlen = 1,
    };
    if (packet->ifindex && t->sockets[to.family == AF_INET6].tells_interface) {
        t->messages[i].msg_hdr.msg_controllen = put_interface(h->control, &t->settings, packet);
        t->messages[i].msg_hdr.msg_control = h->control;
    }
}

void socket_transport_fill_receive(struct socket_transport *t, unsigned i)
{
    struct socket_header *h = &t->headers[i];

    h->vector.iov_base = t->buffers + i * t->buffer_bytes;
    h->vector.iov_len = t->buffer_bytes;
    t->messages[i].msg_hdr = (struct msghdr){
        .msg_name = &h->name,
        .msg_namelen = sizeof(h->name),
        .msg_iov = &h->vector,
        .msg_iovlen = 1,
        .msg_control = h->control,
        .msg_controllen = sizeof(h->control),
    };
}

/* May an errno be that of an ICMP error about another packet? Any of those that the kernel makes of one may.
 */
static bool may_be_anothers(int error)
{
    static const int errors[] = {ENETUNREACH, EHOSTUNREACH, ECONNREFUSED, ENOPROTOOPT, EMSGSIZE,
                                 EOPNOTSUPP,  EHOSTDOWN,    ENONET,       EACCES,      EPROTO};

    for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
        if (errors[i] == error)
            return true;
    return false;
}

int socket_transport_send_one(struct socket_transport *t, struct icmp_socket *s, unsigned i,
                              struct packet_out *packet)
{
    packet->error = 0;
    packet->mtu_bytes = 0;
    for (int tries = 0; tries < SEND_TRIES; tries++) {
        if (sendmsg(s->fd, &t->messages[i].msg_hdr, MSG_DONTWAIT) >= 0) {
            packet->error = 0;
            return 1;
        }
        packet->error = errno;
        if (packet->error == EAGAIN || packet->error == ENOBUFS || packet->error == ENOMEM)
            return 0;
        /* A firewall of ours, for instance: it would see each try, and answer it. */
        if (!may_be_anothers(packet->error))
            break;
    }
    t->ways_are_stale = true;
    if (packet->error == EMSGSIZE)
        packet->mtu_bytes = icmp_socket_mtu_bytes(&t->settings, &packet->to, packet->ifindex);
    return 1;
}

/* How many packets from the first on can go in one call. */
static unsigned run_length(struct socket_transport *t, const struct packet_out *packets, unsigned count)
{
    const struct icmp_socket *s = socket_way(t, &packets[0]);
    unsigned n = 1;

    while (n < count && socket_way(t, &packets[n]) == s &&
           packets[n].dont_fragment == packets[0].dont_fragment)
        n++;
    return n;
}

/* Sends a run. Returns how many of it are dealt with. */
static unsigned send_run(struct socket_transport *t, struct packet_out *packets, unsigned count)
{
    struct icmp_socket *s = socket_way(t, &packets[0]);
    int r = icmp_socket_set_dont_fragment(s, packets[0].dont_fragment);
    unsigned done = 0;

    for (unsigned i = 0; i < count; i++) {
        packets[i].error = -r;
        socket_transport_fill_send(t, i, &packets[i]);
    }
    if (r < 0)
        return count;
    while (done < count) {
        if (count - done > 1 && !lacking_error(LACKING_SENDMMSG)) {
            int sent = sendmmsg(s->fd, t->messages + done, count - done, MSG_DONTWAIT);

            if (sent > 0)
                done += (unsigned)sent;
            else if (errno == ENOSYS)
                lacking_note(LACKING_SENDMMSG, -errno);
        }
        /* The one that was refused goes by itself: that shows whose error it is. */
        if (done < count && socket_transport_send_one(t, s, done, &packets[done]) == 0)
            break;
        done += done < count;
    }
    return done;
}

unsigned socket_transport_send(struct transport *transport, struct packet_out *packets, unsigned count)
{
    struct socket_transport *t = (struct socket_transport *)transport;
    unsigned done = 0;

    while (done < count) {
        unsigned n = run_length(t, packets + done, count - done);
        unsigned sent = send_run(t, packets + done, n);

        done += sent;
        if (sent < n)
            break;
    }
    return done;
}

struct clock_pair clock_pair_read(void)
{
    struct clock_pair pair = {0};

    /* If we lost the CPU between the readings they do not belong together. */
    for (int tries = 0; tries < 4; tries++) {
        uint64_t before_ns = clock_now_ns(CLOCK_MONOTONIC);

        pair.real_ns = clock_now_ns(CLOCK_REALTIME);
        pair.monotonic_ns = clock_now_ns(CLOCK_MONOTONIC);
        if (pair.monotonic_ns - before_ns < 5 * NS_PER_US)
            break;
    }
    return pair;
}

static uint64_t stamp_to_monotonic(const struct timespec *stamp, const struct clock_pair *clocks)
{
    uint64_t stamp_ns = timespec_ns(stamp);

    if (stamp_ns == 0)
        return 0;
    return sub_sat_u64(clocks->monotonic_ns, sub_sat_u64(clocks->real_ns, stamp_ns));
}

static void decode_error(struct packet_in *packet, const struct sock_extended_err *error)
{
    /* The offender's address is behind the structure, as the kernel laid it out. */
    const struct sockaddr *offender = (const struct sockaddr *)(const void *)(error + 1);

    packet->left = error->ee_origin == SO_EE_ORIGIN_TIMESTAMPING;
    if (error->ee_origin != SO_EE_ORIGIN_ICMP && error->ee_origin != SO_EE_ORIGIN_ICMP6)
        return;
    packet->quoted = true;
    packet->destination = packet->from;
    packet->from = address_from_sockaddr(offender);
    packet->icmp_type = error->ee_type;
    packet->icmp_code = error->ee_code;
    if (error->ee_errno == EMSGSIZE)
        packet->mtu_bytes = error->ee_info;
}

static void decode_control(struct cmsghdr *c, const struct clock_pair *clocks, struct packet_in *packet)
{
    const void *data = CMSG_DATA(c);

    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPING) {
        packet->at_ns = stamp_to_monotonic(data, clocks);
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        packet->ifindex = (uint32_t)((const struct in_pktinfo *)data)->ipi_ifindex;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        packet->ifindex = ((const struct in6_pktinfo *)data)->ipi6_ifindex;
    } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
               (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
        decode_error(packet, data);
    }
}

static void decode(const struct mmsghdr *message, const struct clock_pair *clocks, struct packet_in *packet)
{
    struct msghdr header = message->msg_hdr; /* CMSG_NXTHDR() does not say that it only reads */

    *packet = (struct packet_in){0};
    packet->from = address_from_sockaddr(header.msg_name);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
        decode_control(c, clocks, packet);
}

void socket_transport_decode(struct socket_transport *t, struct icmp_socket *s, unsigned i,
                             const struct clock_pair *clocks, struct packet_in *packet)
{
    size_t size_bytes = t->messages[i].msg_len;
    const uint8_t *bytes = t->headers[i].vector.iov_base;

    decode(&t->messages[i], clocks, packet);
    if (s->raw && s->family == AF_INET) {
        size_t skip = icmp_ipv4_header_bytes(bytes, size_bytes);

        if (packet->ifindex == 0)
            packet->ifindex = socket_way_of(t, s, bytes, size_bytes);
        bytes += skip;
        size_bytes -= skip;
    }
    packet->bytes = bytes;
    packet->size_bytes = (uint32_t)size_bytes;
}

int socket_transport_receive(struct transport *transport, int family, struct packet_in *packets,
                             unsigned count)
{
    struct socket_transport *t = (struct socket_transport *)transport;
    struct icmp_socket *s = socket_transport_socket(t, family);
    struct clock_pair clocks;
    int got;

    if (s->fd < 0)
        return 0;
    for (unsigned i = 0; i < count; i++)
        socket_transport_fill_receive(t, i);
    got = socket_transport_fetch(t, s, t->messages, count, 0);
    if (got <= 0)
        return got;
    clocks = clock_pair_read();
    for (unsigned i = 0; i < (unsigned)got; i++)
        socket_transport_decode(t, s, i, &clocks, &packets[i]);
    return got;
}

/*
 * Finds our request in a packet as it left a device, behind the headers of whatever link or tunnel that is.
 * A wrong guess does no harm: what is believed of it is what its token seals.
 */
static bool skip_to_request(const struct icmp_socket *s, struct packet_in *packet)
{
    uint8_t type = s->family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;

    for (; packet->size_bytes >= ICMP_HEADER_BYTES; packet->bytes += 2, packet->size_bytes -= 2) {
        uint16_t ident;

        memcpy(&ident, packet->bytes + 4, sizeof(ident));
        if (packet->bytes[0] == type && packet->bytes[1] == 0 && ntohs(ident) == s->ident)
            return true;
        if (packet->size_bytes < ICMP_HEADER_BYTES + 2)
            break;
    }
    return false;
}

static void fill_queue(struct socket_queue *queue, unsigned i)
{
    struct socket_header *h = &queue->headers[i];

    queue->messages[i].msg_hdr = (struct msghdr){
        .msg_name = &h->name,
        .msg_namelen = sizeof(h->name),
        .msg_iov = &h->vector,
        .msg_iovlen = 1,
        .msg_control = h->control,
        .msg_controllen = sizeof(h->control),
    };
}

/* Makes a packet of entry i. False: nobody wants it. */
static bool take_queued(const struct socket_queue *queue, const struct icmp_socket *s, unsigned i,
                        const struct clock_pair *clocks, struct packet_in *packet)
{
    const struct mmsghdr *message = &queue->messages[i];

    decode(message, clocks, packet);
    packet->bytes = queue->headers[i].vector.iov_base;
    packet->size_bytes = (uint32_t)min_u64(message->msg_len, SOCKET_QUEUED_BYTES);
    return packet->left ? skip_to_request(s, packet) : packet->quoted && !s->raw;
}

int socket_transport_receive_errors(struct transport *transport, int family, struct packet_in *packets,
                                    unsigned count)
{
    struct socket_transport *t = (struct socket_transport *)transport;
    struct icmp_socket *s = socket_transport_socket(t, family);
    struct socket_queue *queue = &t->queue;
    struct clock_pair clocks = {0};
    unsigned got = 0;
    int fetched = 1;

    for (unsigned i = 0; i < count; i++)
        queue->headers[i].vector = (struct iovec){queue->bytes[i], SOCKET_QUEUED_BYTES};
    while (s->fd >= 0 && got < count && fetched > 0) {
        for (unsigned i = got; i < count; i++)
            fill_queue(queue, i);
        fetched = socket_transport_fetch(t, s, queue->messages + got, count - got, MSG_ERRQUEUE);
        if (fetched > 0)
            clocks = clock_pair_read();
        for (unsigned i = got, end = got + (unsigned)(fetched > 0 ? fetched : 0); i < end; i++) {
            struct iovec kept = queue->headers[i].vector;

            if (!take_queued(queue, s, i, &clocks, &packets[got]))
                continue;
            /* Its bytes stay where they are; what comes next gets the place of one that nobody wanted. */
            queue->headers[i].vector = queue->headers[got].vector;
            queue->headers[got++].vector = kept;
        }
    }
    return fetched < 0 ? fetched : (int)got;
}
