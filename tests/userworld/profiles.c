/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known publicly of the hosts that reroute is asked for, and what is not known either way and is refused all
 * the same. ESXi is not Linux: its userworlds have part of Linux's calls. epoll is broken in another way in each
 * version; that FIOCLEX, FIONBIO and epoll fail on Unix sockets, and timerfd and madvise altogether, is reported too.
 * Netlink, /proc and /sys are absent. XenServer's and XCP-ng's dom0 are an old Linux: 4.4 until 7.6, 4.19 since.
 */
#include "tests/userworld/profiles.h"

#include <asm/socket.h>
#include <errno.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define ESXI_6_5 1u
#define ESXI_6_7 2u
#define ESXI_7_0 4u
#define XEN_4_4  8u
#define XEN_4_19 16u
#define NOTHING  32u /* whatever can be done without fails */
#define ESXI     (ESXI_6_5 | ESXI_6_7 | ESXI_7_0)
#define BARE     (ESXI | NOTHING)
#define XEN      (XEN_4_4 | XEN_4_19)

static const struct {
    const char *name;
    uint32_t bit;
    struct kernel_name kernel; /* without a system: this one's */
} profiles[] = {
    {"esxi-6.5", ESXI_6_5, {"VMkernel", "6.5.0"}}, {"esxi-6.7", ESXI_6_7, {"VMkernel", "6.7.0"}},
    {"esxi-7.0", ESXI_7_0, {"VMkernel", "7.0.3"}}, {"xen-4.4", XEN_4_4, {"Linux", "4.4.0+10"}},
    {"xen-4.19", XEN_4_19, {"Linux", "4.19.0+1"}}, {"nothing", NOTHING, {0}},
};

#define OPTION(the_level, the_option) \
    {SYS_setsockopt}, 2,              \
    {                                 \
        {1, the_level, 0},            \
        {                             \
            2, the_option, 0          \
        }                             \
    }
#define READING(the_level, the_option) \
    {SYS_getsockopt}, 2,               \
    {                                  \
        {1, the_level, 0},             \
        {                              \
            2, the_option, 0           \
        }                              \
    }
#define CONTROL(the_request)  \
    {SYS_ioctl}, 1,           \
    {                         \
        {                     \
            1, the_request, 0 \
        }                     \
    }
#define SOCKET_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)

