/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/quantity.h"

#include <ctype.h>

#define FRACTION_DIGITS 9

struct unit {
    const char *name;
    uint64_t scale;
};

static const struct unit times[] = {
    {"us", NS_PER_US}, {"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {0},
};
static const struct unit sizes[] = {{"B", 1}, {"KiB", 1024}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {0}};

int quantity_digits(const char *text, uint64_t *out, const char **end)
{
    uint64_t value = 0;

    *end = text;
    if (!isdigit((unsigned char)*text))
        return -EINVAL;
    if (text[0] == '0' && isdigit((unsigned char)text[1]))
        return -EDOM;
    for (; isdigit((unsigned char)**end); ++*end) {
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(**end - '0'), &value))
            return -ERANGE;
    }
    *out = value;
    return 0;
}

static uint64_t scale_of(const char *name, const struct unit *units)
{
    for (; units->name; units++)
        if (strcmp(name, units->name) == 0)
            return units->scale;
    return 0;
}

/* whole + fraction / parts of a unit. With is_exact what is less than 1 of the result is an error. */
static int compose(uint64_t whole, uint64_t fraction, uint64_t parts, uint64_t scale, bool is_exact,
                   uint64_t *out)
{
    /* Of seconds and less this fits in 64 bits, of more it may not. */
    unsigned __int128 small = (unsigned __int128)fraction * scale;

    if (is_exact && small % parts)
        return -EINVAL;
    if (__builtin_mul_overflow(whole, scale, &whole) ||
        __builtin_add_overflow(whole, (uint64_t)(small / parts), out))
        return -ERANGE;
    return 0;
}

static int parse(const char *text, const struct unit *units, uint64_t *out)
{
    uint64_t whole = 0, fraction = 0, parts = 1, scale;
    const char *end = NULL;
    int rc = quantity_digits(text, &whole, &end);

    if (rc)
        return rc;
    if (*end == '.') {
        const char *digits = ++end;

        for (; isdigit((unsigned char)*end) && end - digits < FRACTION_DIGITS; end++, parts *= 10)
            fraction = 10 * fraction + (uint64_t)(*end - '0');
        if (end == digits)
            return -EINVAL;
    }
    scale = scale_of(end, units);
    return scale ? compose(whole, fraction, parts, scale, true, out) : -EINVAL;
}

int quantity_time(const char *text, uint64_t *out_ns)
{
    return parse(text, times, out_ns);
}

int quantity_size(const char *text, uint64_t *out_bytes)
{
    return parse(text, sizes, out_bytes);
}

/* Digits that may have zeros before them, or be none. */
static int lenient_digits(const char **text, uint64_t *out)
{
    int rc;

    *out = 0;
    while (**text == '0')
        ++*text;
    if (!isdigit((unsigned char)**text))
        return 0;
    rc = quantity_digits(*text, out, text);
    return rc;
}

int quantity_time_argument(const char *text, uint64_t min_ns, uint64_t max_ns, uint64_t *out_ns)
{
    uint64_t whole, fraction = 0, parts = 1, scale;
    const char *at = text;
    int rc = lenient_digits(&at, &whole);
    size_t digits = (size_t)(at - text);

    if (rc)
        return rc;
    if (*at == '.') {
        for (at++; isdigit((unsigned char)*at); at++, digits++) {
            if (parts == UINT64_C(1000000000000))
                continue;
            fraction = 10 * fraction + (uint64_t)(*at - '0');
            parts *= 10;
        }
    }
    scale = *at ? scale_of(at, times) : NS_PER_S;
    if (digits == 0 || scale == 0)
        return -EINVAL;
    rc = compose(whole, fraction, parts, scale, false, out_ns);
    return rc ? rc : *out_ns < min_ns || *out_ns > max_ns ? -ERANGE : 0;
}

int quantity_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = hex ? text + 2 : text;

    if (*digits == '\0' || digits[strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789")] != '\0')
        return -EINVAL;
    errno = 0;
    *out = strtoull(digits, NULL, hex ? 16 : 10);
    return errno == ERANGE || *out < min || *out > max ? -ERANGE : 0;
}

/* --- and back ------------------------------------------------------------------------------------------- */

/* The largest unit up to `last` that makes it whole; what is less than the first unit is its fraction. */
static const char *format(uint64_t value, const struct unit *units, const char *last,
                          char buffer[static QUANTITY_TEXT_SIZE])
{
    const struct unit *best = units;
    uint64_t rest;
    int length;

    for (const struct unit *unit = units; unit->name; unit++) {
        if (value && value % unit->scale == 0)
            best = unit;
        if (strcmp(unit->name, last) == 0)
            break;
    }
    length = snprintf(buffer, QUANTITY_TEXT_SIZE, "%" PRIu64, value / best->scale);
    rest = value % best->scale; /* of times only: less than a microsecond */
    if (rest) {
        length += snprintf(buffer + length, QUANTITY_TEXT_SIZE - (size_t)length, ".%03" PRIu64, rest);
        while (buffer[length - 1] == '0')
            length--;
    }
    snprintf(buffer + length, QUANTITY_TEXT_SIZE - (size_t)length, "%s", best->name);
    return buffer;
}

const char *quantity_time_text(uint64_t ns, char buffer[static QUANTITY_TEXT_SIZE])
{
    if (ns)
        return format(ns, times, "s", buffer);
    return strcpy(buffer, "0s");
}

const char *quantity_size_text(uint64_t bytes, char buffer[static QUANTITY_TEXT_SIZE])
{
    return format(bytes, sizes, "GiB", buffer);
}
