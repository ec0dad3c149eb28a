/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The responder's TUN device.
 *
 * Its queue is as long as the kernel allows (QUEUE_PACKETS at most; kernels before 6.18 were seen to stop at
 * 32767), since a prober sends a burst faster than it can be answered, and a request dropped here would look
 * like loss on the network; what was dropped all the same is counted by the kernel. Its MTU is the largest
 * there is, so that the host never fragments: how big a packet may be is the profile's decision. All by
 * netlink; without persistence, so that the device ends with its last descriptor.
 */
#include "bench/responder/device.h"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#define QUEUE_PACKETS     262143 /* one less than a power of two, and so are all its halves */
#define QUEUE_PACKETS_MIN 1023
#define MTU_BYTES         65535
/* How long the kernel may take to make an address usable: it does within a millisecond when it is idle. */
#define LOCAL_DEADLINE_NS (5 * NS_PER_S)

struct complaint {
    char *message;
    size_t size_bytes;
};

static int PRINTF_LIKE(3, 4) fail(const struct complaint *to, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(to->message, to->size_bytes, format, arguments);
    va_end(arguments);
    return error;
}

/* What the kernel says of a failed request, or the error's own text. */
static const char *reason(const struct responder_device *device, int error)
{
    return device->netlink.message[0] ? device->netlink.message : strerror(-error);
}

static int open_tun(struct responder_device *device, const char *name, const struct complaint *to)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_TUN_EXCL};
    int error;

    if (name[0] == '\0' || strlen(name) >= IFNAMSIZ)
        return fail(to, -EINVAL, "'%s' is no name for a device", name);
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    device->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device->fd < 0) {
        error = -errno;
        return fail(to, error, "/dev/net/tun: %s", strerror(-error));
    }
    if (ioctl(device->fd, TUNSETIFF, &request) < 0) {
        error = -errno;
        return fail(to, error, "cannot make the device %s: %s", name,
                    error == -EBUSY   ? "there is one of this name"
                    : error == -EPERM ? "CAP_NET_ADMIN is missing"
                                      : strerror(-error));
    }
    device->index = (int)if_nametoindex(name);
    return device->index ? 0 : fail(to, -ENODEV, "the device %s has gone", name);
}

/* The request that brings the device up, with a queue of this length. */
static int request_up(struct responder_device *device, uint32_t packets)
{
    union netlink_request request = {0};
    struct nlmsghdr *header = mnl_nlmsg_put_header(&request);
    struct ifinfomsg *link = mnl_nlmsg_put_extra_header(header, sizeof(*link));

    header->nlmsg_type = RTM_NEWLINK;
    link->ifi_index = device->index;
    link->ifi_flags = link->ifi_change = IFF_UP;
    mnl_attr_put_u32(header, IFLA_TXQLEN, packets);
    mnl_attr_put_u32(header, IFLA_MTU, MTU_BYTES);
    return netlink_request(&device->netlink, header, NULL, NULL);
}

/* How long a queue may be depends on the kernel and on its memory: what it refuses is asked for by half. */
static int bring_up(struct responder_device *device, const struct complaint *to)
{
    uint32_t packets = QUEUE_PACKETS;
    int r = request_up(device, packets);

    while ((r == -ERANGE || r == -EINVAL || r == -ENOMEM) && packets > QUEUE_PACKETS_MIN) {
        packets /= 2;
        r = request_up(device, packets);
    }
    return r ? fail(to, r, "cannot bring the device up: %s", reason(device, r)) : 0;
}

static int add_address(struct responder_device *device, const struct responder_prefix *prefix,
                       const struct complaint *to)
{
    union netlink_request request = {0};
    struct nlmsghdr *header = mnl_nlmsg_put_header(&request);
    struct ifaddrmsg *address = mnl_nlmsg_put_extra_header(header, sizeof(*address));
    size_t size_bytes = address_size_bytes(&prefix->address);
    int r;

    header->nlmsg_type = RTM_NEWADDR;
    header->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
    address->ifa_family = prefix->address.family;
    address->ifa_prefixlen = prefix->length;
    address->ifa_flags = prefix->address.family == AF_INET6 ? IFA_F_NODAD : 0;
    address->ifa_index = (unsigned)device->index;
    mnl_attr_put(header, IFA_LOCAL, size_bytes, prefix->address.bytes);
    mnl_attr_put(header, IFA_ADDRESS, size_bytes, prefix->address.bytes);
    r = netlink_request(&device->netlink, header, NULL, NULL);
    return r ? fail(to, r, "cannot add the address %s/%u: %s", ADDRESS_TEXT(&prefix->address), prefix->length,
                    reason(device, r))
             : 0;
}

static int read_type(void *context, const struct nlmsghdr *message)
{
    const struct rtmsg *route = mnl_nlmsg_get_payload(message);
    uint8_t *type = context;

    *type = route->rtm_type;
    return 0;
}

