/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this host refuses, found by trying: no version is asked, since a host that is no Linux, a filter of system calls
 * and an old kernel refuse alike. What is refused is noted here, once for the whole process, and what the table names is
 * done instead. The agent logs it (of inotify by `not-watched`), and `reroute capabilities` shows all of it.
 */
#pragma once

#include "probe/base.h"

enum lacking {
    LACKING_NETLINK,
    LACKING_IO_URING,
    LACKING_EPOLL,
    LACKING_EPOLL_PWAIT2,
    LACKING_PPOLL,
    LACKING_EVENTFD,
    LACKING_INOTIFY,
    LACKING_GETRANDOM,
    LACKING_PING_SOCKETS,
    LACKING_RECVMMSG,
    LACKING_SENDMMSG,
    LACKING_ICMP_FILTER,
    LACKING_ATTACH_FILTER,
    LACKING_BIND_TO_IFINDEX,
    LACKING_BIND_TO_DEVICE,
    LACKING_TIMESTAMPING,
    LACKING_RECVERR,
    LACKING_PKTINFO,
    LACKING_DONT_FRAGMENT,
    LACKING_MEMINFO,
    LACKING_KINDS
};

struct lacking_row {
    const char *what;    /* "recvmmsg" */
    const char *instead; /* what is done without it */
};

const struct lacking_row *lacking_row(enum lacking what);

/* Notes a refusal; error is a negative errno, or 0 (not refused: nothing is noted). Returns error. Any thread may. */
int lacking_note(enum lacking what, int error);

/* The negative errno of the first refusal; 0: not refused so far. */
int lacking_error(enum lacking what);
