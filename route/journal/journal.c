/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event journal: JSON lines, one for each change of what the selector knows or answers.
 *
 * WHAT FOR
 * The selector is a pure function of evidence and time. Who has its evidence can run it again:
 *   - with the settings of that host: the same switches must come, at the same times (a property test);
 *   - with other settings: what would a hold of 60 s have done here?
 * That is `reroute replay`, and the recorded histories of `reroute bench hold`.
 *
 * WHAT IS WRITTEN
 * A snapshot has all evidence, the selector's memory and the path in use. It is written at the start, after a
 * reload, when the table of paths changes, and at the head of each file.
 *
 * After that a line is written when there is news, with all that differs from what was written last. News is
 *   - a hard change: a path up, down, degraded, on-link, pinned ..., a session, a drain, a setting;
 *   - another decision: its reason, its target, the candidate that is waited for;
 *   - the end of a silence that was written (else the silence would seem to last);
 *   - while the decision waits for proof of life: a path that falls silent or proves it, and the last reply
 *     of the path that is to be left (the proof must come after it);
 *   - loss: a path begins or ceases to lose too much for a failback (selector_loses()); for replays with
 *     other settings also a change of a per cent;
 *   - a session's stability that moves by a second or more (births by alive_sec creep by less).
 *
 * Other evidence changes with every probe: when a path last answered, single misses, loss in small. It has no
 * influence on a decision until one of the above happens, and is written with that. No times at all are
 * written of a path that answers (EVIDENCE_NOW), as long as the selector could not tell the difference. A
 * quiet hour is one line: the agent is alive.
 *
 * WHAT IT CANNOT TELL
 * Evidence is what select-timeout, select-count, rise and the degraded settings made of the replies. A replay
 * can vary what the selector decides by, not these.
 *
 * TIMES
 * "time" is the wall clock, for people. "t_ns" and all other times are on CLOCK_BOOTTIME as it was when the
 * journal was begun. They go on with the agent's own clock: during a suspend they stand still, as it does.
 *
 * THE FILE
 *   - It is bounded: two files of max_bytes at most.
 *   - A line is one write(2), see file.c; there is no fsync. A crash of the host takes a line or two. A line
 *     that was cut off is recognised by who reads it.
 *   - What cannot be written, on a full disk for instance, is given up. The owner says so once. A minute
 *     later a snapshot is tried, for changes are worth nothing without what they change.
 *   - Before each line the file is looked at. If somebody has removed or emptied it, the next step writes a
 *     snapshot.
 *   - Somebody else writes it (struct journal_sink): the agent's thread may not wait for a disk.
 */
#include "route/journal/journal.h"

#include "probe/text.h"
#include "route/journal/evidence.h"
#include "route/journal/fields.h"
#include "route/log.h"

#define RETRY_NS       (60 * NS_PER_S)
#define ALIVE_NS       (3600 * NS_PER_S)
#define STABLE_STEP_NS (1 * NS_PER_S)
#define LOSS_STEP_PPM  10000
#define NOTE_MAX_BYTES 512

/* What was seen at one step. */
struct picture {
    struct path_evidence *paths;
    struct journal_access *accesses;
    struct journal_host host;
    uint32_t current;
    struct selector_decision decision;
};

struct journal {
    struct journal_sink sink;
    uint64_t max_bytes;
    uint64_t shift_ns; /* to CLOCK_BOOTTIME */
    const char *renew; /* why everything is to be written; NULL: it is not */
    uint64_t lost;     /* lines, since the last snapshot */
    bool failing;
    uint64_t retry_ns;
    uint64_t written_ns; /* the last line */
    uint32_t path_count, access_count;
    struct picture told, seen;
};

int journal_new(struct journal **out, const struct journal_sink *sink, uint64_t max_bytes,
                uint64_t boottime_ns, uint64_t now_ns)
{
    struct journal *journal = calloc(1, sizeof(*journal));

    if (!journal)
        return -ENOMEM;
    journal->sink = *sink;
    journal->max_bytes = max_bytes;
    journal->shift_ns = sub_sat_u64(boottime_ns, now_ns);
    journal->renew = "start";
    *out = journal;
    return 0;
}

static void picture_clear(struct picture *picture)
{
    free(picture->paths);
    free(picture->accesses);
    *picture = (struct picture){0};
}

struct journal *journal_free(struct journal *journal)
{
    if (!journal)
        return NULL;
    picture_clear(&journal->told);
    picture_clear(&journal->seen);
    free(journal);
    return NULL;
}

void journal_renew(struct journal *journal, const char *why)
{
    if (journal && !journal->renew)
        journal->renew = why;
}

/* --- lines --- */

