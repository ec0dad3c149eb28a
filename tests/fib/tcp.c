/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's own connections to the service, as the kernel tells of them: those of this namespace that are open, and
 * how far their data have come.
 */
#include "route/fib/tcp.h"
#include "tests/fib/world.h"

#include <poll.h>

#define PORT 2049

static int listen_at(int ns, uint8_t family)
{
    struct address any = {.family = family};
    struct sockaddr_storage at;
    socklen_t at_bytes = address_to_sockaddr(&any, PORT, &at);
    int fd = netns_socket(ns, family, SOCK_STREAM, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, at_bytes), 0, "%s", strerror(errno));
    cr_assert_eq(listen(fd, 64), 0);
    return fd;
}

/* The client's end; the node's stays in the listener's queue, and its kernel acknowledges. */
static int connect_to(int ns, const struct address *address, uint8_t family)
{
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
    struct sockaddr_storage to;
    socklen_t to_bytes = address_to_sockaddr(address, PORT, &to);
    int fd = netns_socket(ns, family, SOCK_STREAM, 0);

    cr_assert_geq(fd, 0);
    if (family != address->family) {
        memset(mapped.sin6_addr.s6_addr + 10, 0xff, 2);
        memcpy(mapped.sin6_addr.s6_addr + 12, address->bytes, 4);
        memcpy(&to, &mapped, sizeof(mapped));
        to_bytes = sizeof(mapped);
    }
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, to_bytes), 0, "%s", strerror(errno));
    return fd;
}

static size_t list(struct fib_tcp *tcp, struct fib_tcp_socket sockets[FIB_TCP_MAX])
{
    int r = fib_tcp_list(tcp);

    cr_assert_eq(r, 0, "%s", strerror(-r));
    return fib_tcp_sockets(tcp, sockets);
}

static size_t look(struct fib_tcp *tcp, struct fib_tcp_socket sockets[FIB_TCP_MAX])
{
    int r = fib_tcp_look(tcp);

    cr_assert_eq(r, 0, "%s", strerror(-r));
    return fib_tcp_sockets(tcp, sockets);
}

/* Looks until so many bytes are acknowledged and so many segments are not, for five seconds at most. */
static bool comes_to(struct fib_tcp *tcp, uint64_t acked_bytes, uint32_t unacked)
{
    struct fib_tcp_socket sockets[FIB_TCP_MAX];

    for (int i = 0; i < 500; i++) {
        if (look(tcp, sockets) == 1 && sockets[0].acked_bytes == acked_bytes && sockets[0].unacked == unacked)
            return true;
        poll(NULL, 0, 10);
    }
    return false;
}

static void open_world(struct world *world, const struct address *service, struct fib_tcp **tcp)
{
    const struct fib_settings settings = world_settings();
    const struct address gateway = address_of(service->family == AF_INET ? "10.1.0.2" : "fd01::2");
    int r;

    world_open(world, &settings);
    cr_assert_eq(fib_replace(world->fib, service, &gateway, world->data, NULL, NULL), 0, "%s",
                 fib_error(world->fib));
    r = fib_tcp_open(tcp, service);
    cr_assert_eq(r, 0, "%s", strerror(-r));
    r = fib_tcp_list(*tcp);
    if (r == -EOPNOTSUPP) {
        world_close(world);
        cr_skip_test("this kernel does not tell of TCP sockets (CONFIG_INET_TCP_DIAG)");
    }
    cr_assert_eq(r, 0, "%s", strerror(-r));
}

static void watch_one(uint8_t family, uint8_t client_family)
{
    const struct address service = service_of(family);
    struct fib_tcp_socket sockets[FIB_TCP_MAX];
    struct fib_tcp *tcp;
    struct world world;
    int listener, client, other;
    uint64_t acked_bytes;

    open_world(&world, &service, &tcp);
    listener = listen_at(world.node, family);
    other = connect_to(world.node, &service, family);
    cr_expect_eq(list(tcp, sockets), 0, "another namespace's does not count");
    client = connect_to(NETNS_HERE, &service, client_family);
    cr_assert_eq(list(tcp, sockets), 1, "this one's does");
    acked_bytes = sockets[0].acked_bytes;

    cr_assert_eq(send(client, "0123456789", 10, 0), 10);
    cr_expect(comes_to(tcp, acked_bytes + 10, 0), "ten bytes have come there");
    netns_must(world.node, "ip link set dev data down");
    cr_assert_eq(send(client, "x", 1, 0), 1);
    cr_expect(comes_to(tcp, acked_bytes + 10, 1), "one waits");
    netns_must(world.node, "ip link set dev data up");

    close(client);
    cr_expect_eq(look(tcp, sockets), 0, "it is closed, and forgotten");
    close(other);
    fib_tcp_close(tcp);
    close(listener);
    world_close(&world);
}

Test(tcp, ipv4)
{
    watch_one(AF_INET, AF_INET);
}

Test(tcp, ipv6)
{
    watch_one(AF_INET6, AF_INET6);
}

Test(tcp, ipv4_through_a_socket_of_ipv6)
{
    watch_one(AF_INET, AF_INET6);
}

Test(tcp, no_more_than_there_is_room_for)
{
    const struct address service = service_of(AF_INET);
    struct fib_tcp_socket sockets[FIB_TCP_MAX];
    int clients[FIB_TCP_MAX + 4], listener;
    struct fib_tcp *tcp;
    struct world world;

    open_world(&world, &service, &tcp);
    listener = listen_at(world.node, AF_INET);
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
        clients[i] = connect_to(NETNS_HERE, &service, AF_INET);
    cr_expect_eq(list(tcp, sockets), FIB_TCP_MAX);
    cr_expect_eq(look(tcp, sockets), FIB_TCP_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
        close(clients[i]);
    fib_tcp_close(tcp);
    close(listener);
    world_close(&world);
}
