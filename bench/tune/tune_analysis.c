/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The analysis of a trace, see tune_analysis.h.
 *
 * For each path and select-timeout the trace is replayed once with a path health that never gives up: that
 * yields the runs of misses, from which a tail is fitted. For each select-count that such a run reached it is
 * replayed again, with the real setting: that yields the failures. A trace in which little happens is read
 * little more than once for each select-timeout.
 *
 * All histories (phases) of a trace are used. Which of their events have one cause is decided by the requests
 * that were missed: those that lie together, with hardly an answer between them, are one incident.
 */
#include "bench/tune/tune_analysis.h"

#include <math.h>

/* So many answers in a row end an incident. */
#define INCIDENT_GAP 4
/* Far longer than any round trip: so many times. */
#define UNSEEN_MARGIN 3

static const uint32_t timeouts_ms[] = {10,  20,  30,  40,  50,  60,  80,  100,  120,  150,
                                       200, 250, 300, 400, 500, 700, 800, 1000, 1500, 2000};

/* --- one path, one select-timeout ------------------------------------------------------------------------*/

struct analysis {
    const struct tune_settings *settings;
    const struct trace_path *path;
    uint64_t interval_us;
    uint64_t select_timeout_us;
    uint64_t phases;
    uint32_t *incident_of; /* for each request of the path */
    uint64_t *keys;        /* events: level and incident */
    size_t key_count, key_room;
    int error;

    struct health_settings patient; /* never gives up */
    uint64_t degradeds;
};

static void mark_incidents(struct analysis *analysis)
{
    uint32_t incident = 0, answers = INCIDENT_GAP;

    for (size_t i = 0; i < analysis->path->count; i++) {
        const struct trace_request *request = &analysis->path->requests[i];

        if (request->fate == TRACE_REPLY && request->rtt_us <= analysis->select_timeout_us) {
            answers++;
            continue;
        }
        incident += answers >= INCIDENT_GAP;
        answers = 0;
        analysis->incident_of[i] = incident;
    }
}

static void add_key(struct analysis *analysis, uint32_t level, size_t request)
{
    if (analysis->key_count == analysis->key_room) {
        size_t room = analysis->key_room ? analysis->key_room * 2 : 4096;
        uint64_t *keys = realloc(analysis->keys, room * sizeof(*keys));

        if (!keys) {
            analysis->error = -ENOMEM;
            return;
        }
        analysis->keys = keys;
        analysis->key_room = room;
    }
    analysis->keys[analysis->key_count++] = (uint64_t)level << 32 | analysis->incident_of[request];
}

static void count_level(void *context, uint32_t level, size_t request)
{
    if (level <= ESTIMATE_LEVELS + 1)
        add_key(context, level, request);
}

static void count_failure(void *context, size_t request)
{
    add_key(context, 0, request);
}

/* Sorts the events by level and counts each. */
static void count_levels(struct analysis *analysis, struct estimate_tail *tail)
{
    size_t begin = 0;

    if (analysis->key_count == 0)
        return;
    /* By level first: the sort of the whole is the sort of each part. */
    estimate_count(analysis->keys, analysis->key_count, 1);
    for (uint32_t level = 1; level <= ESTIMATE_LEVELS + 1; level++) {
        size_t end = begin;

        while (end < analysis->key_count && analysis->keys[end] >> 32 == level)
            end++;
        tail->levels[level] = estimate_count(analysis->keys + begin, end - begin, (double)analysis->phases);
        begin = end;
    }
}

/* What this setting makes of all histories of the path together. */
static struct detect_verdicts judge_phases(struct analysis *analysis, const struct health_settings *health,
                                           const struct detect_notes *notes)
{
    const struct detect_requests requests = trace_requests(analysis->path, analysis->interval_us);
    struct detect_verdicts sum = {0};

    analysis->key_count = 0;
    for (uint64_t phase = 0; phase < analysis->phases; phase++) {
        struct detect_verdicts verdicts =
            detect_judge(&requests, health, phase * analysis->interval_us, notes);

        sum.up_ns += verdicts.up_ns;
        sum.degradeds += verdicts.degradeds;
    }
    return sum;
}

static double watched_s(const struct analysis *analysis, const struct detect_verdicts *verdicts)
{
    return (double)verdicts->up_ns / 1e9 / (double)analysis->phases;
}

static void find_tail(struct analysis *analysis, struct estimate_tail *tail)
{
    const struct detect_notes notes = {.level = count_level, .context = analysis};
    struct detect_verdicts verdicts;

    analysis->patient = analysis->settings->health;
    analysis->patient.select_timeout_ns = analysis->select_timeout_us * NS_PER_US;
    analysis->patient.select_count = UINT32_MAX;
    verdicts = judge_phases(analysis, &analysis->patient, &notes);
    analysis->degradeds = verdicts.degradeds;
    tail->watched_s = watched_s(analysis, &verdicts);
    count_levels(analysis, tail);
}

