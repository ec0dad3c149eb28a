/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent tunes itself, if asked: what it sees of the path in use goes into that path's record, a search through the
 * record gives an advice, and the rule of change says which pair follows from it. In `auto` that pair is in force; in
 * `advise` it is only shown, and the pair of the configuration is in force. route/tune/ has the reasons.
 *
 * Times are the stream's, unless their name says otherwise.
 */
#pragma once

#include "route/config/settings.h"
#include "route/tune/rule.h"

/* So many paths are remembered; the one that has not been in use for longest goes. */
#define TUNING_PATHS_MAX 4

enum tuning_mode { TUNING_OFF, TUNING_ADVISE, TUNING_AUTO };

struct tuning_settings {
    enum tuning_mode mode;
    struct advice_pair configured;
    struct advice_limits limits;
    uint64_t timeout_min_ns; /* in `auto` the select-timeout is no shorter, but where the configured one is */
    uint64_t failure_ns;     /* a longer silence is a failure: it is right to leave */
};

struct tuning_path {
    struct address address;
    uint64_t used_ns; /* when it was last in use; 0: not since the start */
    struct record record;
};

/* All zero: off. Read freely, written by the functions below only. */
struct tuning {
    struct tuning_settings settings;
    struct tuning_path *paths[TUNING_PATHS_MAX]; /* NULL: no more */
    struct tuning_path *in_use;                  /* one of them; NULL: none */
    struct record_watch watch;
    struct rule rule;            /* its pair is in force, or advised */
    uint64_t since_realtime_ns;  /* when that pair came; 0: it is the configured one, from the start */
    struct advice_search search; /* under way */
    struct advice found;         /* by the last search */
    double high;        /* so often at most the rule's pair errs, in a year; INFINITY: nobody knows */
    uint64_t search_ns; /* when the next search begins; it goes on with each step */
    uint64_t false_failovers;
    uint64_t save_ns; /* when the records are to be saved again */
};

struct tuning_settings tuning_settings(const struct config *config);

/*
 * At the start and at each reload. The rule begins anew when the configured pair, the limits or the mode change; what was
 * seen is kept, but by "off".
 */
void tuning_configure(struct tuning *tuning, const struct tuning_settings *settings);
void tuning_clear(struct tuning *tuning);

/* The pair that is in force when these settings are. */
struct advice_pair tuning_in_force(const struct tuning *tuning, const struct tuning_settings *settings);

/* The path in use is another one (NULL: there is none). down: the route left the old one because it was silent. */
void tuning_use(struct tuning *tuning, const struct address *path, bool down, uint64_t now_ns);

/* What tuning_observe() and tuning_step() found out. */
enum tuning_news {
    TUNING_NO_NEWS,
    TUNING_ANOTHER_PAIR,   /* of the rule */
    TUNING_FALSE_FAILOVER, /* the pair may have changed too */
};

/* A usual observation of a path; that of the path in use is asked twice in each select_timeout_ns. */
enum tuning_news tuning_observe(struct tuning *tuning, const struct address *path,
                                const struct probe_observation *observation, uint64_t select_timeout_ns);

/* Goes on with what is due: a part of a search, so that no reply waits for the whole of it. */
enum tuning_news tuning_step(struct tuning *tuning, uint64_t now_ns);

/* Is there an advice? Else the rule's pair is the configured one, for want of a better. */
bool tuning_advises(const struct tuning *tuning);
/* Why the pair is as it is, for people. May use buffer. */
const char *tuning_why(const struct tuning *tuning, char *buffer, size_t size_bytes);
const char *tuning_mode_text(enum tuning_mode mode); /* as in the configuration */

/* --- over a restart ------------------------------------------------------------------------------------------*/

#define TUNING_SAVE_NS (3600 * NS_PER_S)
#define TUNING_OLD_NS  (UINT64_C(30) * 86400 * NS_PER_S) /* what is older is not taken */

/* The records and the rule as text, malloc'ed; NULL without memory. */
char *tuning_text(const struct tuning *tuning, uint64_t now_ns);
/* They were saved, or read: they are to be saved an hour later. */
void tuning_saved(struct tuning *tuning, uint64_t now_ns);
/*
 * Takes what tuning_text() made, after tuning_configure() and before anything was observed. The rule goes on only with
 * the same configured pair and within the limits. 0; -ENOMEM; -EINVAL: it is no such text, or damaged. Then nothing is
 * taken.
 */
int tuning_take_text(struct tuning *tuning, const char *text, size_t size_bytes, uint64_t now_ns);
