/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: a journal that no agent wrote, small or large, is refused with its line and what was
 * expected, or read and replayed in seconds and within some memory. Each row is a thing of which somebody
 * else chooses the size: lines, names, steps, times, settings, decisions that nothing but time leads to.
 */
#include <criterion/criterion.h>
#include <sys/resource.h>

#include "route/journal/replay.h"

#define SECONDS_MAX 60 /* generous: a loaded machine, a sanitizer; what hung took ten times as long */

static char path[] = "/tmp/reroute-bounds-XXXXXX";
static FILE *out;

static void begin(void)
{
    int fd;

    strcpy(path + sizeof(path) - 7, "XXXXXX");
    fd = mkstemp(path);
    out = fd < 0 ? NULL : fdopen(fd, "w");
    cr_assert_not_null(out);
}

static void end(void)
{
    unlink(path);
}

/* --- a journal, made up; each setting as text --- */

struct settings {
    const char *t_ns, *time, *select_timeout_ns, *hold_ns, *damping_max_ns;
};

static const struct settings usual = {"100000000000", "2026-01-01T00:00:00.000Z", "100000000", "180000000000",
                                      "3600000000000"};

static void put_snapshot(const struct settings *s, const char *link_usable)
{
    fprintf(out,
            "{\"kind\":\"snapshot\",\"time\":\"%s\",\"t_ns\":\"%s\",\"schema\":\"reroute.journal/1\","
            "\"why\":\"start\",\"boot_id\":\"a\",\"host\":\"h\",\"service\":\"10.9.9.9\","
            "\"current\":\"10.0.0.1\",\"agent\":{\"sessions_waived\":true,\"list_arrived\":true,"
            "\"window_ns\":\"1000000000\",\"select_timeout_ns\":\"%s\",\"hold_ns\":\"%s\","
            "\"damping_max_ns\":\"%s\"},\"accesses\":[{\"access\":\"one\",\"locality\":\"local\"},"
            "{\"access\":\"two\",\"locality\":\"same-zone\"}],\"paths\":[",
            s->time, s->t_ns, s->select_timeout_ns, s->hold_ns, s->damping_max_ns);
    for (int i = 1; i <= 2; i++)
        fprintf(out,
                "%s{\"path\":\"10.0.0.%d\",\"access\":\"%s\",\"tier\":\"data\",\"state\":\"up\","
                "\"up_since_ns\":\"1\",\"on_link\":true,\"link_usable\":%s,\"service_good\":true,"
                "\"full_size\":\"passed\",\"last_reply_ns\":\"%s\",\"proven_ns\":\"%s\"}",
                i > 1 ? "," : "", i, i > 1 ? "two" : "one", i > 1 ? "true" : link_usable, i > 1 ? "1" : "now",
                i > 1 ? "1" : "now");
    fprintf(out, "],\"decision\":{\"action\":\"keep\",\"reason\":\"best\"}}\n");
}

static void put_line(const char *kind, uint64_t t_ns, const char *rest)
{
    fprintf(out, "{\"kind\":\"%s\",\"time\":\"2026-01-01T00:00:00.000Z\",\"t_ns\":\"%" PRIu64 "\"%s}\n", kind,
            t_ns, rest);
}

/* --- what came of it --- */

struct verdict {
    int read, replayed;
    char message[256];
};

/* Reads it, and replays it with the host's hold and with another one. */
static struct verdict judge(void)
{
    CLEANUP(history_free) struct history *history = NULL;
    struct verdict v = {0};

    fclose(out);
    v.read = history_read(&history, path, v.message, sizeof(v.message));
    for (uint64_t hold_ns = NS_PER_S; v.read == 0 && v.replayed == 0 && hold_ns; hold_ns = 0) {
        CLEANUP(tally_clear) struct tally recorded = {0}, other = {0};
        const struct replay_settings same = {.hold_ns = REPLAY_AS_RECORDED,
                                             .damping_max_ns = REPLAY_AS_RECORDED},
                                     shorter = {.hold_ns = hold_ns, .damping_max_ns = 0};

        v.replayed = replay_run(history, &same, &recorded);
        if (v.replayed == 0)
            v.replayed = replay_run(history, &shorter, &other);
    }
    return v;
}

