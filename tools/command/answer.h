/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command that does something says in the end: a line for people, or the document reroute.answer/1.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

/*
 * Done: the line, or with json the document, on standard output. A warning (NULL: none) says what becomes of it that
 * nobody may have meant: on standard error, and in the document. `route` (NULL: it has no such member) becomes part of
 * the document and is freed.
 */
void answer_done(const char *program, bool json, const char *message, const char *warning, cJSON *route);

/* Not done: the line on standard error, and with json the document on standard output. */
void answer_refused(const char *program, bool json, const char *message);
