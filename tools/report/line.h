/* SPDX-License-Identifier: Apache-2.0 */
/* What a report knows, and what it says of one target: the words that all formats share. */
#pragma once

#include "tools/report/kind.h"
#include "tools/report/options.h"
#include "tools/report/targets.h"
#include "tools/report/writer.h"

enum report_outcome {
    REPORT_UNFINISHED,  /* not known (yet); in a report only when it was interrupted */
    REPORT_REACHABLE,   /* a valid reply in time */
    REPORT_UNREACHABLE, /* none; the reason says more */
    REPORT_NOT_FOUND,   /* a name that has no address */
    REPORT_EXCLUDED,    /* a name whose address is excluded */
    REPORT_OUTCOMES,    /* how many there are */
};

/* "unfinished", "reachable", ...: part of the schemas. */
const char *report_outcome_text(enum report_outcome outcome);

struct report_view {
    const struct report_options *options;
    const struct report_targets *targets; /* the texts; the addresses are those of the probing */
    struct report_probing *probing;
    uint32_t totals[REPORT_OUTCOMES]; /* targets by outcome */
    uint32_t doubtful;                /* how many results are, see struct probe_result */
    uint32_t failed;                  /* how many the exit status has to speak of */
    uint64_t elapsed_ns;
};

static inline uint32_t report_target_count(const struct report_view *view)
{
    return view->probing->kind->targets(view->probing)->count;
}

#define REPORT_REASON_BYTES 384

struct report_line {
    const struct report_view *view;
    uint32_t index;
    const char *target;  /* as given */
    const char *address; /* NULL: none is known */
    enum report_outcome outcome;
    int name_error; /* REPORT_NOT_FOUND: as in struct report_text */
    struct probe_result result;
    char address_text[ADDRESS_TEXT_SIZE];
    char reason_text[REPORT_REASON_BYTES];
};

/* Fills the line of a target, of any whose result has been pulled, and of all when probing is stopped. */
void report_line_at(struct report_line *line, const struct report_view *view, uint32_t index);
/* Why it is not reachable; when it is: that its reply was truncated, or empty. Valid as long as the line. */
const char *report_line_reason(struct report_line *line);
/* "name (address)", or the target alone where that says as much. */
#define REPORT_LABEL_BYTES (256 + ADDRESS_TEXT_SIZE + 4)
const char *report_line_label(const struct report_line *line, char buffer[static REPORT_LABEL_BYTES]);

/* What has been seen on the sockets, by name. */
struct report_counter {
    const char *key, *words; /* for programs and for people */
    uint64_t value;
};
#define REPORT_COUNTERS 12
void report_counters(const struct report_view *view, struct report_counter counters[static REPORT_COUNTERS]);
