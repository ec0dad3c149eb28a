/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The screen, from above: title, route, decision, countdown, warnings, paths, last changes, keys. Paths scroll around the
 * chosen one when there are more than have room; changes get what is left.
 */
#include "tools/command/watch.h"

#include <stdarg.h>

#include "tools/command/document.h"
#include "tools/command/warnings.h"

#define CHANGES_LEAST      3 /* lines that paths leave to them */
#define BAR_CELLS          30
#define WARNING_INDENT     10 /* of the rows after its first */
#define WARNING_ROWS_LEAST 4  /* that all of them may have; a third of the screen, if that is more */

/* What was seen of a path. */
struct track {
    char address[ADDRESS_TEXT_SIZE];
    bool up;
    float rtt_ms[WATCH_SAMPLES]; /* below 0: it did not answer */
    unsigned count;              /* ever; the newest is at (count - 1) % WATCH_SAMPLES */
};

struct watch {
    cJSON *status; /* NULL: none yet */
    char time[16];
    char silence[256]; /* why nobody answers; empty: somebody does */
    struct track *tracks;
    size_t track_count;
    int chosen;                       /* index of a path */
    char changes[WATCH_EVENTS][256];  /* a ring */
    unsigned change_count;            /* ever */
    char decision[256], next_hop[64]; /* as they were told last */
};

struct watch *watch_new(void)
{
    return calloc(1, sizeof(struct watch));
}

struct watch *watch_free(struct watch *watch)
{
    if (!watch)
        return NULL;
    cJSON_Delete(watch->status);
    free(watch->tracks);
    free(watch);
    return NULL;
}

/* --- taking in --- */

static void note_change(struct watch *watch, const char *format, ...) PRINTF_LIKE(2, 3);

static void note_change(struct watch *watch, const char *format, ...)
{
    char *change = watch->changes[watch->change_count++ % WATCH_EVENTS];
    int n = snprintf(change, sizeof(watch->changes[0]), "%s  ", watch->time);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(change + n, sizeof(watch->changes[0]) - (size_t)n, format, arguments);
    va_end(arguments);
}

static const cJSON *paths_of(const struct watch *watch)
{
    return document_get(watch->status, "paths");
}

/* Made when there is none; NULL: no memory. */
static struct track *track_of(struct watch *watch, const char *address)
{
    struct track *bigger;

    for (size_t i = 0; i < watch->track_count; i++)
        if (strcmp(watch->tracks[i].address, address) == 0)
            return &watch->tracks[i];
    bigger = realloc(watch->tracks, (watch->track_count + 1) * sizeof(*bigger));
    if (!bigger)
        return NULL;
    watch->tracks = bigger;
    bigger += watch->track_count++;
    *bigger = (struct track){0};
    snprintf(bigger->address, sizeof(bigger->address), "%s", address);
    return bigger;
}

static const struct track *known_track(const struct watch *watch, const char *address)
{
    for (size_t i = 0; i < watch->track_count; i++)
        if (strcmp(watch->tracks[i].address, address) == 0)
            return &watch->tracks[i];
    return NULL;
}

static void take_path(struct watch *watch, const cJSON *path)
{
    struct track *track = track_of(watch, document_text(path, "address"));
    const cJSON *rtt = document_get(path, "rtt_ms");
    bool up = document_is_true(path, "up");

    if (!track)
        return;
    if (track->count > 0 && up != track->up)
        note_change(watch, "%s %s %s: %s", document_text(path, "access"), document_text(path, "tier"),
                    track->address, up ? "answers" : document_text(path, "why"));
    track->up = up;
    track->rtt_ms[track->count++ % WATCH_SAMPLES] = cJSON_IsNumber(rtt) ? (float)rtt->valuedouble : -1;
}

/* The word of the decision and its sentence; a new one is a change, and so is another next hop. */
static void take_decision(struct watch *watch)
{
    const char *hop = document_text(watch->status, "next_hop"),
               *explanation = document_text(watch->status, "explanation");

    if (strcmp(hop, watch->next_hop) != 0) {
        if (watch->next_hop[0])
            note_change(watch, "the route leads to %s (%s): %s", hop, document_text(watch->status, "access"),
                        document_text(watch->status, "reason"));
        snprintf(watch->next_hop, sizeof(watch->next_hop), "%s", hop);
    }
    if (strcmp(explanation, watch->decision) != 0) {
        note_change(watch, "%s", explanation);
        snprintf(watch->decision, sizeof(watch->decision), "%s", explanation);
    }
}

