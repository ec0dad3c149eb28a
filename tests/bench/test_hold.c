/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves that the study of holds plays what it says: a history is the same for the same seed and stays within
 * its bounds; the world it happens in fails over, comes back and damps as the agent does, by cases that can
 * be worked out by hand; and the answer is the shortest hold that makes nothing worse.
 */
#include <criterion/criterion.h>

#include "bench/hold/answer.h"

#define S NS_PER_S

/* --- histories --- */

Test(hold, a_seed_is_a_history)
{
    for (size_t k = 0; k < hold_kind_count; k++) {
        struct hold_history a, b, other;

        cr_assert_eq(hold_history_make(&a, &hold_kinds[k], 7), 0);
        cr_assert_eq(hold_history_make(&b, &hold_kinds[k], 7), 0);
        cr_assert_eq(hold_history_make(&other, &hold_kinds[k], 8), 0);
        cr_assert_eq(a.count, b.count, "%s", hold_kinds[k].name);
        for (size_t i = 0; i < a.count; i++)
            cr_expect(a.changes[i].at_ns == b.changes[i].at_ns && a.changes[i].what == b.changes[i].what &&
                          a.changes[i].value == b.changes[i].value,
                      "%s", hold_kinds[k].name);
        cr_expect(a.from_ns != other.from_ns, "%s", hold_kinds[k].name);
        for (size_t i = 0; i < a.count; i++) {
            cr_expect(i == 0 || a.changes[i].at_ns >= a.changes[i - 1].at_ns, "%s", hold_kinds[k].name);
            cr_expect(a.changes[i].at_ns >= a.from_ns && a.changes[i].at_ns < a.length_ns, "%s",
                      hold_kinds[k].name);
        }
        hold_history_clear(&a);
        hold_history_clear(&b);
        hold_history_clear(&other);
    }
}

/* --- the world --- */

/* The node is away from 3600 s to 3720 s, its service until 3750 s. */
static struct hold_change one_reboot[] = {
    {3600 * S, HOLD_PING, false}, {3600 * S, HOLD_SERVICE, false}, {3610 * S, HOLD_SESSION_DEAD, 0},
    {3720 * S, HOLD_PING, true},  {3750 * S, HOLD_SERVICE, true},  {3751 * S, HOLD_SESSION_BORN, 3750 * S},
};

/* Twice. */
static struct hold_change two_reboots[] = {
    {3600 * S, HOLD_PING, false}, {3600 * S, HOLD_SERVICE, false}, {3610 * S, HOLD_SESSION_DEAD, 0},
    {3720 * S, HOLD_PING, true},  {3750 * S, HOLD_SERVICE, true},  {3751 * S, HOLD_SESSION_BORN, 3750 * S},
    {4200 * S, HOLD_PING, false}, {4200 * S, HOLD_SERVICE, false}, {4210 * S, HOLD_SESSION_DEAD, 0},
    {4320 * S, HOLD_PING, true},  {4350 * S, HOLD_SERVICE, true},  {4351 * S, HOLD_SESSION_BORN, 4350 * S},
};

/* A silence that is shorter than the window. */
static struct hold_change blip[] = {{3600 * S, HOLD_PING, false}, {3600 * S + S / 2, HOLD_PING, true}};

/* Pings go on, the session does not. */
static struct hold_change session_only[] = {
    {3600 * S, HOLD_SERVICE, false},
    {3610 * S, HOLD_SESSION_DEAD, 0},
    {3720 * S, HOLD_SERVICE, true},
    {3721 * S, HOLD_SESSION_BORN, 3720 * S},
};

/* Half of what is sent is lost. */
static struct hold_change lossy[] = {{3600 * S, HOLD_LOSS, 500000}, {4200 * S, HOLD_LOSS, 0}};

/* A little loss keeps nobody away, but keeps who is away from returning. */
static struct hold_change little_loss[] = {
    {3600 * S, HOLD_PING, false},
    {3700 * S, HOLD_PING, true},
    {3700 * S, HOLD_LOSS, 50000},
    {4700 * S, HOLD_LOSS, 0},
};

#define HISTORY(changes_) .changes = changes_, .count = ARRAY_SIZE(changes_)

