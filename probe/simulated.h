/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network that is not there: a transport with a virtual clock and a script. For tests and studies.
 *
 * The script is a function that sees each request when it is sent and says what becomes of it, with the help
 * of the functions below. Time passes only where a program would wait, or by simulated_advance(): a day takes
 * seconds, and the same script gives the same history.
 */
#pragma once

#include "probe/transport.h"

struct simulated;

struct simulated_script {
    /*
     * Called for each request. Returns 0 (it was taken; the function has scheduled what will come back, or
     * nothing) or a positive errno, with which the send is refused.
     */
    int (*request)(void *context, struct simulated *network, const struct packet_out *packet);
    void *context;
    uint32_t
        receive_limit; /* packets that wait unread in each family; what comes beyond is lost. 0: no limit */
    bool no_stamps;    /* the kernel does not say when packets arrived */
    uint32_t
        mtu_bytes; /* of the interface, for who asks; the script must refuse what is larger. 0: not known */
};

#define SIMULATED_IDENT4 0x1234
#define SIMULATED_IDENT6 0x5678

/* The caller owns the transport, until something else takes it over. The script outlives it. -ENOMEM. */
int simulated_open(struct transport **out, const struct simulated_script *script);
struct simulated *simulated_of(struct transport *transport);

uint64_t simulated_now_ns(const struct simulated *network);
/* Time in which nobody runs: packets arrive, nobody reads. */
void simulated_advance(struct simulated *network, uint64_t duration_ns);

/*
 * Lets an ICMP message arrive after delay_ns, through interface `ifindex`. `from` gives the family. All
 * return -ENOMEM or 0.
 */
int simulated_deliver(struct simulated *network, const struct address *from, uint32_t ifindex,
                      const uint8_t *bytes, size_t size_bytes, uint64_t delay_ns);
/* The answer of a well-behaved host. */
int simulated_reply(struct simulated *network, const struct packet_out *request, uint64_t delay_ns);
/* An ICMP error of router `from` that quotes the first quote_bytes of the request's ICMP message. */
int simulated_error(struct simulated *network, const struct packet_out *request, const struct address *from,
                    uint8_t type, uint8_t code, uint32_t mtu_bytes, size_t quote_bytes, uint64_t delay_ns);
/* Writes the reply to a request into buffer (request->size_bytes), to be spoilt and delivered. */
void simulated_make_reply(const struct packet_out *request, uint8_t *buffer);
