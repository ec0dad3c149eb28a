/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what is on the wire: which requests are recognised; that replies and errors of both families have
 * right lengths, addresses and checksums (computed here a second way); that an error quotes the request; that
 * a corrupt reply is wrong in the place that was asked for and nowhere else. Random bytes are none of ours.
 */
#include <criterion/criterion.h>

#include "bench/responder/packet.h"
#include "probe/icmp.h"

#define PAYLOAD_BYTES 56

/* --- a second opinion on checksums -----------------------------------------------------------------------*/

static uint32_t add_up(uint32_t sum, const uint8_t *bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static bool icmp_is_right(const uint8_t *packet, size_t size_bytes)
{
    uint32_t sum = 0;

    if (packet[0] >> 4 == 4)
        return add_up(0, packet + 20, size_bytes - 20) == 0xffff && add_up(0, packet, 20) == 0xffff;
    sum = add_up(0, packet + 8, 32);
    sum = add_up(sum + (uint32_t)(size_bytes - 40) + 58, NULL, 0);
    return add_up(sum, packet + 40, size_bytes - 40) == 0xffff;
}

/* --- requests --------------------------------------------------------------------------------------------*/

struct packet {
    uint8_t bytes[RESPONDER_PACKET_MAX_BYTES + RESPONDER_PACKET_GROWTH_BYTES];
    size_t size_bytes;
    size_t header_bytes;
};

static void put_checksum(uint8_t *at, uint32_t sum)
{
    at[0] = (uint8_t)(~sum >> 8);
    at[1] = (uint8_t)~sum;
}

static void seal(struct packet *packet)
{
    uint8_t *message = packet->bytes + packet->header_bytes;
    uint32_t sum = 0;

    message[2] = message[3] = 0;
    if (packet->bytes[0] >> 4 == 4) {
        packet->bytes[10] = packet->bytes[11] = 0;
        put_checksum(packet->bytes + 10, add_up(0, packet->bytes, packet->header_bytes));
    } else {
        sum = add_up(0, packet->bytes + 8, 32) + (uint32_t)(packet->size_bytes - 40) + 58;
    }
    put_checksum(message + 2, add_up(sum, message, packet->size_bytes - packet->header_bytes));
}

/* From 10.0.0.1 to 10.1.2.3, or fd00::1 to fd01::203; ident 0x1234, sequence 0x5678, payload 0, 1, 2, ... */
static struct packet *request(int family, size_t payload_bytes)
{
    static struct packet packet;
    uint8_t *b = packet.bytes;

    memset(&packet, 0, sizeof(packet));
    packet.header_bytes = family == AF_INET ? 20 : 40;
    packet.size_bytes = packet.header_bytes + 8 + payload_bytes;
    if (family == AF_INET) {
        const uint8_t header[20] = {0x45,
                                    0,
                                    (uint8_t)(packet.size_bytes >> 8),
                                    (uint8_t)packet.size_bytes,
                                    0,
                                    1,
                                    0x40,
                                    0,
                                    17,
                                    1,
                                    0,
                                    0,
                                    10,
                                    0,
                                    0,
                                    1,
                                    10,
                                    1,
                                    2,
                                    3};

        memcpy(b, header, 20);
        b[20] = 8;
    } else {
        const uint8_t header[8] = {
            0x60, 0, 0, 0, (uint8_t)((8 + payload_bytes) >> 8), (uint8_t)(8 + payload_bytes), 58, 17};

        memcpy(b, header, 8);
        b[8] = 0xfd;
        b[23] = 1;
        b[24] = 0xfd;
        b[25] = 1;
        b[38] = 2;
        b[39] = 3;
        b[40] = 128;
    }
    memcpy(b + packet.header_bytes + 4, "\x12\x34\x56\x78", 4);
    for (size_t i = 0; i < payload_bytes; i++)
        b[packet.header_bytes + 8 + i] = (uint8_t)i;
    seal(&packet);
    return &packet;
}

static struct responder_echo parsed(const struct packet *packet)
{
    struct responder_echo echo;

    cr_assert(responder_echo_parse(&echo, packet->bytes, packet->size_bytes));
    return echo;
}

static const int families[] = {AF_INET, AF_INET6};
static const char *const sources[] = {"10.0.0.1", "fd00::1"};
static const char *const destinations[] = {"10.1.2.3", "fd01::203"};

Test(packet, a_request_is_recognised)
{
    for (size_t f = 0; f < 2; f++) {
        struct packet *packet = request(families[f], PAYLOAD_BYTES);
        struct responder_echo echo = parsed(packet);

        cr_expect_str_eq(ADDRESS_TEXT(&echo.source), sources[f]);
        cr_expect_str_eq(ADDRESS_TEXT(&echo.destination), destinations[f]);
        cr_expect_eq(echo.size_bytes, packet->size_bytes);
        cr_expect(echo.dont_fragment);
        packet->bytes[packet->size_bytes] = 0xff; /* what the link appended is not looked at */
        cr_expect(responder_echo_parse(&echo, packet->bytes, packet->size_bytes + 1));
        cr_expect_eq(echo.size_bytes, packet->size_bytes);
    }
}

Test(packet, what_is_wrong_is_not)
{
    static const struct {
        int family;
        size_t at;
        uint8_t to;
        bool sealed; /* checksums made right afterwards */
        const char *what;
    } rows[] = {
        {AF_INET, 0, 0x44, true, "a header of 16 bytes"},
        {AF_INET, 0, 0x55, true, "version 5"},
        {AF_INET, 3, 20, true, "too short for a message"},
        {AF_INET, 3, 255, true, "longer than it is"},
        {AF_INET, 6, 0x20, true, "the first of several fragments"},
        {AF_INET, 7, 0x01, true, "a later fragment"},
        {AF_INET, 9, 17, true, "UDP"},
        {AF_INET, 15, 9, false, "header checksum"},
        {AF_INET, 20, 0, true, "a reply"},
        {AF_INET, 21, 1, true, "code 1"},
        {AF_INET, 40, 99, false, "ICMP checksum"},
        {AF_INET6, 6, 44, true, "a fragment"},
        {AF_INET6, 6, 17, true, "UDP"},
        {AF_INET6, 5, 7, true, "too short for a message"},
        {AF_INET6, 4, 1, true, "longer than it is"},
        {AF_INET6, 24, 0xff, true, "multicast"},
        {AF_INET6, 40, 129, true, "a reply"},
        {AF_INET6, 60, 99, false, "ICMP checksum"},
        {AF_INET6, 39, 4, false, "checksum: another destination"},
    };
    struct responder_echo echo;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct packet *packet = request(rows[i].family, PAYLOAD_BYTES);

        packet->bytes[rows[i].at] = rows[i].to;
        if (rows[i].sealed)
            seal(packet);
        cr_expect_not(responder_echo_parse(&echo, packet->bytes, packet->size_bytes), "%s", rows[i].what);
    }
    for (size_t f = 0; f < 2; f++)
        for (size_t size_bytes = 0; size_bytes < request(families[f], PAYLOAD_BYTES)->size_bytes;
             size_bytes++)
            cr_expect_not(
                responder_echo_parse(&echo, request(families[f], PAYLOAD_BYTES)->bytes, size_bytes));
}

