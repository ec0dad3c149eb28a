/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A study's private world: network namespaces that nobody else sees and that are gone with the process, also
 * when it is killed.
 *
 * stage_enter() moves this process there for good; it must be the only thread. In it, a responder
 * (bench/responder.h) may be opened and started, for a network that misbehaves on command; stage_peer() adds
 * another host behind a veth pair, whose kernel answers for any number of addresses.
 */
#pragma once

#include "bench/responder.h"

/*
 * Moves the process into a fresh network namespace (as root, or with a user namespace of its own), loopback
 * up. Files, users and processes stay what they are. 0, or a negative errno with one line in message.
 */
int stage_enter(char *message, size_t size_bytes);

/* The other host, as those tools want to know it that build their own Ethernet frames. */
#define STAGE_PEER_INTERFACE "peer0"             /* our end of the link */
#define STAGE_PEER_OURS      "192.0.2.1"         /* our address on it */
#define STAGE_PEER_ROUTER    "192.0.2.2"         /* the peer's, through which the prefixes are reached */
#define STAGE_PEER_MAC       "02:00:00:00:00:02" /* the peer's; known here without ARP */

/*
 * Adds the peer, once: all addresses of these IPv4 prefixes ("10.0.0.0/9", separated by spaces) are reached
 * through it and answered by its kernel. Needs ip(8). Returns a descriptor of its namespace, which ends with
 * its last descriptor; or a negative errno with one line in message.
 */
int stage_peer(const char *prefixes, char *message, size_t size_bytes);
