/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink messages, see message.h. Attributes are taken by a small table of pointers per message;
 * unknown ones are skipped, ones of the wrong size make the message useless.
 */
#include "route/fib/message.h"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/in_route.h>
#include <linux/rtnetlink.h>

/* Attributes by number, as far as the table reaches. false: a length does not add up. */
static bool take_attributes(const struct nlattr *first, size_t size_bytes, const struct nlattr **table,
                            size_t room)
{
    const struct nlattr *attribute = first;
    int left = (int)size_bytes;

    memset(table, 0, room * sizeof(*table));
    for (; mnl_attr_ok(attribute, left); attribute = mnl_attr_next(attribute)) {
        if (mnl_attr_get_type(attribute) < room)
            table[mnl_attr_get_type(attribute)] = attribute;
        left -= (int)MNL_ALIGN(attribute->nla_len);
    }
    return left < (int)MNL_ATTR_HDRLEN;
}

/* The attributes behind the fixed header; NULL-safe for messages that are too short. */
static bool take_message(const struct nlmsghdr *message, size_t header_bytes, const struct nlattr **table,
                         size_t room)
{
    size_t size_bytes = mnl_nlmsg_get_payload_len(message);

    if (message->nlmsg_len < MNL_NLMSG_HDRLEN || size_bytes < MNL_ALIGN(header_bytes))
        return false;
    return take_attributes(mnl_nlmsg_get_payload_offset(message, header_bytes),
                           size_bytes - MNL_ALIGN(header_bytes), table, room);
}

static bool take_address(const struct nlattr *attribute, uint8_t family, struct address *out)
{
    memset(out, 0, sizeof(*out));
    if (!attribute)
        return true;
    out->family = family;
    if (address_size_bytes(out) == 0 || mnl_attr_get_payload_len(attribute) != address_size_bytes(out))
        return false;
    memcpy(out->bytes, mnl_attr_get_payload(attribute), address_size_bytes(out));
    return true;
}

/* A next hop of another family than the destination's (RTA_VIA: family, then the address). */
static bool take_via(const struct nlattr *attribute, struct address *out)
{
    struct rtvia via;
    size_t size_bytes = mnl_attr_get_payload_len(attribute);

    memset(out, 0, sizeof(*out));
    if (size_bytes < sizeof(via))
        return false;
    memcpy(&via, mnl_attr_get_payload(attribute), sizeof(via));
    if (via.rtvia_family > UINT8_MAX)
        return false;
    out->family = (uint8_t)via.rtvia_family;
    if (address_size_bytes(out) == 0 || size_bytes - sizeof(via) < address_size_bytes(out))
        return false;
    memcpy(out->bytes, (const char *)mnl_attr_get_payload(attribute) + sizeof(via), address_size_bytes(out));
    return true;
}

static bool take_u32(const struct nlattr *attribute, uint32_t *out)
{
    if (!attribute)
        return true;
    if (mnl_attr_get_payload_len(attribute) != sizeof(uint32_t))
        return false;
    *out = mnl_attr_get_u32(attribute);
    return true;
}

static bool take_gateway(const struct nlattr **table, uint8_t family, struct address *out)
{
    if (table[RTA_VIA])
        return take_via(table[RTA_VIA], out);
    return take_address(table[RTA_GATEWAY], family, out);
}

static void apply_flags(struct fib_route *route, unsigned flags)
{
    route->onlink = flags & RTNH_F_ONLINK;
    route->link_down = flags & (RTNH_F_LINKDOWN | RTNH_F_DEAD);
}

/* RTA_MULTIPATH: the first hop is told, the others only counted. Down when all of them are. */
static bool take_hops(const struct nlattr *attribute, uint8_t family, struct fib_route *route)
{
    const char *p = mnl_attr_get_payload(attribute);
    size_t left = mnl_attr_get_payload_len(attribute);
    bool all_down = true;
    unsigned hops = 0;

    while (left >= sizeof(struct rtnexthop)) {
        const struct nlattr *table[RTA_VIA + 1];
        struct rtnexthop hop;

        memcpy(&hop, p, sizeof(hop));
        if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > left)
            return false;
        all_down = all_down && hop.rtnh_flags & (RTNH_F_LINKDOWN | RTNH_F_DEAD);
        if (hops++ == 0) {
            if (!take_attributes((const void *)(p + sizeof(hop)), hop.rtnh_len - sizeof(hop), table,
                                 ARRAY_SIZE(table)) ||
                !take_gateway(table, family, &route->gateway))
                return false;
            apply_flags(route, hop.rtnh_flags);
            route->ifindex = (uint32_t)hop.rtnh_ifindex;
        }
        left -= min_u64(left, MNL_ALIGN(hop.rtnh_len));
        p += MNL_ALIGN(hop.rtnh_len);
    }
    route->link_down = hops > 0 && all_down;
    route->multipath = hops > 1;
    return true;
}

