/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/reserve.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "probe/base.h"

void reserve_release(struct reserve *reserve)
{
    for (size_t i = 0; i < RESERVE_SIZE; i++)
        reserve->fds[i] = close_fd(reserve->fds[i]);
}

void reserve_keep(struct reserve *reserve)
{
    for (size_t i = 0; i < RESERVE_SIZE; i++)
        if (reserve->fds[i] < 0)
            reserve->fds[i] = open("/", O_PATH | O_CLOEXEC);
}

void reserve_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}
