/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/text.h"

#include <stdarg.h>

#define ERROR_SIZE 2048

/* --- characters --- */

/* The Unicode Standard, table 3-7: what the second byte may be depends on the first. */
static const struct form {
    unsigned char first_low, first_high, second_low, second_high;
    unsigned char bytes;
} forms[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* The character that begins here and its length; 0 when none does. The zero byte at the end fits no form. */
static size_t decode(const char *text, uint32_t *code)
{
    const unsigned char *t = (const unsigned char *)text;

    *code = t[0];
    if (t[0] < 0x80)
        return 1;
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        const struct form *f = &forms[i];

        if (t[0] < f->first_low || t[0] > f->first_high)
            continue;
        if (t[1] < f->second_low || t[1] > f->second_high)
            return 0;
        *code = (t[0] & (0x7fu >> f->bytes)) << 6 | (t[1] & 0x3fu);
        for (size_t at = 2; at < f->bytes; at++) {
            if ((t[at] & 0xc0) != 0x80)
                return 0;
            *code = *code << 6 | (t[at] & 0x3fu);
        }
        return f->bytes;
    }
    return 0;
}

/* What cannot be seen, or changes how its neighbours are seen. */
static const struct range {
    uint32_t first, last;
} hidden[] = {
    {0x0000, 0x001f},   /* C0 */
    {0x007f, 0x009f},   /* DEL, C1 */
    {0x00ad, 0x00ad},   /* soft hyphen */
    {0x034f, 0x034f},   /* combining grapheme joiner */
    {0x061c, 0x061c},   /* Arabic letter mark */
    {0x115f, 0x1160},   /* Hangul fillers */
    {0x17b4, 0x17b5},   /* Khmer inherent vowels */
    {0x180b, 0x180f},   /* Mongolian selectors and separator */
    {0x200b, 0x200f},   /* zero widths, left-to-right and right-to-left mark */
    {0x2028, 0x202e},   /* line and paragraph separator, embeddings and overrides */
    {0x2060, 0x206f},   /* word joiner, invisible operators, isolates */
    {0x3164, 0x3164},   /* Hangul filler */
    {0xfdd0, 0xfdef},   /* noncharacters */
    {0xfe00, 0xfe0f},   /* variation selectors */
    {0xfeff, 0xfeff},   /* byte order mark */
    {0xffa0, 0xffa0},   /* halfwidth Hangul filler */
    {0xfff0, 0xfffb},   /* unassigned, interlinear annotation */
    {0x1d173, 0x1d17a}, /* musical beams and slurs */
    {0xe0000, 0xe0fff}, /* tags, variation selectors */
};

static bool is_visible(uint32_t code)
{
    if ((code & 0xfffe) == 0xfffe) /* noncharacters, the last two of each plane */
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(hidden) && code >= hidden[i].first; i++)
        if (code <= hidden[i].last)
            return false;
    return true;
}

/* The length of the plain character that begins here; 0 for none. */
static size_t plain_at(const char *text)
{
    uint32_t code;
    size_t bytes = decode(text, &code);

    return bytes > 0 && is_visible(code) ? bytes : 0;
}

size_t text_plain_bytes(const char *text)
{
    size_t at = 0, bytes;

    while ((bytes = plain_at(text + at)) > 0)
        at += bytes;
    return at;
}

size_t text_escape(const char *text, char out[static TEXT_ESCAPE_SIZE])
{
    uint32_t code;
    size_t bytes = decode(text, &code);

    if (bytes == 0)
        bytes = 1;
    for (size_t i = 0; i < bytes; i++)
        snprintf(out + 4 * i, 5, "\\x%02x", (unsigned char)text[i]);
    return bytes;
}

size_t text_escape_json(const char *text, char out[static TEXT_ESCAPE_SIZE])
{
    uint32_t code;
    size_t bytes = decode(text, &code);

    if (bytes == 0)
        code = 0xfffd;
    if (code > 0xffff)
        snprintf(out, TEXT_ESCAPE_SIZE, "\\u%04x\\u%04x", 0xd7c0u + (code >> 10), 0xdc00u + (code & 0x3ff));
    else
        snprintf(out, TEXT_ESCAPE_SIZE, "\\u%04x", code);
    return bytes > 0 ? bytes : 1;
}

