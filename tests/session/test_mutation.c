/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves that no mutation of a session list out of a fixed row of 100,000 breaks the parser: the fuzz
 * target's function, without libFuzzer.
 */
#include "probe/base.h"

#include <criterion/criterion.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const seeds[] = {
    "\0{\"ec\": \"EOK\", \"error\": {}, \"data\": [{\"uuid\": \"86dccf70\", \"ip\": \"10.10.85.15\", "
    "\"num_ip\": "
    "257231370, \"secondary_data_ip\": \"20.0.85.15\", \"zone\": \"default\", \"scvm_mode_host_data_ip\": "
    "\"10.10.85.11\", \"alive_sec\": 27028}, {\"uuid\": \"afe6\", \"ip\": \"fd00::1\", \"alive_sec\": "
    "\"12\"}]}",
    "\1{\"a/b\":[[{\"id\":\"x\",\"net\":[\"10.0.0.1\"],\"~\":1e3}]]}",
    "\2[{\"uuid\":\"\\u0061\\ud83d\\ude00\",\"ip\":\"10.0.0.1\"},[[[[[]]]]],null,true,-1.5e-3]",
};

static uint64_t random_state = 88172645463325252u;

static size_t random_below(size_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state >> 20) % n;
}

/* One change: a byte set, a byte of JSON's own set, a piece removed or doubled, the end cut off. */
static size_t mutate(uint8_t *data, size_t size, size_t room)
{
    static const char marks[] = "[]{},:\"\\/0-9.eEtfn \n";
    size_t at = random_below(size), length = 1 + random_below(16);

    if (length > size - at)
        length = size - at;
    switch (random_below(5)) {
    case 0:
        data[at] = (uint8_t)random_below(256);
        return size;
    case 1:
        data[at] = (uint8_t)marks[random_below(sizeof(marks) - 1)];
        return size;
    case 2:
        memmove(data + at, data + at + length, size - at - length);
        return size - length ? size - length : 1;
    case 3:
        if (size + length > room)
            return size;
        memmove(data + at + length, data + at, size - at);
        return size + length;
    default:
        return random_below(20) ? size : at + 1;
    }
}

Test(mutation, session_list)
{
    for (int round = 0; round < 100000; round++) {
        uint8_t data[1024];
        const char *seed = seeds[(size_t)round % ARRAY_SIZE(seeds)];
        size_t size = 1 + strlen(seed + 1);
        uint8_t *exact;

        memcpy(data, seed, size);
        for (size_t i = 1 + random_below(8); i; i--)
            size = mutate(data, size, sizeof(data));
        exact = malloc(size); /* so that a read past the end is seen by the sanitizer */
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
}
