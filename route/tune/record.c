/* SPDX-License-Identifier: Apache-2.0 */
#include "route/tune/record.h"

#include "route/tune/detect.h"

#define CONTEXT   8 /* rows that are kept while all is calm */
#define CALM      4 /* so many answers at once in a row end a stretch, and what the longest pace asks for */
#define DAY_S     86400.0
#define PLENTY    20
#define FAR       4
#define FADED_S   3600.0     /* what is left of better evidence when worse may take its place */
#define FORGOTTEN (1.0F / 3) /* less than so much of an incident is left */
/* Rows count from so long before the first one, and for so long. */
#define BASE_BEFORE_NS (60 * NS_PER_S)
#define BASE_LASTS_NS  (24 * 3600 * NS_PER_S)

const uint32_t record_timeouts_ms[RECORD_TIMEOUTS] = {20, 30, 50, 80, 100, 150, 200, 300};

static uint64_t timeout_us(size_t i)
{
    return record_timeouts_ms[i] * UINT64_C(1000);
}

static uint64_t pace_us(size_t i)
{
    return health_pace(timeout_us(i));
}

/* --- sums ------------------------------------------------------------------------------------------------*/

/*
 * As if one of nine incidents had never been: the fewer are left, the less sure is what they say. (With the square of the
 * rest they would seem to be as many as before, and each to matter less and less.)
 */
static void fade_tail(struct record_tail *tail)
{
    const float rest = 8.0F / 9;

    tail->watched_s *= (double)rest;
    for (size_t n = 0; n < RECORD_LEVELS; n++) {
        float count = rest * tail->levels[n].count, squares = rest * tail->levels[n].squares;
        bool is_forgotten = count * count < FORGOTTEN * squares;

        tail->levels[n].count = is_forgotten ? 0 : count;
        tail->levels[n].squares = is_forgotten ? 0 : squares;
    }
}

static void fade(struct record_span_memory *span)
{
    span->watched_s *= 8.0 / 9;
    for (size_t i = 0; i < RECORD_TIMEOUTS; i++)
        fade_tail(&span->tails[i]);
}

/* Better evidence takes the place of worse; false: there is better. */
static bool takes(struct record_tail *tail, uint64_t pace_ns, uint64_t interval_ns)
{
    uint64_t with_ns = max_u64(pace_ns, interval_ns);

    if (tail->interval_ns == 0)
        tail->interval_ns = with_ns;
    if (with_ns == tail->interval_ns)
        return true;
    if (with_ns > tail->interval_ns && tail->watched_s > FADED_S)
        return false;
    *tail = (struct record_tail){.interval_ns = with_ns};
    return true;
}

/* In the time of the week, were there far more or far fewer runs of this length than the month lets expect? */
static bool differs(const struct estimate_tail *month, const struct estimate_tail *week, size_t level)
{
    double share = month->watched_s > 0 ? week->watched_s / month->watched_s : 0;
    double expected = month->levels[level].effective * share, seen = week->levels[level].effective;

    return (expected >= PLENTY && seen < expected / FAR) || (seen >= PLENTY && seen > expected * FAR);
}

static bool network_has_changed(const struct record *record)
{
    for (size_t i = 0; i < RECORD_TIMEOUTS; i++) {
        struct estimate_tail month = record_tail_of(record, RECORD_MONTH, i);
        struct estimate_tail week = record_tail_of(record, RECORD_WEEK, i);

        for (size_t n = 1; n <= RECORD_LEVELS; n++)
            if (differs(&month, &week, n))
                return true;
    }
    return false;
}

static void end_week(struct record *record)
{
    if (network_has_changed(record))
        record->spans[RECORD_MONTH] = record->spans[RECORD_WEEK];
    record->spans[RECORD_WEEK] = (struct record_span_memory){0};
}

