/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the io_uring transport share: the transport in a namespace, with a peer in another one.
 */
#pragma once

#include "probe/icmp.h"
#include "probe/transport_uring.h"

#define URING_WORLD_PAYLOAD_BYTES 56

/* Deferred (DEFER_TASKRUN), as on new kernels, and cooperative, as on 6.0; roomy and narrow. */
#define URING_WORLD_MODES 4
extern const struct uring_limits uring_world_modes[URING_WORLD_MODES];

/* Where we are, and a peer that makes replies up. */
struct uring_world {
    int peer;
    int sockets[2]; /* of the peer: IPv4, IPv6 */
    struct address here[2];
    struct address there[2];
    struct address nowhere[2]; /* no route leads there */
    struct address silent;     /* on the link, but nobody has it */
    struct transport *transport;
    const struct transport_operations *operations;
    uint16_t ident[2];
};

/* Makes the namespaces and enters one. Skips the test where there are none. */
void uring_world_make(struct uring_world *w);
/* Opens the transport with both families. Skips the test where the kernel has no io_uring for us. */
void uring_world_open(struct uring_world *w, const struct uring_limits *limits);
/* The same in two steps. */
void uring_world_open_bare(struct uring_world *w, const struct uring_limits *limits);
void uring_world_open_families(struct uring_world *w);
void uring_world_close(struct uring_world *w);

/* Sends requests 0 to count - 1, at most TRANSPORT_BATCH; as the transport's send(). */
unsigned uring_world_send(const struct uring_world *w, const struct address *to, struct packet_out *packets,
                          unsigned count);
/* The sequence number of what came in. */
uint32_t uring_world_number(const struct packet_in *packet);
/* Receives what the peer's kernel answers, IPv4, and adds to counts[] how often for each sequence number. */
void uring_world_count(const struct uring_world *w, unsigned *counts);
