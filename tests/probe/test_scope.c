/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: a zone is a name or a number, only on addresses that can have one, and its text stays
 * what somebody wrote, whether the interface exists or not.
 */
#include <criterion/criterion.h>

#include "probe/engine.h"
#include "probe/scope.h"

/* The loopback is there wherever this runs, and is always number 1 (the kernel makes it first). */
#define LOOPBACK 1

Test(scope, addresses_with_a_zone)
{
    static const struct {
        const char *text;
        int strict, lenient; /* address_parse(), scope_parse_address() */
        uint32_t index;
    } rows[] = {
        {"fe80::1%lo", 0, 0, LOOPBACK},
        {"fe80::1%1", 0, 0, LOOPBACK},
        {"febf::1%01", 0, 0, LOOPBACK},
        {"ff02::1%lo", 0, 0, LOOPBACK},
        {"ff11::1%lo", 0, 0, LOOPBACK},
        {"fe80::1", 0, 0, 0},
        {"10.0.0.1", 0, 0, 0},
        {"fe80::1%none0", -ENODEV, 0, 0},
        {"fe80::1%2147483647", -ENODEV, 0, 0},
        {"fe80::1%4294967297", -ENODEV, 0, 0},
        {"fe80::1%0", -ENODEV, 0, 0},
        {"::1%lo", -EDOM, -EDOM, 0},
        {"fd00::1%lo", -EDOM, -EDOM, 0},
        {"fec0::1%lo", -EDOM, -EDOM, 0},
        {"ff05::1%lo", -EDOM, -EDOM, 0},
        {"ff0e::1%1", -EDOM, -EDOM, 0},
        {"10.0.0.1%lo", -EINVAL, -EDOM, 0},
        {"%lo", -EINVAL, -EINVAL, 0},
        {"fe80::1%", -ENODEV, -EINVAL, 0},
        {"fe80::1%a-name-that-is-too-long", -ENODEV, -EINVAL, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct address strict, lenient;
        struct scope scope;
        char text[ADDRESS_TEXT_SIZE];

        cr_expect_eq(address_parse(&strict, rows[i].text), rows[i].strict, "%s", rows[i].text);
        cr_expect_eq(strict.scope, rows[i].index, "%s", rows[i].text);
        cr_expect_eq(scope_parse_address(&lenient, &scope, rows[i].text), rows[i].lenient, "%s",
                     rows[i].text);
        cr_expect_eq(lenient.scope, rows[i].index, "%s", rows[i].text);
        cr_expect_eq(scope.index, rows[i].index, "%s", rows[i].text);
        if (rows[i].lenient == 0)
            cr_expect_str_eq(scope_format_address(&lenient, &scope, text), rows[i].text);
        else
            cr_expect_not(address_is_set(&lenient));
    }
}

Test(scope, a_name_is_looked_up_again)
{
    struct scope scope = {.name = "lo", .index = 77}, gone = {.name = "none0", .index = 77};
    struct scope none = {0};

    cr_expect(scope_refresh(&scope));
    cr_expect_eq(scope.index, LOOPBACK);
    cr_expect_not(scope_refresh(&scope), "nothing has changed");
    cr_expect_not(scope_refresh(&gone));
    cr_expect_eq(gone.index, 77, "what is gone keeps its index");
    cr_expect_not(scope_refresh(&none));
}

/* What is written is what counts, whether the interface exists, under which index, or not. */
Test(scope, an_address_with_a_lasting_name)
{
    struct address lo, one, none, other, plain = {0};
    char text[ADDRESS_TEXT_SIZE];

    cr_assert_eq(scope_parse_lasting(&lo, "fe80::1%lo"), 0);
    cr_assert_eq(scope_parse_lasting(&one, "fe80::1%1"), 0);
    cr_assert_eq(scope_parse_lasting(&none, "fe80::1%none0"), 0);
    cr_assert_eq(scope_parse_lasting(&other, "fe80::1%none1"), 0);
    cr_assert_eq(address_parse(&plain, "fe80::1%lo"), 0);
    cr_expect(address_equal(&lo, &one) && address_equal(&lo, &plain), "one interface now");
    cr_expect_not(address_equal(&none, &other), "two that do not exist are two");
    cr_expect_str_eq(address_format(&none, text), "fe80::1%none0");
    cr_expect_not(scope_refresh_address(&lo), "nothing has changed");
    lo.scope = 77;
    cr_expect_str_eq(address_format(&lo, text), "fe80::1%lo", "never an old index");
    cr_expect(scope_refresh_address(&lo));
    cr_expect_eq(lo.scope, LOOPBACK);
    none.scope = 77;
    cr_expect(scope_refresh_address(&none));
    cr_expect_eq(none.scope, 0, "gone");
    scope_name_address(&plain);
    cr_expect_str_eq(plain.zone, "lo");
}

Test(scope, a_list_knows_names)
{
    struct scopes scopes = {0};
    uint32_t before[3];

    cr_assert_eq(scopes_add(&scopes, 0), 0);
    cr_expect_eq(scopes.count, 0, "no zone is none");
    for (int i = 0; i < 2; i++)
        cr_assert_eq(scopes_add(&scopes, LOOPBACK), 0);
    cr_assert_eq(scopes_add(&scopes, 2147483647), 0);
    cr_expect_eq(scopes.count, 2);
    cr_expect_str_eq(scopes_name(&scopes, LOOPBACK), "lo");
    cr_expect_str_eq(scopes_name(&scopes, 2147483647), "2147483647");
    cr_expect_null(scopes_name(&scopes, 3));
    cr_expect_not(scopes_refresh(&scopes, before));
    scopes.list[0].index = 5;
    cr_expect(scopes_refresh(&scopes, before));
    cr_expect_eq(before[0], 5);
    cr_expect_eq(scopes.list[0].index, LOOPBACK);
    scopes_clear(&scopes);
}

/* Number 7 is the target's interface, 9 the VRF of which it is part, 8 another one of that. */
Test(scope, who_sent_it)
{
    static const struct {
        uint8_t last;
        uint32_t scope, ifindex; /* of the packet */
        uint32_t expected;       /* the target's scope */
        bool is_from;
    } rows[] = {
        {1, 7, 7, 7, true},  {1, 7, 0, 7, true}, /* the same link; who is not told says nothing */
        {1, 9, 7, 7, true},                      /* a VRF of which it is part */
        {1, 9, 8, 7, false}, {1, 8, 8, 7, false}, {1, 9, 0, 7, false}, /* another link */
        {1, 9, 7, 9, true},                                            /* the VRF itself was meant */
        {1, 8, 8, 0, true},  {1, 0, 8, 0, true},                       /* no interface was said */
        {2, 7, 7, 7, false}, {2, 9, 7, 7, false},                      /* somebody else there */
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct packet_in packet = {.ifindex = rows[i].ifindex};
        struct address target;

        cr_assert_eq(address_parse(&target, "fe80::1"), 0);
        packet.from = target;
        packet.from.bytes[15] = rows[i].last;
        packet.from.scope = rows[i].scope;
        target.scope = rows[i].expected;
        cr_expect_eq(engine_is_from(&packet, &target), rows[i].is_from, "row %zu", i);
    }
}
