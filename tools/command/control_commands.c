/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute pin|unpin|drain|undrain|failback`: one request to the running agent each.
 */
#include "probe/text.h"
#include "route/log.h"
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
    bool terms;            /* it takes --for and --because */
    const char *done;      /* what is true then; after the operand */
    const char *own_means; /* what is true besides with that option; NULL: nothing */
};

/* What the command line says. */
struct control_order {
    const char *operand; /* NULL: none */
    bool own;            /* the command's own option */
    uint64_t for_ns;     /* 0: without an end */
    const char *because; /* NULL: not said */
};

/* The request's body, malloc'ed; NULL: no memory. */
static char *request_body(const struct control_command *command, const struct control_order *order)
{
    cJSON *request = cJSON_CreateObject();
    char *body;

    if (order->operand)
        cJSON_AddStringToObject(request, command->operand, order->operand);
    if (order->own && !command->must)
        cJSON_AddTrueToObject(request, command->own.name);
    if (order->for_ns)
        cJSON_AddNumberToObject(request, "for_s", (double)order->for_ns / (double)NS_PER_S);
    if (order->because)
        cJSON_AddStringToObject(request, "because", order->because);
    body = text_json(cJSON_PrintUnformatted(request));
    cJSON_Delete(request);
    return body;
}

/* " for 2h, until ...", as a time without a unit is understood too; "" where the order has no end. */
static void describe_end(uint64_t for_ns, char *text, size_t size_bytes)
{
    char span[QUANTITY_TEXT_SIZE], until[LOG_TIME_SIZE];

    text[0] = '\0';
    if (for_ns)
        snprintf(text, size_bytes, " for %s, until %s", options_time_text(for_ns, span),
                 log_time_text(clock_now_ns(CLOCK_REALTIME) + for_ns, until));
}

/* What is true then: "node1 is drained for 2h, until ...". */
static void describe(const struct control_command *command, const struct control_order *order, char *text,
                     size_t size_bytes)
{
    char end[80];

    describe_end(order->for_ns, end, sizeof(end));
    snprintf(text, size_bytes, "%s%s%s%s%s", order->operand ? TEXT(order->operand) : "",
             order->operand ? " " : "", command->done, end,
             order->own && command->own_means ? command->own_means : "");
}

static int ask(const char *program, const struct control_command *command, const char *socket_path,
               const struct control_order *order, bool json)
{
    CLEANUP(free) char *body = request_body(command, order);
    char message[512] = "out of memory", done[TEXT_SIZE + 160];
    cJSON *answer = NULL;
    int error =
        body ? control_client_ask(socket_path, command->path, body, &answer, NULL, message, sizeof(message))
             : -ENOMEM;

    if (error < 0) {
        answer_refused(program, json, message);
        return error == -EREMOTEIO ? EXIT_NOT_ALL : EXIT_SYSTEM;
    }
    describe(command, order, done, sizeof(done));
    answer_done(program, json, done,
                cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "message")), NULL);
    cJSON_Delete(answer);
    return 0;
}

static int run(int argc, char **argv, struct control_command command)
{
    const char *config_path = NULL, *socket_option = NULL;
    char socket_path[CONFIG_TEXT_SIZE], message[512];
    struct control_order order = {0};
    bool json = false;
    const struct option_row for_row = {.name = "for",
                                       .argument = "TIME",
                                       .help = "only for so long, such as 2h (without a unit: seconds)",
                                       .time_ns = &order.for_ns,
                                       .least = NS_PER_S,
                                       .most = 365 * 24 * 3600 * NS_PER_S};
    const struct option_row because_row = {.name = "because",
                                           .argument = "TEXT",
                                           .help = "the reason, for who looks at the status",
                                           .value = &order.because};
    const struct option_row own_row = {
        .name = command.own.name, .help = command.own.help, .flag = &order.own};
    const struct option_row none = {0};
    const struct option_row rows[] = {
        OPTION_CONFIG(&config_path),
        OPTION_SOCKET(&socket_option),
        OPTION_JSON(&json, "reroute.answer/1"),
        command.terms      ? for_row
        : command.own.name ? own_row
                           : none,
        command.terms ? because_row : none,
        command.terms && command.own.name ? own_row : none,
        none,
    };
    const struct command_line line = {
        .about = command.about,
        .operands = command.operands,
        .least = command.operand ? 1 : 0,
        .most = command.operand ? 1 : 0,
        .rows = rows,
        .after =
            "Exit code: 0 done (a warning says what may surprise), 1 the agent refuses, 3 bad arguments\n"
            "or a wrong configuration, 4 no agent answers.\n",
    };
    int at = options_parse(&line, argc, argv);

    if (at <= 0)
        return at ? EXIT_USAGE : 0;
    if (command.must && !order.own)
        return options_complain(argv[0], "expected --%s; `reroute status` shows the countdown",
                                command.own.name);
    if (control_client_socket(socket_option, config_path, CONTROL_ORDER, socket_path, message,
                              sizeof(message)) < 0) {
        answer_refused(argv[0], json, message);
        return EXIT_USAGE;
    }
    order.operand = command.operand ? argv[at] : NULL;
    return ask(argv[0], &command, socket_path, &order, json);
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
                   .terms = true,
                   .done = "is pinned",
                   .own_means = ", hard: it is not left even when it is down (`reroute unpin` ends that)",
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
                   .terms = true,
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
