/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves how a journal is read and what is made of it, by journals written out here: other holds and dampings
 * switch when the rules say; what counts as needless, away and unserved; two boots are on one clock; what is
 * not known is ignored; what is cut off, anywhere, is read as far as it goes; what is no journal is refused
 * in one line. And of the writer: a quiet day is a few lines, two files are the most there is, and a full
 * disk is said once.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "route/journal/file.h"
#include "route/journal/replay.h"
#include "route/own_file.h"

#define HOME "10.0.0.1"
#define AWAY "10.0.0.2"

/* --- journals --- */

static char directory[] = "/tmp/reroute-history-XXXXXX";
static char path[64], older[80];

static void begin(void)
{
    strcpy(directory + sizeof(directory) - 7, "XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/" JOURNAL_FILE, directory);
    snprintf(older, sizeof(older), "%s.1", path);
}

static void end(void)
{
    unlink(path);
    unlink(older);
    cr_expect_eq(rmdir(directory), 0);
}

static void put(const char *file, const char *text)
{
    FILE *out = fopen(file, "w");

    cr_assert_not_null(out);
    fputs(text, out);
    fclose(out);
}

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

/* The home path falls silent at `s`, which is noticed a second later, and is up again at `back`. */
static void add_failure(struct text *text, unsigned s, unsigned back)
{
    char rest[512];

    snprintf(rest, sizeof(rest),
             ",\"paths\":[{\"path\":\"" HOME "\",\"state\":\"down\",\"up_since_ns\":\"0\",\"missing\":true,"
             "\"first_missed_ns\":\"%u000000000\",\"last_reply_ns\":\"%u000000000\",\"proven_ns\":"
             "\"%u000000000\"}]",
             s, s - 1, s - 1);
    add_line(text, s + 1, "step", rest);
    snprintf(rest, sizeof(rest),
             ",\"paths\":[{\"path\":\"" HOME
             "\",\"state\":\"up\",\"up_since_ns\":\"%u000000000\",\"missing\":"
             "false,\"first_missed_ns\":\"0\",\"last_reply_ns\":\"now\",\"proven_ns\":\"now\"}]",
             back);
    add_line(text, back, "step", rest);
}

static struct history *read_text(const char *text)
{
    struct history *history = NULL;
    char message[256];

    put(path, text);
    cr_assert_eq(history_read(&history, path, message, sizeof(message)), 0, "%s", message);
    return history;
}

/* --- what other settings would have done --- */

Test(history, other_settings, .init = begin, .fini = end)
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

/* A session's stability is judged with the hold that is asked about, not with the host's. */
Test(history, sessions_with_another_hold, .init = begin, .fini = end)
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

Test(history, two_boots_are_on_one_clock, .init = begin, .fini = end)
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

/* The power fails while the path in use is down; the host is away for ten hours. */
Test(history, who_crashed_did_not_watch, .init = begin, .fini = end)
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

/* Who leaves a path that is well and stays so left it needlessly; one that is degraded is not well. */
Test(history, who_left_a_degraded_path_had_a_reason, .init = begin, .fini = end)
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
Test(history, a_restart_forgets, .init = begin, .fini = end)
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

Test(history, an_older_file_comes_first, .init = begin, .fini = end)
{
    static struct text text;
    CLEANUP(history_free) struct history *history = NULL;

    add_snapshot(&text, 100, "start", "a");
    add_failure(&text, 1000, 1030);
    put(older, text.bytes);
    text = (struct text){0};
    add_snapshot(&text, 2000, "rotate", "a");
    add_failure(&text, 3000, 3030);
    history = read_text(text.bytes);
    cr_expect_eq(history->starts, 1);
    cr_expect_eq(history->events[0].at_ns, 100 * NS_PER_S);
    cr_expect_eq(history->events[history->event_count - 1].at_ns, 3030 * NS_PER_S);
}

Test(history, what_is_not_known_is_ignored, .init = begin, .fini = end)
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

Test(history, cut_off_anywhere, .init = begin, .fini = end)
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
        put(path, text.bytes);
        text.bytes[cut] = kept;
        error = history_read(&history, path, message, sizeof(message));
        if (cut < first - 1) {
            cr_expect_eq(error, -EPROTO, "cut at %zu", cut);
            continue;
        }
        cr_assert_eq(error, 0, "cut at %zu: %s", cut, message);
        cr_expect_leq(history->damaged, 1);
        cr_expect_eq(replay_run(history, &settings, &tally), 0);
    }
}

