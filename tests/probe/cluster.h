/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few network namespaces around the one of the test, and what answers where:
 *
 *     here  10.1.0.1, fd01::1  ---1500---  peer  10.1.0.2, fd01::2  ---1300---  far  10.4.0.2, fd04::2
 *           10.5.0.1           ---second-  peer  10.5.0.2
 *
 *     10.2.0.0/16, fd02::/64       peer, all alive, but for
 *       10.2.1.0/24, fd02::1:0/112   dropped by peer's firewall
 *       10.2.2.0/24, fd02::2:0/112   rejected by peer's firewall (prohibited)
 *       10.2.3.0/24                  dropped by our own firewall on the way out
 *     10.3.0.0/16, fd03::/64       peer's firewall says host (address) unreachable
 *     10.1.0.200                   on-link, nobody has it
 *     10.6.0.0/16                  alive, but the replies come back over the second link
 *     10.99.0.0/16, fd99::/64      we have no way there
 */
#pragma once

#include "tests/lib/netns.h"

struct cluster {
    int peer;
    int far;
    uint32_t first_ifindex;
    uint32_t second_ifindex;
};

/* Makes it all and moves the test into "here". Skips the test when namespaces are not allowed. */
void cluster_make(struct cluster *cluster);

/* Lets ping sockets be opened here, or not (then it is raw sockets). */
void cluster_allow_ping_sockets(bool allow);
