/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of a parsed document, for people: text is fit for a terminal, and what is not there, or of another kind, has
 * a value too.
 */
#pragma once

#include <cjson/cJSON.h>

#include "probe/text.h"

/* NULL when it is not there. */
const cJSON *document_get(const cJSON *object, const char *name);

/* "-" for what is no string. */
const char *document_text_in(const cJSON *object, const char *name, char buffer[static TEXT_SIZE]);
/* The same, for the length of one block (a printf argument). */
#define document_text(object, name) document_text_in((object), (name), (char[TEXT_SIZE]){0})

/* " until TIME, because: TEXT", of two members; less where less is there. */
void document_print_terms(FILE *out, const cJSON *object, const char *until, const char *because);

bool document_is(const cJSON *object, const char *name, const char *text); /* is it this string? */
bool document_is_text(const cJSON *object, const char *name);
bool document_is_true(const cJSON *object, const char *name);
bool document_is_number(const cJSON *object, const char *name);

/* "-" for what is no number; format: for a double. */
const char *document_number(const cJSON *object, const char *name, const char *format,
                            char buffer[static 32]);
