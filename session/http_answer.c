/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer is lines, then a body: of a length, in chunks, or up to the end of the connection (RFC 9112,
 * section 6.3). Interim answers (1xx) come before it and are passed over; their lines count like all others, so
 * that they end.
 */
#include "session/http_answer.h"

#include <strings.h>

#define HEAD_MAX_BYTES   65536
#define BODY_FIRST_BYTES 4096

enum stage {
    STATUS_LINE,
    FIELDS,
    BODY_OF_LENGTH,
    CHUNK_SIZE,
    CHUNK,
    CHUNK_END,
    TRAILER,
    BODY_TO_END,
    COMPLETE
};

void http_answer_clear(struct http_answer *answer)
{
    free(answer->body);
    *answer = (struct http_answer){.body_limit_bytes = answer->body_limit_bytes};
}

static int add_body(struct http_answer *a, const char *bytes, size_t size_bytes)
{
    if (size_bytes > a->body_limit_bytes - a->body_bytes)
        return -EMSGSIZE;
    if (a->body_bytes + size_bytes > a->room_bytes) {
        size_t wanted_bytes = max_u64(BODY_FIRST_BYTES, 2 * (a->body_bytes + size_bytes));
        size_t room_bytes = min_u64(wanted_bytes, a->body_limit_bytes);
        char *body = realloc(a->body, room_bytes);

        if (!body)
            return -ENOMEM;
        a->body = body;
        a->room_bytes = room_bytes;
    }
    memcpy(a->body + a->body_bytes, bytes, size_bytes);
    a->body_bytes += size_bytes;
    return 0;
}

/* Digits of this base, then blanks, then nothing or this byte. False: anything else, or more than a length can be. */
static bool read_length(const char *text, int base, char after, uint64_t *length)
{
    size_t digits = strspn(text, base == 10 ? "0123456789" : "0123456789abcdefABCDEF");
    const char *rest = text + digits + strspn(text + digits, " \t");

    errno = 0;
    *length = strtoull(text, NULL, base);
    return digits > 0 && (*rest == '\0' || *rest == after) && errno == 0 && *length <= INT64_MAX;
}

/* "HTTP/1.1 200 OK" */
static int read_status_line(struct http_answer *a)
{
    const char *line = a->line;

    if (strncmp(line, "HTTP/1.", 7) != 0 || strchr("01", line[7]) == NULL || line[7] == '\0' ||
        line[8] != ' ' || strspn(line + 9, "0123456789") != 3 || (line[12] != '\0' && line[12] != ' '))
        return -EBADMSG;
    a->status = strtol(line + 9, NULL, 10);
    a->stage = FIELDS;
    return a->status >= 100 ? 0 : -EBADMSG;
}

/* What a field says if it is the one with this name, else NULL. */
static const char *field_value(const char *line, const char *name)
{
    size_t length = strlen(name);

    if (strncasecmp(line, name, length) != 0 || line[length] != ':')
        return NULL;
    return line + length + 1 + strspn(line + length + 1, " \t");
}

/* The two fields that say how long the body is. */
static int read_field(struct http_answer *a)
{
    const char *length = field_value(a->line, "Content-Length");
    const char *coding = field_value(a->line, "Transfer-Encoding");
    uint64_t before_bytes = a->left_bytes;

    if (coding) {
        if (strncasecmp(coding, "chunked", 7) != 0 || coding[7 + strspn(coding + 7, " \t")] != '\0')
            return -EBADMSG;
        a->is_chunked = true;
    }
    if (!length)
        return 0;
    if (!read_length(length, 10, '\0', &a->left_bytes) || (a->has_length && a->left_bytes != before_bytes))
        return -EBADMSG;
    a->has_length = true;
    return 0;
}

