/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values: from the text in the file to a member and back. Pure. What a value may be is decided here, what
 * values may stand together in check.c.
 */
#include <ctype.h>
#include <stdarg.h>

#include "route/config/config.h"

#include "probe/quantity.h"
#include "probe/scope.h"
#include "probe/service_protocol.h"
#include "route/config/keys.h"

static int PRINTF_LIKE(3, 4) fail(char *why, size_t why_bytes, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, why_bytes, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

int config_parse_duration(const char *text, uint64_t *out_ns)
{
    uint64_t ns = 0;

    if (quantity_time(text, &ns))
        return -EINVAL;
    *out_ns = ns;
    return 0;
}

int config_parse_size(const char *text, size_t *out_bytes)
{
    uint64_t bytes = 0;

    if (quantity_size(text, &bytes) || bytes > SIZE_MAX)
        return -EINVAL;
    *out_bytes = (size_t)bytes;
    return 0;
}

void config_format_duration(uint64_t ns, char *buffer, size_t size_bytes)
{
    char text[QUANTITY_TEXT_SIZE];

    snprintf(buffer, size_bytes, "%s", quantity_time_text(ns, text));
}

/* Members are of 1, 2, 4 or 8 bytes. */
static void store(const struct config_key *key, void *member, uint64_t value)
{
    switch (key->size_bytes) {
    case 1:
        *(uint8_t *)member = (uint8_t)value;
        break;
    case 2:
        *(uint16_t *)member = (uint16_t)value;
        break;
    case 4:
        *(uint32_t *)member = (uint32_t)value;
        break;
    default:
        *(uint64_t *)member = value;
        break;
    }
}

static uint64_t fetch(const struct config_key *key, const void *member)
{
    switch (key->size_bytes) {
    case 1:
        return *(const uint8_t *)member;
    case 2:
        return *(const uint16_t *)member;
    case 4:
        return *(const uint32_t *)member;
    default:
        return *(const uint64_t *)member;
    }
}

/* The common end of everything that counts: rc is of the parsing, expected of a good value. */
static int store_in_range(const struct config_key *key, int rc, uint64_t value, void *member,
                          const char *expected, char *why, size_t why_bytes)
{
    if (rc == -EDOM)
        return fail(why, why_bytes, "starts with a zero, expected %s, without leading zeros", expected);
    if (rc == -EINVAL)
        return fail(why, why_bytes, "expected %s", expected);
    if (rc || value < key->min || value > key->max)
        return fail(why, why_bytes, "is out of range, expected %s", expected);
    store(key, member, value);
    return 0;
}

static int parse_number(const struct config_key *key, const char *text, void *member, char *why,
                        size_t why_bytes)
{
    const char *end = NULL;
    uint64_t value = 0;
    char expected[96];
    int rc = quantity_digits(text, &value, &end);

    snprintf(expected, sizeof(expected), "a number from %" PRIu64 " to %" PRIu64, key->min, key->max);
    return store_in_range(key, !rc && *end ? -EINVAL : rc, value, member, expected, why, why_bytes);
}

static void format_number(const struct config_key *key, const void *member, char *buffer, size_t size_bytes)
{
    snprintf(buffer, size_bytes, "%" PRIu64, fetch(key, member));
}

static int parse_percent(const struct config_key *key, const char *text, void *member, char *why,
                         size_t why_bytes)
{
    const char *end = NULL;
    uint64_t value = 0;
    char expected[96];
    int rc = quantity_digits(text, &value, &end);

    snprintf(expected, sizeof(expected), "a share such as \"30%%\", from %" PRIu64 "%% to %" PRIu64 "%%",
             key->min, key->max);
    return store_in_range(key, !rc && strcmp(end, "%") != 0 ? -EINVAL : rc, value, member, expected, why,
                          why_bytes);
}

static void format_percent(const struct config_key *key, const void *member, char *buffer, size_t size_bytes)
{
    snprintf(buffer, size_bytes, "%" PRIu64 "%%", fetch(key, member));
}

static void format_duration(const struct config_key *key, const void *member, char *buffer, size_t size_bytes)
{
    config_format_duration(fetch(key, member), buffer, size_bytes);
}

static int parse_duration(const struct config_key *key, const char *text, void *member, char *why,
                          size_t why_bytes)
{
    uint64_t value = 0;
    int rc = quantity_time(text, &value);
    char low[32], high[32], expected[128];

    config_format_duration(key->min, low, sizeof(low));
    config_format_duration(key->max, high, sizeof(high));
    snprintf(expected, sizeof(expected), "a duration with a unit (us, ms, s, m, h) from %s to %s", low, high);
    return store_in_range(key, rc, value, member, expected, why, why_bytes);
}

static void format_size(const struct config_key *key, const void *member, char *buffer, size_t size_bytes)
{
    char text[QUANTITY_TEXT_SIZE];

    snprintf(buffer, size_bytes, "%s", quantity_size_text(fetch(key, member), text));
}

static int parse_size(const struct config_key *key, const char *text, void *member, char *why,
                      size_t why_bytes)
{
    uint64_t value = 0;
    int rc = quantity_size(text, &value);
    char low[QUANTITY_TEXT_SIZE], high[QUANTITY_TEXT_SIZE], expected[128];

    quantity_size_text(key->min, low);
    quantity_size_text(key->max, high);
    snprintf(expected, sizeof(expected), "a size with a unit (B, KiB, MiB, GiB) from %s to %s", low, high);
    return store_in_range(key, rc, value, member, expected, why, why_bytes);
}

static int parse_bool(const struct config_key *key, const char *text, void *member, char *why,
                      size_t why_bytes)
{
    bool value = strcmp(text, "true") == 0;

    if (!value && strcmp(text, "false") != 0)
        return fail(why, why_bytes, "expected true or false");
    *(bool *)member = value;
    return 0;
}

static void format_bool(const struct config_key *key, const void *member, char *buffer, size_t size_bytes)
{
    snprintf(buffer, size_bytes, "%s", *(const bool *)member ? "true" : "false");
}

static const char *const local_texts[] = {
    [CONFIG_LOCAL_AUTO] = "auto", [CONFIG_LOCAL_TRUE] = "true", [CONFIG_LOCAL_FALSE] = "false"};

static int parse_local(const struct config_key *key, const char *text, void *member, char *why,
                       size_t why_bytes)
{
    for (size_t i = 0; i < ARRAY_SIZE(local_texts); i++) {
        if (strcmp(text, local_texts[i]) == 0) {
            *(enum config_local *)member = (enum config_local)i;
            return 0;
        }
    }
    return fail(why, why_bytes, "expected true, false or auto");
}

static void format_local(const struct config_key *key, const void *member, char *buffer, size_t size_bytes)
{
    snprintf(buffer, size_bytes, "%s", local_texts[*(const enum config_local *)member]);
}

/* Loopback is refused for what a route points at, not for what is only asked. */
const char *config_address_flaw(const struct address *a, bool loopback_ok)
{
    static const uint8_t zero[16] = {0};
    bool v4 = a->family == AF_INET;
    struct in6_addr in6;

    memcpy(&in6, a->bytes, sizeof(in6));
    if (memcmp(a->bytes, zero, sizeof(zero)) == 0)
        return "is the address of nobody";
    if (v4 ? (a->bytes[0] & 0xf0) == 0xe0 : a->bytes[0] == 0xff)
        return "is a multicast address";
    if (v4 && a->bytes[0] >= 0xf0)
        return "is not an address of a node";
    if (!loopback_ok && (v4 ? a->bytes[0] == 127 : IN6_IS_ADDR_LOOPBACK(&in6)))
        return "is a loopback address";
    if (!v4 && IN6_IS_ADDR_V4MAPPED(&in6))
        return "is an IPv4 address in IPv6 form";
    if (address_is_link_local(a) && !a->zone[0])
        return "is link-local without its interface";
    return NULL;
}

/* What the kernel takes as the name of an interface. Whether there is one is asked when it is used. */
static bool zone_ok(const char *zone)
{
    return strcmp(zone, ".") != 0 && strcmp(zone, "..") != 0 && !strpbrk(zone, "/: \t\n\v\f\r");
}

static int parse_any_address(const struct config_key *key, const char *text, void *member, char *why,
                             size_t why_bytes)
{
    struct address address;
    int rc = scope_parse_lasting(&address, text);
    const char *flaw = NULL;

    if (rc == -EDOM || (!rc && !zone_ok(address.zone)))
        return fail(why, why_bytes, "%s, expected an address such as fd00::1 or fe80::1%%eth0",
                    rc ? "names an interface, which only a link-local address has"
                       : "names what cannot be an interface");
    if (rc)
        return fail(why, why_bytes, "is no address, expected one such as 10.0.0.1 or fd00::1");
    flaw = config_address_flaw(&address, key->type->list);
    if (flaw)
        return fail(why, why_bytes,
                    "%s, expected a node's own one such as 10.0.0.1, fd00::1 or fe80::1%%eth0", flaw);
    *(struct address *)member = address;
    return 0;
}

static void format_address(const struct config_key *key, const void *member, char *buffer, size_t size_bytes)
{
    const struct address *address = member;

    snprintf(buffer, size_bytes, "%s", address_is_set(address) ? ADDRESS_TEXT(address) : "");
}

/* Texts: the member is an array of key->size_bytes. */
static int store_text(const struct config_key *key, const char *text, void *member, char *why,
                      size_t why_bytes)
{
    size_t length = strlen(text);

    if (length >= key->size_bytes)
        return fail(why, why_bytes, "is too long, expected at most %zu characters", key->size_bytes - 1);
    memcpy(member, text, length + 1);
    return 0;
}

static void format_text(const struct config_key *key, const void *member, char *buffer, size_t size_bytes)
{
    snprintf(buffer, size_bytes, "%s", (const char *)member);
}

static bool only(const char *text, const char *others)
{
    for (; *text; text++) {
        if (!isalnum((unsigned char)*text) && !strchr(others, *text))
            return false;
    }
    return true;
}

bool config_name_ok(const char *text)
{
    return *text && strlen(text) < CONFIG_NAME_SIZE && only(text, "._:-");
}

static int parse_name(const struct config_key *key, const char *text, void *member, char *why,
                      size_t why_bytes)
{
    if (!only(text, "._:-"))
        return fail(why, why_bytes, "expected letters, digits, '.', '_', ':' or '-'");
    return store_text(key, text, member, why, why_bytes);
}

static bool is_choice(const char *choices, const char *text)
{
    size_t length = strlen(text);

    for (const char *at = choices; *at;) {
        size_t word = strcspn(at, " ");

        if (word == length && memcmp(at, text, length) == 0)
            return true;
        at += word + strspn(at + word, " ");
    }
    return false;
}

static int parse_choice(const struct config_key *key, const char *text, void *member, char *why,
                        size_t why_bytes)
{
    if (is_choice(key->choices, text))
        return store_text(key, text, member, why, why_bytes);
    return fail(why, why_bytes, strchr(key->choices, ' ') ? "expected one of: %s" : "expected %s",
                key->choices);
}

static bool port_ok(const char *text)
{
    const char *end = NULL;
    uint64_t port = 0;

    return !quantity_digits(text, &port, &end) && !*end && port >= 1 && port <= UINT16_MAX;
}

static int parse_check(const struct config_key *key, const char *text, void *member, char *why,
                       size_t why_bytes)
{
    struct service_protocol protocol;

    bool may_be_empty = !key->value[0]; /* of an access: as the session says */

    if ((*text || !may_be_empty) && !is_choice(key->choices, text) &&
        service_protocol_parse(text, &protocol) < 0)
        return fail(why, why_bytes,
                    "expected \"tcp:PORT\", \"nfs3:PORT\", \"iscsi:PORT\" or \"http:PORT/PATH\" with a port "
                    "from 1 to 65535, or one of: %s",
                    key->choices);
    return store_text(key, text, member, why, why_bytes);
}

static int parse_path(const struct config_key *key, const char *text, void *member, char *why,
                      size_t why_bytes)
{
    if (*text ? *text != '/' : key->min > 0)
        return fail(why, why_bytes, "expected an absolute path");
    return store_text(key, text, member, why, why_bytes);
}

/* RFC 6901, section 3: "" or "/" and more, where '~' only comes as "~0" and "~1". */
static int parse_pointer(const struct config_key *key, const char *text, void *member, char *why,
                         size_t why_bytes)
{
    bool ok = !*text || *text == '/';

    for (const char *at = strchr(text, '~'); at; at = strchr(at + 1, '~'))
        ok = ok && (at[1] == '0' || at[1] == '1');
    if (!ok)
        return fail(why, why_bytes, "expected a JSON Pointer such as \"/data/uuid\"");
    return store_text(key, text, member, why, why_bytes);
}

static int parse_url_path(const struct config_key *key, const char *text, void *member, char *why,
                          size_t why_bytes)
{
    if (*text && (*text != '/' || strpbrk(text, " \t#\"'<>^`{}")))
        return fail(why, why_bytes, "expected the path of a URL such as \"/api/heartbeat\"");
    return store_text(key, text, member, why, why_bytes);
}

/* The name of a header: a token of RFC 9110, section 5.6.2. */
static int parse_token(const struct config_key *key, const char *text, void *member, char *why,
                       size_t why_bytes)
{
    if (!*text || !only(text, "!#%&'*+-.^_`~"))
        return fail(why, why_bytes, "expected the name of an HTTP header such as \"x-smartx-token\"");
    return store_text(key, text, member, why, why_bytes);
}

/* "127.0.0.1:9100", "[::1]:9100". */
static int parse_endpoint(const struct config_key *key, const char *text, void *member, char *why,
                          size_t why_bytes)
{
    const char *colon = strrchr(text, ':');
    char host[ADDRESS_TEXT_SIZE] = "";
    struct address address;
    bool ok = colon && (size_t)(colon - text) < sizeof(host) && port_ok(colon + 1);

    if (ok) {
        bool brackets = text[0] == '[' && colon[-1] == ']' && colon - text > 2;

        memcpy(host, text + brackets, (size_t)(colon - text) - 2 * brackets);
        ok = !scope_parse_lasting(&address, host) && brackets == (address.family == AF_INET6);
    }
    if (*text && !ok)
        return fail(why, why_bytes, "expected \"ADDRESS:PORT\" such as \"127.0.0.1:9100\" or \"[::1]:9100\"");
    return store_text(key, text, member, why, why_bytes);
}

const struct config_type config_type_number = {parse_number, format_number, .plain = true};
const struct config_type config_type_duration = {parse_duration, format_duration};
const struct config_type config_type_size = {parse_size, format_size};
const struct config_type config_type_percent = {parse_percent, format_percent};
const struct config_type config_type_boolean = {parse_bool, format_bool, .plain = true};
const struct config_type config_type_local = {parse_local, format_local};
const struct config_type config_type_address = {parse_any_address, format_address};
const struct config_type config_type_addresses = {parse_any_address, format_address, .list = true};
const struct config_type config_type_name = {parse_name, format_text};
const struct config_type config_type_choice = {parse_choice, format_text};
const struct config_type config_type_check = {parse_check, format_text};
const struct config_type config_type_path = {parse_path, format_text};
const struct config_type config_type_pointer = {parse_pointer, format_text};
const struct config_type config_type_url_path = {parse_url_path, format_text};
const struct config_type config_type_token = {parse_token, format_text};
const struct config_type config_type_endpoint = {parse_endpoint, format_text};
