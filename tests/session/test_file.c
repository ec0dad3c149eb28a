/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves that the file provider answers with the file's list, follows every way in which files are changed
 * (replaced by rename, written in place, removed and made again, the directory made later), says nothing
 * while the file holds no list, and lets nobody wait for a disk that hangs.
 *
 * open(2) is this program's own: it can be held up.
 */
#include "tests/lib/forbid.h"
#include "tests/lib/netns.h"
#include "tests/session/client.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/stat.h>

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list rest;

    va_start(rest, flags);
    if (flags & O_CREAT)
        mode = va_arg(rest, mode_t);
    va_end(rest);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

struct fixture {
    struct client client;
    char directory[64];
    char path[80];
};

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

static void fixture_open(struct fixture *fixture)
{
    struct session_provider_settings settings = {.kind = "file", .file = fixture->path};

    client_open(&fixture->client);
    snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/directory");
    snprintf(fixture->path, sizeof(fixture->path), "%s/sessions.json", fixture->directory);
    cr_assert_eq(mkdir(fixture->directory, 0700), 0);
    client_provider(&fixture->client, &settings);
}

/* Asks, and waits for the answer. */
static void ask(struct client *client)
{
    unsigned answers = client->answers;

    cr_assert_eq(session_provider_list(client->provider, NULL, 0, client_answered, client), 0);
    cr_expect_eq(client->answers, answers, "answered from inside the call");
    client_wait(client, answers + 1);
}

/* A change may be told twice, when it is read before it is known to inotify. */
static void replace_and_wait(struct client *client, const char *path, const char *uuid)
{
    list_replace(path, uuid);
    for (int i = 0; strcmp(client->uuid, uuid) != 0 && i < 4000; i++)
        client_idle(client, 5 * NS_PER_MS);
    cr_expect_str_eq(client->uuid, uuid);
}

Test(file, answers_and_follows_replacement)
{
    struct fixture fixture;
    struct client *client = &fixture.client;
    uint64_t start_ns;

    fixture_open(&fixture);
    list_replace(fixture.path, "a");
    client_idle(client, 50 * NS_PER_MS);
    cr_expect_eq(client->answers, 0, "nobody has asked yet");
    ask(client);
    cr_expect_eq(client->error, 0, "%s", client->message);
    cr_expect_str_eq(client->uuid, "a");
    cr_expect_eq(client->origin.access, UINT32_MAX);
    start_ns = clock_now_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < 20; i++) {
        char uuid[8];

        snprintf(uuid, sizeof(uuid), "b%u", i);
        replace_and_wait(client, fixture.path, uuid);
    }
    cr_expect_lt(clock_now_ns(CLOCK_MONOTONIC) - start_ns, LOOKS(10));
    client_close(client);
}

Test(file, half_written_says_nothing_and_goes_on_listening)
{
    static const char whole[] = "{\"data\":[{\"uuid\":\"b\",\"ip\":\"10.0.0.1\"}]}";
    struct fixture fixture;
    struct client *client = &fixture.client;
    int fd;

    fixture_open(&fixture);
    list_replace(fixture.path, "a");
    ask(client);
    /* Written in place, in two pieces. */
    fd = open(fixture.path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, whole, 20), 20);
    client_idle(client, 50 * NS_PER_MS);
    cr_expect_eq(client->answers, 1);
    cr_assert_eq(write(fd, whole + 20, sizeof(whole) - 21), sizeof(whole) - 21);
    close(fd);
    client_wait(client, 2);
    cr_expect_str_eq(client->uuid, "b");
    text_write(fixture.path, "{\"data\":[{\"uu");
    client_idle(client, 100 * NS_PER_MS);
    cr_expect_eq(client->answers, 2);
    ask(client); /* who asks is told */
    cr_expect_eq(client->error, -EBADMSG, "%s", client->message);
    cr_expect(strstr(client->message, fixture.path), "%s", client->message);
    list_replace(fixture.path, "c");
    client_wait(client, 4);
    cr_expect_str_eq(client->uuid, "c");
    client_close(client);
}

