/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of words: separated by white space, `#` starts a comment, `-` is standard input. They are read piece
 * by piece: a file of a million targets is never in memory as a whole.
 */
#pragma once

#include "probe/base.h"

struct report_word {
    const char *text;
    const char *file; /* its path, or "standard input" */
    unsigned line;
};

/* Gets one word; a negative errno with a line in message ends the reading. */
typedef int report_word_function(void *context, const struct report_word *word, char *message,
                                 size_t size_bytes);

/*
 * Hands every word over; there may be none. Returns 0 or a negative errno with one line in message:
 * "FILE:LINE: what is wrong" or "FILE: why it cannot be read"; -EINVAL for what is no text.
 */
int report_words_read(const char *path, report_word_function *function, void *context, char *message,
                      size_t size_bytes);
