/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reroute capabilities: what this host refuses (capability.h), and with --try-route what it does with a route
 * (try_route.h).
 */
#include <cjson/cJSON.h>
#include <linux/rtnetlink.h>
#include <sys/utsname.h>

#include "probe/text.h"
#include "route/agent/fib_settings.h"
#include "route/config/config.h"
#include "route/fib/host.h"
#include "route/fib/mtus.h"
#include "tools/command/capability.h"
#include "tools/command/command.h"
#include "tools/command/try_route.h"
#include "tools/command/try_route_show.h"
#include "tools/errno_name.h"
#include "tools/options.h"

#define OUR_PROTOCOL 213 /* where no configuration says another one */

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

/* How much there is of the host's network, without a name or an address of it. */
static void add_network(cJSON *root)
{
    struct fib_host host = {0};
    int r = fib_host_read(&host);

    cJSON_AddNumberToObject(root, "interfaces", r < 0 ? r : (double)host.link_count);
    cJSON_AddNumberToObject(root, "addresses", r < 0 ? r : (double)host.address_count);
    fib_host_clear(&host);
}

/* run: NULL without --try-route. 0 or an exit code. */
static int print_json(const struct utsname *host, const int results[], const struct try_run *run)
{
    cJSON *root = cJSON_CreateObject(), *rows;
    char *text;

    cJSON_AddStringToObject(root, "schema", "reroute.capabilities/1");
    cJSON_AddStringToObject(root, "version", REROUTE_VERSION);
    cJSON_AddStringToObject(root, "system", host->sysname);
    cJSON_AddStringToObject(root, "release", host->release);
    cJSON_AddStringToObject(root, "build", host->version);
    cJSON_AddStringToObject(root, "machine", host->machine);
    add_network(root);
    rows = cJSON_AddArrayToObject(root, "capabilities");
    for (size_t i = 0; i < capability_count; i++)
        cJSON_AddItemToArray(rows, row_document(&capabilities[i], results[i]));
    if (run)
        cJSON_AddItemToObject(root, "route", try_run_document(run));
    text = text_json(cJSON_PrintUnformatted(root));
    cJSON_Delete(root);
    if (!text) {
        text_error("reroute capabilities: out of memory");
        return EXIT_SYSTEM;
    }
    puts(text);
    free(text);
    return 0;
}

/* --- the command ---------------------------------------------------------------------------------------- */

/* What was given for --try-route. */
struct wanted {
    const char *address, *config_path, *backend, *command, *netstack;
    uint64_t timeout_ns;
};

/* The settings of the configuration, if one was given, with those of the command line in their place. */
static void take_settings(struct try_route *route, const struct wanted *wanted, const struct config *config)
{
    struct fib_settings *settings = &route->settings;

    *settings =
        config ? agent_fib_settings(&config->route)
               : (struct fib_settings){.backend = "auto", .table = RT_TABLE_MAIN, .protocol = OUR_PROTOCOL};
    if (config)
        route->service = config->service;
    if (wanted->backend)
        settings->backend = wanted->backend;
    if (wanted->command)
        settings->command = wanted->command;
    if (wanted->netstack)
        settings->netstack = wanted->netstack;
    if (wanted->timeout_ns)
        settings->command_timeout_ns = wanted->timeout_ns;
}

/* Is what was given of use to the backend? 0, or an exit code after a line. */
static int check_backend(const struct fib_settings *settings, const struct address *address,
                         const struct wanted *wanted, const char *program)
{
    if (strcmp(settings->backend, "netlink") == 0 &&
        (wanted->command || wanted->netstack || wanted->timeout_ns))
        return options_complain(program, "backend netlink runs no command: expected esxcfg, ip or auto");
    if (strcmp(settings->backend, "esxcfg") == 0 && address->family != AF_INET)
        return options_complain(program, "--try-route '%s': backend esxcfg is for IPv4", wanted->address);
    if (strcmp(settings->backend, "ip") == 0 && wanted->netstack)
        return options_complain(program, "--netstack '%s': only with backend esxcfg or auto",
                                wanted->netstack);
    return 0;
}

