/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a file when it is asked to, and whenever the file has changed, by a thread of its own: who asks never waits for
 * a disk.
 *
 * inotify watches the directory, not the file: a file that is replaced by rename() (the right way to write
 * one) is another file each time. A slow look at its stat() is the fallback, for what inotify does not see (a
 * directory that did not exist yet, a symlink switched elsewhere, a network file system), and where there is none.
 *
 * All functions are for one thread.
 */
#pragma once

#include "probe/base.h"

#define FILE_READER_LOOK_S 2

struct file_reader;

/* What one read has found. */
struct file_reading {
    bool asked; /* somebody had asked; else the file has changed */
    int error;  /* 0 or a negative errno; -EINVAL: no regular file, -EMSGSIZE: it is too long */
    char *body; /* of size_bytes; the caller's. NULL with an error */
    size_t size_bytes;
    uint64_t took_ns;
};

/*
 * Reads nothing yet. The file may have limit_bytes. *inotify_error: 0, or the negative errno because of which there is
 * no inotify. 0 or a negative errno: there is no memory, no descriptor or no thread.
 */
int file_reader_open(struct file_reader **out, const char *path, size_t limit_bytes, int *inotify_error);
/* A read that hangs is left to itself. Returns NULL. */
struct file_reader *file_reader_close(struct file_reader *reader);

/* From the first one on changes are read as well. */
void file_reader_ask(struct file_reader *reader);

/* Readable when something was read. */
int file_reader_fd(const struct file_reader *reader);
/* The newest reading that nobody has taken; false: there is none. */
bool file_reader_take(struct file_reader *reader, struct file_reading *reading);
