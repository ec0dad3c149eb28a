/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `reroute bench compare` shows: a row for each way and list, and what the project promises of them.
 */
#include <math.h>

#include "bench/compare/compare.h"
#include "bench/study/study.h"
#include "bench/study/table.h"
#include "probe/statistics.h"
#include "probe/text.h"

static double median(const uint64_t *sorted, size_t count)
{
    return count > 0 ? (double)statistics_percentile(sorted, count, 50) : NAN;
}

/* The way with this name asked this many addresses; NULL: it did not. */
static const struct compare_entry *entry_of(const struct compare_study *study, const char *tool,
                                            const char *setting, uint32_t addresses)
{
    for (size_t e = 0; e < study->entry_count; e++) {
        const struct compare_entry *entry = &study->entries[e];

        if (entry->rounds > 0 && entry->list->addresses == addresses && strcmp(entry->way->tool, tool) == 0 &&
            (!setting || strcmp(entry->way->setting, setting) == 0))
            return entry;
    }
    return NULL;
}

static double wall_ratio(const struct compare_entry *ours, const struct compare_entry *theirs)
{
    return ours && theirs ? median(ours->wall_ns, ours->rounds) / median(theirs->wall_ns, theirs->rounds)
                          : NAN;
}

static double cpu_ratio(const struct compare_entry *ours, const struct compare_entry *theirs)
{
    return ours && theirs ? median(ours->cpu_ns, ours->rounds) / median(theirs->cpu_ns, theirs->rounds) : NAN;
}

static const struct table_column columns[] = {
    {"addresses", NULL, 0},
    {"tool", NULL, -1},
    {"setting", NULL, -1},
    {"rounds", NULL, 0, .hidden = true},
    {"wall_min_ms", NULL, 2, .hidden = true},
    {"wall_median_ms", "wall ms", 2},
    {"wall_max_ms", NULL, 2, .hidden = true},
    {"wall_ratio", "ratio", 2},
    {"cpu_median_ms", "CPU ms", 2},
    {"cpu_us_per_probe", "us/probe", 2},
    {"cpu_ratio", "ratio", 2},
    {"false_min", NULL, 0, .hidden = true},
    {"false_median", "falsely unreachable", 0},
    {"false_max", "worst run", 0},
    {"false_sum", NULL, 0, .hidden = true},
    {"note", NULL, -1},
};

static void add_row(struct table *table, const struct compare_study *study, const struct compare_entry *entry)
{
    const struct compare_entry *ours = entry_of(study, "reroute", "1x1", entry->list->addresses);
    const struct compare_entry *it = entry->rounds > 0 ? entry : NULL;
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

static void make_table(struct table **table, const struct compare_study *study)
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
static double bar_value(const struct compare_study *study, const struct bar *bar)
{
    const struct compare_entry *ours = entry_of(study, "reroute", "1x1", bar->addresses);
    const struct compare_entry *theirs = entry_of(study, bar->tool, NULL, bar->addresses);
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

static void make_bars(struct table **table, const struct compare_study *study)
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
static void print_ways(const struct compare_study *study)
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
        printf("  %s %s:", way->tool, TEXT(version));
        for (size_t i = 0; argv[i]; i++)
            printf(" %s", TEXT(strrchr(argv[i], '/') && i < 2 ? strrchr(argv[i], '/') + 1 : argv[i]));
        puts("");
    }
}

static void print_text(const struct compare_study *study, const struct table *table,
                       const struct table *bars_table)
{
    char host[160];

    printf("%s%s. Medians of %zu rounds, process start included; %" PRIu64
           " of each list dead.\nRatio: reroute's at 1x1 over the line's. Falsely unreachable: live, but not "
           "found.\n\n",
           study_host(host, sizeof(host)), study->busy ? ", all kept busy" : "",
           study->entry_count ? study->entries[0].rounds : 0, study->dead);
    table_write(table, TABLE_TEXT, stdout);
    if (table_rows(bars_table) > 0) {
        puts("");
        table_write(bars_table, TABLE_TEXT, stdout);
    }
    print_ways(study);
}

static void print_json(const struct compare_study *study, const struct table *table,
                       const struct table *bars_table)
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

void compare_print(const struct compare_study *study, enum compare_output output)
{
    CLEANUP(table_free) struct table *table = NULL;
    CLEANUP(table_free) struct table *bars_table = NULL;

    make_table(&table, study);
    make_bars(&bars_table, study);
    if (output == COMPARE_JSON)
        print_json(study, table, bars_table);
    else if (output == COMPARE_CSV)
        table_write(table, TABLE_CSV, stdout);
    else
        print_text(study, table, bars_table);
}
