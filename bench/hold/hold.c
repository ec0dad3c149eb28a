/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute bench hold`: how long should a better path be healthy before the route returns to it?
 *
 * Failure histories are played for every hold, with and without damping (rule 7 of route/decide/selector.c), through
 * the real selector, in virtual time: made-up ones (history.c, world.c), many runs of each, the
 * same runs for every setting; and those that agents have recorded in their journals (route/journal/replay.c).
 * Counted is what a person has of it: switches, needless ones, time away from home, time without service
 * (route/journal/tally.h).
 *
 * A longer hold is away longer and, when the node fails again, does not suffer from it; that is all there is
 * to weigh, and the table shows both sides. The answer in the last line takes a shorter hold only when no
 * history gets worse by it. It is as good as the histories are.
 */
#include "bench/bench.h"
#include "bench/hold/answer.h"
#include "bench/hold/plot.h"
#include "bench/study/study.h"
#include "bench/study/table.h"
#include "probe/quantity.h"
#include "probe/text.h"
#include "route/journal/replay.h"
#include "tools/replay_options.h"

#define BASE_NS       (180 * NS_PER_S)
#define MESSAGE_BYTES 512

struct options {
    uint64_t holds_ns[REPLAY_HOLDS_MAX], dampings_ns[2];
    int hold_count;
    size_t damping_count;
    const struct hold_kind *kinds[16];
    size_t kind_count;
    char *journals[64]; /* owned */
    size_t journal_count;
    uint64_t runs, seed;
    bool json, csv;
    const char *plot, *program;
};

struct study {
    struct options options;
    struct hold_cells cells;
    struct hold_effort effort;
    uint64_t cpu_ns; /* of the made-up histories */
    double hours;    /* simulated in it */
};

/* --- running --- */

static void add_tally(struct hold_cell *cell, const struct tally *tally)
{
    cell->runs++;
    cell->switches += tally->move_count;
    cell->needless += tally->needless;
    cell->away_ns += tally->away_ns;
    cell->unserved_ns += tally->unserved_ns;
    cell->watched_ns += tally->watched_ns;
}

static int new_row(struct study *study, const char *name)
{
    const struct options *o = &study->options;
    struct hold_cells *cells = &study->cells;
    struct hold_cell *bigger =
        reallocarray(cells->cells, (cells->histories + 1) * cells->settings, sizeof(*bigger));

    if (!bigger)
        return -ENOMEM;
    cells->cells = bigger;
    for (size_t i = 0; i < cells->settings; i++)
        cells->cells[cells->histories * cells->settings + i] =
            (struct hold_cell){.history = name,
                               .settings = {.hold_ns = o->holds_ns[i / o->damping_count],
                                            .damping_max_ns = o->dampings_ns[i % o->damping_count]}};
    cells->histories++;
    return 0;
}

static struct hold_cell *last_row(struct study *study)
{
    return &study->cells.cells[(study->cells.histories - 1) * study->cells.settings];
}

/* One run of a history with every setting. */
static int run_once(struct study *study, const struct hold_kind *kind, uint64_t seed)
{
    uint64_t began_ns = clock_now_ns(CLOCK_PROCESS_CPUTIME_ID);
    struct hold_history history;
    int error = hold_history_make(&history, kind, seed);

    for (size_t i = 0; !error && i < study->cells.settings; i++) {
        CLEANUP(tally_clear) struct tally tally = {0};
        struct hold_cell *cell = &last_row(study)[i];

        error = hold_world_run(&history, &cell->settings, seed, &tally, &study->effort);
        add_tally(cell, &tally);
        study->hours += (double)history.length_ns / NS_PER_S / 3600;
    }
    hold_history_clear(&history);
    study->cpu_ns += clock_now_ns(CLOCK_PROCESS_CPUTIME_ID) - began_ns;
    return error;
}

static int run_made_up(struct study *study)
{
    const struct options *o = &study->options;
    struct study_progress progress = {0};
    int error = 0;

    for (size_t k = 0; !error && k < o->kind_count && !study_interrupted(); k++) {
        error = new_row(study, o->kinds[k]->name);
        for (uint64_t run = 0; !error && run < o->runs && !study_interrupted(); run++) {
            study_progress(&progress, (double)(k * o->runs + run), (double)(o->kind_count * o->runs),
                           "%s, run %" PRIu64, o->kinds[k]->name, run + 1);
            error = run_once(study, o->kinds[k], o->seed + run);
        }
        if (!error && last_row(study)->runs == 0) /* interrupted: nothing is known of it */
            study->cells.histories--;
    }
    study_progress_end(&progress);
    return error;
}

static int run_journal(struct study *study, const char *path)
{
    CLEANUP(history_free) struct history *history = NULL;
    char message[MESSAGE_BYTES];
    int error = history_read(&history, path, message, sizeof(message));

    if (error) {
        text_error("%s: %s", study->options.program, message);
        return error;
    }
    error = new_row(study, path);
    for (size_t i = 0; !error && i < study->cells.settings; i++) {
        CLEANUP(tally_clear) struct tally tally = {0};
        struct hold_cell *cell = &last_row(study)[i];
        const struct replay_settings settings = {.hold_ns = cell->settings.hold_ns,
                                                 .damping_max_ns = cell->settings.damping_max_ns};

        error = replay_run(history, &settings, &tally);
        add_tally(cell, &tally);
    }
    if (error)
        text_error("%s: %s: %s", study->options.program, path, replay_error_text(error));
    return error == -E2BIG ? -EPROTO : error;
}

/* --- output --- */

static const struct table_column columns[] = {
    {"history", NULL, -1, false},           {"hold_s", "hold s", 1, false},
    {"damping", NULL, -1, false},           {"runs", NULL, 0, true},
    {"watched_h", "hours a run", 2, true},  {"switches", NULL, 2, false},
    {"needless", NULL, 2, false},           {"away_min", "away min", 1, false},
    {"unserved_s", "unserved s", 1, false},
};

static struct table *make_table(const struct hold_cells *cells)
{
    struct table *table;
    char damping[24];

    table_new(&table, columns, ARRAY_SIZE(columns));
    for (size_t i = 0; i < cells->histories * cells->settings; i++) {
        const struct hold_cell *c = &cells->cells[i];

        table_text(table, c->history);
        table_number(table, (double)c->settings.hold_ns / NS_PER_S);
        table_text(table, replay_damping_text(c->settings.damping_max_ns, damping));
        table_number(table, (double)c->runs);
        table_number(table, hold_per_run(c, c->watched_ns) / NS_PER_S / 3600);
        table_number(table, hold_per_run(c, c->switches));
        table_number(table, hold_per_run(c, c->needless));
        table_number(table, hold_per_run(c, c->away_ns) / NS_PER_S / 60);
        table_number(table, hold_per_run(c, c->unserved_ns) / NS_PER_S);
    }
    return table;
}

static double hours_per_second(const struct study *study)
{
    return study->cpu_ns ? study->hours / ((double)study->cpu_ns / NS_PER_S) : 0;
}

static void print_json(const struct study *study, const struct table *table, const char *text)
{
    cJSON *document = cJSON_CreateObject();

    char host[160];

    cJSON_AddStringToObject(document, "schema", "reroute.bench-hold/1");
    cJSON_AddStringToObject(document, "host", study_host(host, sizeof(host)));
    cJSON_AddBoolToObject(document, "interrupted", study_interrupted() != 0);
    cJSON_AddNumberToObject(document, "seed", (double)study->options.seed);
    cJSON_AddItemToObject(document, "rows", table_json(table));
    cJSON_AddStringToObject(document, "answer", text);
    cJSON_AddNumberToObject(document, "hours_simulated", study->hours);
    cJSON_AddNumberToObject(document, "hours_per_cpu_second", hours_per_second(study));
    study_print_json(document);
}

static void print_text(const struct study *study, const struct table *table, const char *text)
{
    const struct options *o = &study->options;

    for (size_t i = 0; i < o->kind_count; i++)
        printf("%s%-9s %s\n", i ? "" : "A day of 24 h each, with this access of its own:\n",
               o->kinds[i]->name, o->kinds[i]->about);
    printf("\n");
    table_write(table, TABLE_TEXT, stdout);
    printf("\nFigures are per run (%s%" PRIu64
           " of each made-up history; a journal is one). A made-up path that "
           "loses\n30 %% or more does not serve.\n%s",
           study_interrupted() ? "up to " : "", o->runs, TALLY_DEFINITIONS);
    if (study->hours > 0)
        printf("\n%.0f h simulated in %.1f s of CPU time: %.0f h a second. %" PRIu64 " probes, %" PRIu64
               " decisions.\n",
               study->hours, (double)study->cpu_ns / NS_PER_S, hours_per_second(study), study->effort.probes,
               study->effort.decisions);
    printf("\n%s\n", text);
}

static int show(const struct study *study)
{
    CLEANUP(table_free) struct table *table = make_table(&study->cells);
    const char *caution = study_interrupted() ? "Interrupted; by what was played until then: " : "";
    char answer[512], text[600], message[MESSAGE_BYTES];

    hold_answer(&study->cells, BASE_NS, answer, sizeof(answer));
    snprintf(text, sizeof(text), "%s%s", caution, answer);
    if (study->options.json)
        print_json(study, table, text);
    else if (study->options.csv)
        table_write(table, TABLE_CSV, stdout);
    else
        print_text(study, table, text);
    if (!study->options.plot || !study->cells.histories ||
        hold_plot(study->options.plot, &study->cells, message, sizeof(message)) == 0)
        return 0;
    text_error("%s: %s", study->options.program, message);
    return EXIT_SYSTEM;
}

/* --- the command line --- */

static int take_kind(void *context, const char *item)
{
    struct options *o = context;

    for (size_t i = 0; i < hold_kind_count; i++) {
        if (strcmp(hold_kinds[i].name, item) != 0)
            continue;
        if (o->kind_count == ARRAY_SIZE(o->kinds))
            return -EINVAL;
        o->kinds[o->kind_count++] = &hold_kinds[i];
        return 0;
    }
    return -EINVAL;
}

static int take_journal(void *context, const char *item)
{
    struct options *o = context;

    if (o->journal_count == ARRAY_SIZE(o->journals))
        return -EINVAL;
    o->journals[o->journal_count] = strdup(item);
    return o->journals[o->journal_count++] ? 0 : -ENOMEM;
}

struct arguments {
    const char *hold, *damping, *history, *journal, *runs, *seed;
};

static int read_options(struct options *o, const struct arguments *a)
{

    o->hold_count = replay_parse_holds(a->hold, o->holds_ns);
    if (o->hold_count < 0)
        return options_complain(o->program,
                                "--hold '%s': expected up to %d durations of an hour at most, such as "
                                "60s,2m,180s",
                                a->hold, REPLAY_HOLDS_MAX);
    if (strcmp(a->damping, "both") == 0) {
        o->dampings_ns[o->damping_count++] = SELECTOR_DAMPING_MAX_NS;
        o->dampings_ns[o->damping_count++] = 0;
    } else if (replay_parse_damping(a->damping, &o->dampings_ns[o->damping_count++]) < 0) {
        return options_complain(o->program,
                                "--damping '%s': expected on, off, both or the longest hold, such as 10m",
                                a->damping);
    }
    if (a->history && study_list(a->history, take_kind, o) < 0)
        return options_complain(o->program,
                                "--history '%s': expected a list of reboot, reboots, flap, "
                                "restarts, leak",
                                a->history);
    if (a->journal && study_list(a->journal, take_journal, o) < 0)
        return options_complain(o->program, "--journal: expected up to %zu files, with commas between them",
                                ARRAY_SIZE(o->journals));
    for (size_t i = 0; !a->history && !a->journal && i < hold_kind_count; i++)
        o->kinds[o->kind_count++] = &hold_kinds[i];
    if (quantity_number(a->runs, 1, 100000, &o->runs) < 0)
        return options_complain(o->program, "--runs '%s': expected a number from 1 to 100000", a->runs);
    if (quantity_number(a->seed, 0, UINT32_MAX, &o->seed) < 0)
        return options_complain(o->program, "--seed '%s': expected a number", a->seed);
    return bench_check_output(o->program, o->json, o->csv, o->plot);
}

static int run(struct study *study)
{
    const struct options *o = &study->options;
    int error;

    study->cells.settings = (size_t)o->hold_count * o->damping_count;
    study_catch_signals();
    error = run_made_up(study);
    for (size_t i = 0; !error && i < o->journal_count && !study_interrupted(); i++) {
        error = run_journal(study, o->journals[i]);
        if (error)
            return error == -EPROTO ? EXIT_USAGE : EXIT_SYSTEM;
    }
    if (error) {
        text_error("%s: %s", o->program, strerror(-error));
        return EXIT_SYSTEM;
    }
    error = show(study);
    return error ? error : study_interrupted() ? 128 + study_interrupted() : 0;
}

int bench_hold(int argc, char **argv)
{
    struct study study = {.options = {.program = argv[0]}};
    struct options *o = &study.options;
    struct arguments a = {
        .hold = "0s,10s,30s,60s,120s,180s,300s", .damping = "both", .runs = "20", .seed = "1"};
    const struct option_row rows[] = {
        {.name = "hold",
         .argument = "LIST",
         .help = "holds (default: 0s,10s,30s,60s,120s,180s,300s)",
         .value = &a.hold},
        {.name = "damping",
         .argument = "HOW",
         .help = "on, off, both or the longest damped hold (default: both)",
         .value = &a.damping},
        {.name = "history",
         .argument = "LIST",
         .help = "reboot, reboots, flap, restarts, leak (default: all of them)",
         .value = &a.history},
        {.name = "journal",
         .argument = "LIST",
         .help = "also these, recorded by agents; alone: only these",
         .value = &a.journal},
        {.name = "runs", .argument = "N", .help = "of each made-up history (default: 20)", .value = &a.runs},
        {.name = "seed", .argument = "N", .help = "of the made-up histories (default: 1)", .value = &a.seed},
        BENCH_PLOT(&o->plot),
        BENCH_JSON(&o->json, "hold"),
        BENCH_CSV(&o->csv),
        {0},
    };
    const struct command_line line = {
        .about = "Plays failure histories through the selector in virtual time, for every hold, with and "
                 "without damping:\nhow often does the route move, how often needlessly, how long is it away "
                 "from home, how long is there no\nservice?\n",
        .rows = rows,
        .after = "Exit code: 0 done, 3 bad arguments, 4 system error.\n",
    };
    int code = options_parse(&line, argc, argv);

    if (code <= 0)
        return code ? EXIT_USAGE : 0;
    code = read_options(o, &a);
    if (!code)
        code = run(&study);
    for (size_t i = 0; i < o->journal_count; i++)
        free(o->journals[i]);
    free(study.cells.cells);
    return code;
}
