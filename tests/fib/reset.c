/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of TCP connections to the service when its route moves. By themselves they keep the source
 * address they began with and stall. When they are destroyed, their owner is told at once and a new
 * connection works over the new way. Connections to others, and sockets that listen here, are left alone.
 */
#include "tests/fib/world.h"

#include <fcntl.h>
#include <poll.h>

#define PORT 2049

struct connection {
    int client; /* here */
    int server; /* at the node */
};

static int listen_at(int ns, uint8_t family, uint16_t port)
{
    struct address any = {.family = family};
    struct sockaddr_storage at;
    socklen_t at_bytes = address_to_sockaddr(&any, port, &at);
    int fd = netns_socket(ns, family, SOCK_STREAM, 0);
    int on = 1;

    cr_assert_geq(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, at_bytes), 0, "%s", strerror(errno));
    cr_assert_eq(listen(fd, 8), 0);
    return fd;
}

static struct connection connect_to(int listener, const struct sockaddr *to, socklen_t to_bytes)
{
    struct connection connection;

    connection.client = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(connection.client, 0);
    cr_assert_eq(connect(connection.client, to, to_bytes), 0, "%s", strerror(errno));
    connection.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(connection.server, 0);
    return connection;
}

static struct connection connect_to_address(int listener, const struct address *address)
{
    struct sockaddr_storage to;
    socklen_t to_bytes = address_to_sockaddr(address, PORT, &to);

    return connect_to(listener, (struct sockaddr *)&to, to_bytes);
}

static void hang_up(struct connection connection)
{
    close(connection.client);
    close(connection.server);
}

