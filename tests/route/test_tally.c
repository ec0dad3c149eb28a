/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what is counted when a history is played, by the definitions that people read (TALLY_DEFINITIONS):
 * which switches were needless, what is away from home; and when two rows of switches are the same.
 */
#include <criterion/criterion.h>

#include "route/journal/replay.h"

#define S NS_PER_S

enum { HOME, AWAY, PATHS };

Test(tally, needless)
{
    static const struct {
        const char *name;
        struct {
            unsigned at_s;
            bool failed; /* HOME is not well any more; else a switch */
            bool out;    /* from HOME; else back */
            bool well;
            enum selector_reason reason;
        } what[5];
        size_t needless;
    } rows[] = {
        {"out, and back",
         {{100, true},
          {101, false, true, false, SWITCH_PATH_DOWN},
          {300, false, false, true, SWITCH_FAILBACK}},
         0},
        {"it fails 599 s later",
         {{300, false, false, true, SWITCH_FAILBACK},
          {898, true},
          {899, false, true, false, SWITCH_PATH_DOWN}},
         2},
        {"it fails 600 s later",
         {{300, false, false, true, SWITCH_FAILBACK},
          {899, true},
          {900, false, true, false, SWITCH_PATH_DOWN}},
         0},
        {"a person drains it",
         {{300, false, false, true, SWITCH_FAILBACK}, {400, false, true, true, SWITCH_DRAINED}},
         0},
        {"a person had sent it back",
         {{300, false, false, true, SWITCH_FAILBACK_NOW}, {400, false, true, false, SWITCH_PATH_DOWN}},
         0},
        {"it was well, and stays so", {{300, false, true, true, SWITCH_SESSION_DEAD}}, 1},
        {"it was well, for 599 s", {{300, false, true, true, SWITCH_SESSION_DEAD}, {899, true}}, 0},
        {"it was well, for 600 s", {{300, false, true, true, SWITCH_SESSION_DEAD}, {900, true}}, 1},
        {"the end comes before anybody can know", {{1500, false, true, true, SWITCH_SESSION_DEAD}}, 0},
        {"each switch is counted once",
         {{300, false, false, true, SWITCH_FAILBACK}, {400, false, true, true, SWITCH_PATH_DOWN}},
         2},
        {"a cold start is no failover", {{300, false, true, true, SWITCH_COLD_START}}, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CLEANUP(tally_clear) struct tally tally = {0};

        cr_assert_eq(tally_begin(&tally, 0, PATHS), 0);
        for (size_t k = 0; k < ARRAY_SIZE(rows[i].what) && rows[i].what[k].at_s; k++) {
            uint64_t at_ns = rows[i].what[k].at_s * S;
            bool out = rows[i].what[k].out;

            if (rows[i].what[k].failed)
                tally_failed(&tally, at_ns, HOME);
            else
                cr_assert_eq(tally_move(&tally, at_ns, out ? HOME : AWAY, out ? AWAY : HOME,
                                        rows[i].what[k].reason, rows[i].what[k].well),
                             0);
        }
        tally_end(&tally, 2000 * S);
        cr_expect_eq(tally.needless, rows[i].needless, "%s: %zu", rows[i].name, tally.needless);
    }
}

Test(tally, away_from_home)
{
    static const struct {
        enum selector_locality own, other; /* of the access asked about, and of another one */
        enum selector_tier tier;
        bool foreign, away;
    } rows[] = {
        {LOCALITY_LOCAL, LOCALITY_SAME_ZONE, TIER_DATA, false, false},
        {LOCALITY_LOCAL, LOCALITY_SAME_ZONE, TIER_SECONDARY, false, false},
        {LOCALITY_LOCAL, LOCALITY_SAME_ZONE, TIER_MANAGEMENT, false, true},
        {LOCALITY_SAME_ZONE, LOCALITY_LOCAL, TIER_DATA, false, true},
        {LOCALITY_SAME_ZONE, LOCALITY_SAME_ZONE, TIER_DATA, false, false},
        {LOCALITY_SAME_ZONE, LOCALITY_OTHER_ZONE, TIER_DATA, false, false},
        {LOCALITY_OTHER_ZONE, LOCALITY_SAME_ZONE, TIER_DATA, false, true},
        {LOCALITY_LOCAL, LOCALITY_LOCAL, TIER_FOREIGN, true, true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct path_evidence path = {.access = rows[i].foreign ? SELECTOR_NO_ACCESS : 0,
                                           .tier = rows[i].tier};
        const struct path_evidence paths[] = {path};
        const struct access_evidence accesses[] = {{.locality = rows[i].own}, {.locality = rows[i].other}};
        const struct selector_input input = {
            .paths = paths, .path_count = 1, .accesses = accesses, .access_count = 2};

        cr_expect_eq(tally_is_away(&input, 0), rows[i].away, "row %zu", i);
        cr_expect(tally_is_away(&input, SELECTOR_NO_PATH), "who has no route is not at home");
    }
}

Test(tally, the_same_switches)
{
    static const struct {
        const char *name;
        struct tally_move moves[2];
        size_t count;
        long difference;
    } rows[] = {
        {"the same",
         {{100 * S, HOME, AWAY, SWITCH_PATH_DOWN, false}, {300 * S, AWAY, HOME, SWITCH_FAILBACK, false}},
         2,
         -1},
        {"a moment later",
         {{100 * S, HOME, AWAY, SWITCH_PATH_DOWN, false},
          {300 * S + REPLAY_SLACK_NS, AWAY, HOME, SWITCH_FAILBACK, false}},
         2,
         -1},
        {"later than that",
         {{100 * S, HOME, AWAY, SWITCH_PATH_DOWN, false},
          {300 * S + REPLAY_SLACK_NS + 1, AWAY, HOME, SWITCH_FAILBACK, false}},
         2,
         1},
        {"sooner",
         {{99 * S, HOME, AWAY, SWITCH_PATH_DOWN, false}, {300 * S, AWAY, HOME, SWITCH_FAILBACK, false}},
         2,
         0},
        {"for another reason",
         {{100 * S, HOME, AWAY, SWITCH_PATH_DOWN, false}, {300 * S, AWAY, HOME, SWITCH_PIN, false}},
         2,
         1},
        {"to another path",
         {{100 * S, HOME, PATHS, SWITCH_PATH_DOWN, false}, {300 * S, AWAY, HOME, SWITCH_FAILBACK, false}},
         2,
         0},
        {"one less", {{100 * S, HOME, AWAY, SWITCH_PATH_DOWN, false}}, 1, 1},
        {"none", {{0}}, 0, 0},
    };
    struct tally_move first[2];
    const struct tally a = {.moves = first, .move_count = 2};

    memcpy(first, rows[0].moves, sizeof(first));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct tally_move moves[2];
        const struct tally b = {.moves = moves, .move_count = rows[i].count};

        memcpy(moves, rows[i].moves, sizeof(moves));
        cr_expect_eq(replay_first_difference(&a, &b), rows[i].difference, "%s", rows[i].name);
        cr_expect_eq(replay_first_difference(&b, &a), rows[i].difference, "%s", rows[i].name);
    }
}
