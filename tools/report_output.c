/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report_output.h"

#include "probe/statistics.h"
#include "tools/report_names.h"

#define LABEL_WIDTH_MAX 48
#define REASON_BYTES    384
#define LABEL_BYTES     (256 + ADDRESS_TEXT_SIZE + 4) /* "name (address)" */

/* How each counter is called in JSON, and for people when it is not zero. */
static const struct {
    const char *key, *words;
    size_t offset;
} counter_list[] = {
    {"sent", "sent", offsetof(struct probe_counters, sent)},
    {"replies", "replies", offsetof(struct probe_counters, replies)},
    {"late", "late", offsetof(struct probe_counters, late)},
    {"duplicates", "duplicates", offsetof(struct probe_counters, duplicates)},
    {"corrupt", "corrupt", offsetof(struct probe_counters, corrupt)},
    {"foreign", "foreign", offsetof(struct probe_counters, foreign)},
    {"icmp_errors", "ICMP errors", offsetof(struct probe_counters, icmp_errors)},
    {"send_failures", "could not be sent", offsetof(struct probe_counters, send_failures)},
    {"send_retries", "sent again for want of buffers", offsetof(struct probe_counters, send_retries)},
    {"receive_drops", "dropped by this host's own buffer", offsetof(struct probe_counters, receive_drops)},
};

static uint64_t counter_value(const struct probe_counters *counters, size_t i)
{
    uint64_t value;

    memcpy(&value, (const char *)counters + counter_list[i].offset, sizeof(value));
    return value;
}

const char *report_outcome_text(enum report_outcome outcome)
{
    static const char *const texts[REPORT_OUTCOMES] = {
        [REPORT_UNFINISHED] = "unfinished",   [REPORT_REACHABLE] = "reachable",
        [REPORT_UNREACHABLE] = "unreachable", [REPORT_NOT_FOUND] = "not-found",
        [REPORT_EXCLUDED] = "excluded",
    };

    return texts[outcome];
}

/* --- one target after the other ------------------------------------------------------------------------ */

struct line {
    const struct report_view *view;
    uint32_t index, next; /* this one's, and the next one's */
    uint32_t next_text;   /* the first text that has not had its turn */
    const char *target;
    const char *address; /* NULL: none is known */
    enum report_outcome outcome;
    int name_error;
    struct probe_result result;
    char address_text[ADDRESS_TEXT_SIZE];
    char reason_text[REASON_BYTES];
};

static uint32_t target_count(const struct report_view *view)
{
    return probe_pool_targets(view->pool)->count;
}

/* What address_format() writes, several times as fast: most of a large report is IPv4 addresses. */
static void format_address(const struct address *address, char buffer[static ADDRESS_TEXT_SIZE])
{
    char *p = buffer;

    if (address->family != AF_INET) {
        address_format(address, buffer);
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        unsigned value = address->bytes[i];

        if (value >= 100)
            *p++ = (char)('0' + value / 100);
        if (value >= 10)
            *p++ = (char)('0' + value / 10 % 10);
        *p++ = (char)('0' + value % 10);
        *p++ = i < 3 ? '.' : '\0';
    }
}

static const struct report_text *text_of(struct line *line)
{
    const struct report_targets *targets = line->view->targets;

    if (line->next_text == targets->text_count || targets->texts[line->next_text].index != line->index)
        return NULL;
    return &targets->texts[line->next_text++];
}

/* Goes on to the next target. False: there is none. */
static bool next_line(struct line *line)
{
    const struct probe_targets *targets = probe_pool_targets(line->view->pool);
    const struct report_text *text;
    struct address address;

    if (line->next == targets->count)
        return false;
    line->index = line->next++;
    text = text_of(line);
    address = probe_targets_at(targets, line->index);
    if (text && address_is_set(&text->excluded))
        address = text->excluded;
    line->address = NULL;
    if (address_is_set(&address)) {
        format_address(&address, line->address_text);
        line->address = line->address_text;
    }
    line->target = line->address;
    line->outcome = REPORT_UNFINISHED;
    if (probe_pool_result(line->view->pool, line->index, &line->result))
        line->outcome = line->result.outcome == PROBE_REPLY ? REPORT_REACHABLE : REPORT_UNREACHABLE;
    if (text) {
        line->target = text->text;
        line->name_error = text->name_error;
        if (text->name_error)
            line->outcome = REPORT_NOT_FOUND;
        else if (address_is_set(&text->excluded))
            line->outcome = REPORT_EXCLUDED;
    }
    return true;
}