/* Does a byte from here arrive there within that time? */
static bool carries(struct connection connection, int timeout_ms)
{
    struct pollfd waiting = {.fd = connection.server, .events = POLLIN};
    char byte;

    if (send(connection.client, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
        return false;
    return poll(&waiting, 1, timeout_ms) == 1 && recv(connection.server, &byte, 1, MSG_DONTWAIT) == 1;
}

/* The error that the client sees, without waiting: 0 none. */
static int error_of(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno != EAGAIN ? errno : 0;
}

static struct address source_of(int fd)
{
    struct sockaddr_storage from;
    socklen_t from_bytes = sizeof(from);

    cr_assert_eq(getsockname(fd, (struct sockaddr *)&from, &from_bytes), 0);
    return address_from_sockaddr((struct sockaddr *)&from);
}

static void move_to(struct world *world, const struct address *service, const char *gateway, uint32_t ifindex)
{
    struct address to = address_of(gateway);

    cr_assert_eq(fib_replace(world->fib, service, &to, ifindex, NULL, NULL), 0, "%s", fib_error(world->fib));
}

/* All connections to this address; those that stand still when source is given. */
static int reset(struct world *world, const struct address *peer, const struct address *source,
                 unsigned *count)
{
    return fib_reset_connections(
        world->fib,
        &(struct fib_connections){.peer = peer, .which = source ? FIB_STALLED : FIB_ALL, .source = source},
        count);
}

static void skip_unless_possible(struct world *world, const struct address *service)
{
    struct address itself = address_of("127.0.0.1");
    int listener = listen_at(NETNS_HERE, AF_INET, PORT);
    struct connection connection = connect_to_address(listener, &itself);
    unsigned count;
    int r = reset(world, &itself, NULL, &count);

    hang_up(connection);
    close(listener);
    if (r == -EOPNOTSUPP) {
        world_close(world);
        cr_skip_test("this kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY)");
    }
    cr_assert_eq(r, 0, "%s", fib_error(world->fib));
}

/* A world whose node serves, and a route of the service to it. Returns the node's listener. */
static int open_serving(struct world *world, const struct address *service)
{
    const struct fib_settings settings = world_settings();
    int listener;

    world_open(world, &settings);
    skip_unless_possible(world, service);
    listener = listen_at(world->node, service->family, PORT);
    move_to(world, service, service->family == AF_INET ? "10.1.0.2" : "fd01::2", world->data);
    return listener;
}

static void close_serving(struct world *world, int listener)
{
    close(listener);
    world_close(world);
}

Test(reset, a_flow_stalls_when_its_network_is_gone_and_a_reset_tells_its_owner)
{
    struct address service = service_of(AF_INET);
    struct address data = address_of("10.1.0.1");
    struct address management = address_of("10.2.0.1");
    struct connection before, after;
    struct address source;
    struct world world;
    unsigned count;
    int listener;

    listener = open_serving(&world, &service);
    before = connect_to_address(listener, &service);
    cr_expect(carries(before, 5000));

    netns_must(world.node, "ip link set dev data down"); /* the cable of the storage network */
    move_to(&world, &service, "10.2.0.2", world.management);
    source = source_of(before.client);
    cr_expect(address_equal(&source, &data), "it keeps its source address");
    /* The segments arrive by the new way, but what acknowledges them has none. */
    carries(before, 1000);
    cr_expect_not(carries((struct connection){before.server, before.client}, 500), "the flow should stall");
    cr_expect_eq(error_of(before.client), 0, "nobody has told its owner");

    cr_expect_eq(reset(&world, &service, NULL, &count), 0, "%s", fib_error(world.fib));
    cr_expect_eq(count, 1);
    cr_expect_eq(error_of(before.client), ECONNABORTED);

    after = connect_to_address(listener, &service);
    source = source_of(after.client);
    cr_expect(address_equal(&source, &management));
    cr_expect(carries(after, 5000));
    hang_up(before);
    hang_up(after);
    close_serving(&world, listener);
}

/* Of two that nobody acknowledges any more, and one that says nothing. */
Test(reset, only_what_stands_still_from_another_address)
{
    struct address service = service_of(AF_INET);
    struct address source = address_of("10.2.0.1");
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + 20 * NS_PER_S;
    struct connection idle, stalled, own;
    struct world world;
    unsigned count;
    int listener;

    listener = open_serving(&world, &service);
    idle = connect_to_address(listener, &service);
    stalled = connect_to_address(listener, &service);
    netns_must(world.node, "ip link set dev data down");
    move_to(&world, &service, "10.2.0.2", world.management);
    own = connect_to_address(listener, &service);
    netns_must(world.node, "ip route add blackhole 10.2.0.1");
    carries(own, 0);
    carries(stalled, 0);
    cr_expect_eq(reset(&world, &service, &source, &count), 0, "%s", fib_error(world.fib));
    cr_expect_eq(count, 0, "it may be answered yet");
    while (count == 0 && clock_now_ns(CLOCK_MONOTONIC) < deadline_ns) {
        poll(NULL, 0, 20);
        cr_assert_eq(reset(&world, &service, &source, &count), 0, "%s", fib_error(world.fib));
    }
    cr_expect_eq(count, 1);
    cr_expect_eq(error_of(stalled.client), ECONNABORTED);
    cr_expect_eq(error_of(idle.client), 0, "it may work");
    cr_expect_eq(error_of(own.client), 0, "a new one would be no better");
    hang_up(idle);
    hang_up(stalled);
    hang_up(own);
    close_serving(&world, listener);
}

Test(reset, ipv6)
{
    struct address service = service_of(AF_INET6);
    struct address other = address_of("fd01::2");
    struct connection connection, bystander;
    struct world world;
    unsigned count;
    int listener;

    listener = open_serving(&world, &service);
    connection = connect_to_address(listener, &service);
    bystander = connect_to_address(listener, &other);
    cr_expect_eq(reset(&world, &service, NULL, &count), 0, "%s", fib_error(world.fib));
    cr_expect_eq(count, 1);
    cr_expect_eq(error_of(connection.client), ECONNABORTED);
    cr_expect_eq(error_of(bystander.client), 0);
    cr_expect(carries(bystander, 5000));
    hang_up(connection);
    hang_up(bystander);
    close_serving(&world, listener);
}

/* ::ffff:192.168.33.2 */
static struct connection connect_mapped(int listener, const struct address *service)
{
    struct address mapped = {.family = AF_INET6, .bytes = {[10] = 0xff, [11] = 0xff}};
    struct sockaddr_storage to;
    socklen_t to_bytes;

    memcpy(mapped.bytes + 12, service->bytes, 4);
    to_bytes = address_to_sockaddr(&mapped, PORT, &to);
    return connect_to(listener, (struct sockaddr *)&to, to_bytes);
}

/* A connection that nobody answers: the node has no way back to the address it comes from. */
static int connect_in_vain(const struct world *world, const struct address *service)
{
    struct address from = address_of("10.1.0.9");
    struct sockaddr_storage at;
    socklen_t at_bytes;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    netns_must(NETNS_HERE, "ip address add 10.1.0.9/24 dev data");
    netns_must(world->node, "ip route add blackhole 10.1.0.9");
    cr_assert_geq(fd, 0);
    at_bytes = address_to_sockaddr(&from, 0, &at);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, at_bytes), 0);
    at_bytes = address_to_sockaddr(service, PORT, &at);
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, at_bytes), -1);
    cr_assert_eq(errno, EINPROGRESS);
    return fd;
}

