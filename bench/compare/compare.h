/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tools that `reroute bench compare` compares: how each is started, and what its answer says.
 */
#pragma once

#include "bench/study/child.h"

/* What is to be asked. */
struct compare_list {
    uint32_t addresses;
    uint32_t dead; /* of them, so many that nobody answers for */
    char *text;    /* the addresses, one a line; owned */
};

/* Addresses of the live and the silent prefix, the silent ones spread evenly. 0 or -ENOMEM. */
#define COMPARE_LIVE     "10.0.0.0/9"
#define COMPARE_SILENT   "10.128.0.0/9"
#define COMPARE_MOST     (UINT32_C(1) << 22)
#define COMPARE_OLD_NAME "old scheme"
int compare_list_make(struct compare_list *list, uint32_t addresses, uint32_t dead);

/* One way to ask: a tool with its arguments. */
struct compare_way {
    const char *tool;     /* "reroute", "fping": what --tools chooses by */
    const char *setting;  /* "0.1x10"; "-": it has none that compares */
    const char *program;  /* what is started, and has to be installed */
    const char *argv[24]; /* behind the program; PLACE_* are filled in */
    int status_most;      /* exit codes above it are failures */
    const char *needle;   /* in its answer ... */
    enum {
        COMPARE_COUNT,  /* ... is once for each reachable address */
        COMPARE_BEFORE, /* ... stands behind their number */
        COMPARE_AFTER,  /* ... stands before their number */
    } counting;
    bool on_error; /* the answer is on its standard error */
};

extern const struct compare_way compare_ways[];
extern const size_t compare_way_count;

/* What the arguments depend on. */
struct compare_places {
    char reroute[4096], old_scheme[4096];
    char threads[16];
};

/* The complete command line, argv[0] first, NULL last. */
#define COMPARE_ARGV_MAX 28
void compare_arguments(const struct compare_way *way, const struct compare_places *places,
                       const char *argv[static COMPARE_ARGV_MAX]);

/* Can it be started? */
bool compare_is_installed(const struct compare_way *way, const struct compare_places *places);

/* How many addresses it found reachable; a negative errno when its answer does not say. */
int64_t compare_reachable(const struct compare_way *way, const struct child *child);

/* "5.1", as `--version` says it; "" when it does not. */
void compare_version(const struct compare_way *way, const struct compare_places *places, char *version,
                     size_t size_bytes);

/* --- a run of the study ----------------------------------------------------------------------------------*/

/* One way and one list. */
struct compare_entry {
    const struct compare_way *way;
    const struct compare_list *list;
    size_t rounds;
    uint64_t *wall_ns, *cpu_ns, *unreachable; /* of each round; unreachable: false ones */
    uint64_t false_sum;
    char note[256]; /* why there is nothing, or no more; "" */
};

#define COMPARE_LISTS_MAX      16
#define COMPARE_COMPANIONS_MAX 1024

struct compare_study {
    const char *program;
    uint64_t rounds, dead, threads;
    const char *tools; /* NULL: all */
    bool busy;
    struct compare_list lists[COMPARE_LISTS_MAX];
    size_t list_count;
    struct compare_places places;
    struct compare_entry *entries;
    size_t entry_count;
    pid_t companions[COMPARE_COMPANIONS_MAX]; /* processes that run meanwhile */
    size_t companion_count;
};

/*
 * Prints everything, as one JSON document, as CSV or for people. (report.c; times and counts of all
 * entries ascend.)
 */
enum compare_output { COMPARE_TEXT, COMPARE_CSV, COMPARE_JSON };
void compare_print(const struct compare_study *study, enum compare_output output);
