/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: --try-route takes what can be one cycle of a route and nothing else, and leaves addresses alone that
 * somebody uses. The cycle itself: tests/userworld/test_try_route.py.
 */
#include "tools/command/try_route.h"

#include <criterion/criterion.h>

#include "tools/exit_code.h"

static const struct {
    const char *address, *operands[4];
    const char *wrong; /* a part of the message; NULL: nothing is */
    size_t gateways;
} arguments[] = {
    {"192.0.2.1/32", {"via", "10.0.0.1"}, NULL, 1},
    {"192.0.2.1", {"via", "10.0.0.1", "10.0.0.2"}, NULL, 2},
    {"2001:db8::1/128", {"via", "fd00::1"}, NULL, 1},
    {"192.0.2.1/32", {NULL}, "expected 'via' and a gateway"},
    {"192.0.2.1/32", {"via"}, "expected 'via' and a gateway"},
    {"192.0.2.1/32", {"by", "10.0.0.1"}, "expected 'via' and a gateway"},
    {"192.0.2.1/32", {"via", "10.0.0.256"}, "'10.0.0.256': expected an address of the family"},
    {"192.0.2.1/32", {"via", "fd00::1"}, "'fd00::1': expected an address of the family"},
    {"192.0.2.1/32", {"via", "10.0.0.1", "10.0.0.1"}, "the first gateway again"},
    {"192.0.2.0/24", {"via", "10.0.0.1"}, "expected one address"},
    {"192.0.2.1/33", {"via", "10.0.0.1"}, "expected one address"},
    {"192.0.2.1/", {"via", "10.0.0.1"}, "expected one address"},
    {"2001:db8::/64", {"via", "fd00::1"}, "expected one address"},
    {"default", {"via", "10.0.0.1"}, "expected one address"},
    {"", {"via", "10.0.0.1"}, "expected one address"},
    {"0.0.0.0", {"via", "10.0.0.1"}, "the address of nobody"},
    {"224.0.0.5", {"via", "10.0.0.1"}, "a multicast address"},
    {"ff02::1/128", {"via", "fd00::1"}, "a multicast address"},
    {"255.255.255.255", {"via", "10.0.0.1"}, "not an address of a node"},
    {"127.0.0.9", {"via", "10.0.0.1"}, "a loopback address"},
    {"nobody", {"via", "10.0.0.1"}, "expected one address"},
};

Test(try_route, arguments)
{
    for (size_t i = 0; i < ARRAY_SIZE(arguments); i++) {
        struct try_route route = {0};
        char message[512] = "";
        char *operands[4];
        int count = 0;
        int r;

        for (; count < 4 && arguments[i].operands[count]; count++)
            operands[count] = strdup(arguments[i].operands[count]);
        r = try_route_parse(&route, arguments[i].address, count, operands, message, sizeof(message));
        cr_expect_eq(r, arguments[i].wrong ? -EINVAL : 0, "row %zu: %d %s", i, r, message);
        if (arguments[i].wrong)
            cr_expect(strstr(message, arguments[i].wrong), "row %zu: %s", i, message);
        else
            cr_expect_eq(route.gateway_count, arguments[i].gateways, "row %zu", i);
        while (count > 0)
            free(operands[--count]);
    }
}

#define NOBODY -ENETUNREACH

static const struct {
    const char *what;
    struct try_facts facts;
    bool is_service, stands;
    int code;
    const char *message; /* a part of it */
} refusals[] = {
    {"all is well", {.address = NOBODY}, .code = 0},
    {"it is the service",
     {.address = NOBODY},
     .is_service = true,
     .code = EXIT_USAGE,
     .message = "is the service"},
    {"it is this host's",
     {.address = -EADDRINUSE},
     .code = EXIT_USAGE,
     .message = "192.0.2.1 is an address of this"},
    {"it is next door", {.address = 0}, .code = EXIT_USAGE, .message = "192.0.2.1 is in a network that"},
    {"the first gateway is not on-link",
     {.address = NOBODY, .gateways = {NOBODY, 0}},
     .code = EXIT_USAGE,
     .message = "via 10.0.0.1: no connected network"},
    {"nor is the second",
     {.address = NOBODY, .gateways = {0, NOBODY}},
     .code = EXIT_USAGE,
     .message = "via 10.0.0.2: no connected network"},
    {"a gateway is this host",
     {.address = NOBODY, .gateways = {-EADDRINUSE, 0}},
     .code = EXIT_USAGE,
     .message = "via 10.0.0.1: is an address of this host"},
    {"it has a route",
     {.address = NOBODY},
     .stands = true,
     .code = EXIT_NOT_ALL,
     .message = "already: 192.0.2.1/32 via"},
    {"what is not known is no reason", {.address = -EIO, .gateways = {-EIO, -EIO}}, .code = 0},
};

Test(try_route, what_is_left_alone)
{
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        struct try_route route = {.gateway_count = 2};
        struct fib_route standing = {.prefix_length = 32};
        struct try_facts facts = refusals[i].facts;
        char message[512] = "";
        int code;

        cr_assert_eq(address_parse(&route.address, "192.0.2.1"), 0);
        cr_assert_eq(address_parse(&route.gateways[0], "10.0.0.1"), 0);
        cr_assert_eq(address_parse(&route.gateways[1], "10.0.0.2"), 0);
        standing.destination = route.address;
        standing.gateway = route.gateways[0];
        if (refusals[i].is_service)
            route.service = route.address;
        if (refusals[i].stands)
            facts.standing = &standing;
        code = try_route_refuse(&route, &facts, message, sizeof(message));
        cr_expect_eq(code, refusals[i].code, "%s: %d %s", refusals[i].what, code, message);
        if (refusals[i].message)
            cr_expect(strstr(message, refusals[i].message), "%s: %s", refusals[i].what, message);
    }
}
