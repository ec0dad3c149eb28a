/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the agent need around them in a test: a cluster of three nodes as a table, a configuration,
 * a provider that notes what it is asked and answers when the test says so.
 */
#pragma once

#include "route/agent/kept.h"
#include "route/agent/situation.h"
#include "session/backend.h"

#define STAGE_NODES 3

struct stage_request {
    unsigned count; /* how often it was asked */
    size_t endpoint_count;
    struct session_endpoint endpoints[128];
    char text[1024]; /* the uuid of a refresh, the body of a heartbeat */
    session_answer_fn *done;
    void *context;
};

struct stage {
    struct config config;
    struct agent_options options;
    struct agent_table table;
    struct situation now;
    struct session_provider provider;
    struct stage_request list, refresh, heartbeat;
    unsigned cancelled;
    int refuse;     /* what each call of the provider returns; 0 */
    unsigned woken; /* steps that a part asked for */
    struct waker waker;
};

/* Node n (1 to 3) has the paths 2n-2 (data, 10.0.0.n) and 2n-1 (management, 10.1.0.n); all are up, node 1 is in
 * use, its session is "uuid-1". The time is 1000 s. */
void stage_open(struct stage *stage);
void stage_close(struct stage *stage);

void stage_at(struct stage *stage, double seconds);
struct address stage_address(int network, int node);
/* Ends a request. An error has the message "refused". */
void stage_answer(struct stage_request *request, int error, const struct session_list *list, int from_node);

/* A list that names these nodes, with that alive_sec. items has room for them. */
struct session_list stage_list(struct session *items, const int *nodes, size_t count, uint64_t alive_sec);
