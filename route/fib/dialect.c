/* SPDX-License-Identifier: Apache-2.0 */
#include "route/fib/dialect.h"

#include <stdarg.h>
#include <sys/wait.h>

#include "route/fib/esxcfg_text.h"
#include "route/fib/ip_text.h"

/* A word that the caller keeps. */
static void word(struct dialect_arguments *arguments, const char *text)
{
    arguments->list[arguments->count++] = text;
}

PRINTF_LIKE(2, 3) static void made(struct dialect_arguments *arguments, const char *format, ...)
{
    char *text = arguments->texts[arguments->text_count++];
    va_list values;

    va_start(values, format);
    vsnprintf(text, DIALECT_TEXT_SIZE, format, values);
    va_end(values);
    word(arguments, text);
}

static const char *prefix_text(const struct fib_route *route, char *buffer, size_t size_bytes)
{
    snprintf(buffer, size_bytes, "%s/%u", ADDRESS_TEXT(&route->destination), route->prefix_length);
    return buffer;
}

static bool ended_well(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* --- esxcfg-route of ESXi: CIDR form only, and a route is deleted by its exact gateway --- */

static void esxcfg_arguments(const struct dialect_order *order, struct dialect_arguments *arguments)
{
    const struct fib_route *route = order->route;
    char prefix[ADDRESS_TEXT_SIZE + 4];

    word(arguments, order->program);
    if (order->verb == DIALECT_MTUS) { /* of all netstacks */
        word(arguments, "-l");
        return;
    }
    if (order->netstack[0]) {
        word(arguments, "-N");
        word(arguments, order->netstack);
    }
    word(arguments, order->verb == DIALECT_LIST ? "-l" : order->verb == DIALECT_ADD ? "-a" : "-d");
    if (order->verb == DIALECT_LIST)
        return;
    made(arguments, "%s", prefix_text(route, prefix, sizeof(prefix)));
    made(arguments, "%s", ADDRESS_TEXT(&route->gateway));
}

static int esxcfg_table(const char *text, uint8_t family, struct text_table *table, char *why,
                        size_t size_bytes)
{
    return esxcfg_text_table(text, table, why, size_bytes);
}

/* The exit code is not to be trusted; that of a table which a signal broke off is. */
static bool esxcfg_did(const struct dialect_order *order, const char *text, int status)
{
    char prefix[ADDRESS_TEXT_SIZE + 4];

    if (order->verb == DIALECT_LIST || order->verb == DIALECT_MTUS)
        return ended_well(status);
    prefix_text(order->route, prefix, sizeof(prefix));
    return order->verb == DIALECT_ADD ? esxcfg_text_added(text, prefix) : esxcfg_text_deleted(text, prefix);
}

const struct dialect dialect_esxcfg = {
    .name = "esxcfg",
    .program = "/sbin/esxcfg-route",
    .mtus = "esxcfg-vmknic",
    .arguments = esxcfg_arguments,
    .table = esxcfg_table,
    .did = esxcfg_did,
    .mtu = esxcfg_text_mtu,
    .busy = esxcfg_text_locked,
};

/* --- ip of iproute2 and busybox --- */

static void ip_route_arguments(const struct dialect_order *order, struct dialect_arguments *arguments)
{
    const struct fib_route *route = order->route;
    struct address gateway = route->gateway;
    char prefix[ADDRESS_TEXT_SIZE + 4], name[IF_NAMESIZE];

    gateway.scope = 0; /* said by "dev" */
    made(arguments, "%s", prefix_text(route, prefix, sizeof(prefix)));
    if (address_is_set(&gateway)) {
        word(arguments, "via");
        made(arguments, "%s", ADDRESS_TEXT(&gateway));
    }
    if (if_indextoname(route->ifindex, name)) {
        word(arguments, "dev");
        made(arguments, "%s", name);
    }
    if (route->metric) {
        word(arguments, "metric");
        made(arguments, "%" PRIu32, route->metric);
    }
    if (order->verb != DIALECT_DELETE) {
        word(arguments, "proto");
        made(arguments, "%u", route->protocol);
    }
}

static void ip_arguments(const struct dialect_order *order, struct dialect_arguments *arguments)
{
    static const char *const verbs[] = {[DIALECT_LIST] = "show",
                                        [DIALECT_ADD] = "add",
                                        [DIALECT_REPLACE] = "replace",
                                        [DIALECT_DELETE] = "del"};
    uint8_t family = order->verb == DIALECT_LIST ? order->family : order->route->destination.family;

    word(arguments, order->program);
    word(arguments, family == AF_INET6 ? "-6" : "-4");
    word(arguments, "route");
    word(arguments, verbs[order->verb]);
    if (order->verb != DIALECT_LIST)
        ip_route_arguments(order, arguments);
    word(arguments, "table");
    made(arguments, "%" PRIu32, order->table);
}

static bool ip_did(const struct dialect_order *order, const char *text, int status)
{
    return ended_well(status) || (order->verb == DIALECT_LIST && ip_text_no_table(text));
}

const struct dialect dialect_ip = {
    .name = "ip",
    .program = "/sbin/ip",
    .replaces = true,
    .names_interface = true,
    .ordered = true,
    .has_metric = true,
    .arguments = ip_arguments,
    .table = ip_text_table,
    .did = ip_did,
};

/* --- for people --- */

const char *dialect_text(const struct dialect_arguments *arguments, char *buffer, size_t size_bytes)
{
    const char *slash = strrchr(arguments->list[0], '/');
    size_t n = (size_t)snprintf(buffer, size_bytes, "%s", slash ? slash + 1 : arguments->list[0]);

    for (size_t i = 1; i < arguments->count && n < size_bytes; i++)
        n += (size_t)snprintf(buffer + n, size_bytes - n, " %s", arguments->list[i]);
    return buffer;
}
