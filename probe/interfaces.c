/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getifaddrs() is netlink underneath, in musl as in glibc. SIOCGIFCONF is older than either, and every system with
 * BSD's sockets has it.
 */
#include "probe/interfaces.h"

#include <ifaddrs.h>
#include <sys/ioctl.h>

#define CONFIGURATION_MAX 1024 /* addresses */

/* An ioctl() answers with the shortest kind of sockaddr, which is long enough for IPv4. */
static struct address address_of(const struct sockaddr *short_one)
{
    struct sockaddr_storage name = {0};

    memcpy(&name, short_one, sizeof(*short_one));
    name.ss_family = AF_INET;
    return address_from_sockaddr((struct sockaddr *)&name);
}

static uint8_t prefix_length_of(struct address mask)
{
    uint8_t length = 0;

    while (length < 8 * address_size_bytes(&mask) && mask.bytes[length / 8] & 0x80 >> length % 8)
        length++;
    return length;
}

static struct interface_address *append(struct interface_address **list, size_t *count)
{
    struct interface_address *more = reallocarray(*list, *count + 1, sizeof(*more));

    if (!more)
        return NULL;
    *list = more;
    more[*count] = (struct interface_address){0};
    return &more[(*count)++];
}

static int take_ifaddrs(const struct ifaddrs *all, struct interface_address **list)
{
    size_t count = 0;

    for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
        struct address address = one->ifa_addr ? address_from_sockaddr(one->ifa_addr) : (struct address){0};
        struct interface_address *entry;

        if (!address_is_set(&address))
            continue;
        entry = append(list, &count);
        if (!entry)
            return -ENOMEM;
        snprintf(entry->name, sizeof(entry->name), "%s", one->ifa_name);
        entry->index = if_nametoindex(one->ifa_name);
        entry->flags = one->ifa_flags;
        entry->address = entry->peer = address;
        if (one->ifa_netmask)
            entry->prefix_length = prefix_length_of(address_from_sockaddr(one->ifa_netmask));
        if (one->ifa_flags & IFF_POINTOPOINT && one->ifa_dstaddr)
            entry->peer = address_from_sockaddr(one->ifa_dstaddr);
    }
    return (int)count;
}

/* What an ioctl() says of an interface by its name; false: nothing. */
static bool ask(int fd, unsigned long request, const char *name, struct ifreq *answer)
{
    *answer = (struct ifreq){0};
    memcpy(answer->ifr_name, name, strnlen(name, sizeof(answer->ifr_name) - 1));
    return ioctl(fd, request, answer) == 0;
}

static void take_request(int fd, const struct ifreq *request, struct interface_address *entry)
{
    struct ifreq answer;

    snprintf(entry->name, sizeof(entry->name), "%.*s", IF_NAMESIZE - 1, request->ifr_name);
    entry->address = entry->peer = address_of(&request->ifr_addr);
    entry->index = if_nametoindex(entry->name);
    if (ask(fd, SIOCGIFFLAGS, entry->name, &answer))
        entry->flags = (unsigned short)answer.ifr_flags;
    if (ask(fd, SIOCGIFNETMASK, entry->name, &answer))
        entry->prefix_length = prefix_length_of(address_of(&answer.ifr_netmask));
    if (entry->flags & IFF_POINTOPOINT && ask(fd, SIOCGIFDSTADDR, entry->name, &answer))
        entry->peer = address_of(&answer.ifr_dstaddr);
}

static int list_by_ioctl(struct interface_address **list)
{
    CLEANUP(close_fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CLEANUP(free) char *buffer = malloc(CONFIGURATION_MAX * sizeof(struct ifreq));
    struct ifconf all = {.ifc_len = CONFIGURATION_MAX * sizeof(struct ifreq), .ifc_buf = buffer};
    size_t count = 0;

    if (!buffer)
        return -ENOMEM;
    if (fd < 0 || ioctl(fd, SIOCGIFCONF, &all) < 0)
        return -errno;
    for (size_t i = 0; i < (size_t)all.ifc_len / sizeof(struct ifreq); i++) {
        struct interface_address *entry;

        if (all.ifc_req[i].ifr_addr.sa_family != AF_INET)
            continue;
        entry = append(list, &count);
        if (!entry)
            return -ENOMEM;
        take_request(fd, &all.ifc_req[i], entry);
    }
    return (int)count;
}

int interfaces_list(struct interface_address **out)
{
    CLEANUP(interfaces_free) struct interface_address *list = NULL;
    struct ifaddrs *all;
    int count;

    if (getifaddrs(&all) == 0) {
        count = take_ifaddrs(all, &list);
        freeifaddrs(all);
    } else {
        count = list_by_ioctl(&list);
    }
    if (count >= 0)
        *out = TAKE(list);
    return count;
}

struct address interface_first_address(const char *name, int family)
{
    CLEANUP(interfaces_free) struct interface_address *list = NULL;
    int count = interfaces_list(&list);

    for (int i = 0; i < count; i++)
        if (list[i].address.family == family && strncmp(list[i].name, name, IF_NAMESIZE) == 0)
            return list[i].address;
    return (struct address){0};
}
