/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of addresses: see range.h. Pure but for the names of interfaces in link-local addresses. */
#include "probe/range.h"

/* --- addresses as numbers ------------------------------------------------------------------------------ */

struct wide {
    uint64_t high;
    uint64_t low;
};

static uint64_t read_big(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;

    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

static struct wide address_number(const struct address *a)
{
    if (a->family == AF_INET)
        return (struct wide){.low = read_big(a->bytes, 4)};
    return (struct wide){read_big(a->bytes, 8), read_big(a->bytes + 8, 8)};
}

static void write_big(uint8_t *bytes, size_t count, uint64_t value)
{
    for (; count > 0; value >>= 8)
        bytes[--count] = (uint8_t)value;
}

struct address probe_address_plus(const struct address *a, uint64_t n)
{
    struct address sum = *a;
    struct wide number = address_number(a);

    number.low += n;
    number.high += number.low < n;
    if (a->family == AF_INET) {
        write_big(sum.bytes, 4, number.low);
    } else {
        write_big(sum.bytes, 8, number.high);
        write_big(sum.bytes + 8, 8, number.low);
    }
    return sum;
}

int probe_address_compare(const struct address *a, const struct address *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    if (a->scope != b->scope)
        return a->scope < b->scope ? -1 : 1;
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

uint64_t probe_address_count(const struct address *a, const struct address *b)
{
    struct wide first = address_number(a), last = address_number(b);
    uint64_t high = last.high - first.high - (last.low < first.low);

    return high ? UINT64_MAX : add_sat_u64(last.low - first.low, 1);
}

/* --- parsing ------------------------------------------------------------------------------------------- */

/* address_parse() for a piece of a text. */
static int parse_piece(struct address *out, const char *text, size_t length)
{
    char piece[ADDRESS_TEXT_SIZE];

    if (length >= sizeof(piece))
        return -EINVAL;
    memcpy(piece, text, length);
    piece[length] = '\0';
    return address_parse(out, piece);
}

/* A netmask, "255.255.255.0": how long the prefix is; -1: it is none. */
static int mask_bits(const char *text)
{
    struct in_addr mask;
    uint32_t bits;

    if (inet_pton(AF_INET, text, &mask) != 1)
        return -1;
    bits = ntohl(mask.s_addr);
    return bits & (~bits >> 1) ? -1 : __builtin_popcount(bits);
}

/* The rest of a prefix behind its '/'. */
static int parse_prefix(struct probe_range *out, const char *bits_text, char *message, size_t size_bytes)
{
    unsigned width = out->first.family == AF_INET ? 32 : 128, bits = 0;
    size_t digits = strspn(bits_text, "0123456789");

    for (size_t i = 0; i < digits && bits <= width; i++)
        bits = bits * 10 + (unsigned)(bits_text[i] - '0');
    if (digits == 0 || digits > 3 || bits_text[digits] || bits > width) {
        int length =
            snprintf(message, size_bytes, "expected a prefix length from 0 to %u after the '/'", width);

        if (width == 32 && mask_bits(bits_text) >= 0)
            snprintf(message + length, size_bytes - (size_t)length, ", and %s is /%d", bits_text,
                     mask_bits(bits_text));
        return -EINVAL;
    }
    out->last = out->first;
    for (unsigned i = bits; i < width; i++) {
        out->first.bytes[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
        out->last.bytes[i / 8] |= (uint8_t)(0x80u >> i % 8);
    }
    return 0;
}

/* "::ffff:10.1.0.1": no packet has such an address (RFC 4291, section 2.5.5.2; RFC 4942, section 2.2). */
static bool is_mapped(const struct address *a)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

    return a->family == AF_INET6 && memcmp(a->bytes, prefix, sizeof(prefix)) == 0;
}

/*
 * A range is cut at the '-' that has an address on both sides: the name of an interface may have one as well.
 * The interface may be said at either end.
 */
static int parse_range(struct probe_range *out, const char *text)
{
    for (const char *dash = strchr(text, '-'); dash; dash = strchr(dash + 1, '-')) {
        if (parse_piece(&out->first, text, (size_t)(dash - text)) < 0 ||
            parse_piece(&out->last, dash + 1, strlen(dash + 1)) < 0)
            continue;
        if (out->first.scope == 0)
            out->first.scope = out->last.scope;
        else if (out->last.scope == 0)
            out->last.scope = out->first.scope;
        return 0;
    }
    return -ENOENT;
}

static const char zone_message[] = "only a link-local address has a zone (the part behind '%'); an interface "
                                   "for others is said by --interface";

static int check_range(const struct probe_range *range, char *message, size_t size_bytes)
{
    if (is_mapped(&range->first) && is_mapped(&range->last)) {
        struct address a = {.family = AF_INET};

        memcpy(a.bytes, range->first.bytes + 12, 4);
        snprintf(message, size_bytes, "it is an IPv4 address written as an IPv6 one: expected IPv4, as in %s",
                 ADDRESS_TEXT(&a));
        return -EINVAL;
    }
    if (range->first.family != range->last.family || range->first.scope != range->last.scope) {
        snprintf(message, size_bytes, "both ends of a range are of one family and interface");
        return -EINVAL;
    }
    if (address_is_link_local(&range->first) && range->first.scope == 0) {
        snprintf(message, size_bytes, "it is link-local: say through which interface, as in fe80::1%%NAME");
        return -EINVAL;
    }
    if (range->first.scope != 0 && (!address_has_zone(&range->first) || !address_has_zone(&range->last))) {
        snprintf(message, size_bytes, "%s", zone_message);
        return -EINVAL;
    }
    if (probe_address_compare(&range->first, &range->last) > 0) {
        snprintf(message, size_bytes, "the range ends before it begins");
        return -EINVAL;
    }
    return 0;
}

int probe_range_parse(struct probe_range *out, const char *text, char *message, size_t size_bytes)
{
    return probe_range_parse_on(out, text, 0, message, size_bytes);
}

int probe_range_parse_on(struct probe_range *out, const char *text, uint32_t scope, char *message,
                         size_t size_bytes)
{
    const char *slash = strchr(text, '/');
    int r = slash ? parse_piece(&out->first, text, (size_t)(slash - text)) : address_parse(&out->first, text);

    if (r == 0 && slash)
        r = parse_prefix(out, slash + 1, message, size_bytes);
    else if (r == 0)
        out->last = out->first;
    else if (!slash && parse_range(out, text) == 0)
        r = 0;
    else if (r == -ENODEV)
        snprintf(message, size_bytes, "there is no such interface on this host");
    else if (r == -EDOM)
        snprintf(message, size_bytes, "%s", zone_message);
    else
        return -ENOENT;
    if (r == -EDOM)
        return -EINVAL;
    if (r < 0)
        return r;
    if (address_is_link_local(&out->first) && out->first.scope == 0 && out->last.scope == 0)
        out->first.scope = out->last.scope = scope;
    return check_range(out, message, size_bytes);
}

/* --- sets of ranges ------------------------------------------------------------------------------------ */

int probe_range_set_add(struct probe_range_set *set, const struct probe_range *range)
{
    if (set->count == set->room) {
        size_t room = set->room ? 2 * set->room : 16;
        void *larger = realloc(set->list, room * sizeof(*set->list));

        if (!larger)
            return -ENOMEM;
        set->list = larger;
        set->room = room;
    }
    set->list[set->count++] = *range;
    return 0;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct probe_range *x = a, *y = b;

    return probe_address_compare(&x->first, &y->first);
}

void probe_range_set_sort(struct probe_range_set *set)
{
    struct probe_range *list = set->list;
    size_t kept = 0;

    if (set->count == 0)
        return;
    qsort(list, set->count, sizeof(*list), compare_ranges);
    for (size_t i = 1; i < set->count; i++) {
        if (probe_address_compare(&list[i].first, &list[kept].last) > 0)
            list[++kept] = list[i];
        else if (probe_address_compare(&list[i].last, &list[kept].last) > 0)
            list[kept].last = list[i].last;
    }
    set->count = kept + 1;
}

const struct probe_range *probe_range_set_from(const struct probe_range_set *set,
                                               const struct address *address)
{
    size_t low = 0;

    for (size_t high = set->count; low < high;) {
        size_t middle = low + (high - low) / 2;

        if (probe_address_compare(&set->list[middle].last, address) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->count ? &set->list[low] : NULL;
}

bool probe_range_set_has(const struct probe_range_set *set, const struct address *address)
{
    const struct probe_range *range = probe_range_set_from(set, address);

    return range && probe_address_compare(&range->first, address) <= 0;
}

void probe_range_set_clear(struct probe_range_set *set)
{
    free(set->list);
    *set = (struct probe_range_set){0};
}
