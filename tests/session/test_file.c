/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves that the file provider answers with the file's list, follows every way in which files are changed
 * (replaced by rename, written in place, removed and made again, the directory made later), says nothing
 * while the file holds no list, and lets nobody wait for a disk that hangs.
 *
 * open(2) is this program's own: it can be held up, and is counted.
 */
#include "tests/lib/forbid.h"
#include "tests/lib/netns.h"
#include "tests/session/client.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/stat.h>

#define DIRECTORY "/tmp/directory"
#define OTHER     DIRECTORY ".new"
#define PATH      DIRECTORY "/sessions.json"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned openings; /* of PATH, those that are held up too */

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list rest;

    va_start(rest, flags);
    if (flags & O_CREAT)
        mode = va_arg(rest, mode_t);
    va_end(rest);
    openings += strcmp(path, PATH) == 0;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static struct client client;

static void provide(void)
{
    struct session_provider_settings settings = {.kind = "file", .file = PATH};

    client_provider(&client, &settings);
}

static void begin(void)
{
    client_open(&client);
    cr_assert_eq(mkdir(DIRECTORY, 0700), 0);
    provide();
}

static void end(void)
{
    client_close(&client);
}

TestSuite(file, .init = begin, .fini = end);

static void text_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0, "%s", path);
}

/*
 * The slow look comes every 2 s and would find all of this by itself: that inotify works is seen by how many
 * changes are noticed in the time of a few looks.
 */
#define LOOKS(n) ((n)*2 * NS_PER_S)

/* The right way to write a file that others read. */
static void text_replace(const char *path, const char *text)
{
    char other[96];

    snprintf(other, sizeof(other), "%s.new", path);
    text_write(other, text);
    cr_assert_eq(rename(other, path), 0);
}

static void list_replace(const char *path, const char *uuid)
{
    char text[128];

    snprintf(text, sizeof(text), "[{\"uuid\":\"%s\",\"ip\":\"10.0.0.1\"}]", uuid);
    text_replace(path, text);
}

/* Asks, and waits for the answer. */
static void ask(void)
{
    unsigned answers = client.answers;

    cr_assert_eq(session_provider_list(client.provider, NULL, 0, client_answered, &client), 0);
    cr_expect_eq(client.answers, answers, "answered from inside the call");
    client_wait(&client, answers + 1);
}

/* Waits until there are so many answers in all; the last one has the list. */
static void wait_list(unsigned answers, const char *uuid)
{
    client_wait(&client, answers);
    cr_expect_str_eq(client.uuid, uuid);
}

/* A change may be told twice, when it is read before it is known to inotify. */
static void replace_and_wait(const char *uuid)
{
    list_replace(PATH, uuid);
    for (int i = 0; strcmp(client.uuid, uuid) != 0 && i < 4000; i++)
        client_idle(&client, 5 * NS_PER_MS);
    cr_expect_str_eq(client.uuid, uuid);
}

Test(file, answers_and_follows_replacement)
{
    uint64_t start_ns;

    list_replace(PATH, "a");
    client_idle(&client, 50 * NS_PER_MS);
    cr_expect_eq(client.answers, 0, "nobody has asked yet");
    ask();
    cr_expect_eq(client.error, 0, "%s", client.message);
    cr_expect_str_eq(client.uuid, "a");
    cr_expect_eq(client.origin.access, UINT32_MAX);
    start_ns = clock_now_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < 20; i++) {
        char uuid[8];

        snprintf(uuid, sizeof(uuid), "b%u", i);
        replace_and_wait(uuid);
    }
    cr_expect_lt(clock_now_ns(CLOCK_MONOTONIC) - start_ns, LOOKS(10));
}

