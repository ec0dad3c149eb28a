/* SPDX-License-Identifier: Apache-2.0 */
/*
 * To be preloaded: while the file HANG_WHILE exists, whatever would touch HANG_DIRECTORY, or a file there, does not
 * come back, as on a disk that does not answer.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void hang(const char *path)
{
    const char *directory = getenv("HANG_DIRECTORY"), *flag = getenv("HANG_WHILE");
    const struct timespec moment = {.tv_nsec = 10000000};

    if (directory && flag && strncmp(path, directory, strlen(directory)) == 0)
        while (access(flag, F_OK) == 0)
            nanosleep(&moment, NULL);
}

static void hang_fd(int fd)
{
    char name[64], path[PATH_MAX] = "";

    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    if (readlink(name, path, sizeof(path) - 1) > 0)
        hang(path);
}

int open(const char *path, int flags, ...)
{
    hang(path);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0);
}

int openat(int fd, const char *path, int flags, ...)
{
    va_list rest;
    mode_t mode;

    va_start(rest, flags);
    mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    hang_fd(fd);
    return (int)syscall(SYS_openat, fd, path, flags, mode);
}

int stat(const char *restrict path, struct stat *restrict st)
{
    hang(path);
    return fstatat(AT_FDCWD, path, st, 0);
}

int lstat(const char *restrict path, struct stat *restrict st)
{
    hang(path);
    return fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int fstat(int fd, struct stat *st)
{
    hang_fd(fd);
    return fstatat(fd, "", st, AT_EMPTY_PATH);
}

int rename(const char *from, const char *to)
{
    hang(from);
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    hang_fd(from_fd);
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int unlinkat(int fd, const char *path, int flags)
{
    hang_fd(fd);
    return (int)syscall(SYS_unlinkat, fd, path, flags);
}

ssize_t write(int fd, const void *bytes, size_t size_bytes)
{
    hang_fd(fd);
    return syscall(SYS_write, fd, bytes, size_bytes);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    hang_fd(fd);
    return syscall(SYS_writev, fd, parts, count);
}