/* --- a whole text --- */

/* One character of text as it goes out, terminated; returns how many bytes of text it was. */
static size_t next(const char *text, bool quoted, char out[static TEXT_ESCAPE_SIZE])
{
    size_t bytes = plain_at(text);
    bool behind_backslash = quoted && (*text == '"' || *text == '\\');

    if (bytes == 0)
        return text_escape(text, out);
    out[0] = '\\';
    memcpy(out + behind_backslash, text, bytes);
    out[bytes + behind_backslash] = '\0';
    return bytes;
}

/* Writes as much of text as fits with its terminating zero; returns its length. */
static size_t copy(const char *text, bool quoted, char *buffer, size_t size_bytes)
{
    char piece[TEXT_ESCAPE_SIZE];
    size_t length = 0;

    while (*text) {
        size_t piece_bytes;

        text += next(text, quoted, piece);
        piece_bytes = strlen(piece);
        if (length + piece_bytes >= size_bytes)
            break;
        memcpy(buffer + length, piece, piece_bytes);
        length += piece_bytes;
    }
    buffer[length] = '\0';
    return length;
}

const char *text_clean(const char *text, char *buffer, size_t size_bytes)
{
    copy(text, false, buffer, size_bytes);
    return buffer;
}

const char *text_quote(const char *text, char *buffer, size_t size_bytes)
{
    size_t length = 1 + copy(text, true, buffer + 1, size_bytes - 2);

    buffer[0] = '"';
    buffer[length] = '"';
    buffer[length + 1] = '\0';
    return buffer;
}

/* Room for one more byte and the zero behind it. */
static bool has_room(char **line, size_t *room, size_t length)
{
    size_t more = *room ? 2 * *room : 256;
    char *bigger;

    if (length + 1 < *room)
        return true;
    bigger = realloc(*line, more);
    if (!bigger)
        return false;
    *line = bigger;
    *room = more;
    return true;
}

ssize_t text_read_line(FILE *in, char **line, size_t *room, size_t most_bytes)
{
    size_t length = 0;
    int c = EOF;

    errno = 0;
    while (c != '\n' && (c = getc_unlocked(in)) != EOF) {
        if (length == most_bytes)
            return -EFBIG;
        if (!has_room(line, room, length))
            return -ENOMEM;
        (*line)[length++] = (char)c;
    }
    if (c == EOF && ferror(in))
        return errno ? -errno : -EIO; /* EISDIR, ... */
    if (length > 0)
        (*line)[length] = '\0';
    return (ssize_t)length;
}

void text_error(const char *format, ...)
{
    char line[ERROR_SIZE], clean[2 * ERROR_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s\n", text_clean(line, clean, sizeof(clean)));
}

/* --- JSON --- */

/* The same as text_plain_bytes(), over the blanks of a document too: within strings they are escaped already.
 */
static size_t document_plain_bytes(const char *document)
{
    size_t at = 0, bytes;

    while (document[at]) {
        bytes = (unsigned char)document[at] < ' ' ? 1 : plain_at(document + at);
        if (bytes == 0)
            break;
        at += bytes;
    }
    return at;
}

char *text_json(char *document)
{
    CLEANUP(free) char *given = document;
    size_t size_bytes, plain = given ? document_plain_bytes(given) : 0;
    char *text = NULL;
    FILE *out;

    if (!given || given[plain] == '\0')
        return TAKE(given);
    out = open_memstream(&text, &size_bytes);
    if (!out)
        return NULL;
    for (const char *at = given;; plain = document_plain_bytes(at)) {
        char piece[TEXT_ESCAPE_SIZE];

        fwrite(at, 1, plain, out);
        at += plain;
        if (!*at)
            break;
        at += text_escape_json(at, piece);
        fputs(piece, out);
    }
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
