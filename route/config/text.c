/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the bytes of a file to tokens: words, quoted or not, and the four signs. Comments and blanks are skipped,
 * characters without a meaning are errors with a line, and braces must match. What may follow what is the parser's
 * business (parse.c).
 *
 * A routing daemon must not guess: nothing is expanded or escaped, and a text ends on its line.
 */
#include "route/config/text.h"

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>

#define FILE_MAX_BYTES  ((size_t)1 << 20)
#define READ_TIMEOUT_MS 5000
#define DEPTH_MAX       8

struct walk {
    struct config_text *text;
    char *at;
    char *end; /* of the last word: becomes its zero byte when what stands there has been read */
    int line;
    int open[DEPTH_MAX]; /* the lines of the open braces */
    int depth;
    char *why;
    size_t why_bytes;
};

static int PRINTF_LIKE(3, 4) fail(struct walk *walk, int line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(walk->why, walk->why_bytes, format, arguments);
    va_end(arguments);
    walk->line = line;
    return -EINVAL;
}

static int add_token(struct walk *walk, enum config_token_kind kind, const char *word)
{
    struct config_text *text = walk->text;

    if (text->count == text->room) {
        int room = text->room ? 2 * text->room : 64;
        struct config_token *tokens = realloc(text->tokens, (size_t)room * sizeof(*tokens));

        if (!tokens)
            return -ENOMEM;
        text->tokens = tokens;
        text->room = room;
    }
    if (walk->end)
        *walk->end = '\0';
    walk->end = NULL;
    text->tokens[text->count++] =
        (struct config_token){.kind = kind, .section = -1, .line = walk->line, .text = word};
    return 0;
}

static int bad_character(struct walk *walk, char c)
{
    if (c == ';')
        return fail(walk, walk->line,
                    "';' ends nothing here, expected the next key after a blank or a newline");
    if (c == '$')
        return fail(walk, walk->line, "'$' is not expanded, expected the value itself");
    if (isprint((unsigned char)c))
        return fail(walk, walk->line, "unexpected '%c', expected a name, a value, '=', ',', '{' or '}'", c);
    return fail(walk, walk->line, "unexpected byte 0x%02x, expected printable ASCII", (unsigned char)c);
}

static bool is_comment(const char *at)
{
    return *at == '#' || (*at == '/' && (at[1] == '/' || at[1] == '*'));
}

static int skip_comment(struct walk *walk)
{
    const char *end;

    if (walk->at[0] != '/' || walk->at[1] != '*') {
        walk->at += strcspn(walk->at, "\n");
        return 0;
    }
    end = strstr(walk->at + 2, "*/");
    if (!end) {
        walk->at += strlen(walk->at);
        return fail(walk, walk->line, "the comment is not closed, expected '*/'");
    }
    for (; walk->at < end; walk->at++)
        walk->line += *walk->at == '\n';
    walk->at += 2;
    return 0;
}

/* The word that ends before walk->at. */
static int take_word(struct walk *walk, const char *word, char *end)
{
    int rc = add_token(walk, CONFIG_TOKEN_WORD, word);

    walk->end = end;
    return rc;
}

static int take_quoted(struct walk *walk)
{
    char quote = *walk->at++;
    const char *start = walk->at;

    for (; *walk->at != quote; walk->at++) {
        unsigned char c = (unsigned char)*walk->at;

        if (c == '\0' || c == '\n' || c == '\r')
            return fail(walk, walk->line, "the text is not closed on its line, expected %c", quote);
        if (c == '$' || c == '\\' || c == '|')
            return fail(walk, walk->line, "'%c' inside a text, expected the value itself without it", c);
        if (!isprint(c) && c != '\t')
            return bad_character(walk, (char)c);
    }
    walk->at++;
    return take_word(walk, start, walk->at - 1);
}

static int take_bare(struct walk *walk)
{
    static const char others[] = "._:-/%@~";
    const char *start = walk->at;

    while (!is_comment(walk->at) && *walk->at &&
           (isalnum((unsigned char)*walk->at) || strchr(others, *walk->at)))
        walk->at++;
    if (walk->at == start)
        return bad_character(walk, *walk->at);
    return take_word(walk, start, walk->at);
}

static int take_brace(struct walk *walk, bool opens)
{
    if (opens && walk->depth == DEPTH_MAX)
        return fail(walk, walk->line, "more than %d braces deep, expected '}'", DEPTH_MAX);
    if (!opens && walk->depth == 0)
        return fail(walk, walk->line, "'}' closes nothing, expected a key or a section");
    if (opens)
        walk->open[walk->depth++] = walk->line;
    else
        walk->depth--;
    return add_token(walk, CONFIG_TOKEN_SIGN, opens ? "{" : "}");
}

