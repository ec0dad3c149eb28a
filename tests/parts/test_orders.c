/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A person's orders: what is taken, what is refused with which words, and what is left afterwards.
 */
#include "route/agent/orders.h"
#include "tests/parts/stage.h"

#include <criterion/criterion.h>

struct row {
    const char *order; /* "pin", "pin-hard", "unpin", "drain", "undrain" */
    const char *target;
    int error;
    const char *message; /* a part of it; NULL: none */
    const char *pinned;  /* indices of the paths that are pinned then */
    const char *drained; /* numbers of the nodes that are drained then */
    struct terms terms;
};

static const struct row rows[] = {
    {"unpin", "", -ENOENT, "nothing is pinned", "", ""},
    {"pin", "nobody", -ENOENT, "'nobody' is neither", "", ""},
    {"pin", "node2", 0, NULL, "23", ""},
    {"pin", "10.1.0.3", 0, NULL, "5", ""},
    {"pin", "10.1.0.4", -ENOENT, "'10.1.0.4' is neither", "5", ""},
    {"pin-hard", "node1", 0, NULL, "01", ""},
    {"drain", "node9", -ENOENT, "'node9' is no access", "01", ""},
    {"drain", "node2", 0, NULL, "01", "2"},
    {"drain", "node3", 0, NULL, "01", "23"},
    {"drain", "node2", -EALREADY, "drained already", "01", "23"},
    {"drain", "node2", 0, NULL, "01", "23", {.because = "a disk"}},
    {"drain", "node2", -EALREADY, "drained already", "01", "23", {.because = "a disk"}},
    {"drain", "node2", 0, NULL, "01", "23", {.until_ns = 5}},
    {"undrain", "node2", 0, NULL, "01", "3"},
    {"undrain", "node2", -EALREADY, "is not drained", "01", "3"},
    {"unpin", "", 0, NULL, "", "3"},
    {"undrain", "node3", 0, NULL, "", ""},
};

static int give(struct orders *orders, const struct agent_table *table, const struct row *row, char *message,
                size_t size_bytes)
{
    if (strcmp(row->order, "unpin") == 0)
        return orders_unpin(orders, message, size_bytes);
    if (strncmp(row->order, "pin", 3) == 0)
        return orders_pin(orders, table, row->target, strcmp(row->order, "pin-hard") == 0, &row->terms,
                          message, size_bytes);
    if (strcmp(row->order, "undrain") == 0)
        return orders_undrain(orders, row->target, message, size_bytes);
    return orders_drain(orders, table, row->target, &row->terms, message, size_bytes);
}

Test(orders, one_after_the_other)
{
    struct orders orders = {0};
    struct stage stage;

    stage_open(&stage);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *row = &rows[i];
        char message[160] = "", pinned[16] = "", drained[16] = "";

        cr_expect_eq(give(&orders, &stage.table, row, message, sizeof(message)), row->error, "%s %s",
                     row->order, row->target);
        cr_expect(row->message ? strstr(message, row->message) != NULL : message[0] == '\0', "%s %s: \"%s\"",
                  row->order, row->target, message);
        for (uint32_t path = 0; path < stage.table.path_count; path++)
            if (orders_pins(&orders, &stage.table, path))
                snprintf(pinned + strlen(pinned), sizeof(pinned) - strlen(pinned), "%u", path);
        for (uint32_t access = 0; access < stage.table.access_count; access++)
            if (orders_drains(&orders, stage.table.accesses[access].name))
                snprintf(drained + strlen(drained), sizeof(drained) - strlen(drained), "%u", access + 1);
        cr_expect_str_eq(pinned, row->pinned, "%s %s: pinned %s", row->order, row->target, pinned);
        cr_expect_str_eq(drained, row->drained, "%s %s: drained %s", row->order, row->target, drained);
        cr_expect_eq(orders_pin_is_known(&orders, &stage.table), row->pinned[0] != '\0');
        cr_expect_eq(orders.pin_hard, strcmp(pinned, "01") == 0);
        cr_expect_eq(orders.pin_now, row->pinned[0] != '\0', "without hold");
    }
    orders_clear(&orders);
    stage_close(&stage);
}

Test(orders, they_end_at_their_time_and_no_sooner)
{
    static const struct terms first = {.until_ns = 100}, second = {.until_ns = 200}, none = {0};
    struct orders orders = {0};
    char message[160], target[CONFIG_NAME_SIZE];
    enum order order;
    struct stage stage;

    stage_open(&stage);
    cr_expect_eq(orders_end_ns(&orders), NEVER_NS);
    cr_assert_eq(orders_drain(&orders, &stage.table, "node3", &none, message, sizeof(message)), 0);
    cr_expect_eq(orders_end_ns(&orders), NEVER_NS);
    cr_assert_eq(orders_drain(&orders, &stage.table, "node2", &second, message, sizeof(message)), 0);
    cr_assert_eq(orders_pin(&orders, &stage.table, "node1", true, &first, message, sizeof(message)), 0);
    cr_expect_eq(orders_end_ns(&orders), 100);
    cr_expect_not(orders_end_one(&orders, 99, &order, target));
    cr_assert(orders_end_one(&orders, 100, &order, target));
    cr_expect(order == ORDER_UNPIN && strcmp(target, "node1") == 0 && !orders.pin[0] && !orders.pin_hard);
    cr_expect_not(orders_end_one(&orders, 199, &order, target));
    cr_expect_eq(orders_end_ns(&orders), 200);
    cr_assert(orders_end_one(&orders, 1000, &order, target));
    cr_expect(order == ORDER_UNDRAIN && strcmp(target, "node2") == 0);
    cr_expect(!orders_drains(&orders, "node2") && orders_drains(&orders, "node3"));
    cr_expect_not(orders_end_one(&orders, NEVER_NS - 1, &order, target));
    orders_clear(&orders);
    stage_close(&stage);
}

Test(orders, other_terms_take_the_place_of_the_first)
{
    static const struct terms first = {.until_ns = 100, .because = "a disk"}, none = {0};
    struct orders orders = {0};
    char message[160];
    struct stage stage;

    stage_open(&stage);
    cr_assert_eq(orders_drain(&orders, &stage.table, "node2", &first, message, sizeof(message)), 0);
    cr_expect_str_eq(orders_drain_of(&orders, "node2")->terms.because, "a disk");
    cr_expect_null(orders_drain_of(&orders, "node1"));
    cr_assert_eq(orders_drain(&orders, &stage.table, "node2", &none, message, sizeof(message)), 0);
    cr_expect_eq(orders.drained_count, 1);
    cr_expect_eq(orders_end_ns(&orders), NEVER_NS);
    orders_clear(&orders);
    stage_close(&stage);
}

Test(orders, a_pin_to_what_left_the_table)
{
    struct orders orders = {.pin = "gone", .pin_hard = true};
    struct stage stage;

    stage_open(&stage);
    cr_expect_not(orders_pin_is_known(&orders, &stage.table));
    stage_close(&stage);
}
