/* SPDX-License-Identifier: Apache-2.0 */
/* How many CPUs this process may use. */
#pragma once

#include "probe/base.h"

/* Those of the affinity mask, but no more than the quota of its cgroup and those above it; at least 1. */
uint32_t probe_cpus_usable(void);

/*
 * How many CPUs a quota is worth, rounded up: the text of cgroup v2's cpu.max ("150000 100000", "max
 * 100000"), or that of v1's cpu.cfs_quota_us and cpu.cfs_period_us behind it ("150000\n100000\n", "-1\n...").
 * UINT32_MAX: no bound, or not such a text.
 */
uint32_t probe_cpus_of_quota(const char *text);