Test(hold, the_world_is_an_agents)
{
    static const struct {
        const char *name;
        struct hold_change *changes;
        size_t count;
        unsigned hold_s;
        bool damping;
        size_t switches, needless;
        double away_s[2], unserved_s[2]; /* at least, at most */
    } rows[] = {
        {"a reboot", HISTORY(one_reboot), 180, true, 2, 0, {328, 330}, {0.9, 1.2}},
        {"with a short hold", HISTORY(one_reboot), 10, true, 2, 0, {158, 160}, {0.9, 1.2}},
        {"without a hold, when the session is there",
         HISTORY(one_reboot),
         0,
         true,
         2,
         0,
         {149, 151},
         {0.9, 1.2}},
        {"the second time twice as long",
         HISTORY(two_reboots),
         180,
         true,
         4,
         2,
         {328 + 508, 330 + 510},
         {1.8, 2.4}},
        {"or not", HISTORY(two_reboots), 180, false, 4, 2, {328 + 328, 330 + 330}, {1.8, 2.4}},
        {"who waits is not hurt", HISTORY(two_reboots), 600, false, 2, 0, {1348, 1350}, {0.9, 1.2}},
        {"a blip", HISTORY(blip), 180, true, 0, 0, {0, 0}, {0.5, 0.5}},
        {"only the session", HISTORY(session_only), 180, true, 2, 0, {289, 291}, {10, 10.1}},
        {"half is lost: noticed in a second, over when it is remembered no more",
         HISTORY(lossy),
         180,
         true,
         2,
         0,
         {590 + 170, 600 + 200},
         {0.3, 2}},
        {"a little loss", HISTORY(little_loss), 180, true, 2, 0, {1100 + 100, 1100 + 190}, {0.9, 1.2}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CLEANUP(tally_clear) struct tally tally = {0}, again = {0};
        struct hold_effort effort = {0};
        const struct hold_history history = {.changes = rows[i].changes,
                                             .count = rows[i].count,
                                             .from_ns = 3600 * S,
                                             .until_ns = rows[i].changes[rows[i].count - 1].at_ns,
                                             .length_ns = 12 * 3600 * S};
        const struct hold_settings settings = {
            .hold_ns = rows[i].hold_s * S, .damping_max_ns = rows[i].damping ? SELECTOR_DAMPING_MAX_NS : 0};
        double away_s, unserved_s;

        cr_assert_eq(hold_world_run(&history, &settings, 1, &tally, &effort), 0);
        away_s = (double)tally.away_ns / S;
        unserved_s = (double)tally.unserved_ns / S;
        cr_expect_eq(tally.move_count, rows[i].switches, "%s: %zu switches", rows[i].name, tally.move_count);
        cr_expect_eq(tally.needless, rows[i].needless, "%s: %zu needless", rows[i].name, tally.needless);
        cr_expect(away_s >= rows[i].away_s[0] && away_s <= rows[i].away_s[1], "%s: away %.2f s", rows[i].name,
                  away_s);
        cr_expect(unserved_s >= rows[i].unserved_s[0] && unserved_s <= rows[i].unserved_s[1],
                  "%s: unserved %.2f s", rows[i].name, unserved_s);
        cr_expect_eq(tally.watched_ns, history.length_ns, "%s", rows[i].name);
        cr_expect_lt(effort.probes, 60000, "%s: %" PRIu64 " probes: quiet hours are skipped", rows[i].name,
                     effort.probes);
        cr_assert_eq(hold_world_run(&history, &settings, 1, &again, &effort), 0);
        cr_expect(again.away_ns == tally.away_ns && again.unserved_ns == tally.unserved_ns,
                  "%s: the same again", rows[i].name);
    }
}

/* --- the answer --- */

Test(hold, the_shortest_that_makes_nothing_worse)
{
    enum { HISTORIES = 2, HOLDS = 4 };
    static const unsigned holds_s[HOLDS] = {10, 60, 180, 300};
    static const struct {
        const char *name;
        unsigned needless[HISTORIES][HOLDS], unserved_s[HISTORIES][HOLDS];
        unsigned want_s;
    } rows[] = {
        {"all alike", {{0}}, {{0}}, 10},
        {"worse below 60 s", {{4, 2, 2, 2}, {0}}, {{0}}, 60},
        {"in another history", {{0}, {1, 1, 0, 0}}, {{0}}, 180},
        {"more time without service", {{0}}, {{200, 150, 100, 100}, {0}}, 180},
        {"a per cent is nothing", {{0}}, {{200, 101, 100, 100}, {0}}, 60},
        {"a longer one is no measure", {{2, 2, 2, 0}, {0}}, {{0}}, 10},
    };

    for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
        struct hold_cell cells[HISTORIES * HOLDS * 2] = {0};
        const struct hold_cells all = {cells, HISTORIES, HOLDS * 2};
        size_t base, shortest;

        for (size_t h = 0; h < HISTORIES; h++) {
            for (size_t s = 0; s < HOLDS * 2; s++) {
                struct hold_cell *cell = &cells[h * HOLDS * 2 + s];

                cell->settings.hold_ns = holds_s[s / 2] * S;
                cell->settings.damping_max_ns = s % 2 ? 0 : SELECTOR_DAMPING_MAX_NS;
                cell->needless = s % 2 ? 99 : rows[r].needless[h][s / 2];
                cell->unserved_ns = rows[r].unserved_s[h][s / 2] * S;
            }
        }
        hold_shortest(&all, 180 * S, &base, &shortest);
        cr_expect_eq(cells[base].settings.hold_ns, 180 * S, "%s", rows[r].name);
        cr_expect_eq(cells[base].settings.damping_max_ns, SELECTOR_DAMPING_MAX_NS, "%s", rows[r].name);
        cr_expect_eq(cells[shortest].settings.hold_ns, rows[r].want_s * S, "%s: %g s", rows[r].name,
                     (double)cells[shortest].settings.hold_ns / S);
        cr_expect_eq(cells[shortest].settings.damping_max_ns, SELECTOR_DAMPING_MAX_NS, "%s", rows[r].name);
    }
}

Test(hold, no_answer_without_a_history)
{
    const struct hold_cells none = {.settings = 2};
    char text[64];

    hold_answer(&none, 180 * S, text, sizeof(text));
    cr_expect_str_eq(text, "No history was played.");
}
