/* SPDX-License-Identifier: Apache-2.0 */
/* Prefixes and rules: which profile has an address? The longest prefix that covers it decides. */
#include "bench/responder/rules.h"

#define PREFIX_TEXT_MAX 64

static uint8_t bits_of(int family)
{
    return family == AF_INET ? 32 : 128;
}

int responder_prefix_parse(struct responder_prefix *out, const char *text)
{
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : strlen(text);
    char copy[PREFIX_TEXT_MAX];
    unsigned long bits;

    memset(out, 0, sizeof(*out));
    if (length >= sizeof(copy))
        return -EINVAL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (strchr(copy, '%') || address_parse(&out->address, copy) < 0)
        return -EINVAL;
    out->length = bits_of(out->address.family);
    if (!slash)
        return 0;
    bits = strtoul(slash + 1, NULL, 10);
    if (slash[1] == '\0' || slash[1 + strspn(slash + 1, "0123456789")] != '\0' || strlen(slash) > 4 ||
        bits > out->length)
        return -EINVAL;
    out->length = (uint8_t)bits;
    return 0;
}

static bool covers(const struct responder_prefix *prefix, const struct address *address)
{
    size_t whole = prefix->length / 8;
    uint8_t mask = (uint8_t)(0xff00 >> prefix->length % 8);

    if (prefix->address.family == 0)
        return true;
    return prefix->address.family == address->family &&
           memcmp(prefix->address.bytes, address->bytes, whole) == 0 &&
           (prefix->length % 8 == 0 || ((prefix->address.bytes[whole] ^ address->bytes[whole]) & mask) == 0);
}

bool responder_prefix_is_network(const struct responder_prefix *prefix)
{
    for (size_t bit = prefix->length; bit < bits_of(prefix->address.family); bit++)
        if (prefix->address.bytes[bit / 8] & 0x80 >> bit % 8)
            return false;
    return true;
}

int responder_rule_parse(struct responder_rule *out, const char *text, char *message, size_t size_bytes)
{
    size_t length = strcspn(text, "=");
    char prefix[PREFIX_TEXT_MAX], why[512];
    int r;

    memset(out, 0, sizeof(*out));
    snprintf(prefix, sizeof(prefix), "%.*s", (int)(length < sizeof(prefix) ? length : sizeof(prefix) - 1),
             text);
    if (text[length] != '=') {
        snprintf(message, size_bytes, "'%s': expected PREFIX=PROFILE, such as 10.0.0.0/8=lan,loss=1%%", text);
        return -EINVAL;
    }
    if (responder_prefix_parse(&out->prefix, prefix) < 0) {
        snprintf(message, size_bytes, "'%s': expected an address, or a network such as 10.0.0.0/8", prefix);
        return -EINVAL;
    }
    if (!responder_prefix_is_network(&out->prefix)) {
        snprintf(message, size_bytes, "'%s': has bits behind the first %u", prefix, out->prefix.length);
        return -EINVAL;
    }
    r = responder_profile_parse(&out->profile, text + length + 1, why, sizeof(why));
    if (r < 0)
        snprintf(message, size_bytes, "%s: %s", prefix, why);
    return r;
}

static int longest_first(const void *left, const void *right)
{
    const struct responder_prefix *a = &((const struct responder_rule *)left)->prefix;
    const struct responder_prefix *b = &((const struct responder_rule *)right)->prefix;

    if (a->address.family != b->address.family) /* AF_INET6, AF_INET, none */
        return b->address.family - a->address.family;
    if (a->length != b->length)
        return b->length - a->length;
    return memcmp(a->address.bytes, b->address.bytes, sizeof(a->address.bytes));
}

int responder_rules_sort(struct responder_rule *rules, size_t count, size_t *which)
{
    qsort(rules, count, sizeof(*rules), longest_first);
    for (size_t i = 1; i < count; i++) {
        if (longest_first(&rules[i - 1], &rules[i]) == 0) {
            *which = i;
            return -EEXIST;
        }
    }
    return 0;
}

size_t responder_rules_find(const struct responder_rule *rules, size_t count, const struct address *address)
{
    size_t i = 0;

    while (i < count && !covers(&rules[i].prefix, address))
        i++;
    return i;
}
