/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: the keyed hash is SipHash-2-4, the checksum is that of RFC 1071, a request is built as
 * RFC 792 and RFC 4443 say, and whatever comes back is taken apart by what is really there: IP options, short
 * quotes, truncation at every length, other people's packets, wrong checksums.
 */
#include <criterion/criterion.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "probe/icmp.h"

static const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

/* Vectors of the authors' reference implementation: key 00..0f, input 00, 01, 02, ... of that length. */
static const struct {
    size_t size_bytes;
    uint64_t want;
} siphash_vectors[] = {
    {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)},
    {2, UINT64_C(0x0d6c8009d9a94f5a)},  {3, UINT64_C(0x85676696d7fb7e2d)},
    {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)},
    {15, UINT64_C(0xa129ca6149be45e5)}, {16, UINT64_C(0x3f2acc7f57c29bdb)},
    {63, UINT64_C(0x958a324ceb064572)},
};

Test(icmp, siphash_matches_the_reference)
{
    uint8_t input[64];

    for (size_t i = 0; i < sizeof(input); i++)
        input[i] = (uint8_t)i;
    for (size_t i = 0; i < ARRAY_SIZE(siphash_vectors); i++)
        cr_assert_eq(siphash24(input, siphash_vectors[i].size_bytes, key), siphash_vectors[i].want,
                     "length %zu", siphash_vectors[i].size_bytes);
}

static const struct {
    const char *name;
    uint8_t bytes[8];
    size_t size_bytes;
    uint8_t want[2];
} checksums[] = {
    {"the example of RFC 1071", {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}, 8, {0x22, 0x0d}},
    {"nothing", {0}, 0, {0xff, 0xff}},
    {"an odd length counts a zero more", {0x01, 0x02, 0x03}, 3, {0xfb, 0xfd}},
    {"all ones", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 8, {0x00, 0x00}},
};

Test(icmp, checksum)
{
    for (size_t i = 0; i < ARRAY_SIZE(checksums); i++) {
        uint16_t got = icmp_checksum(checksums[i].bytes, checksums[i].size_bytes);

        cr_assert_eq(memcmp(&got, checksums[i].want, 2), 0, "%s: %04x", checksums[i].name, ntohs(got));
    }
}

static const struct icmp_echo echo = {
    .sent_ns = UINT64_C(0x1122334455667788),
    .index = 70000,
    .attempt = 9,
    .ident = 0xbeef,
    .sequence = 0x1170,
};

static struct address address(const char *text)
{
    struct address a;

    cr_assert_eq(address_parse(&a, text), 0);
    return a;
}

static uint64_t make_request(uint8_t *message, size_t size_bytes, const struct address *to)
{
    uint64_t token = icmp_token(&echo, to, key);

    icmp_pattern_fill(message, size_bytes);
    icmp_request_build(message, size_bytes, to->family, &echo, token);
    return token;
}

static void fix_checksum(uint8_t *message, size_t size_bytes)
{
    uint16_t checksum;

    message[2] = message[3] = 0;
    checksum = icmp_checksum(message, size_bytes);
    memcpy(message + 2, &checksum, 2);
}

static void make_reply(uint8_t *message, size_t size_bytes, const struct address *to)
{
    make_request(message, size_bytes, to);
    message[0] = to->family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    fix_checksum(message, size_bytes);
}

Test(icmp, a_request_is_as_the_rfc_says)
{
    struct address to = address("10.0.0.1"), to6 = address("fd00::1");
    uint8_t message[64];

    make_request(message, sizeof(message), &to);
    cr_assert_eq(message[0], 8);
    cr_assert_eq(message[1], 0);
    cr_assert_eq(icmp_checksum(message, sizeof(message)), 0);
    cr_assert_eq(message[4] << 8 | message[5], echo.ident);
    cr_assert_eq(message[6] << 8 | message[7], echo.sequence);
    make_request(message, sizeof(message), &to6);
    cr_assert_eq(message[0], 128);
    cr_assert_eq(message[2] | message[3], 0, "the kernel fills in the checksum");
}

