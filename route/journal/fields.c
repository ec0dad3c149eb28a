/* SPDX-License-Identifier: Apache-2.0 */
#include "route/journal/fields.h"

#include "route/journal/evidence.h"

static const char *const tiers[] = {"data", "secondary", "management", "foreign", NULL};
static const char *const states[] = {"unknown", "up", "down", NULL};
static const char *const full_sizes[] = {"untested", "passed", "lost", NULL};
static const char *const localities[] = {"local", "same-zone", "other-zone", NULL};
static const char *const sessions[] = {"unknown", "alive", "stable", "dead", NULL};

#define PATH(member)   offsetof(struct path_evidence, member)
#define HEALTH(member) offsetof(struct path_evidence, health.member)
#define ACCESS(member) offsetof(struct journal_access, member)
#define HOST(member)   offsetof(struct journal_host, member)

const struct field fields_path[] = {
    {"tier", FIELD_WORD, PATH(tier), tiers},
    {"state", FIELD_WORD, HEALTH(state), states},
    {"degraded", FIELD_BOOL, HEALTH(degraded)},
    {"up_since_ns", FIELD_TIME, HEALTH(up_since_ns)},
    {"on_link", FIELD_BOOL, PATH(on_link)},
    {"link_usable", FIELD_BOOL, PATH(link_usable)},
    {"service_bad", FIELD_BOOL, PATH(service_bad)},
    {"service_good", FIELD_BOOL, PATH(service_good)},
    {"full_size", FIELD_WORD, PATH(full_size), full_sizes},
    {"pinned", FIELD_BOOL, PATH(pinned)},
    {"missing", FIELD_BOOL, HEALTH(missing), .soft = true},
    {"losing", FIELD_BOOL, HEALTH(losing), .soft = true},
    {"first_missed_ns", FIELD_TIME, HEALTH(first_missed_ns), .soft = true},
    {"last_reply_ns", FIELD_REPLY, HEALTH(last_reply_ns), .soft = true},
    {"proven_ns", FIELD_REPLY, HEALTH(proven_ns), .soft = true},
    {"loss_ppm", FIELD_COUNT, HEALTH(loss_ppm), .soft = true},
    {0},
};

const struct field fields_access[] = {
    {"locality", FIELD_WORD, ACCESS(evidence.locality), localities},
    {"session", FIELD_WORD, ACCESS(evidence.session), sessions},
    {"unlisted", FIELD_BOOL, ACCESS(evidence.unlisted)},
    {"uuid", FIELD_TEXT, ACCESS(uuid)},
    {"restarts", FIELD_COUNT, ACCESS(evidence.restarts)},
    {"drained", FIELD_BOOL, ACCESS(evidence.drained)},
    {"stable_at_ns", FIELD_TIME, ACCESS(evidence.stable_at_ns), .soft = true},
    {"weight", FIELD_U64, ACCESS(evidence.weight)},
    {0},
};

const struct field fields_host[] = {
    {"sessions_waived", FIELD_BOOL, HOST(evidence.sessions_waived)},
    {"list_arrived", FIELD_BOOL, HOST(evidence.list_arrived)},
    {"failback_now", FIELD_BOOL, HOST(evidence.failback_now)},
    {"pin_hard", FIELD_BOOL, HOST(evidence.pin_hard)},
    {"pin_now", FIELD_BOOL, HOST(evidence.pin_now)},
    {"window_ns", FIELD_U64, HOST(evidence.window_ns)},
    {"select_timeout_ns", FIELD_U64, HOST(evidence.select_timeout_ns)},
    {"hold_ns", FIELD_U64, HOST(evidence.hold_ns)},
    {"stay_ns", FIELD_U64, HOST(evidence.stay_ns)},
    {"damping_max_ns", FIELD_U64, HOST(evidence.damping_max_ns)},
    {"cold_deadline_ns", FIELD_TIME, HOST(evidence.cold_deadline_ns)},
    {"doubt_since_ns", FIELD_TIME, HOST(doubt_since_ns), .soft = true},
    {"asked_since_ns", FIELD_TIME, HOST(asked_since_ns), .soft = true},
    {"contradicted_ns", FIELD_TIME, HOST(evidence.contradicted_ns), .soft = true},
    {"stalled", FIELD_BOOL, HOST(evidence.stalled)},
    {"held_up", FIELD_BOOL, HOST(evidence.held_up)},
    {0},
};

const struct field fields_memory_path[] = {
    {"used_ns", FIELD_TIME, offsetof(struct path_memory, used_ns)},
    {"blocked_ns", FIELD_TIME, offsetof(struct path_memory, blocked_ns)},
    {0},
};

const struct field fields_memory_access[] = {
    {"was_healthy", FIELD_BOOL, offsetof(struct access_memory, was_healthy)},
    {"failures", FIELD_COUNT, offsetof(struct access_memory, failures)},
    {"healthy_since_ns", FIELD_TIME, offsetof(struct access_memory, healthy_since_ns)},
    {0},
};

