/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's file, and the one that it was before: opened, appended to, rotated. See journal.c for what is in it.
 * The caller waits for the disk.
 */
#pragma once

#include "route/journal/journal.h"

struct journal_file;

/* JOURNAL_FILE in this directory. Nothing is opened before the first line. -ENOMEM. */
int journal_file_new(struct journal_file **out, const char *directory);
struct journal_file *journal_file_free(struct journal_file *file);

uint64_t journal_file_size(const struct journal_file *file); /* in bytes, after the last line */

/*
 * Writes a line (NULL: -ENOMEM) and its end. -ESTALE: the lines before this one are not there, since one could not
 * be written, or somebody has removed or emptied the file; so it waits for a snapshot. Else 0, or a negative errno
 * for own_error_text(). What is not written leaves nothing behind.
 */
int journal_file_append(struct journal_file *file, const char *line, enum journal_line kind);

/* For a journal whose owner may wait for the disk. */
struct journal_sink journal_file_sink(struct journal_file *file);
