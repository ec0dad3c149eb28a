/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends TCP connections from outside (SOCK_DESTROY, linux/sock_diag.h). See fib_reset_connections().
 */
#pragma once

#include "probe/base.h"

enum fib_which {
    /*
     * In every state that has a peer and an owner. But a handshake from `source` whose SYN is sent again within three
     * seconds is left alone: it goes on over the new way by itself, and Linux's NFS client waits three seconds when it
     * is ended (call_connect_status() in its net/sunrpc/clnt.c).
     */
    FIB_ALL,
    /* The same without any handshake. */
    FIB_OPEN,
    /* Open, from another address than `source`, and with a segment that was sent again twice without an answer. */
    FIB_STALLED,
};

/* This namespace's TCP sockets whose peer is an address, IPv4-mapped ones of IPv6 included. */
struct fib_connections {
    const struct address *peer;
    enum fib_which which;
    const struct address *source; /* that the route to the peer gives to new ones; NULL: not known, or any */
    uint16_t but_port;            /* those to this port of the peer are left alone; 0: none are */
};

/* On failure one line in message. *count is right even then: all that could be destroyed are. */
int fib_diag_destroy(const struct fib_connections *connections, unsigned *count, char *message,
                     size_t size_bytes);
