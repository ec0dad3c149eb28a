/* SPDX-License-Identifier: Apache-2.0 */
/* The log never waits, whatever standard error is; what it loses it counts and says. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <termios.h>

#include "route/log.h"

enum { PIPE, STREAM, TERMINAL, KINDS };
static const char *const kinds[] = {"a pipe", "a socket", "a terminal"};

/* Two ends, both of which wait; a test that waits is ended by the alarm. */
static void make(int kind, int *reading, int *writing)
{
    int both[2];

    alarm(20);
    if (kind == TERMINAL) {
        struct termios raw;

        both[0] = posix_openpt(O_RDWR | O_NOCTTY);
        cr_assert(both[0] >= 0 && grantpt(both[0]) == 0 && unlockpt(both[0]) == 0);
        both[1] = open(ptsname(both[0]), O_RDWR | O_NOCTTY);
        cr_assert(both[1] >= 0);
        tcgetattr(both[1], &raw);
        cfmakeraw(&raw);
        tcsetattr(both[1], TCSANOW, &raw);
    } else {
        cr_assert_eq(kind == PIPE ? pipe(both) : socketpair(AF_UNIX, SOCK_STREAM, 0, both), 0);
    }
    *reading = both[0];
    *writing = both[1];
}

static void end(int reading, int writing)
{
    log_close();
    close(reading);
    close(writing);
}

static char came[1 << 20]; /* what was read since it was emptied, terminated */

/* Waits so long for something to read; -1: until the alarm. False: nothing came. */
static bool read_more(int reading, int wait_ms)
{
    struct pollfd some = {.fd = reading, .events = POLLIN};
    size_t length = strlen(came), room = min_u64(sizeof(came) - 1 - length, 4096);
    ssize_t n = poll(&some, 1, wait_ms) == 1 && room > 0 ? read(reading, came + length, room) : 0;

    came[length + (size_t)(n > 0 ? n : 0)] = '\0';
    return n > 0;
}

/* All that has come. Not for a terminal: it hands on what was written a moment later. */
static const char *take(int reading)
{
    came[0] = '\0';
    while (read_more(reading, 50))
        ;
    return came;
}

/* All that comes up to this. */
static const char *take_until(int reading, const char *last)
{
    came[0] = '\0';
    while (!strstr(came, last))
        read_more(reading, -1);
    return came;
}

/* Lines until one is lost; how many were written. */
static unsigned fill(void)
{
    uint64_t lost = log_lines_lost();
    unsigned written = 0;

    for (; log_lines_lost() == lost && written < 100000; written++)
        log_event(LOG_LEVEL_INFO, "fill", "number=%u with=\"%0150d\"", written, 7);
    return written - 1;
}

/* Reads, into came, until there is room for a line again and this one has come. Its text is in `line`. */
static void read_until_there_is_room(int reading, char *line, size_t size_bytes)
{
    uint64_t lost;

    came[0] = '\0';
    for (unsigned tries = 1;; tries++) {
        while (read_more(reading, 10))
            ;
        lost = log_lines_lost();
        log_event(LOG_LEVEL_INFO, "again", "tries=%u", tries);
        snprintf(line, size_bytes, "event=again tries=%u\n", tries);
        if (log_lines_lost() == lost)
            break;
    }
    while (!strstr(came, line))
        read_more(reading, -1);
}

/* How many lost lines the log speaks of in what came. */
static uint64_t told(void)
{
    static const char line[] = "event=log-lines-lost count=";
    uint64_t sum = 0;

    for (const char *at = strstr(came, line); at; at = strstr(at + 1, line))
        sum += strtoull(at + strlen(line), NULL, 10);
    return sum;
}

Test(log, who_does_not_read_costs_lines_not_time)
{
    for (int kind = 0; kind < KINDS; kind++) {
        uint64_t before = log_lines_lost(), count;
        int reading, writing;
        char line[64];

        make(kind, &reading, &writing);
        log_open(writing, NULL);
        cr_expect_gt(fill(), 3, "%s", kinds[kind]);
        cr_expect_eq(fcntl(writing, F_GETFL) & O_NONBLOCK, 0, "%s: others still wait", kinds[kind]);
        count = log_lines_lost();
        for (int i = 0; i < 1000; i++) /* a terminal makes some room meanwhile */
            log_event(LOG_LEVEL_INFO, "more", "number=%d with=\"%0150d\"", i, 7);
        cr_expect_geq(log_lines_lost(), count + 100, "%s", kinds[kind]);
        read_until_there_is_room(reading, line, sizeof(line));
        /* What was said in a line that was cut off is said again. */
        cr_expect_geq(told(), log_lines_lost() - before, "%s: %s", kinds[kind], came);
        log_event(LOG_LEVEL_INFO, "once", "x=1");
        cr_expect_null(strstr(take_until(reading, "event=once x=1\n"), "lost"), "%s: said once", kinds[kind]);
        end(reading, writing);
    }
}