Test(file, half_written_says_nothing_and_goes_on_listening)
{
    static const char whole[] = "{\"data\":[{\"uuid\":\"b\",\"ip\":\"10.0.0.1\"}]}";
    int fd;

    list_replace(PATH, "a");
    ask();
    /* Written in place, in two pieces. */
    fd = open(PATH, O_WRONLY | O_TRUNC | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, whole, 20), 20);
    client_idle(&client, 50 * NS_PER_MS);
    cr_expect_eq(client.answers, 1);
    cr_assert_eq(write(fd, whole + 20, sizeof(whole) - 21), sizeof(whole) - 21);
    close(fd);
    wait_list(2, "b");
    text_write(PATH, "{\"data\":[{\"uu");
    client_idle(&client, 100 * NS_PER_MS);
    cr_expect_eq(client.answers, 2);
    ask(); /* who asks is told */
    cr_expect_eq(client.error, -EBADMSG, "%s", client.message);
    cr_expect(strstr(client.message, PATH), "%s", client.message);
    list_replace(PATH, "c");
    wait_list(4, "c");
}

Test(file, removed_and_made_again)
{
    ask();
    cr_expect_eq(client.error, -ENOENT, "%s", client.message);
    list_replace(PATH, "a");
    wait_list(2, "a");
    unlink(PATH);
    client_idle(&client, 50 * NS_PER_MS);
    cr_expect_eq(client.answers, 2);
    list_replace(PATH, "b");
    wait_list(3, "b");
}

static void expect_followed(void)
{
    uint64_t start_ns = clock_now_ns(CLOCK_MONOTONIC);

    for (unsigned i = 0; i < 6; i++)
        replace_and_wait(i % 2 ? "c" : "d");
    cr_expect_lt(clock_now_ns(CLOCK_MONOTONIC) - start_ns, LOOKS(3));
}

/* The slow look finds what inotify cannot see. */
Test(file, directory_replaced)
{
    list_replace(PATH, "a");
    ask();
    unlink(PATH);
    cr_assert_eq(rmdir(DIRECTORY), 0);
    client_idle(&client, 50 * NS_PER_MS);
    cr_assert_eq(mkdir(DIRECTORY, 0700), 0);
    list_replace(PATH, "b");
    wait_list(2, "b");
    expect_followed(); /* by inotify again */
}

/* What came of the old watch does not end the new one, again and again: the thread sleeps, and inotify works on. */
static void expect_quiet(void)
{
    uint64_t start_ns = clock_now_ns(CLOCK_PROCESS_CPUTIME_ID);

    client_idle(&client, NS_PER_S);
    cr_expect_lt(clock_now_ns(CLOCK_PROCESS_CPUTIME_ID) - start_ns, NS_PER_S / 5);
}

/* At once, so that the new directory is there as soon as the old one is known to be gone. */
Test(file, directory_exchanged)
{
    list_replace(PATH, "a");
    ask();
    cr_assert_eq(mkdir(OTHER, 0700), 0);
    list_replace(OTHER "/sessions.json", "b");
    cr_assert_eq(renameat2(AT_FDCWD, OTHER, AT_FDCWD, DIRECTORY, RENAME_EXCHANGE), 0);
    wait_list(2, "b");
    expect_quiet();
    expect_followed();
}

/* What happens in the old directory, which is elsewhere now, says nothing of the file. */
Test(file, directory_moved_away)
{
    ask();
    cr_expect_eq(client.error, -ENOENT, "%s", client.message);
    pthread_mutex_lock(&gate);
    cr_assert_eq(session_provider_list(client.provider, NULL, 0, client_answered, &client), 0);
    for (int i = 0; openings < 2 && i < 4000; i++)
        client_idle(&client, NS_PER_MS);
    cr_assert_eq(rename(DIRECTORY, OTHER), 0);
    list_replace(OTHER "/sessions.json", "b");
    pthread_mutex_unlock(&gate);
    client_wait(&client, 2);
    cr_expect_eq(client.error, -ENOENT, "%s", client.message);
    client_idle(&client, 100 * NS_PER_MS);
    cr_expect_eq(openings, 2, "it was read needlessly");
    cr_assert_eq(rename(OTHER, DIRECTORY), 0);
    wait_list(3, "b");
    expect_followed();
}

