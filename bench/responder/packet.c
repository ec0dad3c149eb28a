/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP packets of the responder as bytes (RFC 791, 792, 1812, 8200, 4443).
 *
 * A reply is the request with its addresses exchanged, so that whatever was sent comes back bit for bit; then
 * it is mistreated, then the checksums are computed anew, except that of a reply whose checksum is to be
 * wrong. An error is a new header before the request as it came.
 */
#include "bench/responder/packet.h"

#include "probe/icmp.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#define IPV4_HEADER_BYTES 20
#define IPV6_HEADER_BYTES 40
#define TTL               64
#define TOKEN_OFFSET      16 /* in the ICMP payload, see probe/icmp.h */
#define TOKEN_BYTES       8
/* The whole error: RFC 1812, section 4.3.2.3; RFC 4443, section 3. */
#define ERROR4_MAX_BYTES 576
#define ERROR6_MAX_BYTES 1280

static uint16_t read_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static void write_u16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

/* --- checksums -------------------------------------------------------------------------------------------*/

/*
 * What the ICMPv6 checksum of a packet without extension headers is when its field is 0; 0 over a packet
 * whose checksum is right. The pseudo-header is the addresses, which stand before the message, the length and
 * the protocol (RFC 8200, section 8.1).
 */
static uint16_t checksum6(const uint8_t *packet, size_t size_bytes)
{
    uint16_t most = icmp_checksum(packet + 8, size_bytes - 8);
    uint32_t sum = (uint16_t)~ntohs(most) + (uint32_t)(size_bytes - IPV6_HEADER_BYTES) + IPPROTO_ICMPV6;

    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return htons((uint16_t)~sum);
}

/* Writes all checksums and lengths of a packet of this size. */
static void seal(uint8_t *packet, int family, size_t header_bytes, size_t size_bytes)
{
    uint8_t *message = packet + header_bytes;
    uint16_t checksum;

    message[2] = message[3] = 0;
    if (family == AF_INET6) {
        write_u16(packet + 4, (uint16_t)(size_bytes - IPV6_HEADER_BYTES));
        checksum = checksum6(packet, size_bytes);
        memcpy(message + 2, &checksum, 2);
        return;
    }
    checksum = icmp_checksum(message, size_bytes - header_bytes);
    memcpy(message + 2, &checksum, 2);
    write_u16(packet + 2, (uint16_t)size_bytes);
    packet[10] = packet[11] = 0;
    checksum = icmp_checksum(packet, header_bytes);
    memcpy(packet + 10, &checksum, 2);
}

/* --- requests --------------------------------------------------------------------------------------------*/

static bool parse4(struct responder_echo *out, const uint8_t *packet, size_t size_bytes)
{
    size_t header_bytes = icmp_ipv4_header_bytes(packet, size_bytes);

    if (header_bytes == 0 || packet[9] != IPPROTO_ICMP || read_u16(packet + 6) & 0x3fff)
        return false;
    out->size_bytes = read_u16(packet + 2);
    if (out->size_bytes > size_bytes || out->size_bytes < header_bytes + ICMP_HEADER_BYTES)
        return false;
    if (packet[header_bytes] != ICMP_ECHO || packet[header_bytes + 1] != 0 ||
        icmp_checksum(packet, header_bytes) != 0 ||
        icmp_checksum(packet + header_bytes, out->size_bytes - header_bytes) != 0)
        return false;
    out->header_bytes = (uint16_t)header_bytes;
    out->dont_fragment = packet[6] & 0x40;
    out->source.family = out->destination.family = AF_INET;
    memcpy(out->source.bytes, packet + 12, 4);
    memcpy(out->destination.bytes, packet + 16, 4);
    return true;
}

static bool parse6(struct responder_echo *out, const uint8_t *packet, size_t size_bytes)
{
    if (size_bytes < IPV6_HEADER_BYTES + ICMP_HEADER_BYTES || packet[6] != IPPROTO_ICMPV6)
        return false;
    out->size_bytes = IPV6_HEADER_BYTES + (uint32_t)read_u16(packet + 4);
    if (out->size_bytes > size_bytes || out->size_bytes < IPV6_HEADER_BYTES + ICMP_HEADER_BYTES)
        return false;
    if (packet[IPV6_HEADER_BYTES] != ICMP6_ECHO_REQUEST || packet[IPV6_HEADER_BYTES + 1] != 0 ||
        checksum6(packet, out->size_bytes) != 0)
        return false;
    out->header_bytes = IPV6_HEADER_BYTES;
    out->dont_fragment = true;
    out->source.family = out->destination.family = AF_INET6;
    memcpy(out->source.bytes, packet + 8, 16);
    memcpy(out->destination.bytes, packet + 24, 16);
    return packet[24] != 0xff; /* multicast */
}

bool responder_echo_parse(struct responder_echo *out, const uint8_t *packet, size_t size_bytes)
{
    memset(out, 0, sizeof(*out));
    if (size_bytes == 0)
        return false;
    return packet[0] >> 4 == 6 ? parse6(out, packet, size_bytes) : parse4(out, packet, size_bytes);
}

/* --- answers ---------------------------------------------------------------------------------------------*/

static void write_address(uint8_t *at, const struct address *address)
{
    memcpy(at, address->bytes, address_size_bytes(address));
}