static cJSON *line_new(const struct journal *journal, const char *kind, uint64_t now_ns)
{
    cJSON *line = cJSON_CreateObject();
    char when[LOG_TIME_SIZE];

    cJSON_AddStringToObject(line, "kind", kind);
    cJSON_AddStringToObject(line, "time", log_time_text(clock_now_ns(CLOCK_REALTIME), when));
    fields_add_u64(line, "t_ns", now_ns + journal->shift_ns);
    return line;
}

static void add_address(cJSON *object, const char *name, const struct address *address)
{
    if (address && address_is_set(address))
        cJSON_AddStringToObject(object, name, ADDRESS_TEXT(address));
    else
        cJSON_AddNullToObject(object, name);
}

static const struct address *path_address(const struct journal_step *step, uint32_t path)
{
    return path == SELECTOR_NO_PATH ? NULL : step->source->path_address(step->source->owner, path);
}

static void add_decision(const struct journal *journal, cJSON *line, const struct journal_step *step)
{
    const struct selector_decision *d = step->decision;
    cJSON *item = cJSON_AddObjectToObject(line, "decision");

    cJSON_AddStringToObject(item, "action",
                            !d->switch_now ? "keep"
                            : d->planned   ? "switch-planned"
                                           : "switch");
    cJSON_AddStringToObject(item, "reason", selector_reason_text(d->reason));
    if (d->switch_now)
        add_address(item, "to", path_address(step, d->to));
    if (d->candidate == SELECTOR_NO_PATH)
        return;
    add_address(item, "candidate", path_address(step, d->candidate));
    if (d->candidate_at_ns != NEVER_NS)
        fields_add_u64(item, "candidate_at_ns", d->candidate_at_ns + journal->shift_ns);
}

/* The evidence that differs from what has been told; all of it, with the selector's memory, in a snapshot. */
static void add_paths(const struct journal *journal, cJSON *line, const struct journal_step *step, bool all)
{
    cJSON *list = cJSON_AddArrayToObject(line, "paths");

    for (uint32_t i = 0; i < journal->path_count; i++) {
        uint32_t access = step->input->paths[i].access;
        cJSON *item = cJSON_CreateObject();

        add_address(item, "path", path_address(step, i));
        if (all && access != SELECTOR_NO_ACCESS)
            cJSON_AddStringToObject(item, "access", step->source->access_name(step->source->owner, access));
        if (all)
            fields_add(item, fields_memory_path, &step->selector->paths[i], NULL, journal->shift_ns);
        if (fields_add(item, fields_path, &journal->seen.paths[i], all ? NULL : &journal->told.paths[i],
                       journal->shift_ns))
            cJSON_AddItemToArray(list, item);
        else
            cJSON_Delete(item);
    }
    if (cJSON_GetArraySize(list) == 0)
        cJSON_DeleteItemFromObjectCaseSensitive(line, "paths");
}

static void add_accesses(const struct journal *journal, cJSON *line, const struct journal_step *step,
                         bool all)
{
    cJSON *list = cJSON_AddArrayToObject(line, "accesses");

    for (uint32_t i = 0; i < journal->access_count; i++) {
        cJSON *item = cJSON_CreateObject();

        cJSON_AddStringToObject(item, "access", step->source->access_name(step->source->owner, i));
        if (all)
            fields_add(item, fields_memory_access, &step->selector->accesses[i], NULL, journal->shift_ns);
        if (fields_add(item, fields_access, &journal->seen.accesses[i],
                       all ? NULL : &journal->told.accesses[i], journal->shift_ns))
            cJSON_AddItemToArray(list, item);
        else
            cJSON_Delete(item);
    }
    if (cJSON_GetArraySize(list) == 0)
        cJSON_DeleteItemFromObjectCaseSensitive(line, "accesses");
}

static void add_host(const struct journal *journal, cJSON *line, bool all)
{
    cJSON *item = cJSON_AddObjectToObject(line, "agent");

    if (!fields_add(item, fields_host, &journal->seen.host, all ? NULL : &journal->told.host,
                    journal->shift_ns))
        cJSON_DeleteItemFromObjectCaseSensitive(line, "agent");
}

static char *boot_id(char buffer[static 64])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    buffer[0] = '\0';
    if (file && fgets(buffer, 64, file))
        buffer[strcspn(buffer, "\n")] = '\0';
    if (file)
        fclose(file);
    return buffer;
}

static void add_head(const struct journal *journal, cJSON *line, const struct journal_step *step,
                     const char *why)
{
    const struct journal_source *source = step->source;
    const char *const texts[][2] = {
        {"host", source->host}, {"service", source->service}, {"version", source->version}};
    char boot[64];

    cJSON_AddStringToObject(line, "schema", JOURNAL_SCHEMA);
    cJSON_AddStringToObject(line, "why", why);
    cJSON_AddStringToObject(line, "boot_id", boot_id(boot));
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        if (texts[i][1])
            cJSON_AddStringToObject(line, texts[i][0], texts[i][1]);
    if (journal->lost)
        fields_add_u64(line, "lost", journal->lost);
    add_address(line, "current", path_address(step, step->input->current));
}

