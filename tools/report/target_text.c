/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report/target_text.h"

#include "probe/text.h"

#include <ctype.h>

#define NAME_MAX_BYTES  253 /* RFC 1035, section 2.3.4, as text without the last dot */
#define LABEL_MAX_BYTES 63
#define CLEAN_BYTES     2048

const char *report_shown(const char *text, char buffer[static SHOWN_BYTES])
{
    char whole[CLEAN_BYTES];

    if (strlen(text_clean(text, whole, sizeof(whole))) <= 60)
        return strcpy(buffer, whole);
    text_clean(text, buffer, 58);
    return strcat(buffer, "...");
}

/* --- names --------------------------------------------------------------------------------------------- */

/* "0x0a010001" is a number to inet_aton(), and to nobody a name. */
static bool is_hexadecimal(const char *label, size_t length)
{
    return length > 1 && label[0] == '0' && (label[1] | 0x20) == 'x' &&
           strspn(label + 2, "0123456789abcdefABCDEF") >= length - 2;
}

/* Letters, digits, '-' and '_' in labels of 1 to 63 (RFC 1123, section 2.1), the last one no number. */
static bool is_name(const char *text)
{
    size_t length = strlen(text), label = 0;
    bool has_letter = false;

    if (length > 1 && text[length - 1] == '.')
        length--;
    if (length == 0 || length > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '.') {
            if (label == 0)
                return false;
            label = 0;
            has_letter = false;
            continue;
        }
        if (!isalnum((unsigned char)text[i]) && text[i] != '_' && (text[i] != '-' || label == 0))
            return false;
        if (isalpha((unsigned char)text[i]))
            has_letter = true;
        if (++label > LABEL_MAX_BYTES)
            return false;
    }
    return label > 0 && has_letter && !is_hexadecimal(text + length - label, label);
}

/* --- what it might have been ---------------------------------------------------------------------------- */

/* "10.1.0.1-10" */
static bool is_short_range(const char *text, char *why, size_t size_bytes)
{
    const char *dash = strchr(text, '-'), *dot;
    char first[INET_ADDRSTRLEN];
    struct in_addr address;
    size_t digits = dash ? strspn(dash + 1, "0123456789") : 0;

    if (!dash || digits == 0 || digits > 3 || dash[1 + digits] || (size_t)(dash - text) >= sizeof(first))
        return false;
    snprintf(first, sizeof(first), "%.*s", (int)(dash - text), text);
    if (inet_pton(AF_INET, first, &address) != 1)
        return false;
    dot = strrchr(first, '.');
    snprintf(why, size_bytes, ": a range has an address at both ends, such as %s-%.*s%s", first,
             (int)(dot + 1 - first), first, dash + 1);
    return true;
}

static void say_what_is_wrong(const char *text, char *why, size_t size_bytes)
{
    struct in_addr address;
    size_t ascii = 0;

    while (text[ascii] > 0)
        ascii++;
    if (is_short_range(text, why, size_bytes))
        return;
    if (text[0] && inet_aton(text, &address))
        snprintf(why, size_bytes, ": an IPv4 address has four decimal numbers without leading zeros");
    else if (text[ascii] && text[text_plain_bytes(text)] == '\0')
        snprintf(why, size_bytes, ": a name beyond ASCII is written as the name service has it, xn--...");
    else
        snprintf(why, size_bytes, " is neither an address nor a name");
}

/* --- addresses that are no host's --- */

const char *report_no_host(const struct address *address)
{
    static const uint8_t zero[16], ones[4] = {255, 255, 255, 255};
    const uint8_t *bytes = address->bytes;

    if (memcmp(bytes, zero, sizeof(zero)) == 0)
        return "the unspecified address";
    if (address->family == AF_INET6)
        return bytes[0] == 0xff ? "a multicast address" : NULL;
    if (memcmp(bytes, ones, sizeof(ones)) == 0)
        return "the broadcast address";
    return bytes[0] >> 4 == 14 ? "a multicast address" : NULL;
}

static int check(const struct probe_range *range, int family, char *why, size_t size_bytes)
{
    const char *first = report_no_host(&range->first), *last = report_no_host(&range->last);

    if (family != AF_UNSPEC && range->first.family != family)
        snprintf(why, size_bytes, ": expected %s, as -%c says", family == AF_INET ? "IPv4" : "IPv6",
                 family == AF_INET ? '4' : '6');
    else if (first || last)
        snprintf(why, size_bytes, ": %s is %s, no host's", ADDRESS_TEXT(first ? &range->first : &range->last),
                 first ? first : last);
    else
        return 0;
    return -EINVAL;
}

int report_target_parse(struct probe_range *out, const char *text, int family, uint32_t scope, char *why,
                        size_t size_bytes)
{
    char message[256] = "";
    int r = probe_range_parse_on(out, text, scope, message, sizeof(message));

    if (r == 0)
        return check(out, family, why, size_bytes);
    if (r != -ENOENT) {
        snprintf(why, size_bytes, ": %s", message);
        return r;
    }
    if (is_name(text))
        return -ENOENT;
    say_what_is_wrong(text, why, size_bytes);
    return -EINVAL;
}