/* The head is over. */
static int begin_body(struct http_answer *a)
{
    if (a->status < 200) {
        a->stage = STATUS_LINE;
        a->has_length = a->is_chunked = false;
        return 0;
    }
    if (a->status == 204 || a->status == 304)
        a->stage = COMPLETE;
    else if (a->is_chunked)
        a->stage = CHUNK_SIZE;
    else if (!a->has_length)
        a->stage = BODY_TO_END;
    else if (a->left_bytes > a->body_limit_bytes)
        return -EMSGSIZE;
    else
        a->stage = a->left_bytes > 0 ? BODY_OF_LENGTH : COMPLETE;
    return 0;
}

static int read_chunk_size(struct http_answer *a)
{
    if (!read_length(a->line, 16, ';', &a->left_bytes))
        return -EBADMSG;
    a->stage = a->left_bytes > 0 ? CHUNK : TRAILER;
    return a->left_bytes > a->body_limit_bytes - a->body_bytes ? -EMSGSIZE : 0;
}

/* A line is complete. */
static int take_line(struct http_answer *a)
{
    bool is_empty = a->line_bytes == 0;

    switch (a->stage) {
    case STATUS_LINE:
        return read_status_line(a);
    case FIELDS:
        return is_empty ? begin_body(a) : read_field(a);
    case CHUNK_SIZE:
        return read_chunk_size(a);
    case CHUNK_END:
        a->stage = CHUNK_SIZE;
        return is_empty ? 0 : -EBADMSG;
    default: /* TRAILER */
        a->stage = is_empty ? COMPLETE : TRAILER;
        return 0;
    }
}

/* Is what has come of the first line the beginning of one? Somebody who is not HTTP may never end it. */
static bool may_be_status_line(const struct http_answer *a)
{
    static const char begin[] = "HTTP/1.";

    return strncmp(a->line, begin, min_u64(a->line_bytes, sizeof(begin) - 1)) == 0;
}

/* One byte of a line, which ends with LF or CR LF (RFC 9112, section 2.2). */
static int take_line_byte(struct http_answer *a, char byte)
{
    int r = 0;

    if (++a->head_bytes > HEAD_MAX_BYTES)
        return -EMSGSIZE;
    if (byte != '\n') {
        if (a->line_bytes < sizeof(a->line) - 1)
            a->line[a->line_bytes++] = byte;
        a->line[a->line_bytes] = '\0';
        return a->stage == STATUS_LINE && !may_be_status_line(a) ? -EBADMSG : 0;
    }
    if (a->line_bytes > 0 && a->line[a->line_bytes - 1] == '\r')
        a->line[--a->line_bytes] = '\0';
    r = take_line(a);
    a->line_bytes = 0;
    a->line[0] = '\0';
    return r;
}

/* As much of the body as is there. Returns how many bytes that were, or a negative errno. */
static ssize_t take_body(struct http_answer *a, const char *bytes, size_t size_bytes)
{
    size_t taken_bytes = a->stage == BODY_TO_END ? size_bytes : min_u64(size_bytes, a->left_bytes);
    int r = add_body(a, bytes, taken_bytes);

    if (r < 0)
        return r;
    if (a->stage == BODY_TO_END)
        return (ssize_t)taken_bytes;
    a->left_bytes -= taken_bytes;
    if (a->left_bytes == 0)
        a->stage = a->stage == CHUNK ? CHUNK_END : COMPLETE;
    return (ssize_t)taken_bytes;
}

int http_answer_take(struct http_answer *a, const char *bytes, size_t size_bytes)
{
    size_t at = 0;

    while (at < size_bytes && a->stage != COMPLETE) {
        bool is_body = a->stage == BODY_OF_LENGTH || a->stage == CHUNK || a->stage == BODY_TO_END;
        ssize_t r = is_body ? take_body(a, bytes + at, size_bytes - at) : take_line_byte(a, bytes[at]);

        if (r < 0)
            return (int)r;
        at += is_body ? (size_t)r : 1;
    }
    return a->stage == COMPLETE;
}

int http_answer_end(const struct http_answer *a)
{
    if (a->stage == BODY_TO_END || a->stage == COMPLETE)
        return 1;
    return a->head_bytes == 0 ? -ECONNRESET : -EBADMSG;
}
