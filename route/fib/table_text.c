/* SPDX-License-Identifier: Apache-2.0 */
#include "route/fib/table_text.h"

#define BLANKS " \t\r"

void text_table_clear(struct text_table *table)
{
    free(table->routes);
    *table = (struct text_table){0};
}

int text_table_add(struct text_table *table, const struct text_route *route)
{
    if ((table->count & (table->count - 1)) == 0) {
        struct text_route *more =
            reallocarray(table->routes, table->count ? table->count * 2 : 1, sizeof(*more));

        if (!more)
            return -ENOMEM;
        table->routes = more;
    }
    table->routes[table->count++] = *route;
    return 0;
}

int text_next_line(const char **at, struct text_line *line)
{
    size_t length = strcspn(*at, "\n");
    char *rest = line->bytes;

    line->count = 0;
    line->number++;
    if (**at == '\0')
        return 0;
    if (length >= sizeof(line->bytes))
        return -EBADMSG;
    memcpy(line->bytes, *at, length);
    line->bytes[length] = '\0';
    line->indented = length > 0 && strchr(BLANKS, line->bytes[0]);
    *at += length + ((*at)[length] == '\n');
    for (char *word = strtok_r(line->bytes, BLANKS, &rest); word; word = strtok_r(NULL, BLANKS, &rest)) {
        if (line->count == TEXT_WORDS_MAX)
            return -EBADMSG;
        line->words[line->count++] = word;
    }
    return 1;
}

bool text_line_is_rule(const struct text_line *line)
{
    for (size_t i = 0; i < line->count; i++)
        if (strspn(line->words[i], "-") != strlen(line->words[i]))
            return false;
    return true;
}

static int whole_prefix(const char *word, struct address *network, uint8_t *length)
{
    int r = address_parse(network, word);

    *length = (uint8_t)(address_size_bytes(network) * 8);
    return r < 0 ? -EINVAL : 0;
}

int text_prefix(const char *word, uint8_t family, struct address *network, uint8_t *length)
{
    const char *slash = strchr(word, '/');
    char copy[ADDRESS_TEXT_SIZE];
    unsigned long bits;
    char *end;

    if (strcmp(word, "default") == 0) {
        *network = (struct address){.family = family};
        *length = 0;
        return 0;
    }
    if (!slash)
        return whole_prefix(word, network, length) < 0 || network->family != family ? -EINVAL : 0;
    if (slash[1] < '0' || slash[1] > '9' || (size_t)(slash - word) >= sizeof(copy))
        return -EINVAL;
    snprintf(copy, sizeof(copy), "%.*s", (int)(slash - word), word);
    bits = strtoul(slash + 1, &end, 10);
    if (*end || address_parse(network, copy) < 0 || network->family != family ||
        bits > address_size_bytes(network) * 8)
        return -EINVAL;
    *length = (uint8_t)bits;
    return 0;
}

int text_interface(const char *word, struct text_route *route)
{
    int n = snprintf(route->interface, sizeof(route->interface), "%s", word);

    return n > 0 && (size_t)n < sizeof(route->interface) ? 0 : -EINVAL;
}

int text_bad_line(const struct text_line *line, const char *what, char *why, size_t size_bytes)
{
    snprintf(why, size_bytes, "line %u: %s", line->number, what);
    return -EBADMSG;
}

const char *text_one_line(const char *text, char *buffer, size_t size_bytes)
{
    size_t n = 0;

    for (text += strspn(text, BLANKS "\n"); *text && n + 3 < size_bytes; text++) {
        if (*text != '\n') {
            buffer[n++] = *text < ' ' || *text > '~' ? '?' : *text;
            continue;
        }
        text += strspn(text, BLANKS "\n") - 1;
        if (text[1]) {
            buffer[n++] = ';';
            buffer[n++] = ' ';
        }
    }
    if (n == 0)
        n = (size_t)snprintf(buffer, size_bytes, "nothing");
    buffer[n] = '\0';
    return buffer;
}
