/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves how fast accesses that only lists know may appear.
 */
#include "route/decide/admission.h"

#include <criterion/criterion.h>

static unsigned enter(struct admission *admission, unsigned many, uint32_t from_lists, uint64_t first_ns,
                      uint64_t now_ns)
{
    unsigned entered = 0;

    for (unsigned i = 0; i < many; i++)
        entered += admission_ask(admission, from_lists + entered, first_ns, now_ns);
    return entered;
}

Test(admission, the_first_at_once_the_others_when_they_stay)
{
    struct admission admission = {0};
    uint64_t now_ns = 1000 * NS_PER_S;

    cr_expect_eq(enter(&admission, 1000, 0, now_ns, now_ns), ADMISSION_AT_ONCE);
    now_ns += 2 * NS_PER_S;
    cr_expect_eq(enter(&admission, 1000, ADMISSION_AT_ONCE, now_ns, now_ns), 0, "others each time");
    cr_expect_eq(enter(&admission, 1000, ADMISSION_AT_ONCE, now_ns - 2 * NS_PER_S, now_ns),
                 ADMISSION_A_MINUTE - ADMISSION_AT_ONCE, "those that stay, within the minute");
    now_ns += 58 * NS_PER_S;
    cr_expect_eq(enter(&admission, 1000, 128, now_ns - 60 * NS_PER_S, now_ns), ADMISSION_A_MINUTE,
                 "and in the next one");
}

Test(admission, a_small_cluster_grows_at_once)
{
    struct admission admission = {0};

    cr_expect_eq(enter(&admission, 3, 0, 5, 5), 3);
    cr_expect_eq(enter(&admission, 1, 3, 9, 9), 1);
}
