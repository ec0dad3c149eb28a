/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program as if this host were another one, of which a table says what its kernel refuses (profiles.c): those
 * calls of the program fail with the errno that they have there, uname() names that kernel, and /proc and /sys are
 * empty where they are missing. The program keeps this process's number, its descriptors and its network. Needs root.
 */
#include "tests/userworld/filter.h"
#include "tests/userworld/profiles.h"
#include "tests/userworld/supervisor.h"

#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_USAGE  3
#define EXIT_SYSTEM 4

union descriptor_message {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static struct msghdr message_for(union descriptor_message *control, struct iovec *byte)
{
    return (struct msghdr){.msg_iov = byte,
                           .msg_iovlen = 1,
                           .msg_control = control->bytes,
                           .msg_controllen = sizeof(control->bytes)};
}

static void send_descriptor(int to, int fd)
{
    union descriptor_message control = {0};
    struct iovec byte = {&(char){0}, 1};
    struct msghdr message = message_for(&control, &byte);

    control.header = (struct cmsghdr){CMSG_LEN(sizeof(fd)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    if (sendmsg(to, &message, 0) < 0)
        err(EXIT_SYSTEM, "cannot tell the supervisor");
}

/* -1: the other end is gone. */
static int receive_descriptor(int from)
{
    union descriptor_message control = {0};
    struct iovec byte = {&(char){0}, 1};
    struct msghdr message = message_for(&control, &byte);
    int fd;

    if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) <= 0 || !CMSG_FIRSTHDR(&message))
        return -1;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

static void leave_descriptors(int kept)
{
    int nowhere = open("/dev/null", O_RDWR);

    dup2(kept, 3);
    for (int fd = 0; fd < 3; fd++)
        dup2(nowhere, fd);
    close_range(4, ~0u, 0);
}

/* A grandchild, so that the program has no child that it did not make. Returns the way to it. */
static int start_supervisor(uint32_t profile, const char *program)
{
    int ends[2];
    pid_t child;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 || (child = fork()) < 0)
        err(EXIT_SYSTEM, "cannot start the supervisor");
    if (child == 0) {
        if (fork() == 0) {
            int listener;

            leave_descriptors(ends[1]);
            listener = receive_descriptor(3);
            if (listener >= 0)
                supervise(listener, profile, program);
        }
        _exit(0);
    }
    waitpid(child, NULL, 0);
    close(ends[1]);
    return ends[0];
}

static void hide(const char *path)
{
    if (mount("none", path, "tmpfs", MS_RDONLY, "size=0") < 0)
        err(EXIT_SYSTEM, "cannot hide %s", path);
}

int main(int argc, char **argv)
{
    uint32_t profile = argc > 2 ? profile_find(argv[1]) : 0;
    int supervisor, listener;

    if (!profile) {
        fprintf(stderr, "Usage: userworld PROFILE COMMAND [ARGUMENT]...; the profiles are");
        for (size_t i = 0; profile_name(i); i++)
            fprintf(stderr, " %s", profile_name(i));
        fprintf(stderr, "\n");
        return EXIT_USAGE;
    }
    supervisor = start_supervisor(profile, argv[2]);
    if (profile_has_no_proc(profile)) {
        if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
            err(EXIT_SYSTEM, "cannot have mounts of its own");
        hide("/proc");
        hide("/sys");
    }
    listener = filter_install(profile);
    if (listener < 0)
        err(EXIT_SYSTEM, "cannot filter system calls");
    send_descriptor(supervisor, listener);
    close(listener);
    execvp(argv[2], argv + 2);
    err(EXIT_SYSTEM, "cannot run %s", argv[2]);
}