Test(file, removed_and_made_again)
{
    struct fixture fixture;
    struct client *client = &fixture.client;

    fixture_open(&fixture);
    ask(client);
    cr_expect_eq(client->error, -ENOENT, "%s", client->message);
    list_replace(fixture.path, "a");
    client_wait(client, 2);
    cr_expect_str_eq(client->uuid, "a");
    unlink(fixture.path);
    client_idle(client, 50 * NS_PER_MS);
    cr_expect_eq(client->answers, 2);
    list_replace(fixture.path, "b");
    client_wait(client, 3);
    cr_expect_str_eq(client->uuid, "b");
    client_close(client);
}

static void expect_followed(struct client *client, const char *path)
{
    uint64_t start_ns = clock_now_ns(CLOCK_MONOTONIC);

    for (unsigned i = 0; i < 6; i++)
        replace_and_wait(client, path, i % 2 ? "c" : "d");
    cr_expect_lt(clock_now_ns(CLOCK_MONOTONIC) - start_ns, LOOKS(3));
}

/* The slow look finds what inotify cannot see. */
Test(file, directory_replaced)
{
    struct fixture fixture;
    struct client *client = &fixture.client;

    fixture_open(&fixture);
    list_replace(fixture.path, "a");
    ask(client);
    unlink(fixture.path);
    cr_assert_eq(rmdir(fixture.directory), 0);
    client_idle(client, 50 * NS_PER_MS);
    cr_assert_eq(mkdir(fixture.directory, 0700), 0);
    list_replace(fixture.path, "b");
    client_wait(client, 2);
    cr_expect_str_eq(client->uuid, "b");
    expect_followed(client, fixture.path); /* by inotify again */
    client_close(client);
}

/* What came of the old watch does not end the new one, again and again: the thread sleeps, and inotify works on. */
static void expect_quiet(struct client *client)
{
    uint64_t start_ns = clock_now_ns(CLOCK_PROCESS_CPUTIME_ID);

    client_idle(client, NS_PER_S);
    cr_expect_lt(clock_now_ns(CLOCK_PROCESS_CPUTIME_ID) - start_ns, NS_PER_S / 5);
}

/* At once, so that the new directory is there as soon as the old one is known to be gone. */
Test(file, directory_exchanged)
{
    struct fixture fixture;
    struct client *client = &fixture.client;
    char other[80], path[96];

    fixture_open(&fixture);
    snprintf(other, sizeof(other), "%s.new", fixture.directory);
    snprintf(path, sizeof(path), "%s/sessions.json", other);
    list_replace(fixture.path, "a");
    ask(client);
    cr_assert_eq(mkdir(other, 0700), 0);
    list_replace(path, "b");
    cr_assert_eq(renameat2(AT_FDCWD, other, AT_FDCWD, fixture.directory, RENAME_EXCHANGE), 0);
    client_wait(client, 2);
    cr_expect_str_eq(client->uuid, "b");
    expect_quiet(client);
    expect_followed(client, fixture.path);
    client_close(client);
}

/* The path leads through a symlink, which is switched to the next release before the old one goes. */
Test(file, directory_behind_a_symlink)
{
    struct fixture fixture;
    struct client *client = &fixture.client;

    fixture_open(&fixture);
    cr_assert_eq(rmdir(fixture.directory), 0);
    netns_must(NETNS_HERE, "mkdir /tmp/one /tmp/two && ln -s one %s", fixture.directory);
    list_replace("/tmp/one/sessions.json", "a");
    list_replace("/tmp/two/sessions.json", "b");
    ask(client);
    cr_expect_str_eq(client->uuid, "a");
    netns_must(NETNS_HERE, "ln -sfn two %s && mv /tmp/one /tmp/old && rm -r /tmp/old", fixture.directory);
    client_wait(client, 2);
    cr_expect_str_eq(client->uuid, "b");
    expect_quiet(client);
    expect_followed(client, fixture.path);
    client_close(client);
}

