/* SPDX-License-Identifier: Apache-2.0 */
#include "route/journal/story.h"

#include <stdarg.h>

#include "route/decide/selector.h"
#include "route/journal/journal.h"

#define NAMES_MAX     4096 /* paths, and accesses: as of a history */
#define SENTENCE_SIZE 512
#define NAME_SIZE     160

struct story {
    cJSON *paths, *accesses; /* by address and by name: their members as they were last told of */
    cJSON *agent;
    char reason[64]; /* of the decision that was told last */
    bool moved;      /* the route, since then */
    bool quiet;      /* what is read now is how things stand, and no news */
    bool begun;      /* a snapshot was read */

    story_say *say; /* of this call */
    void *context;
};

struct story *story_new(void)
{
    struct story *story = calloc(1, sizeof(*story));

    if (!story)
        return NULL;
    story->paths = cJSON_CreateObject();
    story->accesses = cJSON_CreateObject();
    story->agent = cJSON_CreateObject();
    return story->paths && story->accesses && story->agent ? story : story_free(story);
}

struct story *story_free(struct story *story)
{
    if (!story)
        return NULL;
    cJSON_Delete(story->paths);
    cJSON_Delete(story->accesses);
    cJSON_Delete(story->agent);
    free(story);
    return NULL;
}

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(item) ? item->valuestring : "";
}

static void tell(struct story *story, const char *format, ...) PRINTF_LIKE(2, 3);

