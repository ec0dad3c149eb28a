/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program is told that is run at every change: a document, schema reroute.notify/1, and the same as
 * variables of its environment.
 *
 * News of one step are one notice. So are those of a notice that still waits and the ones that come then: where the
 * route leads is told as it is now, and `events` has all that happened since the last run began.
 */
#include <cjson/cJSON.h>
#include <ctype.h>

#include "probe/text.h"
#include "route/agent/happening.h"
#include "route/agent/private.h"

#define VARIABLE_PREFIX "REROUTE_"

static const char *news_text(enum news news)
{
    static const char *const texts[NEWS_COUNT] = {
        [NEWS_NONE] = "",
        [NEWS_START] = "start",
        [NEWS_STOP] = "stop",
        [NEWS_SWITCH] = "switch",
        [NEWS_NOTHING_ELIGIBLE] = "nothing-eligible",
        [NEWS_PATH_UP] = "path-up",
        [NEWS_PATH_DOWN] = "path-down",
        [NEWS_SESSION_DEAD] = "session-dead",
    };

    return texts[news];
}

/* --- noting --- */

static const char *why_text(const struct agent *agent, enum news what, const struct happening *h,
                            char *buffer, size_t size_bytes)
{
    switch (what) {
    case NEWS_SWITCH:
        return selector_reason_sentence(h->reason);
    case NEWS_NOTHING_ELIGIBLE:
        return agent_explanation(agent);
    case NEWS_PATH_DOWN:
        return agent_path_silence(agent, h->path, buffer, size_bytes);
    default:
        return "";
    }
}

/* What it is about. */
static void fill_item(const struct agent *agent, enum news what, const struct happening *h,
                      struct news_item *item)
{
    const struct agent_table *table = &agent->host.table;
    const char *access = "";
    char buffer[sizeof(item->why)];

    *item = (struct news_item){0};
    if (what == NEWS_SESSION_DEAD)
        access = table->accesses[h->access].name;
    if (what == NEWS_PATH_UP || what == NEWS_PATH_DOWN || what == NEWS_SWITCH) {
        access = agent_table_access_name(table, h->path);
        item->path = table->paths[h->path].address;
    }
    snprintf(item->access, sizeof(item->access), "%s", access);
    snprintf(item->why, sizeof(item->why), "%s", why_text(agent, what, h, buffer, sizeof(buffer)));
}

void agent_news(struct agent *agent, enum news what, const struct happening *happening)
{
    struct agent_news *news = &agent->news;

    if (what == NEWS_NONE || !news->notifier || !agent->config->notify[0])
        return;
    news->events |= 1u << what;
    news->newest = what;
    fill_item(agent, what, happening, &news->items[what]);
}

/* --- the notice --- */

static void add_text(cJSON *object, const char *name, const char *text)
{
    if (text[0])
        cJSON_AddStringToObject(object, name, text);
    else
        cJSON_AddNullToObject(object, name);
}

static cJSON *make_event(const struct agent_news *news, enum news what)
{
    const struct news_item *item = &news->items[what];
    cJSON *event = cJSON_CreateObject();

    cJSON_AddStringToObject(event, "event", news_text(what));
    add_text(event, "access", item->access);
    add_text(event, "path", address_is_set(&item->path) ? ADDRESS_TEXT(&item->path) : "");
    add_text(event, "why", item->why);
    return event;
}

static cJSON *make_document(const struct agent *agent)
{
    const struct agent_news *news = &agent->news;
    cJSON *root = cJSON_CreateObject(), *events;
    char now[LOG_TIME_SIZE];

    cJSON_AddStringToObject(root, "schema", "reroute.notify/1");
    cJSON_AddStringToObject(root, "time", log_time_text(clock_now_ns(CLOCK_REALTIME), now));
    cJSON_AddStringToObject(root, "event", news_text(news->newest));
    events = cJSON_AddArrayToObject(root, "events");
    for (int i = NEWS_NONE + 1; i < NEWS_COUNT; i++)
        if (news->events & 1u << i)
            cJSON_AddItemToArray(events, make_event(news, i));
    agent_status_head(agent, root);
    return root;
}

/* Of the array of events their names stand beside each other; of null there is nothing. */
static void print_value(FILE *out, const cJSON *item)
{
    const cJSON *event;

    if (cJSON_IsString(item))
        fputs(item->valuestring, out);
    else if (cJSON_IsNumber(item))
        fprintf(out, "%.17g", item->valuedouble);
    else if (cJSON_IsBool(item))
        fputs(cJSON_IsTrue(item) ? "true" : "false", out);
    cJSON_ArrayForEach(event, item)
    {
        fputs(event == item->child ? "" : " ", out);
        print_value(out, event->child);
    }
}

/* "REROUTE_NEXT_HOP=10.10.85.16", malloc'ed; NULL: no memory. */
static char *variable_text(const cJSON *member)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    if (!out)
        return NULL;
    fputs(VARIABLE_PREFIX, out);
    for (const char *c = member->string; *c; c++)
        fputc(toupper((unsigned char)*c), out);
    fputc('=', out);
    print_value(out, member);
    fclose(out);
    return text;
}

/* False: no memory. */
static bool fill_notice(struct notice *notice, const struct config *config, const cJSON *document)
{
    const cJSON *member;
    size_t n = 0;

    notice->program = strdup(config->notify);
    notice->timeout_ns = config->notify_timeout_ns;
    notice->document = text_json(cJSON_PrintUnformatted(document));
    notice->variables = calloc((size_t)cJSON_GetArraySize(document) + 1, sizeof(*notice->variables));
    if (!notice->program || !notice->document || !notice->variables)
        return false;
    cJSON_ArrayForEach(member, document)
    {
        notice->variables[n] = variable_text(member);
        if (!notice->variables[n++])
            return false;
    }
    return true;
}

static struct notice *make_notice(const struct agent *agent)
{
    struct notice *notice = calloc(1, sizeof(*notice));
    cJSON *document = make_document(agent);
    bool whole = notice && fill_notice(notice, agent->config, document);

    cJSON_Delete(document);
    return whole ? notice : notice_free(notice);
}

/* --- the step --- */

/* A failure is told when it begins or is another one, and when it is over. */
static void tell_failures(struct agent *agent)
{
    struct agent_news *news = &agent->news;
    struct notifier_report report;

    notifier_report(news->notifier, &report);
    if (strcmp(report.error, news->error) == 0)
        return;
    if (report.error[0])
        log_event(LOG_LEVEL_WARN, "notify-failed", "program=%s error=%s failures=%" PRIu64,
                  LOG_VALUE(agent->config->notify), LOG_QUOTE(report.error), report.failures);
    else
        log_event(LOG_LEVEL_INFO, "notify-again", "program=%s", LOG_VALUE(agent->config->notify));
    memcpy(news->error, report.error, sizeof(news->error));
}

void agent_notice_step(struct agent *agent)
{
    struct agent_news *news = &agent->news;

    if (!news->notifier)
        return;
    if (news->events) {
        if (notifier_take_back(news->notifier))
            news->events |= news->handed;
        notifier_hand_over(news->notifier, make_notice(agent));
        news->handed = news->events;
        news->events = 0;
    }
    if (news->handed)
        tell_failures(agent);
}
