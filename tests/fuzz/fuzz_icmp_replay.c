/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds the fuzz target some hundred thousand packets that are nearly right: replies and errors with bytes
 * changed, inserted and cut off, checksums mostly put right again. Always the same ones.
 */
#include "tests/fuzz/fuzz_icmp.h"

#include "probe/icmp.h"

#define ROUNDS 300000

static uint64_t state = 0x9e3779b97f4a7c15;

/* xorshift64 (Marsaglia, 2003). */
static uint32_t any(uint32_t limit)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % limit;
}

/* A reply, or an error that quotes a request; returns its length. */
static size_t make(uint8_t *packet, int family)
{
    const uint64_t key[2] = {1, 2};
    const struct address to = {.family = (uint8_t)family, .bytes = {10, 0, 0, 1}};
    const struct icmp_echo echo = {.index = any(100), .ident = 7, .sequence = 9};
    size_t size = ICMP_HEADER_BYTES + PROBE_PAYLOAD_MIN_BYTES + any(64);
    size_t ip = family == AF_INET ? 4 * (5 + any(11)) : 40;
    uint8_t *request = packet;

    if (any(2)) {
        memset(packet, 0, ICMP_HEADER_BYTES + ip);
        packet[0] = (uint8_t)(family == AF_INET ? 3 : 1 + any(4));
        packet[1] = (uint8_t)any(16);
        packet[8] = (uint8_t)(family == AF_INET ? 0x40 | ip / 4 : 0x60);
        packet[8 + (family == AF_INET ? 9 : 6)] = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
        request += ICMP_HEADER_BYTES + ip;
    }
    icmp_pattern_fill(request, size);
    icmp_request_build(request, size, family, &echo, icmp_token(&echo, &to, key));
    if (request == packet)
        packet[0] = family == AF_INET ? 0 : 129;
    return size + (size_t)(request - packet);
}

static size_t spoil(uint8_t *packet, size_t size)
{
    for (uint32_t i = any(4); i > 0; i--)
        packet[any((uint32_t)size)] = (uint8_t)any(256);
    return any(3) ? size : any((uint32_t)size + 1);
}

int main(void)
{
    uint8_t packet[512];

    for (int i = 0; i < ROUNDS; i++) {
        uint32_t way = any(5);
        size_t size = spoil(packet, make(packet, way == 2 || way == 4 ? AF_INET6 : AF_INET));
        size_t header = way == 0 ? 20 : 0;
        /* Exactly as large as the input: a sanitizer or valgrind sees every byte read beyond. */
        uint8_t *input = calloc(1, 1 + header + size);

        input[0] = (uint8_t)way;
        if (header)
            input[1] = 0x45;
        memcpy(input + 1 + header, packet, size);
        if (size >= ICMP_HEADER_BYTES && any(8)) {
            uint16_t checksum;

            memset(input + 1 + header + 2, 0, 2);
            checksum = icmp_checksum(input + 1 + header, size);
            memcpy(input + 1 + header + 2, &checksum, 2);
        }
        LLVMFuzzerTestOneInput(input, 1 + header + size);
        free(input);
    }
    return 0;
}
