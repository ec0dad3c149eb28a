/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves how a journal is read and what is made of it, by journals written out here: other holds and dampings
 * switch when the rules say; what counts as needless, away and unserved; two boots are on one clock; what is
 * not known is ignored; what is cut off, anywhere, is read as far as it goes; what is no journal is refused
 * in one line.
 */
#include <criterion/criterion.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "route/journal/journal.h"
#include "route/journal/replay.h"
#include "tests/route/journal_place.h"

#define HOME "10.0.0.1"
#define AWAY "10.0.0.2"

/* --- journals --- */

#define SNAPSHOT                                                                                           \
    "{\"kind\":\"snapshot\",\"time\":\"2026-01-01T%02u:%02u:%02u.000Z\",\"t_ns\":\"%u000000000\","         \
    "\"schema\":\"reroute.journal/"                                                                        \
    "1\",\"why\":\"%s\",\"boot_id\":\"%s\",\"host\":\"h\",\"service\":\"1.2.3.4\","                        \
    "\"current\":\"" HOME "\",\"agent\":{\"sessions_waived\":false,\"list_arrived\":true,"                 \
    "\"window_ns\":\"1000000000\",\"select_timeout_ns\":\"100000000\",\"hold_ns\":\"180000000000\","       \
    "\"damping_max_ns\":\"3600000000000\",\"cold_deadline_ns\":\"1000000000\",\"doubt_since_ns\":\"0\"},"  \
    "\"accesses\":[{\"access\":\"home\",\"locality\":\"local\",\"session\":\"stable\",\"stable_at_ns\":"   \
    "\"0\",\"weight\":\"18446744073709551615\"},"                                                          \
    "{\"access\":\"away\",\"locality\":\"same-zone\",\"session\":\"stable\",\"stable_at_ns\":\"0\","       \
    "\"weight\":"                                                                                          \
    "\"1\"}],"                                                                                             \
    "\"paths\":[{\"path\":\"" HOME                                                                         \
    "\",\"access\":\"home\",\"tier\":\"data\",\"state\":\"up\",\"up_since_ns\":"                           \
    "\"1\",\"on_link\":true,\"link_usable\":true,\"service_good\":true,\"full_size\":\"passed\","          \
    "\"last_reply_ns\":\"now\",\"proven_ns\":\"now\"},"                                                    \
    "{\"path\":\"" AWAY "\",\"access\":\"away\",\"tier\":\"data\",\"state\":\"up\",\"up_since_ns\":\"1\"," \
    "\"on_link\":true,\"link_usable\":true,\"service_good\":true,\"full_size\":\"passed\","                \
    "\"last_reply_ns\":\"now\",\"proven_ns\":\"now\"}],\"decision\":{\"action\":\"keep\",\"reason\":"      \
    "\"best\"}"                                                                                            \
    "}\n"

struct text {
    char bytes[16384];
    size_t length;
    unsigned wall_s; /* added to a line's second: the wall clock of this boot */
};

PRINTF_LIKE(2, 3) static void add(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    text->length +=
        (size_t)vsnprintf(text->bytes + text->length, sizeof(text->bytes) - text->length, format, arguments);
    va_end(arguments);
    cr_assert_lt(text->length, sizeof(text->bytes));
}

static void add_snapshot(struct text *text, unsigned s, const char *why, const char *boot)
{
    unsigned wall_s = text->wall_s + s;

    add(text, SNAPSHOT, wall_s / 3600, wall_s / 60 % 60, wall_s % 60, s, why, boot);
}

static void add_line(struct text *text, unsigned s, const char *kind, const char *rest)
{
    unsigned wall_s = text->wall_s + s;

    add(text, "{\"kind\":\"%s\",\"time\":\"2026-01-01T%02u:%02u:%02u.000Z\",\"t_ns\":\"%u000000000\"%s}\n",
        kind, wall_s / 3600, wall_s / 60 % 60, wall_s % 60, s, rest);
}

