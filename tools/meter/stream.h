/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the meters' streams have in common: what they are given, what they count, and the lines of JSON that they
 * print on standard output.
 */
#pragma once

#include "probe/base.h"

#define METER_HITCH_NS (50 * NS_PER_MS) /* of TCP and NFS: what takes longer is an interruption */

static inline double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

static inline double milliseconds(uint64_t ns)
{
    return (double)ns / 1e6;
}

struct meter_settings {
    struct address service;
    uint16_t port;               /* of the TCP echo; 0: no TCP stream */
    uint64_t interval_ns;        /* between ICMP echoes */
    uint64_t tcp_interval_ns;    /* between TCP records */
    uint64_t wait_ns;            /* an echo without a reply after this is lost */
    uint64_t connect_timeout_ns; /* then a new connection is tried */
};

/* How long this process itself was not running, in all; to tell its stalls from the network's. */
struct meter_stalls {
    unsigned count; /* of those over 10 ms */
    uint64_t longest_ns, total_ns;
};

struct meter_figures {
    const char *stream; /* "icmp", "tcp", "nfs", "iscsi" */
    uint64_t sent, received;
    unsigned interruptions;
    uint64_t longest_ns, total_ns; /* of interruptions */
    uint64_t longest_silence_ns;   /* between two echoes that arrived one after the other */
    uint64_t send_errors;          /* ICMP: refused sends; TCP and NFS: attempts that failed */
    bool started;                  /* an echo has come back */
    bool told_silent;
    uint64_t last_arrived_ns;
};

struct meter_interruption {
    uint64_t from_ns, until_ns;
    uint64_t silence_ns;
    uint64_t lost;   /* ICMP: echoes; TCP: records; NFS: see the blocks in its summary */
    unsigned errors; /* as send_errors */
    int error;       /* errno of the last of them, or of what broke the connection; 0: none */
    unsigned breaks; /* TCP, NFS: how often an established connection broke */
    uint64_t own_ns; /* part of it in which this process was not running */
    bool open;       /* not over yet: the meter ends here */
};

/* Counts an arrival; prints the first one, and the first after a silence that was told. */
void meter_arrived(struct meter_figures *figures, uint64_t at_ns);
/* Prints one line when nothing has arrived for 100 ms, once per silence. */
void meter_watch(struct meter_figures *figures, uint64_t now_ns);
void meter_interrupted(struct meter_figures *figures, const struct meter_interruption *what);
/* Prints a member of the summary, without its closing brace. */
void meter_print_figures(const struct meter_figures *figures);
