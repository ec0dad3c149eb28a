/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target without libFuzzer: over each of its seeds, then over a fixed row of mutations of them.
 *
 *     fuzz_mutate ROUNDS SEED-FILE...
 */
#include "tests/fuzz/fuzz.h"

#include "probe/base.h"

#define ROOM 65536

static uint64_t state = 88172645463325252u;

/* xorshift64 (Marsaglia, 2003). */
static size_t below(size_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state >> 20) % n;
}

/* One change: a byte, a byte out of what formats are made of, a piece removed or doubled, the end cut off. */
static size_t mutate(uint8_t *data, size_t size)
{
    static const char marks[] = "[]{},:\"\\/0-9.eEtfn \n\t=#'\x1b\x9b\xc3\xff";
    size_t at, length;

    if (size == 0)
        return 0;
    at = below(size);
    length = min_u64(1 + below(16), size - at);
    switch (below(5)) {
    case 0:
        data[at] = (uint8_t)below(256);
        return size;
    case 1:
        data[at] = (uint8_t)marks[below(sizeof(marks) - 1)];
        return size;
    case 2:
        memmove(data + at, data + at + length, size - at - length);
        return size - length;
    case 3:
        if (size + length > ROOM)
            return size;
        memmove(data + at + length, data + at, size - at);
        return size + length;
    default:
        return below(20) ? size : at;
    }
}

/* In memory of exactly its size: a sanitizer or valgrind sees every byte read beyond. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);

    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static size_t read_seed(const char *path, uint8_t data[static ROOM])
{
    FILE *file = fopen(path, "rbe");
    size_t size = file ? fread(data, 1, ROOM, file) : 0;

    if (!file) {
        perror(path);
        exit(1);
    }
    fclose(file);
    return size;
}

int main(int argc, char **argv)
{
    static uint8_t seed[ROOM], data[ROOM];
    unsigned long rounds = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;

    if (argc <= 2) {
        fprintf(stderr, "usage: fuzz_mutate ROUNDS SEED-FILE...\n");
        return 1;
    }
    for (int i = 2; i < argc; i++) {
        size_t seed_bytes = read_seed(argv[i], seed);

        run(seed, seed_bytes);
        for (unsigned long round = 0; round < rounds / (unsigned long)(argc - 2); round++) {
            size_t size = seed_bytes;

            memcpy(data, seed, seed_bytes);
            for (size_t changes = 1 + below(8); changes; changes--)
                size = mutate(data, size);
            run(data, size);
        }
    }
    return 0;
}
