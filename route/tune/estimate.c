/* SPDX-License-Identifier: Apache-2.0 */
/* Rates of false failures, see estimate.h. */
#include "route/tune/estimate.h"

#include <math.h>

#include "probe/statistics.h"
#include "route/tune/quantile.h"

/* Probability outside an interval, at each end. */
#define OUTSIDE 0.025
/* When it is less probable than this that longer runs only happen to go on more often than shorter ones, they
 * are taken for another kind: to see two kinds in one errs towards more failures. */
#define DOUBT 0.3
/* -ln(0.05): with so many expected, none is seen in one of twenty cases. */
#define RULE_OF_THREE 2.995732273553991
/* Nobody watches ten thousand times as long. */
#define SCALE_MOST 1e4

const char *estimate_basis_text(enum estimate_basis basis)
{
    static const char *const texts[] = {"never up", "measured", "fitted", "none seen"};

    return texts[basis];
}

struct estimate_count estimate_count(uint64_t *incidents, size_t count, double histories)
{
    double squares = 0;

    if (count == 0)
        return (struct estimate_count){0};
    statistics_sort(incidents, count);
    for (size_t i = 0; i < count;) {
        size_t end = i;

        while (end < count && incidents[end] == incidents[i])
            end++;
        squares += (double)(end - i) * (double)(end - i);
        i = end;
    }
    return (struct estimate_count){
        .count = (double)count / histories,
        .effective = (double)count * (double)count / squares,
    };
}

/* Events a year, from a count of which only `effective` are independent. */
static struct quantile_interval yearly(struct estimate_count count, double watched_s)
{
    struct quantile_interval interval = quantile_poisson(count.effective, OUTSIDE);
    double each = count.count / count.effective * ESTIMATE_YEAR_S / watched_s;

    return (struct quantile_interval){interval.low * each, interval.high * each};
}

static double none_high(double watched_s)
{
    return RULE_OF_THREE * ESTIMATE_YEAR_S / watched_s;
}

/* Of the runs that reached `threshold` or a level above it, how many went on to the next one. */
struct going_on {
    double hits, trials; /* as many independent ones as would tell as much */
};

static struct going_on going_on(const struct estimate_tail *tail, uint32_t threshold, double scale)
{
    const struct estimate_count *begin = &tail->levels[threshold];
    double trials = 0, hits = 0, effective = 0, independent = begin->effective / begin->count;

    for (uint32_t n = threshold; n <= ESTIMATE_LEVELS; n++) {
        trials += tail->levels[n].count;
        hits += tail->levels[n + 1].count;
        effective += tail->levels[n + 1].effective;
    }
    /* Those that went on may be of fewer causes than those that began. */
    if (hits > 0)
        independent = fmin(independent, effective / hits);
    return (struct going_on){hits * independent * scale, trials * independent * scale};
}

/* Do runs that have got beyond `threshold` go on more often than all from there on do? */
static bool is_contradicted(const struct estimate_tail *tail, uint32_t threshold, uint32_t level)
{
    struct going_on all = going_on(tail, threshold, 1);
    double chance = all.hits / all.trials;

    for (uint32_t n = threshold + 1; n < level && n <= ESTIMATE_LEVELS; n++) {
        struct going_on beyond;

        if (tail->levels[n + 1].count <= 0)
            break;
        beyond = going_on(tail, n, 1);
        if (quantile_beta_share(beyond.hits, fmax(beyond.trials - beyond.hits, 0) + 1, chance) < DOUBT)
            return true;
    }
    return false;
}

/* The level at which the tail begins; 0: there is too little for a fit. */
static uint32_t threshold_of(const struct estimate_tail *tail, uint32_t level)
{
    uint32_t threshold = tail->levels[1].effective >= ESTIMATE_ENOUGH;

    for (uint32_t n = 2; n < level && n <= ESTIMATE_LEVELS; n++)
        if (tail->levels[n].effective >= ESTIMATE_THRESHOLD)
            threshold = n;
    if (threshold == 0 || threshold >= level)
        return 0;
    /* Then they are of another kind, and make the tail, however few they are. */
    while (is_contradicted(tail, threshold, level))
        threshold++;
    return threshold;
}

