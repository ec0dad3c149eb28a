/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report_file.h"

#include <fcntl.h>
#include <sys/stat.h>

int report_file_check(const char *path, char *message, size_t size_bytes)
{
    const char *slash = strrchr(path, '/');
    CLEANUP(free) char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    struct stat status;
    int error = 0;

    if (!directory)
        return -ENOMEM;
    if (path[0] == '\0' || (stat(path, &status) == 0 && !S_ISREG(status.st_mode)))
        error = -EINVAL;
    else if (access(directory, W_OK | X_OK) < 0)
        error = -errno;
    if (error == -EINVAL)
        snprintf(message, size_bytes, "--output '%s': expected a file, or a place for one", path);
    else if (error)
        snprintf(message, size_bytes, "--output '%s': cannot write there: %s", path, strerror(-error));
    return error;
}

/* The mode of what is replaced, or that of any new file. */
static mode_t wanted_mode(const char *path)
{
    struct stat status;
    mode_t mask = umask(0);

    umask(mask);
    return stat(path, &status) == 0 ? status.st_mode & 0777 : 0666 & ~mask;
}

int report_file_open(struct report_file *file, const char *path)
{
    int error = 0;

    *file = (struct report_file){.path = path, .fd = -1};
    if (asprintf(&file->beside, "%s.XXXXXX", path) < 0) {
        file->beside = NULL;
        return -ENOMEM;
    }
    file->fd = mkostemp(file->beside, O_CLOEXEC);
    if (file->fd < 0) {
        error = -errno;
        free(file->beside);
        file->beside = NULL;
    } else if (fchmod(file->fd, wanted_mode(path)) < 0) {
        error = -errno;
        report_file_discard(file);
    }
    return error;
}

int report_file_commit(struct report_file *file)
{
    int error = 0;

    if (close(file->fd) < 0 || rename(file->beside, file->path) < 0)
        error = -errno;
    file->fd = -1;
    if (error)
        unlink(file->beside);
    free(file->beside);
    file->beside = NULL;
    return error;
}

void report_file_discard(struct report_file *file)
{
    if (!file->beside)
        return;
    file->fd = close_fd(file->fd);
    unlink(file->beside);
    free(file->beside);
    file->beside = NULL;
}
