/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP sockets: one for each family serves any number of targets and interfaces.
 *
 * TWO KINDS do the same for us.
 *
 *                     ping socket (SOCK_DGRAM)               raw socket (SOCK_RAW)
 *   needs             ping_group_range, a sysctl that is     CAP_NET_RAW
 *                     closed by default ("1 0"), to root too
 *   ident             the kernel's; it hands out replies     ours; a BPF filter on it, after the copy
 *                     and errors by it
 *   gets              what is for it                         a copy of all ICMP that reaches the host; a
 *                                                            filter by type, before the copy
 *   network errors    by the error queue                     as packets too, with the quoted IP header
 *
 * Ping sockets come first. They cost no more, and are better neighbours: nothing of other programs reaches
 * them, nothing of ours is copied for them, no two have the same ident. The error queue says all we need.
 *
 * Several raw sockets would cost a copy of every reply for each that may hear it. So where there are several,
 * one hears and the others only send, see transport_shared.c.
 *
 * Everything is asked for by trying. What only makes us better (filters, buffers, time stamps, drop counters) may
 * fail: it is noted (lacking.h), and the engine, which trusts no message, has more to look at. What the caller asked
 * for (source, interface, mark, TOS, TTL) may not. Where there is no way to bind to an interface, the socket is bound
 * to its address, to which replies must come then.
 */
#include "probe/socket.h"

#include "probe/interface.h"
#include "probe/lacking.h"
#include "probe/unguessable.h"

#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/icmp.h>
#include <linux/net_tstamp.h>
#include <linux/sock_diag.h>
#include <netinet/icmp6.h>

/*
 * What one waiting reply takes from a receive buffer: its payload and the kernel's own bookkeeping. On a veth
 * pair that is 832 bytes for a small one; network cards that receive into half pages take up to 2304.
 */
#define REPLY_COST_BYTES 2304
/* The most we ask for. It is a limit, not an allocation: only waiting packets take memory. */
#define BUFFER_MAX_BYTES (64 << 20)

/* What the note that a request has left takes from the receive buffer until it is read. */
#define DEPARTURE_COST_BYTES 1024

/* Not in every libc's headers. */
#ifndef IPV6_DONTFRAG
#define IPV6_DONTFRAG 62
#endif

static int set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int attach_filter(int fd, struct sock_filter *code, size_t length)
{
    struct sock_fprog program = {.len = (unsigned short)length, .filter = code};

    return lacking_note(LACKING_ATTACH_FILTER,
                        setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
                                                                                                    : 0);
}

/*
 * A raw IPv4 socket sees the IP header first. Errors are known by the ident of the request they quote. The
 * idents are a power of two and begin at a multiple of that.
 */
static int attach_ident_filter4(int fd, uint16_t ident, uint16_t idents)
{
    struct sock_filter code[] = {
        /*  0 */ BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), /* X: the ICMP header */
        /*  1 */ BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
        /*  2 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP_ECHOREPLY, 8, 0),
        /*  3 */ BPF_STMT(BPF_LD | BPF_B | BPF_IND, 8 + 9), /* protocol of the quoted packet */
        /*  4 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMP, 0, 9),
        /*  5 */ BPF_STMT(BPF_LD | BPF_B | BPF_IND, 8),
        /*  6 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf),
        /*  7 */ BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 2),
        /*  8 */ BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
        /*  9 */ BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 8),
        /* 10 */ BPF_STMT(BPF_MISC | BPF_TAX, 0), /* X: the quoted ICMP header */
        /* 11 */ BPF_STMT(BPF_LD | BPF_H | BPF_IND, 4),
        /* 12 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~(uint32_t)(idents - 1)),
        /* 13 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ident, 1, 0),
        /* 14 */ BPF_STMT(BPF_RET | BPF_K, 0),
        /* 15 */ BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };

    return attach_filter(fd, code, ARRAY_SIZE(code));
}

/* A raw IPv6 socket sees the ICMP header first. */
static int attach_ident_filter6(int fd, uint16_t ident, uint16_t idents)
{
    struct sock_filter code[] = {
        /*  0 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
        /*  1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP6_ECHO_REPLY, 5, 0),
        /*  2 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 8 + 6), /* next header of the quoted packet */
        /*  3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_FRAGMENT, 7, 0),
        /*  4 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 5),
        /*  5 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 8 + 40 + 4),
        /*  6 */ BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
        /*  7 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
        /*  8 */ BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~(uint32_t)(idents - 1)),
        /*  9 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ident, 1, 0),
        /* 10 */ BPF_STMT(BPF_RET | BPF_K, 0),
        /* 11 */ BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };

    return attach_filter(fd, code, ARRAY_SIZE(code));
}

