/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why the text is looked at before libconfuse gets it.
 *
 * libconfuse 3.3 parses our grammar, but it is lenient where a routing daemon must not be: it counts a line
 * too many after each C comment, refuses comments inside a list, drops characters that fit nowhere ('+',
 * '*'), expands ${HOME}, resolves "probe|rise" as a path, takes a section that is cut off for a whole one,
 * and does not remember where a value came from. So the bytes are walked once here. Comments become blanks,
 * characters without a meaning are errors with a line, braces must match, and each section, key and value
 * leaves a mark with its line. The grammar itself (what may follow what) is left to libconfuse; the marks are
 * only looked at after it was satisfied, so they need not doubt it.
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
    int line;
    struct {
        int line;
        int section; /* to go back to when it closes */
    } open[DEPTH_MAX];
    int depth;
    int section; /* the mark of the innermost open section; -1 */
    bool value;  /* after '=' */
    bool list;   /* inside the braces of a list */
    int words;   /* names since the last complete thing: "probe", or "access" and its title */
    const char *name;
    size_t name_bytes;
    int name_line;
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

static int add_mark(struct walk *walk, enum config_mark_kind kind, int line, const char *name, size_t bytes)
{
    struct config_text *text = walk->text;

    if (text->mark_count == text->mark_room) {
        int room = text->mark_room ? 2 * text->mark_room : 64;
        struct config_mark *marks = realloc(text->marks, (size_t)room * sizeof(*marks));

        if (!marks)
            return -ENOMEM;
        text->marks = marks;
        text->mark_room = room;
    }
    text->marks[text->mark_count++] = (struct config_mark){
        .kind = kind, .section = walk->section, .line = line, .name = name, .name_bytes = bytes};
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

static int blank_comment(struct walk *walk)
{
    int opened = walk->line;

    if (walk->at[0] != '/' || walk->at[1] != '*') {
        while (*walk->at && *walk->at != '\n')
            *walk->at++ = ' ';
        return 0;
    }
    walk->at[0] = walk->at[1] = ' ';
    for (walk->at += 2; *walk->at; walk->at++) {
        if (walk->at[0] == '*' && walk->at[1] == '/') {
            walk->at[0] = walk->at[1] = ' ';
            walk->at += 2;
            return 0;
        }
        if (*walk->at == '\n')
            walk->line++;
        else
            *walk->at = ' ';
    }
    return fail(walk, opened, "the comment is not closed, expected '*/'");
}

/* A name or a value, quoted or not. */
static int take_word(struct walk *walk, const char *word, size_t bytes)
{
    if (walk->value || walk->list) {
        walk->value = false;
        return add_mark(walk, CONFIG_MARK_VALUE, walk->line, word, bytes);
    }
    if (walk->words++ == 0) {
        walk->name = word;
        walk->name_bytes = bytes;
        walk->name_line = walk->line;
    }
    return 0;
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
    return take_word(walk, start, (size_t)(walk->at - 1 - start));
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
    return take_word(walk, start, (size_t)(walk->at - start));
}

static int open_brace(struct walk *walk)
{
    int rc = 0;

    if (walk->depth == DEPTH_MAX)
        return fail(walk, walk->line, "more than %d braces deep, expected '}'", DEPTH_MAX);
    walk->open[walk->depth].line = walk->line;
    walk->open[walk->depth++].section = walk->section;
    if (walk->value) {
        walk->value = false;
        walk->list = true;
        return 0;
    }
    rc = add_mark(walk, CONFIG_MARK_SECTION, walk->words ? walk->name_line : walk->line,
                  walk->words ? walk->name : "", walk->words ? walk->name_bytes : 0);
    walk->section = walk->text->mark_count - 1;
    walk->words = 0;
    return rc;
}

static int close_brace(struct walk *walk)
{
    if (walk->depth == 0)
        return fail(walk, walk->line, "'}' closes nothing, expected a key or a section");
    walk->section = walk->open[--walk->depth].section;
    walk->list = false;
    walk->value = false;
    walk->words = 0;
    return 0;
}

static int take_equals(struct walk *walk)
{
    int rc = walk->words ? add_mark(walk, CONFIG_MARK_KEY, walk->name_line, walk->name, walk->name_bytes) : 0;

    walk->value = true;
    walk->words = 0;
    return rc;
}

static int walk_step(struct walk *walk)
{
    char c = *walk->at;

    if (is_comment(walk->at))
        return blank_comment(walk);
    if (c == '"' || c == '\'')
        return take_quoted(walk);
    if (!strchr("\n \t\r,{}=", c))
        return take_bare(walk);

    walk->at++;
    switch (c) {
    case '\n':
        walk->line++;
        return 0;
    case '\r': /* libconfuse would drop it anywhere */
        walk->at[-1] = ' ';
        return 0;
    case '{':
        return open_brace(walk);
    case '}':
        return close_brace(walk);
    case '=':
        return take_equals(walk);
    default:
        return 0;
    }
}

static int walk_text(struct config_text *text, size_t size_bytes, int *line, char *why, size_t why_bytes)
{
    struct walk walk = {
        .text = text, .at = text->bytes, .line = 1, .section = -1, .why = why, .why_bytes = why_bytes};
    int rc = 0;

    while (!rc && *walk.at)
        rc = walk_step(&walk);
    if (!rc && walk.at != text->bytes + size_bytes)
        rc = bad_character(&walk, '\0');
    if (!rc && walk.depth > 0)
        rc = fail(&walk, walk.open[walk.depth - 1].line,
                  "the file ends before this '{' is closed, expected '}'");
    *line = walk.line;
    return rc;
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
    else
        rc = walk_text(text, size_bytes, line, why, why_bytes);
    return rc;
}

void config_text_clear(struct config_text *text)
{
    free(text->bytes);
    free(text->marks);
    *text = (struct config_text){0};
}

static bool mark_is(const struct config_mark *mark, enum config_mark_kind kind, int section, const char *name)
{
    return mark->kind == kind && mark->section == section && strlen(name) == mark->name_bytes &&
           memcmp(mark->name, name, mark->name_bytes) == 0;
}

int config_text_section(const struct config_text *text, int parent, const char *name, int nth)
{
    for (int i = parent + 1; i < text->mark_count; i++) {
        if (mark_is(&text->marks[i], CONFIG_MARK_SECTION, parent, name) && nth-- == 0)
            return i;
    }
    return -1;
}

int config_text_line(const struct config_text *text, int section, const char *key, int nth)
{
    /* Whatever is inside the section follows its mark, up to the first thing that belongs further out. */
    for (int i = section + 1; i < text->mark_count && text->marks[i].section >= section; i++) {
        if (mark_is(&text->marks[i], CONFIG_MARK_KEY, section, key))
            return text->marks[i + nth + 1].line;
    }
    return 0;
}

int config_text_repeated(const struct config_text *text, const char *many, int *first)
{
    for (int i = 0; i < text->mark_count; i++) {
        const struct config_mark *mark = &text->marks[i];

        if (mark->kind == CONFIG_MARK_VALUE || mark_is(mark, CONFIG_MARK_SECTION, -1, many))
            continue;
        for (*first = mark->section + 1; *first < i; ++*first) {
            const struct config_mark *earlier = &text->marks[*first];

            if (earlier->kind == mark->kind && earlier->section == mark->section &&
                earlier->name_bytes == mark->name_bytes &&
                memcmp(earlier->name, mark->name, mark->name_bytes) == 0)
                return i;
        }
    }
    return -1;
}
