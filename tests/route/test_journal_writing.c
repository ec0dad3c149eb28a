/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves how a journal is written: only what is news, so that a quiet day is a few lines; two files are the
 * most there is, whatever happens to them; half a line ends before the next one; and a full disk is said
 * once.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "route/journal/file.h"
#include "route/journal/replay.h"
#include "route/own_file.h"
#include "tests/route/journal_place.h"

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

    cr_assert_eq(journal_file_new(&journal_file, journal_directory), 0);
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

/* A step; every journal_path answered a moment ago, every tenth time not. */
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
Test(journal_writing, only_news_is_written, .init = journal_place_begin, .fini = journal_place_end)
{
    enum what {
        NOTHING,
        LOSS,
        MISS,
        ANSWER,
        STABLE_AT,
        STATE,
        RESTARTS,
        CHECK,
        HOLD,
        PIN,
        UNLISTED,
        CONTRADICTED,
        STALLED,
        LOSING,
        DEGRADED
    };
    static const struct {
        const char *name;
        enum what what;
        uint32_t index;
        uint64_t value;
        bool news;
    } rows[] = {
        {"nothing", NOTHING, 0, 0, false},
        {"later replies", ANSWER, 1, 0, false},
        {"one was lost", LOSING, 1, true, false},
        {"the path in use loses too much, and waits for the other one", DEGRADED, 0, true, true},
        {"which loses no more", LOSING, 1, false, true},
        {"it is clean again", DEGRADED, 0, false, true},
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
        {"a miss, and the host's own connection goes on", CONTRADICTED, 0, 50 * NS_PER_S, false},
        {"no more", CONTRADICTED, 0, 0, false},
        {"it stands still", STALLED, 0, true, true},
        {"no more", STALLED, 0, false, true},
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
        long before = size_of(journal_path);

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
        case CONTRADICTED:
            w.input.host.contradicted_ns = rows[i].value;
            break;
        case LOSING:
            w.paths[index].health.losing = rows[i].value;
            break;
        case DEGRADED:
            w.paths[index].health.degraded = rows[i].value;
            break;
        case STALLED:
            w.input.host.stalled = rows[i].value;
            break;
        }
        cr_assert_eq(decide_and_write(journal, &w), 0);
        cr_expect_eq(size_of(journal_path) > before, rows[i].news, "%s: %ld bytes", rows[i].name,
                     size_of(journal_path) - before);
    }
    journal = close_journal(journal);
}

Test(journal_writing, a_quiet_day_is_a_few_lines, .init = journal_place_begin, .fini = journal_place_end)
{
    struct journal *journal;
    struct little_world w;
    long first;

    little_world(&w);
    journal = open_journal(JOURNAL_MAX_BYTES);
    cr_assert_eq(write_step(journal, &w), 0);
    first = size_of(journal_path);
    for (unsigned s = 0; s < 86400; s++) {
        w.input.now_ns += NS_PER_S;
        cr_assert_eq(write_step(journal, &w), 0);
    }
    journal = close_journal(journal);
    cr_expect_gt(first, 0);
    cr_expect_leq(size_of(journal_path), first + 24 * 100, "%ld bytes in a quiet day",
                  size_of(journal_path) - first);
    cr_expect_geq(size_of(journal_path), first + 23 * 50, "each hour says that the agent is alive");
}

Test(journal_writing, two_files_are_the_most, .init = journal_place_begin, .fini = journal_place_end)
{
    struct journal *journal;
    struct little_world w;

    little_world(&w);
    journal = open_journal(8000);
    for (unsigned i = 0; i < 1000; i++) {
        w.input.now_ns += NS_PER_S;
        w.paths[1].service_bad = i % 2;
        cr_assert_eq(write_step(journal, &w), 0);
        cr_assert_leq(size_of(journal_path), 8000);
        cr_assert_leq(size_of(journal_older), 8000);
    }
    journal = close_journal(journal);
    cr_expect_gt(size_of(journal_older), 4000);
    {
        CLEANUP(history_free) struct history *history = NULL;
        char message[256];

        cr_expect_eq(history_read(&history, journal_path, message, sizeof(message)), 0, "%s", message);
    }
}

