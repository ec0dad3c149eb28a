/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/userworld/supervisor.h"

#include "tests/userworld/profiles.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The process of a thread. */
static pid_t process_of(uint32_t thread)
{
    char path[64], line[128];
    int process = (int)thread;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%u/status", thread);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file) && sscanf(line, "Tgid: %d", &process) != 1)
        ;
    if (file)
        fclose(file);
    return process;
}

/* SO_DOMAIN or SO_PROTOCOL of a descriptor; -1: it is no socket. */
static int socket_is(uint32_t thread, int descriptor, int option)
{
    int process = (int)syscall(SYS_pidfd_open, process_of(thread), 0);
    int copy = (int)syscall(SYS_pidfd_getfd, process, descriptor, 0);
    int value = -1;

    getsockopt(copy, SOL_SOCKET, option, &value, &(socklen_t){sizeof(value)});
    close(copy);
    close(process);
    return value;
}

static bool is_program(uint32_t thread, const char *program)
{
    struct stat own, other;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%u/exe", thread);
    return stat(program, &own) < 0 || stat(path, &other) < 0 ||
           (own.st_dev == other.st_dev && own.st_ino == other.st_ino);
}

static bool holds(const struct refusal *refusal, const struct seccomp_data *data)
{
    if (data->nr != refusal->calls[0] && data->nr != refusal->calls[1])
        return false;
    for (size_t i = 0; i < refusal->count; i++) {
        const struct condition *condition = &refusal->conditions[i];

        if (((uint32_t)data->args[condition->index] & ~condition->ignored) != condition->value)
            return false;
    }
    return true;
}

/* 0: it may go on. */
static int judge(const struct seccomp_notif *request, uint32_t profile, const char *program)
{
    for (size_t i = 0; i < refusal_count; i++) {
        const struct refusal *refusal = &refusals[i];

        if (refusal->profiles & profile && holds(refusal, &request->data) &&
            (!refusal->on_unix_sockets ||
             socket_is(request->pid, (int)request->data.args[refusal->descriptor], SO_DOMAIN) == AF_UNIX))
            return is_program(request->pid, program) ? -refusal->error : 0;
    }
    return 0;
}

/* A message that would destroy a socket becomes one that no kernel knows: this one then gives the answer. */
static void forget_destroy(const struct seccomp_notif *request)
{
    struct nlmsghdr header;
    struct iovec here = {&header, sizeof(header)};
    struct iovec there = {(void *)(uintptr_t)request->data.args[1], sizeof(header)};

    if (process_vm_readv((pid_t)request->pid, &here, 1, &there, 1, 0) != sizeof(header) ||
        header.nlmsg_type != SOCK_DESTROY ||
        socket_is(request->pid, (int)request->data.args[0], SO_PROTOCOL) != NETLINK_SOCK_DIAG)
        return;
    header.nlmsg_type = UINT16_MAX;
    process_vm_writev((pid_t)request->pid, &here, 1, &there, 1, 0);
}

/* Fills in what the thread's uname() asks for. False: it cannot be written there. */
static bool name_kernel(uint32_t thread, uint64_t address, const struct kernel_name *kernel)
{
    struct utsname name;
    struct iovec here = {&name, sizeof(name)};
    struct iovec there = {(void *)(uintptr_t)address, sizeof(name)};

    uname(&name);
    snprintf(name.sysname, sizeof(name.sysname), "%s", kernel->system);
    snprintf(name.release, sizeof(name.release), "%s", kernel->release);
    return process_vm_writev((pid_t)thread, &here, 1, &there, 1, 0) == sizeof(name);
}

static void answer(const struct seccomp_notif *request, struct seccomp_notif_resp *response, uint32_t profile,
                   const char *program)
{
    const struct kernel_name *kernel = profile_kernel(profile);
    bool names = request->data.nr == SYS_uname && kernel && is_program(request->pid, program);

    if (request->data.nr == SYS_sendto && is_program(request->pid, program))
        forget_destroy(request);
    response->id = request->id;
    response->error = names ? 0 : judge(request, profile, program);
    if (names && !name_kernel(request->pid, request->data.args[0], kernel))
        response->error = -EFAULT;
    else if (!names && !response->error)
        response->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
}

void supervise(int listener, uint32_t profile, const char *program)
{
    struct pollfd event = {.fd = listener, .events = POLLIN};

    while (poll(&event, 1, -1) >= 0 || errno == EINTR) {
        struct seccomp_notif request = {0};
        struct seccomp_notif_resp response = {0};

        if (event.revents & POLLHUP)
            return;
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
            continue;
        answer(&request, &response, profile, program);
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
    }
}