/* 0, or an exit code after a line. */
static int read_wanted(struct try_route *route, struct config **config, const struct wanted *wanted,
                       int count, char **operands, const char *program)
{
    bool is_set =
        wanted->config_path || wanted->backend || wanted->command || wanted->netstack || wanted->timeout_ns;
    char message[512];

    if (!wanted->address && (is_set || count > 0))
        return options_complain(program, "%s: only with --try-route",
                                count > 0 ? "an operand" : "a configuration or an option of its backend");
    if (!wanted->address)
        return 0;
    if (wanted->command && wanted->command[0] != '/')
        return options_complain(program, "--route-command '%s': expected an absolute path", wanted->command);
    if (try_route_parse(route, wanted->address, count, operands, message, sizeof(message)) < 0)
        return options_complain(program, "%s", message);
    if (wanted->config_path && config_load(config, wanted->config_path, message, sizeof(message)) < 0) {
        text_error("%s: %s", program, message);
        return EXIT_USAGE;
    }
    take_settings(route, wanted, *config);
    return check_backend(&route->settings, &route->address, wanted, program);
}

/* Makes every try. *can_probe: by one kind of socket at least. */
static void try_all(int results[], bool *can_probe)
{
    *can_probe = false;
    for (size_t i = 0; i < capability_count; i++) {
        results[i] = capabilities[i].try();
        if (capability_is_probing(&capabilities[i]))
            *can_probe |= results[i] == 0;
    }
}

/* The table, and the cycle if there is one. 0 or an exit code. */
static int print_all(const int results[], struct try_run *run, bool json)
{
    struct utsname host = {0};

    uname(&host);
    if (!json) {
        print_table(&host, results);
        if (run) {
            try_run_print_head(run);
            for (size_t i = 0; i < run->step_count; i++)
                try_run_print_step(run, &run->steps[i]);
            run->show = try_run_print_step;
        }
    }
    if (run)
        try_run_finish(run);
    if (json)
        return print_json(&host, results, run);
    if (run)
        try_run_print_end(run);
    return 0;
}

static int walk(const struct try_route *route, bool json, const char *program)
{
    int results[CAPABILITIES_MAX], code = 0;
    struct try_run run = {0};
    char message[512];
    bool can_probe;

    if (route) {
        code = try_run_begin(&run, route, message, sizeof(message));
        if (code)
            text_error("%s: %s", program, message);
    }
    if (!code) {
        try_all(results, &can_probe);
        code = print_all(results, route ? &run : NULL, json);
    }
    try_run_clear(&run);
    if (code)
        return code;
    if (route && run.end == TRY_LEFT)
        return EXIT_SYSTEM;
    return can_probe && (!route || run.end == TRY_DONE) ? 0 : EXIT_NOT_ALL;
}

int command_capabilities(int argc, char **argv)
{
    static const char *const backends[] = {"auto", "netlink", "esxcfg", "ip", NULL};
    CLEANUP(config_free) struct config *config = NULL;
    struct fib_mtus mtus = FIB_MTUS_EMPTY;
    struct try_route route = {0};
    struct wanted wanted = {0};
    bool json = false;
    const struct option_row rows[] = {
        OPTION_JSON(&json, "reroute.capabilities/1"),
        {.name = "try-route",
         .argument = "ADDRESS",
         .help = "go through one cycle of a route to this address, which nobody uses:\nadd it via the "
                 "gateway, change it to the second one, delete it",
         .value = &wanted.address},
        {'c', "config", "FILE", "take the backend of this configuration, and leave its service alone",
         .value = &wanted.config_path},
        {.name = "backend",
         .argument = "NAME",
         .help = "auto (default), netlink, esxcfg or ip",
         .value = &wanted.backend,
         .choices = backends},
        {.name = "route-command",
         .argument = "PATH",
         .help = "the program of esxcfg or ip",
         .value = &wanted.command},
        {.name = "netstack",
         .argument = "NAME",
         .help = "the TCP/IP stack of esxcfg",
         .value = &wanted.netstack},
        {.name = "command-timeout",
         .argument = "TIME",
         .help = "for each command (default: 45s)",
         .time_ns = &wanted.timeout_ns,
         .least = 100 * NS_PER_MS,
         .most = 3600 * NS_PER_S},
        {0},
    };
    const struct command_line line = {
        .about = "Tries what not every host has, and tells what is done without it.\n",
        .operands = "[via ADDRESS [ADDRESS]]",
        .most = 3,
        .rows = rows,
        .after = "Exit code: 0 addresses can be probed from here, and the route went through its cycle; "
                 "1 not so, and nothing is\nleft of it; 3 bad arguments; 4 system error, or the route may "
                 "still stand.\n",
    };
    int code, at = options_parse(&line, argc, argv);

    if (at <= 0)
        return at ? EXIT_USAGE : 0;
    code = read_wanted(&route, &config, &wanted, argc - at, argv + at, argv[0]);
    if (code)
        return code;
    route.settings.mtus = &mtus;
    return walk(wanted.address ? &route : NULL, json, argv[0]);
}