Test(log, a_stopped_terminal)
{
    int reading, writing;

    make(TERMINAL, &reading, &writing);
    log_open(writing, NULL);
    cr_assert_eq(tcflow(writing, TCOOFF), 0); /* as Ctrl-S does */
    log_event(LOG_LEVEL_INFO, "unseen", "x=1");
    log_event(LOG_LEVEL_INFO, "unseen", "x=2");
    cr_assert_eq(tcflow(writing, TCOON), 0);
    log_event(LOG_LEVEL_INFO, "seen", "x=3");
    cr_expect(strstr(take_until(reading, "event=seen x=3\n"), "event=log-lines-lost count=2\n"));
    end(reading, writing);
}

/* The other end is gone: lines are lost, and the process lives. */
Test(log, nobody_reads)
{
    for (int kind = 0; kind < TERMINAL; kind++) {
        uint64_t lost = log_lines_lost();
        int reading, writing;

        signal(SIGPIPE, SIG_IGN);
        make(kind, &reading, &writing);
        log_open(writing, NULL);
        close(reading);
        log_event(LOG_LEVEL_INFO, "unseen", "x=1");
        cr_expect_eq(log_lines_lost(), lost + 1, "%s", kinds[kind]);
        log_close();
        close(writing);
    }
}

/* $JOURNAL_STREAM: priorities and no time when it names this descriptor, nothing of it when it names another.
 */
Test(log, the_journal)
{
    static const struct {
        enum log_level level;
        const char *line;
    } rows[] = {
        {LOG_LEVEL_ERROR, "<3>level=error event=e x=1\n"},
        {LOG_LEVEL_WARN, "<4>level=warn event=e x=1\n"},
        {LOG_LEVEL_INFO, "<6>level=info event=e x=1\n"},
    };
    static const char *const others[] = {"1:2", "", "x", "7", "18446744073709551615:1"};
    int reading, writing;
    char stream[64];
    struct stat st;

    make(STREAM, &reading, &writing);
    fstat(writing, &st);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    log_open(writing, stream);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        log_event(rows[i].level, "e", "x=1");
        cr_expect_str_eq(take(reading), rows[i].line);
    }
    cr_expect_str_eq(log_priority(LOG_LEVEL_ERROR), "<3>");
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        log_open(writing, others[i]);
        log_event(LOG_LEVEL_WARN, "e", "x=1");
        cr_expect_eq(strncmp(take(reading), "time=", 5), 0, "%s", others[i]);
        cr_expect_str_eq(log_priority(LOG_LEVEL_ERROR), "");
    }
    end(reading, writing);
}

/* Standard error says what has become of the file, until there is none any more. */
Test(log, a_file_that_cannot_be_written)
{
    char place[] = "/tmp/reroute-log-XXXXXX", path[64];
    int reading, writing;

    cr_assert(mkdtemp(place));
    snprintf(path, sizeof(path), "%s/is-no-directory", place);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    snprintf(path, sizeof(path), "%s/is-no-directory/a.log", place);
    make(PIPE, &reading, &writing);
    log_open(writing, NULL);
    for (int again = 0; again < 2; again++) {
        const char *told = "";

        log_to_file(&(struct log_file_settings){.path = path, .link = "", .size_bytes = 1 << 20, .keep = 1});
        log_event(LOG_LEVEL_INFO, "e", "x=1");
        while (!*told) {
            log_look();
            told = take(reading);
        }
        cr_expect(strstr(told, "level=error event=log-not-written file=") && strstr(told, " error="), "%s",
                  told);
        if (again)
            unlink(dirname(strdupa(path)));
        else
            log_to_file(NULL);
        log_look();
        for (told = take(reading); again && !*told; told = take(reading))
            log_look();
        cr_expect_eq(strstr(told, "event=log-written-again file=") != NULL, again, "%s", told);
        cr_expect_null(strstr(told, "error="), "%s", told);
    }
    end(reading, writing);
    unlink(path);
    rmdir(dirname(path));
    rmdir(place);
}
