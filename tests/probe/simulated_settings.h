/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests in a simulated network ask for. */
#pragma once

#include "probe/probe.h"

static inline struct probe_settings settings_of(uint64_t select_timeout_ns, uint32_t select_count)
{
    struct probe_settings settings = probe_settings_default();

    settings.transport = "simulated";
    settings.select_timeout_ns = select_timeout_ns;
    settings.select_count = select_count;
    return settings;
}
