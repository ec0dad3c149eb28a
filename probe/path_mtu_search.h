/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which is the largest packet that passes? What to try next, and what follows from an answer. Pure.
 *
 * All sizes are those of IP packets, header included. What is known is a pair: `passes`, the largest size
 * that came through, and `fails`, the smallest that is known not to; the search ends when they are
 * neighbours.
 *
 * Believed is: a reply; silence, after as many tries as the asker takes (RFC 4821 section 7.6: a lost probe);
 * and the word of a router, if its message quotes our token, so that it was on the way: what it names is the
 * MTU of its next hop (RFC 1191 section 4, RFC 8201 section 4), so anything larger fails. A router that names
 * nothing, or nonsense (0; no less than what was sent; less than what has passed), has said no more than "too
 * big". A message that quotes too little for the token could be anybody's: the MTU it names is worth a try,
 * no more.
 *
 * Where routers are silent the interval is cut in two (RFC 4821 section 7.3). Each cut that fails costs a
 * whole wait, one that passes only a round trip; so of the middle half that size is taken which links and
 * tunnels often have, and when it passes the next one is the byte above it: mostly that fails, and all is
 * known.
 */
#pragma once

#include "probe/base.h"

enum path_mtu_answer {
    PATH_MTU_PASSED,
    PATH_MTU_TOO_BIG, /* says somebody who can be believed */
    PATH_MTU_SILENT,  /* no answer to any try */
};

struct path_mtu_search {
    uint32_t passes;
    uint32_t fails;
    uint32_t first;   /* to be tried before all others; 0: it was */
    uint32_t named;   /* by a router, to be tried next; 0: none */
    uint32_t guessed; /* the last size was a guess: when it passes, this one is next; 0: it was none */
};

/* From a size that passes to the largest that the first link takes; nothing above `largest` is asked. */
void path_mtu_search_begin(struct path_mtu_search *search, uint32_t passes, uint32_t largest);
/* The size to try next, between passes and fails; 0: all is known. */
uint32_t path_mtu_search_next(struct path_mtu_search *search);
/*
 * What was learnt of that size. mtu: what a router named, 0 for nothing; with PATH_MTU_SILENT it is from a
 * message that could be anybody's. Returns true when `fails` is less than before.
 */
bool path_mtu_search_take(struct path_mtu_search *search, uint32_t size, enum path_mtu_answer answer,
                          uint32_t mtu);
