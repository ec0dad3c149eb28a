/* SPDX-License-Identifier: Apache-2.0 */
/* What `reroute bench tune` prints: for people, as CSV, as JSON. */
#include <math.h>

#include "bench/study/table.h"
#include "bench/tune/tune_study.h"

/* What was watched for less is not to be believed. */
#define LITTLE_S (10 * 60)

/* Below this a rate is nothing: one in a million years. */
#define NOTHING_PER_YEAR 1e-6
/* The frontier goes on beyond what is asked for, so that one sees what more waiting would buy. */
#define FRONTIER_MARGIN 1e-3

#define RATE_SIZE 32
static const char *rate_text(double per_year, char buffer[static RATE_SIZE])
{
    if (isnan(per_year))
        snprintf(buffer, RATE_SIZE, "?");
    else if (isinf(per_year))
        snprintf(buffer, RATE_SIZE, "never up");
    else if (per_year >= 100)
        snprintf(buffer, RATE_SIZE, "%.0f", per_year);
    else if (per_year >= NOTHING_PER_YEAR)
        snprintf(buffer, RATE_SIZE, "%.2g", per_year);
    else
        snprintf(buffer, RATE_SIZE, per_year > 0 ? "<1e-6" : "0");
    return buffer;
}
#define RATE(per_year) rate_text((per_year), (char[RATE_SIZE]){0})

static const char *time_text(double seconds, char buffer[static RATE_SIZE])
{
    static const struct {
        double seconds;
        const char *unit;
    } units[] = {{ESTIMATE_YEAR_S, "years"}, {86400, "days"}, {3600, "h"}, {60, "min"}};

    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (seconds >= 2 * units[i].seconds) {
            snprintf(buffer, RATE_SIZE, "%.3g %s", seconds / units[i].seconds, units[i].unit);
            return buffer;
        }
    snprintf(buffer, RATE_SIZE, "%.3g s", seconds);
    return buffer;
}
#define TIME(seconds) time_text((seconds), (char[RATE_SIZE]){0})

#define PAIR(pair) tune_pair_text((pair), (char[STUDY_SETTING_SIZE]){0})

/* --- what was watched ------------------------------------------------------------------------------------*/

static struct table *paths_table(const struct tune_study *study)
{
    static const struct table_column columns[] = {
        {"path", NULL, -1, false},
        {"address", NULL, -1, false},
        {"interface", NULL, -1, true},
        {"watched_s", "watched s", 1, false},
        {"requests", NULL, 0, false},
        {"lost", NULL, 0, false},
        {"icmp_errors", "errors", 0, false},
        {"refused", NULL, 0, false},
        {"spoilt", "by this host", 0, false},
        {"failures", "true failures", 0, false},
        {"failed_s", NULL, 1, true},
        {"rtt_p50_ms", "RTT p50 ms", 3, false},
        {"rtt_p99_ms", "p99", 3, false},
        {"rtt_max_ms", "max", 3, false},
    };
    struct table *table;

    table_new(&table, columns, ARRAY_SIZE(columns));
    for (size_t i = 0; i < study->trace.path_count; i++) {
        const struct trace_path *path = &study->trace.paths[i];
        const struct clean_summary *summary = &study->result.summaries[i];

        table_text(table, path->name[0] ? path->name : "-");
        table_text(table, path->address);
        table_text(table, path->interface[0] ? path->interface : NULL);
        table_number(table, (double)summary->watched_us / 1e6);
        table_number(table, (double)summary->requests);
        table_number(table, (double)summary->fates[TRACE_LOST]);
        table_number(table, (double)summary->fates[TRACE_ERROR]);
        table_number(table, (double)summary->fates[TRACE_REFUSED]);
        table_number(table, (double)summary->fates[TRACE_SPOILT]);
        table_number(table, (double)summary->failures);
        table_number(table, (double)summary->failed_us / 1e6);
        table_number(table, (double)summary->p50_us / 1e3);
        table_number(table, (double)summary->p99_us / 1e3);
        table_number(table, (double)summary->most_us / 1e3);
    }
    return table;
}

/* --- all pairs, for programs -----------------------------------------------------------------------------*/

