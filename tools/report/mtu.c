/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Which packets get through?" of a report: --mtu SIZE and --path-mtu (probe/path_mtu.h).
 *
 * A target is reachable if its small packet was answered; whether the size that was asked about passes is the
 * verdict that this kind adds, and what the exit status of --mtu speaks of.
 */

#include "probe/path_mtu.h"
#include "tools/report/front.h"
#include "tools/report/json.h"
#include "tools/report/line.h"

#define LABEL_WIDTH_MAX 48
#define REMARK_BYTES    512

/* What became of the size that was asked about, or of sizes above the one that was found. */
enum verdict {
    VERDICT_PASSES,      /* all that was asked about, or all that the interface takes */
    VERDICT_TOO_BIG,     /* somebody said so */
    VERDICT_SILENT,      /* it vanishes: a black hole for that size */
    VERDICT_REFUSED,     /* another ICMP error */
    VERDICT_UNREACHABLE, /* not even a small packet is answered */
    VERDICT_UNFINISHED,
};

static const char *const verdict_texts[] = {
    [VERDICT_PASSES] = "passes",   [VERDICT_TOO_BIG] = "too-big",         [VERDICT_SILENT] = "silent",
    [VERDICT_REFUSED] = "refused", [VERDICT_UNREACHABLE] = "unreachable", [VERDICT_UNFINISHED] = "unfinished",
};

struct mtu {
    struct report_front front;
    struct probe_path_mtu *mtu;
    bool is_check; /* one size; otherwise a search */
};

static struct mtu *mtu_of(struct report_probing *probing)
{
    return (struct mtu *)probing;
}

static void mtu_close(struct report_probing *probing)
{
    struct mtu *mtu = mtu_of(probing);

    probe_path_mtu_free(mtu->mtu);
    report_front_close(&mtu->front);
}

static int mtu_open(struct report_probing **out, const struct report_options *options,
                    struct probe_targets *targets, char *message, size_t size_bytes)
{
    struct mtu *mtu = calloc(1, sizeof(*mtu));
    int error;

    snprintf(message, size_bytes, "%s", strerror(ENOMEM));
    if (!mtu)
        return -ENOMEM;
    mtu->front.base.kind = &report_kind_mtu;
    mtu->is_check = options->mtu_bytes > 0;
    error = wakeup_open(&mtu->front.wakeup, message, size_bytes);
    if (!error)
        error = probe_path_mtu_new(&mtu->mtu, &options->settings, options->mtu_bytes, targets,
                                   !options->in_order, message, size_bytes);
    if (error) {
        mtu_close(&mtu->front.base);
        return error;
    }
    report_front_begin(&mtu->front, probe_path_mtu_front(mtu->mtu));
    *out = &mtu->front.base;
    return 0;
}

static bool mtu_result(struct report_probing *probing, uint32_t index, struct probe_result *result)
{
    struct probe_path_mtu_result all;
    bool done = probe_path_mtu_result(mtu_of(probing)->mtu, index, &all);

    *result = (struct probe_result){
        .index = index,
        .outcome = all.outcome,
        .error = all.error,
        .rtt_ns = all.rtt_ns,
        .requests = all.requests,
        .doubtful = all.doubtful,
    };
    return done;
}

static bool mtu_next(struct report_probing *probing, struct probe_result *result, bool *failed)
{
    const struct mtu *mtu = mtu_of(probing);
    struct probe_path_mtu_result all;
    uint32_t index;

    if (!probe_path_mtu_next(mtu->mtu, &index))
        return false;
    probe_path_mtu_result(mtu->mtu, index, &all);
    mtu_result(probing, index, result);
    *failed = all.outcome != PROBE_REPLY || (mtu->is_check && all.fails_bytes > 0);
    return true;
}

/* --- what is written ----------------------------------------------------------------------------------- */

struct finding {
    struct probe_path_mtu_result result;
    enum verdict verdict;
    char why[REPORT_REASON_BYTES]; /* why no more passes, or nothing; empty: it does */
    char from[ADDRESS_TEXT_SIZE];  /* who said so; empty: nobody, or this host */
};