/* The journal_path falls silent at `s`, which is noticed a second later together with `more`, and is up at `back`. */
static void add_silence(struct text *text, const char *path, unsigned s, const char *more, unsigned back)
{
    char rest[512];

    snprintf(rest, sizeof(rest),
             ",\"paths\":[{\"path\":\"%s\",\"state\":\"down\",\"up_since_ns\":\"0\",\"missing\":true,"
             "\"first_missed_ns\":\"%u000000000\",\"last_reply_ns\":\"%u000000000\",\"proven_ns\":"
             "\"%u000000000\"}]%s",
             path, s, s - 1, s - 1, more);
    add_line(text, s + 1, "step", rest);
    snprintf(rest, sizeof(rest),
             ",\"paths\":[{\"path\":\"%s"
             "\",\"state\":\"up\",\"up_since_ns\":\"%u000000000\",\"missing\":"
             "false,\"first_missed_ns\":\"0\",\"last_reply_ns\":\"now\",\"proven_ns\":\"now\"}]",
             path, back);
    add_line(text, back, "step", rest);
}

static void add_failure(struct text *text, unsigned s, unsigned back)
{
    add_silence(text, HOME, s, "", back);
}

static struct history *read_text(const char *text)
{
    struct history *history = NULL;
    char message[256];

    journal_place_put(journal_path, text);
    cr_assert_eq(history_read(&history, journal_path, message, sizeof(message)), 0, "%s", message);
    return history;
}

/* --- what other settings would have done --- */

