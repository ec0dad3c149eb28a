/* SPDX-License-Identifier: Apache-2.0 */
/* Who has the lock when its name cannot be asked, or its file could not be had at the start. */
#include "route/agent/lock.h"

#include <criterion/criterion.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

static int flock_error; /* of every flock() from now on; 0: it is the kernel's */

int flock(int fd, int operation)
{
    errno = flock_error;
    return flock_error ? -1 : (int)syscall(SYS_flock, fd, operation);
}

Test(lock, a_system_that_cannot_lock_files_is_nobody)
{
    const struct address service = {.family = AF_INET, .bytes = {192, 168, 33, 2}};
    char directory[64] = "/tmp/reroute-lock-XXXXXX", path[96];
    int file_error, name_error;
    struct lock lock, second;
    pid_t holder;

    cr_assert(mkdtemp(directory));
    flock_error = ENOSYS;
    cr_expect_eq(lock_take(&lock, directory, &service, (uint32_t)getpid(), &holder, &file_error, &name_error),
                 0);
    cr_expect_eq(file_error, -ENOSYS);
    cr_expect_eq(name_error, 0, "the name alone keeps others out");
    cr_expect_eq(
        lock_take(&second, directory, &service, (uint32_t)getpid(), &holder, &file_error, &name_error),
        -EWOULDBLOCK);
    lock_release(&lock);
    snprintf(path, sizeof(path), "%s/lock", directory);
    unlink(path);
    rmdir(directory);
}

Test(lock, the_file_is_tried_again)
{
    const struct address service = {.family = AF_INET, .bytes = {192, 168, 33, 2}};
    char directory[64] = "/tmp/reroute-lock-XXXXXX", path[96];
    struct lock first, second;
    int file_error, name_error;
    pid_t holder;

    cr_assert(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/lock", directory);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_eq(
        lock_take(&first, directory, &service, (uint32_t)getpid(), &holder, &file_error, &name_error), 0);
    cr_expect_eq(file_error, -EISDIR);
    cr_expect_eq(lock_take_file(&first, directory), -EISDIR, "still in the way");
    rmdir(path);
    cr_expect_eq(lock_take_file(&first, directory), 0);
    cr_expect_geq(first.file_fd, 0);

    second = (struct lock){.name_fd = -1, .file_fd = -1};
    cr_expect_eq(lock_take_file(&second, directory), -EWOULDBLOCK);
    lock_release(&first);
    cr_expect_eq(lock_take_file(&second, directory), 0);
    lock_release(&second);
    unlink(path);
    rmdir(directory);
}

/* Connects until there is no room; what was connected stays in the queue. */
static void fill_queue(uint32_t table)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int length =
        snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "reroute/%" PRIu32 "/192.168.33.2", table);
    int error = 0;

    for (int i = 0; i < 100000 && !error; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (connect(fd, (const struct sockaddr *)&name,
                    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) < 0)
            error = errno;
        close(fd);
    }
    cr_assert_eq(error, EAGAIN, "%s", strerror(error));
}

Test(lock, a_full_queue_leaves_the_file)
{
    const struct address service = {.family = AF_INET, .bytes = {192, 168, 33, 2}};
    char directory[64] = "/tmp/reroute-lock-XXXXXX", path[96];
    uint32_t table = (uint32_t)getpid();
    struct lock first, second;
    int file_error, name_error;
    pid_t holder;

    cr_assert(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/lock", directory);
    cr_assert_eq(lock_take(&first, directory, &service, table, &holder, &file_error, &name_error), 0);
    fill_queue(table);
    cr_expect_eq(lock_take(&second, directory, &service, table, &holder, &file_error, &name_error),
                 -EWOULDBLOCK);
    cr_expect_eq(holder, getpid(), "by the file");
    lock_release(&first);
    unlink(path);
    rmdir(directory);
}

#define NOBODY 65534

/* A directory below one of mode `above`, given to nobody, and an agent of nobody's that holds its lock. */
static pid_t agent_of_nobody(char place[static 64], char directory[static 96], mode_t above, int *end_fd)
{
    const struct address service = {.family = AF_INET, .bytes = {192, 168, 33, 2}};
    int file_error, name_error, ready[2], ending[2];
    struct lock lock;
    pid_t holder, child;
    char byte;

    strcpy(place, "/tmp/reroute-lock-XXXXXX");
    cr_assert(mkdtemp(place));
    snprintf(directory, 96, "%s/state", place);
    cr_assert_eq(mkdir(directory, 0700), 0);
    cr_assert_eq(chown(directory, NOBODY, NOBODY), 0);
    cr_assert_eq(chmod(place, above), 0);
    cr_assert(pipe(ready) == 0 && pipe(ending) == 0);
    child = fork();
    if (child == 0) {
        close(ending[1]);
        if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0 ||
            lock_take(&lock, directory, &service, (uint32_t)getppid(), &holder, &file_error, &name_error) <
                0 ||
            write(ready[1], "", 1) != 1)
            _exit(1);
        _exit(read(ending[0], &byte, 1) != 0);
    }
    close(ready[1]);
    close(ending[0]);
    *end_fd = ending[1];
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return child;
}

static void end_agent(pid_t child, int end_fd, const char *place, const char *directory)
{
    char path[128];

    close(end_fd);
    waitpid(child, NULL, 0);
    snprintf(path, sizeof(path), "%s/lock", directory);
    unlink(path);
    rmdir(directory);
    rmdir(place);
}

/* The agent of a service manager has a user of its own; who gives orders is root. */
Test(lock, root_heeds_the_agents_user)
{
    static const struct {
        mode_t above;
        int error;
    } rows[] = {
        {0755, -EWOULDBLOCK}, /* root gave him the directory */
        {01777, 0},           /* anybody could have made it */
    };
    const struct address service = {.family = AF_INET, .bytes = {192, 168, 33, 2}};

    if (geteuid() != 0)
        cr_skip("needs root");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char place[64], directory[96];
        int end_fd, file_error = 0, name_error = 0;
        pid_t holder = 0, child = agent_of_nobody(place, directory, rows[i].above, &end_fd);
        struct lock lock;

        cr_expect_eq(
            lock_take(&lock, directory, &service, (uint32_t)getpid(), &holder, &file_error, &name_error),
            rows[i].error);
        if (rows[i].error)
            cr_expect_eq(holder, child, "%d, expected %d; %d %d", (int)holder, (int)child, file_error,
                         name_error);
        else
            cr_expect(file_error == -EPERM && name_error == -EADDRINUSE, "%d %d", file_error, name_error);
        lock_release(&lock);
        end_agent(child, end_fd, place, directory);
    }
}
