/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service manager for hosts that have none: runs the agent as a child, see supervision.h for what it does with it.
 *
 * One supervisor for a configuration: it holds a lock on a file below SUPERVISE_DIRECTORY, named after the
 * configuration's path, not its contents. So a file that is wrong, or a disk that hangs, is no obstacle.
 */
#pragma once

#include <sys/types.h>

#include "route/agent/options.h"

#define SUPERVISE_DIRECTORY "/run/reroute"

/*
 * Runs until a signal (SIGTERM, SIGINT) has ended the agent, or until the agent ends well by itself. SIGHUP is passed
 * on. 0; also, and without a word, when a supervisor for this configuration or an agent for its service runs already.
 * A negative errno when the supervisor could not begin, after one line on standard error.
 */
int supervise_run(const struct agent_options *options);

/*
 * The process to signal for this configuration: its supervisor, or the agent that a killed supervisor left
 * (*is_supervised is false then). 0, and false: neither runs, or the lock cannot be read.
 */
pid_t supervise_pid(const char *config_path, bool *is_supervised);
