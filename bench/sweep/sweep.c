/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute bench sweep`: how long does it take to ask so many addresses with these settings, and how often is
 * a live one called unreachable?
 *
 * Every combination of addresses, settings, workers, transports and profiles is a cell. The networks are
 * simulated in a stage of our own (sweep_network), the engine is that of `reroute report`, used as a library
 * in this process (sweep_cell_run). All cells take turns, in another order each round, so that a change of the
 * machine's mood hits all of them. The truth is known: the responder says which addresses it never answers
 * for.
 *
 * Deliberately not done: other prober's figures (`bench compare`), the user's own network (`bench tune`).
 */
#include <math.h>

#include "bench/bench.h"
#include "bench/study/table.h"
#include "bench/sweep/plot.h"
#include "probe/cpus.h"
#include "probe/quantity.h"
#include "probe/shuffle.h"
#include "probe/statistics.h"
#include "probe/text.h"
#include "probe/transport.h"

#define MESSAGE_BYTES 1024
#define ROUNDS_MAX    100000
#define WORKERS_MAX   1024

struct study {
    const char *program;
    struct sweep_axes axes;
    struct sweep_network network;
    struct sweep_cell *cells;
    size_t cell_count;
    uint64_t rounds;
};

/* --- the plan --------------------------------------------------------------------------------------------*/

/* The counterpart of sweep_cell_index(): which values the nth cell has. */
static struct sweep_cell cell_at(const struct sweep_axes *axes, size_t index)
{
    struct sweep_cell cell = {.addresses = axes->addresses[index % axes->address_count]};

    index /= axes->address_count;
    cell.setting = axes->settings[index % axes->setting_count];
    index /= axes->setting_count;
    cell.workers = axes->workers[index % axes->worker_count];
    index /= axes->worker_count;
    cell.transport = axes->transports[index % axes->transport_count];
    cell.profile = index / axes->transport_count;
    return cell;
}

static int make_cells(struct study *study)
{
    study->cell_count = sweep_cell_index(&study->axes, study->network.count, 0, 0, 0, 0);
    study->cells = calloc(study->cell_count, sizeof(*study->cells));
    for (size_t i = 0; study->cells && i < study->cell_count; i++) {
        study->cells[i] = cell_at(&study->axes, i);
        study->cells[i].wall_ns = calloc(study->rounds, sizeof(uint64_t));
        study->cells[i].cpu_ns = calloc(study->rounds, sizeof(uint64_t));
        if (!study->cells[i].wall_ns || !study->cells[i].cpu_ns)
            return -ENOMEM;
    }
    return study->cells ? 0 : -ENOMEM;
}

/* How long a round is expected to take, in seconds, for the progress. */
static double expected_s(const struct study *study, const struct sweep_cell *cell)
{
    const struct responder_profile *profile = &study->network.profiles[cell->profile].profile;
    double window_s = (double)cell->setting.select_timeout_ns / 1e9 * cell->setting.select_count;

    if (cell->rounds > 0)
        return (double)cell->wall_ns[cell->rounds - 1] / 1e9;
    return 0.003 + cell->addresses * 1e-5 + (profile->loss > 0 || profile->dead > 0 ? window_s : 0);
}

static int run_all(struct study *study)
{
    struct study_progress progress = {0};
    struct shuffle shuffle;
    char message[MESSAGE_BYTES] = "";
    double done_s = 0;
    int r = 0;

    for (uint32_t round = 0; round < study->rounds; round++) {
        shuffle_init(&shuffle, (uint32_t)study->cell_count, (uint32_t[4]){round, 1, 2, 3});
        for (uint32_t i = 0; i < study->cell_count && r == 0 && !study_interrupted(); i++) {
            struct sweep_cell *cell = &study->cells[shuffle_at(&shuffle, i)];
            double left_s = 0;

            for (size_t c = 0; c < study->cell_count; c++)
                left_s +=
                    expected_s(study, &study->cells[c]) * (double)(study->rounds - study->cells[c].rounds);
            study_progress(&progress, done_s, done_s + left_s, "round %" PRIu32 " of %" PRIu64, round + 1,
                           study->rounds);
            r = sweep_cell_run(cell, &study->network, message, sizeof(message));
            done_s += cell->rounds > 0 ? (double)cell->wall_ns[cell->rounds - 1] / 1e9 : 0;
        }
    }
    study_progress_end(&progress);
    if (r == -EINTR && study_interrupted())
        r = 0;
    if (r < 0)
        text_error("%s: probing stopped: %s", study->program, message[0] ? message : strerror(-r));
    for (size_t c = 0; c < study->cell_count; c++) {
        statistics_sort(study->cells[c].wall_ns, study->cells[c].rounds);
        statistics_sort(study->cells[c].cpu_ns, study->cells[c].rounds);
    }
    return r;
}

/* --- what came out ---------------------------------------------------------------------------------------*/

static const struct table_column columns[] = {
    {"profile", NULL, -1},
    {"transport", NULL, -1, .hidden = true}, /* as asked for */
    {"transport_ran", "transport", -1},
    {"workers", NULL, 0},
    {"workers_ran", "ran", 0},
    {"setting", NULL, -1},
    {"select_timeout_ms", NULL, 3, .hidden = true},
    {"select_count", NULL, 0, .hidden = true},
    {"addresses", NULL, 0},
    {"dead", NULL, 0},
    {"dead_found", NULL, 0, .hidden = true},
    {"rounds", NULL, 0, .hidden = true},
    {"min_ms", "min ms", 2},
    {"median_ms", "median ms", 2},
    {"max_ms", "max ms", 2},
    {"cpu_ms", "CPU ms", 2},
    {"false_mean", "false unreachable", 2},
    {"false_max", "worst round", 0},
    {"false_sum", NULL, 0, .hidden = true},
    {"false_doubtful", NULL, 0, .hidden = true},
    {"false_reachable", NULL, 0, .hidden = true},
};

static void add_row(struct table *table, const struct study *study, const struct sweep_cell *cell)
{
    size_t n = cell->rounds;
    char setting[STUDY_SETTING_SIZE];

    table_text(table, study->network.profiles[cell->profile].text);
    table_text(table, cell->transport);
    table_text(table, n ? cell->transport_ran : NULL);
    table_number(table, cell->workers);
    table_number(table, n ? cell->workers_ran : NAN);
    table_text(table, study_setting_text(&cell->setting, setting));
    table_number(table, (double)cell->setting.select_timeout_ns / 1e6);
    table_number(table, cell->setting.select_count);
    table_number(table, cell->addresses);
    table_number(table, n ? cell->dead : NAN);
    table_number(table, n ? cell->dead_found : NAN);
    table_number(table, (double)n);
    table_number(table, n ? (double)cell->wall_ns[0] / 1e6 : NAN);
    table_number(table, n ? (double)statistics_percentile(cell->wall_ns, n, 50) / 1e6 : NAN);
    table_number(table, n ? (double)cell->wall_ns[n - 1] / 1e6 : NAN);
    table_number(table, n ? (double)statistics_percentile(cell->cpu_ns, n, 50) / 1e6 : NAN);
    table_number(table, n ? (double)cell->false_sum / (double)n : NAN);
    table_number(table, n ? (double)cell->false_most : NAN);
    table_number(table, n ? (double)cell->false_sum : NAN);
    table_number(table, n ? (double)cell->doubtful : NAN);
    table_number(table, n ? (double)cell->missed : NAN);
}

static void print_json(const struct study *study, const struct table *table)
{
    cJSON *document = cJSON_CreateObject();
    char host[160];

    cJSON_AddStringToObject(document, "schema", "reroute.bench-sweep/1");
    cJSON_AddStringToObject(document, "host", study_host(host, sizeof(host)));
    cJSON_AddNumberToObject(document, "rounds", (double)study->rounds);
    cJSON_AddBoolToObject(document, "interrupted", study_interrupted() != 0);
    cJSON_AddItemToObject(document, "rows", table_json(table));
    study_print_json(document);
}

static void print(const struct study *study, bool json, bool csv)
{
    CLEANUP(table_free) struct table *table = NULL;
    char host[160];

    table_new(&table, columns, ARRAY_SIZE(columns));
    for (size_t c = 0; c < study->cell_count; c++)
        add_row(table, study, &study->cells[c]);
    if (json) {
        print_json(study, table);
    } else if (csv) {
        table_write(table, TABLE_CSV, stdout);
    } else {
        printf("%s. %" PRIu64 " rounds each; a setting is select-timeout (s) x select-count; CPU ms is the "
               "median; false unreachable is the mean of a round.\n\n",
               study_host(host, sizeof(host)), study->rounds);
        table_write(table, TABLE_TEXT, stdout);
    }
}

/* Requests that the simulated network lost by accident would look like the prober's fault. */
static void warn_of_drops(struct study *study)
{
    int64_t drops = study->network.responder ? responder_queue_drops(study->network.responder) : 0;

    if (drops > 0)
        fprintf(stderr,
                "%s: warning: the responder's queue overflowed, %" PRId64 " requests were lost there\n",
                study->program, drops);
}

static int sweep(struct study *study, bool json, bool csv, const char *plot)
{
    char message[MESSAGE_BYTES] = "";
    int r = sweep_network_open(&study->network, message, sizeof(message));

    if (r == 0)
        r = make_cells(study);
    if (r < 0) {
        text_error("%s: %s", study->program, message[0] ? message : strerror(-r));
        return EXIT_SYSTEM;
    }
    study_catch_signals();
    r = run_all(study);
    print(study, json, csv);
    warn_of_drops(study);
    if (r < 0)
        return EXIT_SYSTEM;
    if (plot && sweep_plot(plot, &study->axes, &study->network, study->cells, message, sizeof(message)) < 0) {
        text_error("%s: %s", study->program, message);
        return EXIT_SYSTEM;
    }
    return study_interrupted() ? 128 + study_interrupted() : 0;
}

/* --- the command line ------------------------------------------------------------------------------------*/

static int take_addresses(void *context, const char *item)
{
    struct sweep_axes *axes = context;
    uint64_t number;

    if (axes->address_count == ARRAY_SIZE(axes->addresses) ||
        quantity_number(item, 1, SWEEP_ADDRESSES_MAX, &number) < 0)
        return -EINVAL;
    axes->addresses[axes->address_count++] = (uint32_t)number;
    return 0;
}

static int take_setting(void *context, const char *item)
{
    struct sweep_axes *axes = context;

    if (axes->setting_count == ARRAY_SIZE(axes->settings))
        return -EINVAL;
    return study_setting(&axes->settings[axes->setting_count++], item);
}

static int take_workers(void *context, const char *item)
{
    struct sweep_axes *axes = context;
    uint64_t number;

    if (axes->worker_count == ARRAY_SIZE(axes->workers) || quantity_number(item, 1, WORKERS_MAX, &number) < 0)
        return -EINVAL;
    axes->workers[axes->worker_count++] = (uint32_t)number;
    return 0;
}

static int take_transport(void *context, const char *item)
{
    static const char *const names[] = {"auto", "epoll", "io_uring", "poll"};
    struct sweep_axes *axes = context;

    for (size_t i = 0; i < ARRAY_SIZE(names) && axes->transport_count < ARRAY_SIZE(axes->transports); i++) {
        if (strcmp(names[i], item) == 0) {
            axes->transports[axes->transport_count++] = names[i];
            return 0;
        }
    }
    return -EINVAL;
}

/* A quarter of the CPUs up to four times as many. */
static void default_workers(struct sweep_axes *axes)
{
    uint32_t cpus = probe_cpus_usable();

    for (uint32_t quarters = 1; quarters <= 16; quarters *= 2) {
        uint32_t workers = (uint32_t)min_u64((cpus * quarters + 3) / 4, WORKERS_MAX);

        if (axes->worker_count == 0 || axes->workers[axes->worker_count - 1] != workers)
            axes->workers[axes->worker_count++] = workers;
    }
}

static void study_clear(struct study *study)
{
    for (size_t c = 0; study->cells && c < study->cell_count; c++) {
        free(study->cells[c].wall_ns);
        free(study->cells[c].cpu_ns);
    }
    free(study->cells);
    sweep_network_close(&study->network);
}

/* The options as they were typed. */
struct words {
    const char *addresses, *settings, *workers, *transports, *profiles, *rounds;
};

/* Reads them into the study. 0, or the exit code when one is wrong and that has been said. */
static int take_words(struct study *study, const struct words *words)
{
    const char *program = study->program;
    char message[MESSAGE_BYTES] = "";

    if (study_list(words->addresses, take_addresses, &study->axes) < 0)
        return options_complain(program, "--addresses '%s': expected up to %zu numbers from 1 to %d",
                                words->addresses, ARRAY_SIZE(study->axes.addresses), SWEEP_ADDRESSES_MAX);
    if (study_list(words->settings, take_setting, &study->axes) < 0)
        return options_complain(program, "--settings '%s': expected up to %zu such as 0.1x10 or 100msx10",
                                words->settings, ARRAY_SIZE(study->axes.settings));
    if (!words->workers)
        default_workers(&study->axes);
    else if (study_list(words->workers, take_workers, &study->axes) < 0)
        return options_complain(program, "--workers '%s': expected up to %zu numbers from 1 to %d",
                                words->workers, ARRAY_SIZE(study->axes.workers), WORKERS_MAX);
    if (study_list(words->transports, take_transport, &study->axes) < 0)
        return options_complain(program, "--transport '%s': expected some of auto, io_uring, epoll, poll",
                                words->transports);
    if (quantity_number(words->rounds, 1, ROUNDS_MAX, &study->rounds) < 0)
        return options_complain(program, "--rounds '%s': expected a number from 1 to %d", words->rounds,
                                ROUNDS_MAX);
    if (sweep_network_parse(&study->network, words->profiles, message, sizeof(message)) < 0)
        return options_complain(program, "--profile '%s': %s", words->profiles, message);
    return 0;
}

int bench_sweep(int argc, char **argv)
{
    struct words words = {.addresses = "20,26,206,212,506",
                          .settings = "1x1,0.1x10,0.01x100",
                          .transports = "auto",
                          .profiles = "lan,nested",
                          .rounds = "5"};
    __attribute__((cleanup(study_clear))) struct study study = {.program = argv[0]};
    const char *plot = NULL;
    bool json = false, csv = false;
    const struct option_row rows[] = {
        {0, "addresses", "LIST", "how many addresses to ask (20,26,206,212,506)", .value = &words.addresses},
        {0, "settings", "LIST", "select-timeout x select-count (1x1,0.1x10,0.01x100)",
         .value = &words.settings},
        {0, "workers", "LIST", "(a quarter of the CPUs up to four times as many)", .value = &words.workers},
        {0, "transport", "LIST", "of auto, io_uring, epoll, poll (auto)", .value = &words.transports},
        {0, "profile", "LIST", "networks, see below (lan,nested)", .value = &words.profiles},
        {0, "rounds", "N", "how often each combination is measured (5)", .value = &words.rounds},
        BENCH_PLOT(&plot),
        BENCH_JSON(&json, "sweep"),
        BENCH_CSV(&csv),
        {0},
    };
    const struct command_line line = {
        .about =
            "Asks so many addresses in simulated networks, with all combinations of settings: how long it\n"
            "takes, and how many live ones are called unreachable.\n",
        .rows = rows,
        .after =
            "A network is perfect, lan, nested, wan or lossy, and words may change it ('lan,dead=5%,nested'\n"
            "are two); kernel is one that answers as fast as a host can. reroute-bench(8) has the words.\n"
            "Runs in network namespaces of its own; nothing else is touched.\n",
    };
    int at = options_parse(&line, argc, argv), code;

    if (at <= 0)
        return at ? EXIT_USAGE : 0;
    code = take_words(&study, &words);
    if (!code)
        code = bench_check_output(argv[0], json, csv, plot);
    return code ? code : sweep(&study, json, csv, plot);
}
