/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report_writer.h"

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

void report_write_json_string(struct report_writer *writer, const char *text)
{
    report_write_bytes(writer, "\"", 1);
    for (const char *run = text;;) {
        size_t plain = 0;
        unsigned char c;

        while (run[plain] >= ' ' && run[plain] < 0x7f && run[plain] != '"' && run[plain] != '\\')
            plain++;
        report_write_bytes(writer, run, plain);
        c = (unsigned char)run[plain];
        if (c == '\0')
            break;
        if (c == '"' || c == '\\')
            report_writef(writer, "\\%c", c);
        else
            report_writef(writer, "\\u%04x", c > 0x7f ? 0xfffdu : c);
        run += plain + 1;
    }
    report_write_bytes(writer, "\"", 1);
}

void report_write_csv_field(struct report_writer *writer, const char *text)
{
    if (text[strcspn(text, "\",\r\n")] == '\0') {
        report_write_text(writer, text);
        return;
    }
    report_write_bytes(writer, "\"", 1);
    for (; *text; text++) {
        if (*text == '"')
            report_write_bytes(writer, "\"", 1);
        report_write_bytes(writer, text, 1);
    }
    report_write_bytes(writer, "\"", 1);
}

void report_write_label_value(struct report_writer *writer, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            report_write_text(writer, "\\n");
        else if (*text == '"' || *text == '\\')
            report_writef(writer, "\\%c", *text);
        else if ((unsigned char)*text > 0x7f)
            report_write_text(writer, "\xef\xbf\xbd");
        else
            report_write_bytes(writer, text, 1);
    }
}