/* By what the kernel drops before it copies a packet for us. */
static int filter_types(int fd, int family, const struct icmp_filter *filter4,
                        const struct icmp6_filter *filter6)
{
    int r = family == AF_INET ? setsockopt(fd, SOL_RAW, ICMP_FILTER, filter4, sizeof(*filter4))
                              : setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, filter6, sizeof(*filter6));

    return lacking_note(LACKING_ICMP_FILTER, r < 0 ? -errno : 0);
}

/* Only echo replies and the errors that may be about our requests. */
static int set_type_filter(int fd, int family)
{
    const struct icmp_filter filter4 = {.data = ~(1U << ICMP_ECHOREPLY | 1U << ICMP_DEST_UNREACH |
                                                  1U << ICMP_TIME_EXCEEDED | 1U << ICMP_PARAMETERPROB)};
    struct icmp6_filter filter6;

    ICMP6_FILTER_SETBLOCKALL(&filter6);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter6);
    ICMP6_FILTER_SETPASS(ICMP6_DST_UNREACH, &filter6);
    ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &filter6);
    ICMP6_FILTER_SETPASS(ICMP6_TIME_EXCEEDED, &filter6);
    ICMP6_FILTER_SETPASS(ICMP6_PARAM_PROB, &filter6);
    return filter_types(fd, family, &filter4, &filter6);
}

/* Binds to the source address, if any. A ping socket gets its ident by it, also without an address. */
static int bind_source(struct icmp_socket *s, const struct address *source, char *message, size_t size_bytes)
{
    struct address any = {.family = (uint8_t)s->family};
    struct sockaddr_storage name;
    const struct address *usual = address_is_set(&s->stand_in) ? &s->stand_in : &any;
    socklen_t length = address_to_sockaddr(address_is_set(source) ? source : usual, 0, &name);
    int r;

    if (s->raw && !address_is_set(source))
        return 0;
    if (bind(s->fd, (struct sockaddr *)&name, length) < 0) {
        r = -errno;
        snprintf(message, size_bytes, "source address %s: %s", ADDRESS_TEXT(source), strerror(-r));
        return r;
    }
    return 0;
}

/* Lets a raw socket hear so many idents from its own on. */
static int hear_idents(const struct icmp_socket *s, uint16_t idents)
{
    return s->family == AF_INET ? attach_ident_filter4(s->fd, s->ident, idents)
                                : attach_ident_filter6(s->fd, s->ident, idents);
}

/* Lets a raw socket hear nothing: the type filter works before a packet is copied for it. */
static int hear_nothing(const struct icmp_socket *s)
{
    const struct icmp_filter filter4 = {.data = UINT32_MAX};
    struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)}; /* for types that have no bit */
    struct icmp6_filter filter6;
    int r;

    ICMP6_FILTER_SETBLOCKALL(&filter6);
    r = filter_types(s->fd, s->family, &filter4, &filter6);
    return r < 0 ? r : attach_filter(s->fd, code, ARRAY_SIZE(code));
}

static int find_ident(struct icmp_socket *s)
{
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof(name);

    if (s->raw) {
        int r = unguessable_fill(&s->ident, sizeof(s->ident));

        if (r == 0)
            hear_idents(s, 1);
        return r;
    }
    if (getsockname(s->fd, (struct sockaddr *)&name, &length) < 0)
        return -errno;
    s->ident = ntohs(s->family == AF_INET ? ((struct sockaddr_in *)&name)->sin_port
                                          : ((struct sockaddr_in6 *)&name)->sin6_port);
    return 0;
}

/* In place of the interface itself. A source of the caller's own stands. */
static int bind_interface_address(struct icmp_socket *s, const struct probe_settings *settings, int error)
{
    const struct address *source = s->family == AF_INET ? &settings->source4 : &settings->source6;
    struct address address = interface_first_address(settings->interface, s->family);
    struct sockaddr_storage name;
    socklen_t length = address_to_sockaddr(&address, 0, &name);

    lacking_note(LACKING_BIND_TO_DEVICE, error);
    if (address_is_set(source))
        return 0;
    if (!address_is_set(&address))
        return if_nametoindex(settings->interface) ? -EADDRNOTAVAIL : -ENODEV;
    s->stand_in = address;
    if (!s->raw) /* it is bound once, with its ident */
        return 0;
    return bind(s->fd, (struct sockaddr *)&name, length) < 0 ? -errno : 0;
}

