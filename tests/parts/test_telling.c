/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the cluster where this host enters: when it is told, who is asked first, how often after a failure, and
 * that an answer is taken in by the step, never by the callback.
 */
#include "route/agent/telling.h"
#include "tests/parts/stage.h"

#include <criterion/criterion.h>

static void begin(struct stage *stage, struct telling *telling)
{
    stage_open(stage);
    *telling = (struct telling){.waker = stage->waker};
}

/* Takes answers in and sends what is due. True: a new list is worth asking for. */
static bool step(struct stage *stage, struct telling *telling, double at_s, enum planned_answer *planned)
{
    enum planned_answer ignored;
    bool is_gone;

    stage_at(stage, at_s);
    is_gone = telling_take(telling, &stage->now, planned ? planned : &ignored);
    telling_step(telling, &stage->provider, &stage->now);
    return is_gone;
}

/* The cluster has been told of the access in use, node 1; that is taken in by the step at 0.1 s. */
static void begin_told(struct stage *stage, struct telling *telling, enum planned_answer *planned)
{
    begin(stage, telling);
    step(stage, telling, 0, NULL);
    stage_answer(&stage->refresh, 0, NULL, 1);
    step(stage, telling, 0.1, planned);
}

Test(telling, the_access_in_use_once)
{
    struct telling telling;
    struct stage stage;

    begin(&stage, &telling);
    step(&stage, &telling, 0, NULL);
    cr_expect_eq(stage.refresh.count, 1);
    cr_expect_str_eq(stage.refresh.text, "uuid-1");
    cr_expect_eq(stage.refresh.endpoints[0].access, 0, "the access itself is asked first");
    stage_answer(&stage.refresh, 0, NULL, 1);
    cr_expect_eq(stage.woken, 1);
    cr_expect(telling.refresh.under_way, "the callback notes only");
    step(&stage, &telling, 0.1, NULL);
    step(&stage, &telling, 9, NULL);
    cr_expect_eq(stage.refresh.count, 1);
    snprintf(stage.table.accesses[0].view.uuid, SESSION_UUID_SIZE, "uuid-1b");
    step(&stage, &telling, 10, NULL);
    cr_expect_eq(stage.refresh.count, 2, "after a restart of its session");
    stage_close(&stage);
}

Test(telling, failures_are_tried_again_ever_later)
{
    static const double sent_s[] = {0, 0.5, 1.5, 3.5, 7.5, 15.5, 25.5, 35.5};
    struct telling telling;
    struct stage stage;

    begin(&stage, &telling);
    for (size_t i = 0; i < ARRAY_SIZE(sent_s); i++) {
        if (i)
            step(&stage, &telling, sent_s[i] - 0.001, NULL);
        cr_expect_eq(stage.refresh.count, i, "the try %zu before its time", i);
        step(&stage, &telling, sent_s[i], NULL);
        cr_expect_eq(stage.refresh.count, i + 1, "no try %zu at %g s", i, sent_s[i]);
        stage_answer(&stage.refresh, -ETIMEDOUT, NULL, 1);
        cr_expect_not(step(&stage, &telling, sent_s[i], NULL));
        cr_expect_str_eq(telling.refresh.message, "refused");
    }
    telling_again(&telling);
    step(&stage, &telling, 36, NULL);
    cr_expect_eq(stage.refresh.count, ARRAY_SIZE(sent_s) + 1, "at once after a switch");
    stage_close(&stage);
}

Test(telling, a_call_that_cannot_even_be_made_is_a_failure)
{
    struct telling telling;
    struct stage stage;

    begin(&stage, &telling);
    stage.refuse = -ENOMEM;
    step(&stage, &telling, 0, NULL);
    cr_expect_not(telling.refresh.failed, "no answer from inside the call");
    cr_expect_eq(stage.woken, 1);
    step(&stage, &telling, 0.1, NULL);
    cr_expect(telling.refresh.failed);
    stage_close(&stage);
}

Test(telling, a_session_that_is_gone_is_worth_a_new_list)
{
    struct telling telling;
    struct stage stage;

    begin(&stage, &telling);
    step(&stage, &telling, 0, NULL);
    stage_answer(&stage.refresh, -ENOENT, NULL, 1);
    cr_expect(step(&stage, &telling, 0.1, NULL));
    stage_close(&stage);
}