Test(history, what_is_no_journal_is_refused, .init = begin, .fini = end)
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

    cr_expect_eq(history_read(&history, path, message, sizeof(message)), -ENOENT);
    cr_assert_eq(mkdir(older, 0700), 0);
    cr_expect_eq(history_read(&history, path, message, sizeof(message)), -EISDIR);
    cr_expect(strncmp(message, older, strlen(older)) == 0, "it is the older one: %s", message);
    cr_assert_eq(rmdir(older), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        put(path, rows[i].text);
        cr_expect_eq(history_read(&history, path, message, sizeof(message)), -EPROTO, "row %zu", i);
        cr_expect_not_null(strstr(message, rows[i].message), "row %zu: %s", i, message);
        cr_expect_null(strchr(message, '\n'));
        cr_expect_null(history);
    }
}

/* Nobody is proven, and who has not answered for some waits is not asked for ever: 95 years pass at once. */
Test(history, nobody_answers_for_ever, .init = begin, .fini = end, .timeout = 10)
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

/* An access or path whose name is longer than what is kept of it is still one access or path. */
Test(history, names_that_are_too_long, .init = begin, .fini = end)
{
    static struct text text;
    CLEANUP(history_free) struct history *history = NULL;
    char member[512];

    snprintf(member, sizeof(member),
             ",\"schema\":\"" JOURNAL_SCHEMA "\",\"accesses\":[{\"access\":\"%0*d\",\"was_healthy\":true}],"
             "\"paths\":[{\"path\":\"%0*d\",\"blocked_ns\":\"1\"}]",
             HISTORY_NAME_SIZE + 9, 1, ADDRESS_TEXT_SIZE + 9, 2);
    add_line(&text, 100, "snapshot", member);
    add_line(&text, 200, "snapshot", member);
    history = read_text(text.bytes);
    cr_expect_eq(history->access_count, 1, "%" PRIu32, history->access_count);
    cr_expect_eq(history->path_count, 1, "%" PRIu32, history->path_count);
    cr_expect(history->memory.accesses[0].was_healthy);
    cr_expect_eq(history->memory.paths[0].blocked_ns, 1);
}

/* A journal whose older part is gone: what the selector remembered is in its first snapshot. */
Test(history, memory_of_what_is_gone, .init = begin, .fini = end)
{
    static const struct {
        const char *remembered; /* of the home access or its path */
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

/* --- writing --- */

struct little_world {
    struct access_memory access_memory[2];
    struct path_memory path_memory[2];
    struct selector selector;
    struct access_evidence accesses[2];
    struct path_evidence paths[2];
    struct selector_input input;
};

static const struct address *path_address(const void *owner, uint32_t index)
{
    static const struct address addresses[2] = {{.family = AF_INET, .bytes = {10, 0, 0, 1}},
                                                {.family = AF_INET, .bytes = {10, 0, 0, 2}}};

    return &addresses[index];
}

static const char *access_name(const void *owner, uint32_t index)
{
    return index ? "away" : "home \"of\" many";
}

static const char *access_uuid(const void *owner, uint32_t index)
{
    return "86dccf70-f0c8-4a02-ab6d-ca9a49ffcd74";
}

static void little_world(struct little_world *w)
{
    *w = (struct little_world){0};
    for (uint32_t i = 0; i < 2; i++) {
        w->accesses[i] = (struct access_evidence){
            .locality = i ? LOCALITY_SAME_ZONE : LOCALITY_LOCAL, .session = SESSION_STABLE, .weight = i};
        w->paths[i] = (struct path_evidence){.access = i,
                                             .health = {.state = HEALTH_UP, .up_since_ns = 1},
                                             .on_link = true,
                                             .link_usable = true,
                                             .service_good = true};
    }
    w->selector = (struct selector){.paths = w->path_memory, .accesses = w->access_memory};
    w->input = (struct selector_input){.now_ns = 100 * NS_PER_S,
                                       .paths = w->paths,
                                       .path_count = 2,
                                       .accesses = w->accesses,
                                       .access_count = 2,
                                       .host.window_ns = NS_PER_S,
                                       .host.select_timeout_ns = 100 * NS_PER_MS,
                                       .host.hold_ns = 180 * NS_PER_S,
                                       .host.list_arrived = true};
}

static struct journal_file *journal_file;

static struct journal *open_journal(uint64_t max_bytes)
{
    struct journal *journal;
    struct journal_sink sink;

    cr_assert_eq(journal_file_new(&journal_file, directory), 0);
    sink = journal_file_sink(journal_file);
    cr_assert_eq(journal_new(&journal, &sink, max_bytes, 0, 0), 0);
    return journal;
}

static struct journal *close_journal(struct journal *journal)
{
    journal_file = journal_file_free(journal_file);
    return journal_free(journal);
}

static int decide_and_write(struct journal *journal, struct little_world *w)
{
    const struct journal_source source = {
        .path_address = path_address, .access_name = access_name, .access_uuid = access_uuid};
    struct selector_decision decision;

    selector_decide(&w->selector, &w->input, &decision);
    return journal_step(
        journal, &(struct journal_step){
                     .source = &source, .input = &w->input, .selector = &w->selector, .decision = &decision});
}

/* A step; every path answered a moment ago, every tenth time not. */
static int write_step(struct journal *journal, struct little_world *w)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct health_evidence *health = &w->paths[i].health;

        health->missing = w->input.now_ns / NS_PER_S % 10 == i;
        health->first_missed_ns = health->missing ? w->input.now_ns - 50 * NS_PER_MS : 0;
        health->last_reply_ns = health->proven_ns = w->input.now_ns - 200 * NS_PER_MS;
    }
    return decide_and_write(journal, w);
}

