/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To be preloaded: while the file DEAF_WHILE exists, whoever would receive a message from an ICMP socket gets EIO. The
 * message stays in it, so it stays readable.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_deaf(int fd)
{
    const char *flag = getenv("DEAF_WHILE");
    int protocol = 0;
    socklen_t length = sizeof(protocol);
    struct pollfd message = {.fd = fd, .events = POLLIN};

    return flag && access(flag, F_OK) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 && protocol == IPPROTO_ICMP &&
           poll(&message, 1, 0) == 1;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    if (is_deaf(fd)) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_recvmsg, fd, message, flags);
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    if (is_deaf(fd)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_recvmmsg, fd, messages, count, flags, timeout);
}
