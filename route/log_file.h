/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log in files of bounded size, written by a thread of its own: who logs never waits for a disk.
 *
 * Lines wait in LOG_FILE_QUEUE_BYTES of memory until they are written; a disk that is full, gone or hanging is tried
 * again every second. So a short trouble loses no line. What does not fit is refused, and its owner counts it.
 *
 * PATH grows up to size_bytes, then it becomes PATH.1, that PATH.2, up to PATH.keep. Somebody else may rename or
 * remove it too: a new one is begun. When `keep` is lowered for the same PATH the files that are too many go; at the
 * start nothing is removed, as nobody knows whose they are. All functions are for one thread.
 */
#pragma once

#include "probe/base.h"

#define LOG_FILE_QUEUE_BYTES (256 * 1024)
#define LOG_FILE_HANGS_NS    (5 * NS_PER_S)

struct log_file_settings {
    const char *path;    /* a file in a directory of ours, see own_file.h; both are made */
    const char *link;    /* a symbolic link to it is kept there; empty: none */
    uint64_t size_bytes; /* of each of the files */
    unsigned keep;       /* how many old ones: at least one */
};

struct log_file_state {
    int error; /* 0, or why lines are not written now, for own_error_text(); -ETIMEDOUT: a write does not end */
    int link_error; /* 0, or why the link is not there; -EEXIST: what is there is none */
};

struct log_file;

/* The settings are copied. NULL without memory. */
struct log_file *log_file_new(const struct log_file_settings *settings);
/* Ends it, and waits until all has been written, but no longer than this; then what waits is written by and by, unless
 * that fails, or the process ends. Returns NULL. */
struct log_file *log_file_free(struct log_file *file, uint64_t wait_ns);

/* From the next line on; the file is opened anew in any case. 0 or -ENOMEM: all is as before. */
int log_file_configure(struct log_file *file, const struct log_file_settings *settings);

/* Lines, each with its end, of 4000 bytes at most. False: there is no room. */
bool log_file_put(struct log_file *file, const char *lines, size_t length);

struct log_file_state log_file_state(struct log_file *file);
