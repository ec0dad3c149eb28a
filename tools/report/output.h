/* SPDX-License-Identifier: Apache-2.0 */
/* What a report looks like when all is known: a table for people, JSON, CSV or OpenMetrics for programs. */
#pragma once

#include "tools/report/line.h"

/*
 * Writes the whole report, results in the order in which the targets were given; of REPORT_JSON_LINES what is
 * left: the targets that are not known, and the summary. Returns 0 or -ENOMEM; what writing failed of is kept
 * by the writer.
 */
int report_output(struct report_writer *writer, const struct report_view *view);