static struct table *pairs_table(const struct tune_study *study)
{
    static const struct table_column columns[] = {
        {"select_timeout_ms", NULL, 3, false},  {"select_count", NULL, 0, false},
        {"window_ms", NULL, 3, false},          {"detection_median_ms", NULL, 3, false},
        {"detection_bound_ms", NULL, 3, false}, {"basis", NULL, -1, false},
        {"false_per_year", NULL, 9, false},     {"low_per_year", NULL, 9, false},
        {"high_per_year", NULL, 9, false},      {"seen", NULL, 1, false},
        {"degraded_per_year", NULL, 3, false},  {"needed_s", NULL, 0, false},
        {"frontier", NULL, 0, false},           {"path", NULL, -1, false},
    };
    struct table *table;

    table_new(&table, columns, ARRAY_SIZE(columns));
    for (size_t i = 0; i < study->result.count; i++) {
        const struct tune_pair *pair = &study->result.pairs[i];
        const struct estimate *estimate = &pair->estimate;

        table_number(table, (double)pair->select_timeout_us / 1e3);
        table_number(table, pair->select_count);
        table_number(table, (double)tune_window_us(pair) / 1e3);
        table_number(table, tune_median_ms(pair));
        table_number(table, tune_bound_ms(pair));
        table_text(table, estimate_basis_text(estimate->basis));
        table_number(table, isfinite(estimate->per_year) ? estimate->per_year : NAN);
        table_number(table, estimate->low);
        table_number(table, isfinite(estimate->high) ? estimate->high : NAN);
        table_number(table, estimate->seen);
        table_number(table, pair->degraded_per_year);
        table_number(table, isfinite(pair->needed_s) ? pair->needed_s : NAN);
        table_number(table, pair->frontier);
        table_text(table, study->trace.paths[pair->path].address);
    }
    return table;
}

void tune_report_csv(const struct tune_study *study, FILE *out)
{
    CLEANUP(table_free) struct table *table = pairs_table(study);

    table_write(table, TABLE_CSV, out);
}

static struct table *validations_table(const struct tune_study *study)
{
    static const struct table_column columns[] = {
        {"setting", NULL, -1, false},         {"predicted_per_year", NULL, 9, true},
        {"predicted_low", NULL, 9, true},     {"predicted_high", NULL, 9, true},
        {"observed_per_year", NULL, 9, true}, {"observed_low", NULL, 9, true},
        {"observed_high", NULL, 9, true},     {"path_hours", "path hours", 2, false},
        {"expected", "expected", 1, false},   {"expected_low", "from", 1, false},
        {"expected_high", "to", 1, false},    {"observed", NULL, 0, false},
        {"degraded", NULL, 0, false},         {"agrees", NULL, -1, false},
    };
    struct table *table;

    table_new(&table, columns, ARRAY_SIZE(columns));
    for (size_t i = 0; i < study->validation_count; i++) {
        const struct tune_validation *v = &study->validations[i];
        const struct tune_pair *pair = &study->result.pairs[v->pair];
        const struct estimate *estimate = &pair->estimate;
        double years = v->counts.up_s / ESTIMATE_YEAR_S;

        table_text(table, PAIR(pair));
        table_number(table, estimate->per_year);
        table_number(table, estimate->low);
        table_number(table, estimate->high);
        table_number(table, v->rate.per_year);
        table_number(table, v->rate.low);
        table_number(table, v->rate.high);
        table_number(table, v->counts.up_s / 3600);
        table_number(table, estimate->per_year * years);
        table_number(table, estimate->low * years);
        table_number(table, estimate->high * years);
        table_number(table, (double)v->counts.downs);
        table_number(table, (double)v->counts.degradeds);
        table_text(table, v->agrees ? "yes" : "NO");
    }
    return table;
}

static cJSON *pair_json(const struct tune_study *study, size_t i)
{
    const struct tune_pair *pair = i == TUNE_NO_PAIR ? NULL : &study->result.pairs[i];
    cJSON *object = pair ? cJSON_CreateObject() : cJSON_CreateNull();

    if (pair) {
        cJSON_AddNumberToObject(object, "select_timeout_ms", (double)pair->select_timeout_us / 1e3);
        cJSON_AddNumberToObject(object, "select_count", pair->select_count);
    }
    return object;
}

static cJSON *rows_json(struct table *table)
{
    cJSON *rows = table_json(table);

    table_free(table);
    return rows;
}

