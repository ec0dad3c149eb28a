/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report/line.h"

#include "tools/report/names.h"

static const struct {
    const char *key, *words;
    size_t offset;
} counter_list[REPORT_COUNTERS] = {
    {"sent", "sent", offsetof(struct probe_counters, sent)},
    {"replies", "replies", offsetof(struct probe_counters, replies)},
    {"late", "late", offsetof(struct probe_counters, late)},
    {"duplicates", "duplicates", offsetof(struct probe_counters, duplicates)},
    {"truncated", "truncated replies", offsetof(struct probe_counters, truncated)},
    {"corrupt", "corrupt", offsetof(struct probe_counters, corrupt)},
    {"foreign", "foreign", offsetof(struct probe_counters, foreign)},
    {"icmp_errors", "ICMP errors", offsetof(struct probe_counters, icmp_errors)},
    {"send_failures", "could not be sent", offsetof(struct probe_counters, send_failures)},
    {"send_retries", "sent again for want of buffers", offsetof(struct probe_counters, send_retries)},
    {"receive_drops", "dropped by this host's own buffer", offsetof(struct probe_counters, receive_drops)},
    {"tx_stamps", "with the kernel's time of leaving", offsetof(struct probe_counters, tx_stamps)},
};

void report_counters(const struct report_view *view, struct report_counter counters[static REPORT_COUNTERS])
{
    const struct probe_counters *values = view->probing->kind->about(view->probing).counters;

    for (size_t i = 0; i < REPORT_COUNTERS; i++) {
        counters[i] = (struct report_counter){counter_list[i].key, counter_list[i].words, 0};
        memcpy(&counters[i].value, (const char *)values + counter_list[i].offset, sizeof(counters[i].value));
    }
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

/* What address_format() writes, several times as fast: most of a large report is IPv4 addresses. */
static void format_address(const struct address *address, const struct scopes *scopes,
                           char buffer[static ADDRESS_TEXT_SIZE])
{
    char *p = buffer;

    if (address->family != AF_INET) {
        struct scope scope = {.index = address->scope};
        const char *name = scopes_name(scopes, address->scope);

        /* Whether the interface is there now or not: a target keeps its name. */
        snprintf(scope.name, sizeof(scope.name), "%s", name ? name : "");
        if (name)
            scope_format_address(address, &scope, buffer);
        else
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

void report_line_at(struct report_line *line, const struct report_view *view, uint32_t index)
{
    const struct report_text *text = report_targets_text(view->targets, index);
    const struct probe_targets *targets = view->probing->kind->targets(view->probing);
    struct address address = probe_targets_at(targets, index);

    line->view = view;
    line->index = index;
    if (text && address_is_set(&text->excluded))
        address = text->excluded;
    line->address = NULL;
    if (address_is_set(&address)) {
        format_address(&address, &targets->scopes, line->address_text);
        line->address = line->address_text;
    }
    line->target = line->address;
    line->outcome = REPORT_UNFINISHED;
    if (view->probing->kind->result(view->probing, index, &line->result))
        line->outcome = line->result.outcome == PROBE_REPLY ? REPORT_REACHABLE : REPORT_UNREACHABLE;
    if (text) {
        line->target = text->text;
        line->name_error = text->name_error;
        if (text->name_error)
            line->outcome = REPORT_NOT_FOUND;
        else if (address_is_set(&text->excluded))
            line->outcome = REPORT_EXCLUDED;
    }
}

static uint64_t waited_ns(const struct probe_settings *settings)
{
    uint64_t window_ns = settings->select_timeout_ns * settings->select_count;

    return settings->ping_timeout_ns ? min_u64(settings->ping_timeout_ns, window_ns) : window_ns;
}

static const char *unreachable_text(struct report_line *line)
{
    const struct probe_result *result = &line->result;
    char *text = line->reason_text;
    size_t length;

    probe_reason_text(result->outcome, &result->error, waited_ns(&line->view->options->settings), text,
                      REPORT_REASON_BYTES);
    length = strlen(text);
    if (result->doubtful)
        snprintf(text + length, REPORT_REASON_BYTES - length, "; doubtful: this host %s meanwhile",
                 result->outcome == PROBE_SEND_FAILED ? "had no room to send" : "dropped replies");
    return text;
}

const char *report_line_reason(struct report_line *line)
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
    case REPORT_REACHABLE: /* says something only of a reply that was cut */
        return probe_reason_text(PROBE_REPLY, &line->result.error, 0, line->reason_text, REPORT_REASON_BYTES);
    case REPORT_OUTCOMES:
        break;
    }
    return "";
}

const char *report_line_label(const struct report_line *line, char buffer[static REPORT_LABEL_BYTES])
{
    if (!line->address || strcmp(line->address, line->target) == 0)
        return line->target;
    snprintf(buffer, REPORT_LABEL_BYTES, "%s (%s)", line->target, line->address);
    return buffer;
}
