/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/http_request.h"

#include <strings.h>

/* The line of a head that begins at *at, without its end; *at moves behind it. */
static size_t next_line(const char *head, size_t head_bytes, size_t *at, const char **line)
{
    const char *end = memchr(head + *at, '\n', head_bytes - *at);
    size_t length = end ? (size_t)(end - head) - *at : head_bytes - *at;

    *line = head + *at;
    *at += length + 1;
    return length && (*line)[length - 1] == '\r' ? length - 1 : length;
}

/* Bytes up to and with the empty line; 0: it has not come. */
static size_t head_length(const char *text, size_t size_bytes)
{
    size_t at = 0;
    const char *line;

    while (at < size_bytes && memchr(text + at, '\n', size_bytes - at))
        if (next_line(text, size_bytes, &at, &line) == 0)
            return at;
    return 0;
}

static int copy_word(char *to, size_t size_bytes, const char *from, size_t length, int too_long)
{
    if (length == 0)
        return 400;
    if (length >= size_bytes)
        return too_long;
    for (size_t i = 0; i < length; i++)
        if (from[i] <= ' ' || from[i] > '~')
            return 400;
    memcpy(to, from, length);
    to[length] = '\0';
    return 0;
}

/* METHOD SP path[?query] SP HTTP/1.x */
static int parse_first(struct http_request *request, const char *line, size_t length)
{
    const char *space = memchr(line, ' ', length), *path, *last, *query;
    size_t path_bytes;
    int status;

    if (!space)
        return 400;
    status = copy_word(request->method, sizeof(request->method), line, (size_t)(space - line), 400);
    if (status)
        return status;
    path = space + 1;
    last = memchr(path, ' ', length - (size_t)(path - line));
    if (!last)
        return 400;
    if (length - (size_t)(last + 1 - line) != 8 || memcmp(last + 1, "HTTP/1.", 7) != 0)
        return memcmp(last + 1, "HTTP/", min_u64(5, length - (size_t)(last + 1 - line))) == 0 ? 505 : 400;
    path_bytes = (size_t)(last - path);
    query = memchr(path, '?', path_bytes);
    return copy_word(request->path, sizeof(request->path), path, query ? (size_t)(query - path) : path_bytes,
                     414);
}

static int parse_length(const char *value, size_t length, size_t *body_bytes)
{
    *body_bytes = 0;
    if (length == 0)
        return 400;
    for (size_t i = 0; i < length; i++) {
        if (value[i] < '0' || value[i] > '9')
            return 400;
        *body_bytes = *body_bytes * 10 + (size_t)(value[i] - '0');
        if (*body_bytes > REQUEST_BODY_MAX_BYTES)
            return 413;
    }
    return 0;
}

static int parse_field(const char *line, size_t length, bool *stated, size_t *body_bytes)
{
    static const char name[] = "Content-Length:", coding[] = "Transfer-Encoding:";
    size_t stated_bytes;
    int status;

    if (length >= strlen(coding) && strncasecmp(line, coding, strlen(coding)) == 0)
        return 411;
    if (length < strlen(name) || strncasecmp(line, name, strlen(name)) != 0)
        return 0;
    line += strlen(name);
    length -= strlen(name);
    for (; length && (*line == ' ' || *line == '\t'); length--)
        line++;
    while (length && (line[length - 1] == ' ' || line[length - 1] == '\t'))
        length--;
    status = parse_length(line, length, &stated_bytes);
    if (!status && *stated && stated_bytes != *body_bytes)
        return 400; /* RFC 9112, section 6.3: two lengths are an attack or a fault */
    *stated = true;
    *body_bytes = stated_bytes;
    return status;
}

int http_request_parse(struct http_request *request, const char *text, size_t size_bytes)
{
    size_t head_bytes = head_length(text, size_bytes), at = 0, length;
    bool stated = false;
    const char *line;
    int status;

    *request = (struct http_request){0};
    if (head_bytes > REQUEST_HEAD_MAX_BYTES || (!head_bytes && size_bytes >= REQUEST_HEAD_MAX_BYTES))
        return 431;
    if (!head_bytes)
        return -EAGAIN;
    length = next_line(text, head_bytes, &at, &line);
    status = parse_first(request, line, length);
    while (!status && at < head_bytes) {
        length = next_line(text, head_bytes, &at, &line);
        status = parse_field(line, length, &stated, &request->body_bytes);
    }
    if (status)
        return status;
    request->body = text + head_bytes;
    return size_bytes - head_bytes < request->body_bytes ? -EAGAIN : 0;
}