/* One step as text, malloc'ed; NULL without memory. */
static char *step_text(const struct journal *journal, const struct journal_step *step, const char *why)
{
    cJSON *line = line_new(journal, why ? "snapshot" : "step", step->input->now_ns);
    char *text;

    if (why)
        add_head(journal, line, step, why);
    add_host(journal, line, why);
    add_accesses(journal, line, step, why);
    add_paths(journal, line, step, why);

    add_decision(journal, line, step);
    text = text_json(cJSON_PrintUnformatted(line));
    cJSON_Delete(line);
    return text;
}

/* --- is it news? --- */

static bool path_is_news(const struct journal *journal, uint32_t i)
{
    const struct health_evidence *now = &journal->seen.paths[i].health,
                                 *told = &journal->told.paths[i].health;
    uint32_t current = journal->seen.current;
    uint32_t now_ppm = current == SELECTOR_NO_PATH ? 0 : journal->seen.paths[current].health.loss_ppm;
    uint32_t told_ppm = current == SELECTOR_NO_PATH ? 0 : journal->told.paths[current].health.loss_ppm;

    if (fields_differ(fields_path, &journal->seen.paths[i], &journal->told.paths[i], false))
        return true;
    if (told->missing && !now->missing)
        return true;
    if (journal->seen.decision.reason == KEEP_WAIT_PROOF &&
        (now->missing != told->missing || now->losing != told->losing ||
         (now->proven_ns == EVIDENCE_NOW) != (told->proven_ns == EVIDENCE_NOW) ||
         (i == current && now->last_reply_ns != told->last_reply_ns)))
        return true;
    return selector_loses(now->loss_ppm, now_ppm) != selector_loses(told->loss_ppm, told_ppm) ||
           now->loss_ppm >= told->loss_ppm + LOSS_STEP_PPM || told->loss_ppm >= now->loss_ppm + LOSS_STEP_PPM;
}

static bool access_is_news(const struct journal *journal, uint32_t i)
{
    const struct journal_access *now = &journal->seen.accesses[i], *told = &journal->told.accesses[i];
    uint64_t now_ns = now->evidence.stable_at_ns, told_ns = told->evidence.stable_at_ns;

    return fields_differ(fields_access, now, told, false) ||
           max_u64(now_ns, told_ns) - min_u64(now_ns, told_ns) >= STABLE_STEP_NS;
}

static bool is_news(const struct journal *journal)
{
    const struct selector_decision *now = &journal->seen.decision, *told = &journal->told.decision;

    if (now->switch_now != told->switch_now || now->reason != told->reason || now->to != told->to ||
        now->candidate != told->candidate || journal->seen.current != journal->told.current ||
        fields_differ(fields_host, &journal->seen.host, &journal->told.host, false))
        return true;
    for (uint32_t i = 0; i < journal->path_count; i++)
        if (path_is_news(journal, i))
            return true;
    for (uint32_t i = 0; i < journal->access_count; i++)
        if (access_is_news(journal, i))
            return true;
    return false;
}

static int picture_resize(struct picture *picture, uint32_t paths, uint32_t accesses)
{
    picture_clear(picture);
    picture->paths = calloc((size_t)paths + 1, sizeof(*picture->paths));
    picture->accesses = calloc((size_t)accesses + 1, sizeof(*picture->accesses));
    return picture->paths && picture->accesses ? 0 : -ENOMEM;
}

static int look(struct journal *journal, const struct journal_step *step)
{
    const struct selector_input *input = step->input;

    if (input->path_count != journal->path_count || input->access_count != journal->access_count ||
        !journal->seen.paths) {
        journal->path_count = journal->access_count = 0;
        if (picture_resize(&journal->told, input->path_count, input->access_count) < 0 ||
            picture_resize(&journal->seen, input->path_count, input->access_count) < 0)
            return -ENOMEM;
        journal->path_count = input->path_count;
        journal->access_count = input->access_count;
        journal_renew(journal, "paths");
    }
    evidence_of_paths(input, journal->seen.paths);
    for (uint32_t i = 0; i < input->access_count; i++) {
        struct journal_access *access = &journal->seen.accesses[i];

        access->evidence = input->accesses[i];
        snprintf(access->uuid, sizeof(access->uuid), "%s", step->source->access_uuid(step->source->owner, i));
    }
    journal->seen.host = (struct journal_host){.evidence = input->host,
                                               .doubt_since_ns = step->selector->doubt_since_ns,
                                               .asked_since_ns = step->selector->asked_since_ns};
    journal->seen.current = input->current;
    journal->seen.decision = *step->decision;
    return 0;
}

/* --- writing --- */

