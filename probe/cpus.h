/* SPDX-License-Identifier: Apache-2.0 */
/* How many CPUs this process may use. */
#pragma once

#include "probe/base.h"

#include <sched.h>

/* Those of the affinity mask, but no more than the quota of its cgroup and of those above it; at least 1. */
uint32_t probe_cpus_usable(void);

/*
 * The same for one quota, rounded up: the text of cgroup v2's cpu.max ("150000 100000", "max 100000"), or
 * that of v1's cpu.cfs_quota_us with the one of cpu.cfs_period_us behind it ("150000\n100000\n", "-1\n").
 * UINT32_MAX: no bound, or not such a text.
 */
uint32_t probe_cpus_of_quota(const char *text);

/*
 * The least quota of the cgroups that `list` tells (the text of /proc/self/cgroup), which are mounted below
 * `root`, and of all above them. UINT32_MAX: no bound.
 */
uint32_t probe_cpus_of_cgroups(const char *list, const char *root);

/* The CPU of the set that is `steps` further than `cpu`, going round; -1: the set is empty. */
int probe_cpus_next(const cpu_set_t *set, int cpu, uint32_t steps);
