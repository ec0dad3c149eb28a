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
 *
 * A journal may be anybody's: a line, the names, the events and the time that it covers have bounds, far
 * above what an agent writes into its two files (JOURNAL_MAX_BYTES each), and so has the work: a line costs a
 * look at every path, a name one at every name before it. Beyond that it is refused, with its line.
 */
#include "route/journal/history.h"

#include <stdarg.h>

#include "probe/text.h"
#include "route/journal/fields.h"
#include "route/journal/journal.h"
#include "route/log.h"

#define LINE_MAX_BYTES JOURNAL_MAX_BYTES
#define NAMES_MAX      4096 /* paths, and accesses */
#define EVENTS_MAX     1000000
#define LONGEST_NS     (UINT64_C(100) * 365 * 24 * 3600 * NS_PER_S)
#define LOOKS_MAX      UINT64_C(300000000)
/* What the settings of a host may be: as in its configuration, with a margin. */
#define TIMEOUT_MAX_NS (3600 * NS_PER_S)
#define HOLD_MAX_NS    (7 * 24 * 3600 * NS_PER_S)

struct reader {
    struct history *history;
    uint64_t shift_ns, at_ns, realtime_ns;
    char boot[64];
    bool begun, running;
    struct seen_path {
        struct path_evidence evidence;
        bool present, serves, well, known;
    } * paths;
    struct journal_access *accesses;
    struct journal_host host;
    struct history_decision decision;
    char *message;
    size_t message_bytes;
    const char *name;
    unsigned long line;
    uint64_t looks; /* at paths and names, all together */
};

static int refuse(const struct reader *reader, const char *format, ...) PRINTF_LIKE(2, 3);

/* Says where and why in one line; -EPROTO. */
static int refuse(const struct reader *reader, const char *format, ...)
{
    int length = snprintf(reader->message, reader->message_bytes, "%s:%lu: ", reader->name, reader->line);
    va_list arguments;

    va_start(arguments, format);
    if (length >= 0 && (size_t)length < reader->message_bytes)
        vsnprintf(reader->message + length, reader->message_bytes - (size_t)length, format, arguments);
    va_end(arguments);
    return -EPROTO;
}

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

/* Where an event stands: by its time, and of one time as it came. */
struct place {
    uint64_t at_ns;
    size_t index;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

int history_sort(struct history *history)
{
    size_t count = history->event_count;
    struct place *places = calloc(count + 1, sizeof(*places));
    struct history_event *sorted = calloc(count + 1, sizeof(*sorted));
    int error = places && sorted ? 0 : -ENOMEM;

    for (size_t i = 0; !error && i < count; i++)
        places[i] = (struct place){history->events[i].at_ns, i};
    if (!error)
        qsort(places, count, sizeof(*places), compare_places);
    for (size_t i = 0; !error && i < count; i++)
        sorted[i] = history->events[places[i].index];
    free(places);
    if (error) {
        free(sorted);
        return error;
    }
    free(history->events);
    history->events = sorted;
    return 0;
}

/* The last wall that begins before then, by halving: they are in order. */
uint64_t history_realtime_ns(const struct history *history, uint64_t at_ns)
{
    size_t low = 0, high = history->wall_count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (history->walls[middle].from_ns > at_ns)
            high = middle;
        else
            low = middle;
    }
    return high ? at_ns + history->walls[low].shift_ns : at_ns;
}

/* --- who is who --- */

/* Is it this name, as far as it is kept? */
static bool is_name(const char *kept, const char *name, size_t size_bytes)
{
    return strncmp(kept, name, size_bytes - 1) == 0;
}

/* So many looks more. */
static int look(struct reader *reader, uint64_t count)
{
    reader->looks += count;
    return reader->looks <= LOOKS_MAX ? 0 : refuse(reader, "too many paths in too many lines for a journal");
}

