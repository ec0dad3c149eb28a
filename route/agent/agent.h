/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent: runs until a signal ends it. See agent.c.
 */
#pragma once

#include "route/agent/options.h"

/*
 * Runs the agent in this process. Returns 0 after SIGTERM or SIGINT (the route stays), or a negative errno
 * when it could not start, after one line about it on standard error: -EINVAL for a configuration that is
 * wrong, -EWOULDBLOCK when an agent for the service runs already.
 */
int agent_run(const struct agent_options *options);
