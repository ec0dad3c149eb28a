/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute sessions`: asks the cluster once, with or without a running agent, and shows the answer as it is.
 */
#include <cjson/cJSON.h>
#include <event2/event.h>

#include "probe/text.h"
#include "route/agent/loop.h"
#include "route/agent/provider_settings.h"
#include "tools/command/command.h"
#include "tools/options.h"

struct query {
    struct event_base *base;
    const char *file; /* who answers where nobody has an address; empty: somebody has */
    bool json;
    int code;
};

static void print_json(const struct session_answer *answer, const char *from)
{
    CLEANUP(free) char *list = session_list_print(answer->list);
    cJSON *root = cJSON_CreateObject(), *sessions = list ? cJSON_Parse(list) : NULL;

    cJSON_AddStringToObject(root, "schema", "reroute.sessions/1");
    cJSON_AddStringToObject(root, "from", from);
    cJSON_AddNumberToObject(root, "took_ms", (double)answer->took_ns / NS_PER_MS);
    cJSON_AddNumberToObject(root, "skipped", (double)answer->skipped);
    cJSON_AddItemToObject(root, "sessions", sessions ? sessions : cJSON_CreateArray());
    {
        CLEANUP(free) char *text = text_json(cJSON_Print(root));

        if (text)
            puts(text);
    }
    cJSON_Delete(root);
}

static void print_table(const struct session_answer *answer, const char *from)
{
    printf("%zu session%s from %s in %.1f ms", answer->list->count, answer->list->count == 1 ? "" : "s",
           TEXT(from), (double)answer->took_ns / NS_PER_MS);
    printf(answer->skipped ? ", %zu entries not understood\n" : "\n", answer->skipped);
    printf("%-18s %-18s %-12s %-18s %9s  %s\n", "DATA", "SECONDARY", "ZONE", "ON HOST", "ALIVE s", "UUID");
    for (size_t i = 0; i < answer->list->count; i++) {
        const struct session *s = &answer->list->items[i];
        char alive[24] = "-";

        if (s->has_alive_sec)
            snprintf(alive, sizeof(alive), "%" PRIu64, s->alive_sec);
        printf("%-18s %-18s %-12s %-18s %9s  %s\n", ADDRESS_TEXT(&s->data), ADDRESS_TEXT(&s->secondary),
               TEXT(s->zone), ADDRESS_TEXT(&s->host_data), alive, TEXT(s->uuid));
    }
}

static void on_list(void *context, const struct session_answer *answer)
{
    struct query *query = context;
    char address[ADDRESS_TEXT_SIZE];
    const char *from = address_is_set(&answer->origin.address)
                           ? address_format(&answer->origin.address, address)
                           : query->file;

    if (answer->error < 0) {
        text_error("reroute sessions: %s", answer->message);
        if (!query->file[0])
            text_error(
                "reroute sessions: for a cluster without this service: session { provider = \"none\" }");
        query->code = EXIT_NOT_ALL;
    } else if (query->json) {
        print_json(answer, from);
    } else {
        print_table(answer, from);
    }
    event_base_loopbreak(query->base);
}

/* Every address by which an access may answer. */
static size_t all_endpoints(const struct config *config, struct session_endpoint *out)
{
    size_t count = 0;

    for (size_t i = 0; i < config->access_count; i++) {
        const struct config_access *access = &config->accesses[i];
        const struct address *ways[] = {&access->data, &access->secondary, &access->management};

        for (size_t j = 0; j < ARRAY_SIZE(ways); j++)
            if (address_is_set(ways[j]))
                out[count++] = (struct session_endpoint){.access = (uint32_t)i, .address = *ways[j]};
    }
    for (size_t i = 0; i < config->bootstrap_count; i++)
        out[count++] = (struct session_endpoint){.access = (uint32_t)(config->access_count + i),
                                                 .address = config->bootstrap[i]};
    return count;
}

static int ask(const struct config *config, bool json)
{
    struct query query = {.base = loop_new(NULL), .file = config->session.file, .json = json};
    struct session_endpoint *endpoints =
        calloc(3 * config->access_count + config->bootstrap_count + 1, sizeof(*endpoints));
    struct session_provider *provider = NULL;
    char message[512] = "out of memory";
    int error = query.base && endpoints
                    ? config_session_provider(&provider, query.base, config, message, sizeof(message))
                    : -ENOMEM;

    if (!error) {
        error = session_provider_list(provider, endpoints, all_endpoints(config, endpoints), on_list, &query);
        snprintf(message, sizeof(message), "%s",
                 error == -ENOTSUP ? "the configuration has no session provider" : strerror(-error));
    }
    if (error) {
        text_error("reroute sessions: %s", message);
        query.code = error == -EINVAL || error == -ENOTSUP ? EXIT_USAGE : EXIT_SYSTEM;
    } else {
        if (event_base_dispatch(query.base) < 0) {
            text_error("reroute sessions: cannot wait for an answer: %s", strerror(errno));
            query.code = EXIT_SYSTEM;
        }
    }
    session_provider_free(provider);
    free(endpoints);
    if (query.base)
        event_base_free(query.base);
    return query.code;
}

int command_sessions(int argc, char **argv)
{
    const char *config_path = CONFIG_PATH_DEFAULT;
    CLEANUP(config_free) struct config *config = NULL;
    char message[512];
    bool json = false;
    const struct option_row rows[] = {
        OPTION_JSON(&json, "reroute.sessions/1"),
        OPTION_CONFIG(&config_path),
        {0},
    };
    const struct command_line line = {
        .about = "Asks the cluster which sessions are alive.\n",
        .rows = rows,
        .after = "Exit code: 0 a list came, 1 none came, 3 bad arguments or configuration, 4 system error.\n",
    };
    int at = options_parse(&line, argc, argv);

    if (at <= 0)
        return at ? EXIT_USAGE : 0;
    if (config_load(&config, config_path, message, sizeof(message)) < 0) {
        text_error("reroute sessions: %s", message);
        return EXIT_USAGE;
    }
    return ask(config, json);
}
