/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a setting as the agent would, over a real or a simulated network, and counts its verdicts: what was
 * predicted can be compared with what happens.
 */
#pragma once

#include "probe/transport.h"
#include "route/decide/health.h"
#include "route/tune/estimate.h"

struct validate_settings {
    const struct probe_settings *probe;   /* payload and so on */
    const struct health_settings *health; /* with the setting */
    const struct address *addresses;      /* paths that work */
    size_t address_count;
    uint64_t duration_ns;
    bool (*pause)(void *context, uint64_t done_ns); /* as in watch.h; may be NULL */
    void *context;
};

struct validate_counts {
    double up_s; /* the paths were up for so long, all together */
    uint64_t requests, downs, degradeds;
};

/* Takes the transport over. 0 or a negative errno; counts are valid in any case. */
int validate_run(struct validate_counts *counts, const struct validate_settings *settings,
                 struct transport *transport);

/* Failures a year, with the interval of 95 %. */
struct validate_rate {
    double per_year, low, high;
};
struct validate_rate validate_rate(const struct validate_counts *counts);

/* Do the interval that was observed and the one that was predicted overlap? */
bool validate_agrees(const struct validate_rate *observed, const struct estimate *predicted);
