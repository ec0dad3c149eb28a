/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: formatting, and one write(2) per line, which never waits.
 *
 * The reader of standard error may stall (a full pipe, a journal that is stuck, a terminal that was stopped);
 * the decisions must not stall with it. So a line for which there is no room is counted as lost; the count
 * goes out in front of the next line that can be written.
 *
 * O_NONBLOCK belongs to the open file, which others may share. So a pipe or a terminal is opened anew by its
 * name in /proc, and that one is ours; a socket is told with each message. Where that cannot be had (no
 * /proc, no right) it is asked whether there is room before each line: a pipe that polls writable takes
 * PIPE_BUF bytes without blocking, which no line exceeds. A plain file makes us wait only when its disk hangs, and is
 * not opened anew, for its position is shared.
 *
 * One thread; deliberately no queue here: an old line is worth less than memory. A file has a thread and a queue of
 * its own, log_file.h.
 */
#include "route/log.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "probe/text.h"
#include "route/own_file.h"

#define CLOSE_NS    (1 * NS_PER_S) /* in the end a file is waited for no longer */
#define FIELDS_SIZE 1600
#define LINE_SIZE   1800 /* fields, time, level and event */
_Static_assert(2 * LINE_SIZE + 1 <= PIPE_BUF, "the count of lost lines and a line go out in one write");

static enum log_level most = LOG_LEVEL_INFO;

static struct {
    int fd;
    bool own; /* opened by us */
    enum { WAYS_PLAIN, WAYS_SOCKET, WAYS_ASK } ways;
    bool priorities;
    bool torn;     /* the last line was cut off */
    uint64_t lost; /* lines since the last one that was written */
    uint64_t lost_ever;
    struct log_file *file;      /* instead; NULL: none */
    char path[256];             /* of it */
    struct log_file_state told; /* of it, on standard error */
} out = {.fd = STDERR_FILENO, .ways = WAYS_ASK};

/* --- where the lines go --- */

static bool is_journal(const struct stat *st, const char *journal_stream)
{
    unsigned long long device, inode;

    return journal_stream && sscanf(journal_stream, "%llu:%llu", &device, &inode) == 2 &&
           device == st->st_dev && inode == st->st_ino;
}

void log_close(void)
{
    out.file = log_file_free(out.file, CLOSE_NS);
    if (out.own)
        close(out.fd);
    out.fd = STDERR_FILENO;
    out.own = out.priorities = out.torn = false;
    out.ways = WAYS_ASK;
}

void log_open(int fd, const char *journal_stream)
{
    char path[32];
    struct stat st;
    int own;

    log_close();
    out.fd = fd;
    if (fstat(fd, &st) < 0)
        return;
    out.priorities = is_journal(&st, journal_stream);
    if (S_ISREG(st.st_mode))
        out.ways = WAYS_PLAIN;
    if (S_ISSOCK(st.st_mode))
        out.ways = WAYS_SOCKET;
    if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
        return;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own < 0)
        return;
    out.fd = own;
    out.own = true;
    out.ways = WAYS_PLAIN;
}

void log_to_file(const struct log_file_settings *settings)
{
    if (!settings || !settings->path[0]) {
        out.file = log_file_free(out.file, 0);
        out.told = (struct log_file_state){0};
        return;
    }
    snprintf(out.path, sizeof(out.path), "%s", settings->path);
    if (out.file) {
        log_file_configure(out.file, settings);
        return;
    }
    out.file = log_file_new(settings);
    out.told = (struct log_file_state){0};
}

bool log_is_in_file(void)
{
    return out.file;
}

/* As much as there is room for, without waiting. */
static ssize_t write_now(const char *text, size_t length)
{
    struct pollfd room = {.fd = out.fd, .events = POLLOUT};

    if (out.ways == WAYS_SOCKET)
        return send(out.fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (out.ways == WAYS_ASK && (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT)))
        return -1;
    return write(out.fd, text, length);
}

/* --- lines --- */

void log_set_level(enum log_level level)
{
    most = level;
}

/* What strftime(3) does not write: the milliseconds, and what stands behind them. */
static const char *end_time(uint64_t realtime_ns, const char *zone, char buffer[static LOG_TIME_SIZE],
                            size_t length)
{
    snprintf(buffer + length, LOG_TIME_SIZE - length, ".%03u%s",
             (unsigned)(realtime_ns % NS_PER_S / NS_PER_MS), zone);
    return buffer;
}

const char *log_time_text(uint64_t realtime_ns, char buffer[static LOG_TIME_SIZE])
{
    time_t seconds = (time_t)(realtime_ns / NS_PER_S);
    struct tm tm;

    return end_time(realtime_ns, "Z", buffer,
                    strftime(buffer, LOG_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm)));
}

const char *log_time_local(uint64_t realtime_ns, char buffer[static LOG_TIME_SIZE])
{
    time_t seconds = (time_t)(realtime_ns / NS_PER_S);
    struct tm tm;

    return end_time(realtime_ns, "", buffer,
                    strftime(buffer, LOG_TIME_SIZE, "%Y-%m-%d %H:%M:%S", localtime_r(&seconds, &tm)));
}