static long size_of(const char *file)
{
    struct stat st;

    return stat(file, &st) == 0 ? (long)st.st_size : -1;
}

static void miss(struct little_world *w, uint32_t index)
{
    w->paths[index].health.missing = true;
    w->paths[index].health.first_missed_ns = w->input.now_ns;
}

static void answer(struct little_world *w, uint32_t index)
{
    struct health_evidence *health = &w->paths[index].health;

    health->missing = false;
    health->first_missed_ns = 0;
    health->last_reply_ns = health->proven_ns = w->input.now_ns;
}

/* What is news, and what is not. Path 0 is in use; each row goes on from the one before. */
Test(history, only_news_is_written, .init = begin, .fini = end)
{
    enum what { NOTHING, LOSS, MISS, ANSWER, STABLE_AT, STATE, RESTARTS, CHECK, HOLD, PIN, UNLISTED };
    static const struct {
        const char *name;
        enum what what;
        uint32_t index;
        uint64_t value;
        bool news;
    } rows[] = {
        {"nothing", NOTHING, 0, 0, false},
        {"later replies", ANSWER, 1, 0, false},
        {"some loss", LOSS, 1, 9000, false},
        {"it is told with another thing", RESTARTS, 1, 2, true},
        {"a little more, but now too much to return to it", LOSS, 1, 10001, true},
        {"a little more", LOSS, 1, 19000, false},
        {"a per cent more", LOSS, 1, 20001, true},
        {"the path in use loses nearly as much", LOSS, 0, 9999, false},
        {"as much", LOSS, 0, 20001, true},
        {"a miss", MISS, 1, 0, false},
        {"a miss of the path in use", MISS, 0, 0, false},
        {"with it another thing: all is told", CHECK, 1, true, true},
        {"the path in use answers again", ANSWER, 0, 0, true},
        {"the other one too", ANSWER, 1, 0, true},
        {"down", STATE, 1, HEALTH_DOWN, true},
        {"still down", NOTHING, 1, 0, false},
        {"stable a little earlier", STABLE_AT, 1, 999500000000, false},
        {"more than a second", STABLE_AT, 1, 998900000000, true},
        {"not to be stable any more", STABLE_AT, 1, NEVER_NS, true},
        {"a restart", RESTARTS, 1, 3, true},
        {"another hold", HOLD, 0, 60 * NS_PER_S, true},
        {"a pin", PIN, 1, true, true},
        {"the first list does not name it", UNLISTED, 1, true, true},
        {"nor does anything else happen", NOTHING, 1, 0, false},
    };
    struct journal *journal;
    struct little_world w;

    little_world(&w);
    w.accesses[1].stable_at_ns = 1000 * NS_PER_S;
    answer(&w, 0);
    answer(&w, 1);
    journal = open_journal(JOURNAL_MAX_BYTES);
    cr_assert_eq(decide_and_write(journal, &w), 0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint32_t index = rows[i].index;
        long before = size_of(path);

        w.input.now_ns += 100 * NS_PER_MS;
        switch (rows[i].what) {
        case NOTHING:
            break;
        case LOSS:
            w.paths[index].health.loss_ppm = (uint32_t)rows[i].value;
            break;
        case MISS:
            miss(&w, index);
            break;
        case ANSWER:
            answer(&w, index);
            break;
        case STABLE_AT:
            w.accesses[index].stable_at_ns = rows[i].value;
            break;
        case STATE:
            w.paths[index].health.state = (enum health_state)rows[i].value;
            break;
        case RESTARTS:
            w.accesses[index].restarts = (unsigned)rows[i].value;
            break;
        case CHECK:
            w.paths[index].service_bad = rows[i].value;
            break;
        case HOLD:
            w.input.host.hold_ns = rows[i].value;
            break;
        case PIN:
            w.paths[index].pinned = rows[i].value;
            break;
        case UNLISTED:
            w.accesses[index].unlisted = rows[i].value;
            break;
        }
        cr_assert_eq(decide_and_write(journal, &w), 0);
        cr_expect_eq(size_of(path) > before, rows[i].news, "%s: %ld bytes", rows[i].name,
                     size_of(path) - before);
    }
    journal = close_journal(journal);
}