void record_watched(struct record *record, uint64_t watched_ns, uint64_t interval_ns)
{
    double watched_s = (double)watched_ns / 1e9;

    for (size_t s = 0; s < RECORD_SPANS; s++) {
        struct record_span_memory *span = &record->spans[s];

        span->watched_s += watched_s;
        for (size_t i = 0; i < RECORD_TIMEOUTS; i++) {
            uint64_t pace_ns = pace_us(i) * NS_PER_US;

            if (takes(&span->tails[i], pace_ns, interval_ns))
                span->tails[i].watched_s += watched_s * (double)pace_ns / (double)span->tails[i].interval_ns;
        }
    }
    if (record->spans[RECORD_WEEK].watched_s >= 7 * DAY_S)
        end_week(record);
    while (record->spans[RECORD_MONTH].watched_s >= 30 * DAY_S * 9 / 8)
        fade(&record->spans[RECORD_MONTH]);
}

/* interval_ns 0: known by its ends, which is as good as any evidence. */
static void add(struct record *record, size_t timeout, uint64_t interval_ns, size_t level, float count)
{
    for (size_t s = 0; s < RECORD_SPANS; s++) {
        struct record_tail *tail = &record->spans[s].tails[timeout];

        if (interval_ns && !takes(tail, pace_us(timeout) * NS_PER_US, interval_ns))
            continue;
        tail->levels[level - 1].count += count;
        tail->levels[level - 1].squares += count * count;
    }
}

struct estimate_tail record_tail_of(const struct record *record, enum record_span span, size_t timeout)
{
    const struct record_tail *from = &record->spans[span].tails[timeout];
    struct estimate_tail tail = {.watched_s = from->watched_s};

    for (size_t n = 1; n <= RECORD_LEVELS; n++) {
        double count = (double)from->levels[n - 1].count, squares = (double)from->levels[n - 1].squares;

        if (count > 0 && squares > 0)
            tail.levels[n] = (struct estimate_count){.count = count, .effective = count * count / squares};
    }
    return tail;
}

/* --- judging a stretch -----------------------------------------------------------------------------------*/

struct levels {
    uint32_t runs[RECORD_LEVELS];
};

static void note_level(void *context, uint32_t level, size_t request)
{
    struct levels *levels = context;

    if (level <= RECORD_LEVELS)
        levels->runs[level - 1]++;
}

static bool is_slower(const struct trace_request *row, uint64_t than_us)
{
    return row->fate != TRACE_REPLY || row->rtt_us > than_us;
}

/* A run of misses needs two requests of one history, a pace apart, of which none is answered soon. */
static bool may_have_runs(const struct detect_requests *requests, size_t timeout)
{
    size_t step = (size_t)(pace_us(timeout) / requests->interval_us);
    uint64_t soon_us = pace_us(timeout) / 2;

    for (size_t i = 0; i + step < requests->count; i++)
        if (is_slower(&requests->rows[i], timeout_us(timeout)) &&
            (is_slower(&requests->rows[i + step], soon_us) ||
             (i + step + 1 < requests->count && is_slower(&requests->rows[i + step + 1], soon_us))))
            return true;
    return false;
}

/* Its own pace was watched: all histories of it. */
static void judge_seen(struct record *record, const struct detect_requests *requests, size_t timeout)
{
    const struct health_settings patient = {.select_timeout_ns = timeout_us(timeout) * NS_PER_US,
                                            .select_count = UINT32_MAX,
                                            .rise = 1,
                                            .degraded_percent = 100,
                                            .degraded_over_ns = NS_PER_S,
                                            .hold_ns = NS_PER_S};
    struct levels levels = {0};
    const struct detect_notes notes = {.level = note_level, .context = &levels};
    uint64_t phases = max_u64(1, pace_us(timeout) / requests->interval_us);

    if (!may_have_runs(requests, timeout))
        return;
    for (uint64_t phase = 0; phase < phases; phase++)
        detect_judge(requests, &patient, phase * requests->interval_us, &notes);
    for (size_t n = 1; n <= RECORD_LEVELS; n++)
        if (levels.runs[n - 1])
            add(record, timeout, requests->interval_us * NS_PER_US, n,
                (float)levels.runs[n - 1] / (float)phases);
}

/* One cause, in which so many requests in a row may have gone unanswered. */
static void add_run(struct record *record, size_t timeout, uint64_t interval_ns, uint64_t misses)
{
    for (size_t n = 1; n <= min_u64(misses, RECORD_LEVELS); n++)
        add(record, timeout, interval_ns, n, 1);
}

