/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/unguessable.h"

#include "probe/lacking.h"

#include <fcntl.h>
#include <sys/random.h>

int unguessable_fill(void *bytes, size_t size_bytes)
{
    CLEANUP(close_fd) int fd = -1;
    ssize_t got = lacking_error(LACKING_GETRANDOM) ? -1 : getrandom(bytes, size_bytes, 0);

    if (got == (ssize_t)size_bytes)
        return 0;
    if (got < 0)
        lacking_note(LACKING_GETRANDOM, -errno);
    fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    got = read(fd, bytes, size_bytes);
    return got == (ssize_t)size_bytes ? 0 : got < 0 ? -errno : -EIO;
}