/* The path leads through a symlink, which is switched to the next release before the old one goes. */
Test(file, directory_behind_a_symlink)
{
    cr_assert_eq(rmdir(DIRECTORY), 0);
    netns_must(NETNS_HERE, "mkdir /tmp/one /tmp/two && ln -s one " DIRECTORY);
    list_replace("/tmp/one/sessions.json", "a");
    list_replace("/tmp/two/sessions.json", "b");
    ask();
    cr_expect_str_eq(client.uuid, "a");
    netns_must(NETNS_HERE, "ln -sfn two " DIRECTORY " && mv /tmp/one /tmp/old && rm -r /tmp/old");
    wait_list(2, "b");
    expect_quiet();
    expect_followed();
}

Test(file, symlink_switched)
{
    static const char one[] = DIRECTORY "/one", two[] = DIRECTORY "/two", link[] = DIRECTORY "/link";

    list_replace(one, "one");
    list_replace(two, "two");
    cr_assert_eq(symlink("one", PATH), 0);
    ask();
    cr_expect_str_eq(client.uuid, "one");
    cr_assert_eq(symlink("two", link), 0);
    cr_assert_eq(rename(link, PATH), 0);
    wait_list(2, "two");
    list_replace(two, "three"); /* behind the link: found by the slow look */
    wait_list(3, "three");
}

/* No inotify, whatever it is that forbids it: the slow look finds everything, and somebody can know. */
Test(file, without_inotify)
{
    cr_expect_null(session_provider_flaw(client.provider));
    if (!forbid(SYS_inotify_init1, EMFILE))
        cr_skip_test("no seccomp here");
    provide();
    cr_expect_str_eq(
        session_provider_flaw(client.provider),
        "the file is looked at every 2 s, for it cannot be watched: inotify: Too many open files");
    list_replace(PATH, "a");
    ask();
    for (unsigned i = 0; i < 2; i++) {
        list_replace(PATH, i ? "c" : "b");
        wait_list(2 + i, i ? "c" : "b");
    }
}

/* The loop's thread holds the gate: whatever waited for the disk would wait for good. */
Test(file, a_disk_that_hangs)
{
    list_replace(PATH, "a");
    ask();
    cr_expect_str_eq(client.uuid, "a");
    pthread_mutex_lock(&gate);
    ask();
    cr_expect_eq(client.error, -ETIMEDOUT, "%s", client.message);
    cr_expect(strstr(client.message, "sessions.json: the disk does not answer"), "%s", client.message);
    pthread_mutex_unlock(&gate);
    wait_list(client.answers + 1, "a"); /* what comes late is news */
    list_replace(PATH, "b");
    wait_list(client.answers + 1, "b");
    pthread_mutex_lock(&gate);
    for (unsigned i = 0; i < 2; i++) { /* each who asks is told */
        ask();
        cr_expect_eq(client.error, -ETIMEDOUT, "%s", client.message);
    }
    client.provider = session_provider_free(client.provider);
    pthread_mutex_unlock(&gate);
}

Test(file, what_cannot_be_read)
{
    struct session_provider_settings settings = {.kind = "file", .file = PATH, .body_limit_bytes = 16};
    struct session_endpoint endpoint = {.access = 1};
    struct session_provider *none;
    char message[256];

    client_provider(&client, &settings);
    list_replace(PATH, "a");
    ask();
    cr_expect_eq(client.error, -EMSGSIZE, "%s", client.message);
    unlink(PATH);
    cr_assert_eq(mkfifo(PATH, 0600), 0);
    ask(); /* and does not wait for a writer */
    cr_expect_eq(client.error, -EINVAL, "%s", client.message);
    cr_expect(strstr(client.message, "sessions.json: not a regular file"), "%s", client.message);
    cr_expect_eq(session_provider_refresh(client.provider, &endpoint, 1, "u", "", client_answered, &client),
                 -ENOTSUP);
    cr_expect_eq(session_provider_heartbeat(client.provider, &endpoint, "{}", client_answered, &client),
                 -ENOTSUP);
    settings.file = "";
    cr_expect_eq(session_provider_new(&none, NULL, &settings, message, sizeof(message)), -EINVAL);
}
