/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent knows of its paths, as the text of a file, see tuning.h. */
#include <cjson/cJSON.h>
#include <math.h>

#include "probe/scope.h"
#include "route/agent/tuning.h"

#define SCHEMA "reroute.tune/1"
/* A record is sums over a month: nothing in it is larger. */
#define NUMBER_MOST 1e12
#define RUN_SIZE    48 /* of the text of one length of runs */

/* --- writing -------------------------------------------------------------------------------------------------*/

static void add_pair(cJSON *object, const char *name, const struct advice_pair *pair)
{
    cJSON *item = cJSON_AddObjectToObject(object, name);

    cJSON_AddNumberToObject(item, "select_timeout_us", (double)pair->select_timeout_ns / 1e3);
    cJSON_AddNumberToObject(item, "select_count", pair->select_count);
}

/*
 * Only what is not zero: the length of the runs, their number, the sum of squares. Printed here: a float has nine digits,
 * and for each number of its own cJSON takes ten times as long.
 */
static cJSON *runs_json(const struct record_tail *tail)
{
    char text[RECORD_LEVELS * RUN_SIZE + 3] = "[";
    size_t length = 1;

    for (size_t n = 0; n < RECORD_LEVELS; n++)
        if (tail->levels[n].count > 0 && tail->levels[n].squares > 0)
            length += (size_t)snprintf(text + length, sizeof(text) - length, "%s[%zu,%.9g,%.9g]",
                                       length > 1 ? "," : "", n + 1, (double)tail->levels[n].count,
                                       (double)tail->levels[n].squares);
    snprintf(text + length, sizeof(text) - length, "]");
    return cJSON_CreateRaw(text);
}

static cJSON *span_json(const struct record_span_memory *span)
{
    cJSON *object = cJSON_CreateObject(), *list;

    cJSON_AddNumberToObject(object, "watched_s", span->watched_s);
    list = cJSON_AddArrayToObject(object, "tails");
    for (size_t i = 0; i < RECORD_TIMEOUTS; i++) {
        const struct record_tail *tail = &span->tails[i];
        cJSON *item = cJSON_CreateObject();

        cJSON_AddNumberToObject(item, "select_timeout_ms", record_timeouts_ms[i]);
        cJSON_AddNumberToObject(item, "interval_us", (double)tail->interval_ns / 1e3);
        cJSON_AddNumberToObject(item, "watched_s", tail->watched_s);
        cJSON_AddItemToObject(item, "runs", runs_json(tail));
        cJSON_AddItemToArray(list, item);
    }
    return object;
}

static void add_rule(cJSON *root, const struct tuning *tuning, uint64_t now_ns)
{
    const struct rule *rule = &tuning->rule;
    cJSON *object = cJSON_AddObjectToObject(root, "rule");

    add_pair(object, "configured", &rule->configured);
    add_pair(object, "pair", &rule->in_force);
    cJSON_AddStringToObject(object, "reason", rule_reason_text(rule->reason));
    cJSON_AddNumberToObject(object, "age_s",
                            rule->changed_ns ? (double)sub_sat_u64(now_ns, rule->changed_ns) / 1e9 : -1);
    cJSON_AddNumberToObject(object, "since_s", (double)tuning->since_realtime_ns / 1e9);
}

