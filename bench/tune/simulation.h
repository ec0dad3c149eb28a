/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The responder's model as a network without time: a simulated transport whose requests meet the fates of
 * responder_decide(). Days pass in seconds, over the same engine, stream and path health.
 *
 * Corrupt, truncated and foreign replies are not delivered: nobody would count them as replies.
 */
#pragma once

#include "bench/responder/responder.h"
#include "probe/simulated.h"

#define SIMULATION_ADDRESSES 64

/* All members are this module's own. It outlives the transport. */
struct simulation {
    struct responder_rule rule;
    struct simulated_script script;
    uint64_t tick_ns, began_ns, number;
    struct responder_memory memories[SIMULATION_ADDRESSES];
    uint64_t ticks[SIMULATION_ADDRESSES];
};

/*
 * Loss in bursts goes on from request to request, in the responder as here. So that it means the same time
 * whatever the rate of requests, each address lives as if it had been sent one every tick_ns.
 * 0 or -ENOMEM.
 */
int simulation_open(struct transport **out, struct simulation *simulation,
                    const struct responder_profile *profile, uint64_t tick_ns, uint64_t seed);

/* The nth address of this network, n < SIMULATION_ADDRESSES; all are alike. */
struct address simulation_address(size_t n);
/* The network that holds them. */
#define SIMULATION_PREFIX "10.77.0.0/24"
