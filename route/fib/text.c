/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes and ways in words, as ip(8) says them.
 */
#include "route/fib/fib.h"

#include <linux/rtnetlink.h>
#include <stdarg.h>

static const char *type_text(uint8_t type)
{
    static const char *const names[] = {
        [RTN_LOCAL] = "local ",         [RTN_BROADCAST] = "broadcast ", [RTN_ANYCAST] = "anycast ",
        [RTN_MULTICAST] = "multicast ", [RTN_BLACKHOLE] = "blackhole ", [RTN_UNREACHABLE] = "unreachable ",
        [RTN_PROHIBIT] = "prohibit ",   [RTN_THROW] = "throw ",         [RTN_NAT] = "nat ",
    };

    return type < ARRAY_SIZE(names) && names[type] ? names[type] : "";
}

static const char *protocol_text(uint8_t protocol, char buffer[static 4])
{
    static const char *const names[] = {
        [RTPROT_REDIRECT] = "redirect", [RTPROT_KERNEL] = "kernel", [RTPROT_BOOT] = "boot",
        [RTPROT_STATIC] = "static",     [RTPROT_RA] = "ra",         [RTPROT_DHCP] = "dhcp",
    };

    if (protocol < ARRAY_SIZE(names) && names[protocol])
        return names[protocol];
    snprintf(buffer, 4, "%u", protocol);
    return buffer;
}

/* Appends to a text that may already be full. */
__attribute__((format(printf, 4, 5))) static void add(char *buffer, size_t size_bytes, size_t *length,
                                                      const char *format, ...)
{
    va_list arguments;
    int n;

    if (*length >= size_bytes)
        return;
    va_start(arguments, format);
    n = vsnprintf(buffer + *length, size_bytes - *length, format, arguments);
    va_end(arguments);
    *length += n > 0 ? (size_t)n : 0;
}

const char *fib_route_text(const struct fib_route *route, char *buffer, size_t size_bytes)
{
    struct address gateway = route->gateway;
    char name[IF_NAMESIZE];
    char number[4];
    size_t n = 0;

    gateway.scope = 0; /* said by "dev" */
    if (size_bytes > 0)
        buffer[0] = '\0';
    add(buffer, size_bytes, &n, "%s%s/%u", type_text(route->type), ADDRESS_TEXT(&route->destination),
        route->prefix_length);
    if (address_is_set(&gateway))
        add(buffer, size_bytes, &n, " via %s", ADDRESS_TEXT(&gateway));
    if (route->ifindex && if_indextoname(route->ifindex, name))
        add(buffer, size_bytes, &n, " dev %s", name);
    else if (route->ifindex)
        add(buffer, size_bytes, &n, " dev if%" PRIu32, route->ifindex);
    if (route->nexthop_id)
        add(buffer, size_bytes, &n, " nhid %" PRIu32, route->nexthop_id);
    if (route->table != RT_TABLE_MAIN)
        add(buffer, size_bytes, &n, " table %" PRIu32, route->table);
    if (address_is_set(&route->source))
        add(buffer, size_bytes, &n, " src %s", ADDRESS_TEXT(&route->source));
    add(buffer, size_bytes, &n, " proto %s metric %" PRIu32, protocol_text(route->protocol, number),
        route->metric);
    if (route->tos)
        add(buffer, size_bytes, &n, " tos 0x%02x", route->tos);
    add(buffer, size_bytes, &n, "%s%s%s", route->multipath ? " (and more next hops)" : "",
        route->onlink ? " onlink" : "", route->link_down ? " linkdown" : "");
    return buffer;
}

static const char *no_way_text(const struct fib_way *way)
{
    switch (way->error) {
    case -EINVAL:
        return "blackhole";
    case -EACCES:
        return "prohibit";
    case -EHOSTUNREACH:
        return "unreachable";
    default:
        return "no route";
    }
}

const char *fib_way_text(const struct fib_way *way, char *buffer, size_t size_bytes)
{
    struct address gateway = way->taken.gateway;
    char name[IF_NAMESIZE];

    gateway.scope = 0;
    if (way->kind == FIB_WAY_TAKEN)
        return fib_route_text(&way->taken, buffer, size_bytes);
    if (way->kind == FIB_WAY_NONE && address_is_set(&way->matched.destination))
        return fib_route_text(&way->matched, buffer, size_bytes);
    if (way->kind == FIB_WAY_NONE)
        snprintf(buffer, size_bytes, "%s", no_way_text(way));
    else
        snprintf(buffer, size_bytes, "redirected via %s dev %s", ADDRESS_TEXT(&gateway),
                 if_indextoname(way->taken.ifindex, name) ? name : "?");
    return buffer;
}
