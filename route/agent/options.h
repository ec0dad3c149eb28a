/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* How the agent was started. */
struct agent_options {
    const char *config_path;
    bool dry_run;           /* decide and explain, touch nothing */
    bool may_run_elsewhere; /* another agent for the service is no news: not a word then */
    uint64_t restarts; /* by a supervisor, see supervise.h */
    const char *version;    /* for the status, heartbeats and metrics */
};
