/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/state.h"

#include <cjson/cJSON.h>

#include "route/log.h"
#include "route/own_file.h"

#include "probe/scope.h"

#define FILE_MAX_BYTES (4 << 20)
#define SCHEMA         "reroute.state/1"

static char *read_file(const char *directory, const char *name, size_t *size_bytes)
{
    char *text;
    int error = own_file_read(&text, size_bytes, directory, name, FILE_MAX_BYTES);

    if (error < 0 && error != -ENOENT)
        log_event(LOG_LEVEL_WARN, "not-read", "file=%s/%s error=%s", directory, name,
                  LOG_QUOTE(own_error_text(error)));
    return text;
}

static const char *boot_id(char buffer[static 64])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    buffer[0] = '\0';
    if (file && fgets(buffer, 64, file))
        buffer[strcspn(buffer, "\n")] = '\0';
    if (file)
        fclose(file);
    return buffer;
}

void state_clear(struct state *state)
{
    free(state->paths);
    free(state->deaths);
    free(state->drained);
    *state = (struct state){0};
}

static void copy_text(char *to, size_t size_bytes, const cJSON *from)
{
    if (cJSON_IsString(from))
        snprintf(to, size_bytes, "%s", from->valuestring);
}

/* Times are text: a double does not hold all nanoseconds. */
static uint64_t number_of(const cJSON *item)
{
    return cJSON_IsString(item) ? strtoull(item->valuestring, NULL, 10) : 0;
}

static void load_paths(struct state *state, const cJSON *root, uint64_t max_age_ns)
{
    const cJSON *paths = cJSON_GetObjectItemCaseSensitive(root, "paths"), *item;
    const cJSON *boot = cJSON_GetObjectItemCaseSensitive(root, "boot_id");
    uint64_t saved_ns = number_of(cJSON_GetObjectItemCaseSensitive(root, "saved_ns"));
    uint64_t now_ns = clock_now_ns(CLOCK_BOOTTIME);
    char id[64];

    if (!cJSON_IsString(boot) || strcmp(boot->valuestring, boot_id(id)) != 0 || saved_ns > now_ns ||
        now_ns - saved_ns > max_age_ns || cJSON_GetArraySize(paths) == 0)
        return;
    state->paths = calloc((size_t)cJSON_GetArraySize(paths), sizeof(*state->paths));
    cJSON_ArrayForEach(item, paths)
    {
        const cJSON *address = cJSON_GetObjectItemCaseSensitive(item, "address");
        struct state_path *p = state->paths ? &state->paths[state->path_count] : NULL;

        if (!p || !cJSON_IsString(address) || scope_parse_lasting(&p->address, address->valuestring) < 0)
            continue;
        p->up_since_ns = number_of(cJSON_GetObjectItemCaseSensitive(item, "up_since_ns"));
        if (p->up_since_ns && p->up_since_ns <= now_ns)
            state->path_count++;
    }
}

static void load_address(struct address *address, const cJSON *item)
{
    if (!cJSON_IsString(item) || scope_parse_lasting(address, item->valuestring) < 0)
        *address = (struct address){0};
}

static void load_route(struct state *state, const cJSON *root)
{
    const cJSON *route = cJSON_GetObjectItemCaseSensitive(root, "route");

    load_address(&state->service, cJSON_GetObjectItemCaseSensitive(route, "service"));
    load_address(&state->next_hop, cJSON_GetObjectItemCaseSensitive(route, "next_hop"));
    load_address(&state->unsettled, cJSON_GetObjectItemCaseSensitive(route, "unsettled"));
}

/*
 * How long ago was this saved? On CLOCK_BOOTTIME within one boot; over a boot only the wall clock goes on,
 * and when that was set back meanwhile nobody knows (NEVER_NS).
 */
static uint64_t age_ns(const cJSON *root, bool *same_boot)
{
    const cJSON *boot = cJSON_GetObjectItemCaseSensitive(root, "boot_id");
    uint64_t saved_ns, now_ns;
    char id[64];

    *same_boot = cJSON_IsString(boot) && strcmp(boot->valuestring, boot_id(id)) == 0;
    saved_ns =
        number_of(cJSON_GetObjectItemCaseSensitive(root, *same_boot ? "saved_ns" : "saved_realtime_ns"));
    now_ns = clock_now_ns(*same_boot ? CLOCK_BOOTTIME : CLOCK_REALTIME);
    return saved_ns && saved_ns <= now_ns ? now_ns - saved_ns : NEVER_NS;
}

