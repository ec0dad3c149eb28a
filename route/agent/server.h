/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server in the agent's loop that cannot be made to take more than its share.
 */
#pragma once

#include "route/agent/http_request.h"

struct evbuffer;
struct event_base;
struct server;

/* Writes the body of an answer and its type, and returns the HTTP status; the buffer may stay empty. */
typedef int server_answer_fn(void *context, const struct http_request *request, const char **type,
                             struct evbuffer *body);

struct server_settings {
    const char *name; /* in the log; static */
    unsigned connections_max;
    unsigned per_peer_max; /* of one user (Unix socket), one IPv4 address, one IPv6 /64 */
    int priority;          /* of its events in the loop */
    server_answer_fn *answer;
    void *context;
};

/* Takes a listening, non-blocking socket over, also when it fails. -ENOMEM. */
int server_new(struct server **out, struct event_base *base, int listening_fd,
               const struct server_settings *settings);
struct server *server_free(struct server *server); /* closes all connections */
