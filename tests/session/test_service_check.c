/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves that the service check is GOOD after one connection and BAD after `rise` failures in a row and not
 * before, whatever way a port has of not serving; that it goes through the interface it is told to; and that
 * it leaves neither sockets in TIME_WAIT nor descriptors behind.
 */
#include "session/service_check.h"

#include "tests/lib/netns.h"
#include "tests/session/client.h"
#include "tests/session/server.h"

#include <criterion/criterion.h>

#define INTERVAL_NS (30 * NS_PER_MS)
#define RISE        8

struct watcher {
    struct client client;
    struct service_check *check;
    unsigned changes;
};

static void on_change(void *context)
{
    ((struct watcher *)context)->changes++;
}

static void watch(struct watcher *watcher, const char *address, uint32_t ifindex)
{
    struct service_check_settings settings = {
        .port = CLIENT_PORT, .ifindex = ifindex, .interval_ns = INTERVAL_NS, .rise = RISE};

    cr_assert_eq(address_parse(&settings.address, address), 0);
    watcher->changes = 0;
    cr_assert_eq(service_check_new(&watcher->check, watcher->client.base, &settings, on_change, watcher), 0);
    cr_expect_eq(service_check_state(watcher->check), SERVICE_CHECK_UNKNOWN);
}

/* Runs the loop until the check says so; fails the test after 20 s. */
static void wait_state(struct watcher *watcher, enum service_check_state state)
{
    for (int i = 0; service_check_state(watcher->check) != state && i < 4000; i++)
        client_idle(&watcher->client, 5 * NS_PER_MS);
    cr_assert_eq(service_check_state(watcher->check), state, "%s", service_check_reason(watcher->check));
}

Test(service_check, text)
{
    static const struct {
        const char *text;
        int port; /* or -EINVAL */
    } rows[] = {
        {"tcp:2049", 2049},   {"tcp:1", 1},
        {"tcp:65535", 65535}, {"tcp:65536", -EINVAL},
        {"tcp:0", -EINVAL},   {"tcp:", -EINVAL},
        {"tcp", -EINVAL},     {"", -EINVAL},
        {"udp:1", -EINVAL},   {"tcp:-1", -EINVAL},
        {"tcp: 1", -EINVAL},  {"tcp:1x", -EINVAL},
        {"2049", -EINVAL},    {"tcp:000001", -EINVAL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint16_t port = 0;
        int r = service_check_parse(rows[i].text, &port);

        cr_expect_eq(r < 0 ? r : port, rows[i].port, "%s", rows[i].text);
    }
}

Test(service_check, good_at_once_bad_after_rise_good_again)
{
    struct watcher watcher = {0};
    struct server *server;

    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.end = SERVER_HANG});
    watch(&watcher, "127.0.0.1", 0);
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    server_free(server);
    wait_state(&watcher, SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(watcher.check), "Connection refused");
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.end = SERVER_HANG});
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    cr_expect_eq(watcher.changes, 3);
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

/* A few failures, a success, a few failures: never `rise` in a row, though more in all. */
Test(service_check, failures_count_in_a_row)
{
    struct watcher watcher = {0};

    client_open(&watcher.client);
    watch(&watcher, "127.0.0.1", 0);
    for (int round = 0; round < 6; round++) {
        struct server *server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                                           &(struct server_answer){.end = SERVER_HANG});

        for (int i = 0; server_accepted(server) == 0 && i < 2000; i++)
            client_idle(&watcher.client, 10 * NS_PER_MS);
        cr_assert_geq(server_accepted(server), 1);
        server_free(server);
        client_idle(&watcher.client, 3 * INTERVAL_NS);
    }
    cr_expect_eq(watcher.changes, 1, "it was BAD in between");
    cr_expect_eq(service_check_state(watcher.check), SERVICE_CHECK_GOOD);
    service_check_free(watcher.check);
    client_close(&watcher.client);
}