static void expect_refused(const char *what, const struct verdict *v, unsigned line, const char *words)
{
    char place[64];

    snprintf(place, sizeof(place), "%s:%u: ", path, line);
    cr_expect_eq(v->read, -EPROTO, "%s: %d", what, v->read);
    cr_expect(strncmp(v->message, place, strlen(place)) == 0, "%s: %s", what, v->message);
    cr_expect_not_null(strstr(v->message, words), "%s: %s", what, v->message);
    cr_expect_null(strchr(v->message, '\n'));
}

Test(bounds, settings_and_times, .timeout = 5 * SECONDS_MAX)
{
    static const struct {
        const char *name;
        struct settings settings;
        const char *later_ns; /* a second line at that time */
        unsigned line;        /* 0: it is read */
        const char *words;
    } rows[] = {
        {"no select-timeout", {.select_timeout_ns = "0"}, "9000000000000000000", 1, "select_timeout_ns '0'"},
        {"a nanosecond", {.select_timeout_ns = "1"}, NULL, 1, "expected a millisecond to an hour"},
        {"one that overflows", {.select_timeout_ns = "18446744073709551614"}, NULL, 1, "to an hour"},
        {"a negative one", {.select_timeout_ns = "-1000000"}, NULL, 1, "to an hour"},
        {"no number", {.select_timeout_ns = "soon"}, NULL, 1, "select_timeout_ns '0'"},
        {"a hold of centuries", {.hold_ns = "9000000000000000000"}, NULL, 1, "a week at most"},
        {"damping without end", {.damping_max_ns = "never"}, NULL, 1, "a week at most"},
        {"285 years", {0}, "9000000000000000000", 2, "t_ns '9000000000000000000', expected"},
        {"just beyond a hundred", {0}, "3153600000000000001", 2, "a hundred years at most"},
        {"a negative time", {0}, "-5", 2, "t_ns '-5'"},
        {"at once", {.t_ns = "18446744073709551615"}, NULL, 1, "t_ns"},
        {"never", {.t_ns = "never"}, NULL, 1, "t_ns 'never'"},
        {"a hundred years", {0}, "3153600000000000000", 0, NULL},
        {"a hundred years of milliseconds",
         {.select_timeout_ns = "1000000", .hold_ns = "0"},
         "3153600000000000000",
         0,
         NULL},
        {"a year that overflows",
         {.time = "-2147483648--2147483648-31T00:00:00.000Z"},
         "200000000000",
         0,
         NULL},
        {"a month that overflows", {.time = "2026-2147483647-31T00:00:00.000Z"}, "200000000000", 0, NULL},
        {"a year of a lost clock", {.time = "9999-99-99T99:99:99.999Z"}, "200000000000", 0, NULL},
        {"the zero of Unix", {.time = "1970-01-01T00:00:00.000Z"}, "200000000000", 0, NULL},
    };
    static const char *const links[] = {"true", "false"};

    for (size_t i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
        const char *name = rows[i / 2].name;
        struct settings s = rows[i / 2].settings;
        struct verdict v;

        begin();
        s.t_ns = s.t_ns ? s.t_ns : usual.t_ns;
        s.time = s.time ? s.time : usual.time;
        s.select_timeout_ns = s.select_timeout_ns ? s.select_timeout_ns : usual.select_timeout_ns;
        s.hold_ns = s.hold_ns ? s.hold_ns : usual.hold_ns;
        s.damping_max_ns = s.damping_max_ns ? s.damping_max_ns : usual.damping_max_ns;
        put_snapshot(&s, links[i % 2]);
        if (rows[i / 2].later_ns)
            fprintf(out, "{\"kind\":\"alive\",\"t_ns\":\"%s\"}\n", rows[i / 2].later_ns);
        v = judge();
        if (rows[i / 2].line)
            expect_refused(name, &v, rows[i / 2].line, rows[i / 2].words);
        else
            cr_expect(v.read == 0 && v.replayed == 0, "%s: %d, %d: %s", name, v.read, v.replayed, v.message);
        end();
    }
}

/* --- sizes --- */

/* Failures that are said to have begun ever earlier: each belongs before all that were read. */
static void ever_earlier(void)
{
    const uint64_t base_ns = 1000000 * NS_PER_S;
    char rest[160];

    put_snapshot(&usual, "true");
    for (uint64_t i = 0; i < 60000; i++) {
        snprintf(rest, sizeof(rest),
                 ",\"paths\":[{\"path\":\"10.0.0.2\",\"state\":\"%s\",\"missing\":%s,\"first_missed_ns\":"
                 "\"%" PRIu64 "\"}]",
                 i % 2 ? "up" : "down", i % 2 ? "false" : "true", i % 2 ? 0 : base_ns - i * NS_PER_MS);
        put_line("step", base_ns + i * NS_PER_MS, rest);
    }
}