int icmp_socket_bind_interface(struct icmp_socket *s, const struct probe_settings *settings)
{
    uint32_t index = settings->interface[0] ? if_nametoindex(settings->interface) : 0;
    int r = 0;

    if (s->fd < 0 || !settings->interface[0] || (index != 0 && index == s->ifindex))
        return 0;
    if (setsockopt(s->fd, SOL_SOCKET, SO_BINDTODEVICE, settings->interface,
                   (socklen_t)strnlen(settings->interface, IFNAMSIZ)) < 0)
        r = interface_option_is_unknown(errno) ? bind_interface_address(s, settings, -errno) : -errno;
    if (r == 0)
        s->ifindex = index;
    return r;
}

/* What the caller asked for. */
static int set_wanted_options(struct icmp_socket *s, const struct probe_settings *settings, char *message,
                              size_t size_bytes)
{
    bool v4 = s->family == AF_INET;
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    int r = icmp_socket_bind_interface(s, settings);

    if (r < 0) {
        snprintf(message, size_bytes, "interface %.*s: %s", IFNAMSIZ, settings->interface, strerror(-r));
        return r;
    }
    if (settings->mark && setsockopt(s->fd, SOL_SOCKET, SO_MARK, &settings->mark, sizeof(uint32_t)) < 0) {
        r = -errno;
        snprintf(message, size_bytes, "mark %" PRIu32 ": %s", settings->mark, strerror(-r));
        return r;
    }
    if (settings->tos)
        r = set_int(s->fd, level, v4 ? IP_TOS : IPV6_TCLASS, settings->tos);
    if (r == 0 && settings->ttl)
        r = set_int(s->fd, level, v4 ? IP_TTL : IPV6_UNICAST_HOPS, settings->ttl);
    if (r < 0) {
        snprintf(message, size_bytes, "TOS or TTL: %s", strerror(-r));
        return r;
    }
    /* The packet itself comes back, not a number: our state in it says which one it is, see engine.c. */
    s->tx_timestamps = settings->tx_timestamps;
    if (settings->tx_timestamps)
        r = set_int(s->fd, SOL_SOCKET, SO_TIMESTAMPING,
                    SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE);
    if (r < 0)
        snprintf(message, size_bytes, "TX time stamps: %s", strerror(-r));
    return r;
}

/* What makes us better where it is to be had. */
static void set_helpful_options(struct icmp_socket *s)
{
    bool v4 = s->family == AF_INET;
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;

    /* The time stamp of a packet that came before the kernel had begun to take them is told apart from the
     * others, which SO_TIMESTAMPNS does not do: it would give the time of reading. */
    lacking_note(LACKING_TIMESTAMPING, set_int(s->fd, SOL_SOCKET, SO_TIMESTAMPING,
                                               SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE));
    lacking_note(LACKING_PKTINFO, set_int(s->fd, level, v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, 1));
    s->tells_interface = !lacking_error(LACKING_PKTINFO);
    /* Errors to ping sockets come no other way, and a raw socket hides a local ENOBUFS without it. */
    lacking_note(LACKING_RECVERR, set_int(s->fd, level, v4 ? IP_RECVERR : IPV6_RECVERR, 1));
    /* Without DF on IPv4 unless it is asked for; the default would set it while the packet fits. */
    if (v4)
        lacking_note(LACKING_DONT_FRAGMENT, set_int(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT));
}

static const char *family_name(int family)
{
    return family == AF_INET ? "IPv4" : "IPv6";
}

