/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP server that answers every request with the bytes it was told to, however wrong they are. It runs in
 * the test's own libevent loop; connections are real ones over loopback.
 */
#pragma once

#include "probe/base.h"

struct event_base;
struct server;

enum server_end {
    SERVER_CLOSE, /* after the answer */
    SERVER_HANG,  /* keeps the connection and says no more */
    SERVER_RESET, /* RST */
};

/* All zero: reads the request, answers nothing and closes. Strings must outlive the server. */
struct server_answer {
    const char *head; /* sent first; NULL: nothing */
    const char *unit; /* then this, `repeat` times */
    size_t repeat;
    uint64_t drip_ns; /* one byte of head each; 0: all at once */
    enum server_end end;
    bool at_once;          /* acts on accept, without reading the request */
    bool rpc;              /* answers each RPC call with an empty reply, and keeps the connection */
    bool rpc_once;         /* with rpc: closes it after the first */
    bool iscsi;            /* answers each request of an iSCSI initiator, and keeps the connection */
    uint16_t iscsi_status; /* of its Login Responses; but for 0 the connection is closed after it */
    unsigned iscsi_ends;   /* closes it in place of that answer, counted from 1; 0: never */
    unsigned iscsi_hangs;  /* gives neither that answer nor a later one; 0: all */
    bool iscsi_asks;       /* sends a NOP-In beside each answer after a login */
};

/* Ends the test (abort) when it cannot listen there. */
struct server *server_new(struct event_base *base, const char *address, uint16_t port,
                          const struct server_answer *answer);
struct server *server_free(struct server *server);
void server_set(struct server *server, const struct server_answer *answer);

const char *server_request(const struct server *server); /* the last one, head and body; "" if none */
unsigned server_accepted(const struct server *server);   /* connections so far */
unsigned server_open(const struct server *server);       /* connections now */
unsigned server_logins(const struct server *server);     /* iSCSI initiators that said something */
unsigned server_pings(const struct server *server);      /* answers to a NOP-In so far */

/*
 * Makes connections to address:port hang: listens there without ever accepting, with the queue full. Fills
 * fds; close them to end it.
 */
#define SERVER_FULL_FDS 8
void server_full(const char *address, uint16_t port, int fds[static SERVER_FULL_FDS]);
