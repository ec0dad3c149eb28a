/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two files of the lab's cluster share: cluster.c, which has the logic, and
 * cluster_answer.c, which tells of it.
 */
#pragma once

#include <cjson/cJSON.h>

#include "tools/sessiond/clients.h"
#include "tools/sessiond/cluster.h"

#define SESSIONS_MAX 256
#define BURIED_MAX   64

struct session {
    char uuid[LAB_UUID_SIZE];
    struct lab_identity who;
    char clients[LAB_CLIENTS_SIZE]; /* comma-separated */
    uint64_t born_ns;
    uint64_t lease_end_ns; /* kept by the leader */
};

/* How new a table is. All zero: of a member that has just started. */
struct position {
    uint64_t term;  /* of the leader that wrote it */
    uint64_t index; /* grows with every table, and from leader to leader */
};

struct member {
    uint64_t heard_ns; /* last heard of; 0: never */
    struct position position;
};

struct lab_cluster {
    struct lab_cluster_settings set;
    char uuid[LAB_UUID_SIZE]; /* of this member's own session */
    bool enlisted;            /* that uuid has been in the table */
    uint64_t missing_ns;      /* since when tables come without it; 0: they have it */
    struct member members[LAB_MEMBERS_MAX + 1];

    struct session sessions[SESSIONS_MAX];
    size_t count;
    struct position position; /* of the table */
    uint64_t as_of_ns;        /* the table is what was known then */
    unsigned leader;          /* 0: none */
    uint64_t leader_ns;       /* last heard of it; the start, when never */
    uint64_t next_heartbeat_ns;

    uint64_t highest_term;   /* asked for by anybody, as far as is known */
    uint64_t consented_term; /* to a leader of this term, our own asking included; to no other one */
    uint64_t asked_term;     /* the last for which this member asked */
    uint64_t consents;       /* to that, a bit for each member */
    uint64_t next_ask_ns;

    char buried[BURIED_MAX][LAB_UUID_SIZE]; /* taken out: not let in again */
    size_t burials;
};

static inline uint64_t patience_ns(const struct lab_cluster *c)
{
    return 5 * c->set.heartbeat_ns;
}

static inline bool leads(const struct lab_cluster *c)
{
    return c->leader == c->set.self.id;
}