static int access_of(struct reader *reader, const char *name, uint32_t *out)
{
    struct history *h = reader->history;

    for (*out = 0; *out < h->access_count; ++*out)
        if (is_name(h->accesses[*out], name, sizeof(*h->accesses)))
            return look(reader, *out);
    if (h->access_count == NAMES_MAX)
        return refuse(reader, "more than %d accesses", NAMES_MAX);
    if (reserve(&h->accesses, h->access_count, sizeof(*h->accesses)) < 0 ||
        reserve(&reader->accesses, h->access_count, sizeof(*reader->accesses)) < 0)
        return -ENOMEM;
    reader->accesses[*out] = (struct journal_access){.evidence = {.stable_at_ns = NEVER_NS}};
    snprintf(h->accesses[h->access_count++], sizeof(*h->accesses), "%s", name);
    return look(reader, *out);
}

static int path_of(struct reader *reader, const char *name, uint32_t *out)
{
    struct history *h = reader->history;

    for (*out = 0; *out < h->path_count; ++*out)
        if (is_name(h->paths[*out], name, sizeof(*h->paths)))
            return look(reader, *out);
    if (h->path_count == NAMES_MAX)
        return refuse(reader, "more than %d paths", NAMES_MAX);
    if (reserve(&h->paths, h->path_count, sizeof(*h->paths)) < 0 ||
        reserve(&reader->paths, h->path_count, sizeof(*reader->paths)) < 0)
        return -ENOMEM;
    reader->paths[*out] = (struct seen_path){.evidence = {.access = SELECTOR_NO_ACCESS}};
    snprintf(h->paths[h->path_count++], sizeof(*h->paths), "%s", name);
    return look(reader, *out);
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

/* --- events --- */

static int add_event(struct reader *reader, const struct history_event *event)
{
    if (reader->history->event_count == EVENTS_MAX)
        return refuse(reader, "more than %d events", EVENTS_MAX);
    return history_add(reader->history, event);
}

static int add(struct reader *reader, enum history_kind kind, uint32_t index, struct history_event event)
{
    event.kind = kind;
    event.index = index;
    event.at_ns = reader->at_ns;
    return add_event(reader, &event);
}

/* Does a path serve, by its evidence; and since when is that so? */
static int note_serving(struct reader *reader, uint32_t index)
{
    struct seen_path *path = &reader->paths[index];
    const struct path_evidence *e = &path->evidence;
    const struct health_evidence *health = &e->health;
    bool dead =
        e->access != SELECTOR_NO_ACCESS && reader->accesses[e->access].evidence.session == SESSION_DEAD;
    bool serves = path->present && health->state != HEALTH_DOWN && e->on_link && e->link_usable &&
                  !e->service_bad && !dead;
    bool well = serves && health->state == HEALTH_UP && !health->degraded;
    struct history_event event = {.kind = HISTORY_SERVES,
                                  .at_ns = reader->at_ns,
                                  .index = index,
                                  .serves = {.serves = serves, .well = well}};

    if (path->known && serves == path->serves && well == path->well)
        return 0;
    if (path->known && !serves && health->state == HEALTH_DOWN && health->missing && health->first_missed_ns)
        event.at_ns =
            min_u64(event.at_ns, max_u64(health->first_missed_ns, reader->history->events[0].at_ns));
    path->known = true;
    path->serves = serves;
    path->well = well;
    return add_event(reader, &event);
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
        error = add(reader, HISTORY_ACCESS, index,
                    (struct history_event){.access = reader->accesses[index].evidence});
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
            path->evidence.access = SELECTOR_NO_ACCESS;
            if (text_of(item, "access")[0])
                error = access_of(reader, text_of(item, "access"), &path->evidence.access);
        }
        path->present = true;
        fields_read(item, fields_path, &path->evidence, reader->shift_ns);
        if (!error)
            error = add(reader, HISTORY_PATH, index, (struct history_event){.path = path->evidence});
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
        path->evidence = (struct path_evidence){.access = SELECTOR_NO_ACCESS, .tier = TIER_FOREIGN};
        error = add(reader, HISTORY_PATH, i, (struct history_event){.path = path->evidence});
    }
    return error;
}

/* --- lines --- */

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

/* Moves on to the time of a line. */
static int take_time(struct reader *reader, const cJSON *line)
{
    uint64_t t_ns = fields_read_u64(line, "t_ns");

    reader->at_ns = max_u64(reader->at_ns, t_ns + reader->shift_ns);
    if (t_ns <= LONGEST_NS && reader->at_ns <= LONGEST_NS)
        return 0;
    return refuse(reader, "t_ns '%.24s', expected nanoseconds since the boot, of a hundred years at most",
                  text_of(line, "t_ns"));
}

