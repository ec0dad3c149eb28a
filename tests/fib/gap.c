/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A switch leaves no moment without a route. One thread sends to the service without a pause while another
 * one switches its route thousands of times. As the control of this test the same is done by removing the
 * route and adding it again.
 *
 * "No moment" has a limit that is the kernel's: a lookup that has found the old route, and is interrupted
 * until that one is swapped and marked dead, skips it and finds nothing behind it (net/ipv4/fib_trie.c). A
 * saturating sender on a busy machine sees that once in some ten thousand switches. So the bar is one in a
 * thousand, and the control must be far beyond it.
 */
#include "tests/fib/world.h"

#include <linux/rtnetlink.h>
#include <pthread.h>
#include <stdatomic.h>

#define SWITCHES  10000
#define ADOPTIONS 2000
#define RENEWALS  500

#define LIMIT(switches) ((switches) / 1000)

struct sender {
    int fd;
    struct sockaddr_storage to;
    socklen_t to_bytes;
    atomic_bool stop;
    atomic_ulong sent;
    atomic_ulong no_way;
    atomic_int other_error;
};

static void *send_on_and_on(void *context)
{
    struct sender *sender = context;

    while (!atomic_load(&sender->stop)) {
        if (sendto(sender->fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&sender->to, sender->to_bytes) >= 0)
            atomic_fetch_add(&sender->sent, 1);
        else if (errno == ENETUNREACH || errno == EHOSTUNREACH)
            atomic_fetch_add(&sender->no_way, 1);
        else if (errno != EAGAIN && errno != ENOBUFS)
            atomic_store(&sender->other_error, errno);
    }
    return NULL;
}

static void start(struct sender *sender, pthread_t *thread, const struct address *service)
{
    memset(sender, 0, sizeof(*sender));
    sender->fd = socket(service->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(sender->fd, 0);
    sender->to_bytes = address_to_sockaddr(service, 9, &sender->to);
    cr_assert_eq(pthread_create(thread, NULL, send_on_and_on, sender), 0);
}

static void stop(struct sender *sender, pthread_t thread)
{
    atomic_store(&sender->stop, true);
    pthread_join(thread, NULL);
    close(sender->fd);
}

static const char *const gateways[2][2] = {{"10.1.0.2", "10.2.0.2"}, {"fd01::2", "fd02::2"}};

static void check_switches(uint8_t family)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(family);
    const char *const *to = gateways[family == AF_INET6];
    struct address gateway[2] = {address_of(to[0]), address_of(to[1])};
    struct sender sender;
    struct world world;
    pthread_t thread;

    world_open(&world, &settings);
    cr_assert_eq(fib_replace(world.fib, &service, &gateway[0], world.data, NULL, NULL), 0);
    start(&sender, &thread, &service);
    for (unsigned i = 1; i <= SWITCHES; i++) {
        int r = fib_replace(world.fib, &service, &gateway[i % 2], i % 2 ? world.management : world.data, NULL,
                            NULL);

        cr_assert_eq(r, 0, "switch %u: %s", i, fib_error(world.fib));
    }
    stop(&sender, thread);
    cr_expect_gt(sender.sent, 0);
    cr_expect_leq(sender.no_way, LIMIT(SWITCHES), "%lu of %lu sends found no way", sender.no_way,
                  sender.sent);
    cr_expect_eq(sender.other_error, 0, "%s", strerror(sender.other_error));
    world_close(&world);
}

Test(gap, none_in_ten_thousand_switches_ipv4)
{
    check_switches(AF_INET);
}

Test(gap, none_in_ten_thousand_switches_ipv6)
{
    check_switches(AF_INET6);
}

/* Two owners with two metrics take the route from each other: from the lower metric to the larger and back.
 */