/* What is said beside the steps counts too: a person's command that changes nothing, again and again. */
Test(journal_writing, commands_alone_do_not_make_it_grow, .init = journal_place_begin,
     .fini = journal_place_end)
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
        journal_command(journal, w.input.now_ns,
                        &(struct journal_order){.command = "pin", .target = "home", .because = ""});
        cr_assert_leq(size_of(journal_path), 8000);
        cr_assert_leq(size_of(journal_older), 8000);
    }
    journal = close_journal(journal);
    cr_expect_eq(history_read(&history, journal_path, message, sizeof(message)), 0, "%s", message);
}

/* A line that a crash cut off gets its end of line. Otherwise the next snapshot would be lost with it. */
Test(journal_writing, half_a_line_ends_before_the_next, .init = journal_place_begin,
     .fini = journal_place_end)
{
    CLEANUP(history_free) struct history *history = NULL;
    struct journal *journal;
    struct little_world w;
    char message[256];

    journal_place_put(journal_path, "{\"kind\":\"st");
    little_world(&w);
    journal = open_journal(JOURNAL_MAX_BYTES);
    cr_assert_eq(write_step(journal, &w), 0);
    journal = close_journal(journal);
    cr_assert_eq(history_read(&history, journal_path, message, sizeof(message)), 0, "%s", message);
    cr_expect_eq(history->damaged, 1);
}

/* Somebody removes it, moves it away or empties it: it begins anew, with a snapshot. */
Test(journal_writing, who_loses_the_file_begins_anew, .init = journal_place_begin, .fini = journal_place_end)
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
        cr_assert_eq(way == REMOVED ? unlink(journal_path)
                     : way == MOVED ? rename(journal_path, journal_older)
                                    : truncate(journal_path, 0),
                     0);
        unlink(journal_older);
        w.paths[1].service_bad = true;
        cr_assert_eq(write_step(journal, &w), 0);
        w.paths[1].service_bad = false;
        cr_assert_eq(write_step(journal, &w), 0);
        journal = close_journal(journal);
        cr_expect_eq(history_read(&history, journal_path, message, sizeof(message)), 0, "way %d: %s", way,
                     message);
        cr_expect(history && history->wall_count == 1, "way %d: one snapshot", way);
        unlink(journal_path);
    }
}

/* A full disk, or as here a link in its place: whatever keeps it from being written. */
Test(journal_writing, what_cannot_be_written_is_said_once, .init = journal_place_begin,
     .fini = journal_place_end)
{
    struct journal *journal;
    struct little_world w;
    int said = 0;

    little_world(&w);
    cr_assert_eq(symlink("/dev/full", journal_path), 0);
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
    unlink(journal_path); /* as it should be again */
    for (unsigned s = 0; s < 61 && size_of(journal_path) < 0; s++) {
        w.input.now_ns += NS_PER_S;
        cr_expect_eq(write_step(journal, &w), 0);
    }
    cr_expect_geq(size_of(journal_path), 0, "written again within a minute");
    journal = close_journal(journal);
    cr_expect_gt(size_of(journal_path), 500, "and it begins with a snapshot");
}

static bool says(const char *name, const char *words)
{
    CLEANUP(free) char *text = NULL;
    size_t length;

    return own_file_read(&text, &length, journal_directory, strrchr(name, '/') + 1, 1 << 20) == 0 &&
           strstr(text, words);
}

/* The file may not grow any more while it is written: what was begun of a line is taken back. */
Test(journal_writing, after_a_failure_a_snapshot, .init = journal_place_begin, .fini = journal_place_end)
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
    limit.rlim_cur = (rlim_t)size_of(journal_path) + 50;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (unsigned s = 0; s < 30; s++) {
        w.input.now_ns += NS_PER_S;
        w.paths[1].service_bad = s % 2;
        said += write_step(journal, &w) < 0;
    }
    cr_expect_eq(said, 1);
    cr_expect_eq(size_of(journal_path), (long)limit.rlim_cur - 50, "half a line stands there");
    limit.rlim_cur = RLIM_INFINITY;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (unsigned s = 0; s < 62; s++) {
        w.input.now_ns += NS_PER_S;
        cr_assert_eq(write_step(journal, &w), 0);
    }
    journal = close_journal(journal);
    cr_assert_eq(history_read(&history, journal_path, message, sizeof(message)), 0, "%s", message);
    cr_expect_eq(history->damaged, 0);
    cr_expect_eq(history->starts, 1);
    cr_expect_eq(history->wall_count, 2, "a second snapshot");
    cr_expect(says(journal_path, "\"lost\":\"1\""), "which says what is missing");
}
