/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command/try_route_show.h"

#include <sys/wait.h>

#include "probe/text.h"
#include "route/fib/table_text.h"
#include "tools/errno_name.h"

#define ENDING_SIZE 48

static double ms_of(uint64_t ns)
{
    return (double)(ns / NS_PER_US) / 1000;
}

/* "exit 0", "signal 11", "ETIMEDOUT". */
static const char *ending(const struct try_command *command, char buffer[static ENDING_SIZE])
{
    char name[ERRNO_RESULT_SIZE];

    if (command->error < 0)
        snprintf(buffer, ENDING_SIZE, "%s", errno_result(command->error, name));
    else if (WIFSIGNALED(command->status))
        snprintf(buffer, ENDING_SIZE, "signal %d", WTERMSIG(command->status));
    else
        snprintf(buffer, ENDING_SIZE, "exit %d", WEXITSTATUS(command->status));
    return buffer;
}

static const char *or_none(const char *text)
{
    return text ? text : "";
}

/* --- for people ----------------------------------------------------------------------------------------- */

void try_run_print_head(const struct try_run *run)
{
    const struct try_route *route = run->route;

    printf("\nThe route %s via %s", ADDRESS_TEXT(&route->address), ADDRESS_TEXT(&route->gateways[0]));
    for (size_t i = 1; i < route->gateway_count; i++)
        printf(", then via %s", ADDRESS_TEXT(&route->gateways[i]));
    printf(", by backend %s:\n\n%-10s %-12s %10s  %s\n",
           run->backend ? run->backend : route->settings.backend, "STEP", "RESULT", "MS", "WHAT");
}

void try_run_print_step(const struct try_run *run, const struct try_step *step)
{
    char name[ERRNO_RESULT_SIZE], end[ENDING_SIZE], words[TRY_MESSAGE_SIZE];

    printf("%-10s %-12s %10.1f  %s\n", step->name, errno_result(step->error, name), ms_of(step->took_ns),
           TEXT(step->message));
    for (size_t i = step->first; i < step->first + step->count; i++) {
        const struct try_command *command = &run->commands[i];

        printf("    %s (%s, %.1f ms) says: %s\n", TEXT(or_none(command->command)), ending(command, end),
               ms_of(command->took_ns), text_one_line(or_none(command->output), words, sizeof(words)));
    }
    fflush(stdout);
}

void try_run_print_end(const struct try_run *run)
{
    static const char *const ends[] = {
        [TRY_DONE] = "The whole cycle was gone through. Nothing is left of it.",
        [TRY_FAILED] = "The cycle ended early. Nothing is left of it.",
        [TRY_STOPPED] = "The cycle was stopped. Nothing is left of it.",
        [TRY_LEFT] = "The route MAY STILL STAND. Look, and remove it by hand: `esxcfg-route -l` and "
                     "`esxcfg-route -d ADDRESS/32 GATEWAY`, or `ip route`.",
    };

    printf("\n%s\n", ends[run->end]);
}

/* --- as a document -------------------------------------------------------------------------------------- */

static cJSON *command_document(const struct try_command *command)
{
    cJSON *json = cJSON_CreateObject();
    char end[ENDING_SIZE];

    cJSON_AddStringToObject(json, "command", or_none(command->command));
    cJSON_AddStringToObject(json, "ended", ending(command, end));
    cJSON_AddNumberToObject(json, "ms", ms_of(command->took_ns));
    cJSON_AddStringToObject(json, "output", or_none(command->output));
    cJSON_AddBoolToObject(json, "cut", command->cut);
    return json;
}

static cJSON *step_document(const struct try_run *run, const struct try_step *step)
{
    cJSON *json = cJSON_CreateObject(), *commands;
    char name[ERRNO_RESULT_SIZE];

    cJSON_AddStringToObject(json, "step", step->name);
    cJSON_AddStringToObject(json, "result", errno_result(step->error, name));
    cJSON_AddNumberToObject(json, "errno", -step->error);
    cJSON_AddStringToObject(json, "message", step->message);
    cJSON_AddNumberToObject(json, "ms", ms_of(step->took_ns));
    commands = cJSON_AddArrayToObject(json, "commands");
    for (size_t i = step->first; i < step->first + step->count; i++)
        cJSON_AddItemToArray(commands, command_document(&run->commands[i]));
    return json;
}

cJSON *try_run_document(const struct try_run *run)
{
    static const char *const ends[] = {
        [TRY_DONE] = "done", [TRY_FAILED] = "failed", [TRY_STOPPED] = "stopped", [TRY_LEFT] = "left"};
    const struct try_route *route = run->route;
    cJSON *json = cJSON_CreateObject(), *gateways, *steps;

    cJSON_AddStringToObject(json, "address", ADDRESS_TEXT(&route->address));
    gateways = cJSON_AddArrayToObject(json, "gateways");
    for (size_t i = 0; i < route->gateway_count; i++)
        cJSON_AddItemToArray(gateways, cJSON_CreateString(ADDRESS_TEXT(&route->gateways[i])));
    cJSON_AddStringToObject(json, "backend", or_none(run->backend));
    cJSON_AddStringToObject(json, "route_command", or_none(route->settings.command));
    cJSON_AddStringToObject(json, "netstack", or_none(route->settings.netstack));
    cJSON_AddStringToObject(json, "end", ends[run->end]);
    steps = cJSON_AddArrayToObject(json, "steps");
    for (size_t i = 0; i < run->step_count; i++)
        cJSON_AddItemToArray(steps, step_document(run, &run->steps[i]));
    return json;
}