char *tuning_text(const struct tuning *tuning, uint64_t now_ns)
{
    cJSON *root = cJSON_CreateObject(), *list;
    char *text;

    cJSON_AddStringToObject(root, "schema", SCHEMA);
    cJSON_AddNumberToObject(root, "saved_s", (double)clock_now_ns(CLOCK_REALTIME) / 1e9);
    add_rule(root, tuning, now_ns);
    list = cJSON_AddArrayToObject(root, "paths");
    for (size_t i = 0; i < TUNING_PATHS_MAX && tuning->paths[i]; i++) {
        const struct record *record = &tuning->paths[i]->record;
        cJSON *item = cJSON_CreateObject();

        cJSON_AddStringToObject(item, "address", ADDRESS_TEXT(&tuning->paths[i]->address));
        cJSON_AddItemToObject(item, "month", span_json(&record->spans[RECORD_MONTH]));
        cJSON_AddItemToObject(item, "week", span_json(&record->spans[RECORD_WEEK]));
        cJSON_AddItemToArray(list, item);
    }
    text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

/* --- reading -------------------------------------------------------------------------------------------------*/

static bool take_number(const cJSON *object, const char *name, double least, double most, double *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    if (!cJSON_IsNumber(item) || !(item->valuedouble >= least && item->valuedouble <= most))
        return false;
    *out = item->valuedouble;
    return true;
}

static bool take_pair(const cJSON *object, const char *name, struct advice_pair *pair)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    double timeout_us, count;

    if (!take_number(item, "select_timeout_us", 0, 60e6, &timeout_us) ||
        !take_number(item, "select_count", 0, 1000, &count))
        return false;
    *pair = (struct advice_pair){(uint64_t)timeout_us * NS_PER_US, (uint32_t)count};
    return true;
}

static bool take_runs(const cJSON *list, struct record_tail *tail)
{
    const cJSON *row;

    if (!cJSON_IsArray(list))
        return false;
    cJSON_ArrayForEach(row, list)
    {
        double numbers[3];

        for (int i = 0; i < 3; i++) {
            const cJSON *item = cJSON_GetArrayItem(row, i);

            if (!cJSON_IsNumber(item) || !(item->valuedouble > 0 && item->valuedouble <= NUMBER_MOST))
                return false;
            numbers[i] = item->valuedouble;
        }
        if (cJSON_GetArraySize(row) != 3 || !(numbers[0] >= 1 && numbers[0] <= RECORD_LEVELS))
            return false;
        tail->levels[(size_t)numbers[0] - 1].count = (float)numbers[1];
        tail->levels[(size_t)numbers[0] - 1].squares = (float)numbers[2];
    }
    return true;
}

static bool take_tail(const cJSON *item, size_t i, struct record_tail *tail)
{
    double timeout_ms, interval_us;

    if (!take_number(item, "select_timeout_ms", record_timeouts_ms[i], record_timeouts_ms[i], &timeout_ms) ||
        !take_number(item, "interval_us", 0, 60e6, &interval_us) ||
        !take_number(item, "watched_s", 0, NUMBER_MOST, &tail->watched_s))
        return false;
    tail->interval_ns = (uint64_t)interval_us * NS_PER_US;
    return take_runs(cJSON_GetObjectItemCaseSensitive(item, "runs"), tail);
}

static bool take_span(const cJSON *object, struct record_span_memory *span)
{
    const cJSON *tails = cJSON_GetObjectItemCaseSensitive(object, "tails"), *item;
    size_t i = 0;

    if (!take_number(object, "watched_s", 0, NUMBER_MOST, &span->watched_s) ||
        cJSON_GetArraySize(tails) != RECORD_TIMEOUTS)
        return false;
    cJSON_ArrayForEach(item, tails)
    {
        if (!take_tail(item, i, &span->tails[i]))
            return false;
        i++;
    }
    return true;
}

static int take_path(const cJSON *item, struct tuning_path **out)
{
    const cJSON *address = cJSON_GetObjectItemCaseSensitive(item, "address");
    CLEANUP(free) struct tuning_path *path = calloc(1, sizeof(*path));

    if (!path)
        return -ENOMEM;
    if (!cJSON_IsString(address) || scope_parse_lasting(&path->address, address->valuestring) < 0 ||
        !take_span(cJSON_GetObjectItemCaseSensitive(item, "month"), &path->record.spans[RECORD_MONTH]) ||
        !take_span(cJSON_GetObjectItemCaseSensitive(item, "week"), &path->record.spans[RECORD_WEEK]))
        return -EINVAL;
    *out = TAKE(path);
    return 0;
}