Test(icmp, a_reply_brings_the_state_back)
{
    static const char *const targets[] = {"10.0.0.1", "fd00::1"};
    static const size_t sizes[] = {32, 33, 64, 1480, 8 + PROBE_PAYLOAD_MAX_BYTES};

    for (size_t t = 0; t < ARRAY_SIZE(targets); t++) {
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
            struct address to = address(targets[t]);
            uint8_t *message = malloc(sizes[i]);
            struct icmp_message got;

            make_reply(message, sizes[i], &to);
            cr_assert_eq(icmp_parse(&got, to.family, message, sizes[i]), ICMP_KIND_REPLY);
            cr_assert(got.has_state);
            cr_assert_eq(memcmp(&got.echo, &echo, sizeof(echo)), 0);
            cr_assert_eq(got.token, icmp_token(&echo, &to, key));
            cr_assert_eq(got.payload_bytes, sizes[i] - ICMP_HEADER_BYTES);
            cr_assert(icmp_pattern_is_intact(&got));
            free(message);
        }
    }
}

Test(icmp, the_token_covers_every_member)
{
    struct address to = address("10.0.0.1"), other = address("10.0.0.2");
    uint64_t token = icmp_token(&echo, &to, key);
    uint64_t other_key[2] = {key[0], key[1] + 1};
    struct icmp_echo changed[5] = {echo, echo, echo, echo, echo};

    changed[0].sent_ns++;
    changed[1].index++;
    changed[2].attempt++;
    changed[3].ident++;
    changed[4].sequence++;
    for (size_t i = 0; i < ARRAY_SIZE(changed); i++)
        cr_assert_neq(icmp_token(&changed[i], &to, key), token, "member %zu", i);
    cr_assert_neq(icmp_token(&echo, &other, key), token);
    cr_assert_neq(icmp_token(&echo, &to, other_key), token);
}

