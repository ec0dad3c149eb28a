/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenMetrics 1.0 text, of the kind that readers of the older Prometheus format (node_exporter's textfile
 * collector) take as well: only gauges, because that format knows no other type for what is true of one run,
 * and no time stamps. A number of packets is a gauge too: each run begins at zero, and a counter that always
 * begins at zero has no rate.
 *
 * Of a target only its text is a label. Its address would begin a new series whenever a name moves; a reason
 * would do so with every mood of the network.
 *
 * A series may be there once only. So a target that was given twice is told apart by a hash of its text, 8
 * bytes a target while this is written, and the first one counts.
 */
#include "tools/report/openmetrics.h"

#include "probe/statistics.h"

/* Hashes of the texts that more than one target has, ascending. */
struct repeated {
    uint64_t *hashes;
    bool *seen; /* in this family */
    size_t count;
};

static uint64_t text_hash(const struct report_line *line)
{
    return siphash24(line->target, strlen(line->target), (const uint64_t[2]){0, 0});
}

static int find_repeated(const struct report_view *view, struct repeated *repeated)
{
    uint32_t count = report_target_count(view);
    struct report_line line;
    uint64_t *hashes = calloc(count, sizeof(*hashes));

    if (!hashes)
        return -ENOMEM;
    repeated->hashes = hashes;
    for (uint32_t i = 0; i < count; i++) {
        report_line_at(&line, view, i);
        hashes[i] = text_hash(&line);
    }
    statistics_sort(hashes, count);
    for (uint32_t i = 1; i < count; i++)
        if (hashes[i] == hashes[i - 1] && (repeated->count == 0 || hashes[repeated->count - 1] != hashes[i]))
            hashes[repeated->count++] = hashes[i];
    repeated->seen = calloc(repeated->count + 1, sizeof(*repeated->seen));
    return repeated->seen ? 0 : -ENOMEM;
}

/* True when a target of the same text has been written in this family. */
static bool is_repetition(struct repeated *repeated, const struct report_line *line)
{
    uint64_t hash = repeated->count > 0 ? text_hash(line) : 0;
    const uint64_t *found = repeated->count > 0 ? bsearch(&hash, repeated->hashes, repeated->count,
                                                          sizeof(hash), statistics_compare)
                                                : NULL;
    bool *seen = found ? &repeated->seen[found - repeated->hashes] : NULL;
    bool before = seen && *seen;

    if (seen)
        *seen = true;
    return before;
}

static void write_head(struct report_writer *writer, const char *name, const char *unit, const char *help)
{
    report_writef(writer, "# TYPE %s gauge\n", name);
    if (unit)
        report_writef(writer, "# UNIT %s %s\n", name, unit);
    report_writef(writer, "# HELP %s %s\n", name, help);
}

static void write_target(struct report_writer *writer, const char *name, const struct report_line *line)
{
    report_write_text(writer, name);
    report_write_text(writer, "{target=\"");
    report_write_label_value(writer, line->target);
    report_write_text(writer, "\"} ");
}

static void write_reachable(struct report_writer *writer, const struct report_view *view,
                            struct repeated *repeated)
{
    struct report_line line;

    write_head(writer, "reroute_report_reachable", NULL,
               "1: the target answered in time; 0: it did not, or the name was not found.");
    for (uint32_t i = 0; i < report_target_count(view); i++) {
        report_line_at(&line, view, i);
        if (is_repetition(repeated, &line) || line.outcome == REPORT_UNFINISHED ||
            line.outcome == REPORT_EXCLUDED)
            continue;
        write_target(writer, "reroute_report_reachable", &line);
        report_write_text(writer, line.outcome == REPORT_REACHABLE ? "1\n" : "0\n");
    }
}

static void write_rtts(struct report_writer *writer, const struct report_view *view,
                       struct repeated *repeated)
{
    struct report_line line;

