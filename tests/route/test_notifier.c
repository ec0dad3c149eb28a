/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what the thread that runs a program promises the loop: one run at a time, the newest notice of those that come
 * meanwhile, an end to each run, a reason for each failure, and an end of all that waits no longer than it is told.
 */
#include "route/agent/notifier.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <sys/stat.h>

#include "probe/text.h"

#define NOW     clock_now_ns(CLOCK_MONOTONIC)
#define LONG_NS (20 * NS_PER_S)

static char directory[] = "/tmp/reroute-notifier-XXXXXX";
static char program[64], seen[64], gate[64];
static struct notifier *notifier;

static void begin(void)
{
    cr_assert_not_null(mkdtemp(directory));
    snprintf(program, sizeof(program), "%s/program", directory);
    snprintf(seen, sizeof(seen), "%s/seen", directory);
    snprintf(gate, sizeof(gate), "%s/gate", directory);
    cr_assert_eq(mkfifo(gate, 0600), 0);
    setenv("SEEN", seen, 1);
    setenv("GATE", gate, 1);
    cr_assert_eq(notifier_open(&notifier), 0);
}

static void end(void)
{
    notifier = notifier_close(notifier, 0);
    unlink(program);
    unlink(seen);
    unlink(gate);
    cr_expect_eq(rmdir(directory), 0);
}

static void write_program(const char *script)
{
    FILE *file = fopen(program, "we");

    cr_assert_not_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    cr_assert_eq(chmod(program, 0700), 0);
}

static void hand_over(const char *document, uint64_t timeout_ns)
{
    struct notice *notice = calloc(1, sizeof(*notice));

    notice->program = strdup(program);
    notice->timeout_ns = timeout_ns;
    notice->document = strdup(document);
    notice->variables = calloc(2, sizeof(*notice->variables));
    notice->variables[0] = strdup("REROUTE_EVENT=test");
    notifier_hand_over(notifier, notice);
}

static struct notifier_report report(void)
{
    struct notifier_report report;

    notifier_report(notifier, &report);
    return report;
}

/* After so many runs; waits for what is told at the descriptor. */
static struct notifier_report after(uint64_t runs)
{
    uint64_t until_ns = NOW + LONG_NS;
    struct pollfd told = {.fd = notifier_fd(notifier), .events = POLLIN};

    while (report().runs < runs && NOW < until_ns)
        poll(&told, 1, 1000);
    cr_assert_eq(report().runs, runs);
    return report();
}

static void until_it_runs(void)
{
    uint64_t until_ns = NOW + LONG_NS;

    while (!report().running && NOW < until_ns)
        poll(NULL, 0, 1);
    cr_assert(report().running);
}

/* What the runs wrote; static. */
static const char *all_seen(void)
{
    static char text[4096];
    FILE *file = fopen(seen, "re");

    text[file ? fread(text, 1, sizeof(text) - 1, file) : 0] = '\0';
    if (file)
        fclose(file);
    return text;
}

/* A run that waits at the gate goes on when somebody has written there, which waits for it. */
static void open_gate(void)
{
    FILE *file = fopen(gate, "we");

    cr_assert_not_null(file);
    fclose(file);
}

TestSuite(notifier, .init = begin, .fini = end, .timeout = 60);

Test(notifier, the_program_gets_document_and_variables)
{
    write_program("printf '%s %s;' \"$(cat)\" \"$REROUTE_EVENT\" >>\"$SEEN\"");
    for (uint64_t i = 1; i <= 3; i++) {
        hand_over("{}", LONG_NS);
        cr_expect_eq(after(i).failures, 0);
    }
    cr_expect_str_eq(all_seen(), "{} test;{} test;{} test;");
    cr_expect_str_eq(report().error, "");
    cr_expect_not(report().running);
}

Test(notifier, one_at_a_time_and_then_the_newest)
{
    char document[16];

    write_program("read -r x <\"$GATE\"; printf '%s;' \"$(cat)\" >>\"$SEEN\"");
    hand_over("first", LONG_NS);
    until_it_runs();
    for (int i = 0; i < 100; i++) {
        snprintf(document, sizeof(document), "%d", i);
        hand_over(document, LONG_NS);
    }
    cr_expect_eq(report().runs, 0);
    open_gate();
    after(1);
    open_gate();
    after(2);
    cr_expect_str_eq(all_seen(), "first;99;");
}

Test(notifier, what_waits_can_be_taken_back)
{
    write_program("read -r x <\"$GATE\"; printf '%s;' \"$(cat)\" >>\"$SEEN\"");
    cr_expect_not(notifier_take_back(notifier));
    hand_over("first", LONG_NS);
    until_it_runs();
    cr_expect_not(notifier_take_back(notifier), "what runs does not wait");
    hand_over("second", LONG_NS);
    cr_expect(notifier_take_back(notifier));
    cr_expect_not(notifier_take_back(notifier));
    open_gate();
    after(1);
    notifier = notifier_close(notifier, LONG_NS);
    cr_expect_str_eq(all_seen(), "first;");
}

static const struct {
    const char *script, *error;
} failures[] = {
    {"exit 3", "exit code 3"},
    {"echo no such host >&2; echo more; exit 1", "exit code 1: no such host"},
    {"kill -9 $$", "ended by signal 9"},
    {"sleep 86313", "killed after 200ms"},
    {"while :; do printf %4096d 0; done", "killed: it printed more than 1048576 bytes"},
};

Test(notifier, why_it_failed)
{
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
        write_program(failures[i].script);
        hand_over("{}", i == 3 ? 200 * NS_PER_MS : LONG_NS);
        cr_expect_eq(after(i + 1).failures, i + 1);
        cr_expect_str_eq(report().error, failures[i].error, "%s", report().error);
    }
    unlink(program);
    hand_over("{}", LONG_NS);
    cr_expect_str_eq(after(ARRAY_SIZE(failures) + 1).error, "not started: No such file or directory");
    notifier_hand_over(notifier, NULL);
    cr_expect_str_eq(after(ARRAY_SIZE(failures) + 2).error, "not started: Cannot allocate memory");
    write_program("exit 0");
    hand_over("{}", LONG_NS);
    cr_expect_str_eq(after(ARRAY_SIZE(failures) + 3).error, "");
    cr_expect_eq(report().failures, ARRAY_SIZE(failures) + 2);
}

Test(notifier, the_end_waits_for_the_last_notice)
{
    write_program("sleep 0.1; printf '%s;' \"$(cat)\" >>\"$SEEN\"");
    hand_over("first", LONG_NS);
    until_it_runs();
    hand_over("last", LONG_NS);
    notifier = notifier_close(notifier, LONG_NS);
    cr_expect_str_eq(all_seen(), "first;last;");
}

Test(notifier, the_end_waits_no_longer_than_it_is_told)
{
    uint64_t begun_ns;

    write_program("sleep 86314; echo late >\"$SEEN\"");
    hand_over("first", 3600 * NS_PER_S);
    until_it_runs();
    hand_over("last", 3600 * NS_PER_S);
    begun_ns = NOW;
    notifier = notifier_close(notifier, 300 * NS_PER_MS);
    cr_expect_geq(NOW - begun_ns, 300 * NS_PER_MS);
    cr_expect_lt(NOW - begun_ns, LONG_NS);
    cr_expect_str_eq(all_seen(), "");
}
