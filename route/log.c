/* SPDX-License-Identifier: Apache-2.0 */
#include "route/log.h"

#include <stdarg.h>

static enum log_level most = LOG_LEVEL_INFO;

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

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    char fields[1600], when[LOG_TIME_SIZE];
    va_list arguments;

    if (level > most)
        return;
    va_start(arguments, format);
    vsnprintf(fields, sizeof(fields), format, arguments);
    va_end(arguments);
    /* One write, so that lines of several processes do not mix. */
    fprintf(stderr, "time=%s level=%s event=%s%s%s\n", log_time_text(clock_now_ns(CLOCK_REALTIME), when),
            names[level], event, fields[0] ? " " : "", fields);
}
