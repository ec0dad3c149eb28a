/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "How good is the way there?" of a report: --count requests to each target (probe/rounds.h).
 *
 * A target is reachable if one of them was answered, also when the report is interrupted before the last one;
 * the round-trip time that is common to all kinds is the median. Everything else is in what this kind adds.
 */

#include "probe/rounds.h"
#include "tools/report/front.h"
#include "tools/report/json.h"
#include "tools/report/line.h"

#define LABEL_WIDTH_MAX 48
#define REMARK_BYTES    512

struct rounds {
    struct report_front front;
    struct probe_rounds *rounds;
    struct probe_rounds_plan plan;
    bool is_stopped;
    uint32_t unfinished; /* stopped: the next target that may have been interrupted */
};

static struct rounds *rounds_of(struct report_probing *probing)
{
    return (struct rounds *)probing;
}

static void rounds_close(struct report_probing *probing)
{
    struct rounds *rounds = rounds_of(probing);

    probe_rounds_free(rounds->rounds);
    report_front_close(&rounds->front);
}

static int start(struct rounds *rounds, const struct report_options *options, struct probe_targets *targets,
                 char *message, size_t size_bytes)
{
    int error = wakeup_open(&rounds->front.wakeup, message, size_bytes);

    if (error)
        return error;
    error = probe_rounds_new(&rounds->rounds, &options->settings, &options->rounds, targets,
                             !options->in_order, message, size_bytes);
    if (error == -ENOMEM)
        snprintf(message, size_bytes,
                 "out of memory: %" PRIu32 " targets with %" PRIu32 " requests take %" PRIu64 " MB",
                 targets->count, options->rounds.count,
                 (uint64_t)targets->count * (40 + 4 * (uint64_t)options->rounds.count) / 1000000);
    if (!error)
        report_front_begin(&rounds->front, probe_rounds_front(rounds->rounds));
    return error;
}

static int rounds_open(struct report_probing **out, const struct report_options *options,
                       struct probe_targets *targets, char *message, size_t size_bytes)
{
    struct rounds *rounds = calloc(1, sizeof(*rounds));
    int error;

    if (!rounds) {
        snprintf(message, size_bytes, "%s", strerror(ENOMEM));
        return -ENOMEM;
    }
    rounds->front.base.kind = &report_kind_rounds;
    rounds->plan = options->rounds;
    error = start(rounds, options, targets, message, size_bytes);
    if (error) {
        rounds_close(&rounds->front.base);
        return error;
    }
    *out = &rounds->front.base;
    return 0;
}

static int rounds_stop(struct report_probing *probing)
{
    rounds_of(probing)->is_stopped = true;
    return report_front_stop(probing);
}

static bool rounds_result(struct report_probing *probing, uint32_t index, struct probe_result *result)
{
    const struct rounds *rounds = rounds_of(probing);
    struct probe_rounds_result all;

    probe_rounds_result(rounds->rounds, index, &all);
    *result = (struct probe_result){
        .index = index,
        .outcome = all.outcome,
        .error =
            all.outcome == PROBE_REPLY ? (struct probe_error){.reply_bytes = all.reply_bytes} : all.error,
        .rtt_ns = all.times.p50_ns,
        .requests = all.sent,
        .doubtful = all.doubtful > 0 || all.unsent > 0,
    };
    return all.done || (rounds->is_stopped && all.answered > 0);
}

static bool rounds_next(struct report_probing *probing, struct probe_result *result, bool *failed)
{
    struct rounds *rounds = rounds_of(probing);
    uint32_t index;
    bool is_there = probe_rounds_next(rounds->rounds, &index);

    /* Those that were interrupted, but have answered. */
    while (!is_there && rounds->is_stopped && rounds->unfinished < report_front_targets(probing)->count) {
        struct probe_rounds_result all;

        index = rounds->unfinished++;
        probe_rounds_result(rounds->rounds, index, &all);
        is_there = !all.done && all.answered > 0;
    }
    if (!is_there)
        return false;
    rounds_result(probing, index, result);
    *failed = result->outcome != PROBE_REPLY;
    return true;
}

static void rounds_progress(struct report_probing *probing, char *text, size_t size_bytes)
{
    const struct rounds *rounds = rounds_of(probing);
    const struct probe_counters *counters = front_end_counters(rounds->front.front);

    snprintf(text, size_bytes, "%" PRIu64 " of %" PRIu64 " requests sent, %" PRIu64 " answered",
             counters->sent, (uint64_t)report_front_targets(probing)->count * rounds->plan.count,
             counters->replies);
}

/* --- what is written ----------------------------------------------------------------------------------- */

static struct probe_rounds_result result_of(const struct report_line *line)
{
    struct probe_rounds_result result;

