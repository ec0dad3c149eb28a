/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute agent`: arguments, then route/agent/agent.h.
 */
#include "route/agent/agent.h"

#include "route/config/config.h"
#include "route/log.h"
#include "tools/command/command.h"
#include "tools/options.h"

int command_agent(int argc, char **argv)
{
    struct agent_options agent = {.config_path = CONFIG_PATH_DEFAULT, .version = REROUTE_VERSION};
    bool verbose = false;
    const struct option_row rows[] = {
        OPTION_CONFIG(&agent.config_path),
        {.name = "dry-run", .help = "decide and explain, but touch nothing", .flag = &agent.dry_run},
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
    if (verbose)
        log_set_level(LOG_LEVEL_DEBUG);
    error = agent_run(&agent);
    if (!error)
        return 0;
    return error == -EINVAL ? EXIT_USAGE : EXIT_SYSTEM;
}
