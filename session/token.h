/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The token that a request shows to the service, read from a file that only its owner may read.
 */
#pragma once

#include "probe/base.h"

/*
 * Makes the header line, "NAME: TOKEN" or, for the name Authorization, "Authorization: Bearer TOKEN", as
 * malloc'ed text. Returns 0, or a negative errno with one line in message: -EINVAL (the name is no field
 * name, the file is open to others, empty, too long, or holds more than one line), errors of open() and
 * read().
 */
int token_header_read(char **out, const char *name, const char *path, char *message, size_t size_bytes);