    probe_rounds_result(rounds_of(line->view->probing)->rounds, line->index, &result);
    return result;
}

/* Of requests whose wait is over. */
static bool loss_of(const struct probe_rounds_result *result, double *ratio)
{
    uint32_t over = result->answered + result->lost;

    *ratio = over ? (double)result->lost / over : 0;
    return over > 0;
}

/* The last thing that went wrong; empty when nothing has a name. */
static const char *error_text(const struct report_line *line, const struct probe_rounds_result *result,
                              char buffer[static REPORT_REASON_BYTES])
{
    buffer[0] = '\0';
    if (result->has_error)
        probe_reason_text(result->error_outcome, &result->error, 0, buffer, REPORT_REASON_BYTES);
    return buffer;
}

struct field {
    const char *key;
    size_t offset;
};

static const struct field counts[] = {
    {"sent", offsetof(struct probe_rounds_result, sent)},
    {"answered", offsetof(struct probe_rounds_result, answered)},
    {"lost", offsetof(struct probe_rounds_result, lost)},
    {"waiting", offsetof(struct probe_rounds_result, waiting)},
    {"unsent", offsetof(struct probe_rounds_result, unsent)},
    {"doubtful", offsetof(struct probe_rounds_result, doubtful)},
    {"late", offsetof(struct probe_rounds_result, late)},
    {"duplicates", offsetof(struct probe_rounds_result, duplicates)},
};

static const struct field times[] = {
    {"min_ms", offsetof(struct probe_rounds_result, times.min_ns)},
    {"avg_ms", offsetof(struct probe_rounds_result, times.mean_ns)},
    {"p50_ms", offsetof(struct probe_rounds_result, times.p50_ns)},
    {"p95_ms", offsetof(struct probe_rounds_result, times.p95_ns)},
    {"p99_ms", offsetof(struct probe_rounds_result, times.p99_ns)},
    {"max_ms", offsetof(struct probe_rounds_result, times.max_ns)},
    {"jitter_ms", offsetof(struct probe_rounds_result, times.jitter_ns)},
};
#define CSV_COLUMNS                                                                                \
    ",sent,answered,lost,waiting,unsent,doubtful,late,duplicates,loss_ratio,min_ms,avg_ms,p50_ms," \
    "p95_ms,p99_ms,max_ms,jitter_ms,last_error"

static uint32_t count_at(const struct probe_rounds_result *result, const struct field *field)
{
    uint32_t value;

    memcpy(&value, (const char *)result + field->offset, sizeof(value));
    return value;
}

/* False: there is no such time. */
static bool time_at(const struct probe_rounds_result *result, const struct field *field, uint64_t *value_ns)
{
    memcpy(value_ns, (const char *)result + field->offset, sizeof(*value_ns));
    if (field->offset == offsetof(struct probe_rounds_result, times.jitter_ns))
        return result->times.pairs > 0;
    return result->answered > 0;
}

static void rounds_json(struct report_writer *writer, struct report_line *line)
{
    struct probe_rounds_result result = result_of(line);
    char error[REPORT_REASON_BYTES];
    double ratio;

    for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
        report_writef(writer, "%s\"%s\":%" PRIu32, i > 0 ? "," : ",\"rounds\":{", counts[i].key,
                      count_at(&result, &counts[i]));
    if (loss_of(&result, &ratio))
        report_writef(writer, ",\"loss_ratio\":%.6g", ratio);
    else
        report_write_text(writer, ",\"loss_ratio\":null");
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        uint64_t value_ns;

        report_writef(writer, ",\"%s\":", times[i].key);
        if (time_at(&result, &times[i], &value_ns))
            report_write_ms(writer, value_ns);
        else
            report_write_text(writer, "null");
    }
    report_write_text(writer, ",");
    report_json_text(writer, "last_error", error_text(line, &result, error));
    report_write_text(writer, "}");
}

static void rounds_csv(struct report_writer *writer, struct report_line *line)
{
    struct probe_rounds_result result = result_of(line);
    char error[REPORT_REASON_BYTES];
    double ratio;

    for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
        report_writef(writer, ",%" PRIu32, count_at(&result, &counts[i]));
    report_write_text(writer, ",");
    if (loss_of(&result, &ratio))
        report_writef(writer, "%.6g", ratio);
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        uint64_t value_ns;

        report_write_text(writer, ",");
        if (time_at(&result, &times[i], &value_ns))
            report_write_ms(writer, value_ns);
    }
    report_write_text(writer, ",");
    report_write_csv_field(writer, error_text(line, &result, error));
}

