/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report/json.h"

void report_json_text(struct report_writer *writer, const char *key, const char *text)
{
    report_write_text(writer, "\"");
    report_write_text(writer, key);
    report_write_text(writer, "\":");
    if (text)
        report_write_json_string(writer, text);
    else
        report_write_text(writer, "null");
}

void report_json_names(struct report_writer *writer, const struct report_line *line)
{
    report_json_text(writer, "target", line->target);
    report_write_text(writer, ",");
    report_json_text(writer, "address", line->address);
}

void report_json_outcome(struct report_writer *writer, const struct report_line *line)
{
    report_json_text(writer, "outcome", report_outcome_text(line->outcome));
    report_write_text(writer, ",\"rtt_ms\":");
    if (line->outcome == REPORT_REACHABLE)
        report_write_ms(writer, line->result.rtt_ns);
    else
        report_write_text(writer, "null");
}

static void write_result(struct report_writer *writer, struct report_line *line)
{
    const struct report_kind *kind = line->view->probing->kind;

    report_json_names(writer, line);
    report_write_text(writer, ",");
    report_json_outcome(writer, line);
    report_write_text(writer, ",\"requests\":");
    report_write_u64(writer, line->result.requests);
    report_write_text(writer, ",");
    report_json_text(writer, "reason", report_line_reason(line));
    if (line->outcome == REPORT_REACHABLE && line->result.error.reply_bytes)
        report_writef(writer, ",\"truncated_bytes\":%" PRIu32, line->result.error.reply_bytes);
    if (kind->json)
        kind->json(writer, line);
}

/* What document and summary have in common. */
static void write_totals(struct report_writer *writer, const struct report_view *view)
{
    const uint32_t *totals = view->totals;
    struct report_about about = view->probing->kind->about(view->probing);
    struct report_counter counters[REPORT_COUNTERS];

    report_writef(writer,
                  "\"targets\":%" PRIu32 ",\"reachable\":%" PRIu32 ",\"unreachable\":%" PRIu32
                  ",\"not_found\":%" PRIu32 ",\"excluded\":%" PRIu32 ",\"unfinished\":%" PRIu32
                  ",\"invalid\":%" PRIu64 ",\"elapsed_ms\":",
                  report_target_count(view), totals[REPORT_REACHABLE], totals[REPORT_UNREACHABLE],
                  totals[REPORT_NOT_FOUND], totals[REPORT_EXCLUDED], totals[REPORT_UNFINISHED],
                  view->targets->bad.count);
    report_write_ms(writer, view->elapsed_ns);
    report_write_text(writer, ",");
    report_json_text(writer, "transport", about.transport);
    report_writef(writer, ",\"workers\":%" PRIu32 ",\"doubtful\":%" PRIu32 ",\"counters\":{", about.workers,
                  view->doubtful);
    report_counters(view, counters);
    for (size_t i = 0; i < REPORT_COUNTERS; i++)
        report_writef(writer, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", counters[i].key, counters[i].value);
    report_write_text(writer, "}");
}

void report_json_document(struct report_writer *writer, const struct report_view *view)
{
    struct report_line line;

    report_write_text(writer, "{\"schema\":\"reroute.report/1\",");
    write_totals(writer, view);
    report_write_text(writer, ",\"results\":[");
    for (uint32_t i = 0; i < report_target_count(view); i++) {
        report_line_at(&line, view, i);
        report_write_text(writer, i > 0 ? ",\n{" : "\n{");
        write_result(writer, &line);
        report_write_text(writer, "}");
    }
    report_write_text(writer, "\n]}\n");
}

void report_json_result(struct report_writer *writer, struct report_line *line)
{
    report_write_text(writer, "{\"schema\":\"reroute.report.result/1\",\"index\":");
    report_write_u64(writer, line->index);
    report_write_text(writer, ",");
    write_result(writer, line);
    report_write_text(writer, "}\n");
}

void report_json_summary(struct report_writer *writer, const struct report_view *view)
{
    report_write_text(writer, "{\"schema\":\"reroute.report.summary/1\",");
    write_totals(writer, view);
    report_write_text(writer, "}\n");
}
