/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main(): finds the subcommand and hands over. Nothing that is not used is started here.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/command/command.h"
#include "tools/options.h"
#include "tools/report/report.h"

static const struct command commands[] = {
    {"report", "is each of these addresses reachable?", command_report},
    {"agent", "keep the route to the storage service on the best node", command_agent},
    {"status", "what the running agent does and why", command_status},
    {"metrics", "what the running agent counts and measures, for Prometheus", command_metrics},
    {"explain", "why the route is where it is, and what would move it", command_explain},
    {"pin", "prefer one access or path until unpin", command_pin},
    {"unpin", "end a pin", command_unpin},
    {"drain", "leave an access before its maintenance", command_drain},
    {"undrain", "use an access again", command_undrain},
    {"failback", "return to the better path without waiting for hold", command_failback},
    {"route", "point the route at an address, without an agent", command_route},
    {"clear", "remove the route", command_clear},
    {"sessions", "ask the cluster which sessions are alive", command_sessions},
    {"check-config", "is this configuration good, and what does it mean?", command_check_config},
    {"capabilities", "what does this host refuse, and what is done without it?", command_capabilities},
    {"journal", "what happened here, in plain words", command_journal},
    {"replay", "what happened here, by the agent's journal, and what other settings would have done",
     command_replay},
    {"deploy", "put it on hosts over ssh, compare, upgrade and remove it there", command_deploy},
    {"bench", "find the right timeouts for a network, and prove what they do", command_bench},
};

static void usage(FILE *out)
{
    fprintf(out, "Usage: reroute COMMAND [OPTION...]\n\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(out, "  %-14s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\n'reroute help COMMAND' tells more. 'reroute help' prints this, 'reroute --version' the "
                 "version.\n");
}

/* As other programs have it: people try all of these. */
static bool asks_version(const char *word)
{
    static const char *const words[] = {"--version", "version", "-V", "-v"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

/*
 * Our parent may have closed these. Then the next file opened (a lock, a socket) would get what is meant for
 * them. Input and output stay as unusable as they are; what goes to standard error is gone.
 */
static bool open_standard_files(void)
{
    static const int modes[] = {O_WRONLY, O_RDONLY, O_WRONLY};

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static char name[64], help[] = "--help";
    int code;

    if (!open_standard_files())
        return EXIT_SYSTEM;
    signal(SIGCHLD, SIG_DFL); /* our parent may have ignored it; then no child tells how it ended */
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 && argc > 2) {
        argv[1] = argv[2];
        argv[2] = help;
    } else if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        usage(stdout);
        return options_written("reroute");
    }
    if (asks_version(argv[1])) {
        puts("reroute " REROUTE_VERSION);
        return options_written("reroute");
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            snprintf(name, sizeof(name), "reroute %s", commands[i].name);
            argv[1] = name;
            code = commands[i].run(argc - 1, argv + 1);
            return code ? code : options_written(name);
        }
    }
    return options_complain("reroute", "'%s' is no command", argv[1]);
}
