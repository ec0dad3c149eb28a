/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of routes as a command prints it: lines, words, and what they say. Pure.
 */
#pragma once

#include "route/fib/route.h"

/* A route as a line says it. Its ifindex is 0: the line has the interface's name, or none. */
struct text_route {
    struct fib_route route;
    char interface[IF_NAMESIZE];
};

/* All zero is the empty table. */
struct text_table {
    struct text_route *routes;
    size_t count;
};

void text_table_clear(struct text_table *table);
/* 0 or -ENOMEM, which leaves the table as it was. */
int text_table_add(struct text_table *table, const struct text_route *route);

#define TEXT_LINE_SIZE 1024
#define TEXT_WORDS_MAX 64

/* A line, cut into words at blanks. */
struct text_line {
    unsigned number; /* from 1 */
    bool indented;   /* it begins with a blank */
    char *words[TEXT_WORDS_MAX];
    size_t count;
    char bytes[TEXT_LINE_SIZE]; /* what the words point into */
};

/* Reads the line at *at and moves *at behind it. 1: there is one, 0: the text is over, -EBADMSG: it is longer or has
 * more words than there is room for. The first call is with line->number 0. */
int text_next_line(const char **at, struct text_line *line);

bool text_line_is_rule(const struct text_line *line); /* nothing but '-' and blanks */

/* "10.0.0.0/8", "10.0.0.1" (a whole address), "default" (of that family). 0 or -EINVAL. */
int text_prefix(const char *word, uint8_t family, struct address *network, uint8_t *length);

/* The interface of a route: 0, or -EINVAL when the word is too long for a name. */
int text_interface(const char *word, struct text_route *route);

/* Writes "line N: what", cut to the room, and returns -EBADMSG. */
int text_bad_line(const struct text_line *line, const char *what, char *why, size_t size_bytes);

/* All that a command said, as one line: what is no printable ASCII is '?', a line's end is "; ". "nothing" for none.
 * Returns buffer. */
const char *text_one_line(const char *text, char *buffer, size_t size_bytes);
