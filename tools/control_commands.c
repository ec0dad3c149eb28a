/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute pin|unpin|drain|undrain|failback`: one request to the running agent each.
 */
#include <getopt.h>

#include "tools/command.h"
#include "tools/control_client.h"

struct control_command {
    const char *path;    /* on the control socket */
    const char *operand; /* JSON member of the one operand; NULL: there is none */
    const char *help;    /* of the operand */
    char option;         /* 'h': --hard, 'n': --now must be given, 0: none */
    const char *done;    /* printf format with the operand */
};

static void usage(FILE *out, const char *name, const struct control_command *command)
{
    fprintf(out, "Usage: %s [OPTION...]%s%s\n\n", name, command->help ? " " : "",
            command->help ? command->help : "");
    if (command->option == 'h')
        fprintf(out, "  --hard         never leave it automatically, not even when it is down\n");
    if (command->option == 'n')
        fprintf(out, "  --now          end the countdown (required)\n");
    fprintf(out, "  --config FILE  configuration that names the agent's socket (default: " CONFIG_PATH_DEFAULT
                 ")\n"
                 "  --socket PATH  the agent's control socket\n"
                 "  --help         this text\n");
}

static int complain(const char *name, const char *message)
{
    fprintf(stderr, "%s: %s\nTry '%s --help'.\n", name, message, name);
    return EXIT_USAGE;
}

static int ask(const char *name, const struct control_command *command, const char *socket_path,
               const char *operand, bool hard)
{
    char message[512] = "out of memory";
    cJSON *request = cJSON_CreateObject(), *answer = NULL;
    CLEANUP(free) char *body = NULL;
    int error;

    if (command->operand)
        cJSON_AddStringToObject(request, command->operand, operand);
    if (hard)
        cJSON_AddTrueToObject(request, "hard");
    body = cJSON_PrintUnformatted(request);
    cJSON_Delete(request);
    error =
        body ? control_client_ask(socket_path, command->path, body, &answer, NULL, message, sizeof(message))
             : -ENOMEM;
    cJSON_Delete(answer);
    if (error < 0) {
        fprintf(stderr, "%s: %s\n", name, message);
        return error == -EREMOTEIO ? 1 : EXIT_SYSTEM;
    }
    printf("%s%s%s\n", operand ? operand : "", operand ? " " : "", command->done);
    return 0;
}

static int run(int argc, char **argv, const struct control_command *command)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"socket", required_argument, NULL, 's'},
        {"hard", no_argument, NULL, 'h'},         {"now", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, '?' + 256},   {0},
    };
    const char *config_path = NULL, *socket_option = NULL;
    char socket_path[CONFIG_TEXT_SIZE], message[512];
    bool given = false;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?' + 256) {
            usage(stdout, argv[0], command);
            return 0;
        }
        if (option == 'c')
            config_path = optarg;
        else if (option == 's')
            socket_option = optarg;
        else if (option == command->option)
            given = true;
        else
            return option == '?' ? complain(argv[0], "bad option")
                                 : complain(argv[0], "this option is of another command");
    }
    if (argc - optind != (command->operand ? 1 : 0))
        return complain(argv[0], command->operand ? "expected one operand" : "expected no operand");
    if (command->option == 'n' && !given)
        return complain(argv[0], "expected --now; `reroute status` shows the countdown");
    if (control_client_socket(socket_option, config_path, socket_path, message, sizeof(message)) < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], message);
        return EXIT_USAGE;
    }
    return ask(argv[0], command, socket_path, command->operand ? argv[optind] : NULL,
               given && command->option == 'h');
}

int command_pin(int argc, char **argv)
{
    return run(argc, argv,
               &(struct control_command){"/v1/pin", "target", "ACCESS|ADDRESS", 'h', "is pinned"});
}

int command_unpin(int argc, char **argv)
{
    return run(argc, argv, &(struct control_command){"/v1/unpin", NULL, NULL, 0, "the pin is gone"});
}

int command_drain(int argc, char **argv)
{
    return run(argc, argv, &(struct control_command){"/v1/drain", "access", "ACCESS", 0, "is drained"});
}

int command_undrain(int argc, char **argv)
{
    return run(argc, argv, &(struct control_command){"/v1/undrain", "access", "ACCESS", 0, "is used again"});
}

int command_failback(int argc, char **argv)
{
    return run(argc, argv,
               &(struct control_command){"/v1/failback", NULL, NULL, 'n', "the countdown is over"});
}
