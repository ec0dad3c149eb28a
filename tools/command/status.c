/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute status`: the agent's status document, as it is or as a table for people.
 */
#include "tools/command/command.h"
#include "tools/command/control_client.h"
#include "tools/command/document.h"
#include "tools/command/screen.h"
#include "tools/command/script.h"
#include "tools/command/warnings.h"
#include "tools/options.h"

static void print_failback(const cJSON *failback)
{
    char in[32], hold[32];

    if (cJSON_IsObject(failback))
        printf("failback  to %s (%s) in %s s, hold %s s, waits for: %s\n", document_text(failback, "to"),
               document_text(failback, "access"), document_number(failback, "in_s", "%.0f", in),
               document_number(failback, "hold_s", "%.0f", hold), document_text(failback, "waits_for"));
}

/* Why it cannot be used, or is not to be taken again at once. */
static const char *why_not(const cJSON *path, char text[static TEXT_SIZE])
{
    const char *why = document_text_in(path, "why", text);
    char seconds[32];

    if (why[0] || !document_is_number(path, "stay_s"))
        return why;
    snprintf(text, TEXT_SIZE, "left just now: the last choice for %s s",
             document_number(path, "stay_s", "%.0f", seconds));
    return text;
}

static void print_paths(const cJSON *paths)
{
    const cJSON *path;
    char rtt[32], loss[32], why[TEXT_SIZE];

    printf("\n  %-16s %-11s %-18s %-8s %9s %7s  %s\n", "ACCESS", "TIER", "ADDRESS", "STATE", "RTT ms",
           "LOSS %", "WHY NOT");
    cJSON_ArrayForEach(path, paths)
    {
        printf("%s %-16s %-11s %-18s %-8s %9s %7s  %s\n", document_is_true(path, "current") ? ">" : " ",
               document_text(path, "access"), document_text(path, "tier"), document_text(path, "address"),
               document_text(path, "state"), document_number(path, "rtt_ms", "%.3f", rtt),
               document_number(path, "loss_percent", "%.2f", loss), why_not(path, why));
    }
}

static void print_sessions(const cJSON *sessions)
{
    const cJSON *access;
    char age[32], alive[32], restarts[32];

    printf("\nsessions  provider %s", document_text(sessions, "provider"));
    if (document_is_number(sessions, "list_age_s"))
        printf(", last list %s s ago", document_number(sessions, "list_age_s", "%.1f", age));
    else if (strcmp(document_text(sessions, "provider"), "none") != 0)
        printf(", no list yet");
    if (document_is_text(sessions, "error"))
        printf(", failing: %s", document_text(sessions, "error"));
    printf("\n  %-16s %-11s %-8s %9s %9s  %s\n", "ACCESS", "WHERE", "SESSION", "ALIVE s", "RESTARTS", "UUID");
    cJSON_ArrayForEach(access, document_get(sessions, "accesses"))
    {
        printf("  %-16s %-11s %-8s %9s %9s  %s%s", document_text(access, "access"),
               document_text(access, "locality"), document_text(access, "state"),
               document_number(access, "alive_s", "%.0f", alive),
               document_number(access, "restarts", "%.0f", restarts), document_text(access, "uuid"),
               document_is_true(access, "drained") ? "  (drained" : "");
        document_print_terms(stdout, access, "drain_until", "drain_because");
        puts(document_is_true(access, "drained") ? ")" : "");
    }
}

static void print_command(const cJSON *command)
{
    if (document_is_text(command, "waits_for"))
        printf("moving    to %s, as soon as the route command has done it\n",
               document_text(command, "waits_for"));
}

static void print_no_advice(const cJSON *tune)
{
    const cJSON *needs = document_get(tune, "needs_s");

    if (cJSON_IsNumber(needs) && needs->valuedouble > 0)
        printf("tune      advice in %.1f h\n", needs->valuedouble / 3600);
    else
        printf("tune      no advice: %s\n", document_text(tune, "why"));
}

/* The pair that the agent has found by itself, or how long it has to watch until it may find one. */
static void print_tune(const cJSON *tune)
{
    const cJSON *advice = document_get(tune, "advice");
    char timeout[32], count[32], detection[32], high[32];

    if (cJSON_IsObject(advice))
        printf("tune      %s ms x %s %s since %s: detects in %s ms, errs %s times a year at most (95 %%)\n",
               document_number(advice, "select_timeout_ms", "%g", timeout),
               document_number(advice, "select_count", "%.0f", count),
               document_is(tune, "mode", "auto") ? "in force" : "advised", document_text(advice, "since"),
               document_number(advice, "detection_ms", "%.0f", detection),
               document_number(advice, "false_per_year_at_most", "%.2g", high));
    else if (document_is_text(tune, "mode") && !document_is(tune, "mode", "off"))
        print_no_advice(tune);
}

static void print_route(const cJSON *status)
{
    if (document_is_text(status, "next_hop"))
        printf("service   %s via %s (%s, %s%s) since %s, reason %s\n", document_text(status, "service"),
               document_text(status, "next_hop"), document_text(status, "access"),
               document_text(status, "tier"), document_is_true(status, "local") ? ", local" : "",
               document_text(status, "since"), document_text(status, "reason"));
    else
        printf("service   %s: no route yet\n", document_text(status, "service"));
}

static void print_status(const cJSON *status)
{
    print_route(status);
    printf("mode      %s", document_text(status, "mode"));
    if (document_is_text(status, "pin"))
        printf(" to %s", document_text(status, "pin"));
    document_print_terms(stdout, status, "pin_until", "pin_because");
    printf("\ndecision  %s: %s\n", document_text(status, "decision"), document_text(status, "explanation"));
    print_failback(document_get(status, "failback"));
    print_tune(document_get(status, "tune"));
    print_command(document_get(status, "route_command"));
    warnings_print(stdout, status);
    print_paths(document_get(status, "paths"));
    print_sessions(document_get(status, "sessions"));
}

static int show_once(const char *socket_path, bool json)
{
    char message[512] = "out of memory";
    CLEANUP(free) char *document = NULL;
    cJSON *status = NULL;

    if (control_client_ask(socket_path, "/v1/status", NULL, &status, &document, message, sizeof(message)) <
        0) {
        text_error("reroute status: %s", message);
        return EXIT_SYSTEM;
    }
    if (json)
        puts(document);
    else
        print_status(status);
    cJSON_Delete(status);
    if (fflush(stdout) != 0) {
        fprintf(stderr, "reroute status: cannot write: %s\n", strerror(errno));
        return EXIT_SYSTEM;
    }
    return 0;
}

/* A terminal on which only lines can be printed. */
static bool is_dumb(void)
{
    const char *kind = getenv("TERM");

    return !kind || strcmp(kind, "dumb") == 0;
}

/* one: the name of an option that is given and asks one agent; NULL: none is. */
static int show_all(const char *program, const char *list, const char *ssh, bool json,
                    struct script_words *words, const char *one)
{

    if (!list)
        return options_complain(program, "--all: expected --hosts FILE too");
    if (one)
        return options_complain(program, "--%s: not expected with --all", one);
    script_add(words, "hosts", list);
    script_add(words, "ssh", ssh);
    script_add(words, "json", json ? "yes" : NULL);
    return script_become(program, "overview.py", words);
}

int command_status(int argc, char **argv)
{
    const char *config_path = NULL, *socket_option = NULL, *hosts = NULL, *ssh = NULL;
    char socket_path[CONFIG_TEXT_SIZE], message[512];
    bool json = false, watch = false, all = false, screen;
    static struct script_words words; /* of --all; the hosts that were chosen come first */
    const struct option_row rows[] = {
        {.name = "json",
         .help = "print one document, schema reroute.status/1; with --all reroute.status-all/1",
         .flag = &json},
        {.name = "watch",
         .help = "a live screen with keys, until q or Ctrl-C; without a terminal\n"
                 "the same again every second, also while the agent restarts",
         .flag = &watch},
        OPTION_CONFIG(&config_path),
        OPTION_SOCKET(&socket_option),
        {.name = "all",
         .help = "ask the agents of all hosts over ssh, and print one table",
         .flag = &all,
         .heading = "Of many hosts:"},
        {.name = "hosts",
         .argument = "FILE",
         .help = "the list of hosts, as of reroute deploy: a line is NAME [KEY=VALUE ...]",
         .value = &hosts},
        {.name = "host",
         .argument = "NAME",
         .help = "only this host of the list; may be given more than once",
         .take = script_take_host,
         .context = &words},
        {.name = "ssh",
         .argument = "COMMAND",
         .help = "how to call ssh, with options (default: ssh)",
         .value = &ssh},
        {0},
    };
    const struct command_line line = {
        .about = "What the running agent does and why.\n",
        .rows = rows,
        .after = "Exit code: 0, 1 a host of many does not answer, 3 bad arguments, 4 no agent answers.\n",
    };
    int code = options_parse(&line, argc, argv);

    if (code <= 0)
        return code ? EXIT_USAGE : 0;
    if (all)
        return show_all(argv[0], hosts, ssh, json, &words,
                        watch           ? "watch"
                        : config_path   ? "config"
                        : socket_option ? "socket"
                                        : NULL);
    if (hosts || ssh || words.count)
        return options_complain(argv[0], "--%s: expected with --all only",
                                hosts ? "hosts"
                                : ssh ? "ssh"
                                      : "host");
    screen = watch && !json && screen_is_possible(); /* its keys give orders */
    if (control_client_socket(socket_option, config_path, screen ? CONTROL_ORDER : CONTROL_LOOK, socket_path,
                              message, sizeof(message)) < 0) {
        text_error("reroute status: %s", message);
        return EXIT_USAGE;
    }
    if (screen)
        return screen_run(socket_path);
    for (;;) {
        if (watch && !json && isatty(STDOUT_FILENO) && !is_dumb())
            fputs("\033[H\033[2J", stdout); /* ECMA-48: cursor home, erase the page */
        code = show_once(socket_path, json);
        if (!watch || ferror(stdout))
            return code;
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    }
}
