/* SPDX-License-Identifier: Apache-2.0 */
/* "Is it reachable?" of a report: a pool of workers (probe/pool.h). */
#include "probe/pool.h"
#include "tools/report/kind.h"

struct sweep {
    struct report_probing base;
    struct probe_pool *pool;
};

static struct probe_pool *pool_of(struct report_probing *probing)
{
    return ((struct sweep *)probing)->pool;
}

static void sweep_close(struct report_probing *probing)
{
    probe_pool_free(pool_of(probing));
    free(probing);
}

static int sweep_open(struct report_probing **out, const struct report_options *options,
                      struct probe_targets *targets, char *message, size_t size_bytes)
{
    struct sweep *sweep = calloc(1, sizeof(*sweep));
    int error;

    if (!sweep) {
        snprintf(message, size_bytes, "%s", strerror(ENOMEM));
        return -ENOMEM;
    }
    error = probe_pool_new(&sweep->pool, &options->settings, options->workers, targets, !options->in_order,
                           message, size_bytes);
    if (error) {
        free(sweep);
        return error;
    }
    sweep->base.kind = &report_kind_sweep;
    *out = &sweep->base;
    return 0;
}

static int sweep_wakeup(struct report_probing *probing)
{
    return probe_pool_wakeup(pool_of(probing));
}

static int sweep_set(struct report_probing *probing, uint32_t index, const struct address *address)
{
    return probe_pool_set(pool_of(probing), index, address);
}

static int sweep_step(struct report_probing *probing, uint64_t until_ns)
{
    return probe_pool_step(pool_of(probing), until_ns);
}

static void sweep_again(struct report_probing *probing)
{
    probe_pool_again(pool_of(probing));
}

static int sweep_stop(struct report_probing *probing)
{
    return probe_pool_stop(pool_of(probing));
}

static bool sweep_next(struct report_probing *probing, struct probe_result *result, bool *failed)
{
    if (!probe_pool_next(pool_of(probing), result))
        return false;
    *failed = result->outcome != PROBE_REPLY;
    return true;
}

static bool sweep_result(struct report_probing *probing, uint32_t index, struct probe_result *result)
{
    return probe_pool_result(pool_of(probing), index, result);
}

static const struct probe_targets *sweep_targets(struct report_probing *probing)
{
    return probe_pool_targets(pool_of(probing));
}

static struct report_about sweep_about(struct report_probing *probing)
{
    struct probe_pool *pool = pool_of(probing);

    return (struct report_about){
        .counters = probe_pool_counters(pool),
        .transport = probe_pool_transport(pool),
        .workers = probe_pool_workers(pool),
        .asked_again = probe_pool_asked_again(pool),
        .failed_call = probe_pool_failed_call(pool),
    };
}

const struct report_kind report_kind_sweep = {
    .open = sweep_open,
    .close = sweep_close,
    .wakeup = sweep_wakeup,
    .set = sweep_set,
    .step = sweep_step,
    .stop = sweep_stop,
    .again = sweep_again,
    .next = sweep_next,
    .result = sweep_result,
    .targets = sweep_targets,
    .about = sweep_about,
    .rtt_words = "RTT in ms",
    .doubt_words = "of them doubtful",
    .doubt_warning = "that are called unreachable are doubtful",
};

const struct report_kind *report_kind_of(const struct report_options *options)
{
    if (options->rounds.count)
        return &report_kind_rounds;
    return options->mtu_bytes || options->path_mtu ? &report_kind_mtu : &report_kind_sweep;
}
