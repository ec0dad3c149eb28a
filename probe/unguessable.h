/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "probe/base.h"

/* Bytes that nobody can guess: getrandom(2); where it is refused /dev/urandom; where there is no such file, made of what
 * the kernel gave this process at its start. 0, or -ENOSYS: none of them. */
int unguessable_fill(void *bytes, size_t size_bytes);
