/* SPDX-License-Identifier: Apache-2.0 */
/* A probe stream and path health without the rest of the agent, see validate.h. */
#include "bench/tune/validate.h"

#include "route/tune/quantile.h"
#include "probe/stream.h"

#define PAUSE_NS (100 * NS_PER_MS)

struct validated {
    struct health health;
    uint64_t at_ns;
};

struct validation {
    const struct validate_settings *settings;
    struct validate_counts *counts;
    struct probe_stream *stream;
    struct validated *paths; /* by the id of the stream's target, which counts from 0 */
};

static void take(struct validation *validation, const struct probe_observation *observation)
{
    struct validated *path = &validation->paths[observation->id];
    bool was_up = path->health.state == HEALTH_UP, was_degraded = path->health.degraded;

    if (was_up)
        validation->counts->up_s += (double)sub_sat_u64(observation->at_ns, path->at_ns) / 1e9;
    path->at_ns = max_u64(path->at_ns, observation->at_ns);
    health_observe(&path->health, validation->settings->health, observation);
    validation->counts->downs += was_up && path->health.state == HEALTH_DOWN;
    validation->counts->degradeds += !was_degraded && path->health.degraded;
    validation->counts->requests +=
        observation->outcome != PROBE_LATE && observation->outcome != PROBE_DUPLICATE;
}

static int add_paths(struct validation *validation)
{
    const struct validate_settings *settings = validation->settings;
    int r = 0;

    validation->paths = calloc(settings->address_count, sizeof(*validation->paths));
    if (!validation->paths)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < settings->address_count; i++) {
        struct probe_stream_target target = {.address = settings->addresses[i],
                                             .interval_ns = health_pace(settings->health->select_timeout_ns)};
        uint32_t id;

        r = probe_stream_add(validation->stream, &target, &id);
    }
    return r;
}

static int run(struct validation *validation, struct transport *transport)
{
    const struct validate_settings *settings = validation->settings;
    uint64_t began_ns = probe_stream_now_ns(validation->stream), now_ns = began_ns, pause_ns = 0;

    while (now_ns - began_ns < settings->duration_ns) {
        struct probe_observation observation;
        int r = probe_stream_dispatch(validation->stream);

        while (probe_stream_next(validation->stream, &observation))
            take(validation, &observation);
        if (r == 0)
            r = transport->operations->wait(transport, probe_stream_deadline_ns(validation->stream), -1);
        if (r < 0 && r != -EINTR)
            return r;
        now_ns = probe_stream_now_ns(validation->stream);
        if (settings->pause && now_ns >= pause_ns) {
            if (settings->pause(settings->context, now_ns - began_ns))
                return -EINTR;
            pause_ns = now_ns + PAUSE_NS;
        }
    }
    return 0;
}

int validate_run(struct validate_counts *counts, const struct validate_settings *settings,
                 struct transport *transport)
{
    struct validation validation = {.settings = settings, .counts = counts};
    struct probe_settings probe = *settings->probe;
    int r;

    *counts = (struct validate_counts){0};
    probe.select_timeout_ns = settings->health->select_timeout_ns;
    probe.select_count = settings->health->select_count;
    r = probe_stream_new_over(&validation.stream, &probe, transport);
    if (r < 0)
        return r;
    r = add_paths(&validation);
    if (r == 0)
        r = run(&validation, transport);
    probe_stream_free(validation.stream);
    free(validation.paths);
    return r;
}

struct validate_rate validate_rate(const struct validate_counts *counts)
{
    struct quantile_interval interval = quantile_poisson((double)counts->downs, 0.025);
    double yearly = counts->up_s > 0 ? ESTIMATE_YEAR_S / counts->up_s : 0;

    return (struct validate_rate){
        .per_year = (double)counts->downs * yearly,
        .low = interval.low * yearly,
        .high = interval.high * yearly,
    };
}

bool validate_agrees(const struct validate_rate *observed, const struct estimate *predicted)
{
    return observed->low <= predicted->high &&
           (predicted->basis == ESTIMATE_NONE || predicted->low <= observed->high);
}