/*
 * Waits until the kernel takes what is sent to this address for its own. It adds an IPv6 address at once, but
 * the local route to it later, in a worker: until then answers are dropped (Ip6InAddrErrors).
 */
static int wait_for_local(struct responder_device *device, const struct responder_prefix *prefix,
                          const struct complaint *to)
{
    uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + LOCAL_DEADLINE_NS;

    while (clock_now_ns(CLOCK_MONOTONIC) < until_ns) {
        union netlink_request request = {0};
        struct nlmsghdr *header = mnl_nlmsg_put_header(&request);
        struct rtmsg *route = mnl_nlmsg_put_extra_header(header, sizeof(*route));
        uint8_t type = RTN_UNSPEC;

        header->nlmsg_type = RTM_GETROUTE;
        route->rtm_family = prefix->address.family;
        route->rtm_dst_len = (uint8_t)(8 * address_size_bytes(&prefix->address));
        mnl_attr_put(header, RTA_DST, address_size_bytes(&prefix->address), prefix->address.bytes);
        if (netlink_request(&device->netlink, header, read_type, &type) == 0 && type == RTN_LOCAL)
            return 0;
        poll(NULL, 0, 1);
    }
    return fail(to, -ETIMEDOUT, "the kernel does not take the address %s for its own",
                ADDRESS_TEXT(&prefix->address));
}

static int add_route(struct responder_device *device, const struct responder_prefix *prefix,
                     const struct complaint *to)
{
    union netlink_request request = {0};
    struct nlmsghdr *header = mnl_nlmsg_put_header(&request);
    struct rtmsg *route = mnl_nlmsg_put_extra_header(header, sizeof(*route));
    int r;

    header->nlmsg_type = RTM_NEWROUTE;
    header->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL;
    route->rtm_family = prefix->address.family;
    route->rtm_dst_len = prefix->length;
    route->rtm_table = RT_TABLE_MAIN;
    route->rtm_protocol = RTPROT_STATIC;
    route->rtm_scope = prefix->address.family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    route->rtm_type = RTN_UNICAST;
    if (prefix->length)
        mnl_attr_put(header, RTA_DST, address_size_bytes(&prefix->address), prefix->address.bytes);
    mnl_attr_put_u32(header, RTA_OIF, (uint32_t)device->index);
    r = netlink_request(&device->netlink, header, NULL, NULL);
    return r ? fail(to, r, "cannot add the route %s/%u: %s", ADDRESS_TEXT(&prefix->address), prefix->length,
                    reason(device, r))
             : 0;
}

static int set_up(struct responder_device *device, const struct responder_settings *settings,
                  const struct complaint *to)
{
    int r = netlink_open(&device->netlink, NETLINK_ROUTE);

    if (r < 0)
        return fail(to, r, "cannot open a netlink socket: %s", strerror(-r));
    r = open_tun(device, settings->tun, to);
    if (r == 0)
        r = bring_up(device, to);
    for (size_t i = 0; r == 0 && i < settings->address_count; i++)
        r = add_address(device, &settings->addresses[i], to);
    for (size_t i = 0; r == 0 && i < settings->address_count; i++)
        r = wait_for_local(device, &settings->addresses[i], to);
    for (size_t i = 0; r == 0 && i < settings->route_count; i++)
        r = add_route(device, &settings->routes[i], to);
    return r;
}

int responder_device_open(struct responder_device *device, const struct responder_settings *settings,
                          char *message, size_t size_bytes)
{
    const struct complaint to = {message, size_bytes};
    int r;

    *device = (struct responder_device){.fd = -1};
    r = set_up(device, settings, &to);
    if (r < 0)
        responder_device_close(device);
    return r;
}

void responder_device_close(struct responder_device *device)
{
    device->fd = close_fd(device->fd);
    netlink_close(&device->netlink);
}

static int read_drops(void *context, const struct nlmsghdr *message)
{
    struct nlattr *attribute;
    int64_t *drops = context;

    mnl_attr_for_each(attribute, message, sizeof(struct ifinfomsg))
    {
        struct rtnl_link_stats64 figures = {0};
        size_t size_bytes = mnl_attr_get_payload_len(attribute);

        if (mnl_attr_get_type(attribute) != IFLA_STATS64)
            continue;
        memcpy(&figures, mnl_attr_get_payload(attribute), min_u64(size_bytes, sizeof(figures)));
        *drops = (int64_t)figures.tx_dropped;
    }
    return 0;
}

int64_t responder_device_drops(struct responder_device *device)
{
    union netlink_request request = {0};
    struct nlmsghdr *header = mnl_nlmsg_put_header(&request);
    struct ifinfomsg *link = mnl_nlmsg_put_extra_header(header, sizeof(*link));
    int64_t drops = -ENODATA;
    int r;

    header->nlmsg_type = RTM_GETLINK;
    link->ifi_index = device->index;
    r = netlink_request(&device->netlink, header, read_drops, &drops);
    return r ? r : drops;
}
