/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the trace of `reroute bench tune` comes from: files, the paths of a configuration, addresses, or a
 * simulated network, in real time (a private namespace with the responder) or in virtual time.
 */
#include "bench/tune/simulation.h"

#include "bench/study/stage.h"
#include "bench/tune/tune_study.h"
#include "probe/text.h"
#include "route/agent/fib_settings.h"
#include "tools/exit_code.h"

#define MESSAGE_BYTES 512

static int fail(const char *program, const char *what, int error)
{
    text_error("%s: %s: %s", program, what, strerror(-error));
    return EXIT_SYSTEM;
}

/* --- files -----------------------------------------------------------------------------------------------*/

static int read_files(struct tune_study *study, const char *program)
{
    const struct tune_options *options = study->options;

    for (int i = 0; i < options->operand_count; i++) {
        struct trace more = {0};
        char message[MESSAGE_BYTES] = "", why[MESSAGE_BYTES] = "";
        int r = trace_load(&more, options->files[i], message, sizeof(message));

        if (r == 0) {
            r = trace_join(&study->trace, &more, why, sizeof(why));
            snprintf(message, sizeof(message), "%.200s: %.300s", options->files[i],
                     why[0] ? why : strerror(-r));
        }
        trace_clear(&more);
        if (r < 0) {
            text_error("%s: %s", program, message);
            return r == -EINVAL ? EXIT_USAGE : EXIT_SYSTEM;
        }
    }
    return 0;
}

/* --- paths -----------------------------------------------------------------------------------------------*/

struct paths {
    struct watch_target targets[TRACE_PATHS_MAX];
    struct trace *trace;
};

static int add_path(struct paths *paths, const struct address *address, uint32_t ifindex, const char *name)
{
    struct trace *trace = paths->trace;
    char interface[IF_NAMESIZE] = "";
    int r;

    if (ifindex)
        if_indextoname(ifindex, interface);
    r = trace_add_path(trace, ADDRESS_TEXT(address), interface, name);
    if (r == 0)
        paths->targets[trace->path_count - 1] =
            (struct watch_target){.address = *address, .ifindex = ifindex};
    return r;
}

static int paths_of_targets(struct paths *paths, const struct tune_options *options, const char *program)
{
    for (int i = 0; i < options->operand_count; i++) {
        struct address address;
        int r = address_parse(&address, options->targets[i]);

        if (r < 0) {
            text_error("%s: '%s': %s", program, options->targets[i],
                       r == -ENODEV ? "no such interface" : "expected an address");
            return EXIT_USAGE;
        }
        for (size_t k = 0; k < paths->trace->path_count; k++)
            if (address_equal(&paths->targets[k].address, &address)) {
                text_error("%s: '%s': given twice", program, options->targets[i]);
                return EXIT_USAGE;
            }
        r = add_path(paths, &address, 0, "");
        if (r < 0)
            return fail(program, options->targets[i], r);
    }
    return 0;
}

/* A path of the configuration, entered as the agent would enter it. */
static int add_configured(struct paths *paths, struct fib *fib, const char *access, const char *tier,
                          const struct address *address, const char *program)
{
    char name[TRACE_NAME_SIZE];
    struct address source;
    uint32_t ifindex = 0;
    int r;

    if (!address_is_set(address))
        return 0;
    snprintf(name, sizeof(name), "%.60s %s", access, tier);
    r = fib_egress(fib, address, &ifindex, &source);
    if (r < 0) {
        text_error("%s: %s %s is left out: %s", program, name, ADDRESS_TEXT(address),
                   r == -EADDRINUSE ? "it is an address of this host" : "it is not on-link here");
        return 0;
    }
    r = add_path(paths, address, ifindex, name);
    return r < 0 ? fail(program, name, r) : 0;
}

static int paths_of_config(struct paths *paths, const struct tune_options *options, const char *program)
{
    const struct config *config = options->config;
    struct fib_settings settings = agent_fib_settings(&config->route);
    CLEANUP(fib_close) struct fib *fib = NULL;
    char message[MESSAGE_BYTES] = "";
    int code = 0;

    settings.dry_run = true;
    if (fib_open(&fib, &settings, message, sizeof(message)) < 0) {
        text_error("%s: %s", program, message);
        return EXIT_SYSTEM;
    }
    for (size_t i = 0; code == 0 && i < config->access_count; i++) {
        const struct config_access *access = &config->accesses[i];

        code = add_configured(paths, fib, access->name, "data", &access->data, program);
        if (code == 0)
            code = add_configured(paths, fib, access->name, "secondary", &access->secondary, program);
        if (code == 0)
            code = add_configured(paths, fib, access->name, "management", &access->management, program);
    }
    if (code == 0 && paths->trace->path_count == 0) {
        text_error("%s: %s: no path that can be watched from here, expected one at least", program,
                   options->config_file);
        return EXIT_SYSTEM;
    }
    return code;
}

static int paths_of_simulation(struct paths *paths, const char *program)
{
    for (size_t i = 0; i < TUNE_SIMULATED_PATHS; i++) {
        struct address address = simulation_address(i);
        int r = add_path(paths, &address, 0, "simulated");

        if (r < 0)
            return fail(program, "simulated path", r);
    }
    return 0;
}

