/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the output of a run goes, said by a path. A file is there as a whole or not at all: it is written
 * beside its place and put there by rename(), so that who reads it at any time (a textfile collector, a web
 * server) sees the old one or the new one.
 *
 * A symbolic link is followed: what is replaced is the file that it leads to, and one that leads nowhere yet
 * makes that file. What is replaced keeps its owner, group and mode; a new file has the mode of the umask.
 * Other hard links to it keep the old contents. A file that this process may not write is not replaced
 * either.
 *
 * Written to in place, because it cannot be replaced or must not be: a FIFO, a character device, a descriptor
 * of this process (/dev/stdout, /dev/fd/N, and a link to one), what is on procfs, a file that is a mount
 * point, one whose folder takes no new file, and one whose owner could not be kept. A block device or a
 * directory is refused.
 *
 * All that can be known is found out before the run, because nobody wants to learn after a long one that
 * there is no such folder.
 */
#pragma once

#include "probe/base.h"

struct output_file {
    int fd;            /* to write to, from output_file_begin() on */
    char *place;       /* the file that is replaced, links followed; NULL: fd is open from the start */
    char *beside;      /* written instead of it until it is whole */
    bool is_rewritten; /* in place: what it held goes when the new text comes */
};

/*
 * Finds out what the path is, and opens what is written in place (a FIFO waits for its reader, as in a
 * shell). Nothing is changed yet. 0, or a negative errno with what is wrong in message, to be put behind the
 * path; -EINVAL: it is nothing that can be written. On success output_file_commit() or output_file_discard()
 * it.
 */
int output_file_open(struct output_file *file, const char *path, char *message, size_t size_bytes);

/* Write to file->fd from now on. Negative errno; discard it then. */
int output_file_begin(struct output_file *file);
/* What was written is whole: puts it in its place. On error a negative errno, and nothing was replaced. */
int output_file_commit(struct output_file *file);
/* Without effect on what is closed already. */
void output_file_discard(struct output_file *file);