static void write_header(uint8_t *packet, const struct address *source, const struct address *destination)
{
    if (source->family == AF_INET) {
        packet[8] = TTL;
        packet[9] = IPPROTO_ICMP;
        write_address(packet + 12, source);
        write_address(packet + 16, destination);
        return;
    }
    packet[6] = IPPROTO_ICMPV6;
    packet[7] = TTL;
    write_address(packet + 8, source);
    write_address(packet + 24, destination);
}

/* Turns over one bit behind the token, or in it; of a payload without one, any. */
static void corrupt_payload(uint8_t *payload, size_t size_bytes, const struct responder_fate *fate)
{
    size_t from = 0, count = size_bytes;

    if (fate->corruption == RESPONDER_CORRUPT_TOKEN && size_bytes >= TOKEN_OFFSET + TOKEN_BYTES) {
        from = TOKEN_OFFSET;
        count = TOKEN_BYTES;
    } else if (size_bytes > TOKEN_OFFSET + TOKEN_BYTES) {
        from = TOKEN_OFFSET + TOKEN_BYTES;
        count = size_bytes - from;
    }
    if (count)
        payload[from + (fate->noise >> 3) % count] ^= (uint8_t)(1 << (fate->noise & 7));
}

static size_t build_reply(uint8_t *packet, const struct responder_echo *echo,
                          const struct responder_profile *profile, const struct responder_fate *fate)
{
    int family = echo->destination.family;
    uint8_t *message = packet + echo->header_bytes;
    size_t size_bytes = echo->size_bytes, fixed_bytes = echo->header_bytes + ICMP_HEADER_BYTES;
    struct address from = echo->destination;

    if (fate->wrong_source)
        from.bytes[address_size_bytes(&from) - 1] ^= 1;
    write_header(packet, &from, &echo->source);
    message[0] = family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
    if (fate->truncated)
        size_bytes = min_u64(size_bytes, fixed_bytes + profile->truncate_bytes);
    if (fate->corruption == RESPONDER_CORRUPT_PAYLOAD || fate->corruption == RESPONDER_CORRUPT_TOKEN)
        corrupt_payload(packet + fixed_bytes, size_bytes - fixed_bytes, fate);
    seal(packet, family, echo->header_bytes, size_bytes);
    if (fate->corruption == RESPONDER_CORRUPT_CHECKSUM)
        message[2 + (fate->noise >> 3) % 2] ^= (uint8_t)(1 << (fate->noise & 7));
    return size_bytes;
}

struct error_code {
    uint8_t type, code;
};

static const struct error_code codes4[] = {
    [RESPONDER_ERROR_NET] = {ICMP_DEST_UNREACH, ICMP_NET_UNREACH},
    [RESPONDER_ERROR_HOST] = {ICMP_DEST_UNREACH, ICMP_HOST_UNREACH},
    [RESPONDER_ERROR_ADMIN] = {ICMP_DEST_UNREACH, ICMP_PKT_FILTERED},
    [RESPONDER_ERROR_TTL] = {ICMP_TIME_EXCEEDED, ICMP_EXC_TTL},
    [RESPONDER_ERROR_FRAG_NEEDED] = {ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED},
};
static const struct error_code codes6[] = {
    [RESPONDER_ERROR_NET] = {ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOROUTE},
    [RESPONDER_ERROR_HOST] = {ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADDR},
    [RESPONDER_ERROR_ADMIN] = {ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADMIN},
    [RESPONDER_ERROR_TTL] = {ICMP6_TIME_EXCEEDED, ICMP6_TIME_EXCEED_TRANSIT},
    [RESPONDER_ERROR_FRAG_NEEDED] = {ICMP6_PACKET_TOO_BIG, 0},
};

static size_t build_error(uint8_t *packet, const struct responder_echo *echo,
                          const struct responder_profile *profile, const struct responder_fate *fate,
                          const struct address *router)
{
    bool is4 = echo->destination.family == AF_INET;
    size_t header_bytes = is4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
    size_t most_bytes = (is4 ? ERROR4_MAX_BYTES : ERROR6_MAX_BYTES) - header_bytes - ICMP_HEADER_BYTES;
    size_t quote_bytes =
        profile->short_quote ? echo->header_bytes + 8u : min_u64(echo->size_bytes, most_bytes);
    uint8_t *message = packet + header_bytes;
    struct error_code what = (is4 ? codes4 : codes6)[fate->error];

    memmove(message + ICMP_HEADER_BYTES, packet, quote_bytes);
    memset(packet, 0, header_bytes + ICMP_HEADER_BYTES);
    packet[0] = is4 ? 0x45 : 0x60;
    write_header(packet, address_is_set(router) ? router : &echo->destination, &echo->source);
    message[0] = what.type;
    message[1] = what.code;
    if (fate->error == RESPONDER_ERROR_FRAG_NEEDED) /* RFC 1191, section 4; RFC 4443, section 3.2 */
        write_u16(message + 6, (uint16_t)profile->mtu_bytes);
    seal(packet, echo->destination.family, header_bytes, header_bytes + ICMP_HEADER_BYTES + quote_bytes);
    return header_bytes + ICMP_HEADER_BYTES + quote_bytes;
}

size_t responder_answer_build(uint8_t *packet, const struct responder_echo *echo,
                              const struct responder_profile *profile, const struct responder_fate *fate,
                              const struct address *router)
{
    return fate->verdict == RESPONDER_ERROR ? build_error(packet, echo, profile, fate, router)
                                            : build_reply(packet, echo, profile, fate);
}
