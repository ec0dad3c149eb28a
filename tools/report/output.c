/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report/output.h"

#include "probe/statistics.h"
#include "tools/report/json.h"
#include "tools/report/openmetrics.h"

#define LABEL_WIDTH_MAX 48

/* --- CSV ---------------------------------------------------------------------------------------------- */

static void write_csv(struct report_writer *writer, const struct report_view *view)
{
    const struct report_kind *kind = view->probing->kind;
    struct report_line line;

    report_writef(writer, "target,address,outcome,rtt_ms,requests,reason%s\n",
                  kind->csv ? kind->csv_columns : "");
    for (uint32_t i = 0; i < report_target_count(view); i++) {
        report_line_at(&line, view, i);
        report_write_csv_field(writer, line.target);
        report_write_text(writer, ",");
        report_write_csv_field(writer, line.address ? line.address : "");
        report_write_text(writer, ",");
        report_write_text(writer, report_outcome_text(line.outcome));
        report_write_text(writer, ",");
        if (line.outcome == REPORT_REACHABLE)
            report_write_ms(writer, line.result.rtt_ns);
        report_write_text(writer, ",");
        report_write_u64(writer, line.result.requests);
        report_write_text(writer, ",");
        report_write_csv_field(writer, report_line_reason(&line));
        if (kind->csv)
            kind->csv(writer, &line);
        report_write_text(writer, "\n");
    }
}

/* --- the table ---------------------------------------------------------------------------------------- */

static bool is_row(const struct report_line *line)
{
    return line->outcome == REPORT_REACHABLE ? line->result.error.reply_bytes > 0
                                             : line->outcome != REPORT_UNFINISHED;
}

static void write_rows(struct report_writer *writer, const struct report_view *view)
{
    char buffer[REPORT_LABEL_BYTES];
    struct report_line line;
    size_t width = 0;

    for (uint32_t i = 0; width < LABEL_WIDTH_MAX && i < report_target_count(view); i++) {
        report_line_at(&line, view, i);
        if (is_row(&line))
            width = max_u64(width, min_u64(strlen(report_line_label(&line, buffer)), LABEL_WIDTH_MAX));
    }
    for (uint32_t i = 0; width > 0 && i < report_target_count(view); i++) {
        report_line_at(&line, view, i);
        if (is_row(&line))
            report_writef(writer, "%-*s  %-11s  %s\n", (int)width, report_line_label(&line, buffer),
                          report_outcome_text(line.outcome), report_line_reason(&line));
    }
    if (width > 0)
        report_write_text(writer, "\n");
}

static int write_rtts(struct report_writer *writer, const struct report_view *view)
{
    static const struct {
        const char *name;
        unsigned percent;
    } columns[] = {{"min", 0}, {"p50", 50}, {"p95", 95}, {"p99", 99}, {"max", 100}};
    const struct report_kind *kind = view->probing->kind;
    CLEANUP(free) uint64_t *rtts = NULL;
    struct probe_result result;
    size_t count = 0;

    if (view->totals[REPORT_REACHABLE] == 0)
        return 0;
    rtts = malloc(view->totals[REPORT_REACHABLE] * sizeof(*rtts));
    if (!rtts)
        return -ENOMEM;
    for (uint32_t i = 0; i < report_target_count(view); i++)
        if (kind->result(view->probing, i, &result) && result.outcome == PROBE_REPLY)
            rtts[count++] = result.rtt_ns;
    statistics_sort(rtts, count);
    report_writef(writer, "%s:", kind->rtt_words);
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        report_writef(writer, "%s %s ", i > 0 ? "," : "", columns[i].name);
        report_write_ms(writer, statistics_percentile(rtts, count, columns[i].percent));
    }
    report_write_text(writer, "\n");
    return 0;
}

/* An error is sent for each packet; people count hosts. */
static uint32_t count_icmp_reasons(const struct report_view *view)
{
    struct probe_result result;
    uint32_t count = 0;

    for (uint32_t i = 0; i < report_target_count(view); i++)
        count += view->probing->kind->result(view->probing, i, &result) && result.outcome != PROBE_REPLY &&
                 result.error.icmp_type != 0;
    return count;
}

static void write_counters(struct report_writer *writer, const struct report_view *view)
{
    struct report_counter counters[REPORT_COUNTERS];
    const char *separator = "packets: ";

    report_counters(view, counters);
    for (size_t i = 0; i < REPORT_COUNTERS; i++) {
        if (counters[i].value == 0)
            continue;
        report_writef(writer, "%s%s %" PRIu64, separator, counters[i].words, counters[i].value);
        if (strcmp(counters[i].key, "icmp_errors") == 0)
            report_writef(writer, " (the reason of %" PRIu32 " unreachable)", count_icmp_reasons(view));
        separator = ", ";
    }
    if (separator[0] == ',')
        report_write_text(writer, "\n");
}

static int write_table(struct report_writer *writer, const struct report_view *view)
{
    const struct report_kind *kind = view->probing->kind;
    struct report_about about = kind->about(view->probing);
    int error;

    if (kind->table)
        kind->table(writer, view);
    else if (!view->options->quiet)
        write_rows(writer, view);
    report_writef(writer, "%" PRIu32 " target%s: %" PRIu32 " reachable, %" PRIu32 " unreachable",
                  report_target_count(view), report_target_count(view) == 1 ? "" : "s",
                  view->totals[REPORT_REACHABLE], view->totals[REPORT_UNREACHABLE]);
    if (view->doubtful > 0)
        report_writef(writer, " (%" PRIu32 " %s)", view->doubtful, kind->doubt_words);
    if (view->totals[REPORT_NOT_FOUND] > 0)
        report_writef(writer, ", %" PRIu32 " not found", view->totals[REPORT_NOT_FOUND]);
    if (view->totals[REPORT_EXCLUDED] > 0)
        report_writef(writer, ", %" PRIu32 " excluded", view->totals[REPORT_EXCLUDED]);
    if (view->totals[REPORT_UNFINISHED] > 0)
        report_writef(writer, ", %" PRIu32 " not known when interrupted", view->totals[REPORT_UNFINISHED]);
    if (view->targets->bad.count > 0)
        report_writef(writer, ", %" PRIu64 " left out because they are no targets", view->targets->bad.count);
    report_write_text(writer, "; took ");
    report_write_ms(writer, view->elapsed_ns);
    report_writef(writer, " ms (%s", about.transport);
    if (about.workers > 1)
        report_writef(writer, ", %" PRIu32 " workers", about.workers);
    report_write_text(writer, ")\n");
    error = write_rtts(writer, view);
    if (error)
        return error;
    write_counters(writer, view);
    return 0;
}

/* Those that got no line while they were probed. */
static void write_unfinished(struct report_writer *writer, const struct report_view *view)
{
    struct report_line line;

    for (uint32_t i = 0; view->totals[REPORT_UNFINISHED] > 0 && i < report_target_count(view); i++) {
        report_line_at(&line, view, i);
        if (line.outcome == REPORT_UNFINISHED)
            report_json_result(writer, &line);
    }
}

int report_output(struct report_writer *writer, const struct report_view *view)
{
    switch (view->options->format) {
    case REPORT_TABLE:
        return write_table(writer, view);
    case REPORT_JSON:
        report_json_document(writer, view);
        return 0;
    case REPORT_JSON_LINES:
        write_unfinished(writer, view);
        report_json_summary(writer, view);
        return 0;
    case REPORT_CSV:
        write_csv(writer, view);
        return 0;
    case REPORT_OPENMETRICS:
        return report_openmetrics(writer, view);
    }
    return 0;
}
