/* SPDX-License-Identifier: Apache-2.0 */
/* A report as OpenMetrics 1.0 text; see reroute-report(8) for the metrics. */
#pragma once

#include "tools/report/line.h"

/* Returns 0 or -ENOMEM. */
int report_openmetrics(struct report_writer *writer, const struct report_view *view);
