/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what users of the library rely on: a responder is ready once it is opened, its counters are seen
 * from outside its process, it ends when it is stopped, when its owner is killed, and leaves no device
 * behind; what cannot be opened says why.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>

#include "bench/responder/responder.h"
#include "tests/lib/netns.h"

#define DEADLINE_NS   (20 * NS_PER_S)
#define MESSAGE_BYTES 512

static void need_namespace(void)
{
    if (netns_enter() < 0)
        cr_skip_test("no network namespaces here");
    if (access("/dev/net/tun", R_OK | W_OK) < 0)
        cr_skip_test("no /dev/net/tun here");
}

static struct responder_settings settings_of(struct responder_prefix *address, struct responder_rule *rule,
                                             const char *profile)
{
    struct responder_settings settings = {
        .tun = "r0", .addresses = address, .address_count = 1, .rules = rule, .rule_count = 1, .seed = 1};
    char message[MESSAGE_BYTES] = "";

    cr_assert_eq(responder_prefix_parse(address, "10.0.0.1/24"), 0);
    cr_assert_eq(responder_rule_parse(rule, profile, message, sizeof(message)), 0, "%s", message);
    return settings;
}

static struct responder *open_responder(const char *profile)
{
    struct responder_prefix address;
    struct responder_rule rule;
    struct responder_settings settings = settings_of(&address, &rule, profile);
    struct responder *responder = NULL;
    char message[MESSAGE_BYTES] = "";

    cr_assert_eq(responder_open(&responder, &settings, message, sizeof(message)), 0, "%s", message);
    return responder;
}

/* Sends an echo request to 10.0.0.`last`; returns the socket for reply_came(). */
static int ask(uint8_t last)
{
    uint8_t message[64] = {8, 0, 0xf7, 0xff}; /* the checksum of nothing but a type */
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);

    cr_assert_geq(fd, 0);
    to.sin_addr.s_addr = htonl(0x0a000000u + last);
    cr_assert_eq(sendto(fd, message, sizeof(message), 0, (struct sockaddr *)&to, sizeof(to)),
                 sizeof(message));
    return fd;
}

/* Waits for the reply, and closes the socket. */
static bool reply_came(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    uint8_t answer[256];
    bool came = poll(&readable, 1, DEADLINE_NS / NS_PER_MS) == 1 &&
                recv(fd, answer, sizeof(answer), 0) == 84 && answer[20] == 0;

    close(fd);
    return came;
}

static bool ping(uint8_t last)
{
    return reply_came(ask(last));
}

static void wait_until_gone(const char *device)
{
    uint64_t end_ns = clock_now_ns(CLOCK_MONOTONIC) + DEADLINE_NS;

    while (if_nametoindex(device)) {
        cr_assert_lt(clock_now_ns(CLOCK_MONOTONIC), end_ns, "%s is still there", device);
        poll(NULL, 0, 1);
    }
}

Test(process, answers_and_counts)
{
    const struct responder_rule *rules;
    struct responder *responder;
    size_t count;

    need_namespace();
    responder = open_responder("10.0.0.128/25=delay=20ms,duplicate=1");
    cr_assert_eq(responder_start(responder), 0);
    cr_expect_eq(responder_start(responder), -EALREADY);
    cr_expect(ping(5));
    cr_expect(ping(200));
    cr_expect_eq(responder_stop(responder), 0);
    rules = responder_rules(responder, &count);
    cr_assert_eq(count, 2);
    cr_expect_eq(rules[0].prefix.length, 25);
    cr_expect_eq(rules[1].prefix.address.family, 0, "the last is for all others");
    cr_expect_eq(responder_counters(responder)[0].requests, 1);
    cr_expect_eq(responder_counters(responder)[0].duplicates, 1);
    cr_expect_eq(responder_counters(responder)[1].requests, 1);
    cr_expect_eq(responder_counters(responder)[1].verdicts[RESPONDER_REPLY], 1);
    cr_expect_gt(responder_lateness_ns(responder_figures(responder), 0.5), 0);
    cr_expect_eq(responder_queue_drops(responder), 0);
    responder_close(responder);
    wait_until_gone("r0");
}

Test(process, requests_before_the_start_are_answered_after_it)
{
    struct responder *responder;
    int fd;

    need_namespace();
    responder = open_responder("10.0.0.0/24=perfect");
    fd = ask(9);
    cr_assert_eq(responder_start(responder), 0);
    cr_expect(reply_came(fd));
    responder_close(responder);
}

