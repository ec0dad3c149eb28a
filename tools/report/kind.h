/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a report asks of its targets. There are three kinds: is it reachable (a sweep by a pool of workers),
 * how good is the way there (rounds, --count), which packets get through (--mtu, --path-mtu).
 *
 * report.c runs any of them; the formats write what is common to all (struct probe_result) and then what the
 * kind adds. A running one begins with struct report_probing and belongs to one thread.
 */
#pragma once

#include "probe/sweep.h"
#include "tools/report/options.h"
#include "tools/report/writer.h"

struct report_kind;
struct report_line;
struct report_view;

struct report_probing {
    const struct report_kind *kind;
};

/* What is true of all targets together, by now. Asking takes some system calls. */
struct report_about {
    const struct probe_counters *counters;
    const char *transport;
    uint32_t workers;
    uint32_t asked_again;    /* because our own buffer had dropped replies */
    const char *failed_call; /* after an error: the call of the kernel that gave it; NULL: not known */
};

/* One more number of each target for OpenMetrics; false: this target has none. */
struct report_metric {
    const char *name, *unit, *help; /* unit may be NULL */
    bool (*value)(struct report_line *line, double *value);
};

struct report_kind {
    /*
     * Opens the sockets and, on success, moves the targets in; their numbers are the results' indices. Errors
     * as for probe_pool_new(), with one line in message.
     */
    int (*open)(struct report_probing **out, const struct report_options *options,
                struct probe_targets *targets, char *message, size_t size_bytes);
    void (*close)(struct report_probing *probing);
    /* The ring_fd of a wakeup (probe/wakeup.h) that ends a wait of step(). */
    int (*wakeup)(struct report_probing *probing);
    /* The address of a target that had none, once. 0 or -ENOMEM. */
    int (*set)(struct report_probing *probing, uint32_t index, const struct address *address);
    /* One bounded round, as probe_pool_step(). */
    int (*step)(struct report_probing *probing, uint64_t until_ns);
    /* Ends sending; what has arrived is read and judged, what became known by it waits to be pulled. */
    int (*stop)(struct report_probing *probing);
    /* Asks all targets once more that have an address, after their results were pulled; NULL: it cannot. */
    void (*again)(struct report_probing *probing);
    /* Pulls one result. *failed: the exit status has to say so. */
    bool (*next)(struct report_probing *probing, struct probe_result *result, bool *failed);
    /* The result of a target that was pulled. False: it was not; what is known is said anyway. */
    bool (*result)(struct report_probing *probing, uint32_t index, struct probe_result *result);
    const struct probe_targets *(*targets)(struct report_probing *probing);
    struct report_about (*about)(struct report_probing *probing);

    /* Words for people: what the round-trip times of the summary are; what N results are in doubt of. */
    const char *rtt_words, *doubt_words, *doubt_warning;
    /* A line about what has happened so far; NULL: how many targets are known is enough. */
    void (*progress)(struct report_probing *probing, char *text, size_t size_bytes);
    /* The table's part before the summary; NULL: those that are not reachable. */
    void (*table)(struct report_writer *writer, const struct report_view *view);
    /* Further members of a result, each with a comma before it; NULL: there are none. The same for CSV. */
    void (*json)(struct report_writer *writer, struct report_line *line);
    const char *csv_columns;
    void (*csv)(struct report_writer *writer, struct report_line *line);
    const struct report_metric *metrics; /* the last one has no name; NULL: there are none */
};

extern const struct report_kind report_kind_sweep, report_kind_rounds, report_kind_mtu;

const struct report_kind *report_kind_of(const struct report_options *options);