Test(packet, random_bytes_are_no_request)
{
    uint8_t bytes[128];
    struct responder_echo echo;
    uint32_t state = 1;

    for (int round = 0; round < 100000; round++) {
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
        bytes[0] = round % 2 ? 0x45 : 0x60;
        cr_assert_not(responder_echo_parse(&echo, bytes, state % sizeof(bytes)));
    }
}

/* --- replies ---------------------------------------------------------------------------------------------*/

static size_t answer(struct packet *packet, const char *profile_text, struct responder_fate fate)
{
    struct responder_echo echo = parsed(packet);
    struct responder_profile profile;
    struct address router = {0};
    char message[256];

    cr_assert_eq(responder_profile_parse(&profile, profile_text, message, sizeof(message)), 0, "%s", message);
    address_parse(&router, echo.destination.family == AF_INET ? "10.0.0.2" : "fd00::2");
    return responder_answer_build(packet->bytes, &echo, &profile, &fate, &router);
}

static void expect_addresses(const struct packet *packet, const char *from, const char *to)
{
    bool is4 = packet->bytes[0] >> 4 == 4;
    struct address source = {.family = is4 ? AF_INET : AF_INET6}, destination = source;

    memcpy(source.bytes, packet->bytes + (is4 ? 12 : 8), is4 ? 4 : 16);
    memcpy(destination.bytes, packet->bytes + (is4 ? 16 : 24), is4 ? 4 : 16);
    cr_expect_str_eq(ADDRESS_TEXT(&source), from);
    cr_expect_str_eq(ADDRESS_TEXT(&destination), to);
}

static size_t length_of(const struct packet *packet)
{
    const uint8_t *b = packet->bytes;

    return b[0] >> 4 == 4 ? (size_t)(b[2] << 8 | b[3]) : (size_t)(b[4] << 8 | b[5]) + 40;
}

