/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/errno_name.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

const char *errno_name(int error)
{
#define NAME(number)    \
    {                   \
        number, #number \
    }
    static const struct {
        int error;
        const char *name;
    } names[] = {
        NAME(EPERM),           NAME(ENOENT),       NAME(EIO),
        NAME(ENXIO),           NAME(EBADF),        NAME(EAGAIN),
        NAME(ENOMEM),          NAME(EACCES),       NAME(EFAULT),
        NAME(EBUSY),           NAME(EEXIST),       NAME(ENODEV),
        NAME(ENOTDIR),         NAME(EINVAL),       NAME(ENFILE),
        NAME(EMFILE),          NAME(ENOTTY),       NAME(ENOSPC),
        NAME(EROFS),           NAME(EDOM),         NAME(ENOSYS),
        NAME(ENOTSOCK),        NAME(EDESTADDRREQ), NAME(EMSGSIZE),
        NAME(EPROTOTYPE),      NAME(ENOPROTOOPT),  NAME(EPROTONOSUPPORT),
        NAME(ESOCKTNOSUPPORT), NAME(EOPNOTSUPP),   NAME(EAFNOSUPPORT),
        NAME(EADDRNOTAVAIL),   NAME(ENETDOWN),     NAME(ENETUNREACH),
        NAME(ENOBUFS),         NAME(ETIMEDOUT),    NAME(ECONNREFUSED),
        NAME(EHOSTUNREACH),    NAME(EOVERFLOW),    NAME(EBADMSG),
        NAME(ESRCH),           NAME(ESTALE),       NAME(EREMOTEIO),
        NAME(ECANCELED),
    };
#undef NAME

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].error == error)
            return names[i].name;
    return NULL;
}

const char *errno_result(int r, char buffer[static ERRNO_RESULT_SIZE])
{
    const char *name = r < 0 ? errno_name(-r) : "ok";

    if (name)
        return name;
    snprintf(buffer, ERRNO_RESULT_SIZE, "errno %d", -r);
    return buffer;
}
