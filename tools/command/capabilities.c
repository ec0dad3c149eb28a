/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reroute capabilities: what this host refuses (capability.h).
 */
#include <cjson/cJSON.h>
#include <sys/utsname.h>

#include "probe/text.h"
#include "tools/command/capability.h"
#include "tools/command/command.h"
#include "tools/errno_name.h"
#include "tools/options.h"

static void print_table(const struct utsname *host, const int results[])
{
    char buffer[ERRNO_RESULT_SIZE];

    printf("%s %s %s\n\n%-24s %-16s %-44s %s\n", TEXT(host->sysname), TEXT(host->release),
           TEXT(host->machine), "WHAT", "RESULT", "TRIED", "INSTEAD");
    for (size_t i = 0; i < capability_count; i++)
        printf("%-24s %-16s %-44s %s\n", capability_what(&capabilities[i]), errno_result(results[i], buffer),
               capabilities[i].tried, results[i] < 0 ? capability_instead(&capabilities[i]) : "");
}

static cJSON *row_document(const struct capability *capability, int r)
{
    cJSON *row = cJSON_CreateObject();
    char buffer[ERRNO_RESULT_SIZE];

    cJSON_AddStringToObject(row, "what", capability_what(capability));
    cJSON_AddStringToObject(row, "tried", capability->tried);
    cJSON_AddStringToObject(row, "result", errno_result(r, buffer));
    cJSON_AddNumberToObject(row, "errno", -r);
    cJSON_AddStringToObject(row, "error", r < 0 ? strerror(-r) : "");
    cJSON_AddStringToObject(row, "instead", r < 0 ? capability_instead(capability) : "");
    return row;
}

static int print_json(const struct utsname *host, const int results[])
{
    cJSON *root = cJSON_CreateObject();
    cJSON *rows = cJSON_AddArrayToObject(root, "capabilities");
    char *text;

    cJSON_AddStringToObject(root, "schema", "reroute.capabilities/1");
    cJSON_AddStringToObject(root, "version", REROUTE_VERSION);
    cJSON_AddStringToObject(root, "system", host->sysname);
    cJSON_AddStringToObject(root, "release", host->release);
    cJSON_AddStringToObject(root, "machine", host->machine);
    for (size_t i = 0; i < capability_count; i++)
        cJSON_AddItemToArray(rows, row_document(&capabilities[i], results[i]));
    text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    if (!text) {
        text_error("reroute capabilities: out of memory");
        return EXIT_SYSTEM;
    }
    puts(text);
    cJSON_free(text);
    return 0;
}

int command_capabilities(int argc, char **argv)
{
    int results[CAPABILITIES_MAX], code = 0, at;
    struct utsname host = {0};
    bool json = false, can_probe = false;
    const struct option_row rows[] = {OPTION_JSON(&json, "reroute.capabilities/1"), {0}};
    const struct command_line line = {
        .about = "Tries what not every host has, and tells what is done without it.\n",
        .rows = rows,
        .after =
            "Exit code: 0 addresses can be probed from here, 1 they cannot (neither ping nor raw sockets), 3 "
            "bad arguments, 4\nsystem error.\n",
    };

    at = options_parse(&line, argc, argv);
    if (at <= 0)
        return at ? EXIT_USAGE : 0;
    uname(&host);
    for (size_t i = 0; i < capability_count; i++) {
        results[i] = capabilities[i].try();
        if (capability_is_probing(&capabilities[i]))
            can_probe |= results[i] == 0;
    }
    if (json)
        code = print_json(&host, results);
    else
        print_table(&host, results);
    return code ? code : can_probe ? 0 : EXIT_NOT_ALL;
}
