/* SPDX-License-Identifier: Apache-2.0 */
#include "route/own_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#define CLOSED __attribute__((cleanup(close_fd_cleanup)))

bool own_user(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

const char *own_error_text(int error)
{
    switch (error) {
    case -EPERM:
        return "it belongs to another user, or others may write to it";
    case -ENXIO: /* what open(2) says of a FIFO or a socket */
    case -EISDIR:
        return "what is there is no regular file";
    case -ELOOP:
        return "it is a link";
    case -ETIMEDOUT:
        return "the disk does not answer";
    case -ENOTDIR:
        return "the state directory is no directory";
    default:
        return strerror(-error);
    }
}

static int make_directory(const char *directory)
{
    CLEANUP(free) char *path = strdup(directory);

    if (!path)
        return -ENOMEM;
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST && errno != EROFS)
            return -errno;
        *p = '/';
    }
    return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

/* For root: only root can have made it, and given it to who owns it. */
static bool is_given(int directory_fd)
{
    struct stat st;

    return geteuid() == 0 && fstatat(directory_fd, "..", &st, 0) == 0 && st.st_uid == 0 &&
           !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/* A link to it counts when it is ours, as what it leads to must be. */
static int open_directory(const char *directory, bool make, uid_t *owner)
{
    struct stat st;
    int fd, error;

    if (lstat(directory, &st) < 0) {
        error = errno == ENOENT && make ? make_directory(directory) : -errno;
        if (error < 0)
            return error;
    } else if (S_ISLNK(st.st_mode) && !own_user(st.st_uid)) {
        return -EPERM;
    }
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    error = fstat(fd, &st) < 0                                                           ? -errno
            : !(own_user(st.st_uid) || is_given(fd)) || st.st_mode & (S_IWGRP | S_IWOTH) ? -EPERM
                                                                                         : 0;
    if (error < 0)
        close(fd);
    *owner = st.st_uid;
    return error < 0 ? error : fd;
}

bool own_user_of(const char *directory, uid_t uid)
{
    uid_t owner;
    CLOSED int fd = own_user(uid) ? -1 : open_directory(directory, false, &owner);

    return own_user(uid) || (fd >= 0 && uid == owner);
}

static int check_file(int fd, uid_t owner)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -ENXIO;
    if (!own_user(st.st_uid) && st.st_uid != owner)
        return -EPERM;
    /* The owner of the directory may have put a name there for what is not his. */
    if (!own_user(owner) && st.st_nlink > 1)
        return -EPERM;
    /* On a read-only file system it stays as it is; nobody can write to it there either. */
    if (st.st_mode & (S_IRWXG | S_IRWXO) && fchmod(fd, 0600) < 0 && errno != EROFS)
        return -errno;
    return 0;
}

int own_file_open(const char *directory, const char *name, int flags)
{
    uid_t owner;
    CLOSED int directory_fd = open_directory(directory, flags & O_CREAT, &owner);
    int fd, error;

    if (directory_fd < 0)
        return directory_fd;
    fd = openat(directory_fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    error = check_file(fd, owner);
    if (error < 0)
        close(fd);
    return error < 0 ? error : fd;
}

int own_file_read(char **text, size_t *size_bytes, const char *directory, const char *name, size_t max_bytes)
{
    CLEANUP(free) char *read_text = NULL;
    CLOSED int fd = own_file_open(directory, name, O_RDONLY);
    struct stat st;
    size_t done = 0;

    *text = NULL;
    if (fd < 0 || fstat(fd, &st) < 0)
        return fd < 0 ? fd : -errno;
    if ((size_t)st.st_size > max_bytes)
        return -EFBIG;
    read_text = malloc((size_t)st.st_size + 1);
    if (!read_text)
        return -ENOMEM;
    while (done < (size_t)st.st_size) {
        ssize_t n = read(fd, read_text + done, (size_t)st.st_size - done);

        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (size_t)n;
    }
    read_text[done] = '\0';
    *size_bytes = done;
    *text = TAKE(read_text);
    return 0;
}

static int write_all(int fd, const char *text)
{
    size_t size_bytes = strlen(text), done = 0;

    while (done < size_bytes) {
        ssize_t n = write(fd, text + done, size_bytes - done);

        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        done += (size_t)n;
    }
    return 0;
}

/* A fresh file; what a crash left there, or somebody put there, goes. */
static int create(int directory_fd, const char *name)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(directory_fd, name, flags, 0600);

    if (fd < 0 && errno == EEXIST && unlinkat(directory_fd, name, 0) == 0)
        fd = openat(directory_fd, name, flags, 0600);
    return fd < 0 ? -errno : fd;
}

int own_file_write(const char *directory, const char *name, const char *text)
{
    uid_t owner;
    CLOSED int directory_fd = open_directory(directory, true, &owner);
    CLOSED int fd = -1;
    char beside[64];
    int error;

    if (directory_fd < 0)
        return directory_fd;
    snprintf(beside, sizeof(beside), "%s.new", name);
    fd = create(directory_fd, beside);
    if (fd < 0)
        return fd;
    error = write_all(fd, text);
    if (!error && renameat(directory_fd, beside, directory_fd, name) < 0)
        error = -errno;
    if (error)
        unlinkat(directory_fd, beside, 0);
    return error;
}

int own_file_remove(const char *directory, const char *name)
{
    uid_t owner;
    CLOSED int directory_fd = open_directory(directory, false, &owner);

    if (directory_fd < 0)
        return directory_fd;
    return unlinkat(directory_fd, name, 0) < 0 ? -errno : 0;
}
