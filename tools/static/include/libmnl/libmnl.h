/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of libmnl's interface that is used here, for the static build alone: Debian has no archive of libmnl,
 * and its licence (LGPL) asks of a static program what a single file cannot give. Messages and attributes as in
 * netlink(7) and the kernel's Documentation/userspace-api/netlink/intro.rst; names and meaning as libmnl(7).
 */
#pragma once

#include <errno.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MNL_ALIGN(length)   (((length) + 3) & ~(size_t)3)
#define MNL_NLMSG_HDRLEN    MNL_ALIGN(sizeof(struct nlmsghdr))
#define MNL_ATTR_HDRLEN     MNL_ALIGN(sizeof(struct nlattr))
#define MNL_SOCKET_AUTOPID  0
#define MNL_TYPE_NUL_STRING 1

/* --- messages ------------------------------------------------------------------------------------------ */

/* An empty message at the beginning of the buffer, which must be large and aligned enough. */
static inline struct nlmsghdr *mnl_nlmsg_put_header(void *buffer)
{
    memset(buffer, 0, MNL_NLMSG_HDRLEN);
    ((struct nlmsghdr *)buffer)->nlmsg_len = MNL_NLMSG_HDRLEN;
    return buffer;
}

/* Zeroed room of size_bytes at the message's end. */
static inline void *mnl_nlmsg_put_extra_header(struct nlmsghdr *header, size_t size_bytes)
{
    char *room = (char *)header + header->nlmsg_len;

    memset(room, 0, MNL_ALIGN(size_bytes));
    header->nlmsg_len += (uint32_t)MNL_ALIGN(size_bytes);
    return room;
}

static inline size_t mnl_nlmsg_get_payload_len(const struct nlmsghdr *header)
{
    return header->nlmsg_len - MNL_NLMSG_HDRLEN;
}

static inline void *mnl_nlmsg_get_payload_offset(const struct nlmsghdr *header, size_t offset)
{
    return (void *)((uintptr_t)header + MNL_NLMSG_HDRLEN + MNL_ALIGN(offset));
}

static inline void *mnl_nlmsg_get_payload(const struct nlmsghdr *header)
{
    return mnl_nlmsg_get_payload_offset(header, 0);
}

static inline struct nlmsghdr *mnl_nlmsg_next(const struct nlmsghdr *header, int *left)
{
    size_t size_bytes = MNL_ALIGN((size_t)header->nlmsg_len);

    *left -= (int)size_bytes;
    return (struct nlmsghdr *)((uintptr_t)header + size_bytes);
}

/* Is it for this port, or for everybody? */
static inline int mnl_nlmsg_portid_ok(const struct nlmsghdr *header, unsigned port)
{
    return header->nlmsg_pid == 0 || port == 0 || header->nlmsg_pid == port;
}

/* --- attributes ---------------------------------------------------------------------------------------- */

static inline uint16_t mnl_attr_get_type(const struct nlattr *attribute)
{
    return attribute->nla_type & NLA_TYPE_MASK;
}

static inline uint16_t mnl_attr_get_payload_len(const struct nlattr *attribute)
{
    return (uint16_t)(attribute->nla_len - MNL_ATTR_HDRLEN);
}

static inline void *mnl_attr_get_payload(const struct nlattr *attribute)
{
    return (void *)((uintptr_t)attribute + MNL_ATTR_HDRLEN);
}

static inline uint32_t mnl_attr_get_u32(const struct nlattr *attribute)
{
    uint32_t value;

    memcpy(&value, mnl_attr_get_payload(attribute), sizeof(value));
    return value;
}

static inline const char *mnl_attr_get_str(const struct nlattr *attribute)
{
    return mnl_attr_get_payload(attribute);
}

/* Is there a whole attribute in what is left? */
static inline int mnl_attr_ok(const struct nlattr *attribute, int left)
{
    return left >= (int)sizeof(*attribute) && attribute->nla_len >= sizeof(*attribute) &&
           attribute->nla_len <= left;
}

