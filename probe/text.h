/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text from outside (names that a cluster sends, files, host names, arguments, errors of others) on its way
 * to a terminal, a log, a document or a script of another program.
 *
 * A character is *plain* when it is well-formed UTF-8 (The Unicode Standard, table 3-7) and can be seen:
 * neither a control (C0, DEL, C1) nor one that reorders, hides or breaks what stands beside it (bidirectional
 * marks, zero widths, line separators, tags, byte order mark, noncharacters). Plain characters pass as they
 * are. All else is written as its bytes, "\x1b", each byte for itself; in JSON as "\u001b", and a byte that
 * is no UTF-8 as "\ufffd". So nothing is lost to a reader's eye, and nothing acts.
 *
 * A medium with quotes of its own (CSV, a metric's label, gnuplot) quotes what text_clean() gave.
 */
#pragma once

#include "probe/base.h"

/* How many bytes at the beginning of text are plain characters: the whole length, or where to escape. */
size_t text_plain_bytes(const char *text);

#define TEXT_ESCAPE_SIZE 17 /* four bytes, four characters each */
/*
 * Writes the character at text, which is not plain and not the end, as bytes ("\xe2\x80\xae") or for a JSON
 * string ("\u202e", two for a surrogate pair). A byte that begins no character counts as one. Returns how
 * many bytes of text that was, at least one.
 */
size_t text_escape(const char *text, char out[static TEXT_ESCAPE_SIZE]);
size_t text_escape_json(const char *text, char out[static TEXT_ESCAPE_SIZE]);

/*
 * text for a terminal, in size_bytes (at least 1) of buffer; returns buffer. What does not fit is cut off at
 * the end, no character or escape in the middle.
 */
const char *text_clean(const char *text, char *buffer, size_t size_bytes);

/* The same within double quotes, a quote and a backslash of the text behind a backslash. size_bytes >= 3. */
const char *text_quote(const char *text, char *buffer, size_t size_bytes);

#define TEXT_SIZE 1024
/* text for a terminal, for the length of one block (a printf argument). */
#define TEXT(text) text_clean((text), (char[TEXT_SIZE]){0}, TEXT_SIZE)

/*
 * Reads a line into *line, which grows as getline()'s does and is the caller's to free; the newline stays, a
 * zero byte too. Returns its length, 0 at the end, -EFBIG when it is longer than most_bytes, or what the
 * system said.
 */
ssize_t text_read_line(FILE *in, char **line, size_t *room, size_t most_bytes);

/* One line on standard error, as text for a terminal; the newline is ours. */
void text_error(const char *format, ...) PRINTF_LIKE(1, 2);

/*
 * A printed JSON document, which may have any byte of 0x7f and more in its strings, as valid UTF-8 with plain
 * characters only. Takes document, allocated or NULL; returns one that the caller frees, NULL for NULL or
 * without memory.
 */
char *text_json(char *document);
