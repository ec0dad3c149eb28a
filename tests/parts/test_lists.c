/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Session lists: who is asked and in which order, how often, and that a list is taken in by the step, never by the
 * callback.
 */
#include "route/agent/lists.h"
#include "tests/parts/stage.h"

#include <criterion/criterion.h>

struct listing {
    struct stage stage;
    struct lists lists;
};

static void begin(struct listing *listing)
{
    stage_open(&listing->stage);
    cr_assert_eq(lists_open(&listing->lists, &listing->stage.config, &listing->stage.waker), 0);
    for (uint32_t i = 0; i < listing->stage.table.access_count; i++)
        session_liveness_expect(listing->lists.liveness, &listing->stage.table.accesses[i].data,
                                &listing->stage.table.accesses[i].secondary);
}

static void end(struct listing *listing)
{
    lists_close(&listing->lists);
    stage_close(&listing->stage);
}

static void view(struct listing *listing)
{
    for (uint32_t i = 0; i < listing->stage.table.access_count; i++) {
        struct agent_access *access = &listing->stage.table.accesses[i];

        session_liveness_view(listing->lists.liveness, &access->data, &access->secondary,
                              listing->stage.now.now_ns, &access->view);
    }
}

static bool step(struct listing *listing, double at_s)
{
    bool admitted;

    stage_at(&listing->stage, at_s);
    admitted = lists_take(&listing->lists, &listing->stage.now, NULL);
    view(listing);
    lists_step(&listing->lists, &listing->stage.provider, &listing->stage.now);
    return admitted;
}

/* A list comes and is taken in at that time. */
static void list_comes(struct listing *listing, double at_s, int from_node, const int *nodes, size_t count)
{
    struct session items[STAGE_NODES];
    struct session_list list = stage_list(items, nodes, count, 3600 + (uint64_t)at_s);

    stage_answer(&listing->stage.list, 0, &list, from_node);
    step(listing, at_s);
}

/* The accesses in the order in which they are asked, as digits. */
static const char *asked(const struct listing *listing)
{
    static char text[STAGE_NODES + 1];
    const struct stage_request *request = &listing->stage.list;
    size_t length = 0;

    for (size_t i = 0; i < request->endpoint_count; i++) {
        char digit = (char)('1' + request->endpoints[i].access);

        if (length == 0 || text[length - 1] != digit)
            text[length++] = digit;
    }
    text[length] = '\0';
    return text;
}

static const int all[] = {1, 2, 3};
static const int without_1[] = {2, 3};

/* The first poll is at 0 s; at 0.1 s node 2 has answered it. */
static void begin_with_a_list(struct listing *listing)
{
    begin(listing);
    step(listing, 0);
    list_comes(listing, 0.1, 2, all, 3);
}

Test(lists, the_one_in_use_and_who_answered_last_come_last)
{
    struct listing listing;

    begin(&listing);
    step(&listing, 0);
    cr_expect_str_eq(asked(&listing), "231", "%s", asked(&listing));
    list_comes(&listing, 0.1, 2, all, 3);
    step(&listing, 5.1);
    cr_expect_str_eq(asked(&listing), "312", "%s", asked(&listing));
    list_comes(&listing, 5.2, 3, all, 3);
    step(&listing, 10.2);
    cr_expect_str_eq(asked(&listing), "213", "%s", asked(&listing));
    end(&listing);
}

Test(lists, who_is_down_is_asked_when_nobody_else_can_be)
{
    struct listing listing;

    begin(&listing);
    listing.stage.table.paths[2].health.state = listing.stage.table.paths[3].health.state = HEALTH_DOWN;
    step(&listing, 0);
    cr_expect_str_eq(asked(&listing), "31", "%s", asked(&listing));
    end(&listing);
    begin(&listing);
    for (uint32_t i = 0; i < listing.stage.table.path_count; i++)
        listing.stage.table.paths[i].health.state = HEALTH_DOWN;
    step(&listing, 0);
    cr_expect_str_eq(asked(&listing), "231", "%s", asked(&listing));
    end(&listing);
}