static enum verdict verdict_of(const struct report_line *line, const struct probe_path_mtu_result *result)
{
    if (line->outcome == REPORT_UNFINISHED)
        return VERDICT_UNFINISHED;
    if (line->outcome != REPORT_REACHABLE)
        return VERDICT_UNREACHABLE;
    if (result->fails_bytes == 0)
        return VERDICT_PASSES;
    if (result->limit == PROBE_FRAG_NEEDED)
        return VERDICT_TOO_BIG;
    return result->limit == PROBE_TIMEOUT ? VERDICT_SILENT : VERDICT_REFUSED;
}

static struct finding find(struct report_line *line)
{
    const struct probe_settings *settings = &line->view->options->settings;
    struct finding finding;
    struct probe_path_mtu_result *result = &finding.result;

    probe_path_mtu_result(mtu_of(line->view->probing)->mtu, line->index, result);
    finding.verdict = verdict_of(line, result);
    finding.why[0] = finding.from[0] = '\0';
    if (finding.verdict == VERDICT_UNREACHABLE)
        snprintf(finding.why, sizeof(finding.why), "%s", report_line_reason(line));
    else if (result->fails_bytes)
        probe_reason_text(result->limit, &result->limit_error,
                          settings->select_timeout_ns * settings->select_count, finding.why,
                          sizeof(finding.why));
    if (result->fails_bytes && result->limit != PROBE_TIMEOUT && address_is_set(&result->limit_error.from))
        address_format(&result->limit_error.from, finding.from);
    return finding;
}

static void write_number(struct report_writer *writer, const char *key, uint32_t number)
{
    if (number)
        report_writef(writer, ",\"%s\":%" PRIu32, key, number);
    else
        report_writef(writer, ",\"%s\":null", key);
}

static void mtu_json(struct report_writer *writer, struct report_line *line)
{
    struct finding finding = find(line);

    report_write_text(writer, ",\"mtu\":{");
    report_json_text(writer, "verdict", verdict_texts[finding.verdict]);
    write_number(writer, "asked", line->view->options->mtu_bytes);
    write_number(writer, "passes", finding.result.passes_bytes);
    write_number(writer, "fails", finding.result.fails_bytes);
    write_number(writer, "named", finding.result.limit_error.mtu_bytes);
    report_write_text(writer, ",");
    report_json_text(writer, "from", finding.from[0] ? finding.from : NULL);
    report_write_text(writer, ",");
    report_json_text(writer, "why", finding.why);
    report_write_text(writer, "}");
}

static void write_csv_number(struct report_writer *writer, uint32_t number)
{
    report_write_text(writer, ",");
    if (number)
        report_write_u64(writer, number);
}

static void mtu_csv(struct report_writer *writer, struct report_line *line)
{
    struct finding finding = find(line);

    report_writef(writer, ",%s", verdict_texts[finding.verdict]);
    write_csv_number(writer, line->view->options->mtu_bytes);
    write_csv_number(writer, finding.result.passes_bytes);
    write_csv_number(writer, finding.result.fails_bytes);
    write_csv_number(writer, finding.result.limit_error.mtu_bytes);
    report_writef(writer, ",%s,", finding.from);
    report_write_csv_field(writer, finding.why);
}