/* What this setting made of the path: failures, and for how long it was up. */
static struct estimate_count find_failures(struct analysis *analysis, uint32_t select_count, double *up_s)
{
    const struct detect_notes notes = {.down = count_failure, .context = analysis};
    struct health_settings health = analysis->patient;
    struct detect_verdicts verdicts;

    health.select_count = select_count;
    /* Degraded has no part in being down, and costs most of the time: never. */
    health.degraded_percent = 100;
    verdicts = judge_phases(analysis, &health, &notes);
    *up_s = watched_s(analysis, &verdicts);
    return estimate_count(analysis->keys, analysis->key_count, (double)analysis->phases);
}

/* --- all pairs -------------------------------------------------------------------------------------------*/

/* Which of two is worse; a setting that nobody failed is better than any that has an estimate. */
static bool is_worse(const struct estimate *a, const struct estimate *b)
{
    double x = a->basis == ESTIMATE_NONE ? -1 / a->high : a->per_year;
    double y = b->basis == ESTIMATE_NONE ? -1 / b->high : b->per_year;

    return x > y;
}

static bool is_rate(const struct estimate *estimate)
{
    return estimate->basis == ESTIMATE_MEASURED || estimate->basis == ESTIMATE_FITTED;
}

/* Keeps the worst path's estimate. The interval is that of the highest rate of all: another path may have a
 * lower rate that is less well known. */
static void add_path(struct tune_pair *pair, size_t path, const struct estimate *estimate, double needed_s)
{
    const struct tune_pair before = *pair;

    if (is_worse(estimate, &before.estimate)) {
        pair->estimate = *estimate;
        pair->path = path;
        pair->needed_s = needed_s;
    }
    if (is_rate(estimate) && is_rate(&before.estimate)) {
        pair->estimate.low = fmax(estimate->low, before.estimate.low);
        pair->estimate.high = fmax(estimate->high, before.estimate.high);
        pair->needed_s = fmax(needed_s, before.needed_s);
    }
}

static void judge_pair(struct analysis *analysis, const struct estimate_tail *tail, struct tune_pair *pair,
                       size_t path, bool first)
{
    uint32_t level = pair_misses(pair->select_count);
    double watched_s = tail->watched_s, degraded, needed_s;
    struct estimate_count failures = {0};
    struct estimate estimate;

    if (tail->levels[min_u64(level, ESTIMATE_LEVELS + 1)].count > 0)
        failures = find_failures(analysis, pair->select_count, &watched_s);
    estimate = estimate_rate(tail, level, failures, watched_s);
    needed_s = estimate_needed_s(tail, level, failures, watched_s, analysis->settings->most_per_year);
    degraded = tail->watched_s > 0 ? (double)analysis->degradeds / (double)analysis->phases /
                                         tail->watched_s * ESTIMATE_YEAR_S
                                   : 0;
    pair->degraded_per_year = fmax(pair->degraded_per_year, degraded);
    if (first) {
        pair->estimate = estimate;
        pair->path = path;
        pair->needed_s = needed_s;
    } else {
        add_path(pair, path, &estimate, needed_s);
    }
}

/* All pairs of one select-timeout, on one path. */
static int judge_timeout(struct tune_result *result, const struct trace *trace, size_t path, bool first,
                         uint64_t select_timeout_us, const struct tune_settings *settings)
{
    struct estimate_tail tail = {0};
    struct analysis analysis = {
        .settings = settings,
        .path = &trace->paths[path],
        .interval_us = trace->interval_us,
        .select_timeout_us = select_timeout_us,
        .phases = max_u64(1, detect_pace_us(select_timeout_us) / trace->interval_us),
    };

    analysis.incident_of = calloc(analysis.path->count, sizeof(*analysis.incident_of));
    if (!analysis.incident_of)
        return -ENOMEM;
    mark_incidents(&analysis);
    find_tail(&analysis, &tail);
    for (size_t i = 0; i < result->count && analysis.error == 0; i++)
        if (result->pairs[i].select_timeout_us == select_timeout_us)
            judge_pair(&analysis, &tail, &result->pairs[i], path, first);
    free(analysis.incident_of);
    free(analysis.keys);
    return analysis.error;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct tune_pair *x = a, *y = b;
    double fast = tune_bound_ms(x) - tune_bound_ms(y);

    if (fast != 0)
        return fast < 0 ? -1 : 1;
    return (x->select_timeout_us > y->select_timeout_us) - (x->select_timeout_us < y->select_timeout_us);
}

