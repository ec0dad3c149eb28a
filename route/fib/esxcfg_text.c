/* SPDX-License-Identifier: Apache-2.0 */
#include "route/fib/esxcfg_text.h"

#include <linux/rtnetlink.h>

#define MTU_MIN_BYTES 68 /* RFC 791 */
#define MTU_MAX_BYTES 65535

/* "255.255.240.0" -> 20. 0 or -EINVAL. */
static int netmask(const char *word, uint8_t *length)
{
    struct in_addr mask;
    uint32_t bits;

    if (inet_pton(AF_INET, word, &mask) != 1)
        return -EINVAL;
    bits = ntohl(mask.s_addr);
    if (bits & (~bits >> 1))
        return -EINVAL; /* ones after a zero */
    *length = (uint8_t)__builtin_popcount(bits);
    return 0;
}

/* The gateway, in one word or two. Returns how many words it took; 0: it is none. */
static size_t gateway(const struct text_line *line, size_t at, struct address *out)
{
    struct in_addr any = {0};

    if (at + 1 < line->count && strcmp(line->words[at], "Local") == 0 &&
        strcmp(line->words[at + 1], "Subnet") == 0)
        return 2;
    if (at >= line->count || inet_pton(AF_INET, line->words[at], out->bytes) != 1)
        return 0;
    if (memcmp(out->bytes, &any, sizeof(any)) != 0)
        out->family = AF_INET;
    return 1;
}

/* NULL, or what is wrong with the line. ESX 4's table has no column for interfaces. */
static const char *read_route(const struct text_line *line, bool has_interfaces, struct text_route *out)
{
    struct fib_route *route = &out->route;
    uint8_t length;
    size_t taken;

    *out = (struct text_route){.route = {.type = RTN_UNICAST}};
    if (text_prefix(line->words[0], AF_INET, &route->destination, &length) < 0)
        return "expected a network";
    if (line->count < 2 || netmask(line->words[1], &route->prefix_length) < 0)
        return "expected a netmask";
    taken = gateway(line, 2, &route->gateway);
    if (!taken)
        return "expected a gateway or Local Subnet";
    if (line->count > 2 + taken + 1)
        return "expected no more than an interface after the gateway";
    if (line->count < 2 + taken + has_interfaces ||
        (line->count == 2 + taken + 1 && text_interface(line->words[2 + taken], out) < 0))
        return "expected an interface";
    return NULL;
}

/* The names of all columns? One that is cut off is none. */
static bool is_header(const struct text_line *line)
{
    static const char *const names[] = {"Network", "Netmask", "Gateway", "Interface"};

    for (size_t i = 0; i < line->count; i++)
        if (i == ARRAY_SIZE(names) || strcmp(line->words[i], names[i]) != 0)
            return false;
    return line->count + 1 >= ARRAY_SIZE(names);
}

static int find_header(const char **at, struct text_line *line)
{
    int r;

    while ((r = text_next_line(at, line)) > 0 && !is_header(line))
        ;
    return r;
}

int esxcfg_text_table(const char *text, struct text_table *table, char *why, size_t size_bytes)
{
    struct text_line line = {0};
    struct text_route route;
    const char *wrong;
    int r = find_header(&text, &line);
    bool has_interfaces = line.count > 3;

    if (r == 0)
        return text_bad_line(&line, "the text ends without a table of routes", why, size_bytes);
    while (r > 0 && (r = text_next_line(&text, &line)) > 0) {
        if (text_line_is_rule(&line))
            continue;
        wrong = read_route(&line, has_interfaces, &route);
        if (wrong)
            return text_bad_line(&line, wrong, why, size_bytes);
        r = text_table_add(table, &route) < 0 ? -ENOMEM : 1;
    }
    return r == -EBADMSG ? text_bad_line(&line, "it is too long", why, size_bytes) : r;
}

/* Is there a line "WORDS PREFIX ..."? */
static bool says(const char *text, const char *words, const char *prefix)
{
    size_t length = strlen(words);

    while (*text) {
        text += strspn(text, " \t\r\n");
        if (strncmp(text, words, length) == 0 && strncmp(text + length, prefix, strlen(prefix)) == 0 &&
            strchr(" \t\r\n", text[length + strlen(prefix)]))
            return true;
        text += strcspn(text, "\n");
    }
    return false;
}

bool esxcfg_text_added(const char *text, const char *prefix)
{
    return says(text, "Adding static route ", prefix);
}

bool esxcfg_text_deleted(const char *text, const char *prefix)
{
    return says(text, "Deleting static route ", prefix);
}

bool esxcfg_text_locked(const char *text)
{
    return strstr(text, "Timeout while waiting for lock");
}

/* The number that begins right at this place of the line, between blanks; 0: there is none. */
static uint32_t number_at(const char *line, size_t length, size_t offset)
{
    uint64_t value = 0;
    size_t i;

    if (offset >= length || (offset > 0 && line[offset - 1] != ' '))
        return 0;
    for (i = offset; i < length && line[i] >= '0' && line[i] <= '9' && value <= MTU_MAX_BYTES; i++)
        value = value * 10 + (uint64_t)(line[i] - '0');
    if ((i < length && !strchr(" \t\r", line[i])) || value < MTU_MIN_BYTES || value > MTU_MAX_BYTES)
        return 0;
    return (uint32_t)value;
}

/* Where the column of MTUs begins; SIZE_MAX: this is not the head of the table. */
static size_t mtu_column(const char *line, size_t length)
{
    static const char first[] = "Interface", head[] = " MTU ";

    if (length < sizeof(first) || memcmp(line, first, sizeof(first) - 1) != 0)
        return SIZE_MAX;
    for (size_t i = 0; i + sizeof(head) - 1 <= length; i++)
        if (memcmp(line + i, head, sizeof(head) - 1) == 0)
            return i + 1;
    return SIZE_MAX;
}

uint32_t esxcfg_text_mtu(const char *text, const char *interface)
{
    size_t column = SIZE_MAX, name = strlen(interface);
    uint32_t mtu_bytes = 0;

    while (*text && !mtu_bytes) {
        size_t length = strcspn(text, "\n");

        if (column == SIZE_MAX)
            column = mtu_column(text, length);
        else if (length > name && memcmp(text, interface, name) == 0 && text[name] == ' ')
            mtu_bytes = number_at(text, length, column);
        text += length + (text[length] == '\n');
    }
    return mtu_bytes;
}
