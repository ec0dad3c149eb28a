/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event journal: what the agent knew and what it decided, so that the selector can be run again over it.
 * The essay is in journal.c; the members are described in reroute-journal(5).
 */
#pragma once

#include "route/decide/selector.h"

#define JOURNAL_SCHEMA    "reroute.journal/1"
#define JOURNAL_FILE      "journal.jsonl"
#define JOURNAL_MAX_BYTES (UINT64_C(4) << 20)

/* What the selector's arrays do not say of themselves; the indices are theirs. */
struct journal_source {
    const void *owner;
    const struct address *(*path_address)(const void *owner, uint32_t path);
    const char *(*access_name)(const void *owner, uint32_t access);
    const char *(*access_uuid)(const void *owner, uint32_t access); /* "" for none */
    /* For people, in snapshots; any may be NULL. */
    const char *host, *version, *service;
};

/* One decision: everything as selector_decide() was given it and left it. */
struct journal_step {
    const struct journal_source *source;
    const struct selector_input *input;
    const struct selector *selector;
    const struct selector_decision *decision;
};

enum journal_line {
    JOURNAL_NEWS,     /* says what has changed since the line before: nothing without that one */
    JOURNAL_SNAPSHOT, /* says everything */
    JOURNAL_HEAD,     /* a snapshot, at the head of a new file: the one until now becomes JOURNAL_FILE ".1" */
};

/* Where the lines go: to journal_file_sink(), which writes, or to somebody who has that done. */
struct journal_sink {
    void *context;
    uint64_t (*size_bytes)(void *context); /* of the file, with all that has been handed over */
    /*
     * Takes one line, which it copies; it adds the end of line. NULL: there was no memory for it. Returns 0, or a
     * negative errno when the line is lost. One that was taken and is lost later: journal_lost().
     */
    int (*append)(void *context, const char *line, enum journal_line kind);
};

struct journal;

/*
 * A journal that goes into this sink. At most max_bytes go into the file before a new one is begun. boottime_ns
 * and now_ns: the same moment on CLOCK_BOOTTIME and on the clock of all the times that are handed in from now on.
 * -ENOMEM.
 */
int journal_new(struct journal **out, const struct journal_sink *sink, uint64_t max_bytes,
                uint64_t boottime_ns, uint64_t now_ns);
struct journal *journal_free(struct journal *journal);

/*
 * After each decision. Writes a line when there is news, which is seldom. 0, or a negative errno when the
 * journal has just become impossible to write: it is tried again from time to time.
 */
int journal_step(struct journal *journal, const struct journal_step *step);

/*
 * So many lines that the sink had taken were not written. error: the journal cannot be written, as above; 0 or
 * -ESTALE: it can be, with a snapshot.
 */
void journal_lost(struct journal *journal, uint64_t now_ns, uint64_t lines, int error);

/* The next step writes everything, because of `why` ("reload", "paths"; static). Needed when indices change.
 */
void journal_renew(struct journal *journal, const char *why);

/* The route was moved, or (error < 0) could not be. */
void journal_switch(struct journal *journal, uint64_t now_ns, const struct address *from,
                    const struct address *to, enum selector_reason reason, int error);
/* A standing route was taken as it is. */
void journal_adopt(struct journal *journal, uint64_t now_ns, const struct address *to);
/* A person's command, for people: what it does is evidence. */
/* A person's order, or the end of one. */
struct journal_order {
    const char *command, *target;
    const char *because; /* empty: nothing was said */
    uint64_t until_ns;   /* CLOCK_REALTIME; 0: none was said */
    bool over;           /* nobody said so: its time is over */
};
void journal_command(struct journal *journal, uint64_t now_ns, const struct journal_order *order);
/* The agent ends. */
void journal_stop(struct journal *journal, uint64_t now_ns);