static int begin_snapshot(struct reader *reader, const cJSON *line)
{
    struct history *h = reader->history;
    const char *schema = text_of(line, "schema");
    uint64_t t_ns = fields_read_u64(line, "t_ns"), realtime_ns = log_time_read(text_of(line, "time"));
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
    if (!error)
        error = take_time(reader, line);
    snprintf(reader->boot, sizeof(reader->boot), "%s", text_of(line, "boot_id"));
    snprintf(h->host, sizeof(h->host), "%s", text_of(line, "host"));
    snprintf(h->service, sizeof(h->service), "%s", text_of(line, "service"));
    snprintf(h->version, sizeof(h->version), "%s", text_of(line, "version"));
    h->starts += start;
    if (!error && reserve(&h->walls, h->wall_count, sizeof(*h->walls)) < 0)
        error = -ENOMEM;
    if (error)
        return error;
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
    if (!error)
        error = look(reader, reader->history->path_count);
    for (uint32_t i = 0; !error && i < reader->history->path_count; i++)
        error = note_serving(reader, i);
    if (!error)
        error = add(reader, HISTORY_DECIDE, 0, (struct history_event){.decide = *d});
    return error;
}

/* Settings by which the selector asks for its next decision: what they can be, or it asks for ever. */
static int check_host(const struct reader *reader)
{
    const struct host_evidence *host = &reader->host.evidence;

    if (host->select_timeout_ns < NS_PER_MS || host->select_timeout_ns > TIMEOUT_MAX_NS)
        return refuse(reader, "select_timeout_ns '%" PRIu64 "', expected a millisecond to an hour",
                      host->select_timeout_ns);
    if (host->hold_ns > HOLD_MAX_NS || host->damping_max_ns > HOLD_MAX_NS)
        return refuse(reader,
                      "hold_ns '%" PRIu64 "' and damping_max_ns '%" PRIu64 "', expected a week at most",
                      host->hold_ns, host->damping_max_ns);
    return 0;
}

static int read_step(struct reader *reader, const cJSON *line, bool snapshot)
{
    const cJSON *host = cJSON_GetObjectItemCaseSensitive(line, "agent");
    bool start = snapshot && strcmp(text_of(line, "why"), "start") == 0;
    uint32_t current;
    int error = 0;

    if (host) {
        fields_read(host, fields_host, &reader->host, reader->shift_ns);
        error = check_host(reader);
    }
    if (host && !error) {
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
    enum selector_reason reason = selector_switch_reason(text_of(line, "reason"));
    struct history_event event = {
        .moved = {.reason = reason == SELECTOR_REASONS ? KEEP_BEST : reason,
                  .done = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "done"))}};
    uint32_t to;
    int error = path_member(reader, line, "to", &to);

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
    error = take_time(reader, line);
    if (error)
        return error;
    reader->realtime_ns = max_u64(reader->realtime_ns, log_time_read(text_of(line, "time")));
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

    reader->name = path;
    reader->line = 1;
    if (!file)
        return -errno;
    for (; !error && (length = text_read_line(file, &text, &room, LINE_MAX_BYTES)) > 0; reader->line++) {
        cJSON *line = cJSON_ParseWithLength(text, (size_t)length + 1);

        if (cJSON_IsObject(line))
            error = read_line(reader, line);
        else if (length > 1)
            reader->history->damaged++;
        cJSON_Delete(line);
    }
    if (!error && length < 0)
        error = length == -EFBIG ? refuse(reader, "a line of more than %" PRIu64 " bytes, not of a journal",
                                          LINE_MAX_BYTES)
                                 : (int)length;
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
    if (!error)
        error = history_sort(history);
    if (error && !message[0])
        snprintf(message, size_bytes, "%s: %s", reader.name, strerror(-error));
    free(reader.paths);
    free(reader.accesses);
    if (error)
        return error;
    *out = TAKE(history);
    return 0;
}
