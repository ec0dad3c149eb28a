/* SPDX-License-Identifier: Apache-2.0 */
/* The toolbox: what it makes of a system that lacks something. */
#include "probe/base.h"

#include <criterion/criterion.h>

Test(base, a_clock_that_is_not_known_is_the_monotonic_one)
{
    const clockid_t unknown = 60;
    uint64_t before_ns = clock_now_ns(CLOCK_MONOTONIC), now_ns = clock_now_ns(unknown);

    cr_assert_lt(clock_gettime(unknown, &(struct timespec){0}), 0);
    cr_expect_geq(now_ns, before_ns);
    cr_expect_leq(now_ns, clock_now_ns(CLOCK_MONOTONIC));
}
