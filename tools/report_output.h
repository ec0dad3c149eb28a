/* SPDX-License-Identifier: Apache-2.0 */
/* What a report looks like: a table for people, JSON or CSV for programs. Nothing is decided here. */
#pragma once

#include "probe/pool.h"
#include "tools/report_options.h"
#include "tools/report_targets.h"
#include "tools/report_writer.h"

enum report_outcome {
    REPORT_UNFINISHED,  /* not known (yet); in a report only when it was interrupted */
    REPORT_REACHABLE,   /* a valid reply in time */
    REPORT_UNREACHABLE, /* none; the reason says more */
    REPORT_NOT_FOUND,   /* a name that has no address */
    REPORT_EXCLUDED,    /* a name whose address is excluded */
    REPORT_OUTCOMES,    /* how many there are */
};

/* "unfinished", "reachable", ...: part of the schema reroute.report/1. */
const char *report_outcome_text(enum report_outcome outcome);

struct report_view {
    const struct report_options *options;
    const struct report_targets *targets; /* the texts; the addresses are the pool's */
    struct probe_pool *pool;              /* stopped */
    uint32_t totals[REPORT_OUTCOMES];     /* targets by outcome */
    uint32_t doubtful;                    /* how many of those that are unreachable */
    uint64_t elapsed_ns;
};

/* Writes and flushes the whole report, results in the order in which the targets were given. Returns 0 or a
 * negative errno. */
int report_output(struct report_writer *writer, const struct report_view *view);