static uint64_t waited_ns(const struct probe_settings *settings)
{
    uint64_t window_ns = settings->select_timeout_ns * settings->select_count;

    return settings->ping_timeout_ns ? min_u64(settings->ping_timeout_ns, window_ns) : window_ns;
}

static const char *unreachable_text(struct line *line)
{
    const struct probe_result *result = &line->result;
    char *text = line->reason_text;
    size_t length;

    probe_reason_text(result->outcome, &result->error, waited_ns(&line->view->options->settings), text,
                      REASON_BYTES);
    length = strlen(text);
    if (result->doubtful)
        snprintf(text + length, REASON_BYTES - length, "; doubtful: this host %s meanwhile",
                 result->outcome == PROBE_SEND_FAILED ? "had no room to send" : "dropped replies");
    return text;
}

static const char *reason_text(struct line *line)
{
    switch (line->outcome) {
    case REPORT_UNREACHABLE:
        return unreachable_text(line);
    case REPORT_NOT_FOUND:
        return report_name_error_text(line->name_error);
    case REPORT_EXCLUDED:
        return "its address is excluded";
    case REPORT_UNFINISHED:
        return "interrupted";
    case REPORT_REACHABLE:
    case REPORT_OUTCOMES:
        break;
    }
    return "";
}

/* --- JSON --------------------------------------------------------------------------------------------- */

static void json_result(struct report_writer *writer, struct line *line)
{
    report_write_text(writer, "{\"target\":");
    report_write_json_string(writer, line->target);
    report_write_text(writer, ",\"address\":");
    if (line->address)
        report_write_json_string(writer, line->address);
    else
        report_write_text(writer, "null");
    report_write_text(writer, ",\"outcome\":");
    report_write_json_string(writer, report_outcome_text(line->outcome));
    report_write_text(writer, ",\"rtt_ms\":");
    if (line->outcome == REPORT_REACHABLE)
        report_write_ms(writer, line->result.rtt_ns);
    else
        report_write_text(writer, "null");
    report_write_text(writer, ",\"requests\":");
    report_write_u64(writer, line->result.requests);
    report_write_text(writer, ",\"reason\":");
    report_write_json_string(writer, reason_text(line));
    report_write_text(writer, "}");
}

static void write_json(struct report_writer *writer, const struct report_view *view)
{
    const struct probe_counters *counters = probe_pool_counters(view->pool);
    struct line line = {.view = view};

    report_writef(writer,
                  "{\"schema\":\"reroute.report/1\",\"targets\":%" PRIu32 ",\"reachable\":%" PRIu32
                  ",\"unreachable\":%" PRIu32 ",\"elapsed_ms\":",
                  target_count(view), view->totals[REPORT_REACHABLE], view->totals[REPORT_UNREACHABLE]);
    report_write_ms(writer, view->elapsed_ns);
    report_write_text(writer, ",\"transport\":");
    report_write_json_string(writer, probe_pool_transport(view->pool));
    report_writef(writer, ",\"workers\":%" PRIu32 ",\"doubtful\":%" PRIu32 ",\"counters\":{",
                  probe_pool_workers(view->pool), view->doubtful);
    for (size_t i = 0; i < ARRAY_SIZE(counter_list); i++)
        report_writef(writer, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", counter_list[i].key,
                      counter_value(counters, i));
    report_write_text(writer, "},\"results\":[");
    while (next_line(&line)) {
        report_write_text(writer, line.index > 0 ? ",\n" : "\n");
        json_result(writer, &line);
    }
    report_write_text(writer, "\n]}\n");
}

/* --- CSV ---------------------------------------------------------------------------------------------- */

static void write_csv(struct report_writer *writer, const struct report_view *view)
{
    struct line line = {.view = view};

    report_write_text(writer, "target,address,outcome,rtt_ms,requests,reason\n");
    while (next_line(&line)) {
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
        report_write_csv_field(writer, reason_text(&line));
        report_write_text(writer, "\n");
    }
}

/* --- the table ---------------------------------------------------------------------------------------- */

static const char *label(const struct line *line, char buffer[static LABEL_BYTES])
{
    if (!line->address || strcmp(line->address, line->target) == 0)
        return line->target;
    snprintf(buffer, LABEL_BYTES, "%s (%s)", line->target, line->address);
    return buffer;
}

