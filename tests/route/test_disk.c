/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what the thread that writes promises the loop: order, the newest text of a file, a bounded queue, an answer
 * for each failure and for a disk that hangs, and an end that waits no longer than it is told.
 *
 * writev(2) and renameat(2), the last step of a line and of a file, are this program's own: they can be held up. So is
 * pthread_create(3): it can fail.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "route/agent/disk.h"
#include "route/own_file.h"
#include "tests/route/no_threads.h"

#define NOW      clock_now_ns(CLOCK_MONOTONIC)
#define LONG_NS  (20 * NS_PER_S)
#define SHORT_NS (20 * NS_PER_MS)

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static unsigned renames;
static bool signals_blocked;
static char directory[] = "/tmp/reroute-disk-XXXXXX";
static char path[64];
static struct disk *disk;

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    sigset_t blocked;

    pthread_mutex_lock(&gate);
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    signals_blocked = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGHUP);
    pthread_mutex_unlock(&gate);
    return syscall(SYS_writev, fd, parts, count);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    pthread_mutex_lock(&gate);
    renames++;
    pthread_mutex_unlock(&gate);
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

static void begin(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/" JOURNAL_FILE, directory);
    cr_assert_eq(disk_open(&disk, directory), 0);
}

static void end(void)
{
    disk = disk_close(disk);
    own_file_remove(directory, JOURNAL_FILE);
    own_file_remove(directory, JOURNAL_FILE ".1");
    own_file_remove(directory, "state.json");
    own_file_remove(directory, "sessions.json");
    cr_expect_eq(rmdir(directory), 0);
}

static int line(const char *text, enum journal_line kind)
{
    struct journal_sink sink = disk_journal(disk);

    return sink.append(sink.context, text, kind);
}

static uint64_t size_bytes(void)
{
    struct journal_sink sink = disk_journal(disk);

    return sink.size_bytes(sink.context);
}

static struct disk_report report(uint64_t now_ns)
{
    struct disk_report report;

    disk_report(disk, now_ns, &report);
    return report;
}

static void holds(const char *name, const char *text)
{
    CLEANUP(free) char *found = NULL;
    size_t length;

    cr_assert_eq(own_file_read(&found, &length, directory, name, 4 << 20), 0, "%s", name);
    cr_expect_str_eq(found, text);
}

TestSuite(disk, .init = begin, .fini = end, .timeout = 60);

Test(disk, lines_are_written_in_order_and_files_as_they_were_last)
{
    char text[16], all[4096] = "";

    for (unsigned i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "line %u", i);
        cr_assert_eq(line(text, i ? JOURNAL_NEWS : JOURNAL_SNAPSHOT), 0);
        disk_replace(disk, KEPT_STATE, text);
        disk_replace(disk, KEPT_LIST, text + 5);
        strcat(strcat(all, text), "\n");
    }
    cr_expect_eq(size_bytes(), strlen(all));
    disk_drain(disk, LONG_NS);
    holds(JOURNAL_FILE, all);
    holds("state.json", "line 99");
    holds("sessions.json", "99");
    cr_expect(signals_blocked, "signals are the main thread's");
    cr_expect_eq(report(NEVER_NS).error[KEPT_JOURNAL], 0);
}

Test(disk, a_new_file_begins_with_its_head)
{
    cr_assert_eq(line("one", JOURNAL_SNAPSHOT) | line("two", JOURNAL_HEAD) | line("three", JOURNAL_NEWS), 0);
    cr_expect_eq(size_bytes(), strlen("two\nthree\n"));
    disk_drain(disk, LONG_NS);
    holds(JOURNAL_FILE, "two\nthree\n");
    holds(JOURNAL_FILE ".1", "one\n");
    cr_expect_eq(size_bytes(), strlen("two\nthree\n"));
}

Test(disk, the_newest_takes_the_place_of_one_that_waits)
{
    uint64_t waits_ns;

    pthread_mutex_lock(&gate);
    cr_assert_eq(line("x", JOURNAL_SNAPSHOT), 0);
    disk_drain(disk, SHORT_NS);
    disk_replace(disk, KEPT_STATE, "old");
    disk_replace(disk, KEPT_LIST, "list");
    waits_ns = NOW;
    disk_drain(disk, SHORT_NS);
    disk_replace(disk, KEPT_STATE, "newer");
    disk_replace(disk, KEPT_LIST, "newer list");
    disk_replace(disk, KEPT_STATE, "newest");
    cr_assert_eq(line("y", JOURNAL_NEWS), 0);
    cr_expect_eq(report(waits_ns + DISK_PATIENCE_NS).error[KEPT_STATE], -ETIMEDOUT,
                 "the file waits since the first");
    pthread_mutex_unlock(&gate);
    disk_drain(disk, LONG_NS);
    holds("state.json", "newest");
    holds("sessions.json", "newer list");
    holds(JOURNAL_FILE, "x\ny\n");
    cr_expect_eq(renames, 2, "%u", renames);
}

Test(disk, without_a_thread_it_is_tried_again)
{
    disk = disk_close(disk);
    no_threads = true;
    cr_assert_eq(disk_open(&disk, directory), 0);
    disk_replace(disk, KEPT_STATE, "lost");
    cr_expect_eq(report(NOW).error[KEPT_STATE], -EAGAIN);
    cr_expect_eq(line("lost", JOURNAL_SNAPSHOT), -EAGAIN);
    no_threads = false;
    cr_expect_eq(line("kept", JOURNAL_SNAPSHOT), 0);
    disk_replace(disk, KEPT_STATE, "kept");
    disk_drain(disk, LONG_NS);
    holds(JOURNAL_FILE, "kept\n");
    holds("state.json", "kept");
    cr_expect_eq(report(NOW).error[KEPT_STATE], 0);
}

