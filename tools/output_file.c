/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/output_file.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#define LINKS_MAX 40 /* as the kernel's */

/* The folder of a path, allocated; NULL without memory. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
}

/* Is it the folder of this process's descriptors? */
static bool is_own_descriptors(const char *folder)
{
    /* Open, so that its inode has one number in both answers. */
    __attribute__((cleanup(close_fd_cleanup))) int fd = open("/proc/self/fd", O_PATH | O_CLOEXEC);
    struct stat own, given;

    return fd >= 0 && fstat(fd, &own) == 0 && stat(folder, &given) == 0 && own.st_dev == given.st_dev &&
           own.st_ino == given.st_ino;
}

static bool is_on_procfs(const char *folder)
{
    struct statfs status;

    return statfs(folder, &status) == 0 && status.f_type == PROC_SUPER_MAGIC;
}

/* Somebody else's file system, or a file of its own that a container was given: nothing can be renamed to it.
 * A kernel without statx (before 4.11) does not tell. */
static bool is_mount_point(const char *path)
{
    struct statx status;

    return syscall(SYS_statx, AT_FDCWD, path, 0, STATX_TYPE, &status) == 0 &&
           (status.stx_attributes_mask & status.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* One link further: *path is freed and replaced. 0: there is none; 1; or a negative errno. */
static int follow(char **path, const char *folder)
{
    char target[4096];
    ssize_t length = readlink(*path, target, sizeof(target) - 1);
    char *next;

    if (length < 0)
        return errno == EINVAL || errno == ENOENT ? 0 : -errno;
    target[length] = '\0';
    if (target[0] == '/')
        next = strdup(target);
    else if (asprintf(&next, "%s/%s", folder, target) < 0)
        next = NULL;
    if (!next)
        return -ENOMEM;
    free(*path);
    *path = next;
    return 1;
}

/* The descriptor that is meant, shared with its place in it. */
static int open_descriptor(struct output_file *file, const char *path)
{
    int number = (int)strtol(strrchr(path, '/') + 1, NULL, 10), flags = fcntl(number, F_GETFL);

    if (flags < 0)
        return -errno;
    if ((flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    file->fd = fcntl(number, F_DUPFD_CLOEXEC, 0);
    return file->fd < 0 ? -errno : 0;
}

static int open_in_place(struct output_file *file, const char *path, int flags)
{
    file->fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC | flags);
    return file->fd < 0 ? -errno : 0;
}

static int open_file(struct output_file *file, char **path, const char *folder, bool is_there)
{
    bool has_room = access(folder, W_OK | X_OK) == 0;
    int error = has_room ? 0 : -errno;

    if (is_there && access(*path, W_OK) < 0)
        return -errno;
    if (is_there && (!has_room || is_mount_point(*path))) {
        file->is_rewritten = true;
        return open_in_place(file, *path, 0);
    }
    if (!error)
        file->place = TAKE(*path);
    return error;
}

/* What there is at the end of the links: *path holds no link, or is one of procfs. */
static int open_end(struct output_file *file, char **path, const char *folder)
{
    bool is_proc = is_on_procfs(folder);
    struct stat status;
    int found = stat(*path, &status) < 0 ? -errno : 0;

    if (found < 0 && found != -ENOENT)
        return found;
    if (found == 0 && (S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode)))
        return -EINVAL;
    if (is_proc && found == 0 && is_own_descriptors(folder))
        return open_descriptor(file, *path);
    if (is_proc || (found == 0 && !S_ISREG(status.st_mode)))
        return open_in_place(file, *path, is_proc ? O_APPEND : 0);
    return open_file(file, path, folder, found == 0);
}

static int resolve(struct output_file *file, const char *given)
{
    CLEANUP(free) char *path = strdup(given);

    if (given[0] == '\0')
        return -EINVAL;
    for (int links = 0; path && links < LINKS_MAX; links++) {
        CLEANUP(free) char *folder = folder_of(path);
        int further = folder && !is_on_procfs(folder) ? follow(&path, folder) : 0;

        if (!folder)
            return -ENOMEM;
        if (further <= 0)
            return further < 0 ? further : open_end(file, &path, folder);
    }
    return path ? -ELOOP : -ENOMEM;
}

int output_file_open(struct output_file *file, const char *path, char *message, size_t size_bytes)
{
    int error;

    *file = (struct output_file){.fd = -1};
    error = resolve(file, path);
    if (error == -EINVAL)
        snprintf(message, size_bytes, "expected a file, or a place for one");
    else if (error)
        snprintf(message, size_bytes, "cannot write there: %s", strerror(-error));
    return error;
}

/* As what it will replace. -EPERM: this process cannot give it that owner. */
static int take_after(int fd, const char *place)
{
    struct stat old, new;
    mode_t mask = umask(0);

    umask(mask);
    if (stat(place, &old) < 0)
        return fchmod(fd, 0666 & ~mask) < 0 ? -errno : 0;
    if (fstat(fd, &new) < 0)
        return -errno;
    if ((old.st_uid != new.st_uid || old.st_gid != new.st_gid) && fchown(fd, old.st_uid, old.st_gid) < 0)
        return -errno;
    return fchmod(fd, old.st_mode & 0777) < 0 ? -errno : 0;
}

/* Its name begins as that of the file, as far as there is room in a name for the rest. */
static int begin_beside(struct output_file *file)
{
    static const char rest[] = ".XXXXXX";
    const char *slash = strrchr(file->place, '/'), *name = slash ? slash + 1 : file->place;
    size_t length = (size_t)(name - file->place) + strnlen(name, NAME_MAX + 1 - sizeof(rest));
    int error;

    if (asprintf(&file->beside, "%.*s%s", (int)length, file->place, rest) < 0) {
        file->beside = NULL;
        return -ENOMEM;
    }
    file->fd = mkostemp(file->beside, O_CLOEXEC);
    if (file->fd < 0) {
        error = -errno;
        free(TAKE(file->beside));
        return error;
    }
    error = take_after(file->fd, file->place);
    if (error)
        unlink(file->beside);
    return error;
}

int output_file_begin(struct output_file *file)
{
    int error = file->place ? begin_beside(file) : 0;

    if (error == -EPERM && file->beside) {
        file->fd = close_fd(file->fd);
        free(TAKE(file->beside));
        file->is_rewritten = true;
        error = open_in_place(file, file->place, 0);
    }
    if (!error && file->is_rewritten && ftruncate(file->fd, 0) < 0)
        error = -errno;
    return error;
}

int output_file_commit(struct output_file *file)
{
    int error = close(file->fd) < 0 ? -errno : 0;

    file->fd = -1;
    if (!error && file->beside && rename(file->beside, file->place) < 0)
        error = -errno;
    if (!error)
        free(TAKE(file->beside));
    output_file_discard(file);
    return error;
}

void output_file_discard(struct output_file *file)
{
    file->fd = close_fd(file->fd);
    if (file->beside)
        unlink(file->beside);
    free(TAKE(file->beside));
    free(TAKE(file->place));
}