static bool is_row(const struct line *line)
{
    return line->outcome != REPORT_REACHABLE && line->outcome != REPORT_UNFINISHED;
}

static void write_rows(struct report_writer *writer, const struct report_view *view)
{
    char buffer[LABEL_BYTES];
    size_t width = 0;

    for (struct line line = {.view = view}; width < LABEL_WIDTH_MAX && next_line(&line);)
        if (is_row(&line))
            width = max_u64(width, min_u64(strlen(label(&line, buffer)), LABEL_WIDTH_MAX));
    for (struct line line = {.view = view}; width > 0 && next_line(&line);)
        if (is_row(&line))
            report_writef(writer, "%-*s  %-11s  %s\n", (int)width, label(&line, buffer),
                          report_outcome_text(line.outcome), reason_text(&line));
    if (width > 0)
        report_write_text(writer, "\n");
}

static int write_rtts(struct report_writer *writer, const struct report_view *view)
{
    static const struct {
        const char *name;
        unsigned percent;
    } columns[] = {{"min", 0}, {"p50", 50}, {"p95", 95}, {"p99", 99}, {"max", 100}};
    CLEANUP(free) char *memory = NULL;
    struct probe_result result;
    uint64_t *rtts;
    size_t count = 0;

    if (view->totals[REPORT_REACHABLE] == 0)
        return 0;
    memory = malloc(view->totals[REPORT_REACHABLE] * sizeof(*rtts));
    if (!memory)
        return -ENOMEM;
    rtts = (uint64_t *)(void *)memory;
    for (uint32_t i = 0; i < target_count(view); i++)
        if (probe_pool_result(view->pool, i, &result) && result.outcome == PROBE_REPLY)
            rtts[count++] = result.rtt_ns;
    statistics_sort(rtts, count);
    report_write_text(writer, "RTT in ms:");
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        report_writef(writer, "%s %s ", i > 0 ? "," : "", columns[i].name);
        report_write_ms(writer, statistics_percentile(rtts, count, columns[i].percent));
    }
    report_write_text(writer, "\n");
    return 0;
}

static int write_table(struct report_writer *writer, const struct report_view *view)
{
    const struct probe_counters *counters = probe_pool_counters(view->pool);
    const char *separator = "packets: ";
    int error;

    if (!view->options->quiet)
        write_rows(writer, view);
    report_writef(writer, "%" PRIu32 " target%s: %" PRIu32 " reachable, %" PRIu32 " unreachable",
                  target_count(view), target_count(view) == 1 ? "" : "s", view->totals[REPORT_REACHABLE],
                  view->totals[REPORT_UNREACHABLE]);
    if (view->doubtful > 0)
        report_writef(writer, " (%" PRIu32 " of them doubtful)", view->doubtful);
    if (view->totals[REPORT_NOT_FOUND] > 0)
        report_writef(writer, ", %" PRIu32 " not found", view->totals[REPORT_NOT_FOUND]);
    if (view->totals[REPORT_EXCLUDED] > 0)
        report_writef(writer, ", %" PRIu32 " excluded", view->totals[REPORT_EXCLUDED]);
    if (view->totals[REPORT_UNFINISHED] > 0)
        report_writef(writer, ", %" PRIu32 " not known when interrupted", view->totals[REPORT_UNFINISHED]);
    report_write_text(writer, "; took ");
    report_write_ms(writer, view->elapsed_ns);
    report_writef(writer, " ms (%s", probe_pool_transport(view->pool));
    if (probe_pool_workers(view->pool) > 1)
        report_writef(writer, ", %" PRIu32 " workers", probe_pool_workers(view->pool));
    report_write_text(writer, ")\n");
    error = write_rtts(writer, view);
    if (error)
        return error;
    for (size_t i = 0; i < ARRAY_SIZE(counter_list); i++) {
        if (counter_value(counters, i) == 0)
            continue;
        report_writef(writer, "%s%s %" PRIu64, separator, counter_list[i].words, counter_value(counters, i));
        separator = ", ";
    }
    if (separator[0] == ',')
        report_write_text(writer, "\n");
    return 0;
}

int report_output(struct report_writer *writer, const struct report_view *view)
{
    int error = 0;

    switch (view->options->format) {
    case REPORT_TABLE:
        error = write_table(writer, view);
        break;
    case REPORT_JSON:
        write_json(writer, view);
        break;
    case REPORT_CSV:
        write_csv(writer, view);
        break;
    }
    return error ? error : report_writer_flush(writer);
}
