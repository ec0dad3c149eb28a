/* SPDX-License-Identifier: Apache-2.0 */
/* Who has the lock when its name cannot be asked, or its file could not be had at the start. */
#include "route/agent/lock.h"

#include <criterion/criterion.h>
#include <sys/stat.h>
#include <sys/un.h>

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
