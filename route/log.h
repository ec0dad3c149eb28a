/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: logfmt lines on standard error or in a file, one event each.
 *
 *     time=2026-01-31T12:00:00.123Z level=info event=switch to=10.10.85.16 reason=path-down
 */
#pragma once

#include "probe/base.h"
#include "route/log_file.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Lines above this level are not written; LOG_LEVEL_INFO at first. */
void log_set_level(enum log_level level);

/*
 * Says where the lines go: `fd`, standard error at first. When journal_stream, the value of $JOURNAL_STREAM
 * or NULL, names that descriptor (systemd.exec(5)), lines begin with their priority, "<4>", and have no time,
 * which the journal notes itself. A pipe or a terminal is opened once more, so that only we do not wait for
 * it.
 */
void log_open(int fd, const char *journal_stream);
void log_close(void); /* what log_open() and log_to_file() opened; lines go where they went at first */

/*
 * From now on lines go into files (log_file.h), which are opened anew; NULL or an empty path: to standard error again.
 * What keeps them from being written is told on standard error.
 */
void log_to_file(const struct log_file_settings *settings);
/* Tells what has become of the file since; to be called now and then. */
void log_look(void);
/* Do they go there? Then who starts the agent may not see them. */
bool log_is_in_file(void);

/* "<3>" where lines have priorities, else "": for a line that is written otherwise. */
const char *log_priority(enum log_level level);

/* How many lines were lost since the start. */
uint64_t log_lines_lost(void);

/*
 * Writes one line. `event` is a word; `format` gives the other fields as "key=%s other=%u". A field that may
 * hold blanks or quotes is written with %s of LOG_QUOTE(text), a word from outside (a name, a uuid) with
 * LOG_VALUE(text). Never waits: while nothing is taken
 * where they go, lines are lost, and "event=log-lines-lost count=N" says so before the next one that is written.
 */
void log_event(enum log_level level, const char *event, const char *format, ...) PRINTF_LIKE(3, 4);

#define LOG_QUOTED_SIZE 320
/* text as a quoted logfmt value, shortened to fit; returns buffer. */
const char *log_quote(const char *text, char buffer[static LOG_QUOTED_SIZE]);
#define LOG_QUOTE(text) log_quote((text), (char[LOG_QUOTED_SIZE]){0})

/* The same, but without quotes when it is one word of plain characters (probe/text.h). */
const char *log_value(const char *text, char buffer[static LOG_QUOTED_SIZE]);
#define LOG_VALUE(text) log_value((text), (char[LOG_QUOTED_SIZE]){0})

#define LOG_TIME_SIZE 32
/* CLOCK_REALTIME nanoseconds as "2026-01-31T12:00:00.123Z" (RFC 3339); returns buffer. */
const char *log_time_text(uint64_t realtime_ns, char buffer[static LOG_TIME_SIZE]);
/* The same for people, in local time: "2026-01-31 13:00:00.123". */
const char *log_time_local(uint64_t realtime_ns, char buffer[static LOG_TIME_SIZE]);
/* What log_time_text() wrote the other way round, for years from 1970 to 2199; 0 for anything else. */
uint64_t log_time_read(const char *text);
