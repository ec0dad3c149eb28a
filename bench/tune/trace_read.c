/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of trace files, see trace.h. A line at a time, one pass; whatever is not as expected ends it
 * with one line that says where. What it accepts is in range, so nobody behind it checks again.
 */
#include "bench/tune/trace.h"

#include <stdarg.h>

#include "probe/text.h"

#define VERSION        1
#define LINE_MAX_BYTES (1u << 20)

struct reader {
    struct trace *trace;
    const char *name; /* of the file */
    unsigned long line;
    char *at; /* what is left of the line */
    uint64_t requests;
    char *message;
    size_t size_bytes;
};

static int complain(const struct reader *reader, const char *format, ...) PRINTF_LIKE(2, 3);

static int complain(const struct reader *reader, const char *format, ...)
{
    int length = snprintf(reader->message, reader->size_bytes, "%s:%lu: ", reader->name, reader->line);
    va_list arguments;

    va_start(arguments, format);
    if (length >= 0 && (size_t)length < reader->size_bytes)
        vsnprintf(reader->message + length, reader->size_bytes - (size_t)length, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* What was found, in a form that fits a line: printable, and cut. */
static const char *found(const char *text, char buffer[static 24])
{
    size_t i = 0;

    if (*text == '\0')
        return "nothing";
    for (; text[i] && i < 20; i++)
        buffer[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    memcpy(buffer + i, text[i] ? ".." : "", text[i] ? 3 : 1);
    return buffer;
}
#define FOUND(text) found((text), (char[24]){0})

/* Takes a decimal number off the line. */
static int take_number(struct reader *reader, uint64_t least, uint64_t most, const char *what, uint64_t *out)
{
    const char *begin = reader->at;
    uint64_t value = 0;

    for (; *reader->at >= '0' && *reader->at <= '9'; reader->at++) {
        value = value * 10 + (uint64_t)(*reader->at - '0');
        if (value > most)
            break;
    }
    if (reader->at == begin || (*reader->at && *reader->at != ' ') || value < least || value > most)
        return complain(reader, "%s '%s', expected %" PRIu64 " to %" PRIu64, what, FOUND(begin), least, most);
    *out = value;
    return 0;
}

static bool take_word(struct reader *reader, const char *word)
{
    size_t length = strlen(word);

    if (strncmp(reader->at, word, length) != 0 || (reader->at[length] && reader->at[length] != ' '))
        return false;
    reader->at += length + (reader->at[length] == ' ');
    return true;
}

static int expect_end(struct reader *reader)
{
    return *reader->at ? complain(reader, "'%s' behind the end of the line", FOUND(reader->at)) : 0;
}

/* A header line of one number. */
static int take_header(struct reader *reader, const char *word, uint64_t least, uint64_t most, uint64_t *out)
{
    int r;

    if (!take_word(reader, word))
        return complain(reader, "'%s', expected '%s NUMBER'", FOUND(reader->at), word);
    r = take_number(reader, least, most, word, out);
    return r < 0 ? r : expect_end(reader);
}

static int take_first(struct reader *reader)
{
    uint64_t version;
    int r;

    if (!take_word(reader, "reroute-trace"))
        return complain(reader, "this is no trace, expected 'reroute-trace %d'", VERSION);
    r = take_number(reader, 0, UINT32_MAX, "version", &version);
    if (r < 0)
        return r;
    if (version != VERSION)
        return complain(reader, "a trace of version %" PRIu64 ", expected version %d", version, VERSION);
    return expect_end(reader);
}

static bool is_printable(const char *text)
{
    while (*text >= ' ' && *text <= '~')
        text++;
    return *text == '\0';
}

static int take_path(struct reader *reader)
{
    char *address = strsep(&reader->at, " ");
    char *interface = strsep(&reader->at, " ");
    const char *name = reader->at ? reader->at : "";
    int r;

    if (!interface || !address[0] || strlen(address) >= ADDRESS_TEXT_SIZE || !interface[0] ||
        strlen(interface) >= IFNAMSIZ || strlen(name) >= TRACE_NAME_SIZE)
        return complain(reader, "expected 'path ADDRESS INTERFACE NAME'");
    if (!is_printable(address) || !is_printable(interface) || !is_printable(name))
        return complain(reader, "a path of other than printable characters");
    r = trace_add_path(reader->trace, address, strcmp(interface, "-") == 0 ? "" : interface, name);
    return r == -E2BIG ? complain(reader, "more than %d paths", TRACE_PATHS_MAX) : r;
}

/* The lines before `data`; 1: that was it. */
static int take_header_line(struct reader *reader)
{
    struct trace *trace = reader->trace;
    uint64_t bytes;
    int r;

    switch (reader->line) {
    case 1:
        return take_first(reader);
    case 2:
        return take_header(reader, "interval-us", 1000, TRACE_INTERVAL_MAX_US, &trace->interval_us);
    case 3:
        return take_header(reader, "wait-us", trace->interval_us, TRACE_WAIT_MAX_US, &trace->wait_us);
    case 4:
        r = take_header(reader, "payload-bytes", 0, 65535, &bytes);
        trace->payload_bytes = (uint32_t)bytes;
        return r;
    default:
        if (take_word(reader, "path"))
            return take_path(reader);
        if (!take_word(reader, "data"))
            return complain(reader, "'%s', expected 'path' or 'data'", FOUND(reader->at));
        if (trace->path_count == 0)
            return complain(reader, "'data' without a path before it");
        r = expect_end(reader);
        return r < 0 ? r : 1;
    }
}

static int take_fate(struct reader *reader, struct trace_request *request)
{
    static const struct {
        const char *mark;
        enum trace_fate fate;
    } marks[] = {{"-", TRACE_LOST}, {"f", TRACE_REFUSED}, {"x", TRACE_SPOILT}};
    uint64_t rtt_us = 0;
    bool error;
    int r;

    request->rtt_us = 0;
    for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
        if (reader->at[0] != marks[i].mark[0] || (reader->at[1] && reader->at[1] != ' '))
            continue;
        request->fate = marks[i].fate;
        reader->at++;
        return 0;
    }
    error = *reader->at == 'u';
    reader->at += error;
    r = take_number(reader, 0, reader->trace->wait_us, "fate", &rtt_us);
    request->fate = error ? TRACE_ERROR : TRACE_REPLY;
    request->rtt_us = rtt_us & ((1u << 23) - 1);
    return r;
}

static int take_data(struct reader *reader)
{
    struct trace *trace = reader->trace;
    struct trace_path *path;
    uint64_t index, sent_us;
    int r = take_number(reader, 0, trace->path_count - 1, "path", &index);

    if (r < 0)
        return r;
    reader->at += *reader->at == ' ';
    r = take_number(reader, 0, TRACE_SENT_MAX_US, "time", &sent_us);
    if (r < 0)
        return r;
    path = &trace->paths[index];
    if (path->count && sent_us <= path->requests[path->count - 1].sent_us)
        return complain(reader, "time %" PRIu64 ", expected one after the request before it", sent_us);
    if (*reader->at == '\0')
        return complain(reader, "no fates, expected some");
    while (*reader->at == ' ') {
        struct trace_request request = {.sent_us = sent_us};

        reader->at++;
        r = take_fate(reader, &request);
        if (r == 0 && sent_us > TRACE_SENT_MAX_US)
            r = complain(reader, "time %" PRIu64 ", expected three days at most", sent_us);
        if (r == 0)
            r = trace_add(path, request);
        if (r < 0)
            return r;
        sent_us += trace->interval_us;
        reader->requests++;
    }
    return 0;
}

/* 1: the trace is whole. */
static int take_end(struct reader *reader)
{
    uint64_t requests;
    int r = take_number(reader, 0, UINT64_MAX / 16, "end", &requests);

    if (r < 0)
        return r;
    if (requests != reader->requests)
        return complain(reader, "%" PRIu64 " requests, expected %" PRIu64 ": lines are missing",
                        reader->requests, requests);
    r = expect_end(reader);
    return r < 0 ? r : 1;
}

/* All lines. */
static int take_lines(struct reader *reader, FILE *in, char **line, size_t *room)
{
    bool data = false, ended = false;
    ssize_t length;

    for (;;) {
        int r;

        reader->line++;
        length = text_read_line(in, line, room, LINE_MAX_BYTES);
        if (length == -EFBIG)
            return complain(reader, "a line of more than %u bytes", LINE_MAX_BYTES);
        if (length <= 0)
            break;
        reader->at = *line;
        if (ended)
            return complain(reader, "something behind the 'end'");
        if (strlen(*line) != (size_t)length || (*line)[length - 1] != '\n')
            return complain(reader, "cut off or corrupt, expected a line of text");
        (*line)[length - 1] = '\0';
        if (!data)
            r = take_header_line(reader);
        else if (take_word(reader, "end"))
            r = take_end(reader);
        else
            r = take_data(reader);
        if (r < 0)
            return r;
        ended = data && r == 1;
        data = data || r == 1;
    }
    if (length < 0)
        return (int)length;
    return ended ? 0
                 : complain(reader, "the trace was cut off, expected '%s'",
                            reader->line == 1 ? "reroute-trace 1"
                            : data            ? "end"
                                              : "data");
}

int trace_read(struct trace *trace, FILE *in, const char *name, char *message, size_t size_bytes)
{
    struct reader reader = {.trace = trace, .name = name, .message = message, .size_bytes = size_bytes};
    CLEANUP(free) char *line = NULL;
    size_t room = 0;
    int r = take_lines(&reader, in, &line, &room);

    if (r == 0)
        return 0;
    if (r != -EINVAL)
        snprintf(message, size_bytes, "%s: %s", name, strerror(-r));
    trace_clear(trace);
    return r;
}

int trace_load(struct trace *trace, const char *file, char *message, size_t size_bytes)
{
    FILE *in = fopen(file, "re");
    int r;

    if (!in) {
        r = -errno;
        snprintf(message, size_bytes, "%s: %s", file, strerror(-r));
        return r;
    }
    r = trace_read(trace, in, file, message, size_bytes);
    fclose(in);
    return r;
}