bool fib_message_route(const struct nlmsghdr *message, struct fib_route *route)
{
    const struct nlattr *table[RTA_NH_ID + 1];
    struct rtmsg header;

    memset(route, 0, sizeof(*route));
    if (!take_message(message, sizeof(header), table, ARRAY_SIZE(table)))
        return false;
    memcpy(&header, mnl_nlmsg_get_payload(message), sizeof(header));
    if (header.rtm_family != AF_INET && header.rtm_family != AF_INET6)
        return false;
    if (!take_address(table[RTA_DST], header.rtm_family, &route->destination) ||
        !take_address(table[RTA_PREFSRC], header.rtm_family, &route->source) ||
        !take_gateway(table, header.rtm_family, &route->gateway) ||
        !take_u32(table[RTA_OIF], &route->ifindex))
        return false;
    route->destination.family = header.rtm_family;
    if (header.rtm_dst_len > address_size_bytes(&route->destination) * 8)
        return false;
    route->prefix_length = header.rtm_dst_len;
    route->table = header.rtm_table;
    route->protocol = header.rtm_protocol;
    route->type = header.rtm_type;
    route->tos = header.rtm_tos;
    route->cached = header.rtm_flags & RTM_F_CLONED;
    route->redirected = header.rtm_family == AF_INET
                            ? route->cached && header.rtm_flags & RTCF_REDIRECTED
                            : route->cached && header.rtm_protocol == RTPROT_REDIRECT;
    apply_flags(route, header.rtm_flags);
    if (!take_u32(table[RTA_TABLE], &route->table) || !take_u32(table[RTA_PRIORITY], &route->metric) ||
        !take_u32(table[RTA_NH_ID], &route->nexthop_id))
        return false;
    if (table[RTA_MULTIPATH] && !take_hops(table[RTA_MULTIPATH], header.rtm_family, route))
        return false;
    if (address_is_link_local(&route->gateway))
        route->gateway.scope = route->ifindex;
    return true;
}

bool fib_message_link(const struct nlmsghdr *message, struct fib_link *link)
{
    const unsigned working = IFF_UP | IFF_LOWER_UP | IFF_RUNNING;
    const struct nlattr *table[IFLA_MTU + 1];
    struct ifinfomsg header;

    memset(link, 0, sizeof(*link));
    if (!take_message(message, sizeof(header), table, ARRAY_SIZE(table)))
        return false;
    memcpy(&header, mnl_nlmsg_get_payload(message), sizeof(header));
    if (header.ifi_family != AF_UNSPEC || header.ifi_index <= 0)
        return false;
    link->ifindex = (uint32_t)header.ifi_index;
    link->usable = (header.ifi_flags & working) == working;
    link->loopback = header.ifi_flags & IFF_LOOPBACK;
    if (!take_u32(table[IFLA_MTU], &link->mtu_bytes))
        return false;
    if (table[IFLA_IFNAME] && mnl_attr_validate(table[IFLA_IFNAME], MNL_TYPE_NUL_STRING) == 0)
        snprintf(link->name, sizeof(link->name), "%s", mnl_attr_get_str(table[IFLA_IFNAME]));
    return true;
}

