/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/* How the agent was started. */
struct agent_options {
    const char *config_path;
    bool dry_run;           /* decide and explain, touch nothing */
    bool may_run_elsewhere; /* another agent for the service is no news: not a word then */
    const char *version;    /* for the status, heartbeats and metrics */
};
