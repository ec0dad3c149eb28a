/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is passed along while a configuration is read. Private to the configuration.
 */
#pragma once

#include "route/config/keys.h"
#include "route/config/text.h"

struct config_reader {
    const char *path;
    struct config_text text;
    char *message; /* the caller's */
    size_t message_bytes;
    bool failed; /* message holds the first error */
};

/* Writes "PATH:LINE: ..." unless an error is there already; returns -EINVAL. A line of 0 becomes 1. */
int config_fail(struct config_reader *reader, int line, const char *format, ...) PRINTF_LIKE(3, 4);

/* The token of a section (CONFIG_TOP: -1); nth counts accesses. -1 too when the file does not have it. */
int config_reader_section(const struct config_reader *reader, int section, int nth);

/* The line of a key; 0 when the file does not give it. */
int config_reader_line(const struct config_reader *reader, int section, int nth, const char *key);