Test(history, a_quiet_day_is_a_few_lines, .init = begin, .fini = end)
{
    struct journal *journal;
    struct little_world w;
    long first;

    little_world(&w);
    journal = open_journal(JOURNAL_MAX_BYTES);
    cr_assert_eq(write_step(journal, &w), 0);
    first = size_of(path);
    for (unsigned s = 0; s < 86400; s++) {
        w.input.now_ns += NS_PER_S;
        cr_assert_eq(write_step(journal, &w), 0);
    }
    journal = close_journal(journal);
    cr_expect_gt(first, 0);
    cr_expect_leq(size_of(path), first + 24 * 100, "%ld bytes in a quiet day", size_of(path) - first);
    cr_expect_geq(size_of(path), first + 23 * 50, "each hour says that the agent is alive");
}

Test(history, two_files_are_the_most, .init = begin, .fini = end)
{
    struct journal *journal;
    struct little_world w;

    little_world(&w);
    journal = open_journal(8000);
    for (unsigned i = 0; i < 1000; i++) {
        w.input.now_ns += NS_PER_S;
        w.paths[1].service_bad = i % 2;
        cr_assert_eq(write_step(journal, &w), 0);
        cr_assert_leq(size_of(path), 8000);
        cr_assert_leq(size_of(older), 8000);
    }
    journal = close_journal(journal);
    cr_expect_gt(size_of(older), 4000);
    {
        CLEANUP(history_free) struct history *history = NULL;
        char message[256];

        cr_expect_eq(history_read(&history, path, message, sizeof(message)), 0, "%s", message);
    }
}

/* What is said beside the steps counts too: a person's command that changes nothing, again and again. */
Test(history, commands_alone_do_not_make_it_grow, .init = begin, .fini = end)
{
    CLEANUP(history_free) struct history *history = NULL;
    struct journal *journal;
    struct little_world w;
    char message[256];

    little_world(&w);
    journal = open_journal(8000);
    for (unsigned i = 0; i < 1000; i++) {
        w.input.now_ns += NS_PER_S;
        cr_assert_eq(write_step(journal, &w), 0);
        journal_command(journal, w.input.now_ns, "pin", "home");
        cr_assert_leq(size_of(path), 8000);
        cr_assert_leq(size_of(older), 8000);
    }
    journal = close_journal(journal);
    cr_expect_eq(history_read(&history, path, message, sizeof(message)), 0, "%s", message);
}

/* A line that a crash cut off gets its end of line. Otherwise the next snapshot would be lost with it. */
Test(history, half_a_line_ends_before_the_next, .init = begin, .fini = end)
{
    CLEANUP(history_free) struct history *history = NULL;
    struct journal *journal;
    struct little_world w;
    char message[256];

    put(path, "{\"kind\":\"st");
    little_world(&w);
    journal = open_journal(JOURNAL_MAX_BYTES);
    cr_assert_eq(write_step(journal, &w), 0);
    journal = close_journal(journal);
    cr_assert_eq(history_read(&history, path, message, sizeof(message)), 0, "%s", message);
    cr_expect_eq(history->damaged, 1);
}

