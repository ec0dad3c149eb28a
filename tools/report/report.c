/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute report`: which of these targets are reachable, now?
 *
 * The command line (report_options) names targets and files; they become one list in the order given
 * (report_targets), which is moved into what probes them: one of three kinds (report_kind), by default a
 * pool of workers that sweep. Names have a place in the list and are probed when their address is known: a
 * few threads look them up (report_names) and wake the probing. Everything else happens in
 * this one thread: step, count results. When all is known, or at Ctrl-C, report_output writes the whole in
 * the order given, through report_writer.
 *
 * Results stay where they came from until the end, 32 bytes a target of a sweep, because the document's
 * totals come first and because people compare reports line by line; the text itself is never held. Two
 * things are written at once: a line of JSON for each target (--json-lines), and a change (--watch,
 * report_watch). Such lines wait up to 10 ms for others to share their write() with. A reader that is slow
 * stops this thread; replies wait in the kernel meanwhile and count by when they came.
 *
 * --watch is the same pool again and again; the first round fills the state, of which later ones tell what is
 * different.
 *
 * Requests go out in random order unless told otherwise. Nobody but the network sees the order, and to it,
 * addresses in a row are a burst into one subnet after the other: neighbour queues and rate limits there
 * would make loss of it.
 *
 * A report costs what it uses: no event loop library, no HTTP, no thread unless there is a name or there are
 * hundreds of targets.
 *
 * Deliberately not done: reverse lookups, several addresses of one name, looking up a name again.
 */
#include "tools/report/report.h"

#include <signal.h>
#include <stdarg.h>

#include "probe/text.h"
#include "probe/wakeup.h"
#include "tools/exit_code.h"
#include "tools/output_file.h"
#include "tools/report/json.h"
#include "tools/report/names.h"
#include "tools/report/options.h"
#include "tools/report/output.h"
#include "tools/report/target_text.h"
#include "tools/report/targets.h"
#include "tools/report/watch.h"

#define MESSAGE_BYTES      768
#define LINE_DELAY_NS      (10 * NS_PER_MS)
#define PROGRESS_FIRST_NS  NS_PER_S
#define PROGRESS_PERIOD_NS (200 * NS_PER_MS)

/* What a signal handler can reach. */
static volatile sig_atomic_t interrupted_by;
static int ring_fd = -1; /* of what probes */

struct run {
    struct report_options options;
    struct report_targets targets; /* its list is that of what probes, once that is there */
    struct report_view view;       /* of these and of what is known by now */
    struct report_names *names;    /* NULL: there are none */
    uint64_t names_until_ns;       /* when nobody is expected to answer for them any more */
    struct report_watch watch;
    uint32_t count;
    uint32_t left; /* to become known in this round */
    uint64_t began_ns;
    struct report_writer writer;
    uint64_t write_at_ns; /* when the lines in the writer have waited enough; NEVER_NS: there are none */
    struct output_file output;
    const char *program;
};

/* One line, whatever bytes there are in what somebody has typed. */
PRINTF_LIKE(2, 3) static void complain(const struct run *run, const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    text_error("%s: %s", run->program, message);
}

/* A wrong argument, or a system that did not let us? */
static int exit_code_of(int error)
{
    return error == -EINVAL || error == -E2BIG || error == -ENODEV || error == -EADDRNOTAVAIL ? EXIT_USAGE
                                                                                              : EXIT_SYSTEM;
}

static void on_signal(int number)
{
    interrupted_by = number;
    wakeup_ring(ring_fd);
}

/* The first signal ends probing, a second one this process. */
static void catch_signal(int number)
{
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    struct sigaction before;

    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

/* A target is known, with its result or its name's error in place. */
static void settle(struct run *run, uint32_t index, enum report_outcome outcome)
{
    enum report_outcome was = REPORT_UNFINISHED;
    struct report_line line;

    if (run->watch.states && (outcome == REPORT_REACHABLE || outcome == REPORT_UNREACHABLE))
        was = report_watch_take(&run->watch, &run->writer, &run->view, index, outcome);
    run->left--;
    run->view.totals[was]--;
    run->view.totals[outcome]++;
    if (run->options.format == REPORT_JSON_LINES && was == REPORT_UNFINISHED) {
        report_line_at(&line, &run->view, index);
        report_json_result(&run->writer, &line);
    }
}

static void take_results(struct run *run)
{
    struct probe_result result;
    bool failed;

    while (run->view.probing->kind->next(run->view.probing, &result, &failed)) {
        settle(run, result.index, result.outcome == PROBE_REPLY ? REPORT_REACHABLE : REPORT_UNREACHABLE);
        run->view.doubtful += result.doubtful;
        run->view.failed += failed;
    }
}

/* An answer that comes after this wakes the next step. Each puts off the end of waiting for the others. */
static int take_names(struct run *run)
{
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
    struct report_name_answer answer;
    int error = 0;

    if (now_ns >= run->names_until_ns)
        report_names_give_up(run->names);

    while (!error && report_names_next(run->names, &answer)) {
        struct report_text *text = &run->targets.texts[answer.target];

        if (report_name_is_answer(&answer))
            run->names_until_ns = now_ns + run->options.name_timeout_ns;
        if (!answer.error && report_no_host(&answer.address))
            answer.error = REPORT_NAME_NO_HOST;
        text->name_error = answer.error;
        if (answer.error) {
            settle(run, text->index, REPORT_NOT_FOUND);
        } else if (probe_range_set_has(&run->targets.excluded, &answer.address)) {
            text->excluded = answer.address;
            settle(run, text->index, REPORT_EXCLUDED);
        } else {
            error = run->view.probing->kind->set(run->view.probing, text->index, &answer.address);
        }
    }
    return error;
}

/* Are there some without an answer? */
static bool has_names(const struct run *run)
{
    return run->names && report_names_pending(run->names) > 0;
}

static void show_progress(const struct run *run)
{
    const struct report_kind *kind = run->view.probing->kind;
    char text[128] = "";

    if (kind->progress)
        kind->progress(run->view.probing, text, sizeof(text));
    else
        snprintf(text, sizeof(text), "%" PRIu32 " of %" PRIu32 " targets known, %" PRIu32 " reachable",
                 run->count - run->view.totals[REPORT_UNFINISHED], run->count,
                 run->view.totals[REPORT_REACHABLE]);
    fprintf(stderr, "\r%s", text);
    if (has_names(run))
        fprintf(stderr, ", %" PRIu32 " names to be found", report_names_pending(run->names));
    fputs("\033[K ", stderr);
}

/* Lines share a write() with those that follow soon, so that thousands at once do not take one each. */
static void write_lines(struct run *run)
{
    uint64_t now_ns;

    if (run->writer.used_bytes == 0) {
        run->write_at_ns = NEVER_NS;
        return;
    }
    now_ns = clock_now_ns(CLOCK_MONOTONIC);
    if (run->write_at_ns == NEVER_NS) {
        run->write_at_ns = now_ns + LINE_DELAY_NS;
    } else if (now_ns >= run->write_at_ns) {
        report_writer_flush(&run->writer);
        run->write_at_ns = NEVER_NS;
    }
}

/* One step and everything that it brought. */
static int step(struct run *run, uint64_t until_ns)
{
    int error;

    until_ns = min_u64(until_ns, run->write_at_ns);
    if (has_names(run))
        until_ns = min_u64(until_ns, run->names_until_ns);
    error = run->view.probing->kind->step(run->view.probing, until_ns);

    if (!error)
        take_results(run);
    if (!error && has_names(run))
        error = take_names(run);
    write_lines(run);
    return error;
}

static bool is_wanted(const struct run *run)
{
    return !interrupted_by && !run->writer.error;
}

/* Until everything is known, a signal, or nobody reads any more. */
static int probe_all(struct run *run)
{
    bool progress = isatty(STDERR_FILENO) && run->watch.rounds == 0, shown = false;
    uint64_t next_progress_ns = progress ? clock_now_ns(CLOCK_MONOTONIC) + PROGRESS_FIRST_NS : NEVER_NS;
    int error = 0;

    while (!error && is_wanted(run) && run->left > 0) {
        error = step(run, next_progress_ns);
        if (progress && clock_now_ns(CLOCK_MONOTONIC) >= next_progress_ns) {
            show_progress(run);
            shown = true;
            next_progress_ns = clock_now_ns(CLOCK_MONOTONIC) + PROGRESS_PERIOD_NS;
        }
    }
    if (shown)
        fputs("\r\033[K", stderr);
    return error;
}

/* After a signal, replies that wait in the sockets are known too. */
static int end(struct run *run)
{
    int error = run->view.probing->kind->stop(run->view.probing);

    take_results(run);
    run->view.elapsed_ns = clock_now_ns(CLOCK_MONOTONIC) - run->began_ns;
    return error;
}

/* The state after the first round, and then round after round what changes in it. */
static int watch(struct run *run)
{
    uint64_t next_ns = run->began_ns;
    int error = 0;

    run->view.elapsed_ns = clock_now_ns(CLOCK_MONOTONIC) - run->began_ns;
    if (is_wanted(run))
        error = report_output(&run->writer, &run->view);
    report_writer_flush(&run->writer);
    while (!error && is_wanted(run)) {
        run->watch.rounds++;
        /* A round that took longer moves those behind it. */
        next_ns = max_u64(next_ns + run->options.watch_ns, clock_now_ns(CLOCK_MONOTONIC));
        while (!error && is_wanted(run) && clock_now_ns(CLOCK_MONOTONIC) < next_ns)
            error = step(run, next_ns);
        if (error || !is_wanted(run))
            break;
        run->view.probing->kind->again(run->view.probing);
        run->left = run->count - run->view.totals[REPORT_NOT_FOUND] - run->view.totals[REPORT_EXCLUDED];
        run->view.doubtful = 0;
        error = probe_all(run);
    }
    return error;
}

/* Hands every name to the lookup. */
static int begin(struct run *run)
{
    const struct report_targets *targets = &run->targets;
    int error = 0;

    run->left = run->view.totals[REPORT_UNFINISHED] = run->count;
    run->began_ns = clock_now_ns(CLOCK_MONOTONIC);
    run->names_until_ns = run->began_ns + run->options.name_timeout_ns;
    if (run->options.watch_ns)
        error = report_watch_init(&run->watch, run->count);
    for (uint32_t i = 0; i < targets->text_count && !error; i++) {
        if (!targets->texts[i].is_name)
            continue;
        if (!run->names)
            error = report_names_new(&run->names, run->options.family, ring_fd);
        if (!error)
            error = report_names_add(run->names, i, targets->texts[i].text);
    }
    if (!error && run->names)
        error = report_names_start(run->names);
    return error;
}

/* Is this an address of ours? Asked before any family is given up for want of sockets. */
static int check_source(const struct run *run, const struct address *source)
{
    struct sockaddr_storage name;
    socklen_t length = address_to_sockaddr(source, 0, &name);
    __attribute__((cleanup(close_fd_cleanup))) int fd = -1;
    int error = 0;

    if (!address_is_set(source))
        return 0;
    fd = socket(source->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&name, length) < 0)
        error = -errno;
    if (error == -EADDRNOTAVAIL)
        complain(run, "--source '%s': this host has no such address", ADDRESS_TEXT(source));
    else if (error)
        complain(run, "--source '%s': %s", ADDRESS_TEXT(source), strerror(-error));
    return error;
}

static int open_probing(struct run *run)
{
    char message[MESSAGE_BYTES] = "";
    int error = check_source(run, &run->options.settings.source4);

    if (!error)
        error = check_source(run, &run->options.settings.source6);
    if (error)
        return error;
    error = report_kind_of(&run->options)
                ->open(&run->view.probing, &run->options, &run->targets.list, message, sizeof(message));
    if (error == -EACCES)
        complain(run, "not allowed to send ICMP echoes: run it as root, or give the program the capability "
                      "CAP_NET_RAW, or allow ping sockets (sysctl net.ipv4.ping_group_range='0 2147483647')");
    else if (error)
        complain(run, "%s", message);
    if (!error)
        ring_fd = run->view.probing->kind->wakeup(run->view.probing);
    return error;
}

static int read_source(struct run *run, const struct report_source *source, char *message)
{
    struct report_targets *targets = &run->targets;

    switch (source->kind) {
    case REPORT_TARGET:
        return report_targets_take(targets, source->text, message, MESSAGE_BYTES);
    case REPORT_FILE:
        return report_targets_read(targets, source->text, message, MESSAGE_BYTES);
    case REPORT_EXCLUDE:
        return report_targets_exclude(targets, source->text, message, MESSAGE_BYTES);
    case REPORT_EXCLUDE_FILE:
        return report_targets_exclude_file(targets, source->text, message, MESSAGE_BYTES);
    }
    return -EINVAL;
}

static int open_output(struct run *run)
{
    char why[MESSAGE_BYTES];
    int error = 0;

    if (run->options.output)
        error = output_file_open(&run->output, run->options.output, why, sizeof(why));
    if (error)
        complain(run, "--output '%s': %s", run->options.output, why);
    return error;
}

/* The last file that they were looked for in: without one there is a target. */
static const char *name_of_targets(const struct run *run)
{
    const char *name = "";

    for (size_t i = 0; i < run->options.source_count; i++)
        if (run->options.sources[i].kind == REPORT_FILE)
            name = run->options.sources[i].text;
    return strcmp(name, "-") == 0 ? "standard input" : name;
}

/* What was given as a target and is none. */
static void tell_bad(const struct run *run)
{
    const struct report_bad *bad = &run->targets.bad;

    for (size_t i = 0; i < REPORT_BAD_LINES; i++)
        if (bad->lines[i])
            complain(run, "%s", bad->lines[i]);
    if (bad->count > REPORT_BAD_LINES)
        complain(run, "%" PRIu64 " more are no targets", bad->count - REPORT_BAD_LINES);
}

/* One that is none costs itself only; when there is nothing else, or with --strict, the whole report. */
static int check_targets(struct run *run)
{
    const struct report_targets *targets = &run->targets;

    tell_bad(run);
    if (targets->good == 0 && targets->bad.count == 0)
        complain(run, "%s: there is no target in it", name_of_targets(run));
    if (targets->good == 0 || (run->options.strict && targets->bad.count > 0))
        return -EINVAL;
    if (targets->list.count > 0)
        return 0;
    complain(run, "%sno target is left: all are excluded or in other shards",
             run->options.strict ? "" : "warning: ");
    return run->options.strict ? -EINVAL : 0;
}

/* What is excluded has to be known before the first target, wherever it was said. */
static int read_targets(struct run *run)
{
    char message[MESSAGE_BYTES] = "";
    int error = open_output(run);

    if (error)
        return error;
    run->targets.family = run->options.family;
    if (run->options.settings.interface[0])
        run->targets.scope = if_nametoindex(run->options.settings.interface);
    run->targets.list.shard = run->options.shard;
    run->targets.list.shards = run->options.shards;
    for (int targets = 0; targets < 2; targets++) {
        for (size_t i = 0; i < run->options.source_count && !error; i++) {
            const struct report_source *source = &run->options.sources[i];

            if ((source->kind == REPORT_TARGET || source->kind == REPORT_FILE) == targets)
                error = read_source(run, source, message);
        }
    }
    if (error)
        complain(run, "%s", message);
    else
        error = check_targets(run);
    run->count = run->targets.list.count;
    return error;
}

/* Replies that this very host threw away look like loss: nobody must believe that silently. */
static void warn_of_drops(const struct run *run)
{
    struct report_about about = run->view.probing->kind->about(run->view.probing);
    const struct probe_counters *counters = about.counters;
    char doubtful[64] = "no verdict is in doubt";

    if (run->view.doubtful > 0)
        snprintf(doubtful, sizeof(doubtful), "%" PRIu32 " %s", run->view.doubtful,
                 run->view.probing->kind->doubt_warning);
    if (counters->receive_drops > 0)
        complain(run,
                 "warning: this host's own socket buffer dropped %" PRIu64 " replies; %" PRIu32
                 " targets were asked again, %s (run with CAP_NET_ADMIN, or raise net.core.rmem_max)",
                 counters->receive_drops, about.asked_again, doubtful);
    else if (run->view.doubtful > 0)
        complain(run, "warning: this host had no room to send; %s", doubtful);
}

static int verdict(const struct run *run)
{
    if (interrupted_by)
        return 128 + interrupted_by;
    if (run->view.totals[REPORT_NOT_FOUND] > 0 || run->targets.bad.count > 0)
        return EXIT_NAME_NOT_FOUND;
    return run->view.failed > 0 ? EXIT_NOT_ALL : 0;
}

/* To the file that was asked for, or to standard output. */
static int write_report(struct run *run)
{
    struct report_writer *writer = &run->writer;
    int error = 0;

    if (run->options.output) {
        error = output_file_begin(&run->output);
        writer->fd = run->output.fd;
    }
    /* Of what was watched the state has been told. */
    if (run->watch.rounds > 0 && run->options.format == REPORT_TABLE)
        report_watch_summary(writer, &run->watch, &run->view);
    else if (!error)
        error = report_output(writer, &run->view);
    if (!error)
        error = report_writer_flush(writer);
    if (!error && run->options.output)
        error = output_file_commit(&run->output);
    return error;
}

/* Nobody is called unreachable because this host does not let us wait or receive. */
static void complain_of_probing(const struct run *run, int error)
{
    const char *call = run->view.probing->kind->about(run->view.probing).failed_call;

    complain(run, "probing stopped: %s%s%s", call ? call : "", call ? ": " : "", strerror(-error));
}

static int probe_and_write(struct run *run)
{
    int error = open_probing(run);

    if (error)
        return exit_code_of(error);
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    catch_signal(SIGHUP);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write() */
    report_writer_init(&run->writer, STDOUT_FILENO);
    run->write_at_ns = NEVER_NS;
    error = begin(run);
    if (!error)
        error = probe_all(run);
    if (!error && run->options.watch_ns)
        error = watch(run);
    if (!error)
        error = end(run);
    if (error) {
        complain_of_probing(run, error);
        return EXIT_SYSTEM;
    }
    error = write_report(run);
    warn_of_drops(run);
    if (error) {
        complain(run, "cannot write %s: %s", run->options.output ? run->options.output : "the report",
                 strerror(-error));
        return EXIT_SYSTEM;
    }
    return verdict(run);
}

int command_report(int argc, char **argv)
{
    char message[MESSAGE_BYTES] = "";
    struct run run = {
        .program = argv[0], .view = {.options = &run.options, .targets = &run.targets}, .output = {.fd = -1}};
    int error = report_options_parse(&run.options, argc, argv, message, sizeof(message)), code = 0;

    if (error) {
        complain(&run, "%s", error == -ENOMEM ? "out of memory" : message);
        fprintf(stderr, "Try '%s --help'.\n", argv[0]);
        code = exit_code_of(error);
    } else if (!run.options.help) {
        error = read_targets(&run);
        code = error ? exit_code_of(error) : probe_and_write(&run);
    }
    output_file_discard(&run.output);
    report_names_free(run.names);
    if (run.view.probing)
        run.view.probing->kind->close(run.view.probing);
    report_watch_clear(&run.watch);
    report_targets_clear(&run.targets);
    report_options_clear(&run.options);
    return code;
}