Test(reset, every_socket_to_the_service_and_no_other)
{
    struct address service = service_of(AF_INET);
    struct address neighbour = address_of("192.168.33.3"); /* differs in the last bit but one */
    struct connection plain, mapped, half_closed, bystander, incoming;
    struct address here = address_of("10.1.0.1");
    int listener, own_listener, waiting;
    struct world world;
    unsigned count;

    listener = open_serving(&world, &service);
    netns_must(world.node, "ip address add 192.168.33.3/32 dev lo");
    netns_must(NETNS_HERE, "ip route add 192.168.33.3 via 10.1.0.2");
    own_listener = listen_at(NETNS_HERE, AF_INET, PORT);
    plain = connect_to_address(listener, &service);
    mapped = connect_mapped(listener, &service);
    half_closed = connect_to_address(listener, &service);
    cr_assert_eq(shutdown(half_closed.client, SHUT_WR), 0);
    bystander = connect_to_address(listener, &neighbour);
    /* Towards us: our end of it has an ephemeral peer that is not the service. */
    incoming.client = netns_socket(world.node, AF_INET, SOCK_STREAM, 0);
    {
        struct sockaddr_storage to;
        socklen_t to_bytes = address_to_sockaddr(&here, PORT, &to);

        cr_assert_eq(connect(incoming.client, (struct sockaddr *)&to, to_bytes), 0);
        incoming.server = accept4(own_listener, NULL, NULL, SOCK_CLOEXEC);
        cr_assert_geq(incoming.server, 0);
    }
    waiting = connect_in_vain(&world, &service);

    cr_expect_eq(reset(&world, &service, NULL, &count), 0, "%s", fib_error(world.fib));
    cr_expect_eq(count, 4);
    cr_expect_eq(error_of(plain.client), ECONNABORTED);
    cr_expect_eq(error_of(mapped.client), ECONNABORTED);
    cr_expect_eq(error_of(half_closed.client), ECONNABORTED);
    cr_expect_eq(error_of(waiting), ECONNABORTED);
    cr_expect_eq(error_of(bystander.client), 0);
    cr_expect_eq(error_of(incoming.server), 0);
    cr_expect(carries(bystander, 5000));
    cr_expect(carries(incoming, 5000));
    cr_expect_eq(reset(&world, &service, NULL, &count), 0);
    cr_expect_eq(count, 0, "nothing is left");
    hang_up(plain);
    hang_up(mapped);
    hang_up(half_closed);
    hang_up(bystander);
    hang_up(incoming);
    close(waiting);
    close(own_listener);
    close_serving(&world, listener);
}

