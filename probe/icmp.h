/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP echo as bytes: build a request, take a reply or an error apart. Pure, no sockets, no clock.
 *
 * What travels in a request (RFC 792 and RFC 4443: type, code, checksum, ident, sequence, data):
 *
 *     0      8         16      20        24      32
 *     | ICMP | sent_ns | index | attempt | token | pattern ...
 *
 * The data is our own state, so a reply is judged without a lookup. The token is a keyed hash over that
 * state, the ident, the sequence and the destination: who has not seen the request cannot make up a reply to
 * it. Integers of the data are in host order: nobody but this process reads them.
 */
#pragma once

#include "probe/probe.h"

#define ICMP_HEADER_BYTES 8

struct icmp_echo {
    uint64_t sent_ns;
    uint32_t index;   /* of the target */
    uint32_t attempt; /* which request to it, from 0 */
    uint16_t ident;
    uint16_t sequence;
};

enum icmp_kind {
    ICMP_KIND_REPLY,   /* an echo reply */
    ICMP_KIND_ERROR,   /* an error that quotes an echo request */
    ICMP_KIND_OTHER,   /* well formed, but nothing of the above */
    ICMP_KIND_CORRUPT, /* too short, or its checksum is wrong; of an echo reply `echo` says what it claims */
};

struct icmp_message {
    uint8_t type; /* as on the wire */
    uint8_t code;
    uint32_t mtu_bytes;         /* of "fragmentation needed" and "packet too big"; 0: not said */
    struct address destination; /* ICMP_KIND_ERROR: where the quoted request went; empty if not quoted */
    struct icmp_echo echo;      /* ident and sequence always, the rest only with has_state */
    uint64_t token;
    bool has_state;         /* the message is long enough to carry our state and token */
    const uint8_t *pattern; /* what follows the token; points into the bytes that were parsed */
    size_t payload_bytes;   /* ICMP_KIND_REPLY: all after the ICMP header, the state included */
};

/* The Internet checksum (RFC 1071) in network order; 0 over bytes that include a right one. */
uint16_t icmp_checksum(const uint8_t *bytes, size_t size_bytes);

/* Seals the state of `echo` for a request to `destination`. */
uint64_t icmp_token(const struct icmp_echo *echo, const struct address *destination, const uint64_t key[2]);

/* Writes the fixed part of a request's data, once per buffer; any shorter request is a prefix of it. */
void icmp_pattern_fill(uint8_t *message, size_t size_bytes);
/* True when what follows the token of a reply is what was sent. */
bool icmp_pattern_is_intact(const struct icmp_message *message);

/*
 * Writes header, state and token of a request into a message whose pattern is filled. size_bytes is the whole
 * message, at least ICMP_HEADER_BYTES + PROBE_PAYLOAD_MIN_BYTES. The checksum of IPv6 is left to the kernel,
 * which knows the source address.
 */
void icmp_request_build(uint8_t *message, size_t size_bytes, int family, const struct icmp_echo *echo,
                        uint64_t token);

/* The length of the IPv4 header in front of `bytes`, options included; 0: not an IPv4 packet. */
size_t icmp_ipv4_header_bytes(const uint8_t *bytes, size_t size_bytes);

/*
 * Takes an ICMP message apart, which begins with the ICMP header. The checksum is verified on IPv4; the
 * kernel has done so for IPv6.
 */
enum icmp_kind icmp_parse(struct icmp_message *out, int family, const uint8_t *bytes, size_t size_bytes);

/*
 * Takes our own request apart as an ICMP error quotes it, beginning with the quoted ICMP header; as little as
 * 8 bytes of it may be there (RFC 792). Fills echo, token and has_state. False: not an echo request.
 */
bool icmp_parse_quote(struct icmp_message *out, int family, const uint8_t *bytes, size_t size_bytes);

/* True for the errors that mean "this request will not be answered": not redirects, not source quench. */
bool icmp_is_error(int family, uint8_t type);
/* PROBE_FRAG_NEEDED or PROBE_UNREACHABLE. */
enum probe_outcome icmp_error_outcome(int family, uint8_t type, uint8_t code);
