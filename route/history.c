/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a journal.
 *
 * Each line is applied to a picture of all evidence, and what it changed becomes events. Members and kinds
 * that are not known are ignored, so that a later version's journal can be read as far as it goes; a line
 * that is no JSON object (cut off by a crash) is counted and left out. What stands before the first snapshot
 * cannot be used and is left out too.
 *
 * An agent that said no "stop" before the next one started (a crash, a power cut) ended we do not know when,
 * within the hour in which an agent says something; it is taken to have ended at its last line.
 *
 * Times of a boot are on that boot's clock. They are moved so that all boots of a journal are on one, with
 * the gap between two that the wall clock shows.
 */
#include "route/history.h"

#include "route/journal.h"
#include "route/journal_fields.h"

struct reader {
    struct history *history;
    uint64_t shift_ns, at_ns, realtime_ns;
    char boot[64];
    bool begun, running;
    struct seen_path {
        struct evidence_path evidence;
        uint32_t access;
        bool present, serves, well, known;
    } * paths;
    struct evidence_access *accesses;
    struct evidence_host host;
    struct history_decision decision;
    char *message;
    size_t message_bytes;
    const char *name;
};

struct history *history_free(struct history *history)
{
    if (!history)
        return NULL;
    free(history->paths);
    free(history->accesses);
    free(history->events);
    free(history->memory.paths);
    free(history->memory.accesses);
    free(history->walls);
    free(history);
    return NULL;
}

/* Room for one more in an array that grows by doubling. */
static int reserve(void *array, size_t count, size_t item_bytes)
{
    void **p = array, *bigger;

    if (count & (count - 1) || (count && count < 8))
        return 0;
    bigger = realloc(*p, (count ? 2 * count : 8) * item_bytes);
    if (!bigger)
        return -ENOMEM;
    *p = bigger;
    return 0;
}

int history_add(struct history *history, const struct history_event *event)
{
    if (reserve(&history->events, history->event_count, sizeof(*history->events)) < 0)
        return -ENOMEM;
    history->events[history->event_count++] = *event;
    return 0;
}

/* By insertion: they are nearly in order, and what is not moves back by seconds. */
void history_sort(struct history *history)
{
    for (size_t i = 1; i < history->event_count; i++) {
        struct history_event event = history->events[i];
        size_t at = i;

        while (at > 0 && history->events[at - 1].at_ns > event.at_ns)
            at--;
        if (at == i)
            continue;
        memmove(&history->events[at + 1], &history->events[at], (i - at) * sizeof(event));
        history->events[at] = event;
    }
}

uint64_t history_realtime_ns(const struct history *history, uint64_t at_ns)
{
    size_t i = history->wall_count;

    while (i > 1 && history->walls[i - 1].from_ns > at_ns)
        i--;
    return i ? at_ns + history->walls[i - 1].shift_ns : at_ns;
}

/* --- who is who ------------------------------------------------------------------------------------------
 */

/* Is it this name, as far as it is kept? */
static bool is_name(const char *kept, const char *name, size_t size_bytes)
{
    return strncmp(kept, name, size_bytes - 1) == 0;
}

static int access_of(struct reader *reader, const char *name, uint32_t *out)
{
    struct history *h = reader->history;

    for (*out = 0; *out < h->access_count; ++*out)
        if (is_name(h->accesses[*out], name, sizeof(*h->accesses)))
            return 0;
    if (reserve(&h->accesses, h->access_count, sizeof(*h->accesses)) < 0 ||
        reserve(&reader->accesses, h->access_count, sizeof(*reader->accesses)) < 0)
        return -ENOMEM;
    reader->accesses[*out] = (struct evidence_access){.stable_at_ns = NEVER_NS};
    snprintf(h->accesses[h->access_count++], sizeof(*h->accesses), "%s", name);
    return 0;
}

static int path_of(struct reader *reader, const char *name, uint32_t *out)
{
    struct history *h = reader->history;

    for (*out = 0; *out < h->path_count; ++*out)
        if (is_name(h->paths[*out], name, sizeof(*h->paths)))
            return 0;
    if (reserve(&h->paths, h->path_count, sizeof(*h->paths)) < 0 ||
        reserve(&reader->paths, h->path_count, sizeof(*reader->paths)) < 0)
        return -ENOMEM;
    reader->paths[*out] = (struct seen_path){.access = SELECTOR_NO_ACCESS};
    snprintf(h->paths[h->path_count++], sizeof(*h->paths), "%s", name);
    return 0;
}

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(item) ? item->valuestring : "";
}

