/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute bench tune`: which select-timeout and select-count for this network?
 *
 * tune_source.c gets a trace (watch.c records one), tune_analysis.c judges every pair over it (detect.c,
 * estimate.c), tune_validate.c tries the answer, tune_report.c and tune_plot.c show it. Here the command line
 * is read and these are called one after the other; one thread throughout.
 */
#include <math.h>

#include "bench/bench.h"
#include "bench/tune/tune_study.h"
#include "probe/quantity.h"
#include "probe/text.h"

#define MESSAGE_BYTES  512
#define WINDOW_MOST_US UINT64_C(5000000)

/* The command line as it is written. */
struct arguments {
    const char *target, *config, *trace, *profile, *duration, *interval, *wait, *failure, *most, *save, *plot,
        *seed;
    bool virtual_time, validate, json, csv;
};

static int read_duration(uint64_t *out_ns, const char *option, const char *text, uint64_t least_ns,
                         uint64_t most_ns, const char *program)
{
    char least[QUANTITY_TEXT_SIZE], most[QUANTITY_TEXT_SIZE];

    if (quantity_time_argument(text, least_ns, most_ns, out_ns) == 0)
        return 0;
    return options_complain(program, "--%s '%s': expected a time from %s to %s", option, text,
                            quantity_time_text(least_ns, least), quantity_time_text(most_ns, most));
}

static int read_times(struct tune_options *options, const struct arguments *arguments, const char *program)
{
    uint64_t failure_ns;
    int code = read_duration(&options->duration_ns, "duration", arguments->duration, NS_PER_S,
                             259200 * NS_PER_S, program);

    if (!code)
        code = read_duration(&options->interval_ns, "interval", arguments->interval, NS_PER_MS,
                             TRACE_INTERVAL_MAX_US * NS_PER_US, program);
    if (!code)
        code = read_duration(&options->wait_ns, "wait", arguments->wait, NS_PER_S,
                             TRACE_WAIT_MAX_US * NS_PER_US, program);
    if (!code)
        code = read_duration(&failure_ns, "failure", arguments->failure, NS_PER_S, 3600 * NS_PER_S, program);
    if (!code)
        options->tune.failure_us = failure_ns / NS_PER_US;
    return code;
}

static int read_numbers(struct tune_options *options, const struct arguments *arguments, const char *program)
{
    char *end;

    options->tune.most_per_year = strtod(arguments->most, &end);
    if (end == arguments->most || *end || !(options->tune.most_per_year > 0) ||
        !isfinite(options->tune.most_per_year))
        return options_complain(program, "--max-false-per-year '%s': expected a number above 0",
                                arguments->most);
    if (quantity_number(arguments->seed, 0, UINT32_MAX, &options->seed) < 0)
        return options_complain(program, "--seed '%s': expected a number", arguments->seed);
    return 0;
}

/* Where the network comes from: one of four. */
static int read_source(struct tune_options *options, const struct arguments *arguments, char **argv,
                       int first, int argc, const char *program)
{
    char message[MESSAGE_BYTES] = "";
    int sources = !!arguments->target + !!arguments->trace + !!arguments->profile;

    if (sources > 1 || (sources == 0 && !arguments->config))
        return options_complain(program, "expected one of --target, --config, --trace and --profile");
    if (first < argc && !arguments->target && !arguments->trace)
        return options_complain(program, "'%s': not expected here", argv[first]);
    /* getopt has moved the operands to the end; the option's own argument goes before them. */
    if (arguments->target || arguments->trace)
        argv[first - 1] = (char *)(uintptr_t)(arguments->target ? arguments->target : arguments->trace);
    options->targets = arguments->target ? argv + first - 1 : NULL;
    options->files = arguments->trace ? argv + first - 1 : NULL;
    options->operand_count = argc - first + 1;
    options->simulated = arguments->profile != NULL;
    if (options->simulated &&
        responder_profile_parse(&options->profile, arguments->profile, message, sizeof(message)) < 0)
        return options_complain(program, "--profile: %s", message);
    if (!options->simulated && (arguments->virtual_time || arguments->validate))
        return options_complain(program, "--virtual and --validate need a --profile");
    if (arguments->validate && !arguments->virtual_time && options->profile.burst_enter > 0)
        return options_complain(program, "--validate of a profile with bursts, which go on from request to "
                                         "request, needs --virtual");
    if (arguments->trace && arguments->save)
        return options_complain(program, "--save and --trace exclude each other");
    /* Standard output has the answer. */
    if (arguments->save && strcmp(arguments->save, "-") == 0)
        return options_complain(program, "--save '-': expected a file");
    return 0;
}

/* The settings that are not tuned, and the standing pair: those of the configuration, or the defaults. */
static int read_config(struct tune_options *options, const char *file, const char *program)
{
    static const struct config_probe defaults = {.select_timeout_ns = 100 * NS_PER_MS,
                                                 .select_count = 10,
                                                 .rise = 3,
                                                 .payload_bytes = 56,
                                                 .transport = "auto",
                                                 .degraded_percent = 30,
                                                 .degraded_over_ns = 10 * NS_PER_S};
    const struct config_probe *probe = &defaults;
    char message[MESSAGE_BYTES] = "";

    options->hold_ns = 180 * NS_PER_S;
    options->tune.window_most_us = WINDOW_MOST_US;
    if (file) {
        if (config_load(&options->config, file, message, sizeof(message)) < 0) {
            text_error("%s: %s", program, message);
            return EXIT_USAGE;
        }
        options->config_file = file;
        options->hold_ns = options->config->route.hold_ns;
        probe = &options->config->probe;
    }
    options->probe = probe_settings_default();
    options->probe.transport = probe->transport;
    options->probe.payload_bytes = probe->payload_bytes;
    options->probe.tos = probe->tos;
    options->probe.mark = probe->mark;
    options->tune.health = (struct health_settings){
        .select_timeout_ns = probe->select_timeout_ns,
        .select_count = probe->select_count,
        .rise = probe->rise,
        .degraded_percent = probe->degraded_percent,
        .degraded_over_ns = probe->degraded_over_ns,
        .hold_ns = options->hold_ns,
    };
    return 0;
}

/* Of a stream that sends more often than was watched nothing is known. */
static int check_interval(const struct tune_options *options, uint64_t interval_ns, const char *program)
{
    uint64_t standing_ns = options->tune.health.select_timeout_ns;

    if (interval_ns <= health_pace(standing_ns))
        return 0;
    return options_complain(program,
                            "a request every %gms cannot show what a select-timeout of %gms does, expected "
                            "%gms at most: half of it",
                            (double)interval_ns / 1e6, (double)standing_ns / 1e6,
                            (double)health_pace(standing_ns) / 1e6);
}

static void show_analysis(void *context, double share)
{
    study_progress(context, share, 1, "judging");
}

static int analyse(struct tune_study *study, const char *program)
{
    struct study_progress progress = {0};
    int r = tune_analyse(&study->result, &study->trace, &study->options->tune, show_analysis, &progress);

    study_progress_end(&progress);
    if (r == -ENODATA)
        text_error("%s: no path answered: there is nothing to judge", program);
    else if (r < 0)
        text_error("%s: %s", program, strerror(-r));
    return r < 0 ? EXIT_SYSTEM : 0;
}

static int show(const struct tune_study *study, const char *program)
{
    const struct tune_options *options = study->options;
    char message[MESSAGE_BYTES];

    if (options->json)
        tune_report_json(study);
    else if (options->csv)
        tune_report_csv(study, stdout);
    else
        tune_report_text(study, stdout);
    if (!options->plot)
        return 0;
    if (tune_plot(study, options->plot, message, sizeof(message)) < 0) {
        text_error("%s: %s", program, message);
        return EXIT_SYSTEM;
    }
    return 0;
}

static int run(const struct tune_options *options, const char *program)
{
    struct tune_study study = {.options = options};
    int code;

    study_catch_signals();
    code = tune_source(&study, program);
    if (!code && options->files)
        code = check_interval(options, study.trace.interval_us * NS_PER_US, program);
    if (!code)
        code = analyse(&study, program);
    if (!code && options->validate && !study_interrupted())
        code = tune_validate(&study, program);
    if (!code)
        code = show(&study, program);
    for (size_t i = 0; i < study.validation_count && !code; i++)
        code = study.validations[i].agrees ? 0 : 1;
    responder_close(study.responder);
    tune_clear(&study.result);
    trace_clear(&study.trace);
    return code ? code : study_interrupted() ? 128 + study_interrupted() : 0;
}

static int read_arguments(struct tune_options *options, const struct arguments *arguments, char **argv,
                          int first, int argc)
{
    const char *program = argv[0];
    int code = read_times(options, arguments, program);

    if (!code)
        code = read_numbers(options, arguments, program);
    if (!code)
        code = read_source(options, arguments, argv, first, argc, program);
    if (!code)
        code = bench_check_output(program, arguments->json, arguments->csv, arguments->plot);
    options->virtual_time = arguments->virtual_time;
    options->validate = arguments->validate;
    options->json = arguments->json;
    options->csv = arguments->csv;
    options->plot = arguments->plot;
    options->save = arguments->save;
    if (!code)
        code = read_config(options, arguments->config, program);
    return code || options->files ? code : check_interval(options, options->interval_ns, program);
}

int bench_tune(int argc, char **argv)
{
    struct arguments arguments = {
        .duration = "10m", .interval = "10ms", .wait = "3s", .failure = "10s", .most = "0.1", .seed = "1"};
    const struct option_row rows[] = {
        {'t', "target", "ADDRESS...", "watch these addresses", &arguments.target, NULL},
        {'c', "config", "FILE", "watch this configuration's paths, and compare with it", &arguments.config,
         NULL},
        {0, "trace", "FILE...", "watch nothing, read what --save wrote", &arguments.trace, NULL},
        {'p', "profile", "PROFILE", "watch a simulated network, such as nested", &arguments.profile, NULL},
        {'d', "duration", "TIME", "for so long (10m)", &arguments.duration, NULL},
        {'i', "interval", "TIME", "a request to each path so often (10ms)", &arguments.interval, NULL},
        {0, "wait", "TIME", "wait for each reply so long (3s)", &arguments.wait, NULL},
        {'s', "save", "FILE", "keep the trace", &arguments.save, NULL},
        {0, "failure", "TIME", "a longer silence was a true failure (10s)", &arguments.failure, NULL},
        {'m', "max-false-per-year", "N", "so many false failovers are accepted (0.1)", &arguments.most, NULL},
        {0, "validate", NULL, "try the answer on the simulated network", NULL, &arguments.validate},
        {0, "virtual", NULL, "simulate without waiting: hours in seconds", NULL, &arguments.virtual_time},
        {0, "seed", "N", "another course of the simulation (1)", &arguments.seed, NULL},
        BENCH_PLOT(&arguments.plot),
        BENCH_JSON(&arguments.json, "tune"),
        BENCH_CSV(&arguments.csv),
        {0},
    };
    const struct command_line line = {
        .about =
            "Watches a network and says which select-timeout and select-count suit it: how fast each pair\n"
            "notices a failure, and how often a year it would take a working path for a dead one.\n",
        .operands = "[ADDRESS...|FILE...]",
        .least = 0,
        .most = TRACE_PATHS_MAX - 1,
        .rows = rows,
        .after = "Ctrl-C ends the watching and uses what was seen.\n",
    };
    struct tune_options options = {0};
    int first = options_parse(&line, argc, argv), code;

    if (first <= 0)
        return first < 0 ? EXIT_USAGE : 0;
    code = read_arguments(&options, &arguments, argv, first, argc);
    if (!code)
        code = run(&options, argv[0]);
    config_free(options.config);
    return code;
}