/* Its pace is faster: between the answers before and behind a run all may have been lost. */
static void judge_unseen(struct record *record, const struct detect_requests *requests, size_t timeout)
{
    uint64_t longest_us = 0;

    for (size_t i = 0, before = 0; i < requests->count; i++) {
        if (is_slower(&requests->rows[i], timeout_us(timeout)))
            continue;
        if (i > before + 1)
            longest_us = max_u64(longest_us, requests->rows[i].sent_us - requests->rows[before].sent_us);
        before = i;
    }
    if (longest_us)
        add_run(record, timeout, requests->interval_us * NS_PER_US, longest_us / pace_us(timeout) - 1);
}

static void judge(struct record *record, const struct record_watch *watch, size_t count)
{
    const struct detect_requests requests = {
        .rows = watch->rows, .count = count, .interval_us = watch->interval_ns / NS_PER_US, .up = true};

    for (size_t i = 0; watch->stirred && i < RECORD_TIMEOUTS; i++)
        if (pace_us(i) >= requests.interval_us)
            judge_seen(record, &requests, i);
        else
            judge_unseen(record, &requests, i);
}

/* --- rows ------------------------------------------------------------------------------------------------*/

static void flush_time(struct record *record, struct record_watch *watch)
{
    if (!watch->watched_ns)
        return; /* one that has just begun has no interval yet */
    record_watched(record, watch->watched_ns, watch->interval_ns);
    watch->watched_ns = 0;
}

/* All but the last rows are not needed any more. */
static void keep_last(struct record_watch *watch, size_t keep)
{
    if (watch->count <= keep)
        return;
    memmove(watch->rows, watch->rows + watch->count - keep, keep * sizeof(watch->rows[0]));
    watch->count = keep;
}

static void begin_stretch(struct record_watch *watch, size_t keep)
{
    keep_last(watch, keep);
    watch->stirred = false;
    watch->calm = 0;
}

/* How many of the newest rows have no answer. */
static size_t silent_rows(const struct record_watch *watch)
{
    size_t n = 0;

    while (n < watch->count && watch->rows[watch->count - 1 - n].fate != TRACE_REPLY)
        n++;
    return n;
}

static uint64_t row_ns(const struct record_watch *watch, size_t i)
{
    return watch->base_ns + (uint64_t)watch->rows[i].sent_us * NS_PER_US;
}

void record_leave(struct record *record, struct record_watch *watch, bool down)
{
    size_t silent = silent_rows(watch);

    judge(record, watch, watch->count - silent);
    flush_time(record, watch);
    if (silent)
        record->silent_ns = row_ns(watch, watch->count - silent);
    record->left = down && record->silent_ns;
    *watch = (struct record_watch){0};
}

bool record_answered(struct record *record, uint64_t now_ns, uint64_t failure_ns)
{
    uint64_t silence_ns = sub_sat_u64(now_ns, record->silent_ns);
    bool left = record->left;

    if (!record->silent_ns)
        return false;
    record->silent_ns = 0;
    record->left = false;
    if (silence_ns > failure_ns)
        return false;
    if (left)
        *record = (struct record){0};
    for (size_t i = 0; i < RECORD_TIMEOUTS; i++)
        add_run(record, i, 0, sub_sat_u64(silence_ns / NS_PER_US / pace_us(i), 1));
    return left;
}

static struct trace_request row_of(const struct record_watch *watch,
                                   const struct probe_observation *observation)
{
    struct trace_request row = {
        .sent_us = ((observation->sent_ns - watch->base_ns) / NS_PER_US) & TRACE_SENT_MAX_US,
        .rtt_us =
            min_u64(sub_sat_u64(observation->at_ns, observation->sent_ns) / NS_PER_US, TRACE_RTT_MAX_US) &
            TRACE_RTT_MAX_US};

    switch (observation->outcome) {
    case PROBE_REPLY:
    case PROBE_LATE:
    case PROBE_DUPLICATE:
        row.fate = TRACE_REPLY;
        break;
    case PROBE_TIMEOUT:
        row.fate = TRACE_LOST;
        break;
    case PROBE_UNREACHABLE:
    case PROBE_FRAG_NEEDED:
        row.fate = TRACE_ERROR;
        break;
    case PROBE_SEND_FAILED:
        row.fate = TRACE_REFUSED;
        break;
    }
    return row;
}

