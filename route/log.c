/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: formatting, and one write(2) per line, which never waits.
 *
 * Whoever reads standard error may stall (a full pipe, a terminal that was stopped); the decisions must not
 * stall with it. So a line is written only when there is room for it, and is counted as lost when there is
 * not; the count goes out in front of the next line that can be written. A pipe that polls writable takes
 * PIPE_BUF bytes without blocking, which no line exceeds. O_NONBLOCK would do too, but it belongs to the open
 * file, which others may share. One thread; deliberately no queue: an old line is worth less than memory.
 */
#include "route/log.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>

#define FIELDS_SIZE 1600
#define LINE_SIZE   1800 /* fields, time, level and event */
_Static_assert(2 * LINE_SIZE <= PIPE_BUF, "the count of lost lines and a line go out in one write");

static enum log_level most = LOG_LEVEL_INFO;
static uint64_t lost; /* lines since the last one that was written */

void log_set_level(enum log_level level)
{
    most = level;
}

const char *log_time_text(uint64_t realtime_ns, char buffer[static LOG_TIME_SIZE])
{
    time_t seconds = (time_t)(realtime_ns / NS_PER_S);
    struct tm tm;
    size_t length;

    gmtime_r(&seconds, &tm);
    length = strftime(buffer, LOG_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(buffer + length, LOG_TIME_SIZE - length, ".%03uZ",
             (unsigned)(realtime_ns % NS_PER_S / NS_PER_MS));
    return buffer;
}

const char *log_quote(const char *text, char buffer[static LOG_QUOTED_SIZE])
{
    size_t n = 0;

    buffer[n++] = '"';
    for (; *text && n < LOG_QUOTED_SIZE - 3; text++) {
        if (*text == '"' || *text == '\\')
            buffer[n++] = '\\';
        buffer[n++] = (unsigned char)*text < ' ' ? ' ' : *text;
    }
    buffer[n++] = '"';
    buffer[n] = '\0';
    return buffer;
}

static size_t print_line(char line[static LINE_SIZE], enum log_level level, const char *event,
                         const char *fields)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    char when[LOG_TIME_SIZE];
    int length = snprintf(line, LINE_SIZE, "time=%s level=%s event=%s%s%s\n",
                          log_time_text(clock_now_ns(CLOCK_REALTIME), when), names[level], event,
                          fields[0] ? " " : "", fields);

    if (length < LINE_SIZE)
        return (size_t)length;
    line[LINE_SIZE - 2] = '\n';
    return LINE_SIZE - 1;
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    char fields[FIELDS_SIZE], lines[2 * LINE_SIZE];
    size_t length = 0;
    va_list arguments;

    if (level > most)
        return;
    if (poll(&out, 1, 0) != 1 || !(out.revents & POLLOUT)) {
        lost++;
        return;
    }
    if (lost) {
        snprintf(fields, sizeof(fields), "count=%" PRIu64, lost);
        length = print_line(lines, LOG_LEVEL_WARN, "log-lines-lost", fields);
    }
    va_start(arguments, format);
    vsnprintf(fields, sizeof(fields), format, arguments);
    va_end(arguments);
    length += print_line(lines + length, level, event, fields);
    /* One write, so that lines of several processes do not mix. */
    if (write(STDERR_FILENO, lines, length) == (ssize_t)length)
        lost = 0;
    else
        lost++;
}
