/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: no bytes make the ICMP parsers read or write outside of what they were given, and what
 * they say they found lies within it.
 *
 * The first byte picks the way in (IPv4 with its header, IPv4 or IPv6 from the ICMP header on, a quote from
 * the error queue), the rest is the packet. Built as a libFuzzer target with -Dfuzz=true and clang;
 * fuzz_icmp_replay runs the same over mutated packets in the normal suite.
 */
#include "tests/fuzz/fuzz_icmp.h"

#include "probe/icmp.h"

enum way { WITH_IPV4_HEADER, IPV4, IPV6, QUOTE4, QUOTE6, WAYS };

static void check(bool fact)
{
    if (!fact)
        abort();
}

static void check_message(const struct icmp_message *message, const uint8_t *bytes, size_t size)
{
    if (!message->has_state)
        return;
    check(message->pattern >= bytes && message->pattern <= bytes + size);
    check(message->payload_bytes >= PROBE_PAYLOAD_MIN_BYTES);
    check(message->pattern + (message->payload_bytes - PROBE_PAYLOAD_MIN_BYTES) <= bytes + size);
    (void)icmp_pattern_is_intact(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct icmp_message message = {0};
    enum way way;
    int family;

    if (size == 0)
        return 0;
    way = data[0] % WAYS;
    family = way == IPV6 || way == QUOTE6 ? AF_INET6 : AF_INET;
    data++;
    size--;
    if (way == WITH_IPV4_HEADER) {
        size_t header = icmp_ipv4_header_bytes(data, size);

        check(header <= size);
        data += header;
        size -= header;
    }
    if (way == QUOTE4 || way == QUOTE6) {
        icmp_parse_quote(&message, family, data, size);
    } else {
        enum icmp_kind kind = icmp_parse(&message, family, data, size);

        check(size >= ICMP_HEADER_BYTES || kind == ICMP_KIND_CORRUPT);
        check(kind != ICMP_KIND_ERROR || address_is_set(&message.destination));
    }
    check_message(&message, data, size);
    return 0;
}
