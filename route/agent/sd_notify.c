/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/sd_notify.h"

#include <sys/un.h>

static int through_fd = -1;

void notify_through(int fd)
{
    through_fd = fd;
}

int notify_manager(const char *state)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    static int fd = -1; /* kept: the watchdog must be told also when there are no descriptors left */
    size_t length;

    if (through_fd >= 0)
        return send(through_fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
    if (!path || (path[0] != '/' && path[0] != '@'))
        return 0;
    length = strlen(path);
    if (length >= sizeof(to.sun_path))
        return -E2BIG;
    memcpy(to.sun_path, path, length);
    if (path[0] == '@') /* the abstract namespace */
        to.sun_path[0] = '\0';
    if (fd < 0)
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
        return -errno;
    return 0;
}

uint64_t notify_watchdog_interval_ns(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    unsigned long long period;

    if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
        return NEVER_NS;
    period = strtoull(usec, NULL, 10);
    return period ? period * NS_PER_US / 2 : NEVER_NS;
}