Test(history, other_settings, .init = journal_place_begin, .fini = journal_place_end)
{
    static const struct {
        const char *name;
        unsigned hold_s;
        bool damping;
        unsigned failures; /* at 1000 s for 30 s, the second at 1500 s */
        unsigned moves_s[6];
        unsigned needless, away_s, unserved_s;
    } rows[] = {
        {"out and back", 180, true, 1, {1001, 1210}, 0, 209, 1},
        {"sooner", 60, true, 1, {1001, 1090}, 0, 89, 1},
        {"at once", 0, true, 1, {1001, 1030}, 0, 29, 1},
        {"an hour later", 3600, true, 1, {1001, 4630}, 0, 3629, 1},
        {"the second time the hold is doubled", 180, true, 2, {1001, 1210, 1501, 1890}, 2, 598, 2},
        {"unless there is no damping", 180, false, 2, {1001, 1210, 1501, 1710}, 2, 418, 2},
        {"who is not back yet has nothing to lose", 600, false, 2, {1001, 2130}, 0, 1129, 1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        static struct text text;
        CLEANUP(history_free) struct history *history = NULL;
        CLEANUP(tally_clear) struct tally tally = {0};
        const struct replay_settings settings = {.hold_ns = rows[i].hold_s * NS_PER_S,
                                                 .damping_max_ns =
                                                     rows[i].damping ? SELECTOR_DAMPING_MAX_NS : 0};

        text = (struct text){0};
        add_snapshot(&text, 100, "start", "a");
        add_failure(&text, 1000, 1030);
        if (rows[i].failures > 1)
            add_failure(&text, 1500, 1530);
        add_line(&text, 6000, "alive", "");
        history = read_text(text.bytes);
        cr_assert_eq(replay_run(history, &settings, &tally), 0);
        for (size_t m = 0; m < ARRAY_SIZE(rows[i].moves_s) && rows[i].moves_s[m]; m++) {
            cr_assert_lt(m, tally.move_count, "%s: %zu moves", rows[i].name, tally.move_count);
            cr_expect_eq(tally.moves[m].at_ns, rows[i].moves_s[m] * NS_PER_S, "%s: move %zu at %.1f s",
                         rows[i].name, m, (double)tally.moves[m].at_ns / NS_PER_S);
            cr_assert_lt(m + 1, ARRAY_SIZE(rows[i].moves_s));
            if (!rows[i].moves_s[m + 1])
                cr_expect_eq(tally.move_count, m + 1, "%s: %zu moves", rows[i].name, tally.move_count);
        }
        cr_expect_eq(tally.needless, rows[i].needless, "%s: %zu needless", rows[i].name, tally.needless);
        cr_expect_eq(tally.away_ns, rows[i].away_s * NS_PER_S, "%s: away %.1f s", rows[i].name,
                     (double)tally.away_ns / NS_PER_S);
        cr_expect_eq(tally.unserved_ns, rows[i].unserved_s * NS_PER_S, "%s: unserved %.1f s", rows[i].name,
                     (double)tally.unserved_ns / NS_PER_S);
        cr_expect_eq(tally.watched_ns, 5900 * NS_PER_S, "%s", rows[i].name);
    }
}

#define CONTRADICTED ",\"agent\":{\"contradicted_ns\":\"%u000000000\"}"

/* What the host's own connection said is evidence of the path that the host used, not of another one. */
Test(history, own_connection, .init = journal_place_begin, .fini = journal_place_end)
{
    static const struct {
        const char *name;
        const char *path; /* whose silence at 1100 s is contradicted; HOME fails at 1000 s when it is AWAY */
        unsigned back_s, moves_s[3];
        bool without;
    } rows[] = {
        {"the host's path: left when the window has passed twice", HOME, 1130, {1102, 1310}},
        {"or not at all", HOME, 1102, {0}},
        {"another one: when it has passed", AWAY, 1130, {1001, 1101}},
        {"what it changed", HOME, 1102, {1101, 1282}, true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        static struct text text;
        CLEANUP(history_free) struct history *history = NULL;
        CLEANUP(tally_clear) struct tally tally = {0};
        const struct replay_settings settings = {.hold_ns = 180 * NS_PER_S,
                                                 .without_witness = rows[i].without};
        char contradicted[64];

        snprintf(contradicted, sizeof(contradicted), CONTRADICTED, 1100u);
        text = (struct text){0};
        add_snapshot(&text, 100, "start", "a");
        if (strcmp(rows[i].path, AWAY) == 0)
            add_failure(&text, 1000, 1030);
        add_silence(&text, rows[i].path, 1100, contradicted, rows[i].back_s);
        add_line(&text, 6000, "alive", "");
        history = read_text(text.bytes);
        cr_assert_eq(replay_run(history, &settings, &tally), 0);
        for (size_t m = 0; m < ARRAY_SIZE(rows[i].moves_s) && rows[i].moves_s[m]; m++)
            cr_expect(m < tally.move_count && tally.moves[m].at_ns == rows[i].moves_s[m] * NS_PER_S,
                      "%s: move %zu of %zu", rows[i].name, m, tally.move_count);
        cr_expect(rows[i].moves_s[0] || tally.move_count == 0, "%s: %zu moves", rows[i].name,
                  tally.move_count);
    }
}

/* Home loses too much from 1000 s on: left when all have been asked for 750 ms, for a path that loses nothing. */
Test(history, degraded, .init = journal_place_begin, .fini = journal_place_end)
{
    static const struct {
        const char *name, *agent, *away;
        unsigned move_ms;
    } rows[] = {
        {"asked for longer: at once", ",\"agent\":{\"asked_since_ns\":\"998000000000\"}", "false", 1000000},
        {"asked since then: later", ",\"agent\":{\"asked_since_ns\":\"1000000000000\"}", "false", 1000750},
        {"an older journal: the same", "", "false", 1000750},
        {"the other one loses: not yet",
         ",\"agent\":{\"asked_since_ns\":\"998000000000\"},\"decision\":{\"action\":\"keep\",\"reason\":"
         "\"wait-proof\"}",
         "true", 1005000},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        static struct text text;
        CLEANUP(history_free) struct history *history = NULL;
        CLEANUP(tally_clear) struct tally tally = {0};
        const struct replay_settings settings = {.hold_ns = 180 * NS_PER_S};
        char rest[512];

        snprintf(rest, sizeof(rest),
                 "%s,\"paths\":[{\"path\":\"" HOME
                 "\",\"degraded\":true,\"up_since_ns\":\"0\",\"losing\":true},"
                 "{\"path\":\"" AWAY "\",\"losing\":%s}]",
                 rows[i].agent, rows[i].away);
        text = (struct text){0};
        add_snapshot(&text, 100, "start", "a");
        add_line(&text, 1000, "step", rest);
        add_line(&text, 1005, "step", ",\"paths\":[{\"path\":\"" AWAY "\",\"losing\":false}]");
        add_line(&text, 6000, "alive", "");
        history = read_text(text.bytes);
        cr_assert_eq(replay_run(history, &settings, &tally), 0);
        cr_expect(tally.move_count == 1 && tally.moves[0].at_ns == rows[i].move_ms * NS_PER_MS,
                  "%s: %zu moves, %.3f s", rows[i].name, tally.move_count,
                  tally.move_count ? (double)tally.moves[0].at_ns / 1e9 : 0);
    }
}

/* A session's stability is judged with the hold that is asked about, not with the host's. */
Test(history, sessions_with_another_hold, .init = journal_place_begin, .fini = journal_place_end)
{
    static const struct {
        unsigned hold_s, back_s; /* 0: not at all */
        bool without_sessions;
    } rows[] = {{180, 1700}, {60, 1580}, {300, 1820}, {60, 1090, true}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        static struct text text;
        CLEANUP(history_free) struct history *history = NULL;
        CLEANUP(tally_clear) struct tally tally = {0};
        const struct replay_settings settings = {.hold_ns = rows[i].hold_s * NS_PER_S,
                                                 .damping_max_ns = 0,
                                                 .without_sessions = rows[i].without_sessions};

        text = (struct text){0};
        add_snapshot(&text, 100, "start", "a");
        add_failure(&text, 1000, 1030);
        /* Born at 1520 s: stable at 1700 s with the host's 180 s. */
        add_line(&text, 1031, "step",
                 ",\"accesses\":[{\"access\":\"home\",\"session\":\"dead\",\"stable_at_ns\":\"never\"}]");
        add_line(
            &text, 1521, "step",
            ",\"accesses\":[{\"access\":\"home\",\"session\":\"alive\",\"stable_at_ns\":\"1700000000000\"}]");
        add_line(&text, 6000, "alive", "");
        history = read_text(text.bytes);
        cr_assert_eq(replay_run(history, &settings, &tally), 0);
        cr_assert_eq(tally.move_count, 2, "row %zu: %zu moves", i, tally.move_count);
        cr_expect_eq(tally.moves[1].at_ns, rows[i].back_s * NS_PER_S, "row %zu: back at %.1f s", i,
                     (double)tally.moves[1].at_ns / NS_PER_S);
    }
}

/* --- reading --- */

Test(history, two_boots_are_on_one_clock, .init = journal_place_begin, .fini = journal_place_end)
{
    static struct text text;
    CLEANUP(history_free) struct history *history = NULL;
    CLEANUP(tally_clear) struct tally tally = {0};
    const struct replay_settings same = {.hold_ns = REPLAY_AS_RECORDED, .damping_max_ns = REPLAY_AS_RECORDED};

    add_snapshot(&text, 5000, "start", "a");
    add_line(&text, 5100, "stop", "");
    text.wall_s = 5100 + 400 - 30; /* down for 400 s, the agent runs 30 s after the boot */
    add_snapshot(&text, 30, "start", "b");
    add_failure(&text, 100, 130);
    add_line(&text, 1000, "alive", "");
    history = read_text(text.bytes);
    cr_expect_eq(history->starts, 2);
    for (size_t i = 1; i < history->event_count; i++)
        cr_expect_geq(history->events[i].at_ns, history->events[i - 1].at_ns);
    cr_assert_eq(replay_run(history, &same, &tally), 0);
    cr_assert_eq(tally.move_count, 2);
    cr_expect_eq(tally.moves[0].at_ns, (5500 + 71) * NS_PER_S, "%.1f",
                 (double)tally.moves[0].at_ns / NS_PER_S);
    cr_expect_eq(tally.moves[1].at_ns, (5500 + 280) * NS_PER_S);
    cr_expect_eq(tally.watched_ns, (100 + 970) * NS_PER_S, "between the two nobody watched");
    cr_expect_eq(tally.unserved_ns, 1 * NS_PER_S);
    cr_expect_eq(history_realtime_ns(history, tally.moves[0].at_ns) / NS_PER_S % 86400, 5571);
}

/* The power fails while the journal_path in use is down; the host is away for ten hours. */
Test(history, who_crashed_did_not_watch, .init = journal_place_begin, .fini = journal_place_end)
{
    static struct text text;
    const struct replay_settings settings[] = {
        {.follow = true}, {.hold_ns = REPLAY_AS_RECORDED, .damping_max_ns = REPLAY_AS_RECORDED}};

    add_snapshot(&text, 100, "start", "a");
    add_line(&text, 1001, "step", ",\"paths\":[{\"path\":\"" HOME "\",\"service_bad\":true}]");
    add_line(&text, 1003, "alive", "");
    add_snapshot(&text, 1010, "rotate", "a");
    text.wall_s = 36000;
    add_snapshot(&text, 30, "start", "b");
    add_line(&text, 1000, "alive", "");
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
        CLEANUP(history_free) struct history *history = read_text(text.bytes);
        CLEANUP(tally_clear) struct tally tally = {0};

        cr_assert_eq(replay_run(history, &settings[i], &tally), 0);
        cr_expect_eq(tally.watched_ns, (910 + 970) * NS_PER_S, "%.1f s", (double)tally.watched_ns / NS_PER_S);
        if (settings[i].follow)
            cr_expect_eq(tally.unserved_ns, (9 + 970) * NS_PER_S, "%.1f s",
                         (double)tally.unserved_ns / NS_PER_S);
    }
}

/* Who leaves a journal_path that is well and stays so left it needlessly; one that is degraded is not well. */
Test(history, who_left_a_degraded_path_had_a_reason, .init = journal_place_begin, .fini = journal_place_end)
{
    for (unsigned degraded = 0; degraded < 2; degraded++) {
        static struct text text;
        CLEANUP(history_free) struct history *history = NULL;
        CLEANUP(tally_clear) struct tally tally = {0};
        char rest[256];

        text = (struct text){0};
        add_snapshot(&text, 100, "start", "a");
        snprintf(rest, sizeof(rest), ",\"paths\":[{\"path\":\"" HOME "\",\"degraded\":%s}]",
                 degraded ? "true" : "false");
        add_line(&text, 500, "step", rest);
        snprintf(rest, sizeof(rest),
                 ",\"from\":\"" HOME "\",\"to\":\"" AWAY "\",\"reason\":\"%s\",\"done\":true",
                 selector_reason_text(SWITCH_SESSION_DEAD));
        add_line(&text, 600, "switch", rest);
        add_line(&text, 6000, "alive", "");
        history = read_text(text.bytes);
        cr_assert_eq(replay_run(history, &(struct replay_settings){.follow = true}, &tally), 0);
        cr_expect_eq(tally.move_count, 1);
        cr_expect_eq(tally.needless, !degraded, "%zu", tally.needless);
    }
}

/* What an agent remembers of failures ends with it: the second one's hold is not doubled. */
Test(history, a_restart_forgets, .init = journal_place_begin, .fini = journal_place_end)
{
    static struct text text;
    CLEANUP(history_free) struct history *history = NULL;
    CLEANUP(tally_clear) struct tally tally = {0};
    const struct replay_settings same = {.hold_ns = REPLAY_AS_RECORDED, .damping_max_ns = REPLAY_AS_RECORDED};

    add_snapshot(&text, 100, "start", "a");
    add_failure(&text, 1000, 1030);
    add_line(&text, 1300, "stop", "");
    add_snapshot(&text, 1310, "start", "a");
    add_failure(&text, 1500, 1530);
    add_line(&text, 6000, "alive", "");
    history = read_text(text.bytes);
    cr_assert_eq(replay_run(history, &same, &tally), 0);
    cr_assert_eq(tally.move_count, 4, "%zu moves", tally.move_count);
    cr_expect_eq(tally.moves[3].at_ns, 1710 * NS_PER_S, "%.1f s", (double)tally.moves[3].at_ns / NS_PER_S);
}

Test(history, an_older_file_comes_first, .init = journal_place_begin, .fini = journal_place_end)
{
    static struct text text;
    CLEANUP(history_free) struct history *history = NULL;

    add_snapshot(&text, 100, "start", "a");
    add_failure(&text, 1000, 1030);
    journal_place_put(journal_older, text.bytes);
    text = (struct text){0};
    add_snapshot(&text, 2000, "rotate", "a");
    add_failure(&text, 3000, 3030);
    history = read_text(text.bytes);
    cr_expect_eq(history->starts, 1);
    cr_expect_eq(history->events[0].at_ns, 100 * NS_PER_S);
    cr_expect_eq(history->events[history->event_count - 1].at_ns, 3030 * NS_PER_S);
}

Test(history, what_is_not_known_is_ignored, .init = journal_place_begin, .fini = journal_place_end)
{
    static struct text text;
    CLEANUP(history_free) struct history *history = NULL;
    CLEANUP(tally_clear) struct tally tally = {0};
    const struct replay_settings same = {.hold_ns = REPLAY_AS_RECORDED, .damping_max_ns = REPLAY_AS_RECORDED};

    add_line(&text, 50, "step",
             ",\"paths\":[{\"path\":\"" HOME "\",\"state\":\"down\"}]"); /* before a snapshot */
    add_snapshot(&text, 100, "start", "a");
    add_line(&text, 200, "weather", ",\"rain\":[1,2,{\"x\":null}]");
    add_line(&text, 300, "step",
             ",\"mood\":\"good\",\"paths\":[{\"path\":\"" HOME "\",\"colour\":7,\"state\":\"sideways\","
             "\"degraded\":\"yes\",\"loss_ppm\":-1},{\"no\":1},5],\"accesses\":[{}],\"agent\":[]");
    add_line(&text, 400, "switch", ",\"from\":\"" HOME "\",\"to\":null,\"reason\":\"pin\",\"done\":true");
    add(&text, "not JSON at all\n\n[1,2]\n\"text\"\n");
    add_failure(&text, 1000, 1030);
    history = read_text(text.bytes);
    cr_expect_eq(history->damaged, 3, "%lu", history->damaged);
    for (size_t i = 0; i < history->event_count; i++)
        cr_expect_neq(history->events[i].kind, HISTORY_SWITCH, "to nowhere");
    cr_assert_eq(replay_run(history, &same, &tally), 0);
    cr_expect_eq(tally.move_count, 1);
}

Test(history, cut_off_anywhere, .init = journal_place_begin, .fini = journal_place_end)
{
    static struct text text;
    size_t first;

    add_snapshot(&text, 100, "start", "a");
    first = text.length;
    add_failure(&text, 1000, 1030);
    add_line(&text, 1031, "switch",
             ",\"from\":\"" HOME "\",\"to\":\"" AWAY "\",\"reason\":\"pin\",\"done\":true");
    for (size_t cut = 0; cut < text.length; cut += 3) {
        CLEANUP(history_free) struct history *history = NULL;
        CLEANUP(tally_clear) struct tally tally = {0};
        const struct replay_settings settings = {.hold_ns = 0, .damping_max_ns = 0};
        char kept = text.bytes[cut], message[256];
        int error;

        text.bytes[cut] = '\0';
        journal_place_put(journal_path, text.bytes);
        text.bytes[cut] = kept;
        error = history_read(&history, journal_path, message, sizeof(message));
        if (cut < first - 1) {
            cr_expect_eq(error, -EPROTO, "cut at %zu", cut);
            continue;
        }
        cr_assert_eq(error, 0, "cut at %zu: %s", cut, message);
        cr_expect_leq(history->damaged, 1);
        cr_expect_eq(replay_run(history, &settings, &tally), 0);
    }
}

Test(history, what_is_no_journal_is_refused, .init = journal_place_begin, .fini = journal_place_end)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "no snapshot of schema reroute.journal/1 in it"},
        {"root:x:0:0\n", "no snapshot"},
        {"{\"kind\":\"snapshot\",\"schema\":\"reroute.journal/2\"}\n",
         "schema 'reroute.journal/2', expected reroute.journal/1"},
        {"{\"kind\":\"snapshot\"}\n", "schema '', expected"},
        {"{\"schema\":\"reroute.status/1\"}\n", "no snapshot"},
    };
    struct history *history = NULL;
    char message[256];

    cr_expect_eq(history_read(&history, journal_path, message, sizeof(message)), -ENOENT);
    cr_assert_eq(mkdir(journal_older, 0700), 0);
    cr_expect_eq(history_read(&history, journal_path, message, sizeof(message)), -EISDIR);
    cr_expect(strncmp(message, journal_older, strlen(journal_older)) == 0, "it is the older one: %s",
              message);
    cr_assert_eq(rmdir(journal_older), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        journal_place_put(journal_path, rows[i].text);
        cr_expect_eq(history_read(&history, journal_path, message, sizeof(message)), -EPROTO, "row %zu", i);
        cr_expect_not_null(strstr(message, rows[i].message), "row %zu: %s", i, message);
        cr_expect_null(strchr(message, '\n'));
        cr_expect_null(history);
    }
}

