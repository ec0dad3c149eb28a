/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP echo as bytes. See icmp.h for the layout of a request.
 *
 * Everything here takes bytes from the network: no length is believed before it is compared with what is
 * really there, and nothing is read through a cast. What is not known is "other" or "corrupt", never a guess.
 * IPv6 extension headers in quoted packets are not walked, the fragment header excepted: our requests carry
 * no others.
 */
#include "probe/icmp.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#define STATE_BYTES PROBE_PAYLOAD_MIN_BYTES

#define IPV4_HEADER_MIN_BYTES 20
#define IPV6_HEADER_BYTES     40
#define FRAGMENT_HEADER_BYTES 8

static uint16_t read_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void write_u16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

uint16_t icmp_checksum(const uint8_t *bytes, size_t size_bytes)
{
    uint64_t sum = 0;
    uint16_t folded;

    /* One's complement addition is the same in any word size and byte order (RFC 1071, section 2). */
    for (; size_bytes >= 4; size_bytes -= 4, bytes += 4) {
        uint32_t word;

        memcpy(&word, bytes, 4);
        sum += word;
    }
    if (size_bytes) {
        uint8_t rest[4] = {0};
        uint32_t word;

        memcpy(rest, bytes, size_bytes);
        memcpy(&word, rest, 4);
        sum += word;
    }
    sum = (sum >> 32) + (sum & 0xffffffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    folded = (uint16_t)~sum;
    return folded;
}

uint64_t icmp_token(const struct icmp_echo *echo, const struct address *destination, const uint64_t key[2])
{
    uint8_t sealed[36];

    memcpy(sealed, &echo->sent_ns, 8);
    memcpy(sealed + 8, &echo->index, 4);
    memcpy(sealed + 12, &echo->attempt, 4);
    memcpy(sealed + 16, &echo->ident, 2);
    memcpy(sealed + 18, &echo->sequence, 2);
    memcpy(sealed + 20, destination->bytes, 16);
    return siphash24(sealed, sizeof(sealed), key);
}

static uint8_t pattern_byte(size_t offset)
{
    return (uint8_t)(offset * 7 + 1);
}

void icmp_pattern_fill(uint8_t *message, size_t size_bytes)
{
    for (size_t i = ICMP_HEADER_BYTES + STATE_BYTES; i < size_bytes; i++)
        message[i] = pattern_byte(i - ICMP_HEADER_BYTES - STATE_BYTES);
}

bool icmp_pattern_is_intact(const struct icmp_message *message)
{
    for (size_t i = 0; i < message->payload_bytes - STATE_BYTES; i++)
        if (message->pattern[i] != pattern_byte(i))
            return false;
    return true;
}

void icmp_request_build(uint8_t *message, size_t size_bytes, int family, const struct icmp_echo *echo,
                        uint64_t token)
{
    uint8_t *state = message + ICMP_HEADER_BYTES;

    message[0] = family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    message[1] = 0;
    message[2] = message[3] = 0;
    write_u16(message + 4, echo->ident);
    write_u16(message + 6, echo->sequence);
    memcpy(state, &echo->sent_ns, 8);
    memcpy(state + 8, &echo->index, 4);
    memcpy(state + 12, &echo->attempt, 4);
    memcpy(state + 16, &token, 8);
    if (family == AF_INET) {
        uint16_t checksum = icmp_checksum(message, size_bytes);

        memcpy(message + 2, &checksum, 2);
    }
}

size_t icmp_ipv4_header_bytes(const uint8_t *bytes, size_t size_bytes)
{
    size_t header_bytes;

    if (size_bytes < IPV4_HEADER_MIN_BYTES || bytes[0] >> 4 != 4)
        return 0;
    header_bytes = (size_t)(bytes[0] & 0xf) * 4;
    return header_bytes >= IPV4_HEADER_MIN_BYTES && header_bytes <= size_bytes ? header_bytes : 0;
}

/* Reads ident and sequence, and our state as far as it is there. */
static void parse_echo(struct icmp_message *out, const uint8_t *bytes, size_t size_bytes)
{
    const uint8_t *state = bytes + ICMP_HEADER_BYTES;

    out->echo.ident = read_u16(bytes + 4);
    out->echo.sequence = read_u16(bytes + 6);
    out->payload_bytes = size_bytes - ICMP_HEADER_BYTES;
    if (out->payload_bytes < STATE_BYTES)
        return;
    memcpy(&out->echo.sent_ns, state, 8);
    memcpy(&out->echo.index, state + 8, 4);
    memcpy(&out->echo.attempt, state + 12, 4);
    memcpy(&out->token, state + 16, 8);
    out->pattern = state + STATE_BYTES;
    out->has_state = true;
}

bool icmp_parse_quote(struct icmp_message *out, int family, const uint8_t *bytes, size_t size_bytes)
{
    if (size_bytes < ICMP_HEADER_BYTES || bytes[0] != (family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST))
        return false;
    parse_echo(out, bytes, size_bytes);
    return true;
}

/* The quoted packet of an IPv4 error begins with its IPv4 header (RFC 792). */
static bool parse_quoted_ipv4(struct icmp_message *out, const uint8_t *bytes, size_t size_bytes)
{
    size_t header_bytes = icmp_ipv4_header_bytes(bytes, size_bytes);

    if (header_bytes == 0 || bytes[9] != IPPROTO_ICMP)
        return false;
    if (read_u16(bytes + 6) & 0x1fff) /* not the first fragment: there is no ICMP header in it */
        return false;
    out->destination.family = AF_INET;
    memcpy(out->destination.bytes, bytes + 16, 4);
    return icmp_parse_quote(out, AF_INET, bytes + header_bytes, size_bytes - header_bytes);
}

static bool parse_quoted_ipv6(struct icmp_message *out, const uint8_t *bytes, size_t size_bytes)
{
    size_t header_bytes = IPV6_HEADER_BYTES;
    uint8_t next;

    if (size_bytes < IPV6_HEADER_BYTES || bytes[0] >> 4 != 6)
        return false;
    next = bytes[6];
    if (next == IPPROTO_FRAGMENT) {
        if (size_bytes < IPV6_HEADER_BYTES + FRAGMENT_HEADER_BYTES || read_u16(bytes + 42) & 0xfff8)
            return false;
        next = bytes[IPV6_HEADER_BYTES];
        header_bytes += FRAGMENT_HEADER_BYTES;
    }
    if (next != IPPROTO_ICMPV6)
        return false;
    out->destination.family = AF_INET6;
    memcpy(out->destination.bytes, bytes + 24, 16);
    return icmp_parse_quote(out, AF_INET6, bytes + header_bytes, size_bytes - header_bytes);
}

bool icmp_is_error(int family, uint8_t type)
{
    if (family == AF_INET)
        return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
    return type == ICMP6_DST_UNREACH || type == ICMP6_PACKET_TOO_BIG || type == ICMP6_TIME_EXCEEDED ||
           type == ICMP6_PARAM_PROB;
}

enum probe_outcome icmp_error_outcome(int family, uint8_t type, uint8_t code)
{
    bool too_big = family == AF_INET ? type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED
                                     : type == ICMP6_PACKET_TOO_BIG;

    return too_big ? PROBE_FRAG_NEEDED : PROBE_UNREACHABLE;
}

enum icmp_kind icmp_parse(struct icmp_message *out, int family, const uint8_t *bytes, size_t size_bytes)
{
    bool quoted;

    memset(out, 0, sizeof(*out));
    if (size_bytes < ICMP_HEADER_BYTES)
        return ICMP_KIND_CORRUPT;
    if (family == AF_INET && icmp_checksum(bytes, size_bytes) != 0) {
        if (bytes[0] == ICMP_ECHOREPLY)
            parse_echo(out, bytes, size_bytes);
        return ICMP_KIND_CORRUPT;
    }

    out->type = bytes[0];
    out->code = bytes[1];
    if (out->type == (family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY)) {
        parse_echo(out, bytes, size_bytes);
        return ICMP_KIND_REPLY;
    }
    if (!icmp_is_error(family, out->type))
        return ICMP_KIND_OTHER;

    if (icmp_error_outcome(family, out->type, out->code) == PROBE_FRAG_NEEDED) {
        out->mtu_bytes = read_u16(bytes + 6);
        if (family == AF_INET6)
            out->mtu_bytes |= (uint32_t)read_u16(bytes + 4) << 16;
    }
    bytes += ICMP_HEADER_BYTES;
    size_bytes -= ICMP_HEADER_BYTES;
    quoted = family == AF_INET ? parse_quoted_ipv4(out, bytes, size_bytes)
                               : parse_quoted_ipv6(out, bytes, size_bytes);
    return quoted ? ICMP_KIND_ERROR : ICMP_KIND_OTHER;
}
