/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A study's private world: network namespaces that nobody else sees and that are gone with the process, also
 * when it is killed.
 *
 * stage_enter() moves this process there for good; it must be the only thread. In it, a responder
 * (bench/responder/responder.h) may be opened and started, for a network that misbehaves on command; stage_peer() adds
 * another host behind a veth pair, whose kernel answers for any number of addresses.
 */
#pragma once

#include "bench/responder/responder.h"

/*
 * Moves the process into a fresh network namespace (as root, or with a user namespace of its own), loopback
 * up, ping sockets allowed. Files, users and processes stay what they are. 0, or a negative errno with one
 * line in message.
 */
int stage_enter(char *message, size_t size_bytes);

/* The link to the other host, as those tools want to know it that build their own Ethernet frames. */
#define STAGE_INTERFACE    "peer0"
#define STAGE_OUR_ADDRESS  "192.0.2.1"
#define STAGE_OUR_MAC      "02:00:00:00:00:01"
#define STAGE_PEER_ADDRESS "192.0.2.2" /* the gateway to all that the peer answers for */
#define STAGE_PEER_MAC     "02:00:00:00:00:02"

/*
 * Adds the peer, once: the addresses of `live` (an IPv4 prefix, "10.0.0.0/9") are reached through it and
 * answered by its kernel, those of `silent` (NULL: none) are reached through it and answered by nobody. Needs
 * ip(8). Returns a descriptor of its namespace, which ends with its last descriptor; or a negative errno with
 * one line in message.
 */
int stage_peer(const char *live, const char *silent, char *message, size_t size_bytes);
