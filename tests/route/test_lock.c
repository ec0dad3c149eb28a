/* SPDX-License-Identifier: Apache-2.0 */
/* A file that could not be had at the start can be had later, unless another process has it by then. */
#include "route/agent/lock.h"

#include <criterion/criterion.h>
#include <sys/stat.h>

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