/* Somebody removes it, moves it away or empties it: it begins anew, with a snapshot. */
Test(history, who_loses_the_file_begins_anew, .init = begin, .fini = end)
{
    enum { REMOVED, MOVED, EMPTIED, WAYS };

    for (int way = 0; way < WAYS; way++) {
        CLEANUP(history_free) struct history *history = NULL;
        struct journal *journal;
        struct little_world w;
        char message[256];

        little_world(&w);
        journal = open_journal(JOURNAL_MAX_BYTES);
        cr_assert_eq(write_step(journal, &w), 0);
        cr_assert_eq(way == REMOVED ? unlink(path)
                     : way == MOVED ? rename(path, older)
                                    : truncate(path, 0),
                     0);
        unlink(older);
        w.paths[1].service_bad = true;
        cr_assert_eq(write_step(journal, &w), 0);
        w.paths[1].service_bad = false;
        cr_assert_eq(write_step(journal, &w), 0);
        journal = close_journal(journal);
        cr_expect_eq(history_read(&history, path, message, sizeof(message)), 0, "way %d: %s", way, message);
        cr_expect(history && history->wall_count == 1, "way %d: one snapshot", way);
        unlink(path);
    }
}

/* A full disk, or as here a link in its place: whatever keeps it from being written. */
Test(history, what_cannot_be_written_is_said_once, .init = begin, .fini = end)
{
    struct journal *journal;
    struct little_world w;
    int said = 0;

    little_world(&w);
    cr_assert_eq(symlink("/dev/full", path), 0);
    journal = open_journal(JOURNAL_MAX_BYTES);
    for (unsigned s = 0; s < 600; s++) {
        int error;

        w.input.now_ns += NS_PER_S;
        w.paths[1].service_bad = s % 2;
        error = write_step(journal, &w);
        cr_expect(error == 0 || error == -ELOOP, "%d", error);
        said += error != 0;
        journal_switch(journal, w.input.now_ns, NULL, path_address(NULL, 0), SWITCH_PIN, 0);
    }
    cr_expect_eq(said, 1);
    unlink(path); /* as it should be again */
    for (unsigned s = 0; s < 61 && size_of(path) < 0; s++) {
        w.input.now_ns += NS_PER_S;
        cr_expect_eq(write_step(journal, &w), 0);
    }
    cr_expect_geq(size_of(path), 0, "written again within a minute");
    journal = close_journal(journal);
    cr_expect_gt(size_of(path), 500, "and it begins with a snapshot");
}

static bool says(const char *name, const char *words)
{
    CLEANUP(free) char *text = NULL;
    size_t length;

    return own_file_read(&text, &length, directory, strrchr(name, '/') + 1, 1 << 20) == 0 &&
           strstr(text, words);
}

/* The file may not grow any more while it is written: what was begun of a line is taken back. */
Test(history, after_a_failure_a_snapshot, .init = begin, .fini = end)
{
    struct rlimit limit = {.rlim_max = RLIM_INFINITY};
    CLEANUP(history_free) struct history *history = NULL;
    struct journal *journal;
    struct little_world w;
    char message[256];
    int said = 0;

    signal(SIGXFSZ, SIG_IGN);
    little_world(&w);
    journal = open_journal(JOURNAL_MAX_BYTES);
    cr_assert_eq(write_step(journal, &w), 0);
    limit.rlim_cur = (rlim_t)size_of(path) + 50;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (unsigned s = 0; s < 30; s++) {
        w.input.now_ns += NS_PER_S;
        w.paths[1].service_bad = s % 2;
        said += write_step(journal, &w) < 0;
    }
    cr_expect_eq(said, 1);
    cr_expect_eq(size_of(path), (long)limit.rlim_cur - 50, "half a line stands there");
    limit.rlim_cur = RLIM_INFINITY;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (unsigned s = 0; s < 62; s++) {
        w.input.now_ns += NS_PER_S;
        cr_assert_eq(write_step(journal, &w), 0);
    }
    journal = close_journal(journal);
    cr_assert_eq(history_read(&history, path, message, sizeof(message)), 0, "%s", message);
    cr_expect_eq(history->damaged, 0);
    cr_expect_eq(history->starts, 1);
    cr_expect_eq(history->wall_count, 2, "a second snapshot");
    cr_expect(says(path, "\"lost\":\"1\""), "which says what is missing");
}