Test(lists, impatient_until_the_first_one_then_at_its_pace)
{
    static const double polls_s[] = {0, 0.5, 1.0};
    struct listing listing;

    begin(&listing);
    for (size_t i = 0; i < ARRAY_SIZE(polls_s); i++) {
        step(&listing, polls_s[i]);
        cr_expect_eq(listing.stage.list.count, i + 1);
        stage_answer(&listing.stage.list, -ECONNREFUSED, NULL, 2);
        step(&listing, polls_s[i] + 0.01);
        cr_expect_str_eq(listing.lists.polls.message, "refused");
    }
    step(&listing, 1.5);
    list_comes(&listing, 1.6, 2, all, 3);
    cr_expect(listing.lists.arrived);
    cr_expect_str_empty(listing.lists.polls.message);
    step(&listing, 2.1); /* the poll that was set before it */
    cr_expect_eq(listing.stage.list.count, 5);
    list_comes(&listing, 3.2, 3, all, 3);
    step(&listing, 7.0);
    cr_expect_eq(listing.stage.list.count, 5);
    step(&listing, 7.2);
    cr_expect_eq(listing.stage.list.count, 6);
    end(&listing);
}

Test(lists, the_callback_notes_only)
{
    struct session items[STAGE_NODES];
    struct session_list list = stage_list(items, all, 3, 3600);
    struct listing listing;

    begin(&listing);
    step(&listing, 0);
    stage_answer(&listing.stage.list, 0, &list, 2);
    memset(items, 0, sizeof(items)); /* it was the provider's */
    cr_expect_eq(listing.stage.woken, 1);
    cr_expect_not(listing.lists.arrived);
    step(&listing, 0.1);
    cr_expect(listing.lists.arrived);
    cr_expect_eq(listing.stage.table.accesses[2].view.state, SESSION_STABLE);
    end(&listing);
}

/* One list without it is no death: another access is asked, as soon as its answer can mean something. */
Test(lists, a_death_is_confirmed_soon)
{
    struct listing listing;

    begin_with_a_list(&listing);
    step(&listing, 5.2);
    list_comes(&listing, 5.3, 3, without_1, 2);
    cr_expect_neq(listing.stage.table.accesses[0].view.state, SESSION_DEAD);
    step(&listing, 6.3);
    cr_expect_eq(listing.stage.list.count, 2);
    step(&listing, 6.41);
    cr_expect_eq(listing.stage.list.count, 3, "not asked again after 1.1 s");
    list_comes(&listing, 6.5, 2, without_1, 2);
    cr_expect_eq(listing.stage.table.accesses[0].view.state, SESSION_DEAD);
    end(&listing);
}

Test(lists, silence_is_said_and_its_end_too)
{
    struct listing listing;

    begin_with_a_list(&listing);
    step(&listing, 26);
    cr_expect_not(listing.lists.overdue);
    step(&listing, 26.2); /* five polls and a time-out after the last fresh one */
    cr_expect(listing.lists.overdue);
    cr_expect_eq(lists_age_ns(&listing.lists, &listing.stage.now), 26100 * NS_PER_MS);
    list_comes(&listing, 26.3, 2, all, 3);
    cr_expect_not(listing.lists.overdue);
    end(&listing);
}

Test(lists, an_answer_to_the_old_provider_is_none)
{
    struct session items[STAGE_NODES];
    struct session_list list = stage_list(items, all, 3, 3600);
    struct listing listing;

    begin(&listing);
    step(&listing, 0);
    stage_answer(&listing.stage.list, 0, &list, 2);
    lists_provider_changed(&listing.lists);
    step(&listing, 0.1);
    cr_expect_not(listing.lists.arrived);
    cr_expect_eq(listing.stage.list.count, 2, "the new one is asked at once");
    end(&listing);
}
