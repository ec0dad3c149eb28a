/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what the thread that looks for a file promises the loop: an answer soon after each change, none by guess, a
 * report of a look that hangs while it does, and an end that waits for none.
 *
 * stat(2) is this program's own: it can be held up. So is pthread_create(3): it can fail.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "route/agent/presence.h"
#include "tests/route/no_threads.h"

#define NOW clock_now_ns(CLOCK_MONOTONIC)

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint looks, ended;
static atomic_int refusal; /* an errno */
static bool signals_blocked;
static char directory[] = "/tmp/reroute-presence-XXXXXX";
static char path[64];
static struct presence *presence;

int stat(const char *restrict name, struct stat *restrict st)
{
    sigset_t blocked;
    int error;

    atomic_fetch_add(&looks, 1);
    pthread_mutex_lock(&gate);
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    signals_blocked = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGHUP);
    atomic_fetch_add(&ended, 1); /* so who has the gate knows: a look that has not ended is held up */
    pthread_mutex_unlock(&gate);
    error = atomic_load(&refusal);
    if (!error)
        return fstatat(AT_FDCWD, name, st, 0);
    errno = error;
    return -1;
}

static void begin(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/observe-only", directory);
}

static void end(void)
{
    presence = presence_close(presence);
    unlink(path);
    cr_expect_eq(rmdir(directory), 0);
}

static struct presence_report report(uint64_t now_ns)
{
    struct presence_report report;

    presence_report(presence, now_ns, &report);
    return report;
}

/* Waits until that is reported, or 20 s. */
static bool becomes(bool known, bool there, int error)
{
    struct pollfd wake = {.fd = presence_fd(presence), .events = POLLIN};

    for (uint64_t until_ns = NOW + 20 * NS_PER_S; NOW < until_ns;) {
        struct presence_report found = report(NOW);

        if (found.known == known && found.there == there && found.error == error)
            return true;
        poll(&wake, 1, 2000);
    }
    return false;
}

/* Waits for a look that does not come back, or 20 s. */
static void wait_for_a_look(void)
{
    for (unsigned i = 0; i < 2000 && atomic_load(&looks) == atomic_load(&ended); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static void put(void)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    cr_assert_geq(fd, 0);
    close(fd);
}

TestSuite(presence, .init = begin, .fini = end, .timeout = 120);

Test(presence, there_and_gone)
{
    cr_assert_eq(presence_open(&presence, path), 0);
    cr_expect(becomes(true, false, 0));
    cr_expect(signals_blocked, "signals are the main thread's");
    put();
    cr_expect(becomes(true, true, 0));
    unlink(path);
    cr_expect(becomes(true, false, 0));
}

Test(presence, what_is_no_answer)
{
    static const struct {
        int refusal, error;
        bool there;
    } rows[] = {
        {0, 0, true}, {EACCES, -EACCES, true}, {EIO, -EIO, true}, {ENOTDIR, 0, false}, {ELOOP, -ELOOP, false},
        {0, 0, true}, {ENOENT, 0, false},
    };

    put();
    atomic_store(&refusal, EACCES);
    cr_assert_eq(presence_open(&presence, path), 0);
    cr_expect(becomes(false, false, -EACCES));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        atomic_store(&refusal, rows[i].refusal);
        cr_expect(becomes(true, rows[i].there, rows[i].error), "row %zu", i);
    }
}

Test(presence, a_look_that_hangs_is_reported_until_it_does_not)
{
    uint64_t began_ns = NOW;

    pthread_mutex_lock(&gate);
    cr_assert_eq(presence_open(&presence, path), 0);
    cr_expect_geq(presence_deadline_ns(presence, NOW), began_ns + PRESENCE_HANGS_NS);
    cr_expect_eq(report(began_ns + PRESENCE_HANGS_NS - 1).error, 0);
    wait_for_a_look();
    cr_expect_eq(report(NOW + PRESENCE_HANGS_NS).error, -ETIMEDOUT);
    cr_expect_not(report(NOW).known);
    cr_expect_eq(presence_deadline_ns(presence, NOW + PRESENCE_HANGS_NS), NEVER_NS);
    put();
    pthread_mutex_unlock(&gate);
    cr_expect(becomes(true, true, 0), "it comes back");
    pthread_mutex_lock(&gate);
    wait_for_a_look();
    cr_expect(report(NOW).there && report(NOW + PRESENCE_HANGS_NS).there, "the last answer stays");
    cr_expect_eq(report(NOW + PRESENCE_HANGS_NS).error, -ETIMEDOUT);
    pthread_mutex_unlock(&gate);
}

/* The reason is told until a look has answered: a thread alone knows nothing. */
Test(presence, without_a_thread_it_is_tried_again)
{
    uint64_t again_ns;

    put();
    pthread_mutex_lock(&gate);
    no_threads = true;
    cr_assert_eq(presence_open(&presence, path), 0);
    for (int times = 0; times < 3; times++) {
        again_ns = presence_deadline_ns(presence, 0);
        cr_expect_eq(report(again_ns).error, -EAGAIN);
        cr_expect_eq(presence_deadline_ns(presence, again_ns), again_ns + PRESENCE_LOOK_NS);
    }
    no_threads = false;
    again_ns = presence_deadline_ns(presence, 0);
    cr_expect_eq(report(again_ns - 1).error, -EAGAIN);
    cr_expect_eq(atomic_load(&looks), 0, "not before that");
    cr_expect_eq(report(again_ns).error, -EAGAIN);
    cr_expect_eq(presence_deadline_ns(presence, again_ns), again_ns + PRESENCE_HANGS_NS);
    cr_expect_eq(report(again_ns + PRESENCE_HANGS_NS).error, -ETIMEDOUT);
    pthread_mutex_unlock(&gate);
    cr_expect(becomes(true, true, 0));
}

Test(presence, the_loop_is_woken)
{
    struct pollfd wake;

    pthread_mutex_lock(&gate);
    cr_assert_eq(presence_open(&presence, path), 0);
    wake = (struct pollfd){.fd = presence_fd(presence), .events = POLLIN};
    wait_for_a_look();
    cr_expect_eq(poll(&wake, 1, 0), 0);
    pthread_mutex_unlock(&gate);
    cr_expect_eq(poll(&wake, 1, 20000), 1);
    cr_expect(report(NOW).known);
}

/* Neither the end nor another path waits for it. */
Test(presence, an_end_waits_for_no_look)
{
    pthread_mutex_lock(&gate);
    cr_assert_eq(presence_open(&presence, path), 0);
    wait_for_a_look();
    cr_assert_null(presence_close(presence));
    cr_assert_eq(presence_open(&presence, "/elsewhere"), 0);
    cr_assert_null(presence = presence_close(presence));
    pthread_mutex_unlock(&gate);
    for (unsigned i = 0; i < 2000 && atomic_load(&looks) != atomic_load(&ended); i++)
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    cr_expect_eq(atomic_load(&ended), atomic_load(&looks), "and those that hung end");
}
