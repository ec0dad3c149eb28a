/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does what was predicted happen? The recommended setting is run over the same simulated network, with the
 * probe stream and the path health of the agent. It should not fail at all; so neighbouring settings are run
 * that fail often enough to be counted: of its select-timeout and of those beside it, the largest
 * select-count that should fail EXPECTED times.
 */
#include <math.h>

#include "bench/tune/simulation.h"
#include "bench/tune/tune_study.h"
#include "probe/text.h"
#include "tools/exit_code.h"

#define EXPECTED          10
#define REAL_DURATION_NS  (20 * NS_PER_S)
#define VIRTUAL_ADDRESSES 8

static uint64_t duration_of(const struct tune_options *options)
{
    return options->virtual_time ? options->duration_ns : min_u64(options->duration_ns, REAL_DURATION_NS);
}

static size_t addresses_of(const struct tune_options *options)
{
    return options->virtual_time ? VIRTUAL_ADDRESSES : SIMULATION_ADDRESSES;
}

static void add(struct tune_study *study, size_t pair)
{
    if (pair == TUNE_NO_PAIR || study->validation_count == TUNE_VALIDATIONS_MAX)
        return;
    for (size_t i = 0; i < study->validation_count; i++)
        if (study->validations[i].pair == pair)
            return;
    study->validations[study->validation_count++].pair = pair;
}

/* The pair of this select-timeout with the largest count that should be seen to fail. */
static size_t failing_pair(const struct tune_study *study, uint64_t select_timeout_us)
{
    const struct tune_result *result = &study->result;
    double years =
        (double)duration_of(study->options) / 1e9 * (double)addresses_of(study->options) / ESTIMATE_YEAR_S;
    size_t best = TUNE_NO_PAIR;

    for (size_t i = 0; i < result->count; i++) {
        const struct tune_pair *pair = &result->pairs[i];

        if (pair->select_timeout_us == select_timeout_us && isfinite(pair->estimate.per_year) &&
            pair->estimate.per_year * years >= EXPECTED &&
            (best == TUNE_NO_PAIR || pair->select_count > result->pairs[best].select_count))
            best = i;
    }
    return best;
}

/* The next longer or shorter select-timeout; 0: there is none. */
static uint64_t beside(const struct tune_result *result, uint64_t select_timeout_us, bool longer)
{
    uint64_t best = 0;

    for (size_t i = 0; i < result->count; i++) {
        uint64_t other = result->pairs[i].select_timeout_us;

        if (longer ? other > select_timeout_us && (!best || other < best)
                   : other < select_timeout_us && other > best)
            best = other;
    }
    return best;
}

static void choose(struct tune_study *study)
{
    const struct tune_result *result = &study->result;
    uint64_t timeout_us = result->pairs[tune_recommended(result)].select_timeout_us;

    add(study, tune_recommended(result));
    add(study, failing_pair(study, timeout_us));
    add(study, failing_pair(study, beside(result, timeout_us, false)));
    add(study, failing_pair(study, beside(result, timeout_us, true)));
}

struct running {
    struct tune_study *study;
    struct study_progress progress;
    size_t now; /* which validation */
};

static bool show(void *context, uint64_t done_ns)
{
    struct running *running = context;
    uint64_t each_ns = duration_of(running->study->options);
    const struct tune_pair *pair =
        &running->study->result.pairs[running->study->validations[running->now].pair];

    study_progress(&running->progress, (double)(running->now * each_ns + done_ns),
                   (double)(running->study->validation_count * each_ns), "validating %s",
                   tune_pair_text(pair, (char[STUDY_SETTING_SIZE]){0}));
    return study_interrupted() != 0;
}

static int open_network(const struct tune_options *options, struct simulation *simulation,
                        struct transport **transport, char *message, size_t size_bytes)
{
    /* Another course of the same game than the one that was watched. */
    if (options->virtual_time)
        return simulation_open(transport, simulation, &options->profile, options->interval_ns,
                               options->seed + 1);
    return transport_open(transport, &options->probe, SIMULATION_ADDRESSES, message, size_bytes);
}

static int run_one(struct tune_study *study, struct running *running, struct simulation *simulation,
                   char *message, size_t size_bytes)
{
    struct tune_validation *validation = &study->validations[running->now];
    const struct tune_pair *pair = &study->result.pairs[validation->pair];
    struct health_settings health = study->options->tune.health;
    struct address addresses[SIMULATION_ADDRESSES];
    struct validate_settings settings = {
        .probe = &study->options->probe,
        .health = &health,
        .addresses = addresses,
        .address_count = addresses_of(study->options),
        .duration_ns = duration_of(study->options),
        .pause = show,
        .context = running,
    };
    struct transport *transport = NULL;
    int r = open_network(study->options, simulation, &transport, message, size_bytes);

    for (size_t i = 0; i < SIMULATION_ADDRESSES; i++)
        addresses[i] = simulation_address(i);
    health.select_timeout_ns = pair->select_timeout_us * NS_PER_US;
    health.select_count = pair->select_count;
    if (r == 0)
        r = validate_run(&validation->counts, &settings, transport);
    validation->rate = validate_rate(&validation->counts);
    validation->agrees = validate_agrees(&validation->rate, &pair->estimate);
    return r;
}

int tune_validate(struct tune_study *study, const char *program)
{
    struct running running = {.study = study};
    CLEANUP(free) char *memory = malloc(sizeof(struct simulation));
    char message[256] = "";
    int r = memory ? 0 : -ENOMEM;

    choose(study);
    for (; r == 0 && running.now < study->validation_count; running.now++)
        r = run_one(study, &running, (struct simulation *)(void *)memory, message, sizeof(message));
    study_progress_end(&running.progress);
    if (r == -EINTR) { /* what is not whole is not shown */
        study->validation_count = running.now - 1;
        return 0;
    }
    if (r < 0)
        text_error("%s: validating: %s", program, message[0] ? message : strerror(-r));
    return r < 0 ? EXIT_SYSTEM : 0;
}
