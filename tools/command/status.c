/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute status`: the agent's status document, as it is or as a table for people.
 */
#include "probe/text.h"
#include "tools/command/command.h"
#include "tools/command/control_client.h"
#include "tools/options.h"

static const cJSON *get(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* As text for a terminal; "-" for what is no string. */
static const char *text_in(const cJSON *object, const char *name, char buffer[static TEXT_SIZE])
{
    const cJSON *item = get(object, name);

    return cJSON_IsString(item) ? text_clean(item->valuestring, buffer, TEXT_SIZE) : "-";
}

#define text(object, name) text_in((object), (name), (char[TEXT_SIZE]){0})

static bool is_true(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(get(object, name));
}

/* A number, or "-". */
static const char *number(const cJSON *object, const char *name, const char *format, char buffer[static 32])
{
    const cJSON *item = get(object, name);

    if (!cJSON_IsNumber(item))
        return "-";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(buffer, 32, format, item->valuedouble);
#pragma GCC diagnostic pop
    return buffer;
}

static void print_failback(const cJSON *failback)
{
    char in[32], hold[32];

    if (cJSON_IsObject(failback))
        printf("failback  to %s (%s) in %s s, hold %s s, waits for: %s\n", text(failback, "to"),
               text(failback, "access"), number(failback, "in_s", "%.0f", in),
               number(failback, "hold_s", "%.0f", hold), text(failback, "waits_for"));
}

static void print_paths(const cJSON *paths)
{
    const cJSON *path;
    char rtt[32], loss[32];

    printf("\n  %-16s %-11s %-18s %-8s %9s %7s  %s\n", "ACCESS", "TIER", "ADDRESS", "STATE", "RTT ms",
           "LOSS %", "WHY NOT");
    cJSON_ArrayForEach(path, paths)
    {
        printf("%s %-16s %-11s %-18s %-8s %9s %7s  %s\n", is_true(path, "current") ? ">" : " ",
               text(path, "access"), text(path, "tier"), text(path, "address"), text(path, "state"),
               number(path, "rtt_ms", "%.3f", rtt), number(path, "loss_percent", "%.2f", loss),
               text(path, "why"));
    }
}

static void print_sessions(const cJSON *sessions)
{
    const cJSON *access;
    char age[32], alive[32], restarts[32];

    printf("\nsessions  provider %s", text(sessions, "provider"));
    if (cJSON_IsNumber(get(sessions, "list_age_s")))
        printf(", last list %s s ago", number(sessions, "list_age_s", "%.1f", age));
    else if (strcmp(text(sessions, "provider"), "none") != 0)
        printf(", no list yet");
    if (cJSON_IsString(get(sessions, "error")))
        printf(", failing: %s", text(sessions, "error"));
    printf("\n  %-16s %-11s %-8s %9s %9s  %s\n", "ACCESS", "WHERE", "SESSION", "ALIVE s", "RESTARTS", "UUID");
    cJSON_ArrayForEach(access, get(sessions, "accesses"))
    {
        printf("  %-16s %-11s %-8s %9s %9s  %s%s\n", text(access, "access"), text(access, "locality"),
               text(access, "state"), number(access, "alive_s", "%.0f", alive),
               number(access, "restarts", "%.0f", restarts), text(access, "uuid"),
               is_true(access, "drained") ? "  (drained)" : "");
    }
}

/* What packets to the service do when they do not take our route. */
static void print_packets(const cJSON *status)
{
    const char *packets = text(status, "packets");

    if (strcmp(packets, "nowhere") == 0)
        printf("WARNING   packets to the service have no way: %s\n", text(status, "shadowed_by"));
    else if (cJSON_IsString(get(status, "shadowed_by")))
        printf("WARNING   a foreign route hides ours: %s\n", text(status, "shadowed_by"));
    else if (cJSON_IsString(get(status, "redirected")))
        printf("WARNING   our route stands, but packets are %s\n", text(status, "redirected"));
}

static void print_command(const cJSON *command)
{
    if (strcmp(text(command, "state"), "hangs") == 0)
        printf("WARNING   the route command hangs since %s: the route cannot move\n",
               text(command, "silent_since"));
    if (cJSON_IsString(get(command, "waits_for")))
        printf("moving    to %s, as soon as the route command has done it\n", text(command, "waits_for"));
}

static void print_route(const cJSON *status)
{
    if (cJSON_IsString(get(status, "next_hop")))
        printf("service   %s via %s (%s, %s%s) since %s, reason %s\n", text(status, "service"),
               text(status, "next_hop"), text(status, "access"), text(status, "tier"),
               is_true(status, "local") ? ", local" : "", text(status, "since"), text(status, "reason"));
    else
        printf("service   %s: no route yet\n", text(status, "service"));
}

static void print_status(const cJSON *status)
{
    const cJSON *file;
    char overdue[32];

    print_route(status);
    printf("mode      %s", text(status, "mode"));
    if (cJSON_IsString(get(status, "pin")))
        printf(" to %s", text(status, "pin"));
    printf("\ndecision  %s: %s\n", text(status, "decision"), text(status, "explanation"));
    print_failback(get(status, "failback"));
    print_packets(status);
    print_command(get(status, "route_command"));
    cJSON_ArrayForEach(file, get(status, "not_kept"))
    {
        printf("WARNING   %s is not kept: %s\n", text(file, "file"), text(file, "reason"));
    }
    if (cJSON_IsString(get(get(status, "notify"), "error")))
        printf("WARNING   %s failed: %s\n", text(get(status, "notify"), "program"),
               text(get(status, "notify"), "error"));
    if (strcmp(text(get(status, "witness"), "says"), "stalled") == 0)
        printf("WARNING   data of this host's own connections to the service are not acknowledged\n");
    if (cJSON_IsString(get(get(status, "refresh"), "error")))
        printf("WARNING   the cluster has not been told where this host enters: %s\n",
               text(get(status, "refresh"), "error"));
    if (cJSON_IsNumber(get(get(status, "sessions"), "overdue_s")))
        printf("WARNING   no fresh session list for %s s: what the cluster said before stands\n",
               number(get(status, "sessions"), "overdue_s", "%.0f", overdue));
    print_paths(get(status, "paths"));
    print_sessions(get(status, "sessions"));
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

int command_status(int argc, char **argv)
{
    const char *config_path = NULL, *socket_option = NULL;
    char socket_path[CONFIG_TEXT_SIZE], message[512];
    bool json = false, watch = false;
    const struct option_row rows[] = {
        OPTION_JSON(&json, "reroute.status/1"),
        {.name = "watch",
         .help = "again every second, until interrupted, also while the agent restarts",
         .flag = &watch},
        OPTION_CONFIG(&config_path),
        OPTION_SOCKET(&socket_option),
        {0},
    };
    const struct command_line line = {
        .about = "What the running agent does and why.\n",
        .rows = rows,
        .after = "Exit code: 0, 3 bad arguments, 4 no agent answers.\n",
    };
    int code = options_parse(&line, argc, argv);

    if (code <= 0)
        return code ? EXIT_USAGE : 0;
    if (control_client_socket(socket_option, config_path, socket_path, message, sizeof(message)) < 0) {
        text_error("reroute status: %s", message);
        return EXIT_USAGE;
    }
    for (;;) {
        if (watch && !json && isatty(STDOUT_FILENO))
            fputs("\033[H\033[2J", stdout); /* ECMA-48: cursor home, erase the page */
        code = show_once(socket_path, json);
        if (!watch || ferror(stdout))
            return code;
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    }
}
