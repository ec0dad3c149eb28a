/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/unguessable.h"

#include "probe/lacking.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/random.h>

/* What the kernel gave this process at its start (getauxval(3), AT_RANDOM), as the key of a sequence. */
static int fill_from_start(uint8_t *bytes, size_t size_bytes)
{
    static _Atomic uint64_t count;
    const void *given = (const void *)getauxval(AT_RANDOM);
    uint64_t key[2];

    if (!given)
        return -ENOSYS;
    memcpy(key, given, sizeof(key));
    while (size_bytes > 0) {
        uint64_t number = atomic_fetch_add(&count, 1), word = siphash24(&number, sizeof(number), key);
        size_t part_bytes = min_u64(size_bytes, sizeof(word));

        memcpy(bytes, &word, part_bytes);
        bytes += part_bytes;
        size_bytes -= part_bytes;
    }
    return 0;
}

int unguessable_fill(void *bytes, size_t size_bytes)
{
    CLEANUP(close_fd) int fd = -1;
    ssize_t got = lacking_error(LACKING_GETRANDOM) ? -1 : getrandom(bytes, size_bytes, 0);

    if (got == (ssize_t)size_bytes)
        return 0;
    if (got < 0)
        lacking_note(LACKING_GETRANDOM, -errno);
    fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, bytes, size_bytes) == (ssize_t)size_bytes)
        return 0;
    return fill_from_start(bytes, size_bytes);
}