static int append(struct journal *journal, const char *text, enum journal_line kind)
{
    return journal->sink.append(journal->sink.context, text, kind);
}

/* For so much, and a note behind it? */
static bool has_room(const struct journal *journal, size_t length)
{
    uint64_t size_bytes = journal->sink.size_bytes(journal->sink.context);

    return size_bytes == 0 || size_bytes + length + NOTE_MAX_BYTES < journal->max_bytes;
}

static int write_step(struct journal *journal, const struct journal_step *step)
{
    const char *why = journal->renew;
    CLEANUP(free) char *text = step_text(journal, step, why);
    enum journal_line kind = why ? JOURNAL_SNAPSHOT : JOURNAL_NEWS;
    struct picture told = journal->told;
    int error;

    if (text && !has_room(journal, strlen(text))) {
        free(text);
        text = step_text(journal, step, why ? why : "rotate");
        kind = JOURNAL_HEAD;
    }
    error = append(journal, text, kind);
    if (error < 0)
        return error;
    if (kind != JOURNAL_NEWS)
        journal->lost = 0;
    journal->renew = NULL;
    journal->told = journal->seen;
    journal->seen = told; /* its arrays, to be filled anew */
    journal->written_ns = step->input->now_ns;
    return 0;
}

/* Lines are missing. Returns the error that it is given up for now for, when it has just begun to fail. */
static int lose(struct journal *journal, uint64_t now_ns, uint64_t lines, int error)
{
    bool first = !journal->failing;

    journal->lost += lines;
    journal_renew(journal, "resumed");
    if (!error || error == -ESTALE)
        return 0;
    journal->failing = true;
    journal->retry_ns = now_ns + RETRY_NS;
    return first ? error : 0;
}

void journal_lost(struct journal *journal, uint64_t now_ns, uint64_t lines, int error)
{
    if (journal)
        lose(journal, now_ns, lines, error);
}

static void write_note(struct journal *journal, uint64_t now_ns, cJSON *line)
{
    CLEANUP(free) char *text = text_json(cJSON_PrintUnformatted(line));

    cJSON_Delete(line);
    /* Before the snapshot that it would belong to it is nothing: that one tells what came of it. */
    if (journal->renew || !text)
        return;
    if (append(journal, text, JOURNAL_NEWS) < 0)
        lose(journal, now_ns, 1, 0); /* the next step tries again, and says if it cannot */
    else if (!has_room(journal, 0))
        journal_renew(journal, "rotate");
    journal->written_ns = now_ns;
}

int journal_step(struct journal *journal, const struct journal_step *step)
{
    uint64_t now_ns = step->input->now_ns;
    int error;

    if (journal->failing && now_ns < journal->retry_ns)
        return 0;
    error = look(journal, step);
    if (!error && !journal->renew && !is_news(journal)) {
        if (now_ns >= journal->written_ns + ALIVE_NS)
            write_note(journal, now_ns, line_new(journal, "alive", now_ns));
        return 0;
    }
    if (!error)
        error = write_step(journal, step);
    if (error < 0)
        return lose(journal, now_ns, 1, error);
    journal->failing = false;
    return 0;
}

void journal_switch(struct journal *journal, uint64_t now_ns, const struct address *from,
                    const struct address *to, enum selector_reason reason, int error)
{
    cJSON *line;

    if (!journal)
        return;
    line = line_new(journal, "switch", now_ns);
    add_address(line, "from", from);
    add_address(line, "to", to);
    cJSON_AddStringToObject(line, "reason", selector_reason_text(reason));
    cJSON_AddBoolToObject(line, "done", error >= 0);
    if (error < 0)
        cJSON_AddStringToObject(line, "error", strerror(-error));
    write_note(journal, now_ns, line);
}

void journal_adopt(struct journal *journal, uint64_t now_ns, const struct address *to)
{
    cJSON *line;

    if (!journal)
        return;
    line = line_new(journal, "adopt", now_ns);
    add_address(line, "to", to);
    write_note(journal, now_ns, line);
}

void journal_command(struct journal *journal, uint64_t now_ns, const struct journal_order *order)
{
    char until[LOG_TIME_SIZE];
    cJSON *line;

    if (!journal)
        return;
    line = line_new(journal, "command", now_ns);
    cJSON_AddStringToObject(line, "command", order->command);
    cJSON_AddStringToObject(line, "target", order->target);
    if (order->because[0])
        cJSON_AddStringToObject(line, "because", order->because);
    if (order->until_ns)
        cJSON_AddStringToObject(line, "until", log_time_text(order->until_ns, until));
    if (order->over)
        cJSON_AddTrueToObject(line, "over");
    write_note(journal, now_ns, line);
}

void journal_stop(struct journal *journal, uint64_t now_ns)
{
    if (journal)
        write_note(journal, now_ns, line_new(journal, "stop", now_ns));
}