const struct refusal refusals[] = {
    {"epoll_create", ESXI_6_5 | NOTHING, ENOSYS, {SYS_epoll_create1, SYS_epoll_create}},
    {"epoll_wait", ESXI_6_7, EINVAL, {SYS_epoll_wait}},
    {"epoll_pwait", ESXI_6_7 | ESXI_7_0, ENOSYS, {SYS_epoll_pwait}},
    {"epoll_pwait2", BARE | XEN, ENOSYS, {SYS_epoll_pwait2}},
    {"epoll_ctl of a Unix socket",
     ESXI_6_7,
     ENOSYS,
     {SYS_epoll_ctl},
     .on_unix_sockets = true,
     .descriptor = 2},
    {"AF_NETLINK", BARE, EAFNOSUPPORT, {SYS_socket}, 1, {{0, AF_NETLINK, 0}}},
    {"timerfd", BARE, ENOSYS, {SYS_timerfd_create}},
    {"eventfd", BARE, ENOSYS, {SYS_eventfd2, SYS_eventfd}},
    {"signalfd", BARE, ENOSYS, {SYS_signalfd4, SYS_signalfd}},
    {"inotify", BARE, ENOSYS, {SYS_inotify_init1, SYS_inotify_init}},
    {"getrandom", BARE, ENOSYS, {SYS_getrandom}},
    {"recvmmsg", BARE, ENOSYS, {SYS_recvmmsg}},
    {"sendmmsg", BARE, ENOSYS, {SYS_sendmmsg}},
    {"io_uring", BARE | XEN, ENOSYS, {SYS_io_uring_setup}},
    {"statx", BARE | XEN_4_4, ENOSYS, {SYS_statx}},
    {"SO_BINDTODEVICE", BARE, ENOPROTOOPT, OPTION(SOL_SOCKET, SO_BINDTODEVICE)},
    {"SO_BINDTOIFINDEX", BARE | XEN, ENOPROTOOPT, OPTION(SOL_SOCKET, SO_BINDTOIFINDEX)},
    {"SO_TIMESTAMPING", BARE, ENOPROTOOPT, OPTION(SOL_SOCKET, SO_TIMESTAMPING)},
    {"SO_ATTACH_FILTER", BARE, ENOPROTOOPT, OPTION(SOL_SOCKET, SO_ATTACH_FILTER)},
    {"IP_RECVERR", BARE, ENOPROTOOPT, OPTION(IPPROTO_IP, IP_RECVERR)},
    {"IPV6_RECVERR", BARE, ENOPROTOOPT, OPTION(IPPROTO_IPV6, IPV6_RECVERR)},
    {"ping sockets",
     BARE,
     EPROTONOSUPPORT,
     {SYS_socket},
     3,
     {{0, AF_INET, 0}, {1, SOCK_DGRAM, SOCKET_FLAGS}, {2, IPPROTO_ICMP, 0}}},
    {"ping sockets of IPv6",
     BARE,
     EPROTONOSUPPORT,
     {SYS_socket},
     3,
     {{0, AF_INET6, 0}, {1, SOCK_DGRAM, SOCKET_FLAGS}, {2, IPPROTO_ICMPV6, 0}}},
    {"madvise", BARE, ENOSYS, {SYS_madvise}},
    {"mincore", BARE, ENOSYS, {SYS_mincore}},
    {"FIOCLEX", BARE, ENOSYS, CONTROL(FIOCLEX)},
    {"FIONBIO of a Unix socket", BARE, ENOTTY, CONTROL(FIONBIO), .on_unix_sockets = true, .descriptor = 0},
    {"NETLINK_GET_STRICT_CHK", XEN, ENOPROTOOPT, OPTION(SOL_NETLINK, NETLINK_GET_STRICT_CHK)},
    {"NETLINK_EXT_ACK", XEN_4_4, ENOPROTOOPT, OPTION(SOL_NETLINK, NETLINK_EXT_ACK)},
    {"ppoll", NOTHING, ENOSYS, {SYS_ppoll}},
    {"accept4", NOTHING, ENOSYS, {SYS_accept4}},
    {"pipe2", NOTHING, ENOSYS, {SYS_pipe2}},
    {"SO_RCVBUFFORCE", NOTHING, ENOPROTOOPT, OPTION(SOL_SOCKET, SO_RCVBUFFORCE)},
    {"SO_SNDBUFFORCE", NOTHING, ENOPROTOOPT, OPTION(SOL_SOCKET, SO_SNDBUFFORCE)},
    {"SO_RXQ_OVFL", NOTHING, ENOPROTOOPT, OPTION(SOL_SOCKET, SO_RXQ_OVFL)},
    {"SO_MEMINFO", NOTHING, ENOPROTOOPT, READING(SOL_SOCKET, SO_MEMINFO)},
    {"ICMP_FILTER", NOTHING, ENOPROTOOPT, OPTION(255 /* SOL_RAW */, ICMP_FILTER)},
    {"ICMPV6_FILTER", NOTHING, ENOPROTOOPT, OPTION(IPPROTO_ICMPV6, ICMPV6_FILTER)},
    {"IP_PKTINFO", NOTHING, ENOPROTOOPT, OPTION(IPPROTO_IP, IP_PKTINFO)},
    {"IPV6_RECVPKTINFO", NOTHING, ENOPROTOOPT, OPTION(IPPROTO_IPV6, IPV6_RECVPKTINFO)},
    {"IP_MTU_DISCOVER", NOTHING, ENOPROTOOPT, OPTION(IPPROTO_IP, IP_MTU_DISCOVER)},
    {"sched_getaffinity", NOTHING, ENOSYS, {SYS_sched_getaffinity, SYS_sched_setaffinity}},
    {"prctl", NOTHING, ENOSYS, {SYS_prctl}},
    {"flock", NOTHING, ENOSYS, {SYS_flock}},
};
const size_t refusal_count = sizeof(refusals) / sizeof(refusals[0]);

const char *profile_name(size_t number)
{
    return number < sizeof(profiles) / sizeof(profiles[0]) ? profiles[number].name : NULL;
}

uint32_t profile_find(const char *name)
{
    for (size_t i = 0; profile_name(i); i++)
        if (strcmp(profile_name(i), name) == 0)
            return profiles[i].bit;
    return 0;
}

const struct kernel_name *profile_kernel(uint32_t profile)
{
    for (size_t i = 0; profile_name(i); i++)
        if (profiles[i].bit == profile && profiles[i].kernel.system)
            return &profiles[i].kernel;
    return NULL;
}

bool profile_cannot_destroy(uint32_t profile)
{
    return profile & XEN_4_4;
}

bool profile_has_no_proc(uint32_t profile)
{
    return profile & BARE;
}
