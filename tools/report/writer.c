/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report/writer.h"

#include "probe/text.h"

#include <poll.h>
#include <stdarg.h>

void report_writer_init(struct report_writer *writer, int fd)
{
    writer->fd = fd;
    writer->error = 0;
    writer->used_bytes = 0;
}

int report_writer_flush(struct report_writer *writer)
{
    size_t done = 0;

    while (writer->error == 0 && done < writer->used_bytes) {
        ssize_t n = write(writer->fd, writer->buffer + done, writer->used_bytes - done);

        if (n >= 0)
            done += (size_t)n;
        else if (errno == EAGAIN) /* somebody made the pipe non-blocking: wait for its reader all the same */
            poll(&(struct pollfd){.fd = writer->fd, .events = POLLOUT}, 1, -1);
        else if (errno != EINTR)
            writer->error = -errno;
    }
    writer->used_bytes = 0;
    return writer->error;
}

void report_write_bytes(struct report_writer *writer, const char *bytes, size_t size_bytes)
{
    while (size_bytes > 0 && writer->error == 0) {
        size_t part = sizeof(writer->buffer) - writer->used_bytes;

        if (part > size_bytes)
            part = size_bytes;
        memcpy(writer->buffer + writer->used_bytes, bytes, part);
        writer->used_bytes += part;
        bytes += part;
        size_bytes -= part;
        if (writer->used_bytes == sizeof(writer->buffer))
            report_writer_flush(writer);
    }
}

void report_write_text(struct report_writer *writer, const char *text)
{
    report_write_bytes(writer, text, strlen(text));
}

void report_writef(struct report_writer *writer, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (length > 0)
        report_write_bytes(writer, line, (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
}

void report_write_u64(struct report_writer *writer, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    report_write_bytes(writer, digits + at, sizeof(digits) - at);
}

void report_write_ms(struct report_writer *writer, uint64_t time_ns)
{
    uint64_t us = time_ns / NS_PER_US + (time_ns % NS_PER_US >= NS_PER_US / 2);
    uint64_t rest = us % 1000;
    char decimals[] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10), (char)('0' + rest % 10)};

    report_write_u64(writer, us / 1000);
    report_write_bytes(writer, decimals, sizeof(decimals));
}

void report_write_seconds(struct report_writer *writer, uint64_t time_ns)
{
    char decimals[10] = ".";

    for (uint64_t rest = time_ns % NS_PER_S, i = 9; i > 0; rest /= 10, i--)
        decimals[i] = (char)('0' + rest % 10);
    report_write_u64(writer, time_ns / NS_PER_S);
    report_write_bytes(writer, decimals, sizeof(decimals));
}

typedef size_t escape_function(const char *text, char out[static TEXT_ESCAPE_SIZE]);

/*
 * Writes text up to the first of these ASCII characters, what is not plain (probe/text.h) escaped. Returns
 * where it stopped: there, or at the end.
 */
static const char *write_until(struct report_writer *writer, const char *text, const char *stops,
                               escape_function *escape)
{
    while (*text && !strchr(stops, *text)) {
        char escaped[TEXT_ESCAPE_SIZE];
        size_t bytes = 0;

        while (text[bytes] >= ' ' && text[bytes] < 0x7f && !strchr(stops, text[bytes]))
            bytes++;
        if (bytes == 0 && text_plain_bytes(text) > 0)
            for (bytes = 1; ((unsigned char)text[bytes] & 0xc0) == 0x80; bytes++) {
                /* the rest of a character */
            }
        report_write_bytes(writer, text, bytes);
        if (bytes == 0) {
            bytes = escape(text, escaped);
            report_write_text(writer, escaped);
        }
        text += bytes;
    }
    return text;
}

void report_write_json_string(struct report_writer *writer, const char *text)
{
    report_write_bytes(writer, "\"", 1);
    while (*(text = write_until(writer, text, "\"\\", text_escape_json))) {
        report_write_bytes(writer, "\\", 1);
        report_write_bytes(writer, text++, 1);
    }
    report_write_bytes(writer, "\"", 1);
}

void report_write_csv_field(struct report_writer *writer, const char *text)
{
    const char *quote = text[strcspn(text, "\",")] ? "\"" : "";

    report_write_text(writer, quote);
    while (*(text = write_until(writer, text, "\"", text_escape))) {
        report_write_text(writer, "\"\"");
        text++;
    }
    report_write_text(writer, quote);
}

/* A backslash of an escape is one of the text here. */
static size_t escape_in_label(const char *text, char out[static TEXT_ESCAPE_SIZE])
{
    char escaped[TEXT_ESCAPE_SIZE];

    text_escape(text, escaped);
    snprintf(out, TEXT_ESCAPE_SIZE, "\\%.4s", escaped);
    return 1;
}

void report_write_label_value(struct report_writer *writer, const char *text)
{
    while (*(text = write_until(writer, text, "\"\\", escape_in_label))) {
        report_write_bytes(writer, "\\", 1);
        report_write_bytes(writer, text++, 1);
    }
}
