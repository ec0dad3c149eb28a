/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command/explanation.h"

#include <stdlib.h>

#include "route/decide/selector.h"
#include "tools/command/document.h"
#include "tools/command/warnings.h"

#define NAME_SIZE 256

/* What the document says, looked up once. */
struct picture {
    const cJSON *status, *paths, *failback;
    const cJSON *current; /* NULL: there is no route, or it leads to no path */
    const cJSON *first;   /* the path of the best rank */
    const cJSON *next;    /* the best one that can be used besides the one in use; NULL: none */
    unsigned equals;      /* how many of those have its rank */
    bool pinned, pinned_hard;
};

static double rank_of(const cJSON *path)
{
    const cJSON *rank = document_get(path, "rank");

    return cJSON_IsNumber(rank) ? rank->valuedouble : 1e9;
}

static const cJSON *better(const cJSON *best, const cJSON *path)
{
    return !best || rank_of(path) < rank_of(best) ? path : best;
}

/* As the selector orders those to flee to: what was just left comes after all others. */
static double refuge_rank(const cJSON *path)
{
    return rank_of(path) + (document_is_number(path, "stay_s") ? 1e6 : 0);
}

static void take_next(struct picture *p, const cJSON *path)
{
    if (p->next && refuge_rank(path) == refuge_rank(p->next))
        p->equals++;
    if (p->next && refuge_rank(path) >= refuge_rank(p->next))
        return;
    p->next = path;
    p->equals = 1;
}

static struct picture take_picture(const cJSON *status)
{
    struct picture p = {
        .status = status,
        .paths = document_get(status, "paths"),
        .failback = document_get(status, "failback"),
        .pinned_hard = document_is(status, "mode", "pinned-hard"),
    };
    const cJSON *path;

    p.pinned = p.pinned_hard || document_is(status, "mode", "pinned");
    cJSON_ArrayForEach(path, p.paths)
    {
        bool current = document_is_true(path, "current");

        p.current = current ? path : p.current;
        p.first = better(p.first, path);
        if (!current && document_is_true(path, "eligible"))
            take_next(&p, path);
    }
    return p;
}

/* "node1 (data, 10.10.85.15)" */
static const char *path_name(const cJSON *path, char name[static NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%s (%s, %s)", document_text(path, "access"), document_text(path, "tier"),
             document_text(path, "address"));
    return name;
}

/* --- where, and why --- */

/* Is there nothing better, whether it works or not? */
static bool is_first(const struct picture *p)
{
    return p->current && rank_of(p->current) <= rank_of(p->first);
}

static void write_pin(FILE *out, const struct picture *p)
{
    fprintf(out, "A person pinned %s%s", document_text(p->status, "pin"), p->pinned_hard ? " hard" : "");
    document_print_terms(out, p->status, "pin_until", "pin_because");
    fprintf(out, ".\n");
}

static void write_place(FILE *out, const struct picture *p)
{
    fprintf(out, "The route to %s leads to %s (%s, %s), since %s.\n", document_text(p->status, "service"),
            document_text(p->status, "access"), document_text(p->status, "tier"),
            document_text(p->status, "next_hop"), document_text(p->status, "since"));
    if (p->pinned)
        write_pin(out, p);
    else if (is_first(p))
        fprintf(out, "That is home: %s.\n",
                document_is_true(p->status, "local") ? "the node on this host" : "no path has a better rank");
    else
        fprintf(out, "That is not home.\n");
}

static void write_reason(FILE *out, const cJSON *status)
{
    enum selector_reason reason = selector_switch_reason(document_text(status, "reason"));

    if (document_is(status, "reason", "adopted"))
        fprintf(out, "The route stood when the agent began, and the agent keeps it.\n");
    else if (reason != SELECTOR_REASONS)
        fprintf(out, "It came there because: %s.\n", selector_reason_sentence(reason));
}

