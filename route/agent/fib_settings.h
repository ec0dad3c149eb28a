/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the configuration to the FIB.
 */
#pragma once

#include "route/config/settings.h"
#include "route/fib/fib.h"

/* Valid as long as the configuration is. */
static inline struct fib_settings agent_fib_settings(const struct config_route *route)
{
    return (struct fib_settings){
        .backend = route->backend,
        .table = route->table,
        .metric = route->metric,
        .protocol = route->protocol,
        .command = route->command,
        .netstack = route->netstack,
        .command_timeout_ns = route->command_timeout_ns,
    };
}
