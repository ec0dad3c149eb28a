/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One agent for a service, or one command that moves its route by hand.
 */
#pragma once

#include "probe/base.h"

struct lock {
    int name_fd; /* -1: not had */
    int file_fd;
};

#define LOCK_FILE "lock"

/*
 * Takes what can be taken of it. Returns 0, or -EWOULDBLOCK when another process has it (*holder: its pid, 0
 * when that is not known). What could not be taken for another reason is no error; *file_error (0, or a
 * negative errno for own_error_text()) and *name_error tell.
 */
int lock_take(struct lock *lock, const char *directory, const struct address *service, uint32_t table,
              pid_t *holder, int *file_error, int *name_error);
/* Tries once more for a file that lock_take() could not take. 0, or its negative errno for own_error_text(). */
int lock_take_file(struct lock *lock, const char *directory);
/* "an agent for this service runs already (pid 7)"; returns message. */
const char *lock_refusal_text(pid_t holder, char *message, size_t size_bytes);
void lock_release(struct lock *lock);
