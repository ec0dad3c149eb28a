/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `reroute report`, as data. Nothing is opened or resolved here. */
#pragma once

#include "probe/probe.h"
#include "probe/rounds.h"

enum report_format { REPORT_TABLE, REPORT_JSON, REPORT_JSON_LINES, REPORT_CSV, REPORT_OPENMETRICS };

enum report_source_kind {
    REPORT_TARGET,
    REPORT_FILE, /* of targets */
    REPORT_EXCLUDE,
    REPORT_EXCLUDE_FILE,
};

/* What targets come from, in the order of the command line; the texts are argv's. */
struct report_source {
    const char *text;
    enum report_source_kind kind;
};

struct report_options {
    struct probe_settings settings;
    enum report_format format;
    uint64_t watch_ns;  /* from the start of one round to that of the next; 0: one round */
    const char *output; /* the file that gets the report; NULL: standard output */
    bool quiet;
    bool strict;                     /* a target that is none ends it */
    bool help;                       /* it was asked for and is printed */
    uint32_t workers;                /* threads that probe; 0: as many as pay */
    struct probe_rounds_plan rounds; /* count 0: a sweep */
    uint32_t mtu_bytes;              /* does this size pass? 0: not asked */
    bool path_mtu;                   /* which size passes? */
    bool has_size;                   /* settings.payload_bytes was asked for */
    bool in_order;                   /* ask the targets in the order given; otherwise in random order */
    uint32_t shard, shards;          /* every shards-th target, from number `shard` on; 0 of 0: all */
    uint64_t name_timeout_ns;        /* how long nobody may answer for names that are looked up */
    int family; /* of names: AF_INET, AF_INET6, or AF_UNSPEC: what the name service puts first */
    struct report_source *sources;
    size_t source_count;
};

/*
 * Reads argv; the help, if it is asked for, is printed. Returns 0; -EINVAL with one line in message: which option, what was
 * given, what was expected; or -ENOMEM. Clear with report_options_clear() in any case.
 */
int report_options_parse(struct report_options *options, int argc, char **argv, char *message,
                         size_t size_bytes);
void report_options_clear(struct report_options *options);