/* What is asked for by the state and the port, of one that is open, one to another port, and a handshake. */
Test(reset, by_state_and_port)
{
    struct address service = service_of(AF_INET), from = address_of("10.1.0.9"),
                   other = address_of("10.1.0.1");
    const struct {
        const char *what;
        struct fib_connections which;
        bool open, port, handshake;
    } rows[] = {
        {"all, no source is known", {.which = FIB_ALL}, true, true, true},
        {"a young handshake from the source of the new way goes on",
         {.which = FIB_ALL, .source = &from},
         true,
         true,
         false},
        {"one from elsewhere cannot", {.which = FIB_ALL, .source = &other}, true, true, true},
        {"no handshake", {.which = FIB_OPEN}, true, true, false},
        {"and not that port", {.which = FIB_OPEN, .but_port = PORT + 1}, true, false, false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct fib_connections which = rows[i].which;
        struct connection open, port;
        int listener, port_listener, handshake;
        struct sockaddr_storage to;
        struct world world;
        unsigned count;

        listener = open_serving(&world, &service);
        port_listener = listen_at(world.node, AF_INET, PORT + 1);
        open = connect_to_address(listener, &service);
        port =
            connect_to(port_listener, (struct sockaddr *)&to, address_to_sockaddr(&service, PORT + 1, &to));
        netns_must(world.node, "ip route add blackhole 10.1.0.1");
        carries(open, 0); /* it sends again too, but it is no handshake */
        handshake = connect_in_vain(&world, &service);
        which.peer = &service;
        cr_expect_eq(fib_reset_connections(world.fib, &which, &count), 0, "%s", fib_error(world.fib));
        cr_expect_eq(count, rows[i].open + rows[i].port + rows[i].handshake, "%s: %u", rows[i].what, count);
        cr_expect_eq(error_of(open.client) == ECONNABORTED, rows[i].open, "%s: open", rows[i].what);
        cr_expect_eq(error_of(port.client) == ECONNABORTED, rows[i].port, "%s: port", rows[i].what);
        cr_expect_eq(error_of(handshake) == ECONNABORTED, rows[i].handshake, "%s: handshake", rows[i].what);
        hang_up(open);
        hang_up(port);
        close(handshake);
        close(port_listener);
        close_serving(&world, listener);
    }
}

/* After the third SYN in vain the kernel waits four seconds for the next: longer than a client whose handshake is ended. */
Test(reset, a_handshake_that_waits_for_long)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(AF_INET), from = address_of("10.1.0.9");
    const struct fib_connections which = {.peer = &service, .which = FIB_ALL, .source = &from};
    uint64_t deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + 30 * NS_PER_S;
    struct world world;
    unsigned count = 0;
    int handshake;

    world_open(&world, &settings);
    skip_unless_possible(&world, &service);
    netns_must(NETNS_HERE, "sysctl -qw net.ipv4.tcp_syn_linear_timeouts=0 || true"); /* Linux 6.5 and newer */
    move_to(&world, &service, "10.1.0.2", world.data);
    handshake = connect_in_vain(&world, &service);
    while (count == 0 && clock_now_ns(CLOCK_MONOTONIC) < deadline_ns) {
        poll(NULL, 0, 20);
        cr_assert_eq(fib_reset_connections(world.fib, &which, &count), 0, "%s", fib_error(world.fib));
    }
    cr_expect_eq(count, 1);
    cr_expect_eq(error_of(handshake), ECONNABORTED);
    close(handshake);
    world_close(&world);
}

Test(reset, many)
{
    struct address service = service_of(AF_INET);
    struct connection connections[200];
    struct world world;
    unsigned count;
    int listener;

    listener = open_serving(&world, &service);
    for (size_t i = 0; i < ARRAY_SIZE(connections); i++)
        connections[i] = connect_to_address(listener, &service);
    cr_expect_eq(reset(&world, &service, NULL, &count), 0, "%s", fib_error(world.fib));
    cr_expect_eq(count, ARRAY_SIZE(connections));
    for (size_t i = 0; i < ARRAY_SIZE(connections); i++) {
        cr_expect_eq(error_of(connections[i].client), ECONNABORTED);
        hang_up(connections[i]);
    }
    close_serving(&world, listener);
}