/* What the numbers of a row do not say. */
static const char *remark(struct report_line *line, const struct probe_rounds_result *result,
                          char buffer[static REMARK_BYTES])
{
    char error[REPORT_REASON_BYTES];
    int length = 0;

    if (line->outcome != REPORT_REACHABLE) {
        snprintf(buffer, REMARK_BYTES, "%s", report_line_reason(line));
        return buffer;
    }
    buffer[0] = '\0';
    if (result->has_error)
        length = snprintf(buffer, REMARK_BYTES, "%s; ", error_text(line, result, error));
    if (result->doubtful)
        length += snprintf(buffer + length, REMARK_BYTES - (size_t)length,
                           "%" PRIu32 " lost are doubtful: this host dropped replies meanwhile; ",
                           result->doubtful);
    if (result->unsent)
        length += snprintf(buffer + length, REMARK_BYTES - (size_t)length,
                           "%" PRIu32 " not sent: this host had no room; ", result->unsent);
    if (result->reply_bytes)
        length += snprintf(buffer + length, REMARK_BYTES - (size_t)length, "%s; ", report_line_reason(line));
    if (result->late)
        length +=
            snprintf(buffer + length, REMARK_BYTES - (size_t)length, "%" PRIu32 " came late; ", result->late);
    if (result->duplicates)
        length += snprintf(buffer + length, REMARK_BYTES - (size_t)length, "%" PRIu32 " duplicates; ",
                           result->duplicates);
    buffer[length > 2 ? length - 2 : 0] = '\0';
    return buffer;
}

static void write_row(struct report_writer *writer, struct report_line *line, int width)
{
    struct probe_rounds_result result = result_of(line);
    char label[REPORT_LABEL_BYTES], text[REMARK_BYTES];
    double ratio;

    report_writef(writer, "%-*s  %-11s %6" PRIu32 " ", width, report_line_label(line, label),
                  report_outcome_text(line->outcome), result.sent);
    if (loss_of(&result, &ratio))
        report_writef(writer, "%6.1f%%", 100 * ratio);
    else
        report_write_text(writer, "      -");
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        uint64_t value_ns;

        if (time_at(&result, &times[i], &value_ns))
            report_writef(writer, " %9.3f", (double)value_ns / 1e6);
        else
            report_write_text(writer, "         -");
    }
    if (remark(line, &result, text)[0])
        report_writef(writer, "  %s", text);
    report_write_text(writer, "\n");
}

static void rounds_table(struct report_writer *writer, const struct report_view *view)
{
    char buffer[REPORT_LABEL_BYTES];
    struct report_line line;
    size_t width = strlen("target");

    if (view->options->quiet)
        return;
    for (uint32_t i = 0; width < LABEL_WIDTH_MAX && i < report_target_count(view); i++) {
        report_line_at(&line, view, i);
        width = max_u64(width, min_u64(strlen(report_line_label(&line, buffer)), LABEL_WIDTH_MAX));
    }
    report_writef(writer,
                  "%-*s  %-11s   sent    loss    min ms    avg ms    p50 ms    p95 ms    p99 ms"
                  "    max ms    jitter\n",
                  (int)width, "target", "outcome");
    for (uint32_t i = 0; i < report_target_count(view); i++) {
        report_line_at(&line, view, i);
        write_row(writer, &line, (int)width);
    }
    report_write_text(writer, "\n");
}

static bool loss_metric(struct report_line *line, double *value)
{
    struct probe_rounds_result result = result_of(line);

    return loss_of(&result, value);
}

static bool jitter_metric(struct report_line *line, double *value)
{
    struct probe_rounds_result result = result_of(line);

    *value = (double)result.times.jitter_ns / 1e9;
    return result.times.pairs > 0;
}

static bool p99_metric(struct report_line *line, double *value)
{
    struct probe_rounds_result result = result_of(line);

    *value = (double)result.times.p99_ns / 1e9;
    return result.answered > 0;
}

static const struct report_metric metrics[] = {
    {"reroute_report_loss_ratio", "ratio", "Share of the requests that were lost.", loss_metric},
    {"reroute_report_rtt_p99_seconds", "seconds", "99th percentile of the round-trip times.", p99_metric},
    {"reroute_report_jitter_seconds", "seconds",
     "Mean difference of the round-trip times of requests in a row.", jitter_metric},
    {0},
};

const struct report_kind report_kind_rounds = {
    .open = rounds_open,
    .close = rounds_close,
    .wakeup = report_front_wakeup,
    .set = report_front_set,
    .step = report_front_step,
    .stop = rounds_stop,
    .next = rounds_next,
    .result = rounds_result,
    .targets = report_front_targets,
    .about = report_front_about,
    .rtt_words = "Medians of the RTT in ms",
    .doubt_words = "with doubtful loss",
    .doubt_warning = "have a loss that is doubtful",
    .progress = rounds_progress,
    .table = rounds_table,
    .json = rounds_json,
    .csv_columns = CSV_COLUMNS,
    .csv = rounds_csv,
    .metrics = metrics,
};