/* --- watching --------------------------------------------------------------------------------------------*/

struct watching {
    const struct tune_study *study;
    struct study_progress progress;
};

static bool show_watch(void *context, uint64_t done_ns)
{
    struct watching *watching = context;
    const struct tune_options *options = watching->study->options;
    uint64_t total_ns = options->duration_ns + options->wait_ns;

    study_progress(&watching->progress, (double)min_u64(done_ns, total_ns), (double)total_ns,
                   "watching %zu path%s", watching->study->trace.path_count,
                   watching->study->trace.path_count == 1 ? "" : "s");
    return study_interrupted() != 0;
}

static int watch(struct tune_study *study, const struct paths *paths, struct transport *transport,
                 struct trace_writer *writer, const char *program)
{
    struct watching watching = {.study = study};
    struct watch_settings settings = {
        .probe = &study->options->probe,
        .targets = paths->targets,
        .duration_ns = study->options->duration_ns,
        .writer = writer,
        .pause = show_watch,
        .context = &watching,
    };
    int r;

    if (writer)
        trace_write_begin(writer);
    r = watch_run(&study->trace, &settings, transport, &study->figures);
    study_progress_end(&watching.progress);
    if (r < 0)
        return fail(program, "watching", r);
    r = writer ? trace_write_end(writer) : 0;
    return r < 0 ? fail(program, study->options->save, r) : 0;
}

/* Opens what --save names, and watches. */
static int watch_and_save(struct tune_study *study, const struct paths *paths, struct transport *transport,
                          const char *program)
{
    const char *file = study->options->save;
    CLEANUP(free) char *memory = NULL;
    struct trace_writer *writer = NULL;
    int code;

    if (file) {
        memory = calloc(1, sizeof(*writer));
        writer = (struct trace_writer *)(void *)memory;
        if (writer)
            *writer = (struct trace_writer){.out = fopen(file, "we"), .trace = &study->trace};
        if (!writer || !writer->out) {
            code = fail(program, file, writer ? -errno : -ENOMEM);
            transport_close(transport);
            return code;
        }
    }
    code = watch(study, paths, transport, writer, program);
    if (writer && fclose(writer->out) != 0 && code == 0)
        code = fail(program, file, -errno);
    return code;
}

static int open_real(struct tune_study *study, struct transport **transport, const char *program)
{
    char message[MESSAGE_BYTES] = "";
    int r =
        transport_open(transport, &study->options->probe, study->trace.path_count, message, sizeof(message));

    if (r < 0)
        text_error("%s: %s", program, message[0] ? message : strerror(-r));
    return r < 0 ? EXIT_SYSTEM : 0;
}

/* A private namespace in which the responder answers. */
static int open_responder(struct tune_study *study, const char *program)
{
    const struct tune_options *options = study->options;
    struct responder_prefix address;
    struct responder_rule rule = {.profile = options->profile};
    struct responder_settings settings = {.tun = "tune0",
                                          .addresses = &address,
                                          .address_count = 1,
                                          .rules = &rule,
                                          .rule_count = 1,
                                          .seed = options->seed};
    char message[MESSAGE_BYTES] = "";
    int r = stage_enter(message, sizeof(message));

    responder_prefix_parse(&address, "10.77.0.1/24");
    responder_prefix_parse(&rule.prefix, SIMULATION_PREFIX);
    if (r == 0)
        r = responder_open(&study->responder, &settings, message, sizeof(message));
    if (r == 0)
        r = responder_start(study->responder);
    if (r < 0)
        text_error("%s: %s", program, message[0] ? message : strerror(-r));
    return r < 0 ? EXIT_SYSTEM : 0;
}

static int watch_virtually(struct tune_study *study, const struct paths *paths, const char *program)
{
    const struct tune_options *options = study->options;
    CLEANUP(free) char *memory = malloc(sizeof(struct simulation));
    struct transport *transport = NULL;
    int r = memory ? simulation_open(&transport, (struct simulation *)(void *)memory, &options->profile,
                                     options->interval_ns, options->seed)
                   : -ENOMEM;

    return r < 0 ? fail(program, "simulation", r) : watch_and_save(study, paths, transport, program);
}

static int watch_real(struct tune_study *study, const struct paths *paths, const char *program)
{
    struct transport *transport = NULL;
    int code = open_real(study, &transport, program);

    return code ? code : watch_and_save(study, paths, transport, program);
}

int tune_source(struct tune_study *study, const char *program)
{
    const struct tune_options *options = study->options;
    struct paths paths = {.trace = &study->trace};
    int code;

    if (options->files)
        return read_files(study, program);
    study->trace.interval_us = options->interval_ns / NS_PER_US;
    study->trace.wait_us = options->wait_ns / NS_PER_US;
    study->trace.payload_bytes = options->probe.payload_bytes;
    if (options->simulated)
        code = paths_of_simulation(&paths, program);
    else if (options->targets)
        code = paths_of_targets(&paths, options, program);
    else
        code = paths_of_config(&paths, options, program);
    if (code)
        return code;
    if (options->virtual_time)
        return watch_virtually(study, &paths, program);
    if (options->simulated)
        code = open_responder(study, program);
    return code ? code : watch_real(study, &paths, program);
}
