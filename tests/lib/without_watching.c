/* SPDX-License-Identifier: Apache-2.0 */
/* `without-watching COMMAND [ARGUMENT...]`: runs it where the kernel has neither inotify nor eventfd. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/lib/forbid.h"

int main(int argc, char **argv)
{
    if (argc < 2 || !forbid(SYS_inotify_init1, ENOSYS) || !forbid(SYS_eventfd2, ENOSYS))
        return 77;
    execv(argv[1], argv + 1);
    perror(argv[1]);
    return 1;
}
