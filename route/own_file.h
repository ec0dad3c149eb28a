/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in a directory of ours.
 *
 * What lies there is trusted at the next start, and is written with the agent's rights. So a directory counts
 * only when it belongs to us (this user, or root) and nobody else may write to it; a file, when it is a
 * regular one of ours and no link. Anything else in its place (a FIFO, a socket, a device) is an error, and
 * never makes us wait.
 */
#pragma once

#include "probe/base.h"

/* Is this user one of those whom we trust with our files: root, or ourselves? */
bool own_user(uid_t uid);

/* The same for what concerns this directory: its owner too, as said above. */
bool own_user_of(const char *directory, uid_t uid);

/*
 * Opens a file of a directory by openat(2); flags as there, O_CREAT too. A file that others may read is
 * theirs no longer (0600). With O_CREAT the directory is made when it is missing (0700). Returns a descriptor
 * or a negative errno, for own_error_text().
 */
int own_file_open(const char *directory, const char *name, int flags);

/* The whole file, malloc'ed and terminated. -EFBIG: more than max_bytes. */
int own_file_read(char **text, size_t *size_bytes, const char *directory, const char *name, size_t max_bytes);

/* Writes beside and renames: a crash leaves the old one or the new one. What is no file is replaced as well.
 */
int own_file_write(const char *directory, const char *name, const char *text);

int own_file_remove(const char *directory, const char *name);

/* What one of the errors above means. */
const char *own_error_text(int error);