/* The path that a member names; SELECTOR_NO_PATH for null. */
static int path_member(struct reader *reader, const cJSON *object, const char *name, uint32_t *out)
{
    const char *text = text_of(object, name);

    *out = SELECTOR_NO_PATH;
    return text[0] ? path_of(reader, text, out) : 0;
}

/* --- events ----------------------------------------------------------------------------------------------
 */

static int add(struct reader *reader, enum history_kind kind, uint32_t index, struct history_event event)
{
    event.kind = kind;
    event.index = index;
    event.at_ns = reader->at_ns;
    return history_add(reader->history, &event);
}

/* Does a path serve, by its evidence; and since when is that so? */
static int note_serving(struct reader *reader, uint32_t index)
{
    struct seen_path *path = &reader->paths[index];
    const struct evidence_path *e = &path->evidence;
    const struct evidence_access *access =
        path->access == SELECTOR_NO_ACCESS ? NULL : &reader->accesses[path->access];
    bool serves = path->present && e->state != HEALTH_DOWN && e->on_link && e->link_usable &&
                  !e->service_bad && !(access && access->session == SESSION_DEAD);
    bool well = serves && e->state == HEALTH_UP && !e->degraded;
    struct history_event event = {.kind = HISTORY_SERVES,
                                  .at_ns = reader->at_ns,
                                  .index = index,
                                  .serves = {.serves = serves, .well = well}};

    if (path->known && serves == path->serves && well == path->well)
        return 0;
    if (path->known && !serves && e->state == HEALTH_DOWN && e->missing && e->first_missed_ns)
        event.at_ns = min_u64(event.at_ns, e->first_missed_ns);
    path->known = true;
    path->serves = serves;
    path->well = well;
    return history_add(reader->history, &event);
}

static int read_accesses(struct reader *reader, const cJSON *line)
{
    const cJSON *item;
    uint32_t index;
    int error = 0;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(line, "accesses"))
    {
        if (!text_of(item, "access")[0])
            continue;
        error = access_of(reader, text_of(item, "access"), &index);
        if (error)
            break;
        fields_read(item, fields_access, &reader->accesses[index], reader->shift_ns);
        error = add(reader, HISTORY_ACCESS, index, (struct history_event){.access = reader->accesses[index]});
        if (error)
            break;
    }
    return error;
}

static int read_paths(struct reader *reader, const cJSON *line, bool snapshot)
{
    const cJSON *item;
    uint32_t index;
    int error = 0;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(line, "paths"))
    {
        struct seen_path *path;

        if (!text_of(item, "path")[0])
            continue;
        error = path_of(reader, text_of(item, "path"), &index);
        if (error)
            break;
        path = &reader->paths[index];
        if (snapshot) {
            path->access = SELECTOR_NO_ACCESS;
            if (text_of(item, "access")[0])
                error = access_of(reader, text_of(item, "access"), &path->access);
        }
        path->present = true;
        fields_read(item, fields_path, &path->evidence, reader->shift_ns);
        if (!error)
            error = add(reader, HISTORY_PATH, index,
                        (struct history_event){.path = {.evidence = path->evidence, .access = path->access}});
        if (error)
            break;
    }
    return error;
}

/* Paths that a snapshot does not have any more. */
static int drop_absent(struct reader *reader)
{
    int error = 0;

    for (uint32_t i = 0; !error && i < reader->history->path_count; i++) {
        struct seen_path *path = &reader->paths[i];

        if (path->present)
            continue;
        path->evidence = (struct evidence_path){.tier = TIER_FOREIGN};
        path->access = SELECTOR_NO_ACCESS;
        error =
            add(reader, HISTORY_PATH, i,
                (struct history_event){.path = {.evidence = path->evidence, .access = SELECTOR_NO_ACCESS}});
    }
    return error;
}

/* --- lines -----------------------------------------------------------------------------------------------
 */

