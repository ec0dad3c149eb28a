/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main() of reroute-bench, which `reroute bench` becomes: finds the study and hands over.
 *
 * A program of its own, because the agent on ten thousand hosts has no use for a simulated network in it.
 */
#include <stdio.h>

#include <string.h>

#include "bench/bench.h"
#include "bench/study/plot.h"
#include "probe/text.h"
#include "tools/command/command.h"

static const struct command studies[] = {
    {"sweep", "how long a sweep takes and whom it wrongly calls unreachable, for all settings", bench_sweep},
    {"compare", "reroute beside other tools and the scheme it replaces", bench_compare},
    {"hold", "how long to stay away from a node that has failed", bench_hold},
    {"tune", "which select-timeout and select-count for this network", bench_tune},
    {"failover", "how long traffic is interrupted when a node fails, and where the time goes",
     bench_failover},
};

static void usage(FILE *out)
{
    fprintf(out, "Usage: reroute bench STUDY [OPTION...]\n\n");
    for (size_t i = 0; i < sizeof(studies) / sizeof(studies[0]); i++)
        fprintf(out, "  %-14s %s\n", studies[i].name, studies[i].summary);
    fprintf(out, "\n'reroute bench STUDY --help' tells more.\n");
}

int bench_check_output(const char *program, bool json, bool csv, const char *plot)
{
    char message[512];
    int r;

    if (json && csv)
        return options_complain(program, "--json and --csv exclude each other");
    r = plot ? plot_check(plot, message, sizeof(message)) : 0;
    if (r == -EINVAL)
        return options_complain(program, "--plot %s", message);
    if (r < 0)
        text_error("%s: %s", program, message);
    return r < 0 ? EXIT_SYSTEM : 0;
}

int main(int argc, char **argv)
{
    static char name[64];

    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        usage(stdout);
        return options_written("reroute bench");
    }
    for (size_t i = 0; i < sizeof(studies) / sizeof(studies[0]); i++) {
        if (strcmp(argv[1], studies[i].name) == 0) {
            int code;

            snprintf(name, sizeof(name), "reroute bench %s", studies[i].name);
            argv[1] = name;
            code = studies[i].run(argc - 1, argv + 1);
            return code ? code : options_written(name);
        }
    }
    text_error("reroute bench: '%s' is no study", argv[1]);
    text_error("Try 'reroute bench --help'.");
    return EXIT_USAGE;
}
