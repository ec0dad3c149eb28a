/* SPDX-License-Identifier: Apache-2.0 */
#include "route/tune/advice.h"

#include <math.h>

#include "route/decide/health.h"

/* With so many expected none is seen in one of twenty cases. */
#define RULE_OF_THREE 2.995732273553991
/* Longer runs are not counted. */
#define COUNT_MOST (RECORD_LEVELS / 2 + 1)

double advice_needs_s(const struct record *record)
{
    return fmax(0, ADVICE_WATCH_S - record->spans[RECORD_MONTH].watched_s);
}

/* The longest run that was seen; 0: none. */
static uint32_t longest(const struct estimate_tail *tail)
{
    uint32_t n = RECORD_LEVELS;

    while (n > 0 && tail->levels[n].count <= 0)
        n--;
    return n;
}

/* No run was seen to go beyond the longest one; further out a coin is thrown for each request. */
static double unseen_high(const struct estimate_tail *tail, uint32_t level)
{
    double beyond = RULE_OF_THREE * ESTIMATE_YEAR_S / tail->watched_s;

    return beyond * pow(0.5, (double)level - (double)longest(tail) - 1);
}

static bool is_rate(const struct estimate *estimate)
{
    return estimate->basis == ESTIMATE_MEASURED || estimate->basis == ESTIMATE_FITTED;
}

static struct estimate estimate_of(const struct estimate_tail *tail, uint32_t level)
{
    struct estimate estimate = estimate_rate(tail, level, tail->levels[level], tail->watched_s);

    if (estimate.basis == ESTIMATE_NONE)
        estimate.high = fmin(estimate.high, unseen_high(tail, level));
    return estimate;
}

static struct estimate estimate_both(const struct record *record, size_t timeout, uint32_t level)
{
    struct estimate_tail tail = record_tail_of(record, RECORD_MONTH, timeout);
    struct estimate month = estimate_of(&tail, level), week;

    tail = record_tail_of(record, RECORD_WEEK, timeout);
    week = estimate_of(&tail, level);
    return is_rate(&week) && week.low > month.high ? week : month;
}

/* For how long the path was asked in a way that tells of this select-timeout. A day and a night, or it says nothing. */
static bool is_watched(const struct record *record, size_t timeout)
{
    const struct record_tail *tail = &record->spans[RECORD_MONTH].tails[timeout];
    double pace_ns = (double)health_pace(record_timeouts_ms[timeout] * NS_PER_MS);

    return tail->watched_s * (double)tail->interval_ns / pace_ns >= ADVICE_WATCH_S;
}

double advice_high(const struct record *record, uint64_t window_ns)
{
    double high = INFINITY;

    for (size_t i = 0; i < RECORD_TIMEOUTS; i++) {
        uint32_t count = (uint32_t)min_u64(window_ns / (record_timeouts_ms[i] * NS_PER_MS), COUNT_MOST);

        if (count >= 2 && is_watched(record, i))
            high = fmin(high, estimate_both(record, i, pair_misses(count)).high);
    }
    return high;
}

/* Of its requests one of twenty at most begins a run of misses. */
static bool is_usable(const struct record *record, size_t timeout)
{
    const struct record_tail *tail = &record->spans[RECORD_MONTH].tails[timeout];
    double requests = tail->watched_s / ((double)health_pace(record_timeouts_ms[timeout]) / 1e3);

    return (double)tail->levels[0].count <= requests / 20;
}

struct advice_pair advice_finest(const struct record *record, const struct advice *advice, uint64_t least_ns,
                                 uint64_t configured_ns)
{
    uint64_t window_ns = advice_window_ns(&advice->pair), finest_ns = configured_ns;

    for (size_t i = RECORD_TIMEOUTS; i-- > 0;) {
        uint64_t timeout_ns = record_timeouts_ms[i] * NS_PER_MS;

        if (timeout_ns >= least_ns && timeout_ns < configured_ns && is_usable(record, i))
            finest_ns = timeout_ns;
    }
    return (struct advice_pair){finest_ns, (uint32_t)((window_ns + finest_ns - 1) / finest_ns)};
}

static bool is_faster(const struct advice_pair *a, const struct advice_pair *b)
{
    uint64_t x = advice_detection_ns(a), y = advice_detection_ns(b);

    /* Of two that are as fast, the one that asks less often. */
    return b->select_count == 0 || x < y || (x == y && a->select_timeout_ns > b->select_timeout_ns);
}

/* The smallest count of this select-timeout that errs rarely enough: more of it errs less. */
static struct advice smallest_count(const struct record *record, size_t timeout,
                                    const struct advice_limits *limits)
{
    uint64_t timeout_ns = record_timeouts_ms[timeout] * NS_PER_MS;
    uint32_t low = (uint32_t)max_u64((limits->least_ns + timeout_ns - 1) / timeout_ns, 2);
    uint32_t high = (uint32_t)min_u64(limits->most_ns / timeout_ns, COUNT_MOST);
    struct advice found = {0};

    while (low <= high) {
        uint32_t count = (low + high) / 2;
        struct estimate estimate = estimate_both(record, timeout, pair_misses(count));

        if (estimate.high <= ADVICE_FALSE_PER_YEAR) {
            found = (struct advice){.pair = {timeout_ns, count}, .estimate = estimate};
            high = count - 1;
        } else {
            low = count + 1;
        }
    }
    return found;
}

bool advice_search_step(struct advice_search *search, const struct record *record,
                        const struct advice_limits *limits)
{
    struct advice found = {0};

    if (advice_needs_s(record) <= 0 && is_watched(record, search->next) &&
        record_timeouts_ms[search->next] * NS_PER_MS <= limits->timeout_most_ns)
        found = smallest_count(record, search->next, limits);
    if (found.pair.select_count && is_faster(&found.pair, &search->best.pair))
        search->best = found;
    search->best.watched_s = record->spans[RECORD_MONTH].watched_s;
    return ++search->next == RECORD_TIMEOUTS;
}
