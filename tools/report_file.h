/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is there as a whole or not at all: written beside its place and put there by rename(), so that
 * who reads it at any time (a textfile collector, a web server) sees the old report or the new one. What it
 * replaces keeps its mode; a new file has that of the umask.
 */
#pragma once

#include "probe/base.h"

struct report_file {
    const char *path; /* the caller's */
    char *beside;
    int fd;
};

/*
 * Could it be written, as far as that can be known before? Asked at the start, because nobody wants to learn
 * after a long run that there is no such directory. 0 or a negative errno with one line in message; -EINVAL:
 * it is something that must not be replaced, such as a directory or a device.
 */
int report_file_check(const char *path, char *message, size_t size_bytes);

/* Opens the file beside: write to file->fd, then commit or discard. Negative errno. */
int report_file_open(struct report_file *file, const char *path);
/* Puts it in its place. On error a negative errno, and nothing has changed. */
int report_file_commit(struct report_file *file);
void report_file_discard(struct report_file *file);
