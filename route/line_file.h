/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that grows by lines, in a directory of ours (own_file.h). What stands there when a write ends, or fails, are
 * whole lines. Every function may wait for the disk.
 */
#pragma once

#include "probe/base.h"

struct line_file {
    char *directory, *name;
    char *path; /* of both */
    int fd;     /* -1: not open */
    uint64_t size_bytes;
};

#define LINE_FILE_NONE ((struct line_file){.fd = -1})

/* Touches no disk. 0, -ENOMEM, or -EINVAL: the path names no file in a directory. */
int line_file_init(struct line_file *file, const char *path);
void line_file_clear(struct line_file *file);

/* Opens it where it ended, and ends a line that a crash cut off. What others removed, replaced or emptied is opened
 * anew. 0: it was open; 1: it is now; or a negative errno for own_error_text(). */
int line_file_open(struct line_file *file);

/* Of one that is open: the line and its end. 0 or a negative errno; what was written of it is taken back, and the file is
 * to be opened again. */
int line_file_append(struct line_file *file, const char *line);

/* It becomes PATH.1, what was that PATH.2, and so on; what was PATH.`keep` goes. Then it is to be opened again. 0 or a
 * negative errno. */
int line_file_rotate(struct line_file *file, unsigned keep);

/* It has been rotated with `before`, and will be with `keep`: what is older than PATH.`keep` goes, up to PATH.`before`.
 * Others are not ours. */
void line_file_trim(const struct line_file *file, unsigned before, unsigned keep);
