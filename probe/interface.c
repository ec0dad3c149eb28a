/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/interface.h"

#include "probe/lacking.h"

#include <ifaddrs.h>
#include <sys/ioctl.h>

bool interface_option_is_unknown(int error)
{
    return error == ENOPROTOOPT || error == ENOSYS || error == EOPNOTSUPP || error == EINVAL;
}

static int bind_by_name(int fd, uint32_t ifindex)
{
    char name[IF_NAMESIZE];

    if (!if_indextoname(ifindex, name))
        return -ENODEV;
    if (lacking_error(LACKING_BIND_TO_DEVICE))
        return -ENOPROTOOPT;
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) == 0)
        return 0;
    if (!interface_option_is_unknown(errno))
        return -errno;
    lacking_note(LACKING_BIND_TO_DEVICE, -errno);
    return -ENOPROTOOPT;
}

int interface_bind(int fd, uint32_t ifindex)
{
    int index = (int)ifindex;

    if (!lacking_error(LACKING_BIND_TO_IFINDEX)) {
        if (setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index)) == 0)
            return 0;
        if (!interface_option_is_unknown(errno))
            return -errno;
        lacking_note(LACKING_BIND_TO_IFINDEX, -errno);
    }
    return bind_by_name(fd, ifindex);
}

static struct address address_by_ioctl(const char *name)
{
    CLEANUP(close_fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {0};
    struct sockaddr_storage answer = {0};

    memcpy(request.ifr_name, name, strnlen(name, sizeof(request.ifr_name) - 1));
    if (fd < 0 || ioctl(fd, SIOCGIFADDR, &request) < 0)
        return (struct address){0};
    memcpy(&answer, &request.ifr_addr, sizeof(request.ifr_addr));
    return address_from_sockaddr((struct sockaddr *)&answer);
}

struct address interface_first_address(const char *name, int family)
{
    struct address address = {0};
    struct ifaddrs *all;

    if (getifaddrs(&all) < 0)
        return family == AF_INET ? address_by_ioctl(name) : address;
    for (const struct ifaddrs *one = all; one && !address_is_set(&address); one = one->ifa_next)
        if (one->ifa_addr && one->ifa_addr->sa_family == family &&
            strncmp(one->ifa_name, name, IF_NAMESIZE) == 0)
            address = address_from_sockaddr(one->ifa_addr);
    freeifaddrs(all);
    return address;
}