Test(packet, a_reply_is_the_request_the_other_way_round)
{
    static const size_t payloads[] = {0, 1, 55, 56, 1473, 65000};

    for (size_t f = 0; f < 2; f++) {
        for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
            struct packet *packet = request(families[f], payloads[i]);
            size_t size_bytes = answer(packet, "perfect", (struct responder_fate){0});
            const uint8_t *message = packet->bytes + packet->header_bytes;

            cr_expect_eq(size_bytes, packet->size_bytes);
            cr_expect_eq(length_of(packet), size_bytes);
            cr_expect(icmp_is_right(packet->bytes, size_bytes), "%zu", payloads[i]);
            expect_addresses(packet, destinations[f], sources[f]);
            cr_expect_eq(message[0], families[f] == AF_INET ? 0 : 129);
            cr_expect_eq(message[1], 0);
            cr_expect_eq(memcmp(message + 4, "\x12\x34\x56\x78", 4), 0);
            for (size_t k = 0; k < payloads[i]; k++)
                cr_assert_eq(message[8 + k], (uint8_t)k);
            cr_expect_eq(packet->bytes[families[f] == AF_INET ? 8 : 7], 64);
        }
    }
}

Test(packet, a_reply_keeps_the_options_of_its_request)
{
    struct packet *packet = request(AF_INET, PAYLOAD_BYTES);
    size_t size_bytes;

    memmove(packet->bytes + 24, packet->bytes + 20, packet->size_bytes - 20);
    memset(packet->bytes + 20, 1, 4);
    packet->bytes[0] = 0x46;
    packet->header_bytes += 4;
    packet->size_bytes += 4;
    packet->bytes[3] += 4;
    seal(packet);
    size_bytes = answer(packet, "perfect", (struct responder_fate){0});
    cr_expect_eq(size_bytes, packet->size_bytes);
    cr_expect_eq(add_up(0, packet->bytes, 24), 0xffff);
    cr_expect_eq(add_up(0, packet->bytes + 24, size_bytes - 24), 0xffff);
}

Test(packet, a_reply_from_the_wrong_source)
{
    static const char *const neighbours[] = {"10.1.2.2", "fd01::202"};

    for (size_t f = 0; f < 2; f++) {
        struct packet *packet = request(families[f], PAYLOAD_BYTES);
        size_t size_bytes = answer(packet, "perfect", (struct responder_fate){.wrong_source = true});

        expect_addresses(packet, neighbours[f], sources[f]);
        cr_expect(icmp_is_right(packet->bytes, size_bytes));
    }
}

Test(packet, a_truncated_reply)
{
    static const struct {
        const char *profile;
        size_t payload_bytes;
        size_t want_bytes;
    } rows[] = {
        {"truncate=1", 56, 16},
        {"truncate=1", 10, 10},
        {"truncate=1:0", 56, 0},
        {"truncate=1:55", 56, 55},
    };

    for (size_t f = 0; f < 2; f++) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
            struct packet *packet = request(families[f], rows[i].payload_bytes);
            size_t size_bytes = answer(packet, rows[i].profile, (struct responder_fate){.truncated = true});

            cr_expect_eq(size_bytes, packet->header_bytes + 8 + rows[i].want_bytes);
            cr_expect_eq(length_of(packet), size_bytes);
            cr_expect(icmp_is_right(packet->bytes, size_bytes));
        }
    }
}

/* Which bytes of the payload differ from what was sent: first and last; count is how many bits. */
static void differences(const uint8_t *payload, size_t size_bytes, size_t *first, size_t *last, int *bits)
{
    *bits = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        if (payload[i] == (uint8_t)i)
            continue;
        if (*bits == 0)
            *first = i;
        *last = i;
        *bits += __builtin_popcount((unsigned)(payload[i] ^ (uint8_t)i));
    }
}