/* What the selector remembered when the first snapshot was written. */
static int read_memory(struct reader *reader, const cJSON *line)
{
    struct history *h = reader->history;
    const cJSON *item;
    uint32_t index;

    h->memory.paths = calloc((size_t)h->path_count + 1, sizeof(*h->memory.paths));
    h->memory.accesses = calloc((size_t)h->access_count + 1, sizeof(*h->memory.accesses));
    if (!h->memory.paths || !h->memory.accesses)
        return -ENOMEM;
    h->memory_path_count = h->path_count;
    h->memory_access_count = h->access_count;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(
                                 line, "paths")) if (text_of(item, "path")[0] &&
                                                     path_of(reader, text_of(item, "path"), &index) == 0)
        fields_read(item, fields_memory_path, &h->memory.paths[index], reader->shift_ns);
    cJSON_ArrayForEach(item,
                       cJSON_GetObjectItemCaseSensitive(
                           line, "accesses")) if (text_of(item, "access")[0] &&
                                                  access_of(reader, text_of(item, "access"), &index) == 0)
        fields_read(item, fields_memory_access, &h->memory.accesses[index], reader->shift_ns);
    return 0;
}

/* "2026-01-31T12:00:00.123Z" (RFC 3339); 0 for anything else. */
static uint64_t realtime_of(const cJSON *line)
{
    struct tm tm = {0};
    unsigned ms;

    if (sscanf(text_of(line, "time"), "%d-%d-%dT%d:%d:%d.%3uZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms) != 7)
        return 0;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (uint64_t)timegm(&tm) * NS_PER_S + ms * NS_PER_MS;
}

static int begin_snapshot(struct reader *reader, const cJSON *line)
{
    struct history *h = reader->history;
    const char *schema = text_of(line, "schema");
    uint64_t t_ns = fields_read_u64(line, "t_ns"), realtime_ns = realtime_of(line);
    bool start = strcmp(text_of(line, "why"), "start") == 0;
    int error = 0;

    if (strcmp(schema, JOURNAL_SCHEMA) != 0) {
        snprintf(reader->message, reader->message_bytes, "%s: schema '%.40s', expected %s", reader->name,
                 schema, JOURNAL_SCHEMA);
        return -EPROTO;
    }
    if (start && reader->running)
        error = add(reader, HISTORY_STOP, 0, (struct history_event){0});
    reader->running = true;
    if (reader->begun && strcmp(reader->boot, text_of(line, "boot_id")) != 0)
        reader->shift_ns = reader->at_ns + sub_sat_u64(realtime_ns, reader->realtime_ns) - t_ns;
    reader->at_ns = max_u64(reader->at_ns, t_ns + reader->shift_ns);
    snprintf(reader->boot, sizeof(reader->boot), "%s", text_of(line, "boot_id"));
    snprintf(h->host, sizeof(h->host), "%s", text_of(line, "host"));
    snprintf(h->service, sizeof(h->service), "%s", text_of(line, "service"));
    snprintf(h->version, sizeof(h->version), "%s", text_of(line, "version"));
    h->starts += start;
    if (error || reserve(&h->walls, h->wall_count, sizeof(*h->walls)) < 0)
        return -ENOMEM;
    h->walls[h->wall_count++] =
        (struct history_wall){.from_ns = reader->at_ns, .shift_ns = realtime_ns - reader->at_ns};
    for (uint32_t i = 0; i < h->path_count; i++)
        reader->paths[i].present = false;
    return 0;
}

/* After the evidence of a step or a snapshot: what did the host decide? */
static int end_step(struct reader *reader, const cJSON *line)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, "decision");
    const char *action = text_of(item, "action"), *reason = text_of(item, "reason");
    struct history_decision *d = &reader->decision;
    int error = 0;

    if (item) {
        d->switch_now = strncmp(action, "switch", 6) == 0;
        d->wait_proof = strcmp(reason, selector_reason_text(KEEP_WAIT_PROOF)) == 0;
        d->wait_full_size = strcmp(reason, selector_reason_text(KEEP_WAIT_FULL_SIZE)) == 0;
        error = path_member(reader, item, "to", &d->to);
    }
    for (uint32_t i = 0; !error && i < reader->history->path_count; i++)
        error = note_serving(reader, i);
    if (!error)
        error = add(reader, HISTORY_DECIDE, 0, (struct history_event){.decide = *d});
    return error;
}

