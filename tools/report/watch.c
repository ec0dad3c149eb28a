/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report/watch.h"

#include "route/log.h"
#include "tools/report/json.h"

#define REACHABLE UINT64_C(1)

int report_watch_init(struct report_watch *watch, uint32_t count)
{
    watch->states = calloc(count, sizeof(*watch->states));
    return watch->states ? 0 : -ENOMEM;
}

void report_watch_clear(struct report_watch *watch)
{
    free(watch->states);
    *watch = (struct report_watch){0};
}

/* --- one change ---------------------------------------------------------------------------------------- */

static void write_json(struct report_writer *writer, struct report_line *line, const char *time,
                       enum report_outcome was, uint64_t was_for_ns)
{
    report_write_text(writer, "{\"schema\":\"reroute.report.change/1\",");
    report_json_text(writer, "time", time);
    report_write_text(writer, ",\"index\":");
    report_write_u64(writer, line->index);
    report_write_text(writer, ",");
    report_json_names(writer, line);
    report_write_text(writer, ",");
    report_json_text(writer, "was", report_outcome_text(was));
    report_write_text(writer, ",\"was_for_ms\":");
    report_write_ms(writer, was_for_ns);
    report_write_text(writer, ",");
    report_json_outcome(writer, line);
    report_write_text(writer, ",");
    report_json_text(writer, "reason", report_line_reason(line));
    report_write_text(writer, "}\n");
}

static void write_text(struct report_writer *writer, struct report_line *line, const char *time,
                       enum report_outcome was, uint64_t was_for_ns)
{
    char buffer[REPORT_LABEL_BYTES];

    report_writef(writer, "%s  %s  %s -> %s  after %.1f s  ", time, report_line_label(line, buffer),
                  report_outcome_text(was), report_outcome_text(line->outcome), (double)was_for_ns / 1e9);
    if (line->outcome == REPORT_REACHABLE) {
        report_write_text(writer, "RTT ");
        report_write_ms(writer, line->result.rtt_ns);
        report_writef(writer, " ms%s%s\n", report_line_reason(line)[0] ? "  " : "", report_line_reason(line));
    } else {
        report_writef(writer, "%s\n", report_line_reason(line));
    }
}

enum report_outcome report_watch_take(struct report_watch *watch, struct report_writer *writer,
                                      const struct report_view *view, uint32_t index,
                                      enum report_outcome outcome)
{
    uint64_t before = watch->states[index], now_ns = clock_now_ns(CLOCK_MONOTONIC);
    enum report_outcome was = before & REACHABLE ? REPORT_REACHABLE : REPORT_UNREACHABLE;
    struct report_line line;
    char time[LOG_TIME_SIZE];

    if (before != 0 && was == outcome)
        return was;
    watch->states[index] = outcome == REPORT_REACHABLE ? now_ns | REACHABLE : now_ns & ~REACHABLE;
    if (before == 0)
        return REPORT_UNFINISHED;
    watch->changes++;
    report_line_at(&line, view, index);
    log_time_text(clock_now_ns(CLOCK_REALTIME), time);
    if (view->options->format == REPORT_JSON_LINES)
        write_json(writer, &line, time, was, now_ns - before);
    else
        write_text(writer, &line, time, was, now_ns - before);
    return was;
}

void report_watch_summary(struct report_writer *writer, const struct report_watch *watch,
                          const struct report_view *view)
{
    report_writef(writer,
                  "watched for %.1f s: %" PRIu64 " rounds, %" PRIu64 " changes; now %" PRIu32
                  " reachable, %" PRIu32 " unreachable\n",
                  (double)view->elapsed_ns / 1e9, watch->rounds, watch->changes,
                  view->totals[REPORT_REACHABLE], view->totals[REPORT_UNREACHABLE]);
}
