/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How settings of a replay are written on a command line; for `reroute replay` and `reroute bench hold`.
 */
#pragma once

#include "probe/base.h"

#define REPLAY_HOLDS_MAX 32

/* "60s,2m,180s" (up to REPLAY_HOLDS_MAX, an hour each at most; sorted, none twice). How many, or -EINVAL. */
int replay_parse_holds(const char *text, uint64_t holds_ns[static REPLAY_HOLDS_MAX]);

/* "on", "off", or the longest damped hold, "10m": as damping_max_ns of struct host_evidence. 0 or -EINVAL. */
int replay_parse_damping(const char *text, uint64_t *out_ns);

/* The word for that: "on", "off", "600s". Returns buffer. */
const char *replay_damping_text(uint64_t damping_max_ns, char buffer[static 24]);

/* "180s", "0.5s". Returns buffer. */
const char *replay_seconds_text(uint64_t ns, char buffer[static 24]);