void tune_report_json(const struct tune_study *study)
{
    const struct tune_result *result = &study->result;
    cJSON *document = cJSON_CreateObject();
    char host[256];

    cJSON_AddStringToObject(document, "schema", "reroute.bench-tune/1");
    cJSON_AddStringToObject(document, "host", study_host(host, sizeof(host)));
    cJSON_AddBoolToObject(document, "interrupted", study_interrupted() != 0);
    cJSON_AddNumberToObject(document, "interval_ms", (double)study->trace.interval_us / 1e3);
    cJSON_AddNumberToObject(document, "wait_ms", (double)study->trace.wait_us / 1e3);
    cJSON_AddNumberToObject(document, "receive_drops", (double)study->figures.receive_drops);
    cJSON_AddNumberToObject(document, "max_false_per_year", study->options->tune.most_per_year);
    cJSON_AddItemToObject(document, "standing", pair_json(study, result->standing));
    cJSON_AddItemToObject(document, "recommended", pair_json(study, tune_recommended(result)));
    cJSON_AddBoolToObject(document, "sure", result->sure != TUNE_NO_PAIR);
    cJSON_AddItemToObject(document, "likely", pair_json(study, result->likely));
    cJSON_AddItemToObject(document, "unseen", pair_json(study, result->unseen));
    cJSON_AddItemToObject(document, "paths", rows_json(paths_table(study)));
    cJSON_AddItemToObject(document, "rows", rows_json(pairs_table(study)));
    cJSON_AddItemToObject(document, "validations", rows_json(validations_table(study)));
    study_print_json(document);
}

/* --- for people ------------------------------------------------------------------------------------------*/

static const char *mark_of(const struct tune_result *result, size_t i)
{
    bool recommended = i == tune_recommended(result) && result->likely != TUNE_NO_PAIR;

    if (i == result->standing)
        return recommended ? "recommended, as it stands" : "as it stands";
    if (recommended)
        return "recommended";
    return i == result->likely ? "perhaps" : "";
}

/* A row of the table for people: the frontier as far as it is of use, and what is talked about. */
static bool is_shown(const struct tune_study *study, size_t i)
{
    const struct tune_pair *pair = &study->result.pairs[i];
    double most = study->options->tune.most_per_year * FRONTIER_MARGIN;

    if (mark_of(&study->result, i)[0])
        return true;
    /* A select-count more that buys less than half as many failures is not worth a row. */
    return pair->frontier && pair->estimate.basis != ESTIMATE_NEVER_UP &&
           (pair->estimate.basis == ESTIMATE_NONE || pair->estimate.per_year > most);
}

static void print_frontier(const struct tune_study *study, FILE *out)
{
    static const struct table_column columns[] = {
        {"setting", NULL, -1, false},
        {"window_ms", "window ms", 0, false},
        {"bound_ms", "detected by ms", 0, false},
        {"false", "false a year", -1, false},
        {"low", "95 % from", -1, false},
        {"high", "to", -1, false},
        {"basis", "how known", -1, false},
        {"mark", "", -1, false},
    };
    CLEANUP(table_free) struct table *table = NULL;
    double shown = INFINITY;

    table_new(&table, columns, ARRAY_SIZE(columns));
    for (size_t i = 0; i < study->result.count; i++) {
        const struct tune_pair *pair = &study->result.pairs[i];
        const struct estimate *estimate = &pair->estimate;
        const char *mark = mark_of(&study->result, i);

        if (!is_shown(study, i) || (!mark[0] && estimate->per_year > shown / 2))
            continue;
        if (pair->frontier && !isnan(estimate->per_year))
            shown = estimate->per_year;
        table_text(table, PAIR(pair));
        table_number(table, (double)tune_window_us(pair) / 1e3);
        table_number(table, tune_bound_ms(pair));
        table_text(table, RATE(estimate->per_year));
        table_text(table, RATE(estimate->low));
        table_text(table, RATE(estimate->high));
        table_text(table, estimate_basis_text(estimate->basis));
        table_text(table, mark);
    }
    table_write(table, TABLE_TEXT, out);
}

