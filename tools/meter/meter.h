/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter's two streams and what they share. See meter.c for what is measured.
 */
#pragma once

#include "probe/base.h"

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

/* --- one stream's figures, and its lines of JSON on standard output --------------------------------------*/

struct meter_figures {
    const char *stream; /* "icmp", "tcp" */
    uint64_t sent, received;
    unsigned interruptions;
    uint64_t longest_ns, total_ns; /* of interruptions */
    uint64_t longest_silence_ns;   /* between two echoes that arrived one after the other */
    uint64_t send_errors;          /* ICMP: refused sends; TCP: failed or timed out connects */
    bool started;                  /* an echo has come back */
    bool told_silent;
    uint64_t last_arrived_ns;
};

struct meter_interruption {
    uint64_t from_ns, until_ns;
    uint64_t silence_ns;
    uint64_t lost;   /* ICMP: echoes; TCP: records */
    unsigned errors; /* refused sends, failed connects */
    int error;       /* errno of the last of them, or of what broke the connection; 0: none */
    unsigned breaks; /* TCP: how often an established connection broke */
    uint64_t own_ns; /* part of it in which this process was not running */
    bool open;       /* not over yet: the meter ends here */
};

/* Counts an arrival; prints the first one. */
void meter_arrived(struct meter_figures *figures, uint64_t at_ns);
/* Prints one line when nothing has arrived for 100 ms, once per silence. */
void meter_watch(struct meter_figures *figures, uint64_t now_ns);
void meter_interrupted(struct meter_figures *figures, const struct meter_interruption *what);

/* --- the streams -----------------------------------------------------------------------------------------*/

struct meter_icmp;
int meter_icmp_new(struct meter_icmp **out, const struct meter_settings *settings,
                   const struct meter_stalls *stalls);
struct meter_icmp *meter_icmp_free(struct meter_icmp *icmp);
DEFINE_CLEANUP(struct meter_icmp *, meter_icmp_free)
int meter_icmp_fd(const struct meter_icmp *icmp);
void meter_icmp_tick(struct meter_icmp *icmp, uint64_t now_ns); /* every interval_ns */
void meter_icmp_readable(struct meter_icmp *icmp);
/* Judges what is left and prints an interruption that is not over. */
struct meter_figures *meter_icmp_finish(struct meter_icmp *icmp, uint64_t now_ns);
/* Lost echoes, and replies that came after they had been given up. */
void meter_icmp_losses(const struct meter_icmp *icmp, uint64_t *lost, uint64_t *late);

struct meter_tcp;
int meter_tcp_new(struct meter_tcp **out, const struct meter_settings *settings,
                  const struct meter_stalls *stalls);
struct meter_tcp *meter_tcp_free(struct meter_tcp *tcp);
DEFINE_CLEANUP(struct meter_tcp *, meter_tcp_free)
int meter_tcp_fd(const struct meter_tcp *tcp);               /* changes with each connection; -1: none */
short meter_tcp_events(const struct meter_tcp *tcp);         /* poll(2) events to wait for */
void meter_tcp_tick(struct meter_tcp *tcp, uint64_t now_ns); /* every tcp_interval_ns */
void meter_tcp_ready(struct meter_tcp *tcp, short events);
struct meter_figures *meter_tcp_finish(struct meter_tcp *tcp, uint64_t now_ns);
unsigned meter_tcp_breaks(const struct meter_tcp *tcp);
