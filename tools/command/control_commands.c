/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute pin|unpin|drain|undrain|failback`: one request to the running agent each.
 */
#include "probe/text.h"
#include "tools/command/answer.h"
#include "tools/command/command.h"
#include "tools/command/control_client.h"
#include "tools/options.h"

struct control_command {
    const char *about;
    const char *path;      /* on the control socket */
    const char *operand;   /* JSON member of the one operand; NULL: there is none */
    const char *operands;  /* the same for the help */
    struct option_row own; /* its one own option, a flag; no name: none */
    bool must;             /* that option must be given */
    const char *done;      /* what is true then; after the operand */
    const char *own_done;  /* the same with that option; NULL: nothing else */
};

/* The request's body, malloc'ed; NULL: no memory. */
static char *request_body(const struct control_command *command, const char *operand, bool own)
{
    cJSON *request = cJSON_CreateObject();
    char *body;

    if (operand)
        cJSON_AddStringToObject(request, command->operand, operand);
    if (own && !command->must)
        cJSON_AddTrueToObject(request, command->own.name);
    body = text_json(cJSON_PrintUnformatted(request));
    cJSON_Delete(request);
    return body;
}

static int ask(const char *program, const struct control_command *command, const char *socket_path,
               const char *operand, bool own, bool json)
{
    CLEANUP(free) char *body = request_body(command, operand, own);
    char message[512] = "out of memory", done[2 * TEXT_SIZE + 160];
    cJSON *answer = NULL;
    const char *more;
    int error =
        body ? control_client_ask(socket_path, command->path, body, &answer, NULL, message, sizeof(message))
             : -ENOMEM;

    if (error < 0) {
        answer_refused(program, json, message);
        return error == -EREMOTEIO ? EXIT_NOT_ALL : EXIT_SYSTEM;
    }
    more = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "message"));
    snprintf(done, sizeof(done), "%s%s%s%s%s", operand ? TEXT(operand) : "", operand ? " " : "",
             own && command->own_done ? command->own_done : command->done, more ? ": " : "",
             more ? TEXT(more) : "");
    cJSON_Delete(answer);
    answer_done(json, done, NULL);
    return 0;
}

static int run(int argc, char **argv, struct control_command command)
{
    const char *config_path = NULL, *socket_option = NULL;
    char socket_path[CONFIG_TEXT_SIZE], message[512];
    bool own = false, json = false;
    const struct option_row rows[] = {
        OPTION_CONFIG(&config_path),
        OPTION_SOCKET(&socket_option),
        OPTION_JSON(&json, "reroute.answer/1"),
        {.name = command.own.name, .help = command.own.help, .flag = &own},
        {0},
        {0},
    };
    const struct command_line line = {
        .about = command.about,
        .operands = command.operands,
        .least = command.operand ? 1 : 0,
        .most = command.operand ? 1 : 0,
        .rows = rows,
        .after = "Exit code: 0 done, 1 the agent refuses, 3 bad arguments, 4 no agent answers.\n",
    };
    int at = options_parse(&line, argc, argv);

    if (at <= 0)
        return at ? EXIT_USAGE : 0;
    if (command.must && !own)
        return options_complain(argv[0], "expected --%s; `reroute status` shows the countdown",
                                command.own.name);
    if (control_client_socket(socket_option, config_path, socket_path, message, sizeof(message)) < 0) {
        answer_refused(argv[0], json, message);
        return EXIT_USAGE;
    }
    return ask(argv[0], &command, socket_path, command.operand ? argv[at] : NULL, own, json);
}

int command_pin(int argc, char **argv)
{
    return run(argc, argv,
               (struct control_command){
                   .about = "Prefers one access or path to all others until `reroute unpin`.\n",
                   .path = "/v1/pin",
                   .operand = "target",
                   .operands = "ACCESS|ADDRESS",
                   .own = {.name = "hard", .help = "never leave it automatically, not even when it is down"},
                   .done = "is pinned",
                   .own_done = "is pinned hard: never left until `reroute unpin`, even when down",
               });
}

int command_unpin(int argc, char **argv)
{
    return run(argc, argv,
               (struct control_command){
                   .about = "Ends a pin.\n",
                   .path = "/v1/unpin",
                   .done = "the pin is gone",
               });
}

int command_drain(int argc, char **argv)
{
    return run(argc, argv,
               (struct control_command){
                   .about = "Leaves an access before its maintenance and does not return to it.\n",
                   .path = "/v1/drain",
                   .operand = "access",
                   .operands = "ACCESS",
                   .done = "is drained",
               });
}

int command_undrain(int argc, char **argv)
{
    return run(argc, argv,
               (struct control_command){
                   .about = "Ends a drain.\n",
                   .path = "/v1/undrain",
                   .operand = "access",
                   .operands = "ACCESS",
                   .done = "is used again",
               });
}

int command_failback(int argc, char **argv)
{
    return run(argc, argv,
               (struct control_command){
                   .about = "Returns to the better path without waiting for hold.\n",
                   .path = "/v1/failback",
                   .own = {.name = "now", .help = "end the countdown (required)"},
                   .must = true,
                   .done = "the countdown is over",
               });
}
