/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "probe/base.h"

/* Bytes that nobody can guess: getrandom(2), or /dev/urandom where it is refused. 0, or a negative errno of that. */
int unguessable_fill(void *bytes, size_t size_bytes);
