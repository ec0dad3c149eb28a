/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command that is a script: what is said of its options is said in C, then the program becomes the script.
 */
#pragma once

#include <stddef.h>

#include "tools/options.h"

#define SCRIPT_WORDS_MAX 1020

/* Its arguments, NAME=VALUE each. */
struct script_words {
    size_t count;
    char *text[SCRIPT_WORDS_MAX + 1]; /* owned; ends with NULL */
};

#define SCRIPT_HOSTS_MAX 1000

/* Adds one; not when value is NULL. */
void script_add(struct script_words *words, const char *name, const char *value);

/* Takes an option --host: adds it to the script_words of its context. */
int script_take_host(const struct option_row *row, const char *value, char *message, size_t size_bytes);

/*
 * Becomes python3 with this script, which lies in tools/deploy beside the program in a build directory, else where it is
 * installed. Its first argument is the program itself. Only returns when it could not, after one line: EXIT_SYSTEM.
 */
int script_become(const char *program, const char *script, const struct script_words *words);
