/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command/capability.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/io_uring.h>
#include <linux/net_tstamp.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

/* Each try gives 0 or a negative errno. */

static int opened(int fd)
{
    int r = fd < 0 ? -errno : 0;

    close_fd(fd);
    return r;
}

static int done(long result)
{
    return result < 0 ? -errno : 0;
}

/* --- sockets ---------------------------------------------------------------------------------------------- */

static int try_netlink(void)
{
    return opened(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
}

/* A socket that does not exist: a kernel that could destroy it says so (sock_diag(7)). */
static int try_sock_destroy(void)
{
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 body;
    } request = {
        .header = {.nlmsg_len = sizeof(request),
                   .nlmsg_type = SOCK_DESTROY,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
        .body = {.sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP},
    };
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[256];
    } answer = {0};
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    CLEANUP(close_fd) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    ssize_t got;

    /* The kernel answers while it is asked: there is nothing to wait for. */
    if (fd < 0 ||
        sendto(fd, &request, sizeof(request), 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0 ||
        (got = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT)) < 0)
        return -errno;
    if ((size_t)got < sizeof(answer.header) + sizeof(answer.error.error))
        return -EBADMSG;
    return answer.error.error == -ENOENT ? 0 : answer.error.error;
}

static int try_getifaddrs(void)
{
    struct ifaddrs *list;

    if (getifaddrs(&list) < 0)
        return -errno;
    freeifaddrs(list);
    return 0;
}

static int try_ping_sockets(void)
{
    return opened(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP));
}

static int try_raw_sockets(void)
{
    return opened(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
}

static int try_raw_sockets6(void)
{
    return opened(socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6));
}

/* A UDP socket of the loopback that talks to itself, so that messages can be sent and come. */
static int open_echo(void)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && (bind(fd, (struct sockaddr *)&name, length) < 0 ||
                    getsockname(fd, (struct sockaddr *)&name, &length) < 0 ||
                    connect(fd, (struct sockaddr *)&name, length) < 0))
        return close_fd(fd);
    return fd;
}

static int try_messages(int (*call)(int fd, struct mmsghdr *message))
{
    char byte = 0;
    struct iovec vector = {&byte, 1};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &vector, .msg_iovlen = 1}};
    CLEANUP(close_fd) int fd = open_echo();

    if (fd < 0 || (send(fd, &byte, 1, 0) < 0 && errno != ECONNREFUSED))
        return -errno;
    return call(fd, &message) < 0 ? -errno : 0;
}

static int call_recvmmsg(int fd, struct mmsghdr *message)
{
    return recvmmsg(fd, message, 1, MSG_DONTWAIT, NULL);
}

static int call_sendmmsg(int fd, struct mmsghdr *message)
{
    return sendmmsg(fd, message, 1, MSG_DONTWAIT);
}

static int try_recvmmsg(void)
{
    return try_messages(call_recvmmsg);
}

static int try_sendmmsg(void)
{
    return try_messages(call_sendmmsg);
}

static int try_option(int fd, int level, int option, const void *value, size_t size_bytes)
{
    int r = fd < 0 || setsockopt(fd, level, option, value, (socklen_t)size_bytes) < 0 ? -errno : 0;

    close_fd(fd);
    return r;
}

static int udp_socket(void)
{
    return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int try_flag(int level, int option, int value)
{
    return try_option(udp_socket(), level, option, &value, sizeof(value));
}

static int try_icmp_filter(void)
{
    const uint32_t nothing = UINT32_MAX;
    const int icmp_filter = 1; /* linux/icmp.h, which does not go with netinet/ip_icmp.h */

    return try_option(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP), SOL_RAW, icmp_filter, &nothing,
                      sizeof(nothing));
}

static int try_attach_filter(void)
{
    struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, UINT32_MAX)};
    const struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

    return try_option(udp_socket(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int try_bind_to_ifindex(void)
{
    return try_flag(SOL_SOCKET, SO_BINDTOIFINDEX, 0);
}

static int try_bind_to_device(void)
{
    return try_option(udp_socket(), SOL_SOCKET, SO_BINDTODEVICE, "", 0);
}

static int try_timestamping(void)
{
    return try_flag(SOL_SOCKET, SO_TIMESTAMPING, SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE);
}

static int try_recverr(void)
{
    return try_flag(IPPROTO_IP, IP_RECVERR, 1);
}

static int try_receive_buffer(void)
{
    return try_flag(SOL_SOCKET, SO_RCVBUFFORCE, 1 << 16);
}

static int try_pktinfo(void)
{
    return try_flag(IPPROTO_IP, IP_PKTINFO, 1);
}

static int try_dont_fragment(void)
{
    return try_flag(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
}

static int try_meminfo(void)
{
    uint32_t info[SK_MEMINFO_VARS];
    socklen_t length = sizeof(info);
    CLEANUP(close_fd) int fd = udp_socket();

    return fd < 0 ? -errno : done(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length));
}

/* --- waiting ---------------------------------------------------------------------------------------------- */

static int try_uring(void)
{
    struct io_uring_params parameters = {0};

    return opened((int)syscall(SYS_io_uring_setup, 1, &parameters));
}

/* The whole way: some hosts let one create it and refuse to wait on it. */
static int wait_by_epoll(int watched, long (*wait)(int fd, struct epoll_event *event))
{
    struct epoll_event event = {.events = EPOLLOUT};
    CLEANUP(close_fd) int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0 || watched < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, watched, &event) < 0 || wait(fd, &event) < 0)
        return -errno;
    return 0;
}