    memset(repeated->seen, 0, repeated->count);
    write_head(writer, "reroute_report_rtt_seconds", "seconds", "Round-trip time of the reply.");
    for (uint32_t i = 0; i < report_target_count(view); i++) {
        report_line_at(&line, view, i);
        if (is_repetition(repeated, &line) || line.outcome != REPORT_REACHABLE)
            continue;
        write_target(writer, "reroute_report_rtt_seconds", &line);
        report_write_seconds(writer, line.result.rtt_ns);
        report_write_text(writer, "\n");
    }
}

static void write_metric(struct report_writer *writer, const struct report_view *view,
                         const struct report_metric *metric, struct repeated *repeated)
{
    struct report_line line;
    double value;

    memset(repeated->seen, 0, repeated->count);
    write_head(writer, metric->name, metric->unit, metric->help);
    for (uint32_t i = 0; i < report_target_count(view); i++) {
        report_line_at(&line, view, i);
        if (is_repetition(repeated, &line) || !metric->value(&line, &value))
            continue;
        write_target(writer, metric->name, &line);
        report_writef(writer, "%.9g\n", value);
    }
}

static bool truncated_metric(struct report_line *line, double *value)
{
    *value = line->result.error.reply_bytes;
    return line->outcome == REPORT_REACHABLE && *value > 0;
}

static bool refused_metric(struct report_line *line, double *value)
{
    *value = 1;
    return line->outcome == REPORT_UNREACHABLE && line->result.error.refusal != PROBE_NOT_REFUSED;
}

/* Of every kind of report, for those targets only that have it. */
static const struct report_metric common_metrics[] = {
    {"reroute_report_truncated_bytes", "bytes", "Payload of a reply that was cut short.", truncated_metric},
    {"reroute_report_reply_refused", NULL,
     "1: a reply came that proves nothing (from elsewhere, corrupt, cut too short).", refused_metric},
};

static void write_totals(struct report_writer *writer, const struct report_view *view)
{
    struct report_counter counters[REPORT_COUNTERS];

    write_head(writer, "reroute_report_targets", NULL, "Targets of this run by what became of them.");
    for (enum report_outcome outcome = 0; outcome < REPORT_OUTCOMES; outcome++)
        report_writef(writer, "reroute_report_targets{outcome=\"%s\"} %" PRIu32 "\n",
                      report_outcome_text(outcome), view->totals[outcome]);
    write_head(writer, "reroute_report_doubtful", NULL,
               "Targets whose result may be the fault of this host.");
    report_writef(writer, "reroute_report_doubtful %" PRIu32 "\n", view->doubtful);
    write_head(writer, "reroute_report_invalid", NULL,
               "Lines and words that were given as targets and are none.");
    report_writef(writer, "reroute_report_invalid %" PRIu64 "\n", view->targets->bad.count);
    write_head(writer, "reroute_report_packets", NULL, "Packets of this run by what became of them.");
    report_counters(view, counters);
    for (size_t i = 0; i < REPORT_COUNTERS; i++)
        report_writef(writer, "reroute_report_packets{kind=\"%s\"} %" PRIu64 "\n", counters[i].key,
                      counters[i].value);
    write_head(writer, "reroute_report_elapsed_seconds", "seconds", "How long this run took.");
    report_write_text(writer, "reroute_report_elapsed_seconds ");
    report_write_seconds(writer, view->elapsed_ns);
    report_write_text(writer, "\n# EOF\n");
}

int report_openmetrics(struct report_writer *writer, const struct report_view *view)
{
    struct repeated repeated = {0};
    int error = find_repeated(view, &repeated);

    if (!error) {
        write_reachable(writer, view, &repeated);
        write_rtts(writer, view, &repeated);
        for (size_t i = 0; i < ARRAY_SIZE(common_metrics); i++)
            write_metric(writer, view, &common_metrics[i], &repeated);
        for (const struct report_metric *metric = view->probing->kind->metrics; metric && metric->name;
             metric++)
            write_metric(writer, view, metric, &repeated);
        write_totals(writer, view);
    }
    free(repeated.hashes);
    free(repeated.seen);
    return error;
}
