/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: under the launcher each call that a profile refuses fails with the errno that its row says, and no
 * other row's does; without the launcher ("-") none does. Run by it: userworld PROFILE userworld-try PROFILE.
 */
#include "tests/userworld/profiles.h"

#include <dirent.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

static unsigned number, failures;

static void ok(bool good, const char *what, const char *how, long got)
{
    printf("%sok %u - %s %s", good ? "" : "not ", ++number, what, how);
    printf(good ? "\n" : " (%ld)\n", got);
    failures += !good;
}

/* Made with arguments that are wrong otherwise: no call does anything. The positive errno; 0: none. */
static int error_of(const struct refusal *refusal, long call, int descriptor)
{
    long arguments[6] = {-1, 0, 1, 0, 0, 0};

    for (size_t i = 0; i < refusal->count; i++)
        arguments[refusal->conditions[i].index] = refusal->conditions[i].value;
    if (refusal->on_unix_sockets)
        arguments[refusal->descriptor] = descriptor;
    return syscall(call, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]) <
                   0
               ? errno
               : 0;
}

static void try_call(const struct refusal *refusal, long call, uint32_t profile)
{
    bool is_refused = refusal->profiles & profile;
    int unix_socket = socket(AF_UNIX, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);
    int error = error_of(refusal, call, unix_socket);

    ok((error == refusal->error) == is_refused, refusal->what, is_refused ? "is refused" : "is let through",
       error);
    if (refusal->on_unix_sockets) {
        error = error_of(refusal, call, other);
        ok(error != refusal->error, refusal->what, "is let through for others", error);
    }
    close(unix_socket);
    close(other);
}

static bool is_empty(const char *path)
{
    DIR *directory = opendir(path);
    unsigned entries = 0;

    while (directory && readdir(directory))
        entries++;
    if (directory)
        closedir(directory);
    return entries == 2;
}

/* The errno of the answer to a message that would destroy a socket which is not there; 0: nobody answers. */
static int destroy_error(void)
{
    const struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 body;
    } request = {{sizeof(request), SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK, 1, 0},
                 {.sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP}};
    struct {
        struct nlmsghdr header;
        struct nlmsgerr body;
        char more[sizeof(request)];
    } answer = {0};
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);

    sendto(fd, &request, sizeof(request), 0, (const struct sockaddr *)&kernel, sizeof(kernel));
    recv(fd, &answer, sizeof(answer), 0);
    close(fd);
    return -answer.body.error;
}

static bool kernel_is(const char *system)
{
    struct utsname name;

    return uname(&name) == 0 && strcmp(name.sysname, system) == 0;
}

int main(int argc, char **argv)
{
    uint32_t profile = argc > 1 ? profile_find(argv[1]) : 0;
    const struct kernel_name *kernel = profile_kernel(profile);

    for (size_t i = 0; i < refusal_count; i++)
        for (size_t call = 0; call < 2 && refusals[i].calls[call]; call++)
            try_call(&refusals[i], refusals[i].calls[call], profile);
    ok(is_empty("/proc") == profile_has_no_proc(profile), "/proc", "is as it must be", 0);
    ok(is_empty("/sys") == profile_has_no_proc(profile), "/sys", "is as it must be", 0);
    if (!profile_has_no_proc(profile))
        ok(destroy_error() == (profile_cannot_destroy(profile) ? EINVAL : ENOENT), "SOCK_DESTROY",
           "is known or not", destroy_error());
    ok(kernel_is(kernel ? kernel->system : "Linux"), "uname", "names the kernel", 0);
    ok(system("uname | grep -q Linux") == 0, "uname", "of a command names this one", 0);
    ok(system("ip link show lo >/dev/null 2>&1") == 0, "netlink", "is there for commands of the host's own",
       0);
    printf("1..%u\n", number);
    return failures > 0;
}
