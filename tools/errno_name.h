/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* "ENOSYS"; NULL: not one that a system call of ours gives. error is positive. (Not every libc has this.) */
const char *errno_name(int error);
