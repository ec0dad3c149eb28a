/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command/answer.h"

#include <stdio.h>

#include "probe/text.h"

static void print_document(bool ok, const char *message, const char *warning, cJSON *route)
{
    cJSON *root = cJSON_CreateObject();
    CLEANUP(free) char *text = NULL;

    cJSON_AddStringToObject(root, "schema", "reroute.answer/1");
    cJSON_AddBoolToObject(root, "ok", ok);
    cJSON_AddStringToObject(root, "message", message);
    if (warning)
        cJSON_AddStringToObject(root, "warning", warning);
    if (route)
        cJSON_AddItemToObject(root, "route", route);
    text = text_json(cJSON_Print(root));
    cJSON_Delete(root);
    puts(text ? text : "{}");
}

void answer_done(const char *program, bool json, const char *message, const char *warning, cJSON *route)
{
    if (json) {
        print_document(true, message, warning, route);
    } else {
        puts(message);
        cJSON_Delete(route);
    }
    fflush(stdout); /* whoever reads both reads what was done first */
    if (warning)
        text_error("%s: warning: %s", program, warning);
}

void answer_refused(const char *program, bool json, const char *message)
{
    text_error("%s: %s", program, message);
    if (json)
        print_document(false, message, NULL, NULL);
}
