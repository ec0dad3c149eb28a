/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute bench failover`: reads the options and becomes failover.py, which has the study.
 *
 * The study drives the lab (with a session service and a meter) and hardly computes anything; tools/demo does the
 * same, and both share tools/netlab. What is here is what people meet in every study: the options, their help,
 * and what is said when they are wrong.
 */
#include <limits.h>

#include "bench/bench.h"
#include "bench/study/child.h"
#include "bench/study/study.h"
#include "probe/quantity.h"
#include "probe/text.h"

#define ROUNDS_MAX 10000

#define WAYS                                                                                               \
    "cable,host-cable,process,freeze,blackhole-in,blackhole-out,loss,session,service,hang,drain,failback," \
    "out-and-back"

/* 1 ends the list. */
static int is_wanted(void *context, const char *way)
{
    const char *const *wanted = context;

    return strcmp(way, *wanted) == 0;
}

static int take_way(void *context, const char *item)
{
    return study_list(WAYS, is_wanted, &item) == 1 ? 0 : -EINVAL;
}

/* Appends to a comma-separated list, in one form however it was given. */
static int take_setting(void *context, const char *item)
{
    struct study_setting setting;
    char text[STUDY_SETTING_SIZE], *list = context;
    size_t length = strlen(list);

    if (study_setting(&setting, item) < 0)
        return -EINVAL;
    study_setting_text(&setting, text);
    if (length + strlen(text) + 2 > PATH_MAX)
        return -EINVAL;
    snprintf(list + length, PATH_MAX - length, "%s%s", length ? "," : "", text);
    return 0;
}

/* Only returns when it could not. */
static int become(const char *program, const char *settings, const char *rounds, const char *which,
                  const char *stream, const char *mount, const char *format, const char *plot)
{
    char script[PATH_MAX], reroute[PATH_MAX], host[256];
    const char *const argv[] = {"python3", "-B",   script, program, reroute, study_host(host, sizeof(host)),
                                settings,  rounds, which,  stream,  mount,   format,
                                plot,      NULL};

    study_program("failover.py", "failover.py", script, sizeof(script));
    study_program("../reroute", REROUTE_BIN "/reroute", reroute, sizeof(reroute));
    child_become(argv);
    text_error("%s: cannot start python3: %s", program, strerror(errno));
    return EXIT_SYSTEM;
}

int bench_failover(int argc, char **argv)
{
    const char *settings = "0.1x10,0.02x3", *rounds = "10", *which = NULL, *stream = NULL, *mount = NULL,
               *plot = NULL;
    char list[PATH_MAX] = "";
    bool json = false, csv = false;
    uint64_t number;
    const struct option_row rows[] = {
        {0, "settings", "LIST", "select-timeout x select-count (default: 0.1x10,0.02x3)", .value = &settings},
        {0, "rounds", "N", "how often each way of failing is tried (default: 10)", .value = &rounds},
        {0, "ways", "LIST", "ways of failing, see below (default: all)", .value = &which},
        {0, "stream", "NAME", "nfs or iscsi: a real storage client writes as well, and reads all back",
         .value = &stream},
        {0, "mount", "OPTIONS", "with --stream nfs: the kernel's own client, with these options of mount(8)",
         .value = &mount},
        BENCH_PLOT(&plot),
        BENCH_JSON(&json, "failover"),
        BENCH_CSV(&csv),
        {0},
    };
    const struct command_line line = {
        .about =
            "In a cluster in network namespaces, lets the node that is in use fail, and measures how long "
            "traffic\nis interrupted and where that time goes. BIRD with BFD runs beside it where it is "
            "installed.\n",
        .rows = rows,
        .after =
            "Ways of failing: cable (the node's storage cable), host-cable (the host's own), process (all of "
            "the\nnode ends), freeze (the node hangs), blackhole-in and blackhole-out (to and from the "
            "node), loss\n(rises to 100 %), session (it answers pings but serves no more), service (the "
            "same, with a service "
            "check),\nhang (its server is stopped, with a service check). Where nothing fails: drain, "
            "failback,\n"
            "out-and-back (to another node, and home again a second later).\n\n"
            "Exit code 0: every bar is met; 1: one is not. Needs root. Nothing outside the lab's namespaces "
            "is\ntouched, and nothing is left. See reroute-bench(8).\n",
    };
    int at = options_parse(&line, argc, argv), code;

    if (at <= 0)
        return at ? EXIT_USAGE : 0;
    if (study_list(settings, take_setting, list) < 0)
        return options_complain(argv[0], "--settings '%s': expected something like 0.1x10,0.02x3", settings);
    if (quantity_number(rounds, 1, ROUNDS_MAX, &number) < 0)
        return options_complain(argv[0], "--rounds '%s': expected a number from 1 to %d", rounds, ROUNDS_MAX);
    if (which && study_list(which, take_way, NULL) < 0)
        return options_complain(argv[0], "--ways '%s': expected some of %s", which, WAYS);
    if (stream && strcmp(stream, "nfs") != 0 && strcmp(stream, "iscsi") != 0)
        return options_complain(argv[0], "--stream '%s': expected nfs or iscsi", stream);
    if (mount && !*mount)
        return options_complain(argv[0], "--mount '': expected options of mount(8), for instance vers=3");
    if (mount && (!stream || strcmp(stream, "nfs") != 0))
        return options_complain(argv[0], "--mount '%s': expected --stream nfs beside it", mount);
    code = bench_check_output(argv[0], json, csv, plot);
    if (code)
        return code;
    if (geteuid() != 0) {
        text_error("%s: needs root, for network namespaces", argv[0]);
        return EXIT_SYSTEM;
    }
    return become(argv[0], list, rounds, which ? which : WAYS, stream ? stream : "", mount ? mount : "",
                  json  ? "json"
                  : csv ? "csv"
                        : "text",
                  plot ? plot : "");
}
