/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute agent`: arguments, then route/agent/agent.h.
 */
#include "route/agent/agent.h"

#include <stdio.h>

#include "route/agent/supervise.h"
#include "route/config/config.h"
#include "route/log.h"
#include "tools/command/command.h"
#include "tools/options.h"

static int print_pid(const char *config_path)
{
    bool is_supervised;
    pid_t pid = supervise_pid(config_path, &is_supervised);

    if (pid)
        printf("%d\n", (int)pid);
    return is_supervised ? 0 : EXIT_NOT_ALL;
}

static int exit_code(int error)
{
    if (!error)
        return 0;
    return error == -EINVAL ? EXIT_USAGE : EXIT_SYSTEM;
}

int command_agent(int argc, char **argv)
{
    struct agent_options agent = {.config_path = CONFIG_PATH_DEFAULT, .version = REROUTE_VERSION};
    bool verbose = false, supervise = false, pid = false;
    const struct option_row rows[] = {
        OPTION_CONFIG(&agent.config_path),
        {.name = "dry-run", .help = "decide and explain, but touch nothing", .flag = &agent.dry_run},
        {.name = "supervise",
         .help = "start it again when it ends badly or hangs, for hosts\n"
                 "without a service manager; without a word when it runs already",
         .flag = &supervise},
        {.name = "pid",
         .help = "print the process that supervises it; exit code 1: none does,\n"
                 "and what is printed is the agent that a killed one left",
         .flag = &pid},
        {'v', "verbose", .help = "log more", .flag = &verbose},
        {0},
    };
    const struct command_line line = {
        .about =
            "Keeps the host route to the storage service on the best node. Runs in the foreground; logs to\n"
            "standard error.\n",
        .rows = rows,
        .after = "SIGHUP reads the configuration again; SIGTERM ends the agent, the route stays.\n",
    };
    int error = options_parse(&line, argc, argv);

    if (error <= 0)
        return error ? EXIT_USAGE : 0;
    if (agent.dry_run && supervise)
        return options_complain(argv[0], "--supervise and --dry-run: expected one of them");
    if (pid)
        return print_pid(agent.config_path);
    if (verbose)
        log_set_level(LOG_LEVEL_DEBUG);
    return exit_code(supervise ? supervise_run(&agent) : agent_run(&agent));
}