/* In the order in which they left; the late reply of one that is there takes its place. */
static void insert(struct record_watch *watch, struct trace_request row)
{
    size_t i = watch->count;

    while (i > 0 && watch->rows[i - 1].sent_us > row.sent_us)
        i--;
    if (i > 0 && watch->rows[i - 1].sent_us == row.sent_us) {
        watch->rows[i - 1] = row;
        return;
    }
    memmove(watch->rows + i + 1, watch->rows + i, (watch->count - i) * sizeof(watch->rows[0]));
    watch->rows[i] = row;
    watch->count++;
}

static void note_time(struct record_watch *watch, const struct probe_observation *observation)
{
    uint64_t gap_ns = sub_sat_u64(observation->sent_ns, watch->newest_ns);

    if (watch->newest_ns && observation->outcome == PROBE_REPLY && gap_ns < 2 * watch->interval_ns)
        watch->watched_ns += gap_ns;
    watch->newest_ns = max_u64(watch->newest_ns, observation->sent_ns);
}

/* The rows before this answer, if what they end with was a failure. */
static void end_failure(struct record *record, struct record_watch *watch, uint64_t now_ns,
                        uint64_t failure_ns)
{
    size_t silent = silent_rows(watch);

    if (silent == 0 || now_ns - row_ns(watch, watch->count - silent) <= failure_ns)
        return;
    judge(record, watch, watch->count - silent);
    begin_stretch(watch, 0);
}

/* No room for another row. A silence goes on without rows. */
static void make_room(struct record *record, struct record_watch *watch)
{
    uint64_t interval_ns = watch->interval_ns, newest_ns = watch->newest_ns;

    if (silent_rows(watch)) {
        record_leave(record, watch, false);
        watch->interval_ns = interval_ns;
        watch->newest_ns = newest_ns;
        return;
    }
    judge(record, watch, watch->count);
    flush_time(record, watch);
    begin_stretch(watch, 1);
}

static void take_row(struct record *record, struct record_watch *watch, struct trace_request row)
{
    size_t calm = CALM + (size_t)(pace_us(RECORD_TIMEOUTS - 1) * NS_PER_US / watch->interval_ns);
    bool at_once = !is_slower(&row, timeout_us(0));

    insert(watch, row);
    watch->stirred = watch->stirred || !at_once;
    watch->calm = at_once ? watch->calm + 1 : 0;
    if (!watch->stirred) {
        keep_last(watch, CONTEXT);
    } else if (watch->calm >= calm) {
        judge(record, watch, watch->count);
        begin_stretch(watch, CONTEXT);
    }
    if (watch->watched_ns >= 10 * NS_PER_S)
        flush_time(record, watch);
}

void record_observe(struct record *record, struct record_watch *watch, uint64_t interval_ns,
                    const struct probe_observation *observation, uint64_t failure_ns)
{
    bool life = observation->outcome == PROBE_REPLY || observation->outcome == PROBE_LATE;

    if (observation->outcome == PROBE_DUPLICATE)
        return;
    if (watch->interval_ns != interval_ns) {
        record_leave(record, watch, false);
        watch->interval_ns = interval_ns;
    }
    if (life)
        record_answered(record, observation->at_ns, failure_ns); /* never left: it is in use again */
    if (record->silent_ns)
        return;
    if (life)
        end_failure(record, watch, observation->at_ns, failure_ns);
    if (watch->count == RECORD_ROWS)
        make_room(record, watch);
    if (record->silent_ns)
        return;
    if (watch->count == 0 || observation->sent_ns >= watch->base_ns + BASE_LASTS_NS) {
        begin_stretch(watch, 0);
        watch->base_ns = sub_sat_u64(observation->sent_ns, BASE_BEFORE_NS);
    }
    if (observation->sent_ns < watch->base_ns)
        return;
    note_time(watch, observation);
    take_row(record, watch, row_of(watch, observation));
}
