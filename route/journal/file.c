/* SPDX-License-Identifier: Apache-2.0 */
#include "route/journal/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "route/own_file.h"

struct journal_file {
    char *directory, *path, *older;
    int fd;
    bool broken; /* lines are missing: only a snapshot goes on from here */
    uint64_t size_bytes;
};

int journal_file_new(struct journal_file **out, const char *directory)
{
    struct journal_file *file = calloc(1, sizeof(*file));
    struct stat st;

    if (!file)
        return -ENOMEM;
    file->fd = -1;
    file->broken = true;
    file->directory = strdup(directory);
    if (asprintf(&file->path, "%s/%s", directory, JOURNAL_FILE) < 0)
        file->path = NULL;
    if (asprintf(&file->older, "%s/%s.1", directory, JOURNAL_FILE) < 0)
        file->older = NULL;
    if (!file->directory || !file->path || !file->older) {
        journal_file_free(file);
        return -ENOMEM;
    }
    if (lstat(file->path, &st) == 0 && S_ISREG(st.st_mode))
        file->size_bytes = (uint64_t)st.st_size;
    *out = file;
    return 0;
}

struct journal_file *journal_file_free(struct journal_file *file)
{
    if (!file)
        return NULL;
    close_fd(file->fd);
    free(file->directory);
    free(file->path);
    free(file->older);
    free(file);
    return NULL;
}

uint64_t journal_file_size(const struct journal_file *file)
{
    return file->size_bytes;
}

/* Somebody removed, replaced or emptied it: what we hold is not what its name stands for. */
static bool is_gone(const struct journal_file *file)
{
    struct stat held, named;

    return fstat(file->fd, &held) < 0 || lstat(file->path, &named) < 0 || held.st_dev != named.st_dev ||
           held.st_ino != named.st_ino || (uint64_t)held.st_size < file->size_bytes;
}

/* Opens it where it ended; what a crash cut off gets its end of line. */
static int open_it(struct journal_file *file)
{
    struct stat st;
    char last = '\n';

    if (file->fd >= 0 && !is_gone(file))
        return 0;
    file->broken = true;
    close_fd(file->fd);
    file->fd = own_file_open(file->directory, JOURNAL_FILE, O_RDWR | O_CREAT | O_APPEND);
    if (file->fd < 0)
        return file->fd;
    if (fstat(file->fd, &st) < 0)
        return -errno;
    file->size_bytes = (uint64_t)st.st_size;
    if (st.st_size > 0 && pread(file->fd, &last, 1, st.st_size - 1) == 1 && last != '\n' &&
        write(file->fd, "\n", 1) == 1)
        file->size_bytes++;
    return 0;
}

static int rotate(struct journal_file *file)
{
    file->fd = close_fd(file->fd);
    if (rename(file->path, file->older) < 0)
        return -errno;
    return open_it(file);
}

static int write_line(struct journal_file *file, const char *text)
{
    size_t length = strlen(text);
    const struct iovec line[] = {iovec_out(text, length), iovec_out("\n", 1)};
    ssize_t written;
    int error;

    written = writev(file->fd, line, 2);
    if (written == (ssize_t)(length + 1)) {
        file->size_bytes += length + 1;
        return 0;
    }
    error = written < 0 ? -errno : -ENOSPC;
    /* Half a line is of no use to anybody. Should this fail as well, the next start ends the line. */
    if (written > 0 && ftruncate(file->fd, (off_t)file->size_bytes) < 0)
        error = -errno;
    return error;
}

int journal_file_append(struct journal_file *file, const char *line, enum journal_line kind)
{
    int error = line ? open_it(file) : -ENOMEM;

    if (!error && kind == JOURNAL_HEAD && file->size_bytes > 0)
        error = rotate(file);
    if (!error && kind == JOURNAL_NEWS && file->broken)
        return -ESTALE;
    if (!error)
        error = write_line(file, line);
    file->broken = error < 0;
    if (error < 0)
        file->fd = close_fd(file->fd);
    return error;
}

static uint64_t sink_size(void *context)
{
    return journal_file_size(context);
}

static int sink_append(void *context, const char *line, enum journal_line kind)
{
    return journal_file_append(context, line, kind);
}

struct journal_sink journal_file_sink(struct journal_file *file)
{
    return (struct journal_sink){.context = file, .size_bytes = sink_size, .append = sink_append};
}