void watch_take(struct watch *watch, cJSON *status, const char *time)
{
    const cJSON *path;

    cJSON_Delete(watch->status);
    watch->status = status;
    snprintf(watch->time, sizeof(watch->time), "%s", time);
    if (watch->silence[0])
        note_change(watch, "the agent answers");
    watch->silence[0] = '\0';
    cJSON_ArrayForEach(path, paths_of(watch))
    {
        take_path(watch, path);
    }
    take_decision(watch);
    watch_choose(watch, 0);
}

void watch_miss(struct watch *watch, const char *why, const char *time)
{
    snprintf(watch->time, sizeof(watch->time), "%s", time);
    if (!watch->silence[0])
        note_change(watch, "%s", why);
    snprintf(watch->silence, sizeof(watch->silence), "%s", why);
}

/* --- the chosen path --- */

void watch_choose(struct watch *watch, int by)
{
    int last = cJSON_GetArraySize(paths_of(watch)) - 1;

    watch->chosen += by;
    if (watch->chosen > last)
        watch->chosen = last;
    if (watch->chosen < 0)
        watch->chosen = 0;
}

const char *watch_chosen(const struct watch *watch, bool *drained)
{
    const cJSON *path = cJSON_GetArrayItem(paths_of(watch), watch->chosen);
    const char *name = cJSON_GetStringValue(document_get(path, "access"));
    const cJSON *access;

    *drained = false;
    cJSON_ArrayForEach(access, document_get(document_get(watch->status, "sessions"), "accesses"))
    {
        if (name && document_is(access, "access", name))
            *drained = document_is_true(access, "drained");
    }
    return name;
}

/* --- drawing --- */

/* What is drawn to. */
struct canvas {
    struct watch_frame *frame;
    int columns, rows;
    bool blocks;
};

/* Cuts text off behind so many characters of UTF-8. */
static void cut(char *text, int columns)
{
    for (; *text; text++) {
        if (((unsigned char)*text & 0xc0) != 0x80 && columns-- == 0) {
            *text = '\0';
            return;
        }
    }
}

static void put(struct canvas *canvas, enum watch_style style, const char *format, ...) PRINTF_LIKE(3, 4);

/* One more line, while there is room. */
static void put(struct canvas *canvas, enum watch_style style, const char *format, ...)
{
    struct watch_frame *frame = canvas->frame;
    struct watch_line *line = &frame->lines[frame->rows];
    va_list arguments;

    if (frame->rows >= canvas->rows)
        return;
    frame->rows++;
    line->style = style;
    va_start(arguments, format);
    vsnprintf(line->text, sizeof(line->text), format, arguments);
    va_end(arguments);
    cut(line->text, canvas->columns);
}

/* How many bytes of a text so many columns hold: up to the last blank that is among them, if there is one. */
static size_t fitting(const char *text, int columns)
{
    size_t at, blank = 0;

    for (at = 0; text[at]; at++) {
        if (text[at] == ' ')
            blank = at;
        if (((unsigned char)text[at] & 0xc0) != 0x80 && columns-- == 0)
            return blank ? blank : at;
    }
    return at;
}

/* In as many rows as it takes, but no more than this; returns how many. */
static int put_warning(struct canvas *canvas, const char *text, int most)
{
    int rows = 0, indent = 0;

    while (*text && rows < most) {
        int columns = canvas->columns - indent;
        size_t length = rows + 1 < most && columns > 0 ? fitting(text, columns) : strlen(text);

        put(canvas, WATCH_WARNING, "%*s%.*s", indent, "", (int)length, text);
        text += length;
        text += strspn(text, " ");
        indent = WARNING_INDENT;
        rows++;
    }
    return rows;
}

static void draw_title(struct canvas *canvas, const struct watch *watch)
{
    char title[WATCH_LINE_BYTES];
    int width = canvas->columns - (int)strlen(watch->time) - 1;

    snprintf(title, sizeof(title), "reroute %s on %s", document_text(watch->status, "version"),
             document_text(watch->status, "host"));
    put(canvas, WATCH_BOLD, "%-*.*s %s", width > 0 ? width : 0, width > 0 ? width : 0, title, watch->time);
}