static int open_kind(struct icmp_socket *s, int family, bool raw)
{
    int type = (raw ? SOCK_RAW : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;

    *s = (struct icmp_socket){.family = family, .raw = raw};
    s->fd = socket(family, type, family == AF_INET ? IPPROTO_ICMP : (int)IPPROTO_ICMPV6);
    return s->fd < 0 ? -errno : 0;
}

/* -EACCES is kept for sockets that are not allowed: a socket option that is refused is another matter. */
static int say_refused(int r, const char *what, int family, char *message, size_t size_bytes)
{
    snprintf(message, size_bytes, "%s: %s: %s", family_name(family), what, strerror(-r));
    return r == -EACCES ? -EPERM : r;
}

/* What sockets of both kinds need once they are open. */
static int prepare(struct icmp_socket *s, const struct probe_settings *settings, char *message,
                   size_t size_bytes)
{
    int r;

    set_helpful_options(s);
    r = set_wanted_options(s, settings, message, size_bytes);
    if (r == 0)
        r = bind_source(s, s->family == AF_INET ? &settings->source4 : &settings->source6, message,
                        size_bytes);
    /*
     * Requests that wait for their neighbour's address, for some three seconds when it does not answer, are
     * charged to our send buffer: were it full of them, nothing else could leave. A limit, no allocation.
     */
    if (r == 0 && set_int(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_MAX_BYTES / 2) < 0)
        set_int(s->fd, SOL_SOCKET, SO_SNDBUF, BUFFER_MAX_BYTES / 2);
    return r;
}

int icmp_socket_open(struct icmp_socket *s, int family, const struct probe_settings *settings, char *message,
                     size_t size_bytes)
{
    int r = lacking_note(LACKING_PING_SOCKETS, open_kind(s, family, false));

    if (r == -EACCES || r == -EPERM || r == -EPROTONOSUPPORT || r == -ESOCKTNOSUPPORT || r == -ENOSYS ||
        r == -EINVAL)
        r = open_kind(s, family, true);
    if (r == -EPERM)
        r = -EACCES;
    if (r < 0) {
        snprintf(message, size_bytes,
                 r == -EACCES ? "%s: neither ping sockets (sysctl net.ipv4.ping_group_range) nor raw sockets "
                                "(CAP_NET_RAW) are allowed"
                              : "no %s sockets",
                 family_name(family));
        goto fail;
    }
    if (s->raw)
        set_type_filter(s->fd, family);
    r = prepare(s, settings, message, size_bytes);
    if (r < 0)
        goto fail;
    r = find_ident(s);
    if (r < 0) {
        r = say_refused(r,
                        s->raw ? "no random ident (getrandom, /dev/urandom)"
                               : "cannot tell the ident of a ping socket (getsockname)",
                        family, message, size_bytes);
        goto fail;
    }
    return 0;

fail:
    icmp_socket_close(s);
    return r;
}

int icmp_socket_open_sender(struct icmp_socket *s, const struct icmp_socket *like,
                            const struct probe_settings *settings, const struct address *source)
{
    struct probe_settings own = *settings;
    int r = open_kind(s, like->family, true);

    s->ident = like->ident;
    own.source4 = *source;
    if (r == 0) {
        hear_nothing(s);
        r = prepare(s, &own, (char[1]){0}, 1);
    }
    if (r < 0)
        icmp_socket_close(s);
    return r;
}

int icmp_socket_open_raw(struct icmp_socket *s, int family, const struct probe_settings *settings,
                         uint16_t ident, uint16_t idents, char *message, size_t size_bytes)
{
    int r = open_kind(s, family, true);

    s->ident = ident;
    if (r == 0)
        r = set_type_filter(s->fd, family);
    if (r == 0)
        r = idents ? hear_idents(s, idents) : hear_nothing(s);
    if (r < 0)
        snprintf(message, size_bytes, "%s raw socket: %s", family_name(family), strerror(-r));
    else
        r = prepare(s, settings, message, size_bytes);
    /* Who hears gets errors as packets, and would only stumble over a queue of them. */
    if (r == 0 && idents)
        set_int(s->fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
                family == AF_INET ? IP_RECVERR : IPV6_RECVERR, 0);
    if (r < 0)
        icmp_socket_close(s);
    return r;
}

void icmp_socket_close(struct icmp_socket *s)
{
    s->fd = close_fd(s->fd);
}

uint32_t icmp_socket_reserve(struct icmp_socket *s, uint32_t payload_bytes, uint32_t replies)
{
    uint64_t departure_bytes = s->tx_timestamps ? DEPARTURE_COST_BYTES + payload_bytes : 0;
    uint64_t cost_bytes = REPLY_COST_BYTES + 2 * (uint64_t)payload_bytes + departure_bytes;
    uint64_t wanted_bytes = min_u64(replies * cost_bytes, BUFFER_MAX_BYTES);
    int actual_bytes = 0;
    socklen_t length = sizeof(actual_bytes);

    getsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &actual_bytes, &length);
    if ((uint64_t)actual_bytes < wanted_bytes) {
        int half_bytes = (int)(wanted_bytes / 2); /* the kernel doubles what it is told */

        if (set_int(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, half_bytes) < 0)
            set_int(s->fd, SOL_SOCKET, SO_RCVBUF, half_bytes);
        getsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &actual_bytes, &length);
    }
    return (uint32_t)max_u64(1, (uint64_t)actual_bytes / cost_bytes);
}

