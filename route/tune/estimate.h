/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often a setting will take a working path for a dead one. Pure.
 *
 * A run of misses is a row of requests without a reply. It reaches level n when it has n of them. The
 * evidence is how often runs reached each level.
 *
 *   - A setting's own failures were seen often enough: they are counted.
 *   - They were not: they are extrapolated from a level u that was. Beyond it each run goes on from level to
 *     level with the same chance h, which was seen at u and above:
 *
 *         rate(n) = rate(u) * h^(n - u)
 *
 *     (Peaks over threshold with an exponential tail; here in whole waits, so a geometric one.)
 *
 * Which u? The highest level that was reached in ESTIMATE_THRESHOLD incidents. Bursts and spikes of a usual
 * length end below it, so they do not spoil h; independent losses make just such a tail. An exception: runs
 * went further than this tail would let them, for instance where long silences with a rare cause stand
 * beside frequent short ones. Then u is raised until they no longer do. A few incidents make the tail then,
 * and the interval is wide.
 *
 * No trace tells whether there is something rarer and longer than all that happened in it. The interval holds
 * for causes of the kinds that were seen.
 *
 * An incident is one cause: a stretch of time without timely replies. Several of the histories that a trace
 * holds (route/tune/detect.h) see the same incident, so they are no independent witnesses. What is counted is
 * divided into incidents first. How sure one may be follows from Kish's effective sample size: the number of
 * equally weighty incidents that would tell as much.
 */
#pragma once

#include "probe/base.h"

#define ESTIMATE_YEAR_S (365.25 * 86400)
#define ESTIMATE_LEVELS 64
/* So many incidents make a rate by themselves, and the least for a fit. */
#define ESTIMATE_ENOUGH 5
/* The tail begins where so many incidents reached, or further out. */
#define ESTIMATE_THRESHOLD 20

/* How often something happened in one history, and how many independent incidents that is worth. */
struct estimate_count {
    double count;
    double effective;
};

/*
 * Counts from keys, one for each event of each history: its incident's number. Sorts them. histories > 0.
 */
struct estimate_count estimate_count(uint64_t *incidents, size_t count, double histories);

/* Runs of misses of one select-timeout on one path. */
struct estimate_tail {
    double watched_s;                                  /* the path was up for so long */
    struct estimate_count levels[ESTIMATE_LEVELS + 2]; /* [n]: runs that reached n; [0] is not used */
};

enum estimate_basis {
    ESTIMATE_NEVER_UP, /* by this setting the path never worked */
    ESTIMATE_MEASURED, /* counted */
    ESTIMATE_FITTED,   /* extrapolated */
    ESTIMATE_NONE,     /* nothing seen and nothing to fit: `high` is the rule of three */
};
const char *estimate_basis_text(enum estimate_basis basis); /* "measured", ... */

struct estimate {
    enum estimate_basis basis;
    double per_year;    /* false failures; NAN for ESTIMATE_NONE, INFINITY for ESTIMATE_NEVER_UP */
    double low, high;   /* with 95 % between them; of ESTIMATE_NONE, 95 % below `high` */
    double seen;        /* incidents in which this setting failed */
    uint32_t threshold; /* of ESTIMATE_FITTED */
};

/*
 * Of a setting that fails when a run of misses reaches `level`, with what its own verdicts came to: failures (in
 * watched_s of being up).
 */
struct estimate estimate_rate(const struct estimate_tail *tail, uint32_t level,
                              struct estimate_count failures, double watched_s);

/*
 * How long the same path would have to be watched, going on as it did, until `high` is no more than
 * most_per_year; INFINITY: it never will be.
 */
double estimate_needed_s(const struct estimate_tail *tail, uint32_t level, struct estimate_count failures,
                         double watched_s, double most_per_year);
