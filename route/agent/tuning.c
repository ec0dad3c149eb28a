/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/tuning.h"

#include <math.h>

#include "route/decide/health.h"

#define SEARCH_APART_NS (600 * NS_PER_S)

const char *tuning_mode_text(enum tuning_mode mode)
{
    static const char *const texts[] = {"off", "advise", "auto"};

    return texts[mode];
}

static enum tuning_mode mode_of(const char *text)
{
    return strcmp(text, "auto") == 0 ? TUNING_AUTO : strcmp(text, "advise") == 0 ? TUNING_ADVISE : TUNING_OFF;
}

struct tuning_settings tuning_settings(const struct config *config)
{
    const struct config_probe *probe = &config->probe;
    struct tuning_settings settings = {
        .mode = mode_of(probe->tune),
        .configured = {probe->select_timeout_ns, probe->select_count},
        .limits = {.least_ns = probe->tune_window_min_ns,
                   .most_ns = probe->tune_window_max_ns,
                   .timeout_most_ns = probe->candidate_interval_ns},
        .timeout_min_ns = probe->tune_timeout_min_ns,
    };

    settings.failure_ns = max_u64(settings.limits.most_ns, advice_window_ns(&settings.configured));
    return settings;
}

static bool is_alike(const struct tuning_settings *a, const struct tuning_settings *b)
{
    return a->mode == b->mode && advice_same_pair(&a->configured, &b->configured) &&
           a->limits.least_ns == b->limits.least_ns && a->limits.most_ns == b->limits.most_ns &&
           a->limits.timeout_most_ns == b->limits.timeout_most_ns && a->timeout_min_ns == b->timeout_min_ns;
}

void tuning_configure(struct tuning *tuning, const struct tuning_settings *settings)
{
    if (is_alike(&tuning->settings, settings))
        return;
    if (settings->mode == TUNING_OFF)
        tuning_clear(tuning);
    tuning->settings = *settings;
    tuning->rule = rule_begin(&settings->configured);
    tuning->since_realtime_ns = 0;
    tuning->search = (struct advice_search){0};
    tuning->found = (struct advice){0};
    tuning->high = INFINITY;
    tuning->search_ns = 0;
}

void tuning_clear(struct tuning *tuning)
{
    for (size_t i = 0; i < TUNING_PATHS_MAX; i++)
        free(tuning->paths[i]);
    *tuning = (struct tuning){0};
}

struct advice_pair tuning_in_force(const struct tuning *tuning, const struct tuning_settings *settings)
{
    return settings->mode == TUNING_AUTO && is_alike(&tuning->settings, settings) ? tuning->rule.in_force
                                                                                  : settings->configured;
}

/* --- paths -------------------------------------------------------------------------------------------------*/

static struct tuning_path *find(const struct tuning *tuning, const struct address *path)
{
    for (size_t i = 0; i < TUNING_PATHS_MAX && tuning->paths[i]; i++)
        if (address_equal(&tuning->paths[i]->address, path))
            return tuning->paths[i];
    return NULL;
}

/* A place for one more. NULL without memory. */
static struct tuning_path *add(struct tuning *tuning, const struct address *path)
{
    size_t place = 0;

    for (size_t i = 0; i < TUNING_PATHS_MAX; i++) {
        if (!tuning->paths[i]) {
            place = i;
            break;
        }
        if (tuning->paths[i]->used_ns < tuning->paths[place]->used_ns)
            place = i;
    }
    if (!tuning->paths[place])
        tuning->paths[place] = malloc(sizeof(*tuning->paths[place]));
    if (tuning->paths[place])
        *tuning->paths[place] = (struct tuning_path){.address = *path};
    return tuning->paths[place];
}

void tuning_use(struct tuning *tuning, const struct address *path, bool down, uint64_t now_ns)
{
    struct tuning_path *old = tuning->in_use;

    if (tuning->settings.mode == TUNING_OFF || (old && path && address_equal(&old->address, path)) ||
        (!old && !path))
        return;
    if (old) {
        record_leave(&old->record, &tuning->watch, down);
        old->used_ns = now_ns;
    }
    tuning->in_use = path ? find(tuning, path) : NULL;
    if (path && !tuning->in_use)
        tuning->in_use = add(tuning, path);
    if (tuning->in_use)
        tuning->in_use->used_ns = NEVER_NS;
    tuning->search = (struct advice_search){0};
    tuning->search_ns = 0;
}

