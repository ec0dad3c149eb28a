/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute bench compare`: the same lists through reroute, through other tools, and through the scheme that
 * reroute replaces.
 *
 * Everything is started in a stage (stage.h) whose other host answers for all addresses in its kernel, so the
 * truth is known: who is live and not reported reachable is a false unreachable. A run is the life of a
 * process, its start included: wall time from outside, CPU time as the kernel accounts for it when it is
 * gone. The kernel's work for the answering host is part of the CPU time of whoever made it answer, alike for
 * all.
 *
 * All ways to ask all lists take turns, in another order each round, so that a change of the machine's mood
 * hits all; what is shown are medians. A tool that is not installed, or fails, has a row that says so.
 *
 * The ratios are reroute's over the row's, at 1 x 1. Where the project has promised one (bars), a second
 * table says what came out.
 *
 * Deliberately not done: tuning the other tools to this very machine; they run with what their manuals say
 * is fastest.
 */
#include <math.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "bench/bench.h"
#include "bench/compare.h"
#include "bench/stage.h"
#include "bench/study.h"
#include "bench/table.h"
#include "probe/shuffle.h"
#include "probe/statistics.h"
#include "tools/options.h"

#define MESSAGE_BYTES   512
#define LISTS_MAX       16
#define ROUNDS_MAX      100000
#define THREADS_PER_CPU 8
#define BUSY_MAX        1024

/* One way and one list. */
struct entry {
    const struct compare_way *way;
    const struct compare_list *list;
    size_t rounds;
    uint64_t *wall_ns, *cpu_ns, *unreachable; /* of each round; unreachable: false ones */
    uint64_t false_sum;
    char note[256]; /* why there is nothing, or no more; "" */
};

struct study {
    const char *program;
    uint64_t rounds, dead, threads;
    const char *tools; /* NULL: all */
    bool busy;
    struct compare_list lists[LISTS_MAX];
    size_t list_count;
    struct compare_places places;
    struct entry *entries;
    size_t entry_count;
    pid_t busy_children[BUSY_MAX];
    size_t busy_count;
};

/* --- what runs -------------------------------------------------------------------------------------------*/

static bool is_chosen(const struct study *study, const struct compare_way *way)
{
    size_t length = strcspn(way->tool, " ");

    for (const char *at = study->tools; at && *at; at += strcspn(at, ",") + (at[strcspn(at, ",")] == ','))
        if (strcspn(at, ",") == length && strncmp(at, way->tool, length) == 0)
            return true;
    return !study->tools;
}

static int make_entries(struct study *study)
{
    study->entries = calloc(study->list_count * compare_way_count, sizeof(*study->entries));
    for (size_t l = 0; study->entries && l < study->list_count; l++) {
        for (size_t w = 0; w < compare_way_count; w++) {
            struct entry *entry = &study->entries[study->entry_count];

            if (!is_chosen(study, &compare_ways[w]))
                continue;
            study->entry_count++;
            entry->way = &compare_ways[w];
            entry->list = &study->lists[l];
            entry->wall_ns = calloc(study->rounds, sizeof(*entry->wall_ns));
            entry->cpu_ns = calloc(study->rounds, sizeof(*entry->cpu_ns));
            entry->unreachable = calloc(study->rounds, sizeof(*entry->unreachable));
            if (!entry->wall_ns || !entry->cpu_ns || !entry->unreachable)
                return -ENOMEM;
            if (!compare_is_installed(entry->way, &study->places))
                snprintf(entry->note, sizeof(entry->note), "not installed");
        }
    }
    return study->entries ? 0 : -ENOMEM;
}

/* One run of it. What failed is not tried again. */
static void run_entry(const struct study *study, struct entry *entry)
{
    const char *argv[COMPARE_ARGV_MAX];
    uint32_t live = entry->list->addresses - entry->list->dead;
    struct child child = {0};
    int64_t reachable;
    char line[160];
    int r;

    compare_arguments(entry->way, &study->places, argv);
    r = child_run(&child, argv, entry->list->text);
    reachable = r < 0 ? r : compare_reachable(entry->way, &child);
    if (study_interrupted()) {
        /* It was interrupted, too. */
    } else if (r < 0) {
        snprintf(entry->note, sizeof(entry->note), "not started: %s", strerror(-r));
    } else if (child.status > entry->way->status_most) {
        snprintf(entry->note, sizeof(entry->note), "status %d: %s", child.status,
                 child_error_line(&child, line, sizeof(line)));
    } else if (reachable < 0 || reachable > live) {
        snprintf(entry->note, sizeof(entry->note), "an answer that makes no sense");
    } else {
        entry->wall_ns[entry->rounds] = child.wall_ns;
        entry->cpu_ns[entry->rounds] = child.cpu_ns;
        entry->unreachable[entry->rounds] = live - (uint64_t)reachable;
        entry->false_sum += live - (uint64_t)reachable;
        entry->rounds++;
    }
    child_clear(&child);
}

/* How long a run is expected to take, in seconds, for the progress. */
static double expected_s(const struct entry *entry)
{
    if (entry->note[0])
        return 0;
    if (entry->rounds > 0)
        return (double)entry->wall_ns[entry->rounds - 1] / 1e9;
    return 0.5 + entry->list->addresses * 50e-6;
}

static void run_all(struct study *study)
{
    struct study_progress progress = {0};
    struct shuffle shuffle;
    double done_s = 0;

    for (uint32_t round = 0; round < study->rounds; round++) {
        shuffle_init(&shuffle, (uint32_t)study->entry_count, (uint32_t[4]){round, 1, 2, 3});
        for (uint32_t i = 0; i < study->entry_count && !study_interrupted(); i++) {
            struct entry *entry = &study->entries[shuffle_at(&shuffle, i)];
            double left_s = 0;

            for (size_t e = 0; e < study->entry_count; e++)
                left_s += expected_s(&study->entries[e]) * (double)(study->rounds - study->entries[e].rounds);
            study_progress(&progress, done_s, done_s + left_s,
                           "round %" PRIu32 " of %" PRIu64 ", %s, %" PRIu32 " addresses", round + 1,
                           study->rounds, entry->way->tool, entry->list->addresses);
            if (entry->note[0] == '\0')
                run_entry(study, entry);
            if (entry->rounds > 0)
                done_s += (double)entry->wall_ns[entry->rounds - 1] / 1e9;
        }
    }
    study_progress_end(&progress);
    for (size_t e = 0; e < study->entry_count; e++) {
        statistics_sort(study->entries[e].wall_ns, study->entries[e].rounds);
        statistics_sort(study->entries[e].cpu_ns, study->entries[e].rounds);
        statistics_sort(study->entries[e].unreachable, study->entries[e].rounds);
    }
}

/* --- busy CPUs -------------------------------------------------------------------------------------------*/

__attribute__((noreturn)) static void be_busy(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    for (volatile unsigned long i = 0;; i++)
        continue;
}

static int make_busy(struct study *study)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    pid_t parent = getpid();

    while (study->busy && (long)study->busy_count < cpus && study->busy_count < BUSY_MAX) {
        pid_t child = fork();

        if (child == 0)
            be_busy(parent);
        if (child < 0)
            return -errno;
        study->busy_children[study->busy_count++] = child;
    }
    return 0;
}

static void end_busy(struct study *study)
{
    while (study->busy_count > 0) {
        pid_t child = study->busy_children[--study->busy_count];

        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
}

/* --- what came out ---------------------------------------------------------------------------------------*/

static double median(const uint64_t *sorted, size_t count)
{
    return count > 0 ? (double)statistics_percentile(sorted, count, 50) : NAN;
}

/* The way with this name asked this many addresses; NULL: it did not. */
static const struct entry *entry_of(const struct study *study, const char *tool, const char *setting,
                                    uint32_t addresses)
{
    for (size_t e = 0; e < study->entry_count; e++) {
        const struct entry *entry = &study->entries[e];

        if (entry->rounds > 0 && entry->list->addresses == addresses && strcmp(entry->way->tool, tool) == 0 &&
            (!setting || strcmp(entry->way->setting, setting) == 0))
            return entry;
    }
    return NULL;
}

static double wall_ratio(const struct entry *ours, const struct entry *theirs)
{
    return ours && theirs ? median(ours->wall_ns, ours->rounds) / median(theirs->wall_ns, theirs->rounds)
                          : NAN;
}

static double cpu_ratio(const struct entry *ours, const struct entry *theirs)
{
    return ours && theirs ? median(ours->cpu_ns, ours->rounds) / median(theirs->cpu_ns, theirs->rounds) : NAN;
}

static const struct table_column columns[] = {
    {"addresses", NULL, 0},
    {"tool", NULL, -1},
    {"setting", NULL, -1},
    {"rounds", NULL, 0, .hidden = true},
    {"wall_min_ms", "min ms", 2},
    {"wall_median_ms", "median ms", 2},
    {"wall_max_ms", "max ms", 2},
    {"wall_ratio", "reroute/it", 2},
    {"cpu_median_ms", "CPU ms", 2},
    {"cpu_us_per_probe", "CPU us/probe", 2},
    {"cpu_ratio", "reroute/it", 2},
    {"false_min", NULL, 0, .hidden = true},
    {"false_median", "false unreachable", 0},
    {"false_max", "worst run", 0},
    {"false_sum", NULL, 0, .hidden = true},
    {"note", NULL, -1},
};

static void add_row(struct table *table, const struct study *study, const struct entry *entry)
{
    const struct entry *ours = entry_of(study, "reroute", "1x1", entry->list->addresses);
    const struct entry *it = entry->rounds > 0 ? entry : NULL;
    size_t n = entry->rounds;

    table_number(table, entry->list->addresses);
    table_text(table, entry->way->tool);
    table_text(table, entry->way->setting);
    table_number(table, (double)n);
    table_number(table, it ? (double)it->wall_ns[0] / 1e6 : NAN);
    table_number(table, median(entry->wall_ns, n) / 1e6);
    table_number(table, it ? (double)it->wall_ns[n - 1] / 1e6 : NAN);
    table_number(table, wall_ratio(ours, it));
    table_number(table, median(entry->cpu_ns, n) / 1e6);
    table_number(table, median(entry->cpu_ns, n) / 1e3 / entry->list->addresses);
    table_number(table, cpu_ratio(ours, it));
    table_number(table, it ? (double)it->unreachable[0] : NAN);
    table_number(table, median(entry->unreachable, n));
    table_number(table, it ? (double)it->unreachable[n - 1] : NAN);
    table_number(table, it ? (double)it->false_sum : NAN);
    table_text(table, entry->note);
}

static void make_table(struct table **table, const struct study *study)
{
    table_new(table, columns, ARRAY_SIZE(columns));
    for (size_t e = 0; e < study->entry_count; e++)
        add_row(*table, study, &study->entries[e]);
}

/* What the project promises of this command's figures. */
enum promise { PROMISE_WALL, PROMISE_CPU, PROMISE_FALSE, PROMISE_WINDOW };

static const struct bar {
    const char *text;
    enum promise what;
    uint32_t addresses;
    const char *tool; /* compared with */
    double most;
} bars[] = {
    {"wall time of fping's, 506 live targets", PROMISE_WALL, 506, "fping", 0.7},
    {"wall time of fping's, 65000 live targets", PROMISE_WALL, 65000, "fping", 0.5},
    {"CPU time of fping's, 65000 live targets", PROMISE_CPU, 65000, "fping", 1},
    {"CPU time of zmap's, 65000 live targets", PROMISE_CPU, 65000, "zmap", 1},
    {"CPU time of masscan's, 65000 live targets", PROMISE_CPU, 65000, "masscan", 1},
    {"false unreachables in all rounds, 506 targets", PROMISE_FALSE, 506, "reroute", 0},
    {"false unreachables in all rounds, 65000 targets", PROMISE_FALSE, 65000, "reroute", 0},
    {"ms beyond the window, 506 targets, some dead", PROMISE_WINDOW, 506, "reroute", 5},
};

/* NAN: this run says nothing of it. */
static double bar_value(const struct study *study, const struct bar *bar)
{
    const struct entry *ours = entry_of(study, "reroute", "1x1", bar->addresses);
    const struct entry *theirs = entry_of(study, bar->tool, NULL, bar->addresses);
    bool calm = !study->busy && study->dead == 0;

    if (!ours || !theirs)
        return NAN;
    switch (bar->what) {
    case PROMISE_WALL:
        return calm ? wall_ratio(ours, theirs) : NAN;
    case PROMISE_CPU:
        return calm ? cpu_ratio(ours, theirs) : NAN;
    case PROMISE_FALSE:
        return (double)ours->false_sum;
    case PROMISE_WINDOW:
        return !study->busy && study->dead ? median(ours->wall_ns, ours->rounds) / 1e6 - 1000 : NAN;
    }
    return NAN;
}

static const struct table_column bar_columns[] = {
    {"bar", NULL, -1},
    {"at_most", "at most", 2},
    {"measured", NULL, 2},
    {"met", NULL, -1},
};

static void make_bars(struct table **table, const struct study *study)
{
    table_new(table, bar_columns, ARRAY_SIZE(bar_columns));
    for (size_t i = 0; i < ARRAY_SIZE(bars); i++) {
        double value = bar_value(study, &bars[i]);

        if (isnan(value))
            continue;
        table_text(*table, bars[i].text);
        table_number(*table, bars[i].most);
        table_number(*table, value);
        table_text(*table, value <= bars[i].most ? "yes" : "no");
    }
}

/* Each tool once: what it is and how it is started. */
static void print_ways(const struct study *study)
{
    const char *argv[COMPARE_ARGV_MAX];
    char version[32];

    puts("\nStarted as");
    for (size_t e = 0; e < study->entry_count && study->entries[e].list == study->lists; e++) {
        const struct compare_way *way = study->entries[e].way;

        if (study->entries[e].rounds == 0)
            continue;
        compare_version(way, &study->places, version, sizeof(version));
        compare_arguments(way, &study->places, argv);
        printf("  %s %s:", way->tool, version);
        for (size_t i = 0; argv[i]; i++)
            printf(" %s", strrchr(argv[i], '/') && i < 2 ? strrchr(argv[i], '/') + 1 : argv[i]);
        puts("");
    }
}

static void print_text(const struct study *study, const struct table *table, const struct table *bars_table)
{
    char host[160];

    printf("%s%s. Medians of %zu rounds, process start included; %" PRIu64 " of each list dead.\n\n",
           study_host(host, sizeof(host)), study->busy ? ", all kept busy" : "",
           study->entry_count ? study->entries[0].rounds : 0, study->dead);
    table_write(table, TABLE_TEXT, stdout);
    if (table_rows(bars_table) > 0) {
        puts("");
        table_write(bars_table, TABLE_TEXT, stdout);
    }
    print_ways(study);
}

static void print_json(const struct study *study, const struct table *table, const struct table *bars_table)
{
    cJSON *document = cJSON_CreateObject();
    char host[160];

    cJSON_AddStringToObject(document, "schema", "reroute.bench-compare/1");
    cJSON_AddStringToObject(document, "host", study_host(host, sizeof(host)));
    cJSON_AddBoolToObject(document, "busy", study->busy);
    cJSON_AddNumberToObject(document, "dead", (double)study->dead);
    cJSON_AddBoolToObject(document, "interrupted", study_interrupted() != 0);
    cJSON_AddItemToObject(document, "rows", table_json(table));
    cJSON_AddItemToObject(document, "bars", table_json(bars_table));
    study_print_json(document);
}

/* --- the command -----------------------------------------------------------------------------------------*/

static int take_list(void *context, const char *item)
{
    struct study *study = context;
    uint64_t addresses;

    if (study->list_count == LISTS_MAX || study_number(&addresses, item, 1, COMPARE_MOST) < 0 ||
        study->dead >= addresses)
        return -EINVAL;
    return compare_list_make(&study->lists[study->list_count++], (uint32_t)addresses, (uint32_t)study->dead);
}

static int take_tool(void *context, const char *item)
{
    struct study one = {.tools = item};

    for (size_t w = 0; w < compare_way_count; w++)
        if (is_chosen(&one, &compare_ways[w]))
            return 0;
    return -EINVAL;
}

static int compare(struct study *study, bool json, bool csv)
{
    CLEANUP(table_free) struct table *table = NULL;
    CLEANUP(table_free) struct table *bars_table = NULL;
    CLEANUP(close_fd) int peer = -1;
    char message[MESSAGE_BYTES] = "";
    int r = stage_enter(message, sizeof(message));

    if (r == 0)
        r = peer = stage_peer(COMPARE_LIVE, COMPARE_SILENT, message, sizeof(message));
    if (r >= 0)
        r = make_entries(study);
    if (r >= 0)
        r = make_busy(study);
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", study->program, message[0] ? message : strerror(-r));
        return EXIT_SYSTEM;
    }
    study_catch_signals();
    run_all(study);
    end_busy(study);
    make_table(&table, study);
    make_bars(&bars_table, study);
    if (json)
        print_json(study, table, bars_table);
    else if (csv)
        table_write(table, TABLE_CSV, stdout);
    else
        print_text(study, table, bars_table);
    return study_interrupted() ? 128 + study_interrupted() : 0;
}

static void study_clear(struct study *study)
{
    for (size_t e = 0; e < study->entry_count; e++) {
        free(study->entries[e].wall_ns);
        free(study->entries[e].cpu_ns);
        free(study->entries[e].unreachable);
    }
    free(study->entries);
    for (size_t l = 0; l < study->list_count; l++)
        free(study->lists[l].text);
    end_busy(study);
}

int bench_compare(int argc, char **argv)
{
    const char *addresses = "506,65000", *rounds = "5", *dead = "0", *threads = NULL;
    struct study study = {.program = argv[0]};
    bool json = false, csv = false;
    const struct option_row rows[] = {
        {0, "addresses", "LIST", "how many addresses to ask (default: 506,65000)", .value = &addresses},
        {0, "dead", "N", "so many of each list never answer (default: 0)", .value = &dead},
        {0, "rounds", "N", "how often each tool asks each list (default: 5)", .value = &rounds},
        {0, "tools", "LIST", "of reroute, old, fping, zmap, masscan, nmap (default: all)",
         .value = &study.tools},
        {0, "threads", "N", "of the old scheme (default: 8 a CPU)", .value = &threads},
        {0, "busy", NULL, "keep all CPUs busy with something else meanwhile", .flag = &study.busy},
        {0, "json", NULL, "print one document, schema reroute.bench-compare/1", .flag = &json},
        {0, "csv", NULL, "print the rows, comma-separated", .flag = &csv},
        {0},
    };
    const struct command_line line = {
        .about = "The same lists of addresses through reroute, other tools, and the scheme that reroute "
                 "replaces:\n"
                 "time, CPU time and live hosts that were called unreachable.\n",
        .rows = rows,
        .after = "Runs in network namespaces of its own; nothing else is touched. See reroute-bench(8).\n",
    };
    int at = options_parse(&line, argc, argv), code;

    if (at <= 0)
        return at ? EXIT_USAGE : 0;
    study.threads = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN) * THREADS_PER_CPU;
    if (study_number(&study.rounds, rounds, 1, ROUNDS_MAX) < 0)
        code = options_complain(argv[0], "--rounds '%s': expected a number from 1 to %d", rounds, ROUNDS_MAX);
    else if (study_number(&study.dead, dead, 0, COMPARE_MOST) < 0)
        code = options_complain(argv[0], "--dead '%s': expected a number", dead);
    else if (threads && study_number(&study.threads, threads, 1, 1000) < 0)
        code = options_complain(argv[0], "--threads '%s': expected a number from 1 to 1000", threads);
    else if (study.tools && study_list(study.tools, take_tool, NULL) < 0)
        code = options_complain(
            argv[0], "--tools '%s': expected some of reroute, old, fping, zmap, masscan, nmap", study.tools);
    else if (study_list(addresses, take_list, &study) < 0)
        code = options_complain(argv[0],
                                "--addresses '%s': expected up to %d numbers from 1 to %" PRIu32
                                ", each more than are dead",
                                addresses, LISTS_MAX, COMPARE_MOST);
    else {
        study_program("../reroute", REROUTE_BIN "/reroute", study.places.reroute,
                      sizeof(study.places.reroute));
        study_program("old_scheme.py", "", study.places.old_scheme, sizeof(study.places.old_scheme));
        snprintf(study.places.threads, sizeof(study.places.threads), "%" PRIu64, study.threads);
        code = compare(&study, json, csv);
    }
    study_clear(&study);
    return code;
}