Test(packet, corruption_is_one_bit_where_it_was_asked_for)
{
    static const struct {
        enum responder_corruption corruption;
        size_t payload_bytes, from, to; /* bytes of the payload where the bit may be */
        bool checksum_is_right;
    } rows[] = {
        {RESPONDER_CORRUPT_PAYLOAD, 56, 24, 55, true}, {RESPONDER_CORRUPT_TOKEN, 56, 16, 23, true},
        {RESPONDER_CORRUPT_PAYLOAD, 24, 0, 23, true},  {RESPONDER_CORRUPT_TOKEN, 24, 16, 23, true},
        {RESPONDER_CORRUPT_PAYLOAD, 8, 0, 7, true},    {RESPONDER_CORRUPT_TOKEN, 8, 0, 7, true},
        {RESPONDER_CORRUPT_PAYLOAD, 25, 24, 24, true}, {RESPONDER_CORRUPT_CHECKSUM, 56, 0, 0, false},
    };

    for (size_t f = 0; f < 2; f++) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
            for (uint32_t noise = 0; noise < 1000; noise++) {
                struct packet *packet = request(families[f], rows[i].payload_bytes);
                size_t size_bytes = answer(
                    packet, "perfect",
                    (struct responder_fate){.corruption = rows[i].corruption, .noise = noise * 2654435761u});
                size_t first = 0, last = 0;
                int bits;

                differences(packet->bytes + packet->header_bytes + 8, rows[i].payload_bytes, &first, &last,
                            &bits);
                cr_assert_eq(icmp_is_right(packet->bytes, size_bytes), rows[i].checksum_is_right);
                cr_assert_eq(bits, rows[i].checksum_is_right ? 1 : 0);
                cr_assert(bits == 0 || (first >= rows[i].from && last <= rows[i].to), "row %zu: %zu", i,
                          first);
            }
        }
    }
}

Test(packet, nothing_to_corrupt_is_no_harm)
{
    struct packet *packet = request(AF_INET, 0);

    cr_expect_eq(answer(packet, "perfect", (struct responder_fate){.corruption = RESPONDER_CORRUPT_PAYLOAD}),
                 28);
}

/* --- errors ----------------------------------------------------------------------------------------------*/

static const struct {
    enum responder_error error;
    uint8_t type4, code4, type6, code6;
} kinds[] = {
    {RESPONDER_ERROR_NET, 3, 0, 1, 0},         {RESPONDER_ERROR_HOST, 3, 1, 1, 3},
    {RESPONDER_ERROR_ADMIN, 3, 13, 1, 1},      {RESPONDER_ERROR_TTL, 11, 0, 3, 0},
    {RESPONDER_ERROR_FRAG_NEEDED, 3, 4, 2, 0},
};

Test(packet, an_error_quotes_the_request)
{
    static const struct {
        const char *profile;
        size_t payload_bytes;
        size_t quote4_bytes, quote6_bytes;
    } rows[] = {
        {"mtu=1300", 56, 84, 104},
        {"mtu=1300,quote=8", 56, 28, 48},
        {"mtu=1300", 0, 28, 48},
        {"mtu=1300", 3000, 576 - 28, 1280 - 48},
        {"mtu=1300,quote=8", 65000, 28, 48},
    };

    for (size_t f = 0; f < 2; f++) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
            for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
                struct packet before = *request(families[f], rows[i].payload_bytes), *packet;
                size_t quote_bytes = f ? rows[i].quote6_bytes : rows[i].quote4_bytes, size_bytes;
                const uint8_t *message;

                packet = request(families[f], rows[i].payload_bytes);
                message = packet->bytes + packet->header_bytes;
                size_bytes =
                    answer(packet, rows[i].profile,
                           (struct responder_fate){.verdict = RESPONDER_ERROR, .error = kinds[k].error});
                cr_assert_eq(size_bytes, packet->header_bytes + 8 + quote_bytes);
                cr_expect_eq(length_of(packet), size_bytes);
                cr_expect(icmp_is_right(packet->bytes, size_bytes));
                cr_expect_eq(message[0], f ? kinds[k].type6 : kinds[k].type4);
                cr_expect_eq(message[1], f ? kinds[k].code6 : kinds[k].code4);
                cr_expect_eq(memcmp(message + 8, before.bytes, quote_bytes), 0);
                cr_expect_eq(message[6] << 8 | message[7],
                             kinds[k].error == RESPONDER_ERROR_FRAG_NEEDED ? 1300 : 0);
                expect_addresses(packet, f ? "fd00::2" : "10.0.0.2", sources[f]);
            }
        }
    }
}

Test(packet, our_own_parser_reads_an_error)
{
    for (size_t f = 0; f < 2; f++) {
        struct packet *packet = request(families[f], PAYLOAD_BYTES);
        size_t size_bytes =
            answer(packet, "mtu=1300",
                   (struct responder_fate){.verdict = RESPONDER_ERROR, .error = RESPONDER_ERROR_FRAG_NEEDED});
        struct icmp_message message;

        cr_assert_eq(icmp_parse(&message, families[f], packet->bytes + packet->header_bytes,
                                size_bytes - packet->header_bytes),
                     ICMP_KIND_ERROR);
        cr_expect_eq(message.mtu_bytes, 1300);
        cr_expect_str_eq(ADDRESS_TEXT(&message.destination), destinations[f]);
        cr_expect_eq(message.echo.ident, 0x1234);
        cr_expect_eq(message.echo.sequence, 0x5678);
        cr_expect(message.has_state);
    }
}