/* Nobody is proven, and who has not answered for some waits is not asked for ever: 95 years pass at once. */
Test(history, nobody_answers_for_ever, .init = journal_place_begin, .fini = journal_place_end, .timeout = 10)
{
    static struct text text;
    CLEANUP(history_free) struct history *history = NULL;
    CLEANUP(tally_clear) struct tally tally = {0};
    const struct replay_settings same = {.hold_ns = REPLAY_AS_RECORDED, .damping_max_ns = REPLAY_AS_RECORDED};

    add_snapshot(&text, 100, "start", "a");
    add_line(&text, 200, "step",
             ",\"agent\":{\"select_timeout_ns\":\"1000000\"},"
             "\"paths\":[{\"path\":\"" HOME "\",\"state\":\"down\",\"missing\":true,"
             "\"first_missed_ns\":\"199000000000\"},"
             "{\"path\":\"" AWAY "\",\"missing\":true,\"last_reply_ns\":\"1\",\"proven_ns\":\"1\"}]");
    add_line(&text, 3000000000, "alive", "");
    history = read_text(text.bytes);
    cr_assert_eq(replay_run(history, &same, &tally), 0);
    cr_expect_eq(tally.watched_ns, 2999999900 * NS_PER_S);
}

/* An access or journal_path whose name is longer than what is kept of it is still one access or journal_path. */
Test(history, names_that_are_too_long, .init = journal_place_begin, .fini = journal_place_end)
{
    static struct text text;
    CLEANUP(history_free) struct history *history = NULL;
    char member[512];

    snprintf(member, sizeof(member),
             ",\"schema\":\"" JOURNAL_SCHEMA "\",\"accesses\":[{\"access\":\"%0*d\",\"was_healthy\":true}],"
             "\"paths\":[{\"path\":\"%0*d\",\"blocked_ns\":\"1\",\"used_ns\":\"2\"}]",
             HISTORY_NAME_SIZE + 9, 1, ADDRESS_TEXT_SIZE + 9, 2);
    add_line(&text, 100, "snapshot", member);
    add_line(&text, 200, "snapshot", member);
    history = read_text(text.bytes);
    cr_expect_eq(history->access_count, 1, "%" PRIu32, history->access_count);
    cr_expect_eq(history->path_count, 1, "%" PRIu32, history->path_count);
    cr_expect(history->memory.accesses[0].was_healthy);
    cr_expect_eq(history->memory.paths[0].blocked_ns, 1);
    cr_expect_eq(history->memory.paths[0].used_ns, 2);
}