static void check_adoptions(uint8_t family)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(family);
    const char *const *to = gateways[family == AF_INET6];
    struct address gateway[2] = {address_of(to[0]), address_of(to[1])};
    struct fib *owner[2];
    struct sender sender;
    struct world world;
    char message[256];
    pthread_t thread;

    settings.metric = 10;
    world_open(&world, &settings);
    settings.metric = 20;
    settings.protocol = 99;
    owner[0] = world.fib;
    cr_assert_eq(fib_open(&owner[1], &settings, message, sizeof(message)), 0);
    cr_assert_eq(fib_replace(owner[0], &service, &gateway[0], world.data, NULL, NULL), 0);
    start(&sender, &thread, &service);
    for (unsigned i = 1; i <= ADOPTIONS; i++) {
        struct fib_route standing;
        size_t count = 1;
        int r;

        cr_assert_eq(fib_get(owner[i % 2], &service, &standing, &count), 0);
        cr_assert_eq(count, 1);
        r = fib_replace(owner[i % 2], &service, &gateway[i % 2], i % 2 ? world.management : world.data,
                        &standing, NULL);
        cr_assert_eq(r, 0, "adoption %u: %s", i, fib_error(owner[i % 2]));
    }
    stop(&sender, thread);
    cr_expect_gt(sender.sent, 0);
    cr_expect_leq(sender.no_way, LIMIT(ADOPTIONS), "%lu of %lu sends found no way", sender.no_way,
                  sender.sent);
    cr_expect_eq(sender.other_error, 0, "%s", strerror(sender.other_error));
    fib_close(owner[1]);
    world_close(&world);
}

Test(gap, none_in_adoptions_ipv4)
{
    check_adoptions(AF_INET);
}

Test(gap, none_in_adoptions_ipv6)
{
    check_adoptions(AF_INET6);
}

/* What ICMP redirects have done is undone, over and over. */
static void check_renewals(uint8_t family, const char *router_text, const char *gateway_text)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(family);
    struct address gateway, router;
    struct sender sender;
    struct world world;
    pthread_t thread;

    world_open(&world, &settings);
    netns_must(world.node, "for n in a b; do ip address add fe80::$n/64 dev data nodad; done");
    gateway = address_of(gateway_text);
    router = address_of(router_text);
    cr_assert_eq(fib_replace(world.fib, &service, &router, world.data, NULL, NULL), 0);
    start(&sender, &thread, &service);
    for (unsigned i = 1; i <= RENEWALS; i++) {
        world_redirect(&world, &service, &router, &gateway);
        cr_assert_eq(fib_replace(world.fib, &service, &router, world.data, NULL, NULL), 0, "%s",
                     fib_error(world.fib));
    }
    stop(&sender, thread);
    cr_expect_gt(sender.sent, 0);
    cr_expect_leq(sender.no_way, 1, "%lu of %lu sends found no way", sender.no_way, sender.sent);
    cr_expect_eq(sender.other_error, 0, "%s", strerror(sender.other_error));
    world_close(&world);
}

Test(gap, none_in_renewals_ipv4)
{
    check_renewals(AF_INET, "10.1.0.2", "10.1.0.3");
}

Test(gap, none_in_renewals_ipv6)
{
    check_renewals(AF_INET6, "fe80::a%data", "fe80::b%data");
}

Test(gap, the_control_remove_and_add_is_seen_to_fail)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(AF_INET);
    struct fib_route route = {
        .destination = service,
        .prefix_length = 32,
        .gateway = address_of("10.1.0.2"),
        .table = RT_TABLE_MAIN,
        .protocol = OUR_PROTOCOL,
        .type = RTN_UNICAST,
    };
    struct sender sender;
    struct world world;
    pthread_t thread;

    world_open(&world, &settings);
    route.ifindex = world.data;
    cr_assert_eq(raw_change(RTM_NEWROUTE, NLM_F_CREATE, &route), 0);
    start(&sender, &thread, &service);
    for (unsigned i = 1; i <= SWITCHES; i++) {
        cr_assert_eq(raw_change(RTM_DELROUTE, 0, &route), 0);
        cr_assert_eq(raw_change(RTM_NEWROUTE, NLM_F_CREATE, &route), 0);
    }
    stop(&sender, thread);
    cr_expect_gt(sender.no_way, 10 * LIMIT(SWITCHES), "only %lu: this test could not have seen a gap",
                 sender.no_way);
    world_close(&world);
}
