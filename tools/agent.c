/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute agent`: arguments, then route/agent.h.
 */
#include "route/agent.h"

#include <getopt.h>

#include "route/config.h"
#include "route/log.h"
#include "tools/command.h"

static void usage(FILE *out)
{
    fprintf(out,
            "Usage: reroute agent [OPTION...]\n"
            "Keeps the host route to the storage service on the best node. Runs in the foreground; logs to\n"
            "standard error.\n\n"
            "  --config FILE  configuration (default: " CONFIG_PATH_DEFAULT ")\n"
            "  --dry-run      decide and explain, but touch nothing\n"
            "  --verbose      log more\n"
            "  --help         this text\n\n"
            "SIGHUP reads the configuration again; SIGTERM ends the agent, the route stays.\n");
}

int command_agent(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"dry-run", no_argument, NULL, 'd'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct agent_options agent = {.config_path = CONFIG_PATH_DEFAULT, .version = REROUTE_VERSION};
    int option, error;

    while ((option = getopt_long(argc, argv, "c:v", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            agent.config_path = optarg;
            break;
        case 'd':
            agent.dry_run = true;
            break;
        case 'v':
            log_set_level(LOG_LEVEL_DEBUG);
            break;
        case 'h':
            usage(stdout);
            return 0;
        default:
            fprintf(stderr, "Try 'reroute agent --help'.\n");
            return EXIT_USAGE;
        }
    }
    if (optind != argc) {
        fprintf(stderr, "reroute agent: '%s': expected no operand\nTry 'reroute agent --help'.\n",
                argv[optind]);
        return EXIT_USAGE;
    }
    error = agent_run(&agent);
    if (!error)
        return 0;
    return error == -EINVAL ? EXIT_USAGE : EXIT_SYSTEM;
}