Test(process, starts_again_after_a_stop)
{
    struct responder *responder;

    need_namespace();
    responder = open_responder("10.0.0.0/24=perfect");
    for (uint64_t round = 1; round <= 3; round++) {
        cr_assert_eq(responder_start(responder), 0);
        cr_expect(ping(5));
        cr_assert_eq(responder_stop(responder), 0);
        cr_expect_eq(responder_counters(responder)[0].requests, round);
    }
    cr_expect_eq(responder_stop(responder), 0, "once more does no harm");
    responder_close(responder);
}

Test(process, stops_while_an_answer_is_pending_for_an_hour)
{
    struct responder *responder;
    uint64_t end_ns;
    int fd;

    need_namespace();
    responder = open_responder("10.0.0.0/24=delay=3600s");
    cr_assert_eq(responder_start(responder), 0);
    fd = ask(9);
    end_ns = clock_now_ns(CLOCK_MONOTONIC) + DEADLINE_NS;
    while (*(const volatile uint64_t *)&responder_figures(responder)->pending == 0) {
        cr_assert_lt(clock_now_ns(CLOCK_MONOTONIC), end_ns);
        poll(NULL, 0, 1);
    }
    cr_expect_eq(responder_stop(responder), 0);
    close(fd);
    responder_close(responder);
}

Test(process, two_end_in_any_order)
{
    for (int first = 0; first < 2; first++) {
        struct responder_prefix address;
        struct responder_rule rule;
        struct responder_settings settings = settings_of(&address, &rule, "10.0.0.0/24=perfect");
        struct responder *responders[2] = {NULL};
        char message[MESSAGE_BYTES];

        need_namespace();
        for (int i = 0; i < 2; i++) {
            snprintf(settings.tun, sizeof(settings.tun), "r%d", i);
            responder_prefix_parse(&address, i ? "10.0.1.1/24" : "10.0.0.1/24");
            cr_assert_eq(responder_open(&responders[i], &settings, message, sizeof(message)), 0);
            cr_assert_eq(responder_start(responders[i]), 0);
        }
        cr_expect_eq(responder_stop(responders[first]), 0);
        cr_expect_eq(responder_stop(responders[1 - first]), 0);
        responder_close(responders[0]);
        responder_close(responders[1]);
    }
}

/* Two of them, so that each child was forked while a pipe of the other was open. */
static int own_two(void *context)
{
    struct responder_prefix address;
    struct responder_rule rule;
    struct responder_settings settings = settings_of(&address, &rule, "10.0.0.0/24=perfect");
    struct responder *responders[2];
    char message[MESSAGE_BYTES];

    for (int i = 0; i < 2; i++) {
        snprintf(settings.tun, sizeof(settings.tun), "r%d", i);
        responder_prefix_parse(&address, i ? "10.0.1.1/24" : "10.0.0.1/24");
        if (responder_open(&responders[i], &settings, message, sizeof(message)) < 0 ||
            responder_start(responders[i]) < 0)
            return 1;
    }
    return raise(SIGKILL);
}

Test(process, ends_with_its_owner)
{
    pid_t pid;

    need_namespace();
    pid = netns_spawn(NETNS_HERE, own_two, NULL);
    cr_expect_eq(netns_wait(pid), 128 + SIGKILL);
    wait_until_gone("r0");
    wait_until_gone("r1");
}

Test(process, what_cannot_be_opened_says_why)
{
    struct responder_prefix address;
    struct responder_rule rule;
    struct responder_settings settings;
    struct responder *responder = NULL;
    struct responder_rule twice[2];
    char message[MESSAGE_BYTES] = "";

    need_namespace();
    settings = settings_of(&address, &rule, "10.0.0.0/24=lan");
    snprintf(settings.tun, sizeof(settings.tun), "lo");
    cr_expect_lt(responder_open(&responder, &settings, message, sizeof(message)), 0);
    cr_expect(strstr(message, "cannot make the device lo"), "%s", message);

    snprintf(settings.tun, sizeof(settings.tun), "r0");
    twice[0] = twice[1] = rule;
    settings.rules = twice;
    settings.rule_count = 2;
    cr_expect_eq(responder_open(&responder, &settings, message, sizeof(message)), -EINVAL);
    cr_expect(strstr(message, "10.0.0.0/24 has two profiles"), "%s", message);

    settings.rule_count = 1;
    settings.routes = &rule.prefix; /* is there already, with the address */
    settings.route_count = 1;
    rule.prefix.length = 33;
    cr_expect_lt(responder_open(&responder, &settings, message, sizeof(message)), 0);
    cr_expect(strstr(message, "cannot add the route 10.0.0.0/33"), "%s", message);
    cr_expect_null(responder);
    wait_until_gone("r0");
}
