/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/spare_fds.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "probe/base.h"

void spare_fds_release(struct spare_fds *spare)
{
    for (size_t i = 0; i < SPARE_FDS_COUNT; i++)
        spare->fds[i] = close_fd(spare->fds[i]);
}

void spare_fds_keep(struct spare_fds *spare)
{
    for (size_t i = 0; i < SPARE_FDS_COUNT; i++)
        if (spare->fds[i] < 0)
            spare->fds[i] = open("/", O_PATH | O_CLOEXEC);
}

void spare_fds_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}