/* Each death has its age when it was saved; that and the time since then is how old it is. */
static void load_deaths(struct state *state, const cJSON *root)
{
    const cJSON *deaths = cJSON_GetObjectItemCaseSensitive(root, "deaths"), *item;
    uint64_t since_ns, now_ns = clock_now_ns(CLOCK_BOOTTIME);
    bool same_boot;

    since_ns = age_ns(root, &same_boot);
    if (since_ns > STATE_DEATH_AGE_NS || cJSON_GetArraySize(deaths) == 0)
        return;
    state->deaths = calloc((size_t)cJSON_GetArraySize(deaths), sizeof(*state->deaths));
    cJSON_ArrayForEach(item, deaths)
    {
        const cJSON *address = cJSON_GetObjectItemCaseSensitive(item, "address");
        uint64_t old_ns = add_sat_u64(number_of(cJSON_GetObjectItemCaseSensitive(item, "age_ns")), since_ns);
        struct state_death *d = state->deaths ? &state->deaths[state->death_count] : NULL;

        if (!d || old_ns > STATE_DEATH_AGE_NS || !cJSON_IsString(address) ||
            scope_parse_lasting(&d->address, address->valuestring) < 0)
            continue;
        d->missed_ns = sub_sat_u64(now_ns, old_ns);
        d->before_ns = sub_sat_u64(old_ns, now_ns);
        state->death_count++;
    }
}

static void load_terms(struct terms *terms, const cJSON *item)
{
    const cJSON *until = cJSON_GetObjectItemCaseSensitive(item, "until");

    terms->until_ns = cJSON_IsString(until) ? log_time_read(until->valuestring) : 0;
    copy_text(terms->because, sizeof(terms->because), cJSON_GetObjectItemCaseSensitive(item, "because"));
}

static void load_pin(struct state *state, const cJSON *pin)
{
    copy_text(state->pin, sizeof(state->pin), cJSON_GetObjectItemCaseSensitive(pin, "target"));
    state->pin_hard = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(pin, "hard"));
    load_terms(&state->pin_terms, pin);
}

static void load_drains(struct state *state, const cJSON *root)
{
    const cJSON *drained = cJSON_GetObjectItemCaseSensitive(root, "drained"), *item;
    const cJSON *terms = cJSON_GetObjectItemCaseSensitive(root, "drain_terms");

    state->drained = calloc((size_t)cJSON_GetArraySize(drained) + 1, sizeof(*state->drained));
    cJSON_ArrayForEach(item, drained)
    {
        struct drain *drain = state->drained ? &state->drained[state->drained_count] : NULL;

        if (!drain || !cJSON_IsString(item))
            continue;
        copy_text(drain->access, sizeof(drain->access), item);
        load_terms(&drain->terms, cJSON_GetObjectItemCaseSensitive(terms, drain->access));
        state->drained_count++;
    }
}

void state_load(struct state *state, const char *directory, uint64_t max_age_ns)
{
    size_t size_bytes = 0;
    CLEANUP(free) char *text = read_file(directory, "state.json", &size_bytes);
    const cJSON *schema;
    cJSON *root = text ? cJSON_ParseWithLength(text, size_bytes + 1) : NULL;

    *state = (struct state){0};
    schema = cJSON_GetObjectItemCaseSensitive(root, "schema");
    if (cJSON_IsString(schema) && strcmp(schema->valuestring, SCHEMA) == 0) {
        load_pin(state, cJSON_GetObjectItemCaseSensitive(root, "pin"));
        load_drains(state, root);
        load_route(state, root);
        load_paths(state, root, max_age_ns);
        load_deaths(state, root);
    } else if (text) {
        log_event(LOG_LEVEL_WARN, "not-read", "file=%s/state.json error=%s", directory,
                  LOG_QUOTE(root ? "its schema is not " SCHEMA : "it is no JSON"));
    }
    cJSON_Delete(root);
}

