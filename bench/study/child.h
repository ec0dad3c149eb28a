/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that a study runs: gnuplot, ip, the tools it compares with. What it says is kept in memory, what
 * it costs is measured.
 */
#pragma once

#include "probe/base.h"

struct child {
    int status;       /* as a shell says it: 0 to 255, 128 + the signal that ended it */
    uint64_t wall_ns; /* from before it was started until it was gone */
    uint64_t cpu_ns;  /* of it and of the children it waited for: user and system */
    char *out;        /* what it wrote to its standard output, with a '\0' behind; owned */
    size_t out_bytes;
    char *error; /* what it wrote to its standard error, in the same way */
};

/*
 * Runs argv[0] (looked up in PATH; argv ends with NULL) with `input` (NULL: empty) as its standard input, and
 * waits. The program is killed when this process ends. Returns 0 when the program could be started, whatever
 * its status is; -ENOENT when it is not installed, or another negative errno. child_clear() is due in any
 * case.
 */
int child_run(struct child *child, const char *const argv[], const char *input);
void child_clear(struct child *child);

/* Makes this process that program, as execvp() does. Returns only when it could not; errno says why. */
void child_become(const char *const argv[]);

/* Copies the first line that is not blank of what the program wrote to its standard error. Returns line. */
const char *child_error_line(const struct child *child, char *line, size_t size_bytes);

/* True when a program of this name is found in PATH. */
bool child_is_installed(const char *program);