/* Each failure takes a round of its own: `rise` of them take rise - 1 intervals and no less. */
Test(service_check, bad_not_before_rise)
{
    struct watcher watcher = {0};
    uint64_t start_ns;

    client_open(&watcher.client);
    start_ns = clock_now_ns(CLOCK_MONOTONIC);
    watch(&watcher, "127.0.0.1", 0);
    wait_state(&watcher, SERVICE_CHECK_BAD);
    cr_expect_geq(clock_now_ns(CLOCK_MONOTONIC) - start_ns, (RISE - 1) * (INTERVAL_NS - NS_PER_MS));
    cr_expect_eq(watcher.changes, 1);
    service_check_free(watcher.check);
    client_close(&watcher.client);
}

Test(service_check, connecting_hangs)
{
    struct watcher watcher = {0};
    int fds[SERVER_FULL_FDS];

    client_open(&watcher.client);
    server_full("127.0.0.1", CLIENT_PORT, fds);
    watch(&watcher, "127.0.0.1", 0);
    wait_state(&watcher, SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(watcher.check), "Connection timed out");
    service_check_free(watcher.check);
    for (int i = 0; i < SERVER_FULL_FDS; i++)
        close_fd(fds[i]);
    client_close(&watcher.client);
}

Test(service_check, no_way_there)
{
    struct watcher watcher = {0};

    client_open(&watcher.client);
    watch(&watcher, "192.0.2.1", 0);
    wait_state(&watcher, SERVICE_CHECK_BAD);
    cr_expect_str_eq(service_check_reason(watcher.check), "Network is unreachable");
    service_check_free(watcher.check);
    watch(&watcher, "127.0.0.1", 9999); /* an interface that is gone */
    wait_state(&watcher, SERVICE_CHECK_BAD);
    service_check_free(watcher.check);
    client_close(&watcher.client);
}

/* The address answers through one interface; asked through the other, it must not. */
Test(service_check, goes_through_its_interface)
{
    struct watcher watcher = {0};
    struct server *server;

    client_open(&watcher.client);
    netns_must(NETNS_HERE,
               "ip link add name a0 type veth peer name a1 && ip link set a0 up && ip link set a1 up "
               "&& ip address add 192.0.2.1/24 dev a0");
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.end = SERVER_HANG});
    watch(&watcher, "127.0.0.1", if_nametoindex("lo"));
    wait_state(&watcher, SERVICE_CHECK_GOOD);
    service_check_free(watcher.check);
    watch(&watcher, "127.0.0.1", if_nametoindex("a0"));
    wait_state(&watcher, SERVICE_CHECK_BAD);
    service_check_free(watcher.check);
    server_free(server);
    client_close(&watcher.client);
}

static unsigned tcp_sockets_waiting(void)
{
    FILE *file = fopen("/proc/thread-self/net/tcp", "re");
    char line[256];
    unsigned count = 0, state;

    while (fgets(line, sizeof(line), file))
        count += sscanf(line, " %*u: %*s %*s %x", &state) == 1 && state == 6;
    fclose(file);
    return count;
}

Test(service_check, leaves_nothing_behind)
{
    struct watcher watcher = {0};
    struct server *server;
    unsigned fds;

    client_open(&watcher.client);
    server = server_new(watcher.client.base, "127.0.0.1", CLIENT_PORT,
                        &(struct server_answer){.end = SERVER_HANG});
    fds = open_fds();
    watch(&watcher, "127.0.0.1", 0);
    for (int i = 0; server_accepted(server) < 20 && i < 2000; i++)
        client_idle(&watcher.client, 10 * NS_PER_MS);
    cr_expect_geq(server_accepted(server), 20);
    cr_expect_eq(tcp_sockets_waiting(), 0);
    service_check_free(watcher.check);
    client_idle(&watcher.client, 50 * NS_PER_MS);
    cr_expect_leq(open_fds(), fds);
    cr_expect_null(service_check_free(NULL));
    server_free(server);
    client_close(&watcher.client);
}
