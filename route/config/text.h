/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a configuration file: read, and taken apart into tokens. What the parser recognises of them it writes
 * into them, so that the line of every section, key and value can be asked for later. Private to the configuration.
 */
#pragma once

#include "probe/base.h"

enum config_token_kind {
    CONFIG_TOKEN_END,  /* the last one */
    CONFIG_TOKEN_SIGN, /* "{", "}", "=" or "," */
    CONFIG_TOKEN_WORD, /* a name or a value, without its quotes */
    /* What the parser makes of words: */
    CONFIG_TOKEN_VALUE,
    CONFIG_TOKEN_SECTION,
    CONFIG_TOKEN_KEY,
};

struct config_token {
    enum config_token_kind kind;
    int section; /* of a section or key: the token of the section around it; -1: none */
    int line;    /* from 1 */
    const char *text;
};

/* All zero is the empty text. */
struct config_text {
    char *bytes;     /* which the words point into */
    uint64_t digest; /* of the text as it was read; the same on every host */
    struct config_token *tokens;
    int count;
    int room;
    int at; /* the parser's next token: what is before it is recognised */
};

void config_text_clear(struct config_text *text);

/*
 * Reads a file and takes it apart. 0; -EINVAL with *line and what is wrong in why; another negative errno when it
 * cannot be read (*line is 0, why is the errno's text).
 */
int config_text_read(struct config_text *text, const char *path, int *line, char *why, size_t why_bytes);

/*
 * The same of a file that may be wrong: what is no token is left out, with the rest of its line, and braces need not
 * match. 0, or a negative errno when it cannot be read; -EINVAL: it has a zero byte.
 */
int config_text_read_wrong(struct config_text *text, const char *path);

/* Whether a token is this sign, "{" for instance. */
bool config_token_is(const struct config_token *token, const char *sign);

/* The nth section or key of this name inside section `parent` (-1: top level): its token, or -1. */
int config_text_find(const struct config_text *text, enum config_token_kind kind, int parent,
                     const char *name, int nth);

/* The line of a key, or of its nth value; 0 when the file does not give it. nth -1: the key itself. */
int config_text_line(const struct config_text *text, int section, const char *key, int nth);
