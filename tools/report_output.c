/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report_output.h"

#include "tools/report_names.h"

#define LABEL_WIDTH_MAX 48
#define REASON_BYTES    256
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
    {"send_failures", "not sent for want of a way", offsetof(struct probe_counters, send_failures)},
    {"send_retries", "sent again for want of buffers", offsetof(struct probe_counters, send_retries)},
    {"receive_drops", "dropped by this host's own buffer", offsetof(struct probe_counters, receive_drops)},
};

static uint64_t counter_value(const struct probe_counters *counters, size_t i)
{
    uint64_t value;

    memcpy(&value, (const char *)counters + counter_list[i].offset, sizeof(value));
    return value;
}

uint64_t report_percentile(const uint64_t *sorted, size_t count, unsigned percent)
{
    size_t rank = (count * percent + 99) / 100;

    return sorted[rank > 0 ? rank - 1 : 0];
}

static const char *address_text(const struct report_view *view, const struct report_target *target,
                                char buffer[static ADDRESS_TEXT_SIZE])
{
    struct address address;

    if (target->sweep_index == REPORT_NO_INDEX)
        return NULL;
    address = probe_sweep_target(view->sweep, target->sweep_index);
    return address_format(&address, buffer);
}

static uint64_t waited_ns(const struct probe_settings *settings)
{
    uint64_t window_ns = settings->select_timeout_ns * settings->select_count;

    return settings->ping_timeout_ns ? min_u64(settings->ping_timeout_ns, window_ns) : window_ns;
}

static const char *reason_text(const struct report_view *view, const struct report_target *target,
                               char buffer[static REASON_BYTES])
{
    const struct report_reason *reason;

    switch ((enum report_outcome)target->outcome) {
    case REPORT_UNREACHABLE:
        reason = &view->targets->reasons[target->reason];
        return probe_reason_text(reason->outcome, &reason->error, waited_ns(&view->options->settings), buffer,
                                 REASON_BYTES);
    case REPORT_NOT_FOUND:
        return report_name_error_text(target->name_error);
    case REPORT_UNFINISHED:
        return "interrupted";
    case REPORT_REACHABLE:
    case REPORT_OUTCOMES:
        break;
    }
    return "";
}

/* --- JSON --------------------------------------------------------------------------------------------- */

static void json_result(struct report_writer *writer, const struct report_view *view,
                        const struct report_target *target)
{
    char address_buffer[ADDRESS_TEXT_SIZE], reason_buffer[REASON_BYTES];
    const char *address = address_text(view, target, address_buffer);

    report_write_text(writer, "{\"target\":");
    report_write_json_string(writer, target->text);
    report_write_text(writer, ",\"address\":");
    if (address)
        report_write_json_string(writer, address);
    else
        report_write_text(writer, "null");
    report_write_text(writer, ",\"outcome\":");
    report_write_json_string(writer, report_outcome_text(target->outcome));
    report_write_text(writer, ",\"rtt_ms\":");
    if (target->outcome == REPORT_REACHABLE)
        report_write_ms(writer, target->rtt_ns);
    else
        report_write_text(writer, "null");
    report_write_text(writer, ",\"requests\":");
    report_write_u64(writer, target->requests);
    report_write_text(writer, ",\"reason\":");
    report_write_json_string(writer, reason_text(view, target, reason_buffer));
    report_write_text(writer, "}");
}

static void write_json(struct report_writer *writer, const struct report_view *view)
{
    const struct probe_counters *counters = probe_sweep_counters(view->sweep);

    report_writef(writer,
                  "{\"schema\":\"reroute.report/1\",\"targets\":%" PRIu32 ",\"reachable\":%" PRIu32
                  ",\"unreachable\":%" PRIu32 ",\"elapsed_ms\":",
                  view->targets->count, view->totals[REPORT_REACHABLE], view->totals[REPORT_UNREACHABLE]);
    report_write_ms(writer, view->elapsed_ns);
    report_write_text(writer, ",\"transport\":");
    report_write_json_string(writer, probe_sweep_transport(view->sweep));
    report_writef(writer, ",\"workers\":%d,\"counters\":{", REPORT_WORKERS);
    for (size_t i = 0; i < ARRAY_SIZE(counter_list); i++)
        report_writef(writer, "%s\"%s\":%" PRIu64, i > 0 ? "," : "", counter_list[i].key,
                      counter_value(counters, i));
    report_write_text(writer, "},\"results\":[");
    for (uint32_t i = 0; i < view->targets->count; i++) {
        report_write_text(writer, i > 0 ? ",\n" : "\n");
        json_result(writer, view, &view->targets->list[i]);
    }
    report_write_text(writer, "\n]}\n");
}

/* --- CSV ---------------------------------------------------------------------------------------------- */

