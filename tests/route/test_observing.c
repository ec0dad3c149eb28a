/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: whether the agent touches anything by what is known of the file. The last answer counts while there
 * is no newer one; without any, nothing changes, at the start nothing is touched, and both for a bounded time only.
 */
#include <criterion/criterion.h>

#include "route/agent/observing.h"

#define START_NS (1000 * NS_PER_S)
#define WAIT_NS  OBSERVING_WAIT_NS

static const struct presence_report nothing = {0}, there = {.known = true, .there = true},
                                    gone = {.known = true}, hangs = {.error = -ETIMEDOUT},
                                    fails = {.error = -EACCES},
                                    was_there = {.known = true, .there = true, .error = -ETIMEDOUT},
                                    was_gone = {.known = true, .error = -EIO};

static void as(const struct observing *observing, bool holds, bool is_there, int error, size_t row)
{
    cr_expect_eq(observing->holds, holds, "row %zu: %s", row, holds ? "it acts" : "it holds");
    cr_expect_eq(observing->there, is_there, "row %zu: %s", row, is_there ? "not there" : "there");
    cr_expect_eq(observing->error, error, "row %zu: %d", row, observing->error);
}

Test(observing, at_the_start)
{
    static const struct {
        const struct presence_report *found;
        uint64_t after_ns;
        bool holds, there;
        int error;
    } rows[] = {
        {&nothing, 0, true, false, 0},
        {&nothing, WAIT_NS - 1, true, false, 0},
        {&nothing, WAIT_NS, false, false, 0},
        {&hangs, WAIT_NS - 1, true, false, -ETIMEDOUT},
        {&hangs, WAIT_NS, false, false, -ETIMEDOUT},
        {&fails, 1, true, false, -EACCES},
        {&fails, WAIT_NS, false, false, -EACCES},
        {&gone, 1, false, false, 0},
        {&there, 1, true, true, 0},
        {&there, 2 * WAIT_NS, true, true, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct observing observing = OBSERVING_START;

        cr_expect(observing.holds, "before anything is known");
        observing_begin(&observing, true, START_NS);
        cr_expect_eq(observing_deadline_ns(&observing), START_NS + WAIT_NS);
        observing_take(&observing, rows[i].found, START_NS + rows[i].after_ns);
        as(&observing, rows[i].holds, rows[i].there, rows[i].error, i);
    }
}

Test(observing, later)
{
    /* One after the other, each a second after the one before. */
    static const struct {
        const struct presence_report *found;
        bool holds, there;
        int error;
    } rows[] = {
        {&gone, false, false, 0},
        {&was_gone, false, false, -EIO},
        {&there, true, true, 0},
        {&was_there, true, true, -ETIMEDOUT},
        {&was_there, true, true, -ETIMEDOUT},
        {&was_there, true, true, -ETIMEDOUT},
        {&was_there, true, true, -ETIMEDOUT},
        {&was_there, true, true, -ETIMEDOUT},
        {&was_there, true, true, -ETIMEDOUT}, /* for longer than the wait for a first answer */
        {&there, true, true, 0},
        {&gone, false, false, 0},
    };
    struct observing observing = OBSERVING_START;

    observing_begin(&observing, true, START_NS);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        observing_take(&observing, rows[i].found, START_NS + i * NS_PER_S);
        as(&observing, rows[i].holds, rows[i].there, rows[i].error, i);
        cr_expect_eq(observing_deadline_ns(&observing), NEVER_NS, "row %zu", i);
    }
}

Test(observing, an_answer_that_comes_late_counts)
{
    struct observing observing = OBSERVING_START;

    observing_begin(&observing, true, START_NS);
    observing_take(&observing, &hangs, START_NS + WAIT_NS);
    as(&observing, false, false, -ETIMEDOUT, 0);
    cr_expect_eq(observing_deadline_ns(&observing), NEVER_NS);
    observing_take(&observing, &there, START_NS + 10 * WAIT_NS);
    as(&observing, true, true, 0, 1);
}

Test(observing, another_file)
{
    static const struct {
        const struct presence_report *before, *found;
        uint64_t after_ns;
        bool holds;
    } rows[] = {
        {&gone, &nothing, 1, false}, /* it acted: it goes on */
        {&gone, &hangs, WAIT_NS, false},       {&gone, &there, 1, true},
        {&there, &nothing, WAIT_NS - 1, true}, /* it held: until the new one is known, but not for good */
        {&there, &hangs, WAIT_NS, false},      {&there, &gone, 1, false},
        {&was_there, &there, 1, true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct observing observing = OBSERVING_START;

        observing_begin(&observing, true, START_NS);
        observing_take(&observing, rows[i].before, START_NS);
        observing_begin(&observing, true, 2 * START_NS);
        cr_expect_eq(observing.error, 0, "row %zu: that was another file", i);
        observing_take(&observing, rows[i].found, 2 * START_NS + rows[i].after_ns);
        as(&observing, rows[i].holds, rows[i].holds, rows[i].found->error, i);
    }
}

Test(observing, no_file)
{
    struct observing observing = OBSERVING_START;

    observing_begin(&observing, false, START_NS);
    as(&observing, false, false, 0, 0);
    cr_expect_eq(observing_deadline_ns(&observing), NEVER_NS);
    observing_begin(&observing, true, START_NS);
    observing_take(&observing, &was_there, START_NS);
    observing_begin(&observing, false, START_NS);
    as(&observing, false, false, 0, 1);
}
