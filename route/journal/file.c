/* SPDX-License-Identifier: Apache-2.0 */
#include "route/journal/file.h"

#include <sys/stat.h>

#include "route/line_file.h"

struct journal_file {
    struct line_file lines;
    bool broken; /* lines are missing: only a snapshot goes on from here */
};

int journal_file_new(struct journal_file **out, const char *directory)
{
    struct journal_file *file = calloc(1, sizeof(*file));
    char *path = NULL;
    struct stat st;
    int error;

    if (!file || asprintf(&path, "%s/%s", directory, JOURNAL_FILE) < 0) {
        free(file);
        return -ENOMEM;
    }
    error = line_file_init(&file->lines, path);
    if (!error && lstat(path, &st) == 0 && S_ISREG(st.st_mode))
        file->lines.size_bytes = (uint64_t)st.st_size;
    free(path);
    file->broken = true;
    if (error)
        file = journal_file_free(file);
    *out = file;
    return error;
}

struct journal_file *journal_file_free(struct journal_file *file)
{
    if (file)
        line_file_clear(&file->lines);
    free(file);
    return NULL;
}

uint64_t journal_file_size(const struct journal_file *file)
{
    return file->lines.size_bytes;
}

static int open_it(struct journal_file *file)
{
    int opened = line_file_open(&file->lines);

    if (opened != 0)
        file->broken = true;
    return opened < 0 ? opened : 0;
}

static int rotate(struct journal_file *file)
{
    int error = line_file_rotate(&file->lines, 1);

    return error < 0 ? error : open_it(file);
}

int journal_file_append(struct journal_file *file, const char *line, enum journal_line kind)
{
    int error = line ? open_it(file) : -ENOMEM;

    if (!error && kind == JOURNAL_HEAD && file->lines.size_bytes > 0)
        error = rotate(file);
    if (!error && kind == JOURNAL_NEWS && file->broken)
        return -ESTALE;
    if (!error)
        error = line_file_append(&file->lines, line);
    file->broken = error < 0;
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
