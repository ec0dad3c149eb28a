/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/lacking.h"

#include <stdatomic.h>

static const struct lacking_row rows[LACKING_KINDS] = {
    [LACKING_NETLINK] = {"netlink",
                         "getifaddrs() or ioctl() for interfaces and addresses, a command for routes"},
    [LACKING_IO_URING] = {"io_uring", "epoll"},
    [LACKING_EPOLL] = {"epoll", "poll()"},
    [LACKING_EPOLL_PWAIT2] = {"epoll_pwait2", "epoll_wait(), whole milliseconds"},
    [LACKING_PPOLL] = {"ppoll", "poll(), whole milliseconds"},
    [LACKING_EVENTFD] = {"eventfd", "a pipe or a pair of sockets"},
    [LACKING_INOTIFY] = {"inotify", "a look at the file now and then"},
    [LACKING_GETRANDOM] = {"getrandom", "/dev/urandom, or what the process got at its start"},
    [LACKING_PING_SOCKETS] = {"ping sockets", "raw sockets"},
    [LACKING_RECVMMSG] = {"recvmmsg", "a call for each message"},
    [LACKING_SENDMMSG] = {"sendmmsg", "a call for each message"},
    [LACKING_ICMP_FILTER] = {"ICMP_FILTER", "every ICMP message is read and looked at"},
    [LACKING_ATTACH_FILTER] = {"SO_ATTACH_FILTER", "everybody's ICMP replies are read and looked at"},
    [LACKING_BIND_TO_IFINDEX] = {"SO_BINDTOIFINDEX", "SO_BINDTODEVICE"},
    [LACKING_BIND_TO_DEVICE] = {"SO_BINDTODEVICE", "the address of the interface"},
    [LACKING_TIMESTAMPING] = {"SO_TIMESTAMPING", "the time of reading"},
    [LACKING_RECVERR] = {"IP_RECVERR", "ICMP errors as messages"},
    [LACKING_PKTINFO] = {"IP_PKTINFO", "routing, and the address that a reply came to"},
    [LACKING_DONT_FRAGMENT] = {"IP_MTU_DISCOVER", "the agent's requests may be fragmented on the way"},
    [LACKING_MEMINFO] = {"SO_MEMINFO", "nothing: what this host drops is not known"},
};

static _Atomic int errors[LACKING_KINDS];

const struct lacking_row *lacking_row(enum lacking what)
{
    return &rows[what];
}

int lacking_note(enum lacking what, int error)
{
    int none = 0;

    if (error < 0)
        atomic_compare_exchange_strong_explicit(&errors[what], &none, error, memory_order_relaxed,
                                                memory_order_relaxed);
    return error;
}

int lacking_error(enum lacking what)
{
    return atomic_load_explicit(&errors[what], memory_order_relaxed);
}