/* What a person wants to know beyond the verdict. */
static void remark(const struct report_line *line, const struct finding *finding,
                   char text[static REMARK_BYTES])
{
    const struct probe_path_mtu_result *result = &finding->result;
    int length;

    if (finding->verdict == VERDICT_PASSES)
        length = snprintf(text, REMARK_BYTES, "%s",
                          line->view->options->mtu_bytes ? "" : "all that the interface takes");
    else if (finding->verdict == VERDICT_SILENT)
        length = snprintf(
            text, REMARK_BYTES, "%" PRIu32 " bytes %s, %" PRIu32 " pass: %s",
            line->view->options->mtu_bytes ? line->view->options->mtu_bytes : result->fails_bytes,
            result->limit_error.refusal ? "have no answer" : "vanish", result->passes_bytes, finding->why);
    else if (finding->verdict == VERDICT_UNFINISHED && result->passes_bytes)
        length = snprintf(text, REMARK_BYTES, "interrupted; %" PRIu32 " bytes pass", result->passes_bytes);
    else
        length = snprintf(text, REMARK_BYTES, "%s",
                          finding->verdict == VERDICT_UNFINISHED ? "interrupted" : finding->why);
    if (result->passes_bytes && result->error.reply_bytes)
        length += snprintf(text + length, REMARK_BYTES - (size_t)length,
                           "%son the way there: replies are truncated to %" PRIu32
                           " bytes, of the way back nothing is known",
                           length ? "; " : "", result->error.reply_bytes);
    if (result->doubtful && finding->verdict != VERDICT_UNREACHABLE)
        snprintf(text + length, REMARK_BYTES - (size_t)length,
                 "; doubtful: this host dropped replies meanwhile");
}

static void write_row(struct report_writer *writer, struct report_line *line, int width)
{
    struct finding finding = find(line);
    char label[REPORT_LABEL_BYTES], text[REMARK_BYTES];

    remark(line, &finding, text);
    report_writef(writer, "%-*s  ", width, report_line_label(line, label));
    if (!line->view->options->mtu_bytes && finding.verdict < VERDICT_UNREACHABLE)
        report_writef(writer, "%5" PRIu32 "  ", finding.result.passes_bytes);
    else if (!line->view->options->mtu_bytes)
        report_write_text(writer, "    -  ");
    report_writef(writer, text[0] ? "%-11s  %s\n" : "%s\n",
                  line->outcome == REPORT_REACHABLE || line->outcome == REPORT_UNFINISHED
                      ? verdict_texts[finding.verdict]
                      : report_outcome_text(line->outcome),
                  text);
}

static void mtu_table(struct report_writer *writer, const struct report_view *view)
{
    uint32_t count = report_target_count(view), passing = 0;
    char buffer[REPORT_LABEL_BYTES];
    struct report_line line;
    size_t width = strlen("target");

    for (uint32_t i = 0; i < count; i++) {
        report_line_at(&line, view, i);
        width = max_u64(width, min_u64(strlen(report_line_label(&line, buffer)), LABEL_WIDTH_MAX));
        passing += find(&line).verdict == VERDICT_PASSES;
    }
    if (!view->options->quiet && !view->options->mtu_bytes)
        report_writef(writer, "%-*s    MTU  above that\n", (int)width, "target");
    for (uint32_t i = 0; !view->options->quiet && i < count; i++) {
        report_line_at(&line, view, i);
        write_row(writer, &line, (int)width);
    }
    if (!view->options->quiet)
        report_write_text(writer, "\n");
    if (view->options->mtu_bytes)
        report_writef(writer, "%" PRIu32 " bytes pass to %" PRIu32 " of %" PRIu32 " targets\n",
                      view->options->mtu_bytes, passing, count);
}

static bool passes_metric(struct report_line *line, double *value)
{
    struct finding finding = find(line);

    *value = finding.result.passes_bytes;
    return finding.verdict < VERDICT_UNREACHABLE;
}

static const struct report_metric metrics[] = {
    {"reroute_report_mtu_bytes", "bytes", "The largest packet that is known to pass.", passes_metric},
    {0},
};

const struct report_kind report_kind_mtu = {
    .open = mtu_open,
    .close = mtu_close,
    .wakeup = report_front_wakeup,
    .set = report_front_set,
    .step = report_front_step,
    .stop = report_front_stop,
    .next = mtu_next,
    .result = mtu_result,
    .targets = report_front_targets,
    .about = report_front_about,
    .rtt_words = "RTT of small packets in ms",
    .doubt_words = "of all doubtful",
    .doubt_warning = "have a verdict that is doubtful",
    .table = mtu_table,
    .json = mtu_json,
    .csv_columns = ",verdict,asked,passes,fails,named,from,why",
    .csv = mtu_csv,
    .metrics = metrics,
};
