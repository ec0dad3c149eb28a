/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/wakeup.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include "probe/lacking.h"

int wakeup_open(struct wakeup *wakeup, char *message, size_t size_bytes)
{
    int fds[2] = {-1, -1};
    int r;

    *wakeup = WAKEUP_NONE;
    fds[0] = fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fds[0] < 0)
        lacking_note(LACKING_EVENTFD, -errno);
    if (fds[0] < 0 && pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 &&
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
        r = -errno;
        snprintf(message, size_bytes, "cannot make an eventfd, a pipe or a socket pair: %s", strerror(-r));
        return r;
    }
    *wakeup = (struct wakeup){fds[0], fds[1]};
    return 0;
}

void wakeup_close(struct wakeup *wakeup)
{
    if (wakeup->ring_fd != wakeup->fd)
        close_fd(wakeup->ring_fd);
    close_fd(wakeup->fd);
    *wakeup = WAKEUP_NONE;
}
