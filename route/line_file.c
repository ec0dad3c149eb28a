/* SPDX-License-Identifier: Apache-2.0 */
#include "route/line_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "route/own_file.h"

int line_file_init(struct line_file *file, const char *path)
{
    const char *slash = strrchr(path, '/');

    *file = LINE_FILE_NONE;
    if (!slash || !slash[1])
        return -EINVAL;
    file->path = strdup(path);
    file->name = strdup(slash + 1);
    file->directory = strndup(path, max_u64(1, (uint64_t)(slash - path)));
    if (file->path && file->name && file->directory)
        return 0;
    line_file_clear(file);
    return -ENOMEM;
}

void line_file_clear(struct line_file *file)
{
    close_fd(file->fd);
    free(file->directory);
    free(file->name);
    free(file->path);
    *file = LINE_FILE_NONE;
}

/* Somebody removed, replaced or emptied it: what we hold is not what its name stands for. */
static bool is_gone(const struct line_file *file)
{
    struct stat held, named;

    return fstat(file->fd, &held) < 0 || lstat(file->path, &named) < 0 || held.st_dev != named.st_dev ||
           held.st_ino != named.st_ino || (uint64_t)held.st_size < file->size_bytes;
}

int line_file_open(struct line_file *file)
{
    struct stat st;
    char last = '\n';

    if (file->fd >= 0 && !is_gone(file))
        return 0;
    close_fd(file->fd);
    file->fd = own_file_open(file->directory, file->name, O_RDWR | O_CREAT | O_APPEND);
    if (file->fd < 0)
        return file->fd;
    if (fstat(file->fd, &st) < 0) {
        int error = -errno;

        file->fd = close_fd(file->fd);
        return error;
    }
    file->size_bytes = (uint64_t)st.st_size;
    if (st.st_size > 0 && pread(file->fd, &last, 1, st.st_size - 1) == 1 && last != '\n' &&
        write(file->fd, "\n", 1) == 1)
        file->size_bytes++;
    return 1;
}

int line_file_append(struct line_file *file, const char *line)
{
    size_t length = strlen(line);
    const struct iovec parts[] = {iovec_out(line, length), iovec_out("\n", 1)};
    ssize_t written = writev(file->fd, parts, 2);
    int error;

    if (written == (ssize_t)(length + 1)) {
        file->size_bytes += length + 1;
        return 0;
    }
    error = written < 0 ? -errno : -ENOSPC;
    if (written > 0 && ftruncate(file->fd, (off_t)file->size_bytes) < 0)
        error = -errno; /* the next line_file_open() ends the line */
    file->fd = close_fd(file->fd);
    return error;
}

/* "PATH.2"; PATH itself for 0. Returns NULL without memory. */
static char *numbered(const struct line_file *file, unsigned number)
{
    char *path;

    if (number == 0)
        return strdup(file->path);
    return asprintf(&path, "%s.%u", file->path, number) < 0 ? NULL : path;
}

static int shift(const struct line_file *file, unsigned from)
{
    CLEANUP(free) char *old = numbered(file, from);
    CLEANUP(free) char *new = numbered(file, from + 1);

    if (!old || !new)
        return -ENOMEM;
    return rename(old, new) < 0 ? -errno : 0;
}

int line_file_rotate(struct line_file *file, unsigned keep)
{
    file->fd = close_fd(file->fd);
    for (unsigned i = keep - 1; i > 0; i--) {
        int error = shift(file, i);

        if (error < 0 && error != -ENOENT)
            return error;
    }
    return shift(file, 0);
}

void line_file_trim(const struct line_file *file, unsigned before, unsigned keep)
{
    for (unsigned i = before; i > keep; i--) {
        CLEANUP(free) char *old = numbered(file, i);

        if (old)
            unlink(old);
    }
}