Test(telling, a_planned_switch_gets_its_own_answer)
{
    struct telling telling;
    struct stage stage;
    enum planned_answer answer;

    begin_told(&stage, &telling, &answer);
    cr_expect_eq(answer, PLANNED_NO_ANSWER, "that was the access in use");
    telling_planned(&telling, &stage.provider, &stage.now, 2);
    cr_expect_str_eq(stage.refresh.text, "uuid-2");
    step(&stage, &telling, 0.2, &answer);
    cr_expect_eq(answer, PLANNED_NO_ANSWER);
    cr_expect_eq(stage.refresh.count, 2, "nothing else is told meanwhile");
    stage_answer(&stage.refresh, 0, NULL, 2);
    step(&stage, &telling, 0.3, &answer);
    cr_expect_eq(answer, PLANNED_YES);
    stage_close(&stage);
}

Test(telling, what_was_told_for_a_switch_that_is_abandoned)
{
    struct telling telling;
    struct stage stage;
    enum planned_answer answer;

    begin_told(&stage, &telling, NULL);
    telling_planned(&telling, &stage.provider, &stage.now, 2);
    stage_answer(&stage.refresh, 0, NULL, 2);
    telling_cancel(&telling, &stage.provider); /* the answer came, and no step has taken it in */
    telling_again(&telling);
    step(&stage, &telling, 0.2, &answer);
    cr_expect_eq(answer, PLANNED_NO_ANSWER);
    cr_expect_str_eq(stage.refresh.text, "uuid-1", "the cluster hears where this host is");
    stage_close(&stage);
}

struct untold {
    const char *what;
    const char *provider;
    bool untouching, dead, without_uuid, without_route;
};

static const struct untold untold[] = {
    {.what = "a file", .provider = "file"},
    {.what = "no provider", .provider = "none"},
    {.what = "who touches nothing", .provider = "rest", .untouching = true},
    {.what = "a dead session", .provider = "rest", .dead = true},
    {.what = "an access that no list has named", .provider = "rest", .without_uuid = true},
    {.what = "no route", .provider = "rest", .without_route = true},
};

Test(telling, nobody_is_told)
{
    for (size_t i = 0; i < ARRAY_SIZE(untold); i++) {
        struct telling telling;
        struct stage stage;

        begin(&stage, &telling);
        snprintf(stage.config.session.provider, sizeof(stage.config.session.provider), "%s",
                 untold[i].provider);
        stage.now.acts = !untold[i].untouching;
        if (untold[i].dead)
            stage.table.accesses[0].view.state = SESSION_DEAD;
        if (untold[i].without_uuid)
            stage.table.accesses[0].view.uuid[0] = '\0';
        if (untold[i].without_route)
            stage.now.current = SELECTOR_NO_PATH;
        step(&stage, &telling, 0, NULL);
        cr_expect_eq(stage.refresh.count, 0, "%s", untold[i].what);
        cr_expect_eq(telling_deadline_ns(&telling, &stage.now), NEVER_NS, "%s", untold[i].what);
        stage_close(&stage);
    }
}

Test(telling, heartbeats)
{
    struct telling telling;
    struct stage stage;

    begin(&stage, &telling);
    snprintf(stage.config.session.heartbeat_path, sizeof(stage.config.session.heartbeat_path), "/beat");
    stage.config.session.heartbeat_interval_ns = 10 * NS_PER_S;
    step(&stage, &telling, 0, NULL);
    step(&stage, &telling, 9.9, NULL);
    cr_expect_eq(stage.heartbeat.count, 1);
    cr_expect_not_null(strstr(stage.heartbeat.text, "\"next_hop\":\"10.0.0.1\""), "%s", stage.heartbeat.text);
    telling_heartbeat_soon(&telling);
    step(&stage, &telling, 9.95, NULL);
    cr_expect_eq(stage.heartbeat.count, 2, "at once after a switch");
    step(&stage, &telling, 19.95, NULL);
    cr_expect_eq(stage.heartbeat.count, 3);
    stage_close(&stage);
}
