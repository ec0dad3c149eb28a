/* SPDX-License-Identifier: Apache-2.0 */
#include "route/fib/ip_text.h"

#include <linux/rtnetlink.h>

struct word_value {
    const char *word;
    uint8_t value;
};

static const struct word_value types[] = {
    {"unicast", RTN_UNICAST},         {"local", RTN_LOCAL},         {"broadcast", RTN_BROADCAST},
    {"anycast", RTN_ANYCAST},         {"multicast", RTN_MULTICAST}, {"blackhole", RTN_BLACKHOLE},
    {"unreachable", RTN_UNREACHABLE}, {"prohibit", RTN_PROHIBIT},   {"throw", RTN_THROW},
};

static const struct word_value protocols[] = {
    {"redirect", RTPROT_REDIRECT}, {"kernel", RTPROT_KERNEL}, {"boot", RTPROT_BOOT},
    {"static", RTPROT_STATIC},     {"ra", RTPROT_RA},         {"dhcp", RTPROT_DHCP},
};

static bool find(const struct word_value *values, size_t count, const char *word, uint8_t *value)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(values[i].word, word) == 0) {
            *value = values[i].value;
            return true;
        }
    return false;
}

static int number(const char *word, uint64_t max, uint64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoull(word, &end, 0);
    return word[0] < '0' || word[0] > '9' || *end || errno || *value > max ? -EINVAL : 0;
}

static int read_protocol(const char *word, struct text_route *route)
{
    uint64_t value;

    if (find(protocols, ARRAY_SIZE(protocols), word, &route->route.protocol))
        return 0;
    /* A name of the host's own (rt_protos): not known here, and it stays so. */
    route->route.protocol = number(word, UINT8_MAX, &value) == 0 ? (uint8_t)value : RTPROT_UNSPEC;
    return 0;
}

static int read_metric(const char *word, struct text_route *route)
{
    uint64_t value = 0;
    int r = number(word, UINT32_MAX, &value);

    route->route.metric = (uint32_t)value;
    return r;
}

static int read_tos(const char *word, struct text_route *route)
{
    uint64_t value = 0;
    int r = number(word, UINT8_MAX, &value);

    route->route.tos = (uint8_t)value;
    return r;
}

static int read_gateway(const char *word, struct text_route *route)
{
    return address_parse(&route->route.gateway, word);
}

static int read_source(const char *word, struct text_route *route)
{
    return address_parse(&route->route.source, word);
}

static const struct {
    const char *word;
    int (*read)(const char *word, struct text_route *route);
} attributes[] = {
    {"via", read_gateway}, {"dev", text_interface}, {"proto", read_protocol},
    {"src", read_source},  {"metric", read_metric}, {"tos", read_tos},
};

/* Reads the words from `at` on. NULL, or what is wrong. */
static const char *read_attributes(const struct text_line *line, size_t at, struct text_route *route)
{
    for (; at < line->count; at++) {
        size_t i = 0;

        while (i < ARRAY_SIZE(attributes) && strcmp(line->words[at], attributes[i].word) != 0)
            i++;
        route->route.onlink |= strcmp(line->words[at], "onlink") == 0;
        route->route.link_down |=
            strcmp(line->words[at], "linkdown") == 0 || strcmp(line->words[at], "dead") == 0;
        if (i == ARRAY_SIZE(attributes))
            continue;
        at++;
        if (at < line->count && i == 0 && strncmp(line->words[at], "inet", 4) == 0)
            at++; /* via inet6 ADDRESS */
        if (at >= line->count || attributes[i].read(line->words[at], route) < 0)
            return attributes[i].word;
    }
    return NULL;
}

static const char *read_route(const struct text_line *line, uint8_t family, struct text_route *out)
{
    struct fib_route *route = &out->route;
    size_t at = 0;

    *out = (struct text_route){.route = {.type = RTN_UNICAST}};
    if (find(types, ARRAY_SIZE(types), line->words[0], &route->type))
        at++;
    if (at >= line->count ||
        text_prefix(line->words[at], family, &route->destination, &route->prefix_length) < 0)
        return "a destination";
    return read_attributes(line, at + 1, out);
}

bool ip_text_no_table(const char *text)
{
    return strcmp(text, "Error: ipv4: FIB table does not exist.\nDump terminated\n") == 0 ||
           strcmp(text, "Error: ipv6: FIB table does not exist.\nDump terminated\n") == 0;
}

int ip_text_table(const char *text, uint8_t family, struct text_table *table, char *why, size_t size_bytes)
{
    struct text_line line = {0};
    struct text_route route;
    char expected[64];
    int r;

    if (ip_text_no_table(text))
        return 0;
    while ((r = text_next_line(&text, &line)) > 0) {
        const char *what;

        if (line.count == 0)
            continue;
        if (line.indented && strcmp(line.words[0], "nexthop") == 0 && table->count) {
            table->routes[table->count - 1].route.multipath = true;
            continue;
        }
        what = read_route(&line, family, &route);
        snprintf(expected, sizeof(expected), "expected %s", what ? what : "");
        if (what)
            return text_bad_line(&line, expected, why, size_bytes);
        if (text_table_add(table, &route) < 0)
            return -ENOMEM;
    }
    return r < 0 ? text_bad_line(&line, "it is too long", why, size_bytes) : 0;
}