static bool is_pair(const struct tune_pair *pair, uint64_t select_timeout_us, uint32_t select_count)
{
    return pair->select_timeout_us == select_timeout_us && pair->select_count == select_count;
}

/* The grid, and the pair that stands. */
static int make_pairs(struct tune_result *result, const struct trace *trace,
                      const struct tune_settings *settings)
{
    uint64_t standing_us = settings->health.select_timeout_ns / NS_PER_US;
    uint32_t standing_count = settings->health.select_count;
    bool found = false;

    result->pairs = calloc(ARRAY_SIZE(timeouts_ms) * PAIR_COUNT_MAX + 1, sizeof(*result->pairs));
    result->summaries = calloc(trace->path_count, sizeof(*result->summaries));
    if (!result->pairs || !result->summaries)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_SIZE(timeouts_ms); i++) {
        uint64_t timeout_us = timeouts_ms[i] * UINT64_C(1000);

        if (timeout_us % (2 * trace->interval_us) || timeout_us > trace->wait_us)
            continue;
        for (uint32_t n = 1; n <= PAIR_COUNT_MAX && n * timeout_us <= settings->window_most_us; n++) {
            result->pairs[result->count++] =
                (struct tune_pair){.select_timeout_us = timeout_us, .select_count = n};
            found = found || is_pair(&result->pairs[result->count - 1], standing_us, standing_count);
        }
    }
    if (!found)
        result->pairs[result->count++] =
            (struct tune_pair){.select_timeout_us = standing_us, .select_count = standing_count};
    qsort(result->pairs, result->count, sizeof(*result->pairs), compare_pairs);
    for (size_t i = 0; i < result->count; i++)
        if (is_pair(&result->pairs[i], standing_us, standing_count))
            result->standing = i;
    return 0;
}

static void note_first(size_t *which, size_t i, bool is)
{
    if (*which == TUNE_NO_PAIR && is)
        *which = i;
}

static void choose(struct tune_result *result, const struct trace *trace,
                   const struct tune_settings *settings)
{
    double best = INFINITY;
    uint64_t most_us = 0;
    bool none = false;

    for (size_t i = 0; i < trace->path_count; i++)
        most_us = max_u64(most_us, result->summaries[i].most_us);
    result->sure = result->likely = result->unseen = TUNE_NO_PAIR;
    for (size_t i = 0; i < result->count; i++) {
        struct tune_pair *pair = &result->pairs[i];
        const struct estimate *estimate = &pair->estimate;

        if (estimate->basis == ESTIMATE_NONE) {
            pair->frontier = !none;
            none = true;
            note_first(&result->unseen, i,
                       tune_window_us(pair) >= UNSEEN_MARGIN * most_us &&
                           pair->select_count >= UNSEEN_MARGIN);
            continue;
        }
        pair->frontier = estimate->per_year < best;
        best = fmin(best, estimate->per_year);
        note_first(&result->likely, i, estimate->per_year <= settings->most_per_year);
        note_first(&result->sure, i, estimate->high <= settings->most_per_year);
    }
}

/* Is it the first pair of its select-timeout? */
static bool begins_timeout(const struct tune_result *result, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (result->pairs[k].select_timeout_us == result->pairs[i].select_timeout_us)
            return false;
    return true;
}

int tune_analyse(struct tune_result *result, struct trace *trace, const struct tune_settings *settings,
                 void (*progress)(void *context, double share), void *context)
{
    bool first = true;
    int r;

    *result = (struct tune_result){0};
    r = make_pairs(result, trace, settings);
    for (size_t path = 0; r == 0 && path < trace->path_count; path++) {
        r = clean_path(&trace->paths[path], trace->interval_us, settings->failure_us,
                       &result->summaries[path]);
        if (r < 0 || result->summaries[path].fates[TRACE_REPLY] == 0)
            continue;
        for (size_t i = 0; r == 0 && i < result->count; i++) {
            double share = ((double)path + (double)i / (double)result->count) / (double)trace->path_count;

            if (!begins_timeout(result, i))
                continue;
            if (progress)
                progress(context, share);
            r = judge_timeout(result, trace, path, first, result->pairs[i].select_timeout_us, settings);
        }
        first = false;
    }
    if (r == 0 && first)
        return -ENODATA;
    if (r == 0)
        choose(result, trace, settings);
    return r;
}

void tune_clear(struct tune_result *result)
{
    free(result->pairs);
    free(result->summaries);
    *result = (struct tune_result){0};
}

size_t tune_recommended(const struct tune_result *result)
{
    if (result->sure != TUNE_NO_PAIR)
        return result->sure;
    return result->likely != TUNE_NO_PAIR ? result->likely : result->standing;
}
