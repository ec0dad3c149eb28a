/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command that is a script: what is said of its options is said in C, then the program becomes the script.
 */
#pragma once

#include <stddef.h>

#define SCRIPT_WORDS_MAX 1020

/* Its arguments, NAME=VALUE each. */
struct script_words {
    size_t count;
    char *text[SCRIPT_WORDS_MAX + 1]; /* owned; ends with NULL */
};

/* Adds one; not when value is NULL. */
void script_add(struct script_words *words, const char *name, const char *value);

/*
 * Becomes python3 with this script, which lies in tools/deploy beside the program in a build directory, else where it is
 * installed. Its first argument is the program itself. Only returns when it could not, after one line: EXIT_SYSTEM.
 */
int script_become(const char *program, const char *script, const struct script_words *words);
