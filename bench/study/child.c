/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program, see child.h.
 *
 * Its three standard files are files in memory: nobody can block, and writing costs the program next to
 * nothing, so a pipe that we read too slowly is no part of what we measure. vfork(), because copying the page
 * tables of a study with much data would be.
 */
#include "bench/study/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static uint64_t timeval_ns(const struct timeval *tv)
{
    return (uint64_t)tv->tv_sec * NS_PER_S + (uint64_t)tv->tv_usec * NS_PER_US;
}

static int memory_file(const char *content)
{
    int fd = memfd_create("reroute-bench", MFD_CLOEXEC);
    size_t size_bytes = content ? strlen(content) : 0;

    if (fd < 0)
        return -errno;
    for (size_t at = 0; at < size_bytes;) {
        ssize_t written = write(fd, content + at, size_bytes - at);

        if (written < 0) {
            int error = -errno;

            close(fd);
            return error;
        }
        at += (size_t)written;
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* All of a file, with a '\0' behind; NULL without memory. */
static char *file_content(int fd, size_t *size_bytes)
{
    struct stat status = {0};
    char *content;
    size_t at = 0;

    fstat(fd, &status);
    content = malloc((size_t)status.st_size + 1);
    while (content && at < (size_t)status.st_size) {
        ssize_t got = pread(fd, content + at, (size_t)status.st_size - at, (off_t)at);

        if (got <= 0)
            break;
        at += (size_t)got;
    }
    if (content)
        content[at] = '\0';
    *size_bytes = at;
    return content;
}

void child_become(const char *const argv[])
{
    execvp(argv[0], (char *const *)(uintptr_t)argv); /* it does not say that it only reads them */
}

/* In the child, which shares our memory until it has become the program: it says there why it could not. */
__attribute__((noreturn)) static void become(const char *const argv[], const int files[static 3],
                                             pid_t parent, volatile int *error)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && dup2(files[0], STDIN_FILENO) >= 0 &&
        dup2(files[1], STDOUT_FILENO) >= 0 && dup2(files[2], STDERR_FILENO) >= 0)
        child_become(argv);
    *error = -errno;
    _exit(127);
}

static int run(struct child *child, const char *const argv[], const int files[static 3])
{
    volatile int error = 0;
    uint64_t began_ns = clock_now_ns(CLOCK_MONOTONIC);
    struct rusage usage = {0};
    pid_t parent = getpid(), pid = vfork();
    int status = 0;

    if (pid == 0)
        become(argv, files, parent, &error);
    if (pid < 0)
        return -errno;
    while (wait4(pid, &status, 0, &usage) < 0)
        if (errno != EINTR)
            return -errno;
    child->wall_ns = clock_now_ns(CLOCK_MONOTONIC) - began_ns;
    child->cpu_ns = timeval_ns(&usage.ru_utime) + timeval_ns(&usage.ru_stime);
    child->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return error;
}

int child_run(struct child *child, const char *const argv[], const char *input)
{
    int files[3] = {memory_file(input), memory_file(NULL), memory_file(NULL)};
    size_t error_bytes;
    int r = 0;

    *child = (struct child){0};
    for (int i = 0; i < 3; i++)
        r = files[i] < 0 ? files[i] : r;
    if (r == 0)
        r = run(child, argv, files);
    if (r == 0) {
        child->out = file_content(files[1], &child->out_bytes);
        child->error = file_content(files[2], &error_bytes);
        if (!child->out || !child->error)
            r = -ENOMEM;
    }
    for (int i = 0; i < 3; i++)
        close_fd(files[i]);
    return r;
}

void child_clear(struct child *child)
{
    free(child->out);
    free(child->error);
    *child = (struct child){0};
}

const char *child_error_line(const struct child *child, char *line, size_t size_bytes)
{
    const char *first = child->error ? child->error : "";

    first += strspn(first, " \t\r\n");
    snprintf(line, size_bytes, "%.*s", (int)strcspn(first, "\r\n"), first);
    return line;
}

bool child_is_installed(const char *program)
{
    const char *path = getenv("PATH");

    while (path && *path) {
        size_t length = strcspn(path, ":");
        char file[4096];
        struct stat status;

        snprintf(file, sizeof(file), "%.*s/%s", (int)length, path, program);
        if (stat(file, &status) == 0 && S_ISREG(status.st_mode) && access(file, X_OK) == 0)
            return true;
        path += length + (path[length] == ':');
    }
    return false;
}