static void tell(struct story *story, const char *format, ...)
{
    char sentence[SENTENCE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    story->say(story->context, sentence);
}

/* --- what is remembered --- */

/* Takes over the members of `item`, but arrays and objects. 0 or -ENOMEM. */
static int take_over(cJSON *known, const cJSON *item)
{
    const cJSON *member;

    cJSON_ArrayForEach(member, item)
    {
        cJSON *copy = cJSON_IsArray(member) || cJSON_IsObject(member) ? NULL : cJSON_Duplicate(member, false);

        if (!copy)
            continue;
        cJSON_DeleteItemFromObjectCaseSensitive(known, member->string);
        if (!cJSON_AddItemToObject(known, member->string, copy)) {
            cJSON_Delete(copy);
            return -ENOMEM;
        }
    }
    return 0;
}

/* What is known under this name; made when there is nothing. NULL: no memory, or too many of them. */
static cJSON *known_of(cJSON *all, const char *name)
{
    cJSON *known = cJSON_GetObjectItemCaseSensitive(all, name);

    if (known || cJSON_GetArraySize(all) >= NAMES_MAX)
        return known;
    known = cJSON_CreateObject();
    if (!known || cJSON_AddItemToObject(all, name, known))
        return known;
    cJSON_Delete(known);
    return NULL;
}

/* "node1 data 10.10.85.15", or the address alone. */
static const char *path_name(const struct story *story, const char *address, char name[static NAME_SIZE])
{
    const cJSON *path = cJSON_GetObjectItemCaseSensitive(story->paths, address);
    const char *access = text_of(path, "access");

    snprintf(name, NAME_SIZE, "%.63s%s%.15s%s%.63s", access, access[0] ? " " : "",
             access[0] ? text_of(path, "tier") : "", access[0] ? " " : "", address);
    return name;
}

/* --- news --- */

/* What a member that got another value means; `text` is for printf, with the name. */
struct meaning {
    const char *member, *value; /* value: a word, "true" or "false" */
    const char *before, *after; /* the sentence around the name */
};

static const struct meaning path_meanings[] = {
    {"link_usable", "false", "the interface of ", " is down"},
    {"link_usable", "true", "the interface of ", " is up again"},
    {"on_link", "false", "", " is not directly connected any more"},
    {"on_link", "true", "", " is directly connected"},
    {"state", "up", "", " answers"},
    {"state", "down", "", " does not answer any more"},
    {"degraded", "true", "", " loses too many packets"},
    {"degraded", "false", "", " loses few packets again"},
    {"service_bad", "true", "", " answers pings, but its storage service does not work"},
    {"service_bad", "false", "the storage service of ", " works again"},
    {"full_size", "lost", "a packet of full size did not get through ", ": is an MTU wrong?"},
};

static const struct meaning access_meanings[] = {
    {"session", "dead", "the session of ", " is dead: the cluster does not list it any more"},
    {"session", "alive", "the session of ", " is alive: the cluster lists it"},
    {"session", "stable", "the session of ", " is stable: it has lived for a hold"},
};

static const struct meaning agent_meanings[] = {
    {"stalled", "true", "the data that this host sends to the service are not acknowledged", ""},
    {"stalled", "false", "the data that this host sends to the service are acknowledged again", ""},
    {"held_up", "true", "the data that this host sends again to the service are not acknowledged either", ""},
};

/* As a word; "" for what is none. */
static const char *value_text(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    if (cJSON_IsBool(item))
        return cJSON_IsTrue(item) ? "true" : "false";
    return cJSON_IsString(item) ? item->valuestring : "";
}

/* What is seen for the first time has not become so. */
static bool became(const cJSON *known, const cJSON *item, const struct meaning *meaning)
{
    const char *before = value_text(known, meaning->member), *now = value_text(item, meaning->member);

    return before[0] && strcmp(now, meaning->value) == 0 && strcmp(before, now) != 0;
}

static void tell_meanings(struct story *story, const struct meaning *meanings, size_t count,
                          const cJSON *known, const cJSON *item, const char *name)
{
    for (size_t i = 0; !story->quiet && i < count; i++)
        if (became(known, item, &meanings[i]))
            tell(story, "%s%s%s", meanings[i].before, name, meanings[i].after);
}

static int take_path(struct story *story, const cJSON *item, cJSON *known)
{
    char name[NAME_SIZE];

    tell_meanings(story, path_meanings, ARRAY_SIZE(path_meanings), known, item,
                  path_name(story, text_of(item, "path"), name));
    return take_over(known, item);
}

static int take_access(struct story *story, const cJSON *item, cJSON *known)
{
    const char *before = text_of(known, "uuid"), *now = text_of(item, "uuid");

    if (!story->quiet && before[0] && now[0] && strcmp(before, now) != 0)
        tell(story, "%s has a new session: it restarted", text_of(item, "access"));
    tell_meanings(story, access_meanings, ARRAY_SIZE(access_meanings), known, item, text_of(item, "access"));
    return take_over(known, item);
}

static bool is_time(const cJSON *object, const char *name)
{
    const char *text = text_of(object, name);

    return text[0] && strcmp(text, "0") != 0;
}

static int take_agent(struct story *story, const cJSON *item)
{
    if (!story->quiet && is_time(item, "contradicted_ns") && !is_time(story->agent, "contradicted_ns"))
        tell(story, "pings on the path in use are lost, but the data that this host sends to the service are "
                    "acknowledged");
    tell_meanings(story, agent_meanings, ARRAY_SIZE(agent_meanings), story->agent, item, "");
    return take_over(story->agent, item);
}

typedef int take_item(struct story *story, const cJSON *item, cJSON *known);

/* Each item of the array `list`, which has its name in the member `key`. */
static int take_items(struct story *story, const cJSON *list, const char *key, cJSON *all, take_item *take)
{
    const cJSON *item;
    int error = 0;

    cJSON_ArrayForEach(item, list)
    {
        cJSON *known = text_of(item, key)[0] ? known_of(all, text_of(item, key)) : NULL;

        if (!known && cJSON_GetArraySize(all) >= NAMES_MAX)
            return -EPROTO;
        error = known ? take(story, item, known) : 0;
        if (error)
            break;
    }
    return error;
}

/* --- lines --- */

/* The word itself when no reason has it. */
static const char *sentence_of(enum selector_reason reason, const char *word)
{
    return reason == SELECTOR_REASONS ? word : selector_reason_sentence(reason);
}

/* ": node1 data 10.10.85.15 in 143 s", or less where that is not known. */
static void candidate_text(const struct story *story, const cJSON *line, const cJSON *decision,
                           char text[static NAME_SIZE + 64])
{
    const char *address = text_of(decision, "candidate"), *at = text_of(decision, "candidate_at_ns");
    double left_s = (strtod(at, NULL) - strtod(text_of(line, "t_ns"), NULL)) / (double)NS_PER_S;
    char name[NAME_SIZE];
    int n;

    text[0] = '\0';
    if (!address[0])
        return;
    n = snprintf(text, NAME_SIZE + 64, ": %s", path_name(story, address, name));
    if (at[0] && left_s > 0 && left_s < 1e6)
        snprintf(text + n, 64, ", in %.0f s", left_s);
}

/* A switch tells itself, in a line of its own; so does what comes right after it. */
static void tell_decision(struct story *story, const cJSON *line)
{
    const cJSON *decision = cJSON_GetObjectItemCaseSensitive(line, "decision");
    const char *action = text_of(decision, "action"), *reason = text_of(decision, "reason");
    bool best = strcmp(reason, "best") == 0, moved = story->moved;
    char name[NAME_SIZE], candidate[NAME_SIZE + 64];

    if (!reason[0] || strcmp(action, "switch") == 0 || strcmp(reason, story->reason) == 0)
        return;
    snprintf(story->reason, sizeof(story->reason), "%s", reason);
    story->moved = false;
    if (strcmp(action, "switch-planned") == 0) {
        tell(story, "the move to %s begins: %s", path_name(story, text_of(decision, "to"), name),
             sentence_of(selector_switch_reason(reason), reason));
        return;
    }
    candidate_text(story, line, decision, candidate);
    if (!story->quiet && !(best && moved))
        tell(story, "%s%s", sentence_of(selector_keep_reason(reason), reason), candidate);
}

static void tell_switch(struct story *story, const cJSON *line)
{
    const char *from = text_of(line, "from"), *error = text_of(line, "error");
    const char *reason = text_of(line, "reason"), *why = sentence_of(selector_switch_reason(reason), reason);
    char left[NAME_SIZE], to[NAME_SIZE];

    path_name(story, text_of(line, "to"), to);
    story->moved = true;
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "done")))
        tell(story, "the route could not be moved to %s: %.100s", to, error);
    else if (from[0])
        tell(story, "the route moved from %s to %s: %s", path_name(story, from, left), to, why);
    else
        tell(story, "the route was set to %s: %s", to, why);
}

