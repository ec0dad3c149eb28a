/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces for tests, see netns.h. Links are made by ip(8): what a test sets up then reads as the
 * operator would type it. A fork and exec cost some 3 ms, so nothing here belongs inside a measured stretch.
 */
#include "tests/lib/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* The calling thread's own, which is not the process' when another thread moved. */
static int current_namespace(void)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static int loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    CLEANUP(close_fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

int netns_enter(void)
{
    if (unshare(CLONE_NEWNET) < 0)
        return -errno;
    return loopback_up();
}

int netns_switch(int ns)
{
    if (ns == NETNS_HERE)
        return 0;
    return setns(ns, CLONE_NEWNET) < 0 ? -errno : 0;
}

int netns_new(void)
{
    CLEANUP(close_fd) int before = current_namespace();
    int made, r;

    if (before < 0)
        return before;
    r = netns_enter();
    made = r < 0 ? r : current_namespace();
    if (netns_switch(before) < 0)
        abort();
    return made;
}

int netns_socket(int ns, int domain, int type, int protocol)
{
    CLEANUP(close_fd) int before = current_namespace();
    int fd, r;

    if (before < 0)
        return before;
    r = netns_switch(ns);
    if (r < 0)
        return r;
    fd = socket(domain, type | SOCK_CLOEXEC, protocol);
    if (fd < 0)
        fd = -errno;
    if (netns_switch(before) < 0)
        abort();
    return fd;
}

pid_t netns_spawn(int ns, int (*function)(void *context), void *context)
{
    pid_t parent = getpid();
    pid_t pid;

    fflush(NULL);
    pid = fork();
    if (pid != 0)
        return pid < 0 ? -errno : pid;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || netns_switch(ns) < 0)
        _exit(126);
    _exit(function(context));
}

static int run_program(void *context)
{
    char *const *argv = context;

    execvp(argv[0], argv);
    return 127;
}

pid_t netns_start(int ns, char *const argv[])
{
    union {
        char *const *in;
        void *out;
    } context = {.in = argv};

    return netns_spawn(ns, run_program, context.out);
}

int netns_wait(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void netns_stop(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    netns_wait(pid);
}

static int run_line(int ns, char *line)
{
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, line, NULL};
    pid_t pid = netns_start(ns, argv);

    return pid < 0 ? pid : netns_wait(pid);
}

#define LINE_SIZE 4096

int netns_run(int ns, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    return length >= LINE_SIZE ? -E2BIG : run_line(ns, line);
}

void netns_must(int ns, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    int status = -E2BIG;

    va_start(arguments, format);
    if (vsnprintf(line, sizeof(line), format, arguments) < LINE_SIZE)
        status = run_line(ns, line);
    va_end(arguments);
    if (status != 0) {
        fprintf(stderr, "netns: status %d of: %s\n", status, line);
        abort();
    }
}

void netns_await_address(int ns, const char *address)
{
    netns_must(
        ns,
        "timeout 20 sh -c 'until ip -6 route show table local | grep -q \"^local %s \"; do sleep 0.01; done'",
        address);
}

/* What an end needs, as lines for ip -batch. */
static const char *end_lines(char *buffer, size_t size_bytes, const char *name, const char *address)
{
    size_t n = 0;

    buffer[0] = '\0';
    if (address)
        n = (size_t)snprintf(buffer, size_bytes, "address add %s dev %s\n", address, name);
    snprintf(buffer + n, size_bytes - n, "link set dev %s up", name);
    return buffer;
}

void netns_veth(int ns_a, const char *name_a, const char *address_a, int ns_b, const char *name_b,
                const char *address_b)
{
    CLEANUP(close_fd) int here = current_namespace();
    int b = ns_b == NETNS_HERE ? here : ns_b;
    char lines[256];

    netns_must(ns_a,
               "ip -batch - <<END\nlink add name %s type veth peer name %s netns /proc/%d/fd/%d\n%s\nEND",
               name_a, name_b, getpid(), b, end_lines(lines, sizeof(lines), name_a, address_a));
    netns_must(ns_b, "ip -batch - <<END\n%s\nEND", end_lines(lines, sizeof(lines), name_b, address_b));
}