static void print_costs(const struct tune_study *study, const struct tune_pair *pair, FILE *out)
{
    const struct tune_pair *standing = &study->result.pairs[study->result.standing];
    double slower_ms = tune_bound_ms(pair) - tune_bound_ms(standing);
    double hold_min = (double)study->options->hold_ns / 60e9;
    const struct estimate *estimate = &pair->estimate;

    fprintf(out, "A failure is acted upon after %.0f ms at most, %.0f ms in the median", tune_bound_ms(pair),
            tune_median_ms(pair));
    if (pair != standing)
        fprintf(out, ": %.0f ms %s than with %s", fabs(slower_ms), slower_ms > 0 ? "later" : "sooner",
                PAIR(standing));
    fprintf(out, ".\n");
    if (estimate->basis == ESTIMATE_NONE)
        fprintf(out, "False failovers: none was seen; fewer than %s a year (95 %%).\n", RATE(estimate->high));
    else
        fprintf(out, "False failovers: %s a year (95 %%: %s to %s), %s, on %s.\n", RATE(estimate->per_year),
                RATE(estimate->low), RATE(estimate->high), estimate_basis_text(estimate->basis),
                study->trace.paths[pair->path].address);
    fprintf(out, "Each takes this host's I/O to another node for %.0f s (hold)", hold_min * 60);
    if (estimate->basis != ESTIMATE_NONE)
        fprintf(out, ": %s minutes a year, %s at worst (95 %%)", RATE(estimate->per_year * hold_min),
                RATE(estimate->high * hold_min));
    fprintf(out, ".\n");
    if (pair->degraded_per_year > 0)
        fprintf(out, "Besides, loss makes a path degraded %s times a year at this select-timeout.\n",
                RATE(pair->degraded_per_year));
}

static void print_block(const struct tune_pair *pair, FILE *out)
{
    fprintf(out, "\n    probe { select-timeout = \"%gms\"  select-count = %" PRIu32 " }\n\n",
            (double)pair->select_timeout_us / 1e3, pair->select_count);
}

/* The intervals are about causes that were seen; in a short time hardly any were. */
static void warn_of_little(const struct tune_study *study, FILE *out)
{
    double least_s = INFINITY;

    for (size_t i = 0; i < study->trace.path_count; i++)
        least_s = fmin(least_s, (double)study->result.summaries[i].watched_us / 1e6);
    if (least_s < LITTLE_S)
        fprintf(out,
                "Do not rely on this: %.1f s of watching a path are too little, whatever the interval says. "
                "Watch "
                "for %d minutes at least.\n",
                least_s, LITTLE_S / 60);
}

static void print_recommendation(const struct tune_study *study, FILE *out)
{
    const struct tune_result *result = &study->result;
    const struct tune_pair *pair = &result->pairs[tune_recommended(result)];
    double most = study->options->tune.most_per_year;

    if (result->sure != TUNE_NO_PAIR)
        fprintf(out, "\nThe fastest setting with at most %s false failovers a year:\n", RATE(most));
    else if (result->likely != TUNE_NO_PAIR)
        fprintf(out,
                "\nThe fastest setting that may have at most %s false failovers a year; to be sure (95 %%), "
                "%s%s:\n",
                RATE(most), isfinite(pair->needed_s) ? "watch each path for " : "no watching is long enough",
                isfinite(pair->needed_s) ? TIME(pair->needed_s) : "");
    else
        fprintf(out, "\nNo setting can be recommended from this trace; keep what you have:\n");
    print_block(pair, out);
    warn_of_little(study, out);
    print_costs(study, pair, out);
    if (result->sure != TUNE_NO_PAIR && result->likely != result->sure) {
        const struct tune_pair *likely = &result->pairs[result->likely];

        fprintf(out, "Perhaps %s would do (%s a year, at most %s)", PAIR(likely),
                RATE(likely->estimate.per_year), RATE(likely->estimate.high));
        if (isfinite(likely->needed_s))
            fprintf(out, ": watch each path for %s to know", TIME(likely->needed_s));
        fprintf(out, ".\n");
    }
    if (result->likely == TUNE_NO_PAIR && result->unseen != TUNE_NO_PAIR) {
        const struct tune_pair *unseen = &result->pairs[result->unseen];

        fprintf(
            out,
            "Too little went wrong for a fit. Nothing that was seen would have failed %s, whose window is "
            "well above\nevery round trip; to show by watching alone that it fails at most %s times a year "
            "takes %s.\n",
            PAIR(unseen), RATE(most), TIME(unseen->needed_s));
    }
}

void tune_report_text(const struct tune_study *study, FILE *out)
{
    CLEANUP(table_free) struct table *paths = paths_table(study);
    CLEANUP(table_free) struct table *validations = validations_table(study);

    table_write(paths, TABLE_TEXT, out);
    if (study->figures.receive_drops)
        fprintf(out,
                "%" PRIu64
                " replies were lost in this host's own buffer; requests around them do not count.\n",
                study->figures.receive_drops);
    fputc('\n', out);
    print_frontier(study, out);
    print_recommendation(study, out);
    if (study->validation_count) {
        fprintf(out, "\nFailures in a run over the same network, as predicted and as they came:\n");
        table_write(validations, TABLE_TEXT, out);
    }
}