/* --- what is found out ---------------------------------------------------------------------------------------*/

static void note_pair(struct tuning *tuning)
{
    tuning->since_realtime_ns = clock_now_ns(CLOCK_REALTIME);
    tuning->save_ns = 0;
}

void tuning_saved(struct tuning *tuning, uint64_t now_ns)
{
    tuning->save_ns = now_ns + TUNING_SAVE_NS;
}

static bool is_life(const struct probe_observation *observation)
{
    return observation->outcome == PROBE_REPLY || observation->outcome == PROBE_LATE;
}

enum tuning_news tuning_observe(struct tuning *tuning, const struct address *path,
                                const struct probe_observation *observation, uint64_t select_timeout_ns)
{
    uint64_t failure_ns = tuning->settings.failure_ns;
    struct tuning_path *known;
    struct advice_pair failed;

    if (tuning->settings.mode == TUNING_OFF)
        return TUNING_NO_NEWS;
    if (tuning->in_use && address_equal(&tuning->in_use->address, path)) {
        record_observe(&tuning->in_use->record, &tuning->watch, health_pace(select_timeout_ns), observation,
                       failure_ns);
        return TUNING_NO_NEWS;
    }
    known = is_life(observation) ? find(tuning, path) : NULL;
    if (!known || !record_answered(&known->record, observation->at_ns, failure_ns))
        return TUNING_NO_NEWS;
    tuning->false_failovers++;
    failed = tuning_in_force(tuning, &tuning->settings);
    if (rule_false_failover(&tuning->rule, &failed, failure_ns, observation->at_ns))
        note_pair(tuning);
    return TUNING_FALSE_FAILOVER;
}

/* The pair that the search speaks for; a count of 0: none. */
static struct advice_pair advised(const struct tuning *tuning)
{
    const struct tuning_settings *settings = &tuning->settings;

    if (tuning->found.pair.select_count == 0 || settings->mode != TUNING_AUTO)
        return tuning->found.pair;
    return advice_finest(&tuning->in_use->record, &tuning->found, settings->timeout_min_ns,
                         settings->configured.select_timeout_ns);
}

static enum tuning_news end_search(struct tuning *tuning, uint64_t now_ns)
{
    const struct record *record = &tuning->in_use->record;
    struct advice_pair pair;
    bool changed;

    tuning->found = tuning->search.best;
    tuning->search = (struct advice_search){0};
    tuning->search_ns = now_ns + SEARCH_APART_NS;
    pair = advised(tuning);
    tuning->high = advice_high(record, advice_window_ns(&tuning->rule.in_force));
    changed = rule_advised(&tuning->rule, &pair, tuning->high, now_ns);
    if (!changed)
        return TUNING_NO_NEWS;
    tuning->high = advice_high(record, advice_window_ns(&tuning->rule.in_force));
    note_pair(tuning);
    return TUNING_ANOTHER_PAIR;
}

enum tuning_news tuning_step(struct tuning *tuning, uint64_t now_ns)
{
    if (tuning->settings.mode == TUNING_OFF || !tuning->in_use || now_ns < tuning->search_ns)
        return TUNING_NO_NEWS;
    if (advice_search_step(&tuning->search, &tuning->in_use->record, &tuning->settings.limits))
        return end_search(tuning, now_ns);
    return TUNING_NO_NEWS;
}

bool tuning_advises(const struct tuning *tuning)
{
    return tuning->rule.reason != RULE_CONFIGURED && tuning->rule.reason != RULE_UNKNOWN;
}

const char *tuning_why(const struct tuning *tuning, char *buffer, size_t size_bytes)
{
    double needs_s = tuning->in_use ? advice_needs_s(&tuning->in_use->record) : ADVICE_WATCH_S;

    if (tuning->settings.mode == TUNING_OFF)
        return "tune is off";
    if (tuning->rule.reason == RULE_FALSE_FAILOVER)
        return "a failover was false: the path that was left answered again soon";
    if (!tuning->in_use)
        return "there is no path in use";
    if (needs_s > 0) {
        snprintf(buffer, size_bytes, "the path in use is to be watched for %.1f h more", needs_s / 3600);
        return buffer;
    }
    if (tuning->found.pair.select_count == 0)
        return "no pair within the limits errs rarely enough by what was seen";
    return tuning_advises(tuning) ? "the fastest pair that errs rarely enough by what was seen"
                                  : "nothing better than the configured pair was found yet";
}
