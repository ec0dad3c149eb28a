/* SPDX-License-Identifier: Apache-2.0 */
/* IP packets of the responder as bytes: recognise an echo request, turn it into its answer. Pure. */
#pragma once

#include "bench/responder/model.h"

#define RESPONDER_PACKET_MAX_BYTES 65535
/* The answer may be this much longer than the request: an IPv6 header and an ICMP header before a quote. */
#define RESPONDER_PACKET_GROWTH_BYTES 48

struct responder_echo {
    struct address source, destination;
    uint32_t size_bytes;   /* of the packet; what the device appends is not counted */
    uint16_t header_bytes; /* of IP, options included */
    bool dont_fragment;
};

/*
 * Reads an IPv4 or IPv6 packet. False: it is no echo request, a fragment, or its length or a checksum is
 * wrong. IPv6 extension headers are not walked: such a packet is none of ours.
 */
bool responder_echo_parse(struct responder_echo *out, const uint8_t *packet, size_t size_bytes);

/*
 * Turns the request into its answer, in place: the echo reply, mistreated as fate says, or the ICMP error,
 * which comes from `router` (if there is none: from the address that was asked). The buffer has room for
 * RESPONDER_PACKET_GROWTH_BYTES more than the request. Returns the size of the answer.
 */
size_t responder_answer_build(uint8_t *packet, const struct responder_echo *echo,
                              const struct responder_profile *profile, const struct responder_fate *fate,
                              const struct address *router);