/* By the tail above `threshold`, had all been watched `scale` times as long. */
static struct estimate fit(const struct estimate_tail *tail, uint32_t threshold, uint32_t level, double scale)
{
    struct estimate_count begin = tail->levels[threshold];
    uint32_t steps = level - threshold;
    struct going_on runs = going_on(tail, threshold, scale);
    struct quantile_interval h = quantile_share(runs.hits, runs.trials, OUTSIDE);
    /* Half a hit more: where none was seen the chance is small, not nothing. */
    double chance = (runs.hits + 0.5) / (runs.trials + 1);
    struct quantile_interval rate = yearly(
        (struct estimate_count){begin.count * scale, begin.effective * scale}, tail->watched_s * scale);

    return (struct estimate){
        .basis = ESTIMATE_FITTED,
        .per_year = begin.count / tail->watched_s * ESTIMATE_YEAR_S * pow(chance, steps),
        .low = rate.low * pow(h.low, steps),
        .high = rate.high * pow(h.high, steps),
        .threshold = threshold,
    };
}

/* Counted; in `seen` is the interval. */
static struct estimate measure(struct estimate_count failures, double watched_s,
                               struct quantile_interval seen)
{
    return (struct estimate){
        .basis = failures.count > 0 ? ESTIMATE_MEASURED : ESTIMATE_NONE,
        .per_year = failures.count > 0 ? failures.count / watched_s * ESTIMATE_YEAR_S : NAN,
        .low = seen.low,
        .high = seen.high,
    };
}

/* `threshold` is threshold_of(). */
static struct estimate estimate_scaled(const struct estimate_tail *tail, uint32_t threshold, uint32_t level,
                                       struct estimate_count failures, double watched_s, double scale)
{
    bool enough = failures.effective >= ESTIMATE_ENOUGH;
    struct estimate estimate, fitted;
    struct quantile_interval seen;

    if (watched_s <= 0)
        return (struct estimate){.basis = ESTIMATE_NEVER_UP, .per_year = INFINITY, .high = INFINITY};
    failures.count *= scale;
    failures.effective *= scale;
    watched_s *= scale;
    seen = failures.count > 0 ? yearly(failures, watched_s)
                              : (struct quantile_interval){.high = none_high(watched_s)};
    estimate = measure(failures, watched_s, seen);
    if (!enough && threshold) {
        fitted = fit(tail, threshold, level, scale);
        /* What was not seen, or hardly, in all that time is not frequent, whatever the tail says. */
        fitted.high = fmin(fitted.high, seen.high);
        if (failures.count == 0)
            fitted.per_year = fmin(fitted.per_year, fitted.high);
        fitted.low = fmin(fitted.low, fitted.per_year);
        /* A few failures that contradict the fit are believed. */
        if (fitted.per_year >= seen.low && fitted.per_year <= seen.high)
            estimate = fitted;
    }
    estimate.seen = failures.effective;
    return estimate;
}

struct estimate estimate_rate(const struct estimate_tail *tail, uint32_t level,
                              struct estimate_count failures, double watched_s)
{
    return estimate_scaled(tail, threshold_of(tail, level), level, failures, watched_s, 1);
}

double estimate_needed_s(const struct estimate_tail *tail, uint32_t level, struct estimate_count failures,
                         double watched_s, double most_per_year)
{
    uint32_t threshold = threshold_of(tail, level);
    struct estimate now = estimate_scaled(tail, threshold, level, failures, watched_s, 1);
    double low = 1, high = SCALE_MOST;

    if (now.high <= most_per_year)
        return watched_s;
    if (now.basis == ESTIMATE_NONE)
        return watched_s * now.high / most_per_year;
    if (!(estimate_scaled(tail, threshold, level, failures, watched_s, SCALE_MOST).high <= most_per_year))
        return INFINITY;
    while (high / low > 1.01) {
        double middle = sqrt(low * high);

        if (estimate_scaled(tail, threshold, level, failures, watched_s, middle).high <= most_per_year)
            high = middle;
        else
            low = middle;
    }
    return watched_s * high;
}