static void tell_adoption(struct story *story, const cJSON *line)
{
    char name[NAME_SIZE];

    tell(story, "there was a route already, to %s: it is kept", path_name(story, text_of(line, "to"), name));
    story->moved = true;
}

struct order_words {
    const char *command;
    const char *before, *after; /* the sentence around the target */
    const char *over;           /* before the target, when the time of the order is over; NULL: it has none */
};

/* NULL: the command is not known. */
static const struct order_words *words_of(const char *command)
{
    static const struct order_words all[] = {
        {"pin", "a person pinned ", "", NULL},
        {"pin --hard", "a person pinned ", ", hard", NULL},
        {"unpin", "a person ended the pin of ", "", "the time is over of the pin of "},
        {"drain", "a person drained ", "", NULL},
        {"undrain", "a person ended the drain of ", "", "the time is over of the drain of "},
        {"failback --now", "a person ended the wait for the move to ", "", NULL},
        {"observe only", "the observe-file is there: the agent only watches, and moves nothing", "", NULL},
        {"act again", "the observe-file is gone: the agent moves the route again", "", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (strcmp(command, all[i].command) == 0)
            return &all[i];
    return NULL;
}

static void tell_command(struct story *story, const cJSON *line)
{
    const char *command = text_of(line, "command"), *because = text_of(line, "because"),
               *target = text_of(line, "target");
    const struct order_words *words = words_of(command);

    if (!words)
        tell(story, "a person said: %.20s %.64s", command, target);
    else if (words->over && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "over")))
        tell(story, "%s%.64s", words->over, target);
    else
        tell(story, "%s%.64s%s%s%.120s", words->before, target, words->after, because[0] ? ", because: " : "",
             because);
}

static void tell_snapshot(struct story *story, const cJSON *line)
{
    const char *why = text_of(line, "why"), *current = text_of(line, "current"),
               *lost = text_of(line, "lost");
    char name[NAME_SIZE];

    if (lost[0])
        tell(story, "%.20s lines at least are missing here", lost);
    if (strcmp(why, "reload") == 0)
        tell(story, "the configuration was read again");
    if (strcmp(why, "paths") == 0)
        tell(story, "the list of paths changed");
    if (strcmp(why, "start") != 0)
        return;
    tell(story, "the agent started: reroute %.40s, %s%s", text_of(line, "version"),
         current[0] ? "the route leads to " : "there is no route",
         current[0] ? path_name(story, current, name) : "");
}

static int take_evidence(struct story *story, const cJSON *line)
{
    int error = take_items(story, cJSON_GetObjectItemCaseSensitive(line, "accesses"), "access",
                           story->accesses, take_access);

    if (!error)
        error = take_items(story, cJSON_GetObjectItemCaseSensitive(line, "paths"), "path", story->paths,
                           take_path);
    return error ? error : take_agent(story, cJSON_GetObjectItemCaseSensitive(line, "agent"));
}

/* What an agent that begins knows is no news, nor is what the first snapshot has. */
static int take_snapshot(struct story *story, const cJSON *line, char *message, size_t size_bytes)
{
    bool start = strcmp(text_of(line, "why"), "start") == 0;
    int error;

    if (strcmp(text_of(line, "schema"), JOURNAL_SCHEMA) != 0) {
        snprintf(message, size_bytes, "schema '%.40s', expected " JOURNAL_SCHEMA, text_of(line, "schema"));
        return -EPROTO;
    }
    story->quiet = !story->begun || start;
    story->begun = true;
    if (start)
        story->reason[0] = '\0';
    error = take_evidence(story, line);
    if (!error)
        tell_snapshot(story, line);
    story->quiet = false;
    return error;
}

int story_line(struct story *story, const cJSON *line, story_say *say, void *context, char *message,
               size_t size_bytes)
{
    const char *kind = text_of(line, "kind");
    int error = 0;

    story->say = say;
    story->context = context;
    snprintf(message, size_bytes, "more than %d paths or accesses, not of a journal", NAMES_MAX);
    if (strcmp(kind, "snapshot") == 0)
        error = take_snapshot(story, line, message, size_bytes);
    else if (strcmp(kind, "step") == 0)
        error = take_evidence(story, line);
    else if (strcmp(kind, "switch") == 0)
        tell_switch(story, line);
    else if (strcmp(kind, "adopt") == 0)
        tell_adoption(story, line);
    else if (strcmp(kind, "command") == 0)
        tell_command(story, line);
    else if (strcmp(kind, "stop") == 0)
        tell(story, "the agent stopped");
    if (!error)
        tell_decision(story, line);
    if (error == -ENOMEM)
        snprintf(message, size_bytes, "%s", strerror(ENOMEM));
    return error;
}