Test(file, symlink_switched)
{
    struct fixture fixture;
    struct client *client = &fixture.client;
    char one[96], two[96], link[96];

    fixture_open(&fixture);
    snprintf(one, sizeof(one), "%s/one", fixture.directory);
    snprintf(two, sizeof(two), "%s/two", fixture.directory);
    snprintf(link, sizeof(link), "%s/link", fixture.directory);
    list_replace(one, "one");
    list_replace(two, "two");
    cr_assert_eq(symlink("one", fixture.path), 0);
    ask(client);
    cr_expect_str_eq(client->uuid, "one");
    cr_assert_eq(symlink("two", link), 0);
    cr_assert_eq(rename(link, fixture.path), 0);
    client_wait(client, 2);
    cr_expect_str_eq(client->uuid, "two");
    list_replace(two, "three"); /* behind the link: found by the slow look */
    client_wait(client, 3);
    cr_expect_str_eq(client->uuid, "three");
    client_close(client);
}

/* No inotify, whatever it is that forbids it: the slow look finds everything, and somebody can know. */
Test(file, without_inotify)
{
    struct fixture fixture;
    struct client *client = &fixture.client;

    fixture_open(&fixture);
    cr_expect_null(session_provider_flaw(client->provider));
    client_close(client);
    rmdir(fixture.directory);
    if (!forbid(SYS_inotify_init1, EMFILE))
        cr_skip_test("no seccomp here");
    fixture_open(&fixture);
    cr_expect_str_eq(
        session_provider_flaw(client->provider),
        "the file is looked at every 2 s, for it cannot be watched: inotify: Too many open files");
    list_replace(fixture.path, "a");
    ask(client);
    for (unsigned i = 0; i < 2; i++) {
        list_replace(fixture.path, i ? "c" : "b");
        client_wait(client, 2 + i);
        cr_expect_str_eq(client->uuid, i ? "c" : "b");
    }
    client_close(client);
}

/* The loop's thread holds the gate: whatever waited for the disk would wait for good. */
Test(file, a_disk_that_hangs)
{
    struct fixture fixture;
    struct client *client = &fixture.client;

    fixture_open(&fixture);
    list_replace(fixture.path, "a");
    ask(client);
    cr_expect_str_eq(client->uuid, "a");
    pthread_mutex_lock(&gate);
    ask(client);
    cr_expect_eq(client->error, -ETIMEDOUT, "%s", client->message);
    cr_expect(strstr(client->message, "sessions.json: the disk does not answer"), "%s", client->message);
    pthread_mutex_unlock(&gate);
    client_wait(client, client->answers + 1); /* what comes late is news */
    cr_expect_str_eq(client->uuid, "a");
    list_replace(fixture.path, "b");
    client_wait(client, client->answers + 1);
    cr_expect_str_eq(client->uuid, "b");
    pthread_mutex_lock(&gate);
    for (unsigned i = 0; i < 2; i++) { /* each who asks is told */
        ask(client);
        cr_expect_eq(client->error, -ETIMEDOUT, "%s", client->message);
    }
    client_close(client);
    pthread_mutex_unlock(&gate);
}

Test(file, what_cannot_be_read)
{
    struct fixture fixture;
    struct client *client = &fixture.client;
    struct session_provider_settings settings = {
        .kind = "file", .file = fixture.path, .body_limit_bytes = 16};
    struct session_endpoint endpoint = {.access = 1};
    char message[256];

    fixture_open(&fixture);
    client_provider(client, &settings);
    list_replace(fixture.path, "a");
    ask(client);
    cr_expect_eq(client->error, -EMSGSIZE, "%s", client->message);
    unlink(fixture.path);
    cr_assert_eq(mkfifo(fixture.path, 0600), 0);
    ask(client); /* and does not wait for a writer */
    cr_expect_eq(client->error, -EINVAL, "%s", client->message);
    cr_expect(strstr(client->message, "sessions.json: not a regular file"), "%s", client->message);
    cr_expect_eq(session_provider_refresh(client->provider, &endpoint, 1, "u", "", client_answered, client),
                 -ENOTSUP);
    cr_expect_eq(session_provider_heartbeat(client->provider, &endpoint, "{}", client_answered, client),
                 -ENOTSUP);
    client_close(client);
    settings.file = "";
    cr_expect_eq(session_provider_new(&client->provider, NULL, &settings, message, sizeof(message)), -EINVAL);
}
