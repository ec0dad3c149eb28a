/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute explain`: the agent's status document in words.
 */
#include "tools/command/command.h"
#include "tools/command/control_client.h"
#include "tools/command/explanation.h"
#include "tools/options.h"

#include "probe/text.h"

/* Each line is a sentence or two. */
static void print_document(char *text)
{
    cJSON *root = cJSON_CreateObject(), *list;
    CLEANUP(free) char *document = NULL;
    char *line;

    cJSON_AddStringToObject(root, "schema", "reroute.explain/1");
    list = cJSON_AddArrayToObject(root, "lines");
    while ((line = strsep(&text, "\n")) && line[0])
        cJSON_AddItemToArray(list, cJSON_CreateString(line));
    document = text_json(cJSON_Print(root));
    cJSON_Delete(root);
    puts(document ? document : "{}");
}

static int explain(const char *program, const char *socket_path, bool json)
{
    char message[512] = "out of memory";
    CLEANUP(free) char *text = NULL;
    cJSON *status = NULL;

    if (control_client_ask(socket_path, "/v1/status", NULL, &status, NULL, message, sizeof(message)) == 0)
        text = explanation_text(status);
    cJSON_Delete(status);
    if (!text) {
        text_error("%s: %s", program, message);
        return EXIT_SYSTEM;
    }
    if (json)
        print_document(text);
    else
        fputs(text, stdout);
    return 0;
}

int command_explain(int argc, char **argv)
{
    const char *config_path = NULL, *socket_option = NULL;
    char socket_path[CONFIG_TEXT_SIZE], message[512];
    bool json = false;
    const struct option_row rows[] = {
        OPTION_JSON(&json, "reroute.explain/1"),
        OPTION_CONFIG(&config_path),
        OPTION_SOCKET(&socket_option),
        {0},
    };
    const struct command_line line = {
        .about = "Why the route is where it is, what would move it, and when it goes home, in words.\n",
        .rows = rows,
        .after = "Exit code: 0, 3 bad arguments, 4 no agent answers.\n",
    };
    int at = options_parse(&line, argc, argv);

    if (at <= 0)
        return at ? EXIT_USAGE : 0;
    if (control_client_socket(socket_option, config_path, CONTROL_LOOK, socket_path, message,
                              sizeof(message)) < 0) {
        text_error("%s: %s", argv[0], message);
        return EXIT_USAGE;
    }
    return explain(argv[0], socket_path, json);
}