static long call_epoll_wait(int fd, struct epoll_event *event)
{
    return epoll_wait(fd, event, 1, 0);
}

static long call_epoll_pwait2(int fd, struct epoll_event *event)
{
    const struct timespec none = {0};

    return syscall(SYS_epoll_pwait2, fd, event, 1, &none, NULL, 0);
}

static int try_epoll(void)
{
    CLEANUP(close_fd) int fd = udp_socket();

    return wait_by_epoll(fd, call_epoll_wait);
}

static int try_epoll_of_unix_sockets(void)
{
    CLEANUP(close_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return wait_by_epoll(fd, call_epoll_wait);
}

static int try_epoll_pwait2(void)
{
    CLEANUP(close_fd) int fd = udp_socket();

    return wait_by_epoll(fd, call_epoll_pwait2);
}

static int try_ppoll(void)
{
    return done(ppoll(NULL, 0, &(struct timespec){0}, NULL));
}

static int try_eventfd(void)
{
    return opened(eventfd(0, EFD_CLOEXEC));
}

static int try_timerfd(void)
{
    return opened(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
}

static int try_signalfd(void)
{
    sigset_t none;

    sigemptyset(&none);
    return opened(signalfd(-1, &none, SFD_CLOEXEC));
}

static int try_inotify(void)
{
    return opened(inotify_init1(IN_CLOEXEC));
}

/* --- the rest --------------------------------------------------------------------------------------------- */

static int try_getrandom(void)
{
    char byte;

    return done(getrandom(&byte, 1, 0));
}

static int try_ioctl(int family, unsigned long request)
{
    int on = 1;
    CLEANUP(close_fd) int fd = socket(family, SOCK_DGRAM, 0);

    return fd < 0 ? -errno : done(ioctl(fd, request, &on));
}

static int try_fionbio(void)
{
    return try_ioctl(AF_UNIX, FIONBIO);
}

static int try_fioclex(void)
{
    return try_ioctl(AF_INET, FIOCLEX);
}

static int try_madvise(void)
{
    const size_t size_bytes = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int r;

    if (page == MAP_FAILED)
        return -errno;
    r = done(madvise(page, size_bytes, MADV_DONTNEED));
    munmap(page, size_bytes);
    return r;
}

static int try_boottime(void)
{
    return done(clock_gettime(CLOCK_BOOTTIME, &(struct timespec){0}));
}

static int try_fork(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return pid < 0 ? -errno : done(waitpid(pid, NULL, 0));
}

static void *do_nothing(void *context)
{
    return context;
}

static int try_thread(void)
{
    pthread_t thread;
    int r = -pthread_create(&thread, NULL, do_nothing, NULL);

    return r < 0 ? r : -pthread_join(thread, NULL);
}

/* The name is nobody's, and is gone with the socket. */
static int try_abstract_name(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    CLEANUP(close_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "reroute-capabilities/%d", (int)getpid());
    return fd < 0 ? -errno : done(bind(fd, (struct sockaddr *)&name, sizeof(name)));
}

static int try_peercred(void)
{
    struct ucred user;
    socklen_t length = sizeof(user);
    int fds[2], r;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    r = done(getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &user, &length));
    close_fd(fds[0]);
    close_fd(fds[1]);
    return r;
}

static int try_flock(void)
{
    CLEANUP(close_fd) int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : done(flock(fd, LOCK_SH | LOCK_NB));
}

static int try_prctl(void)
{
    int number;

    return done(prctl(PR_GET_PDEATHSIG, &number));
}

static int try_proc(void)
{
    return done(access("/proc/self/fd", R_OK));
}

static int try_sys(void)
{
    return done(access("/sys/class/net", R_OK));
}

/* --- the table -------------------------------------------------------------------------------------------- */

const struct capability capabilities[] = {
    {LACKING_NETLINK, "socket(AF_NETLINK)", try_netlink},
    {LACKING_KINDS, "SOCK_DESTROY of no socket", try_sock_destroy, "SOCK_DESTROY",
     "connections end by their own timers"},
    {LACKING_KINDS, "getifaddrs()", try_getifaddrs, "getifaddrs", "ioctl(), IPv4 only"},
    {LACKING_PING_SOCKETS, "socket(SOCK_DGRAM, IPPROTO_ICMP)", try_ping_sockets},
    {LACKING_KINDS, "socket(SOCK_RAW, IPPROTO_ICMP)", try_raw_sockets, "raw sockets", "ping sockets"},
    {LACKING_KINDS, "socket(SOCK_RAW, IPPROTO_ICMPV6)", try_raw_sockets6, "raw sockets of IPv6",
     "ping sockets"},
    {LACKING_RECVMMSG, "recvmmsg()", try_recvmmsg},
    {LACKING_SENDMMSG, "sendmmsg()", try_sendmmsg},
    {LACKING_ICMP_FILTER, "setsockopt() of a raw socket", try_icmp_filter},
    {LACKING_ATTACH_FILTER, "setsockopt()", try_attach_filter},
    {LACKING_BIND_TO_IFINDEX, "setsockopt(), no interface", try_bind_to_ifindex},
    {LACKING_BIND_TO_DEVICE, "setsockopt(), no interface", try_bind_to_device},
    {LACKING_TIMESTAMPING, "setsockopt()", try_timestamping},
    {LACKING_RECVERR, "setsockopt()", try_recverr},
    {LACKING_PKTINFO, "setsockopt()", try_pktinfo},
    {LACKING_DONT_FRAGMENT, "setsockopt()", try_dont_fragment},
    {LACKING_MEMINFO, "getsockopt()", try_meminfo},
    {LACKING_KINDS, "setsockopt()", try_receive_buffer, "SO_RCVBUFFORCE",
     "SO_RCVBUF, as much as the host allows"},
    {LACKING_IO_URING, "io_uring_setup()", try_uring},
    {LACKING_EPOLL, "epoll_create1(), epoll_ctl(), epoll_wait()", try_epoll},
    {LACKING_KINDS, "epoll_create1(), epoll_ctl(), epoll_wait()", try_epoll_of_unix_sockets,
     "epoll of Unix sockets", "poll()"},
    {LACKING_EPOLL_PWAIT2, "epoll_pwait2()", try_epoll_pwait2},
    {LACKING_PPOLL, "ppoll()", try_ppoll},
    {LACKING_EVENTFD, "eventfd()", try_eventfd},
    {LACKING_KINDS, "timerfd_create()", try_timerfd, "timerfd", "timeouts in milliseconds"},
    {LACKING_KINDS, "signalfd()", try_signalfd, "signalfd", "handlers: it is not used"},
    {LACKING_INOTIFY, "inotify_init1()", try_inotify},
    {LACKING_GETRANDOM, "getrandom()", try_getrandom},
    {LACKING_KINDS, "ioctl()", try_fionbio, "FIONBIO of Unix sockets", "fcntl()"},
    {LACKING_KINDS, "ioctl()", try_fioclex, "FIOCLEX", "fcntl()"},
    {LACKING_KINDS, "madvise(MADV_DONTNEED)", try_madvise, "madvise", "it is not needed"},
    {LACKING_KINDS, "clock_gettime()", try_boottime, "CLOCK_BOOTTIME", "CLOCK_MONOTONIC"},
    {LACKING_KINDS, "fork(), waitpid()", try_fork, "fork", "nothing: no route command can be run"},
    {LACKING_KINDS, "pthread_create()", try_thread, "threads", "nothing: the agent cannot run"},
    {LACKING_KINDS, "bind()", try_abstract_name, "abstract Unix sockets", "the lock on a file alone"},
    {LACKING_KINDS, "getsockopt() of a socket pair", try_peercred, "SO_PEERCRED",
     "all users of the control socket count as one"},
    {LACKING_KINDS, "flock() of \"/\"", try_flock, "flock", "the lock on a name alone"},
    {LACKING_KINDS, "prctl(PR_GET_PDEATHSIG)", try_prctl, "prctl",
     "an agent may outlive a killed supervisor"},
    {LACKING_KINDS, "access(\"/proc/self/fd\")", try_proc, "/proc",
     "no sysctls, no boot id, no other agent's number"},
    {LACKING_KINDS, "access(\"/sys/class/net\")", try_sys, "/sys",
     "names and machine id tell hosts apart, not cards"},
};
const size_t capability_count = ARRAY_SIZE(capabilities);
_Static_assert(ARRAY_SIZE(capabilities) <= CAPABILITIES_MAX, "results have room");

const char *capability_what(const struct capability *capability)
{
    return capability->what ? capability->what : lacking_row(capability->lacking)->what;
}

const char *capability_instead(const struct capability *capability)
{
    return capability->instead ? capability->instead : lacking_row(capability->lacking)->instead;
}

bool capability_is_probing(const struct capability *capability)
{
    return capability->try == try_ping_sockets || capability->try == try_raw_sockets;
}