bool fib_message_address(const struct nlmsghdr *message, struct fib_own_address *address)
{
    const struct nlattr *table[IFA_RT_PRIORITY + 1];
    struct ifaddrmsg header;
    struct address local;
    uint32_t flags;

    memset(address, 0, sizeof(*address));
    if (!take_message(message, sizeof(header), table, ARRAY_SIZE(table)))
        return false;
    memcpy(&header, mnl_nlmsg_get_payload(message), sizeof(header));
    flags = header.ifa_flags;
    if (!table[IFA_ADDRESS] || !take_u32(table[IFA_FLAGS], &flags) ||
        !take_u32(table[IFA_RT_PRIORITY], &address->metric) ||
        !take_address(table[IFA_ADDRESS], header.ifa_family, &address->network) ||
        !take_address(table[IFA_LOCAL], header.ifa_family, &local))
        return false;
    /* IFA_ADDRESS is the peer of a point-to-point link and IFA_LOCAL ours; else they are the same, and IPv6
     * sends IFA_ADDRESS alone. */
    address->address = address_is_set(&local) ? local : address->network;
    address->prefix_length = header.ifa_prefixlen;
    address->ifindex = header.ifa_index;
    if (flags & IFA_F_NOPREFIXROUTE)
        address->metric = UINT32_MAX;
    address->secondary = flags & (IFA_F_SECONDARY | IFA_F_DEPRECATED | IFA_F_TENTATIVE | IFA_F_DADFAILED);
    if (address_is_link_local(&address->address))
        address->address.scope = header.ifa_index;
    return header.ifa_prefixlen <= address_size_bytes(&address->network) * 8;
}

bool fib_message_neighbour(const struct nlmsghdr *message, struct address *address, uint32_t *ifindex,
                           bool *usable)
{
    const struct nlattr *table[NDA_DST + 1];
    struct ndmsg header;

    if (!take_message(message, sizeof(header), table, ARRAY_SIZE(table)))
        return false;
    memcpy(&header, mnl_nlmsg_get_payload(message), sizeof(header));
    if (!table[NDA_DST] || !take_address(table[NDA_DST], header.ndm_family, address) ||
        header.ndm_ifindex <= 0)
        return false;
    *ifindex = (uint32_t)header.ndm_ifindex;
    *usable = header.ndm_state & (NUD_REACHABLE | NUD_PERMANENT);
    if (address_is_link_local(address))
        address->scope = *ifindex;
    return *usable || header.ndm_state & NUD_FAILED;
}

static void put_next_hop(struct nlmsghdr *message, const struct fib_route *route)
{
    size_t size_bytes = address_size_bytes(&route->gateway);

    /* A nexthop object stands for all of it, and of several hops no single one may be named. */
    if (route->nexthop_id) {
        mnl_attr_put_u32(message, RTA_NH_ID, route->nexthop_id);
        return;
    }
    if (route->multipath)
        return;
    if (route->ifindex)
        mnl_attr_put_u32(message, RTA_OIF, route->ifindex);
    if (route->gateway.family == route->destination.family) {
        mnl_attr_put(message, RTA_GATEWAY, size_bytes, route->gateway.bytes);
    } else if (address_is_set(&route->gateway)) {
        char via[sizeof(struct rtvia) + sizeof(route->gateway.bytes)];

        memcpy(via, &(struct rtvia){.rtvia_family = route->gateway.family}, sizeof(struct rtvia));
        memcpy(via + sizeof(struct rtvia), route->gateway.bytes, size_bytes);
        mnl_attr_put(message, RTA_VIA, sizeof(struct rtvia) + size_bytes, via);
    }
}

void fib_message_put_route(struct nlmsghdr *message, const struct fib_route *route)
{
    struct rtmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

    header->rtm_family = route->destination.family;
    header->rtm_dst_len = route->prefix_length;
    header->rtm_tos = route->tos;
    header->rtm_protocol = route->protocol;
    header->rtm_type = route->type;
    /* For a removal "nowhere" means: whatever its scope. */
    header->rtm_scope = message->nlmsg_type == RTM_DELROUTE ? RT_SCOPE_NOWHERE : RT_SCOPE_UNIVERSE;
    header->rtm_table = route->table < 256 ? (uint8_t)route->table : RT_TABLE_COMPAT;
    mnl_attr_put_u32(message, RTA_TABLE, route->table);
    mnl_attr_put(message, RTA_DST, address_size_bytes(&route->destination), route->destination.bytes);
    if (route->metric)
        mnl_attr_put_u32(message, RTA_PRIORITY, route->metric);
    if (address_is_set(&route->source))
        mnl_attr_put(message, RTA_PREFSRC, address_size_bytes(&route->source), route->source.bytes);
    put_next_hop(message, route);
}
