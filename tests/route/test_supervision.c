/* SPDX-License-Identifier: Apache-2.0 */
/* What a supervisor does with its agent, moment by moment. */
#include "route/agent/supervision.h"

#include <criterion/criterion.h>

#define BEGIN_NS (1000 * NS_PER_S)

static struct supervision it;

static uint64_t at(double seconds)
{
    return BEGIN_NS + (uint64_t)(seconds * (double)NS_PER_S);
}

static double due_s(void)
{
    return it.due_ns == NEVER_NS ? -1 : (double)(it.due_ns - BEGIN_NS) / (double)NS_PER_S;
}

/* One that runs, and has spoken a second after its start. */
static void begin(void)
{
    supervision_begin(&it, true, BEGIN_NS);
    cr_assert_eq(supervision_due(&it, BEGIN_NS), SUPERVISION_START);
    supervision_started(&it, BEGIN_NS);
    supervision_heard(&it, at(1));
}

Test(supervision, waits_longer_each_time, .init = begin)
{
    static const double waits[] = {1, 2, 4, 8, 16, 30, 30, 30};
    double now = 2;

    for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
        cr_assert_not(supervision_ended(&it, false, at(now)));
        cr_expect_eq(due_s(), now + waits[i], "%zu: %g", i, due_s());
        cr_expect_eq(it.restarts, i + 1);
        now += waits[i];
        cr_expect_eq(supervision_due(&it, at(now) - 1), SUPERVISION_WAIT);
        cr_expect_eq(supervision_due(&it, at(now)), SUPERVISION_START);
        supervision_started(&it, at(now));
        now += 59;
    }
}

Test(supervision, a_steady_run_ends_that, .init = begin)
{
    for (double now = 2; now < 300; now += 100) {
        supervision_ended(&it, false, at(now));
        supervision_started(&it, it.due_ns);
    }
    cr_assert_not(supervision_ended(&it, false, it.started_ns + SUPERVISION_STEADY_NS));
    cr_expect_eq(it.due_ns, it.started_ns + SUPERVISION_STEADY_NS + SUPERVISION_AGAIN_NS);
}

Test(supervision, none_could_be_started, .init = begin)
{
    supervision_ended(&it, false, at(100));
    cr_expect_eq(due_s(), 101);
    for (double now = 101, wait = 2; wait <= 16; now += wait, wait *= 2) {
        cr_expect_eq(supervision_due(&it, at(now)), SUPERVISION_START);
        cr_assert_not(supervision_ended(&it, false, at(now)), "in vain");
        cr_expect_eq(due_s(), now + wait, "%g", due_s());
    }
}

Test(supervision, a_good_end_is_the_end, .init = begin)
{
    cr_expect(supervision_ended(&it, true, at(2)));
}

Test(supervision, silence_kills, .init = begin)
{
    cr_expect_eq(due_s(), 11);
    supervision_heard(&it, at(6));
    cr_expect_eq(supervision_due(&it, at(11)), SUPERVISION_WAIT);
    cr_expect_eq(supervision_due(&it, at(16)), SUPERVISION_KILL);
    cr_expect_eq(due_s(), -1, "once");
    supervision_heard(&it, at(16.1));
    cr_expect_eq(due_s(), -1, "a last word does not help");
    cr_expect_not(supervision_ended(&it, false, at(16.2)));
}

/* The next one has as much time as the first one had, and is killed as it was. */
Test(supervision, silence_kills_the_next_one_too, .init = begin)
{
    supervision_heard(&it, at(2));
    cr_expect_eq(supervision_due(&it, at(12)), SUPERVISION_KILL);
    cr_expect_not(supervision_ended(&it, false, at(12)));
    supervision_started(&it, at(13));
    cr_expect_eq(supervision_due(&it, at(103.5)), SUPERVISION_KILL, "without a word");
    cr_expect_eq(it.heard_ns, NEVER_NS);
    cr_expect_not(supervision_ended(&it, false, at(104)));
    supervision_started(&it, at(106));
    supervision_heard(&it, at(107));
    cr_expect_eq(due_s(), 117);
    cr_expect_eq(supervision_due(&it, at(117)), SUPERVISION_KILL);
}

Test(supervision, the_first_word_may_take_longer)
{
    supervision_begin(&it, true, BEGIN_NS);
    supervision_started(&it, BEGIN_NS);
    cr_expect_eq(due_s(), 90);
    cr_expect_eq(supervision_due(&it, at(90)), SUPERVISION_KILL);
}