/* What follows from the decision, where its sentence does not say so. */
static const char *consequence(const cJSON *status)
{
    static const struct {
        const char *decision, *text;
    } rows[] = {
        {"contradicted", " It is left when the window has passed twice, or that connection stands still."},
        {"degraded", " It is left as soon as there is a clean one."},
        {"nothing-eligible", " The first path that can be used is taken."},
        {"foreign", " It is left when it stops answering."},
        {"wait-proof", " The first one that answers is taken."},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (document_is(status, "decision", rows[i].decision))
            return rows[i].text;
    return "";
}

static void write_decision(FILE *out, const struct picture *p)
{
    const char *why = document_text(p->current, "why");

    fprintf(out, "Now: %s.%s\n", document_text(p->status, "explanation"), consequence(p->status));
    if (p->current && why[0])
        fprintf(out, "Of the path in use: %s.\n", why);
}

/* --- what would move it --- */

static void write_next(FILE *out, const struct picture *p)
{
    char name[NAME_SIZE];

    if (p->next)
        fprintf(out, "If the path in use fails, the route goes to %s%s at once.\n", path_name(p->next, name),
                p->equals > 1 ? " or another one of that rank" : "");
    else
        fprintf(out, "If the path in use fails, the route stays: no other path can be used.\n");
}

static void write_moves(FILE *out, const struct picture *p)
{
    const cJSON *command = document_get(p->status, "route_command");

    if (document_is_text(command, "waits_for"))
        fprintf(out, "It goes to %s as soon as the route command has done that.\n",
                document_text(command, "waits_for"));
    if (cJSON_IsObject(document_get(p->status, "observe_only")))
        fprintf(out, "Nothing moves it while this host only observes.\n");
    else if (document_is(command, "state", "hangs"))
        fprintf(out, "Nothing moves it before the route command answers.\n");
    else if (p->pinned_hard)
        fprintf(out, "Nothing moves it but a person: reroute unpin ends that.\n");
    else if (p->current && !document_is(p->status, "decision", "nothing-eligible"))
        write_next(out, p);
}

/* --- the way home --- */

static void write_wait(FILE *out, const cJSON *failback)
{
    static const struct {
        const char *word, *text;
    } waits[] = {
        {"stay", "it was left just now, and is not taken again before its stay is over"},
        {"wait-stable", "its session must be stable first"},
        {"wait-loss", "it must lose fewer packets first"},
        {"wait-service-check", "its service check must succeed first"},
        {"wait-full-size",
         "a packet of full size must get through first: compare the MTUs of host, switch and node"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(waits); i++)
        if (document_is(failback, "waits_for", waits[i].word))
            fprintf(out, "; %s", waits[i].text);
}

/* Why its hold is longer than the configured one. */
static void write_failures(FILE *out, const cJSON *status, const cJSON *failback)
{
    const cJSON *access;
    char count[32];

    cJSON_ArrayForEach(access, document_get(document_get(status, "sessions"), "accesses"))
    {
        const cJSON *failures = document_get(access, "failures");

        if (cJSON_IsNumber(failures) && failures->valuedouble >= 2 &&
            document_is(access, "access", document_text(failback, "access")))
            fprintf(out, ", longer each time, for it failed %s times",
                    document_number(access, "failures", "%.0f", count));
    }
}

static void write_countdown(FILE *out, const cJSON *status, const cJSON *failback)
{
    char in[32], hold[32];

    fprintf(out, "Better is %s (%s). The route goes there ", document_text(failback, "access"),
            document_text(failback, "to"));
    if (document_is_number(failback, "in_s"))
        fprintf(out, "in %s s", document_number(failback, "in_s", "%.0f", in));
    else
        fprintf(out, "when that has been healthy for its hold");
    fprintf(out, " (its hold is %s s", document_number(failback, "hold_s", "%.0f", hold));
    write_failures(out, status, failback);
    fprintf(out, "), if it stays healthy until then");
    write_wait(out, failback);
    fprintf(out, ".\nTo go there without waiting: reroute failback --now\n");
}

/* Of each better path why it is not used. */
static void write_better(FILE *out, const struct picture *p)
{
    const cJSON *path;
    char name[NAME_SIZE];

    cJSON_ArrayForEach(path, p->paths)
    {
        const char *why = document_text(path, "why");

        if (p->current && rank_of(path) < rank_of(p->current) && why[0])
            fprintf(out, "Better would be %s, but: %s.\n", path_name(path, name), why);
    }
}

static void write_home(FILE *out, const struct picture *p)
{
    write_better(out, p);
    if (cJSON_IsObject(p->failback))
        write_countdown(out, p->status, p->failback);
    else if (p->current && !is_first(p) && !p->pinned_hard &&
             !document_is(p->status, "decision", "nothing-eligible"))
        fprintf(out, "The route goes back when a better path has been healthy for its hold.\n");
}

static void write_drain(FILE *out, const cJSON *access)
{
    const char *name = document_text(access, "access");

    fprintf(out, "A person drained %s", name);
    document_print_terms(out, access, "drain_until", "drain_because");
    fprintf(out, ". To let it in again: reroute undrain %s\n", name);
}

/* Accesses that a person took out. */
static void write_drains(FILE *out, const cJSON *status)
{
    const cJSON *access;

    cJSON_ArrayForEach(access, document_get(document_get(status, "sessions"), "accesses"))
    {
        if (document_is_true(access, "drained"))
            write_drain(out, access);
    }
}

/* --- how soon a failure is noticed --- */

/* "100 ms x 10" */
static const char *pair_text(const cJSON *object, char text[static 72])
{
    char timeout[32], count[32];

    snprintf(text, 72, "%s ms x %s", document_number(object, "select_timeout_ms", "%g", timeout),
             document_number(object, "select_count", "%.0f", count));
    return text;
}

/* The pair that the agent found by itself, where it says something that is not in force or that nobody configured. */
static void write_tune(FILE *out, const cJSON *tune)
{
    const cJSON *advice = document_get(tune, "advice");
    char now[72], advised[72];

    if (!cJSON_IsObject(advice))
        return;
    pair_text(tune, now);
    pair_text(advice, advised);
    if (document_is(tune, "mode", "auto"))
        fprintf(out, "The agent found its timeouts, %s, by itself: %s.\n", advised,
                document_text(tune, "why"));
    else if (strcmp(now, advised) != 0)
        fprintf(out, "The agent advises timeouts of %s instead of %s: %s.\n", advised, now,
                document_text(tune, "why"));
}

/* --- all of it --- */

static void write_no_route(FILE *out, const struct picture *p)
{
    const cJSON *path;
    char name[NAME_SIZE];

    fprintf(out, "There is no route to %s yet: %s.\n", document_text(p->status, "service"),
            document_text(p->status, "explanation"));
    cJSON_ArrayForEach(path, p->paths)
    {
        const char *why = document_text(path, "why");

        fprintf(out, "%s: %s.\n", path_name(path, name), why[0] ? why : "it can be used");
    }
}

static void write_all(FILE *out, const struct picture *p)
{
    warnings_print(out, p->status);
    if (!document_is_text(p->status, "next_hop")) {
        write_no_route(out, p);
        write_drains(out, p->status);
        return;
    }
    write_place(out, p);
    write_reason(out, p->status);
    write_decision(out, p);
    write_drains(out, p->status);
    write_home(out, p);
    write_moves(out, p);
    write_tune(out, document_get(p->status, "tune"));
}

char *explanation_text(const cJSON *status)
{
    const struct picture picture = take_picture(status);
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        return NULL;
    write_all(out, &picture);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