static bool field_differs(const struct field *field, const void *a, const void *b)
{
    const char *x = (const char *)a + field->offset, *y = (const char *)b + field->offset;

    switch (field->kind) {
    case FIELD_BOOL:
        return *(const bool *)x != *(const bool *)y;
    case FIELD_COUNT:
    case FIELD_WORD:
        return memcmp(x, y, sizeof(uint32_t)) != 0;
    case FIELD_TIME:
    case FIELD_REPLY:
    case FIELD_U64:
        return memcmp(x, y, sizeof(uint64_t)) != 0;
    case FIELD_TEXT:
        return strcmp(x, y) != 0;
    }
    return false;
}

bool fields_differ(const struct field *fields, const void *a, const void *b, bool soft_too)
{
    for (; fields->name; fields++)
        if ((soft_too || !fields->soft) && field_differs(fields, a, b))
            return true;
    return false;
}

void fields_add_u64(cJSON *object, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    cJSON_AddStringToObject(object, name, text);
}

static void add_time(cJSON *object, const char *name, uint64_t value, const char *never, uint64_t shift_ns)
{
    if (value == NEVER_NS)
        cJSON_AddStringToObject(object, name, never);
    else
        fields_add_u64(object, name, value ? value + shift_ns : 0);
}

static void field_add(cJSON *object, const struct field *field, const void *from, uint64_t shift_ns)
{
    const char *at = (const char *)from + field->offset;
    uint64_t wide = 0;
    uint32_t number = 0;

    if (field->kind == FIELD_COUNT || field->kind == FIELD_WORD)
        memcpy(&number, at, sizeof(number));
    if (field->kind == FIELD_TIME || field->kind == FIELD_REPLY || field->kind == FIELD_U64)
        memcpy(&wide, at, sizeof(wide));
    switch (field->kind) {
    case FIELD_BOOL:
        cJSON_AddBoolToObject(object, field->name, *(const bool *)at);
        break;
    case FIELD_COUNT:
        cJSON_AddNumberToObject(object, field->name, number);
        break;
    case FIELD_WORD:
        cJSON_AddStringToObject(object, field->name, field->words[number]);
        break;
    case FIELD_TIME:
        add_time(object, field->name, wide, "never", shift_ns);
        break;
    case FIELD_REPLY:
        add_time(object, field->name, wide, "now", shift_ns);
        break;
    case FIELD_U64:
        fields_add_u64(object, field->name, wide);
        break;
    case FIELD_TEXT:
        cJSON_AddStringToObject(object, field->name, at);
        break;
    }
}

bool fields_add(cJSON *object, const struct field *fields, const void *now, const void *before,
                uint64_t shift_ns)
{
    bool any = false;

    for (; fields->name; fields++) {
        if (before && !field_differs(fields, now, before))
            continue;
        field_add(object, fields, now, shift_ns);
        any = true;
    }
    return any;
}

static uint64_t read_u64(const char *text)
{
    return strcmp(text, "never") == 0 || strcmp(text, "now") == 0 ? NEVER_NS : strtoull(text, NULL, 10);
}

uint64_t fields_read_u64(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(item) ? read_u64(item->valuestring) : 0;
}

static void read_text(const cJSON *item, const struct field *field, char *at, uint64_t shift_ns)
{
    uint64_t wide;

    if (field->kind == FIELD_TEXT) {
        snprintf(at, SESSION_UUID_SIZE, "%s", item->valuestring);
    } else if (field->kind == FIELD_WORD) {
        for (uint32_t i = 0; field->words[i]; i++)
            if (strcmp(field->words[i], item->valuestring) == 0)
                memcpy(at, &i, sizeof(i));
    } else if (field->kind == FIELD_TIME || field->kind == FIELD_REPLY || field->kind == FIELD_U64) {
        wide = read_u64(item->valuestring);
        if (field->kind != FIELD_U64 && wide && wide != NEVER_NS)
            wide += shift_ns;
        memcpy(at, &wide, sizeof(wide));
    }
}

void fields_read(const cJSON *object, const struct field *fields, void *out, uint64_t shift_ns)
{
    for (; fields->name; fields++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, fields->name);
        char *at = (char *)out + fields->offset;
        uint32_t number;

        if (fields->kind == FIELD_BOOL && cJSON_IsBool(item)) {
            *(bool *)at = cJSON_IsTrue(item);
        } else if (fields->kind == FIELD_COUNT && cJSON_IsNumber(item) && item->valuedouble >= 0 &&
                   item->valuedouble <= UINT32_MAX) {
            number = (uint32_t)item->valuedouble;
            memcpy(at, &number, sizeof(number));
        } else if (cJSON_IsString(item)) {
            read_text(item, fields, at, shift_ns);
        }
    }
}