Test(supervision, one_that_cannot_speak_is_not_killed)
{
    supervision_begin(&it, false, BEGIN_NS);
    supervision_started(&it, BEGIN_NS);
    cr_expect_eq(due_s(), -1);
    cr_expect_eq(supervision_due(&it, at(1e6)), SUPERVISION_WAIT);
}

Test(supervision, who_was_not_running_does_not_judge, .init = begin)
{
    cr_expect_eq(supervision_due(&it, at(12)), SUPERVISION_WAIT, "a second too late");
    cr_expect_eq(due_s(), 22);
    cr_expect_eq(supervision_due(&it, at(22.9)), SUPERVISION_KILL, "a busy machine");
}

Test(supervision, told_to_end, .init = begin)
{
    cr_expect_not(supervision_stop(&it, at(3)));
    cr_expect_eq(due_s(), 48);
    supervision_heard(&it, at(4));
    supervision_ends(&it, at(4));
    cr_expect_not(supervision_stop(&it, at(5)), "told again");
    cr_expect_eq(due_s(), 48, "gives it no more time");
    cr_expect_eq(supervision_due(&it, at(48)), SUPERVISION_KILL);
    cr_expect(supervision_ended(&it, false, at(49)), "however it ends");
}

/* By somebody else than its supervisor: it has as long, and is started again if it is killed. */
Test(supervision, it_says_that_it_ends, .init = begin)
{
    supervision_ends(&it, at(3));
    cr_expect_eq(supervision_due(&it, at(47.9)), SUPERVISION_WAIT);
    cr_expect_eq(supervision_due(&it, at(48)), SUPERVISION_KILL);
    supervision_ends(&it, at(48));
    cr_expect_eq(due_s(), -1, "too late");
    cr_expect_not(supervision_ended(&it, false, at(49)));
}

/* Told to end once, killed after its time, and none is started before it is gone. */
Test(supervision, one_that_was_left)
{
    uint64_t now_ns = BEGIN_NS;

    supervision_begin(&it, true, BEGIN_NS);
    while (now_ns < at(46)) {
        enum supervision_act expected = now_ns == BEGIN_NS ? SUPERVISION_END
                                        : now_ns == at(45) ? SUPERVISION_KILL
                                                           : SUPERVISION_WAIT;

        cr_assert_eq(supervision_due(&it, now_ns), SUPERVISION_START);
        cr_expect_eq(supervision_blocked(&it, now_ns), expected);
        cr_assert_gt(it.due_ns, now_ns);
        now_ns = it.due_ns;
    }
    cr_expect(supervision_stop(&it, now_ns), "who is told to end meanwhile ends");
}

/* As it is with its own one; and that one was killed before is not to save this one. */
Test(supervision, who_was_not_running_does_not_judge_one_that_was_left, .init = begin)
{
    cr_assert_eq(supervision_due(&it, at(11)), SUPERVISION_KILL);
    cr_assert_not(supervision_ended(&it, false, at(12)));
    cr_expect_eq(supervision_blocked(&it, at(13)), SUPERVISION_END);
    cr_expect_eq(supervision_blocked(&it, at(100)), SUPERVISION_WAIT, "it stood still");
    for (double now = 100.1; now < 144.95; now += 0.1)
        cr_assert_eq(supervision_blocked(&it, at(now)), SUPERVISION_WAIT, "%g", now);
    cr_expect_eq(supervision_blocked(&it, at(145.9)), SUPERVISION_KILL, "a busy machine");
}

Test(supervision, the_next_one_that_was_left_has_its_own_time, .init = begin)
{
    supervision_ended(&it, false, at(2));
    cr_expect_eq(supervision_blocked(&it, at(3)), SUPERVISION_END);
    supervision_started(&it, at(4));
    supervision_ended(&it, false, at(64));
    cr_expect_eq(supervision_blocked(&it, at(66)), SUPERVISION_END);
    cr_expect_eq(supervision_blocked(&it, at(66.1)), SUPERVISION_WAIT);
}

Test(supervision, told_to_end_while_none_runs, .init = begin)
{
    supervision_ended(&it, false, at(2));
    cr_expect(supervision_stop(&it, at(2.5)));
}