static void draw_route(struct canvas *canvas, const cJSON *status)
{
    if (document_is_text(status, "next_hop"))
        put(canvas, WATCH_BOLD, "%s -> %s (%s, %s%s)", document_text(status, "service"),
            document_text(status, "next_hop"), document_text(status, "access"), document_text(status, "tier"),
            document_is_true(status, "local") ? ", local" : "");
    else
        put(canvas, WATCH_WARNING, "%s: no route yet", document_text(status, "service"));
    put(canvas, WATCH_PLAIN, "since %s: %s", document_text(status, "since"), document_text(status, "reason"));
    if (document_is_text(status, "pin"))
        put(canvas, WATCH_PLAIN, "%s to %s%s%s", document_text(status, "mode"), document_text(status, "pin"),
            document_is_text(status, "pin_until") ? " until " : "",
            document_is_text(status, "pin_until") ? document_text(status, "pin_until") : "");
    put(canvas, WATCH_PLAIN, "now %s", document_text(status, "explanation"));
}

/* "home scvm1 in 143 s [########......................]" */
static void draw_countdown(struct canvas *canvas, const cJSON *failback)
{
    const cJSON *in = document_get(failback, "in_s"), *hold = document_get(failback, "hold_s");
    char bar[BAR_CELLS + 1], text[32];
    int done;

    if (!cJSON_IsObject(failback))
        return;
    if (!cJSON_IsNumber(in) || !cJSON_IsNumber(hold) || hold->valuedouble <= 0) {
        put(canvas, WATCH_PLAIN, "home %s, waits for: %s", document_text(failback, "access"),
            document_text(failback, "waits_for"));
        return;
    }
    done = (int)(BAR_CELLS * (1 - in->valuedouble / hold->valuedouble));
    done = done < 0 ? 0 : done > BAR_CELLS ? BAR_CELLS : done;
    memset(bar, '.', BAR_CELLS);
    memset(bar, '#', (size_t)done);
    bar[BAR_CELLS] = '\0';
    put(canvas, WATCH_PLAIN, "home %s in %s s [%s]", document_text(failback, "access"),
        document_number(failback, "in_s", "%.0f", text), bar);
}

/* The lines that `status` has too. */
static void draw_warnings(struct canvas *canvas, const struct watch *watch)
{
    char *text = NULL, *rest, *line;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    int room = canvas->rows / 3 > WARNING_ROWS_LEAST ? canvas->rows / 3 : WARNING_ROWS_LEAST;

    room -= put_warning(canvas, watch->silence, room);
    if (!out)
        return;
    warnings_print(out, watch->status);
    fclose(out);
    rest = text;
    while (room > 0 && (line = strsep(&rest, "\n")) && line[0])
        room -= put_warning(canvas, line, room);
    free(text);
}

/* --- paths --- */

/*
 * Eight heights from 0 on; the highest is the largest of the samples, or twice the smallest, so that what is steady is in
 * the middle. A lost one is 'x'.
 */
static void draw_spark(const struct track *track, int cells, bool blocks, char *text, size_t size_bytes)
{
    static const char *const heights[2][8] = {
        {".", ":", "-", "=", "+", "*", "#", "@"},
        {"\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"}};
    unsigned count = track->count < WATCH_SAMPLES ? track->count : WATCH_SAMPLES;
    float most = 0, least = -1;
    size_t n = 0;

    count = (unsigned)cells < count ? (unsigned)cells : count;
    for (unsigned i = track->count - count; i < track->count; i++) {
        float rtt_ms = track->rtt_ms[i % WATCH_SAMPLES];

        most = rtt_ms > most ? rtt_ms : most;
        least = rtt_ms >= 0 && (least < 0 || rtt_ms < least) ? rtt_ms : least;
    }
    most = 2 * least > most ? 2 * least : most;
    text[0] = '\0';
    for (unsigned i = track->count - count; i < track->count && n + 4 < size_bytes; i++) {
        float rtt_ms = track->rtt_ms[i % WATCH_SAMPLES];
        int height = most > 0 ? (int)(rtt_ms / most * 7.99F) : 0;

        n += (size_t)snprintf(text + n, size_bytes - n, "%s", rtt_ms < 0 ? "x" : heights[blocks][height]);
    }
}

static int address_width(const struct watch *watch)
{
    size_t width = 15;
    const cJSON *path;

    cJSON_ArrayForEach(path, paths_of(watch))
    {
        size_t length = strlen(document_text(path, "address"));

        width = length > width ? length : width;
    }
    return (int)width;
}

