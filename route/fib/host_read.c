/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links and addresses of this host as the C library and ioctl() tell them. Less than netlink knows: no metric of a
 * connected network, and no word on whether an address is a secondary one.
 */
#include "route/fib/host.h"

#include <ifaddrs.h>
#include <sys/ioctl.h>

#define INTERFACES_MAX 512 /* of SIOCGIFCONF */

static uint8_t prefix_length(const struct address *netmask)
{
    unsigned length = 0;

    for (size_t i = 0; i < address_size_bytes(netmask); i++)
        length += (unsigned)__builtin_popcount(netmask->bytes[i]);
    return (uint8_t)length;
}

static uint32_t mtu_of(int fd, const char *name)
{
    struct ifreq request = {0};

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    return ioctl(fd, SIOCGIFMTU, &request) == 0 && request.ifr_mtu > 0 ? (uint32_t)request.ifr_mtu : 0;
}

/* An interface may come up more than once. 0 or -ENOMEM. */
static int add_link(struct fib_host *host, int fd, const char *name, uint32_t ifindex, unsigned flags)
{
    const unsigned working = IFF_UP | IFF_RUNNING;
    struct fib_link link = {
        .ifindex = ifindex, .usable = (flags & working) == working, .loopback = flags & IFF_LOOPBACK};

    if (fib_host_link(host, ifindex))
        return 0;
    link.mtu_bytes = mtu_of(fd, name);
    snprintf(link.name, sizeof(link.name), "%s", name);
    return fib_host_add_link(host, &link);
}

static int add_address(struct fib_host *host, uint32_t ifindex, const struct sockaddr *own,
                       const struct sockaddr *netmask, const struct sockaddr *peer)
{
    struct fib_own_address address = {.ifindex = ifindex, .address = address_from_sockaddr(own)};
    struct address mask = netmask ? address_from_sockaddr(netmask) : (struct address){0};

    if (!address_is_set(&address.address))
        return 0;
    mask.family = address.address.family; /* some systems leave it out */
    address.network = peer ? address_from_sockaddr(peer) : address.address;
    address.prefix_length = prefix_length(&mask);
    if (address_is_link_local(&address.address))
        address.address.scope = ifindex;
    return fib_host_add_address(host, &address);
}

static int add_entry(struct fib_host *host, int fd, const struct ifaddrs *entry)
{
    uint32_t ifindex = if_nametoindex(entry->ifa_name);
    const struct sockaddr *peer = entry->ifa_flags & IFF_POINTOPOINT ? entry->ifa_dstaddr : NULL;
    int r;

    if (ifindex == 0)
        return 0; /* it went meanwhile */
    r = add_link(host, fd, entry->ifa_name, ifindex, entry->ifa_flags);
    return r < 0 || !entry->ifa_addr ? r
                                     : add_address(host, ifindex, entry->ifa_addr, entry->ifa_netmask, peer);
}

static int read_by_getifaddrs(struct fib_host *host, int fd)
{
    struct ifaddrs *list;
    int r = 0;

    if (getifaddrs(&list) < 0)
        return -errno;
    for (const struct ifaddrs *entry = list; entry && r == 0; entry = entry->ifa_next)
        r = add_entry(host, fd, entry);
    freeifaddrs(list);
    return r;
}

static int add_request(struct fib_host *host, int fd, const struct ifreq *own)
{
    struct ifreq request = *own;
    uint32_t ifindex;
    unsigned flags;
    int r;

    if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
        return 0; /* it went meanwhile */
    ifindex = (uint32_t)request.ifr_ifindex;
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
        return -errno;
    flags = (unsigned short)request.ifr_flags;
    r = add_link(host, fd, own->ifr_name, ifindex, flags);
    request = *own;
    if (r < 0 || ioctl(fd, SIOCGIFNETMASK, &request) < 0)
        return r < 0 ? r : -errno;
    return add_address(host, ifindex, &own->ifr_addr, &request.ifr_netmask, NULL);
}

static int read_by_ioctl(struct fib_host *host, int fd)
{
    struct ifreq *requests = calloc(INTERFACES_MAX, sizeof(*requests));
    struct ifconf all = {.ifc_len = INTERFACES_MAX * (int)sizeof(*requests), .ifc_req = requests};
    int r = requests ? 0 : -ENOMEM;

    if (r == 0 && ioctl(fd, SIOCGIFCONF, &all) < 0)
        r = -errno;
    for (size_t i = 0; r == 0 && i < (size_t)all.ifc_len / sizeof(*requests); i++)
        r = add_request(host, fd, &requests[i]);
    free(requests);
    return r;
}

int fib_host_read_by_ioctl(struct fib_host *host)
{
    CLEANUP(close_fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return fd < 0 ? -errno : read_by_ioctl(host, fd);
}

int fib_host_read(struct fib_host *host)
{
    CLEANUP(close_fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int r;

    if (fd < 0)
        return -errno;
    r = read_by_getifaddrs(host, fd);
    if (r == 0 || r == -ENOMEM)
        return r;
    fib_host_clear(host);
    return read_by_ioctl(host, fd);
}
