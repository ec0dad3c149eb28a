/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the cells, and one round of one of them: a pool of probes over its addresses, timed from before
 * the sockets are opened until the last verdict; then the verdicts are held against the truth. CPU time is
 * this process', threads included; the responder has a process of its own.
 */
#include "bench/sweep/cell.h"

#include <sys/resource.h>

#include "probe/pool.h"

size_t sweep_cell_index(const struct sweep_axes *axes, size_t profile, size_t transport, size_t workers,
                        size_t setting, size_t addresses)
{
    size_t index = profile * axes->transport_count + transport;

    index = index * axes->worker_count + workers;
    index = index * axes->setting_count + setting;
    return index * axes->address_count + addresses;
}

static uint64_t cpu_now_ns(void)
{
    struct rusage usage = {0};

    getrusage(RUSAGE_SELF, &usage);
    return ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * NS_PER_S +
           ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * NS_PER_US;
}

/* Until all is known, or a signal (-EINTR). */
static int probe_all(struct probe_pool *pool)
{
    struct probe_result result;
    int r = 0;

    while (r == 0 && !probe_pool_done(pool)) {
        if (study_interrupted())
            return -EINTR;
        r = probe_pool_step(pool, NEVER_NS);
        while (r == 0 && probe_pool_next(pool, &result))
            continue;
    }
    return r;
}

static void judge(struct sweep_cell *cell, const struct sweep_network *network, const struct probe_pool *pool)
{
    uint32_t dead = 0, found = 0, wrong = 0;

    for (uint32_t i = 0; i < cell->addresses; i++) {
        bool is_dead = sweep_network_is_dead(network, cell->profile, i);
        struct probe_result result = {0};
        bool reachable = probe_pool_result(pool, i, &result) && result.outcome == PROBE_REPLY;

        dead += is_dead;
        found += is_dead && !reachable;
        wrong += !is_dead && !reachable;
        cell->doubtful += !is_dead && !reachable && result.doubtful;
    }
    cell->dead = dead;
    cell->dead_found = cell->rounds == 0 || found < cell->dead_found ? found : cell->dead_found;
    cell->missed += dead - found;
    cell->false_sum += wrong;
    cell->false_most = max_u64(cell->false_most, wrong);
}

int sweep_cell_run(struct sweep_cell *cell, const struct sweep_network *network, char *message,
                   size_t size_bytes)
{
    const struct probe_range range = {
        .first = sweep_network_address(network, cell->profile, 0),
        .last = sweep_network_address(network, cell->profile, cell->addresses - 1),
    };
    struct probe_settings settings = probe_settings_default();
    CLEANUP(probe_pool_free) struct probe_pool *pool = NULL;
    struct probe_targets targets = {0};
    uint64_t began_ns, began_cpu_ns;
    int r = probe_targets_add(&targets, &range);

    settings.transport = cell->transport;
    settings.select_timeout_ns = cell->setting.select_timeout_ns;
    settings.select_count = cell->setting.select_count;
    began_cpu_ns = cpu_now_ns();
    began_ns = clock_now_ns(CLOCK_MONOTONIC);
    if (r == 0)
        r = probe_pool_new(&pool, &settings, cell->workers, &targets, true, message, size_bytes);
    if (r == 0)
        r = probe_all(pool);
    probe_targets_clear(&targets);
    if (r < 0)
        return r;
    cell->wall_ns[cell->rounds] = clock_now_ns(CLOCK_MONOTONIC) - began_ns;
    r = probe_pool_stop(pool);
    if (r < 0)
        return r;
    cell->cpu_ns[cell->rounds] = cpu_now_ns() - began_cpu_ns;
    judge(cell, network, pool);
    cell->rounds++;
    cell->workers_ran = probe_pool_workers(pool);
    snprintf(cell->transport_ran, sizeof(cell->transport_ran), "%s", probe_pool_transport(pool));
    return 0;
}
