/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces where the kernel neither takes one with a packet nor tells it of a packet (no IP_PKTINFO): the interface's
 * address stands for it. A raw socket for each interface, bound to that address, sends; it need not hear anything. What
 * comes is heard by the one socket for all, with the IP header in front: the address that a reply was sent to says for
 * which interface it is. That a reply came in through another one is not seen.
 *
 * IPv4 only: a raw IPv6 socket has no header to look at.
 */
#include "probe/interface.h"
#include "probe/socket.h"

#define DESTINATION_OFFSET 16 /* in an IPv4 header (RFC 791, section 3.1) */

static bool has_ways(const struct icmp_socket *s)
{
    return s->raw && s->family == AF_INET && !s->tells_interface;
}

/* Empty: the interface is gone, or has none. */
static struct address address_of(uint32_t ifindex)
{
    char name[IF_NAMESIZE];

    return if_indextoname(ifindex, name) ? interface_first_address(name, AF_INET) : (struct address){0};
}

/* NULL: there is no room, or the interface has no address. */
static struct icmp_socket *way_open(struct socket_transport *t, const struct icmp_socket *s, uint32_t ifindex)
{
    struct socket_way *way = &t->ways[t->way_count];

    if (t->way_count == ARRAY_SIZE(t->ways))
        return NULL;
    *way = (struct socket_way){.ifindex = ifindex, .address = address_of(ifindex)};
    if (!address_is_set(&way->address) ||
        icmp_socket_open_sender(&way->socket, s, &t->settings, &way->address) < 0)
        return NULL;
    t->way_count++;
    return &way->socket;
}

/* Those whose interface has another address by now. The others stay: replies to them may be under way. */
static void close_changed(struct socket_transport *t)
{
    for (unsigned i = t->way_count; i-- > 0;) {
        const struct address now = address_of(t->ways[i].ifindex);

        if (address_equal(&now, &t->ways[i].address))
            continue;
        icmp_socket_close(&t->ways[i].socket);
        t->ways[i] = t->ways[--t->way_count];
    }
}

struct icmp_socket *socket_way(struct socket_transport *t, const struct packet_out *packet)
{
    struct icmp_socket *s = socket_transport_socket(t, packet->to.family), *way = NULL;

    if (packet->ifindex == 0 || !has_ways(s))
        return s;
    if (t->ways_are_stale)
        close_changed(t);
    t->ways_are_stale = false;
    for (unsigned i = 0; i < t->way_count && !way; i++)
        if (t->ways[i].ifindex == packet->ifindex)
            way = &t->ways[i].socket;
    if (!way)
        way = way_open(t, s, packet->ifindex);
    return way ? way : s;
}

uint32_t socket_way_of(const struct socket_transport *t, const struct icmp_socket *s, const uint8_t *bytes,
                       size_t size_bytes)
{
    if (!has_ways(s) || size_bytes < DESTINATION_OFFSET + 4)
        return 0;
    for (unsigned i = 0; i < t->way_count; i++)
        if (memcmp(t->ways[i].address.bytes, bytes + DESTINATION_OFFSET, 4) == 0)
            return t->ways[i].ifindex;
    return 0;
}

void socket_ways_close(struct socket_transport *t)
{
    while (t->way_count > 0)
        icmp_socket_close(&t->ways[--t->way_count].socket);
}