static void write_csv(struct report_writer *writer, const struct report_view *view)
{
    char address_buffer[ADDRESS_TEXT_SIZE], reason_buffer[REASON_BYTES];

    report_write_text(writer, "target,address,outcome,rtt_ms,requests,reason\n");
    for (uint32_t i = 0; i < view->targets->count; i++) {
        const struct report_target *target = &view->targets->list[i];
        const char *address = address_text(view, target, address_buffer);

        report_write_csv_field(writer, target->text);
        report_write_text(writer, ",");
        report_write_csv_field(writer, address ? address : "");
        report_write_text(writer, ",");
        report_write_text(writer, report_outcome_text(target->outcome));
        report_write_text(writer, ",");
        if (target->outcome == REPORT_REACHABLE)
            report_write_ms(writer, target->rtt_ns);
        report_write_text(writer, ",");
        report_write_u64(writer, target->requests);
        report_write_text(writer, ",");
        report_write_csv_field(writer, reason_text(view, target, reason_buffer));
        report_write_text(writer, "\n");
    }
}

/* --- the table ---------------------------------------------------------------------------------------- */

static const char *label(const struct report_view *view, const struct report_target *target,
                         char buffer[static LABEL_BYTES])
{
    char address_buffer[ADDRESS_TEXT_SIZE];
    const char *address = address_text(view, target, address_buffer);

    if (!address || strcmp(address, target->text) == 0)
        return target->text;
    snprintf(buffer, LABEL_BYTES, "%s (%s)", target->text, address);
    return buffer;
}

static void write_rows(struct report_writer *writer, const struct report_view *view)
{
    char label_buffer[LABEL_BYTES], reason_buffer[REASON_BYTES];
    size_t width = 0;

    for (int printing = 0; printing < 2; printing++) {
        for (uint32_t i = 0; i < view->targets->count; i++) {
            const struct report_target *target = &view->targets->list[i];
            const char *text;

            if (target->outcome != REPORT_UNREACHABLE && target->outcome != REPORT_NOT_FOUND)
                continue;
            text = label(view, target, label_buffer);
            if (printing)
                report_writef(writer, "%-*s  %-11s  %s\n", (int)width, text,
                              report_outcome_text(target->outcome), reason_text(view, target, reason_buffer));
            else if (strlen(text) > width)
                width = strlen(text) < LABEL_WIDTH_MAX ? strlen(text) : LABEL_WIDTH_MAX;
        }
    }
    if (width > 0)
        report_write_text(writer, "\n");
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

static int write_rtts(struct report_writer *writer, const struct report_view *view)
{
    static const struct {
        const char *name;
        unsigned percent;
    } columns[] = {{"min", 0}, {"p50", 50}, {"p95", 95}, {"p99", 99}, {"max", 100}};
    CLEANUP(free) char *memory = NULL;
    uint64_t *rtts;
    size_t count = 0;

    if (view->totals[REPORT_REACHABLE] == 0)
        return 0;
    memory = malloc(view->totals[REPORT_REACHABLE] * sizeof(*rtts));
    if (!memory)
        return -ENOMEM;
    rtts = (uint64_t *)(void *)memory;
    for (uint32_t i = 0; i < view->targets->count; i++)
        if (view->targets->list[i].outcome == REPORT_REACHABLE)
            rtts[count++] = view->targets->list[i].rtt_ns;
    qsort(rtts, count, sizeof(*rtts), compare_u64);
    report_write_text(writer, "RTT in ms:");
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        report_writef(writer, "%s %s ", i > 0 ? "," : "", columns[i].name);
        report_write_ms(writer, report_percentile(rtts, count, columns[i].percent));
    }
    report_write_text(writer, "\n");
    return 0;
}

static int write_table(struct report_writer *writer, const struct report_view *view)
{
    const struct probe_counters *counters = probe_sweep_counters(view->sweep);
    const char *separator = "packets: ";
    int error;

    if (!view->options->quiet)
        write_rows(writer, view);
    report_writef(writer, "%" PRIu32 " target%s: %" PRIu32 " reachable, %" PRIu32 " unreachable",
                  view->targets->count, view->targets->count == 1 ? "" : "s", view->totals[REPORT_REACHABLE],
                  view->totals[REPORT_UNREACHABLE]);
    if (view->totals[REPORT_NOT_FOUND] > 0)
        report_writef(writer, ", %" PRIu32 " not found", view->totals[REPORT_NOT_FOUND]);
    if (view->totals[REPORT_UNFINISHED] > 0)
        report_writef(writer, ", %" PRIu32 " not known when interrupted", view->totals[REPORT_UNFINISHED]);
    report_write_text(writer, "; took ");
    report_write_ms(writer, view->elapsed_ns);
    report_writef(writer, " ms (%s)\n", probe_sweep_transport(view->sweep));
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