/* A journal whose journal_older part is gone: what the selector remembered is in its first snapshot. */
Test(history, memory_of_what_is_gone, .init = journal_place_begin, .fini = journal_place_end)
{
    static const struct {
        const char *remembered; /* of the home access or its journal_path */
        unsigned back_s;
    } rows[] = {
        {"", 1210},
        {"\"was_healthy\":true,\"failures\":1,\"healthy_since_ns\":\"50000000000\",", 1390}, /* its second */
        {"\"was_healthy\":true,\"failures\":2,\"healthy_since_ns\":\"50000000000\",", 1750},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        static struct text text;
        static char with[sizeof(text.bytes)];
        CLEANUP(history_free) struct history *history = NULL;
        CLEANUP(tally_clear) struct tally tally = {0};
        const struct replay_settings same = {.hold_ns = REPLAY_AS_RECORDED,
                                             .damping_max_ns = REPLAY_AS_RECORDED};
        const char *at;

        text = (struct text){0};
        add_snapshot(&text, 100, "rotate", "a");
        add_failure(&text, 1000, 1030);
        add_line(&text, 3000, "alive", "");
        at = strstr(text.bytes, "\"locality\":\"local\"");
        snprintf(with, sizeof(with), "%.*s%s%s", (int)(at - text.bytes), text.bytes, rows[i].remembered, at);
        history = read_text(with);
        cr_assert_eq(replay_run(history, &same, &tally), 0);
        cr_assert_eq(tally.move_count, 2, "row %zu: %zu moves", i, tally.move_count);
        cr_expect_eq(tally.moves[1].at_ns, rows[i].back_s * NS_PER_S, "row %zu: back at %.1f s", i,
                     (double)tally.moves[1].at_ns / NS_PER_S);
    }
}