/* The digits where the form has them, as a number. */
static int digits(const char *text, int count)
{
    int number = 0;

    for (int i = 0; i < count; i++)
        number = 10 * number + (text[i] - '0');
    return number;
}

uint64_t log_time_read(const char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    struct tm tm;

    for (size_t i = 0; i < sizeof(form); i++)
        if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return 0;
    tm = (struct tm){.tm_year = digits(text, 4) - 1900,
                     .tm_mon = digits(text + 5, 2) - 1,
                     .tm_mday = digits(text + 8, 2),
                     .tm_hour = digits(text + 11, 2),
                     .tm_min = digits(text + 14, 2),
                     .tm_sec = digits(text + 17, 2)};
    if (tm.tm_year < 70 || tm.tm_year >= 300)
        return 0;
    return (uint64_t)timegm(&tm) * NS_PER_S + (uint64_t)digits(text + 20, 3) * NS_PER_MS;
}

const char *log_quote(const char *text, char buffer[static LOG_QUOTED_SIZE])
{
    return text_quote(text, buffer, LOG_QUOTED_SIZE);
}

const char *log_value(const char *text, char buffer[static LOG_QUOTED_SIZE])
{
    size_t length = strcspn(text, " =\"\\");

    if (length > 0 && length < LOG_QUOTED_SIZE && text_plain_bytes(text) == length && !text[length])
        return strcpy(buffer, text);
    return log_quote(text, buffer);
}

const char *log_priority(enum log_level level)
{
    static const char *const texts[] = {"<3>", "<4>", "<6>", "<7>"}; /* syslog(3) */

    return out.priorities ? texts[level] : "";
}

uint64_t log_lines_lost(void)
{
    return out.lost_ever;
}

static size_t print_line(char line[static LINE_SIZE], bool priorities, enum log_level level,
                         const char *event, const char *fields)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    char when[LOG_TIME_SIZE] = "";
    int length;

    if (!priorities)
        log_time_text(clock_now_ns(CLOCK_REALTIME), when);
    length = snprintf(line, LINE_SIZE, "%s%s%s%slevel=%s event=%s%s%s\n",
                      priorities ? log_priority(level) : "", when[0] ? "time=" : "", when, when[0] ? " " : "",
                      names[level], event, fields[0] ? " " : "", fields);
    if (length < LINE_SIZE)
        return (size_t)length;
    line[LINE_SIZE - 2] = '\n';
    return LINE_SIZE - 1;
}

/* One write, so that lines of several processes do not mix. */
static bool put_on_error(const char *lines, size_t length)
{
    ssize_t written = write_now(lines, length);

    if (written > 0)
        out.torn = lines[written - 1] != '\n';
    return written == (ssize_t)length;
}

static void put(const char *lines, size_t length)
{
    if (out.file ? log_file_put(out.file, lines, length) : put_on_error(lines, length)) {
        out.lost = 0;
    } else {
        out.lost++;
        out.lost_ever++;
    }
}

/* What has become of the file, for who looks after the agent: it cannot stand in the file. */
void log_look(void)
{
    struct log_file_state now = {0};
    char fields[FIELDS_SIZE], line[LINE_SIZE];

    if (out.file)
        now = log_file_state(out.file);
    if (now.error && now.error != out.told.error) {
        snprintf(fields, sizeof(fields), "file=%s error=%s", LOG_VALUE(out.path),
                 LOG_QUOTE(own_error_text(now.error)));
        put_on_error(line, print_line(line, out.priorities, LOG_LEVEL_ERROR, "log-not-written", fields));
    }
    if (out.told.error && !now.error) {
        snprintf(fields, sizeof(fields), "file=%s", LOG_VALUE(out.path));
        put_on_error(line, print_line(line, out.priorities, LOG_LEVEL_INFO, "log-written-again", fields));
    }
    if (now.link_error && now.link_error != out.told.link_error) {
        snprintf(fields, sizeof(fields), "error=%s", LOG_QUOTE(own_error_text(now.link_error)));
        put_on_error(line, print_line(line, out.priorities, LOG_LEVEL_WARN, "log-not-linked", fields));
    }
    out.told = now;
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    char fields[FIELDS_SIZE], clean[FIELDS_SIZE], lines[1 + 2 * LINE_SIZE];
    bool priorities = out.priorities && !out.file;
    size_t length = 0;
    va_list arguments;

    if (level > most)
        return;
    if (out.torn && !out.file)
        lines[length++] = '\n';
    if (out.lost) {
        snprintf(fields, sizeof(fields), "count=%" PRIu64, out.lost);
        length += print_line(lines + length, priorities, LOG_LEVEL_WARN, "log-lines-lost", fields);
    }
    va_start(arguments, format);
    vsnprintf(fields, sizeof(fields), format, arguments);
    va_end(arguments);
    length += print_line(lines + length, priorities, level, event, text_clean(fields, clean, sizeof(clean)));
    put(lines, length);
}