Test(disk, the_queue_is_bounded)
{
    static char long_line[64 << 10];
    unsigned taken = 0;

    memset(long_line, 'x', sizeof(long_line) - 1);
    pthread_mutex_lock(&gate);
    cr_assert_eq(line("x", JOURNAL_SNAPSHOT), 0);
    disk_drain(disk, SHORT_NS);
    while (taken < 100 && line(long_line, JOURNAL_NEWS) == 0)
        taken++;
    cr_expect(taken > 10 && taken * strlen(long_line) <= DISK_QUEUE_BYTES, "%u", taken);
    cr_expect_eq(line(long_line, JOURNAL_SNAPSHOT), -ETIMEDOUT);
    cr_expect_eq(report(NOW).error[KEPT_JOURNAL], -ETIMEDOUT);
    disk_replace(disk, KEPT_STATE, "state");
    pthread_mutex_unlock(&gate);
    disk_drain(disk, LONG_NS);
    holds("state.json", "state");
    cr_expect_eq(report(NOW).error[KEPT_JOURNAL], 0);
    cr_expect_eq(size_bytes(), strlen("x\n") + taken * sizeof(long_line));
    cr_expect_eq(line("y", JOURNAL_SNAPSHOT), 0);
}

Test(disk, what_cannot_be_written_is_reported)
{
    struct disk_report told;

    cr_assert_eq(symlink("/dev/full", path), 0);
    cr_assert_eq(line("a", JOURNAL_SNAPSHOT) | line("b", JOURNAL_NEWS), 0);
    disk_replace(disk, KEPT_STATE, NULL);
    disk_drain(disk, LONG_NS);
    told = report(NOW);
    cr_expect_eq(told.error[KEPT_JOURNAL], -ELOOP);
    cr_expect_eq(told.lines_lost, 2);
    cr_expect_eq(told.error[KEPT_STATE], -ENOMEM);
    cr_expect_eq(told.error[KEPT_LIST], 0);
    unlink(path);
    cr_assert_eq(line("c", JOURNAL_NEWS), 0);
    disk_drain(disk, LONG_NS);
    told = report(NOW);
    cr_expect_eq(told.lines_lost, 1, "it has nothing to follow");
    cr_expect_eq(told.error[KEPT_JOURNAL], -ELOOP);
    cr_assert_eq(line("d", JOURNAL_SNAPSHOT) | line("e", JOURNAL_NEWS), 0);
    disk_replace(disk, KEPT_STATE, "state");
    disk_drain(disk, LONG_NS);
    told = report(NOW);
    cr_expect(!told.error[KEPT_JOURNAL] && !told.error[KEPT_STATE] && !told.lines_lost);
    holds(JOURNAL_FILE, "d\ne\n");
}

Test(disk, that_it_hangs_is_reported_until_it_does_not)
{
    struct pollfd wake = {.fd = disk_fd(disk), .events = POLLIN};
    uint64_t before_ns = NOW;
    struct disk_report told;

    cr_expect_eq(disk_deadline_ns(disk, NOW), NEVER_NS);
    pthread_mutex_lock(&gate);
    disk_replace(disk, KEPT_STATE, "state");
    cr_assert_eq(line("x", JOURNAL_SNAPSHOT), 0);
    disk_drain(disk, SHORT_NS);
    cr_expect_lt(NOW - before_ns, LONG_NS, "it waits no longer than it is told");
    cr_expect_geq(disk_deadline_ns(disk, NOW), before_ns + DISK_PATIENCE_NS);
    told = report(before_ns + DISK_PATIENCE_NS - 1);
    cr_expect(!told.error[KEPT_STATE] && !told.error[KEPT_JOURNAL]);
    disk_replace(disk, KEPT_STATE, "later");
    told = report(NOW + DISK_PATIENCE_NS);
    cr_expect(told.error[KEPT_STATE] == -ETIMEDOUT && told.error[KEPT_JOURNAL] == -ETIMEDOUT);
    cr_expect_eq(told.error[KEPT_LIST], 0);
    cr_expect_eq(disk_deadline_ns(disk, NOW + DISK_PATIENCE_NS), NEVER_NS);
    cr_expect_eq(poll(&wake, 1, 0), 0);
    pthread_mutex_unlock(&gate);
    cr_expect_eq(poll(&wake, 1, 20000), 1, "the loop is woken");
    disk_drain(disk, LONG_NS);
    told = report(NEVER_NS);
    cr_expect(!told.error[KEPT_STATE] && !told.error[KEPT_JOURNAL]);
    holds("state.json", "later");
}

Test(disk, an_end_does_not_wait_for_it)
{
    pthread_mutex_lock(&gate);
    disk_replace(disk, KEPT_STATE, "state");
    disk = disk_close(disk);
    pthread_mutex_unlock(&gate);
    for (unsigned i = 0; i < 2000 && access(path, F_OK) != 0; i++) {
        const struct timespec moment = {.tv_nsec = 10000000};

        snprintf(path, sizeof(path), "%s/state.json", directory);
        nanosleep(&moment, NULL);
    }
    holds("state.json", "state");
}