static inline struct nlattr *mnl_attr_next(const struct nlattr *attribute)
{
    return (struct nlattr *)((uintptr_t)attribute + MNL_ALIGN((size_t)attribute->nla_len));
}

/* The one type that is asked for: a string that ends within the attribute. 0, or -1 with errno. */
static inline int mnl_attr_validate(const struct nlattr *attribute, int type)
{
    size_t size_bytes = mnl_attr_get_payload_len(attribute);

    if (type == MNL_TYPE_NUL_STRING && size_bytes > 0 && mnl_attr_get_str(attribute)[size_bytes - 1] == '\0')
        return 0;
    errno = ERANGE;
    return -1;
}

#define mnl_attr_for_each(attribute, header, offset)                                                  \
    for ((attribute) = mnl_nlmsg_get_payload_offset(header, offset); mnl_attr_ok(                     \
             (attribute), (int)((uintptr_t)(header) + (header)->nlmsg_len - (uintptr_t)(attribute))); \
         (attribute) = mnl_attr_next(attribute))

/* An attribute at the message's end. */
static inline void mnl_attr_put(struct nlmsghdr *header, uint16_t type, size_t size_bytes, const void *data)
{
    const struct nlattr attribute = {.nla_type = type, .nla_len = (uint16_t)(MNL_ATTR_HDRLEN + size_bytes)};
    char *room = mnl_nlmsg_put_extra_header(header, attribute.nla_len);

    memcpy(room, &attribute, sizeof(attribute));
    memcpy(room + MNL_ATTR_HDRLEN, data, size_bytes);
}

static inline void mnl_attr_put_u32(struct nlmsghdr *header, uint16_t type, uint32_t value)
{
    mnl_attr_put(header, type, sizeof(value), &value);
}

/* --- sockets ------------------------------------------------------------------------------------------- */

struct mnl_socket {
    int fd;
    struct sockaddr_nl name;
};

static inline int mnl_socket_get_fd(const struct mnl_socket *socket)
{
    return socket->fd;
}

static inline unsigned mnl_socket_get_portid(const struct mnl_socket *socket)
{
    return socket->name.nl_pid;
}

/* The descriptor is gone with it. 0, or -1 with errno. */
static inline int mnl_socket_close(struct mnl_socket *socket)
{
    int r = close(socket->fd);

    free(socket);
    return r;
}

/* NULL with errno. The owner closes it. */
static inline struct mnl_socket *mnl_socket_open2(int protocol, int flags)
{
    struct mnl_socket *made = calloc(1, sizeof(*made));

    if (!made)
        return NULL;
    made->fd = socket(AF_NETLINK, SOCK_RAW | flags, protocol);
    if (made->fd >= 0)
        return made;
    free(made);
    return NULL;
}

/* MNL_SOCKET_AUTOPID: the kernel chooses the port. 0, or -1 with errno. */
static inline int mnl_socket_bind(struct mnl_socket *socket, unsigned groups, pid_t port)
{
    socklen_t size_bytes = sizeof(socket->name);

    socket->name =
        (struct sockaddr_nl){.nl_family = AF_NETLINK, .nl_groups = groups, .nl_pid = (uint32_t)port};
    if (bind(socket->fd, (const struct sockaddr *)&socket->name, size_bytes) < 0)
        return -1;
    return getsockname(socket->fd, (struct sockaddr *)&socket->name, &size_bytes);
}

static inline int mnl_socket_setsockopt(const struct mnl_socket *socket, int option, void *value,
                                        socklen_t size_bytes)
{
    return setsockopt(socket->fd, SOL_NETLINK, option, value, size_bytes);
}

/* To the kernel. */
static inline ssize_t mnl_socket_sendto(const struct mnl_socket *socket, const void *bytes, size_t size_bytes)
{
    static const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

    return sendto(socket->fd, bytes, size_bytes, 0, (const struct sockaddr *)&kernel, sizeof(kernel));
}
