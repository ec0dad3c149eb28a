/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/errno_name.h"

#include <errno.h>
#include <stddef.h>

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
    };
#undef NAME

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].error == error)
            return names[i].name;
    return NULL;
}