static void add_number(cJSON *object, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    cJSON_AddStringToObject(object, name, text);
}

static void add_deaths(cJSON *root, const struct state *state)
{
    cJSON *list = cJSON_AddArrayToObject(root, "deaths");
    uint64_t now_ns = clock_now_ns(CLOCK_BOOTTIME);

    for (size_t i = 0; i < state->death_count; i++) {
        cJSON *item = cJSON_CreateObject();

        cJSON_AddStringToObject(item, "address", ADDRESS_TEXT(&state->deaths[i].address));
        add_number(item, "age_ns",
                   sub_sat_u64(now_ns, state->deaths[i].missed_ns) + state->deaths[i].before_ns);
        cJSON_AddItemToArray(list, item);
    }
}

static void add_terms(cJSON *item, const struct terms *terms)
{
    char when[LOG_TIME_SIZE];

    if (terms->until_ns)
        cJSON_AddStringToObject(item, "until", log_time_text(terms->until_ns, when));
    if (terms->because[0])
        cJSON_AddStringToObject(item, "because", terms->because);
}

static void add_pin(cJSON *root, const struct state *state)
{
    cJSON *pin = cJSON_AddObjectToObject(root, "pin");

    cJSON_AddStringToObject(pin, "target", state->pin);
    cJSON_AddBoolToObject(pin, "hard", state->pin_hard);
    add_terms(pin, &state->pin_terms);
}

/* The names stand for themselves: an agent that knows of no terms reads them too. */
static void add_drains(cJSON *root, const struct state *state)
{
    cJSON *names = cJSON_AddArrayToObject(root, "drained");
    cJSON *terms = cJSON_AddObjectToObject(root, "drain_terms");

    for (size_t i = 0; i < state->drained_count; i++) {
        const struct drain *drain = &state->drained[i];

        cJSON_AddItemToArray(names, cJSON_CreateString(drain->access));
        add_terms(cJSON_AddObjectToObject(terms, drain->access), &drain->terms);
    }
}

static void add_address(cJSON *object, const char *name, const struct address *address)
{
    if (address_is_set(address))
        cJSON_AddStringToObject(object, name, ADDRESS_TEXT(address));
}

static void add_route(cJSON *root, const struct state *state)
{
    cJSON *route = cJSON_AddObjectToObject(root, "route");

    add_address(route, "service", &state->service);
    add_address(route, "next_hop", &state->next_hop);
    add_address(route, "unsettled", &state->unsettled);
}

char *state_text(const struct state *state)
{
    cJSON *root = cJSON_CreateObject(), *list, *item;
    char id[64], *text;

    cJSON_AddStringToObject(root, "schema", SCHEMA);
    cJSON_AddStringToObject(root, "boot_id", boot_id(id));
    add_number(root, "saved_ns", clock_now_ns(CLOCK_BOOTTIME));
    add_number(root, "saved_realtime_ns", clock_now_ns(CLOCK_REALTIME));
    add_deaths(root, state);
    list = cJSON_AddArrayToObject(root, "paths");
    for (size_t i = 0; i < state->path_count; i++) {
        item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "address", ADDRESS_TEXT(&state->paths[i].address));
        add_number(item, "up_since_ns", state->paths[i].up_since_ns);
        cJSON_AddItemToArray(list, item);
    }
    if (state->pin[0])
        add_pin(root, state);
    if (address_is_set(&state->next_hop) || address_is_set(&state->unsettled))
        add_route(root, state);
    add_drains(root, state);
    text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

int state_own_route(const char *directory, const struct address *service, const struct address *next_hop)
{
    CLEANUP(free) char *text = NULL;
    struct state state;

    state_load(&state, directory, 0);
    state.service = *service;
    state.next_hop = *next_hop;
    state.unsettled = (struct address){0};
    text = state_text(&state);
    state_clear(&state);
    return text ? own_file_write(directory, "state.json", text) : -ENOMEM;
}

char *state_load_tune(const char *directory, size_t *size_bytes)
{
    return read_file(directory, "tune.json", size_bytes);
}

char *state_load_list(const char *directory, size_t *size_bytes)
{
    return read_file(directory, "sessions.json", size_bytes);
}