static bool take_reason(const cJSON *object, enum rule_reason *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, "reason");

    for (enum rule_reason i = RULE_CONFIGURED; i <= RULE_FALSE_FAILOVER; i++)
        if (cJSON_IsString(item) && strcmp(item->valuestring, rule_reason_text(i)) == 0) {
            *out = i;
            return true;
        }
    return false;
}

/* A pair that can be in force: as the configuration would have it. */
static bool is_sound(const struct advice_pair *pair)
{
    return pair->select_timeout_ns >= NS_PER_MS && pair->select_count >= 1;
}

static bool take_rule(const cJSON *root, struct rule *rule, uint64_t *since_ns, uint64_t now_ns)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, "rule");
    double age_s, since_s;

    if (!take_pair(object, "configured", &rule->configured) || !take_pair(object, "pair", &rule->in_force) ||
        !take_reason(object, &rule->reason) || !take_number(object, "age_s", -1, NUMBER_MOST, &age_s) ||
        !take_number(object, "since_s", 0, 1e10, &since_s) || !is_sound(&rule->in_force))
        return false;
    rule->changed_ns = age_s < 0 ? 0 : max_u64(sub_sat_u64(now_ns, (uint64_t)(age_s * 1e9)), 1);
    *since_ns = (uint64_t)(since_s * 1e9);
    return true;
}

/* All of it, or nothing. */
static int take_all(const cJSON *root, struct tuning *tuning, uint64_t now_ns)
{
    const cJSON *paths = cJSON_GetObjectItemCaseSensitive(root, "paths"), *item;
    size_t count = 0;
    int error = cJSON_IsArray(paths) && cJSON_GetArraySize(paths) <= TUNING_PATHS_MAX ? 0 : -EINVAL;

    if (!error && !take_rule(root, &tuning->rule, &tuning->since_realtime_ns, now_ns))
        error = -EINVAL;
    cJSON_ArrayForEach(item, paths)
    {
        if (!error)
            error = take_path(item, &tuning->paths[count++]);
    }
    return error;
}

static bool is_old(const cJSON *root)
{
    double now_s = (double)clock_now_ns(CLOCK_REALTIME) / 1e9, saved_s = 0;

    return take_number(root, "saved_s", 0, 1e10, &saved_s) && now_s - saved_s > (double)TUNING_OLD_NS / 1e9;
}

static bool is_allowed(const struct tuning_settings *settings, const struct rule *rule)
{
    uint64_t window_ns = advice_window_ns(&rule->in_force);
    uint64_t timeout_min_ns = min_u64(settings->timeout_min_ns, settings->configured.select_timeout_ns);

    return advice_same_pair(&rule->configured, &settings->configured) &&
           (advice_same_pair(&rule->in_force, &settings->configured) ||
            (window_ns >= settings->limits.least_ns && window_ns <= settings->failure_ns &&
             rule->in_force.select_timeout_ns >= timeout_min_ns));
}

int tuning_take_text(struct tuning *tuning, const char *text, size_t size_bytes, uint64_t now_ns)
{
    struct tuning read = {0};
    cJSON *root = cJSON_ParseWithLength(text, size_bytes);
    const cJSON *schema = cJSON_GetObjectItemCaseSensitive(root, "schema");
    int error = cJSON_IsString(schema) && strcmp(schema->valuestring, SCHEMA) == 0 ? 0 : -EINVAL;

    if (!error)
        error = take_all(root, &read, now_ns);
    if (!error && !is_old(root)) {
        for (size_t i = 0; i < TUNING_PATHS_MAX; i++)
            tuning->paths[i] = TAKE(read.paths[i]);
        if (is_allowed(&tuning->settings, &read.rule)) {
            tuning->rule = read.rule;
            tuning->since_realtime_ns = read.since_realtime_ns;
        }
    }
    tuning_clear(&read);
    cJSON_Delete(root);
    return error;
}