static void many_boots(void)
{
    for (int i = 0; i < 10000; i++) {
        put_snapshot(&usual, "true");
        put_line("switch", 200 * NS_PER_S, ",\"to\":\"10.0.0.2\",\"reason\":\"path-down\",\"done\":true");
    }
}

static void put_names(const char *member, const char *name, int count)
{
    put_snapshot(&usual, "true");
    fprintf(out, "{\"kind\":\"step\",\"t_ns\":\"200000000000\",\"%s\":[{\"%s\":\"n0\"}", member, name);
    for (int i = 1; i < count; i++)
        fprintf(out, ",{\"%s\":\"n%d\"}", name, i);
    fputs("]}\n", out);
}

static void many_paths(void)
{
    put_names("paths", "path", 5000);
}

static void many_accesses(void)
{
    put_names("accesses", "access", 5000);
}

/* All names are looked up again in every line. */
static void many_looks(void)
{
    put_names("paths", "path", 4000);
    for (int i = 0; i < 40000; i++)
        fputs("{\"kind\":\"step\",\"t_ns\":\"200000000000\",\"paths\":[{\"path\":\"n3999\"}]}\n", out);
}

/* Few looks for the reader, many for the selector, which looks at the accesses too. */
static void many_steps(void)
{
    put_names("accesses", "access", 4000);
    for (uint64_t i = 0; i < 80000; i++)
        put_line("step", 200 * NS_PER_S + i * NS_PER_MS, "");
}

static void long_line(void)
{
    put_snapshot(&usual, "true");
    fputs("{\"kind\":\"step\",\"paths\":[", out);
    for (int i = 0; i < 15000000; i++)
        fputs("{},", out);
    fputs("]}\n", out);
}

static void no_line(void)
{
    for (int i = 0; i < 60000000; i++)
        putc_unlocked('x', out);
}

static void deep(void)
{
    put_snapshot(&usual, "true");
    for (int i = 0; i < 100000; i++)
        putc('[', out);
}

static uint64_t cpu_ns(void)
{
    return clock_now_ns(CLOCK_PROCESS_CPUTIME_ID);
}

Test(bounds, sizes, .timeout = 5 * SECONDS_MAX)
{
    static const struct {
        const char *name;
        void (*put)(void);
        unsigned line; /* 0: it is read */
        const char *words;
    } rows[] = {
        {"failures ever earlier", ever_earlier, 0, NULL},
        {"ten thousand boots", many_boots, 0, NULL},
        {"5,000 paths", many_paths, 2, "more than 4096 paths"},
        {"5,000 accesses", many_accesses, 2, "more than 4096 accesses"},
        {"a line of 45 MB", long_line, 2, "a line of more than 4194304 bytes"},
        {"60 MB that are no line", no_line, 1, "a line of more than 4194304 bytes"},
        {"brackets", deep, 0, NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t began_ns = cpu_ns();
        struct rusage usage;
        struct verdict v;

        begin();
        rows[i].put();
        v = judge();
        if (rows[i].line)
            expect_refused(rows[i].name, &v, rows[i].line, rows[i].words);
        else
            cr_expect(v.read == 0 && v.replayed == 0, "%s: %d, %d: %s", rows[i].name, v.read, v.replayed,
                      v.message);
        cr_expect_lt(cpu_ns() - began_ns, SECONDS_MAX * NS_PER_S, "%s", rows[i].name);
        getrusage(RUSAGE_SELF, &usage);
        cr_expect_lt(usage.ru_maxrss, 1 << 20, "%s: %ld kB", rows[i].name, usage.ru_maxrss);
        end();
    }
}

/* Too much work in all: refused by the reader, or by the replay. */
Test(bounds, work, .timeout = 5 * SECONDS_MAX)
{
    struct verdict v;

    begin();
    many_looks();
    v = judge();
    cr_expect_eq(v.read, -EPROTO);
    cr_expect_not_null(strstr(v.message, "too many paths in too many lines"), "%s", v.message);
    end();

    begin();
    many_steps();
    v = judge();
    cr_expect(v.read == 0 && v.replayed == -E2BIG, "%d, %d: %s", v.read, v.replayed, v.message);
    end();
}