/* What is left of a row beside its columns. */
static int spark_cells(const struct canvas *canvas, int width)
{
    int cells = canvas->columns - width - 48;

    return cells < 0 ? 0 : cells > WATCH_SAMPLES ? WATCH_SAMPLES : cells;
}

/* Of a path that cannot be used why, in the place of its figures. */
static void draw_path(struct canvas *canvas, const struct watch *watch, const cJSON *path, bool chosen,
                      int width)
{
    const struct track *track = known_track(watch, document_text(path, "address"));
    char rtt[32], loss[32], spark[4 * WATCH_SAMPLES + 8] = "", figures[sizeof(spark) + 64];
    enum watch_style style = chosen ? WATCH_CHOSEN : document_is_true(path, "up") ? WATCH_PLAIN : WATCH_DIM;
    const char *why = document_text(path, "why");

    if (track)
        draw_spark(track, spark_cells(canvas, width), canvas->blocks, spark, sizeof(spark));
    snprintf(figures, sizeof(figures), "%7s %6s %s", document_number(path, "rtt_ms", "%.3f", rtt),
             document_number(path, "loss_percent", "%.2f", loss), spark);
    put(canvas, style, "%s %-12.12s %-10.10s %-*s %-5.5s %s", document_is_true(path, "current") ? ">" : " ",
        document_text(path, "access"), document_text(path, "tier"), width, document_text(path, "address"),
        document_text(path, "state"), why[0] ? why : figures);
}

/* The first path that is shown, of `count` of which `room` have room. */
static int first_shown(int chosen, int count, int room)
{
    int first = chosen - room / 2;

    if (first > count - room)
        first = count - room;
    return first < 0 ? 0 : first;
}

static void draw_paths(struct canvas *canvas, const struct watch *watch)
{
    int count = cJSON_GetArraySize(paths_of(watch)), width = address_width(watch);
    int room = canvas->rows - canvas->frame->rows - 2 - CHANGES_LEAST - 2; /* heads, changes, blank, prompt */
    int first = first_shown(watch->chosen, count, room), i = 0;
    const cJSON *path;

    put(canvas, WATCH_PLAIN, "%s", "");
    put(canvas, WATCH_BOLD, "  %-12s %-10s %-*s %-5s %7s %6s %s", "ACCESS", "TIER", width, "ADDRESS", "STATE",
        "RTT ms", "LOSS %", "RTT / WHY NOT");
    cJSON_ArrayForEach(path, paths_of(watch))
    {
        if (i >= first && i < first + room)
            draw_path(canvas, watch, path, i == watch->chosen, width);
        i++;
    }
}

/* The newest are the last. */
static void draw_changes(struct canvas *canvas, const struct watch *watch)
{
    unsigned room, count = watch->change_count < WATCH_EVENTS ? watch->change_count : WATCH_EVENTS;

    put(canvas, WATCH_PLAIN, "%s", "");
    if (canvas->frame->rows + 1 >= canvas->rows)
        return;
    room = (unsigned)(canvas->rows - canvas->frame->rows - 1);
    count = count < room ? count : room;
    for (unsigned i = watch->change_count - count; i < watch->change_count; i++)
        put(canvas, WATCH_PLAIN, "%s", watch->changes[i % WATCH_EVENTS]);
    while (canvas->frame->rows + 1 < canvas->rows)
        put(canvas, WATCH_PLAIN, "%s", "");
}

void watch_draw(const struct watch *watch, int columns, int rows, bool blocks, const char *prompt,
                struct watch_frame *frame)
{
    struct canvas canvas = {.frame = frame,
                            .columns = columns,
                            .rows = rows < WATCH_ROWS_MAX ? rows : WATCH_ROWS_MAX,
                            .blocks = blocks};

    frame->rows = 0;
    if (watch->status) {
        draw_title(&canvas, watch);
        draw_route(&canvas, watch->status);
        draw_countdown(&canvas, document_get(watch->status, "failback"));
        draw_warnings(&canvas, watch);
        draw_paths(&canvas, watch);
    } else {
        put_warning(&canvas, watch->silence, canvas.rows);
    }
    draw_changes(&canvas, watch);
    put(&canvas, WATCH_BOLD, "%s", prompt);
}
