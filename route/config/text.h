/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a configuration file: read, cleaned for libconfuse, and with the line of everything in it.
 * Private to the configuration.
 */
#pragma once

#include "probe/base.h"

enum config_mark_kind { CONFIG_MARK_SECTION, CONFIG_MARK_KEY, CONFIG_MARK_VALUE };

/* One thing in the file, in the order of the file. */
struct config_mark {
    enum config_mark_kind kind;
    int section; /* the mark of the section around it; -1: none */
    int line;    /* from 1 */
    const char *name;
    size_t name_bytes;
};

/* All zero is the empty text. */
struct config_text {
    char *bytes; /* as libconfuse gets it: comments are blanks, every line is where it was */
    struct config_mark *marks;
    int mark_count;
    int mark_room;
};

void config_text_clear(struct config_text *text);
static inline void config_text_clear_cleanup(struct config_text *text)
{
    config_text_clear(text);
}

/*
 * Reads a file and marks what is in it. 0; -EINVAL with *line and what is wrong in why; another negative
 * errno when it cannot be read (*line is 0, why is the errno's text).
 */
int config_text_read(struct config_text *text, const char *path, int *line, char *why, size_t why_bytes);

/* The nth section of this name inside section `parent` (-1: top level): its mark, or -1. */
int config_text_section(const struct config_text *text, int parent, const char *name, int nth);

/* The line of a key, or of its nth value; 0 when the file does not give it. nth -1: the key itself. */
int config_text_line(const struct config_text *text, int section, const char *key, int nth);

/* The first mark that gives again what an earlier one in the same section gave (a key, or a section other
 * than `many`, of which there may be many); -1: none. *first is the earlier one. */
int config_text_repeated(const struct config_text *text, const char *many, int *first);