static int read_step(struct reader *reader, const cJSON *line, bool snapshot)
{
    const cJSON *host = cJSON_GetObjectItemCaseSensitive(line, "agent");
    bool start = snapshot && strcmp(text_of(line, "why"), "start") == 0;
    uint32_t current;
    int error = 0;

    if (host) {
        fields_read(host, fields_host, &reader->host, reader->shift_ns);
        error = add(reader, HISTORY_HOST, 0, (struct history_event){.host = reader->host});
    }
    if (!error)
        error = read_accesses(reader, line);
    if (!error)
        error = read_paths(reader, line, snapshot);
    if (!error && snapshot) {
        error = drop_absent(reader);
        if (!error && !reader->begun)
            error = read_memory(reader, line);
        if (!error)
            error = path_member(reader, line, "current", &current);
        if (!error)
            error =
                add(reader, HISTORY_CURRENT, current, (struct history_event){.current = {.start = start}});
        reader->begun = true;
    }
    return error ? error : end_step(reader, line);
}

static int read_switch(struct reader *reader, const cJSON *line)
{
    const char *word = text_of(line, "reason");
    struct history_event event = {
        .moved = {.done = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "done"))}};
    uint32_t to;
    int error = path_member(reader, line, "to", &to);

    for (enum selector_reason reason = SWITCH_COLD_START; reason < SELECTOR_REASONS; reason++)
        if (strcmp(word, selector_reason_text(reason)) == 0)
            event.moved.reason = reason;
    if (error || to == SELECTOR_NO_PATH) /* nobody moves to nowhere: not a line of ours */
        return error;
    return add(reader, HISTORY_SWITCH, to, event);
}

static int read_line(struct reader *reader, const cJSON *line)
{
    const char *kind = text_of(line, "kind");
    bool snapshot = strcmp(kind, "snapshot") == 0;
    uint32_t to;
    int error;

    if (snapshot) {
        error = begin_snapshot(reader, line);
        if (error)
            return error;
    } else if (!reader->begun) {
        return 0;
    }
    reader->at_ns = max_u64(reader->at_ns, fields_read_u64(line, "t_ns") + reader->shift_ns);
    reader->realtime_ns = max_u64(reader->realtime_ns, realtime_of(line));
    if (snapshot || strcmp(kind, "step") == 0)
        return read_step(reader, line, snapshot);
    if (strcmp(kind, "switch") == 0)
        return read_switch(reader, line);
    if (strcmp(kind, "adopt") == 0) {
        error = path_member(reader, line, "to", &to);
        return error ? error : add(reader, HISTORY_ADOPT, to, (struct history_event){0});
    }
    if (strcmp(kind, "stop") == 0) {
        reader->running = false;
        return add(reader, HISTORY_STOP, 0, (struct history_event){0});
    }
    if (strcmp(kind, "alive") == 0)
        return add(reader, HISTORY_ALIVE, 0, (struct history_event){0});
    return 0;
}

static int read_file(struct reader *reader, const char *path)
{
    FILE *file = fopen(path, "re");
    CLEANUP(free) char *text = NULL;
    size_t room = 0;
    ssize_t length;
    int error = 0;

    if (!file)
        return -errno;
    reader->name = path;
    while (!error && (length = getline(&text, &room, file)) > 0) {
        cJSON *line = cJSON_ParseWithLength(text, (size_t)length);

        if (cJSON_IsObject(line))
            error = read_line(reader, line);
        else if (length > 1)
            reader->history->damaged++;
        cJSON_Delete(line);
    }
    if (!error && ferror(file))
        error = errno ? -errno : -EIO; /* EISDIR, ... */
    fclose(file);
    return error;
}

int history_read(struct history **out, const char *path, char *message, size_t size_bytes)
{
    CLEANUP(history_free) struct history *history = calloc(1, sizeof(*history));
    CLEANUP(free) char *older = NULL;
    struct reader reader = {
        .history = history, .message = message, .message_bytes = size_bytes, .name = path};
    int error = history && asprintf(&older, "%s.1", path) > 0 ? 0 : -ENOMEM;

    message[0] = '\0';
    if (!error)
        error = read_file(&reader, older);
    if (error == 0 || error == -ENOENT) /* there is not always an older one; the newer one has to be there */
        error = read_file(&reader, path);
    if (!error && !reader.begun) {
        snprintf(message, size_bytes, "%s: no snapshot of schema %s in it: not a journal", path,
                 JOURNAL_SCHEMA);
        error = -EPROTO;
    }
    if (error && !message[0])
        snprintf(message, size_bytes, "%s: %s", path, strerror(-error));
    free(reader.paths);
    free(reader.accesses);
    if (error)
        return error;
    history_sort(history);
    *out = TAKE(history);
    return 0;
}