Test(icmp, any_flipped_bit_of_an_ipv4_reply_is_corrupt)
{
    struct address to = address("10.0.0.1");
    uint8_t message[64];
    struct icmp_message got;

    make_reply(message, sizeof(message), &to);
    for (size_t bit = 0; bit < sizeof(message) * 8; bit++) {
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_eq(icmp_parse(&got, AF_INET, message, sizeof(message)), ICMP_KIND_CORRUPT, "bit %zu", bit);
        message[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

Test(icmp, a_spoilt_pattern_is_seen)
{
    struct address to = address("fd00::1");
    uint8_t message[64];
    struct icmp_message got;

    for (size_t i = 32; i < sizeof(message); i++) {
        make_reply(message, sizeof(message), &to);
        message[i] ^= 0x10;
        cr_assert_eq(icmp_parse(&got, AF_INET6, message, sizeof(message)), ICMP_KIND_REPLY);
        cr_assert_not(icmp_pattern_is_intact(&got), "byte %zu", i);
    }
}

Test(icmp, a_short_reply_has_no_state)
{
    struct address to = address("10.0.0.1");
    uint8_t message[64];
    struct icmp_message got;

    for (size_t size = 0; size < 40; size++) {
        make_reply(message, sizeof(message), &to);
        if (size >= 8)
            fix_checksum(message, size);
        enum icmp_kind kind = icmp_parse(&got, AF_INET, message, size);

        cr_assert_eq(kind, size < 8 ? ICMP_KIND_CORRUPT : ICMP_KIND_REPLY, "length %zu", size);
        cr_assert_eq(got.has_state, size >= 32, "length %zu", size);
    }
}

static const struct {
    const char *name;
    uint8_t bytes[24];
    size_t size_bytes;
    size_t want;
} headers[] = {
    {"usual", {0x45}, 20, 20},
    {"with one option", {0x46}, 24, 24},
    {"options that are not there", {0x46}, 20, 0},
    {"shorter than a header can be", {0x44}, 24, 0},
    {"cut off", {0x45}, 19, 0},
    {"not IPv4", {0x65}, 24, 0},
    {"nothing", {0}, 0, 0},
};

Test(icmp, ipv4_header_length)
{
    for (size_t i = 0; i < ARRAY_SIZE(headers); i++)
        cr_assert_eq(icmp_ipv4_header_bytes(headers[i].bytes, headers[i].size_bytes), headers[i].want, "%s",
                     headers[i].name);
}

/* An error: header, quoted IP header (`words` long for IPv4), and `quote` bytes of our request. */
static size_t make_error(uint8_t *message, const struct address *to, uint8_t type, uint8_t code, uint32_t mtu,
                         size_t words, size_t quote)
{
    uint8_t request[128];
    size_t header = to->family == AF_INET ? words * 4 : 40;
    uint8_t *ip = message + 8;

    make_request(request, sizeof(request), to);
    memset(message, 0, 8 + header);
    message[0] = type;
    message[1] = code;
    for (int i = 0; i < 4; i++)
        message[4 + i] = (uint8_t)(mtu >> (24 - 8 * i));
    if (to->family == AF_INET) {
        ip[0] = (uint8_t)(0x40 | words);
        ip[9] = IPPROTO_ICMP;
        memcpy(ip + 16, to->bytes, 4);
    } else {
        ip[0] = 0x60;
        ip[6] = IPPROTO_ICMPV6;
        memcpy(ip + 24, to->bytes, 16);
    }
    memcpy(ip + header, request, quote);
    fix_checksum(message, 8 + header + quote);
    return 8 + header + quote;
}

static const struct {
    const char *name;
    const char *to;
    uint8_t type, code;
    uint32_t mtu;
    size_t words;
    size_t quote;
    enum icmp_kind want;
    bool has_state;
    enum probe_outcome outcome;
} errors[] = {
    {"host unreachable", "10.0.0.1", 3, 1, 0, 5, 64, ICMP_KIND_ERROR, true, PROBE_UNREACHABLE},
    {"8 bytes quoted", "10.0.0.1", 3, 1, 0, 5, 8, ICMP_KIND_ERROR, false, PROBE_UNREACHABLE},
    {"state quoted but for its last byte", "10.0.0.1", 3, 1, 0, 5, 31, ICMP_KIND_ERROR, false,
     PROBE_UNREACHABLE},
    {"7 bytes quoted", "10.0.0.1", 3, 1, 0, 5, 7, ICMP_KIND_OTHER, false, 0},
    {"quoted header with options", "10.0.0.1", 3, 1, 0, 15, 64, ICMP_KIND_ERROR, true, PROBE_UNREACHABLE},
    {"fragmentation needed", "10.0.0.1", 3, 4, 1400, 5, 64, ICMP_KIND_ERROR, true, PROBE_FRAG_NEEDED},
    {"TTL exceeded", "10.0.0.1", 11, 0, 0, 5, 64, ICMP_KIND_ERROR, true, PROBE_UNREACHABLE},
    {"parameter problem", "10.0.0.1", 12, 0, 0, 5, 64, ICMP_KIND_ERROR, true, PROBE_UNREACHABLE},
    {"a redirect is no failure", "10.0.0.1", 5, 1, 0, 5, 64, ICMP_KIND_OTHER, false, 0},
    {"source quench is no failure", "10.0.0.1", 4, 0, 0, 5, 64, ICMP_KIND_OTHER, false, 0},
    {"an echo request", "10.0.0.1", 8, 0, 0, 5, 64, ICMP_KIND_OTHER, false, 0},
    {"IPv6 no route", "fd00::1", 1, 0, 0, 0, 64, ICMP_KIND_ERROR, true, PROBE_UNREACHABLE},
    {"IPv6 too big", "fd00::1", 2, 0, 0x00010500, 0, 64, ICMP_KIND_ERROR, true, PROBE_FRAG_NEEDED},
    {"IPv6 8 bytes quoted", "fd00::1", 1, 3, 0, 0, 8, ICMP_KIND_ERROR, false, PROBE_UNREACHABLE},
    {"IPv6 nothing quoted", "fd00::1", 1, 3, 0, 0, 0, ICMP_KIND_OTHER, false, 0},
    {"IPv6 redirect", "fd00::1", 137, 0, 0, 0, 64, ICMP_KIND_OTHER, false, 0},
};

Test(icmp, errors_are_decoded_from_what_they_quote)
{
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        struct address to = address(errors[i].to);
        uint8_t message[256];
        struct icmp_message got;
        size_t size = make_error(message, &to, errors[i].type, errors[i].code, errors[i].mtu, errors[i].words,
                                 errors[i].quote);

        cr_assert_eq(icmp_parse(&got, to.family, message, size), errors[i].want, "%s", errors[i].name);
        if (errors[i].want != ICMP_KIND_ERROR)
            continue;
        cr_assert_eq(got.type, errors[i].type);
        cr_assert_eq(got.code, errors[i].code);
        cr_assert_eq(got.mtu_bytes, errors[i].mtu, "%s: %u", errors[i].name, got.mtu_bytes);
        cr_assert_eq(got.echo.ident, echo.ident, "%s", errors[i].name);
        cr_assert_eq(got.echo.sequence, echo.sequence, "%s", errors[i].name);
        cr_assert_eq(got.has_state, errors[i].has_state, "%s", errors[i].name);
        cr_assert(address_equal(&got.destination, &to), "%s", errors[i].name);
        cr_assert_eq(icmp_error_outcome(to.family, got.type, got.code), errors[i].outcome, "%s",
                     errors[i].name);
        if (got.has_state)
            cr_assert_eq(got.token, icmp_token(&got.echo, &to, key), "%s", errors[i].name);
    }
}

Test(icmp, quotes_of_other_peoples_packets_are_not_ours)
{
    struct address to = address("10.0.0.1"), to6 = address("fd00::1");
    uint8_t message[256];
    struct icmp_message got;
    size_t size;

    size = make_error(message, &to, 3, 1, 0, 5, 64);
    message[8 + 9] = IPPROTO_UDP;
    fix_checksum(message, size);
    cr_assert_eq(icmp_parse(&got, AF_INET, message, size), ICMP_KIND_OTHER, "UDP");

    size = make_error(message, &to, 3, 1, 0, 5, 64);
    message[8 + 7] = 1;
    fix_checksum(message, size);
    cr_assert_eq(icmp_parse(&got, AF_INET, message, size), ICMP_KIND_OTHER, "a later fragment");

    size = make_error(message, &to, 3, 1, 0, 5, 64);
    message[8 + 20] = ICMP_ECHOREPLY;
    fix_checksum(message, size);
    cr_assert_eq(icmp_parse(&got, AF_INET, message, size), ICMP_KIND_OTHER, "a reply of this host");

    size = make_error(message, &to6, 1, 0, 0, 0, 64);
    message[8 + 6] = IPPROTO_TCP;
    cr_assert_eq(icmp_parse(&got, AF_INET6, message, size), ICMP_KIND_OTHER, "TCP");
}

Test(icmp, ipv6_quotes_may_have_a_fragment_header)
{
    struct address to = address("fd00::1");
    uint8_t message[256];
    struct icmp_message got;
    size_t size = make_error(message, &to, 1, 0, 0, 0, 64);

    memmove(message + 8 + 48, message + 8 + 40, size - 48);
    memset(message + 8 + 40, 0, 8);
    message[8 + 6] = IPPROTO_FRAGMENT;
    message[8 + 40] = IPPROTO_ICMPV6;
    message[8 + 43] = 1; /* more fragments */
    cr_assert_eq(icmp_parse(&got, AF_INET6, message, size + 8), ICMP_KIND_ERROR);
    cr_assert(got.has_state);
    cr_assert_eq(got.echo.index, echo.index);
    message[8 + 43] = 9; /* the second fragment */
    cr_assert_eq(icmp_parse(&got, AF_INET6, message, size + 8), ICMP_KIND_OTHER);
}

Test(icmp, truncation_at_every_length_is_survived)
{
    static const char *const targets[] = {"10.0.0.1", "fd00::1"};

    for (size_t t = 0; t < ARRAY_SIZE(targets); t++) {
        struct address to = address(targets[t]);
        uint8_t message[256];
        size_t whole = make_error(message, &to, to.family == AF_INET ? 3 : 1, 0, 0, 7, 64);

        for (size_t size = 0; size <= whole; size++) {
            /* Exactly as long as it is said to be, so that a read behind the end is found. */
            uint8_t *cut = malloc(size ? size : 1);
            struct icmp_message got;

            memcpy(cut, message, size);
            if (size >= 8)
                fix_checksum(cut, size);
            icmp_parse(&got, to.family, cut, size);
            free(cut);
        }
    }
}

static const struct {
    enum probe_outcome outcome;
    struct probe_error error;
    const char *from;
    const char *want;
} reasons[] = {
    {PROBE_REPLY, {0}, NULL, ""},
    {PROBE_REPLY, {.reply_bytes = 64}, NULL, "reply truncated to 64 bytes"},
    {PROBE_TIMEOUT, {0}, NULL, "no reply in 1000 ms"},
    {PROBE_TIMEOUT,
     {.refusal = PROBE_REFUSED_FROM},
     "10.0.0.9",
     "no valid reply in 1000 ms; a reply came from 10.0.0.9"},
    {PROBE_TIMEOUT,
     {.refusal = PROBE_REFUSED_CORRUPT},
     "10.0.0.9",
     "no valid reply in 1000 ms; a corrupt reply came from 10.0.0.9"},
    {PROBE_TIMEOUT,
     {.refusal = PROBE_REFUSED_SHORT, .reply_bytes = 16},
     "10.0.0.9",
     "no valid reply in 1000 ms; a reply truncated to 16 bytes came from 10.0.0.9, too short to prove "
     "itself"},
    {PROBE_UNREACHABLE, {.icmp_type = 3, .icmp_code = 1}, "10.0.0.9", "host unreachable, says 10.0.0.9"},
    {PROBE_UNREACHABLE,
     {.icmp_type = 3, .icmp_code = 13},
     "10.0.0.9",
     "administratively prohibited, says 10.0.0.9"},
    {PROBE_UNREACHABLE, {.icmp_type = 3, .icmp_code = 99}, "10.0.0.9", "ICMP type 3 code 99, says 10.0.0.9"},
    {PROBE_UNREACHABLE, {.icmp_type = 1, .icmp_code = 3}, "fd00::9", "address unreachable, says fd00::9"},
    {PROBE_FRAG_NEEDED, {.mtu_bytes = 1400}, "10.0.0.9", "packet too big for an MTU of 1400, says 10.0.0.9"},
    {PROBE_FRAG_NEEDED, {.error = EMSGSIZE}, NULL, "packet too big, says this host"},
    {PROBE_SEND_FAILED, {.error = ENETUNREACH}, NULL, "cannot send: Network is unreachable"},
    {PROBE_SEND_FAILED,
     {.error = EPERM},
     NULL,
     "cannot send: Operation not permitted (a firewall rule of this host?)"},
    {PROBE_SEND_FAILED,
     {.error = EACCES},
     NULL,
     "cannot send: Permission denied (a broadcast address, or a route that prohibits it)"},
};

Test(icmp, every_outcome_has_its_reason_in_words)
{
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        struct probe_error error = reasons[i].error;
        char text[256];

        if (reasons[i].from)
            error.from = address(reasons[i].from);
        probe_reason_text(reasons[i].outcome, &error, NS_PER_S, text, sizeof(text));
        cr_assert_str_eq(text, reasons[i].want);
    }
}

static const struct {
    const char *name;
    size_t offset;
    uint64_t value;
    size_t size_bytes;
    int want;
} settings_rows[] = {
#define SETTING(member, number) \
    offsetof(struct probe_settings, member), number, sizeof(((struct probe_settings *)0)->member)
    {"the defaults", SETTING(select_count, 1), 0},
    {"1 ms", SETTING(select_timeout_ns, NS_PER_MS), 0},
    {"less than 1 ms", SETTING(select_timeout_ns, NS_PER_MS - 1), -EINVAL},
    {"more than an hour", SETTING(select_timeout_ns, 3601 * NS_PER_S), -EINVAL},
    {"no waits", SETTING(select_count, 0), -EINVAL},
    {"too many waits", SETTING(select_count, 1000001), -EINVAL},
    {"a short ping-timeout", SETTING(ping_timeout_ns, 1), -EINVAL},
    {"the smallest payload", SETTING(payload_bytes, 24), 0},
    {"a smaller one", SETTING(payload_bytes, 23), -EINVAL},
    {"the largest payload", SETTING(payload_bytes, 65507), 0},
    {"a larger one", SETTING(payload_bytes, 65508), -EINVAL},
    {"the wrong family", SETTING(source4.family, AF_INET6), -EINVAL},
};

Test(icmp, settings_are_checked)
{
    for (size_t i = 0; i < ARRAY_SIZE(settings_rows); i++) {
        struct probe_settings settings = probe_settings_default();
        char message[128] = "";

        memcpy((uint8_t *)&settings + settings_rows[i].offset, &settings_rows[i].value,
               settings_rows[i].size_bytes);
        cr_assert_eq(probe_settings_check(&settings, message, sizeof(message)), settings_rows[i].want, "%s",
                     settings_rows[i].name);
        cr_assert_eq(message[0] != '\0', settings_rows[i].want < 0, "%s", settings_rows[i].name);
    }
}