static int walk_step(struct walk *walk)
{
    char c = *walk->at;

    if (is_comment(walk->at))
        return skip_comment(walk);
    if (c == '"' || c == '\'')
        return take_quoted(walk);
    if (!strchr("\n \t\r,{}=", c))
        return take_bare(walk);

    walk->at++;
    walk->line += c == '\n';
    if (c == '{' || c == '}')
        return take_brace(walk, c == '{');
    return c == '=' || c == ',' ? add_token(walk, CONFIG_TOKEN_SIGN, c == '=' ? "=" : ",") : 0;
}

static int walk_text(struct config_text *text, size_t size_bytes, int *line, char *why, size_t why_bytes)
{
    struct walk walk = {.text = text, .at = text->bytes, .line = 1, .why = why, .why_bytes = why_bytes};
    int rc = 0;

    while (!rc && *walk.at)
        rc = walk_step(&walk);
    if (!rc && walk.at != text->bytes + size_bytes)
        rc = bad_character(&walk, '\0');
    if (!rc && walk.depth > 0)
        rc = fail(&walk, walk.open[walk.depth - 1], "the file ends before this '{' is closed, expected '}'");
    if (!rc) {
        walk.line = text->count ? text->tokens[text->count - 1].line : 1;
        rc = add_token(&walk, CONFIG_TOKEN_END, "");
    }
    *line = rc == -EINVAL ? walk.line : 0;
    return rc;
}

/* Tokens in spite of errors: one takes the rest of its line with it. */
static int walk_what_can_be(struct config_text *text, size_t size_bytes)
{
    char why[256];
    struct walk walk = {.text = text, .at = text->bytes, .line = 1, .why = why, .why_bytes = sizeof(why)};

    while (*walk.at) {
        int rc = walk_step(&walk);

        if (rc && rc != -EINVAL)
            return rc;
        if (rc)
            walk.at += strcspn(walk.at, "\n");
    }
    return walk.at == text->bytes + size_bytes ? add_token(&walk, CONFIG_TOKEN_END, "") : -EINVAL;
}

/* A pipe may be empty as yet (`--config <(...)`), but an agent that reads it again must not wait for good. */
static ssize_t read_some(int fd, char *to, size_t size_bytes)
{
    struct pollfd some = {.fd = fd, .events = POLLIN};
    int ready = poll(&some, 1, READ_TIMEOUT_MS);

    if (ready == 0)
        errno = ETIMEDOUT;
    return ready <= 0 ? -1 : read(fd, to, size_bytes);
}

/* The whole file into text->bytes, ended by a zero byte. */
static int read_all(struct config_text *text, const char *path, size_t *size_bytes)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    size_t length = 0;

    if (fd < 0)
        return -errno;
    text->bytes = malloc(FILE_MAX_BYTES + 1);
    if (!text->bytes)
        return -ENOMEM;
    while (length < FILE_MAX_BYTES) {
        ssize_t n = read_some(fd, text->bytes + length, FILE_MAX_BYTES - length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        length += (size_t)n;
    }
    if (length == FILE_MAX_BYTES)
        return -EFBIG;
    text->bytes[length] = '\0';
    *size_bytes = length;
    return 0;
}

int config_text_read(struct config_text *text, const char *path, int *line, char *why, size_t why_bytes)
{
    size_t size_bytes = 0;
    int rc = read_all(text, path, &size_bytes);

    *line = 0;
    if (rc)
        snprintf(why, why_bytes, "%s", strerror(-rc));
    else {
        text->digest = siphash24(text->bytes, size_bytes, (const uint64_t[2]){0, 0});
        rc = walk_text(text, size_bytes, line, why, why_bytes);
    }
    return rc;
}

int config_text_read_wrong(struct config_text *text, const char *path)
{
    size_t size_bytes = 0;
    int rc = read_all(text, path, &size_bytes);

    return rc ? rc : walk_what_can_be(text, size_bytes);
}

void config_text_clear(struct config_text *text)
{
    free(text->bytes);
    free(text->tokens);
    *text = (struct config_text){0};
}

bool config_token_is(const struct config_token *token, const char *sign)
{
    return token->kind == CONFIG_TOKEN_SIGN && strcmp(token->text, sign) == 0;
}

int config_text_find(const struct config_text *text, enum config_token_kind kind, int parent,
                     const char *name, int nth)
{
    for (int i = parent + 1; i < text->at; i++) {
        const struct config_token *token = &text->tokens[i];

        if (token->kind >= CONFIG_TOKEN_SECTION && token->section < parent)
            break; /* that section is over */
        if (token->kind == kind && token->section == parent && strcmp(token->text, name) == 0 && nth-- == 0)
            return i;
    }
    return -1;
}

int config_text_line(const struct config_text *text, int section, const char *key, int nth)
{
    int at = config_text_find(text, CONFIG_TOKEN_KEY, section, key, 0);

    if (at < 0)
        return 0;
    for (int i = at + 1; nth >= 0; i++)
        if (text->tokens[i].kind == CONFIG_TOKEN_VALUE && nth-- == 0)
            at = i;
    return text->tokens[at].line;
}
