/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's own TCP connections to the service are looked at, as a witness of the path in use (route/decide/witness.h).
 *
 * A list finds them: every two seconds while there is none, two seconds after one has gone, else every ten. Those that
 * were found are looked at again at most every half select-timeout, in the steps that the agent makes anyway. Where the
 * kernel does not tell there is no witness, and the log says so once.
 */
#pragma once

#include "route/decide/witness.h"
#include "route/fib/tcp.h"

/* All zero at first. */
struct tcp_watch {
    struct fib_tcp *tcp;       /* NULL: not open */
    bool lacking;              /* the kernel does not tell, and never will */
    int error;                 /* of the last look, which the log has; 0: none */
    uint64_t list_ns, look_ns; /* the next ones, not before */
    struct address hop;        /* to which the route led at the last step; empty: there was none */
    struct witness witness;
    struct witness_verdict verdict;
};

/* What it may read. */
struct tcp_watch_host {
    const struct address *service;
    const struct address *hop; /* to which the route leads; NULL: there is none */
    bool ours;                 /* packets to the service take that route */
    struct witness_path path;  /* that the route leads to */
};

/* Looks if that is due, and judges. */
void tcp_watch_step(struct tcp_watch *watch, const struct tcp_watch_host *host, uint64_t now_ns);
void tcp_watch_close(struct tcp_watch *watch);

/* How many of those that are open have data that wait for an acknowledgement. */
size_t tcp_watch_waiting(const struct tcp_watch *watch);
