/* SPDX-License-Identifier: Apache-2.0 */
/* A report for programs: one JSON document, or a line as each target becomes known. See reroute-report(8). */
#pragma once

#include "tools/report/line.h"

/* The whole, schema reroute.report/1. */
void report_json_document(struct report_writer *writer, const struct report_view *view);
/* One target, schema reroute.report.result/1, and all of them, schema reroute.report.summary/1; each a line.
 */
void report_json_result(struct report_writer *writer, struct report_line *line);
void report_json_summary(struct report_writer *writer, const struct report_view *view);

/* Pieces that other lines of JSON are made of: `"target":...,"address":...`; a string, or null for NULL. */
void report_json_names(struct report_writer *writer, const struct report_line *line);
void report_json_text(struct report_writer *writer, const char *key, const char *text);
/* `"outcome":...,"rtt_ms":...`. */
void report_json_outcome(struct report_writer *writer, const struct report_line *line);
