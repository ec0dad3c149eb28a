/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small buffered writer for reports, and the quoting that JSON, CSV and OpenMetrics need.
 *
 * Why not stdio: a report of 65,000 lines is written in the time that printf() needs for its numbers alone,
 * and the error that counts (a full disk, a closed pipe) is kept with its errno until somebody asks. Nothing
 * is allocated.
 */
#pragma once

#include "probe/base.h"

struct report_writer {
    int fd;
    int error; /* the first one, a negative errno; everything after it is dropped */
    size_t used_bytes;
    char buffer[32768];
};

void report_writer_init(struct report_writer *writer, int fd);
/* Writes out what is buffered. Returns 0 or the first error of this writer, a negative errno. */
int report_writer_flush(struct report_writer *writer);

void report_write_bytes(struct report_writer *writer, const char *bytes, size_t size_bytes);
void report_write_text(struct report_writer *writer, const char *text);
void report_writef(struct report_writer *writer, const char *format, ...) PRINTF_LIKE(2, 3);
void report_write_u64(struct report_writer *writer, uint64_t number);
/* Nanoseconds as milliseconds with three decimals, rounded: 1234567 -> "1.235". */
void report_write_ms(struct report_writer *writer, uint64_t time_ns);
/* Nanoseconds as seconds with nine decimals: 1234567 -> "0.001234567". */
void report_write_seconds(struct report_writer *writer, uint64_t time_ns);
/*
 * A JSON string with its quotes (RFC 8259, section 7); a CSV field, quoted only when it has to be (RFC 4180,
 * section 2); what is between the quotes of an OpenMetrics label value. All are valid UTF-8, and what is not
 * plain is written as probe/text.h says.
 */
void report_write_json_string(struct report_writer *writer, const char *text);
void report_write_csv_field(struct report_writer *writer, const char *text);
void report_write_label_value(struct report_writer *writer, const char *text);
