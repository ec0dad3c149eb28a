/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lab's cluster: which accesses are alive, who leads, and which client enters where. See cluster.c.
 */
#pragma once

#include "probe/base.h"

struct cJSON;
struct lab_cluster;

#define LAB_MEMBERS_MAX 64
#define LAB_UUID_SIZE   37

/* What one member says of itself; copied into its session. */
struct lab_identity {
    unsigned id; /* 1 ... LAB_MEMBERS_MAX */
    char ip[ADDRESS_TEXT_SIZE];
    char zone[64];
    char host_data[ADDRESS_TEXT_SIZE]; /* empty: not said */
    char machine[LAB_UUID_SIZE];
};

struct lab_cluster_settings {
    struct lab_identity self;
    unsigned members;      /* how many there should be, this one included; a majority may lead */
    uint64_t lease_ns;     /* a session without a heartbeat for so long is taken out */
    uint64_t heartbeat_ns; /* five of them missed: a peer, or the leader, is gone */
    /* Sends a message to one member, or to all others when `to` is 0. */
    void (*send)(void *context, unsigned to, const char *text);
    void *context;
};

int lab_cluster_new(struct lab_cluster **out, const struct lab_cluster_settings *settings, uint64_t now_ns);
struct lab_cluster *lab_cluster_free(struct lab_cluster *cluster);
DEFINE_CLEANUP(struct lab_cluster *, lab_cluster_free)

/* Call about every fifth of heartbeat_ns: renews, expires, elects, sends what is due. */
void lab_cluster_tick(struct lab_cluster *cluster, uint64_t now_ns);

/* A message that came from a member; anything that is none is ignored. */
void lab_cluster_receive(struct lab_cluster *cluster, const char *text, size_t size_bytes, uint64_t now_ns);

/*
 * Moves client addresses (comma-separated) to a session. 0: done; -EINPROGRESS: the leader has been asked,
 * see lab_cluster_refreshed(); -EAGAIN: there is no leader; -ENOENT: no such session; -EINVAL: not a list of
 * addresses; -ENOSPC: too many.
 */
int lab_cluster_refresh(struct lab_cluster *cluster, const char *uuid, const char *clients, uint64_t now_ns);

/* Changes with every table; take it before asking. */
uint64_t lab_cluster_version(const struct lab_cluster *cluster);

/* Has a table after `version` come that shows the clients at the session? 0, -EINPROGRESS or -ENOENT. */
int lab_cluster_refreshed(struct lab_cluster *cluster, const char *uuid, const char *clients,
                          uint64_t version);

/* The list as session-service.md gives it (an array). Caller deletes. NULL: out of memory. */
struct cJSON *lab_cluster_list(struct lab_cluster *cluster, uint64_t now_ns);

/* For people and tests: role, term, leader, and who holds which clients. Caller deletes. */
struct cJSON *lab_cluster_state(struct lab_cluster *cluster, uint64_t now_ns);
