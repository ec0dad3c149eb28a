/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command that does something says in the end: a line for people, or the document reroute.answer/1.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

/* Done: the line, or with json the document, on standard output. `route` (NULL: it has no such member)
 * becomes part of the document and is freed. */
void answer_done(bool json, const char *message, cJSON *route);

/* Not done: the line on standard error, and with json the document on standard output. */
void answer_refused(const char *program, bool json, const char *message);
