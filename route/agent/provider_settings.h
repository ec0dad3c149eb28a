/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the configuration's words to a session provider; used by the agent and by `reroute sessions`.
 */
#pragma once

#include "route/config/config.h"
#include "session/provider.h"

/* As session_provider_new(). */
int config_session_provider(struct session_provider **out, struct event_base *base,
                            const struct config *config, char *message, size_t size_bytes);
