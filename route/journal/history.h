/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A history: what happened to the paths of one host, as a row of events that the selector can be run over. It
 * is read from a journal (reroute-journal(5)), or made up. Times are nanoseconds on one clock that never goes
 * back, also over a reboot; evidence as in route/journal/evidence.h.
 */
#pragma once

#include "route/journal/evidence.h"

#define HISTORY_NAME_SIZE 64

enum history_kind {
    HISTORY_PATH,    /* evidence of a path; its access may be SELECTOR_NO_ACCESS: not configured (any more) */
    HISTORY_ACCESS,  /* evidence of an access */
    HISTORY_HOST,    /* evidence of the host */
    HISTORY_CURRENT, /* the path in use, in a snapshot */
    HISTORY_DECIDE,  /* all evidence of this moment has been given: the host decided this */
    HISTORY_SWITCH,  /* the host moved its route */
    HISTORY_ADOPT,   /* the host took a standing route */
    HISTORY_STOP,    /* its agent ended; a HISTORY_CURRENT with `start` follows when it runs again */
    HISTORY_ALIVE,   /* nothing happened */
    HISTORY_SERVES,  /* whether a path serves; may be known only later, so it stands where it began */
};

struct history_event {
    enum history_kind kind;
    uint64_t at_ns;
    uint32_t index; /* path or access; of CURRENT, SWITCH, ADOPT: the path, SELECTOR_NO_PATH for none */
    union {
        struct path_evidence path;
        struct access_evidence access;
        struct journal_host host;
        struct {
            bool start; /* of the agent's process: it remembers nothing */
        } current;
        struct history_decision {
            bool switch_now;
            bool wait_proof;     /* the host had to wait for an answer before it could leave */
            bool wait_full_size; /* ... for a full-size probe before it could return */
            uint32_t to;
        } decide;
        struct {
            enum selector_reason reason;
            bool done;
        } moved;
        struct {
            bool serves;
            bool well; /* it serves, with little loss */
        } serves;
    };
};

/* What the selector remembered at the beginning of a journal whose older part is gone. */
struct history_memory {
    struct path_memory *paths;
    struct access_memory *accesses;
};

struct history {
    char host[HISTORY_NAME_SIZE], service[ADDRESS_TEXT_SIZE], version[HISTORY_NAME_SIZE];
    char (*paths)[ADDRESS_TEXT_SIZE]; /* every path that was ever there */
    uint32_t path_count;
    char (*accesses)[HISTORY_NAME_SIZE];
    uint32_t access_count;
    struct history_event *events;
    size_t event_count;
    struct history_memory memory; /* indices as above, but only as many as the first snapshot had */
    uint32_t memory_path_count, memory_access_count;
    struct history_wall {
        uint64_t from_ns, shift_ns; /* from then on: added to a time (modulo 2^64) it is CLOCK_REALTIME */
    } * walls;
    size_t wall_count;
    unsigned starts;
    unsigned long damaged; /* lines that could not be read */
};

/*
 * Reads a journal; the older file of a rotated pair (PATH.1), if it is there, comes first. 0, or a negative
 * errno with one line in message: -EPROTO when it is no journal of a schema that is known, or one
 * that no agent would write (FILE:LINE: what was expected); its size and the time that it covers are bounded.
 */
int history_read(struct history **out, const char *path, char *message, size_t size_bytes);
struct history *history_free(struct history *history);
DEFINE_CLEANUP(struct history *, history_free)

/* CLOCK_REALTIME of a moment of the history. */
uint64_t history_realtime_ns(const struct history *history, uint64_t at_ns);

/* For who makes one up: appends (-ENOMEM), and puts the events in order (those of one time stay as they are;
 * -ENOMEM).
 */
int history_add(struct history *history, const struct history_event *event);
int history_sort(struct history *history);
