/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* "ENOSYS"; NULL: not one that a system call of ours gives. error is positive. (Not every libc has this.) */
const char *errno_name(int error);

#define ERRNO_RESULT_SIZE 32
/* "ok", "ENOSYS", "errno 95": what a call came to. r: 0 or more, or a negative errno. */
const char *errno_result(int r, char buffer[static ERRNO_RESULT_SIZE]);