int icmp_socket_set_dont_fragment(struct icmp_socket *s, bool dont_fragment)
{
    int r;

    if (s->dont_fragment == dont_fragment)
        return 0;
    if (s->family == AF_INET) {
        r = set_int(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, dont_fragment ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT);
    } else {
        r = set_int(s->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
                    dont_fragment ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_WANT);
        if (r == 0)
            r = set_int(s->fd, IPPROTO_IPV6, IPV6_DONTFRAG, dont_fragment);
    }
    if (r == 0)
        s->dont_fragment = dont_fragment;
    return r;
}

/*
 * A datagram that fits through no interface is refused at once, and the error queue says what would fit. With
 * PMTUDISC_PROBE that is the interface's MTU, without it what the kernel has learnt of the path.
 */
static uint32_t refused_mtu_bytes(int fd)
{
    static const uint8_t large[PROBE_PAYLOAD_MAX_BYTES];
    _Alignas(8) uint8_t control[256];
    struct msghdr header = {.msg_control = control, .msg_controllen = sizeof(control)};
    struct sock_extended_err error = {0};

    if (send(fd, large, sizeof(large), MSG_DONTWAIT) >= 0 || errno != EMSGSIZE ||
        recvmsg(fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c))
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
            memcpy(&error, CMSG_DATA(c), sizeof(error));
    return error.ee_origin == SO_EE_ORIGIN_LOCAL ? error.ee_info : 0;
}

uint32_t icmp_socket_mtu_bytes(const struct probe_settings *settings, const struct address *to,
                               uint32_t ifindex)
{
    bool v4 = to->family == AF_INET;
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    struct sockaddr_storage name;
    socklen_t name_length = address_to_sockaddr(to, 9, &name);
    int mtu_bytes = 0;
    socklen_t length = sizeof(mtu_bytes);
    CLEANUP(close_fd) int fd = socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct icmp_socket s = {.fd = fd, .family = to->family, .raw = true};
    char ignored[1];

    if (fd < 0 || set_wanted_options(&s, settings, ignored, sizeof(ignored)) < 0 ||
        bind_source(&s, v4 ? &settings->source4 : &settings->source6, ignored, sizeof(ignored)) < 0)
        return 0;
    if (ifindex)
        interface_bind(fd, ifindex);
    set_int(fd, level, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER,
            v4 ? IP_PMTUDISC_PROBE : IPV6_PMTUDISC_PROBE);
    set_int(fd, level, v4 ? IP_RECVERR : IPV6_RECVERR, 1);
    if (!v4)
        set_int(fd, level, IPV6_DONTFRAG, 1);
    if (connect(fd, (struct sockaddr *)&name, name_length) < 0 ||
        getsockopt(fd, level, v4 ? IP_MTU : IPV6_MTU, &mtu_bytes, &length) < 0)
        return 0;
    /* What all fits through (a loopback) is not asked by sending: it would go. */
    return (uint32_t)mtu_bytes > PROBE_PAYLOAD_MAX_BYTES ? (uint32_t)mtu_bytes : refused_mtu_bytes(fd);
}

uint64_t icmp_socket_drops(struct icmp_socket *s)
{
    uint32_t info[SK_MEMINFO_VARS];
    socklen_t length = sizeof(info);

    /* The counter that SO_RXQ_OVFL attaches to packets, but ping sockets do not get that, and who loses the
     * last replies of all never sees a next packet. */
    if (getsockopt(s->fd, SOL_SOCKET, SO_MEMINFO, info, &length) < 0) {
        lacking_note(LACKING_MEMINFO, -errno);
    } else if (length > SK_MEMINFO_DROPS * sizeof(info[0])) {
        s->drops += info[SK_MEMINFO_DROPS] - s->drops_seen;
        s->drops_seen = info[SK_MEMINFO_DROPS];
    }
    return s->drops;
}
