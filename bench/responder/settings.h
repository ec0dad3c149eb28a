/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "bench/responder/rules.h"

struct responder_settings {
    char tun[IFNAMSIZ]; /* name of the device */
    /* Of this host on the device; the address after each is the simulated router, who sends ICMP errors. */
    const struct responder_prefix *addresses;
    size_t address_count;
    const struct responder_prefix *routes; /* led into the device, beside the networks of the addresses */
    size_t route_count;
    const struct responder_rule *rules; /* any order; all else behaves as `perfect` */
    size_t rule_count;
    uint64_t seed;
    /*
     * Answer before all ordinary work of the machine (SCHED_FIFO, CAP_SYS_NICE), so that delays are exact on
     * a busy one, as those of a real network are. It may take most of a core away from everybody else.
     */
    bool realtime;
};
