/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The accesses of the cluster and the paths to them, as this host knows them. Built by table_build.c,
 * installed by install.c, read by all parts of the agent.
 */
#pragma once

#include "route/config/config.h"
#include "route/decide/selector.h"
#include "session/liveness.h"
#include "session/provider.h"
#include "session/service_check.h"

/* What the agent remembers of an access, beside what the selector does: survives a new table. */
struct agent_access_memory {
    struct address local_by;  /* the address of this host by which its list named it as local; empty: none */
    enum session_state noted; /* what the log has been told */
};

/* How it is checked whether an access serves; port 0: it is not. */
struct agent_check {
    struct service_protocol protocol;
    uint64_t window_ns;
    bool assumed; /* nobody said that there is a service: see session/service_verdict.h */
};

/* An access as configured, or as the session list tells of it. */
struct agent_access {
    char name[CONFIG_NAME_SIZE];
    enum config_local local;
    char zone[CONFIG_NAME_SIZE]; /* configured; empty: what its session says */
    struct address data;
    struct address secondary;
    struct address management;
    struct agent_check check;
    struct session_view view;
    bool is_local;
    bool host_is_judged; /* is_local was found for judged_host */
    struct address judged_host;
    struct agent_access_memory memory;
};

/* How a path is entered from here. */
struct agent_entry {
    int error; /* 0, -ENETUNREACH (not on-link), -EADDRINUSE (an address of this host), -ENODEV (its interface does not
                  exist) */
    uint32_t ifindex;
    struct address source;
    uint32_t mtu_bytes;
    bool link_usable;
    uint64_t refused_until_ns; /* the kernel refused a route through it: not to be chosen before */
};

/* How it is asked for evidence. */
struct agent_probing {
    bool streamed;
    uint32_t stream_id;
    uint64_t interval_ns;
    uint64_t again_ns; /* when its link came up */
};

/* Whether its service is checked. */
struct agent_serving {
    struct service_check *check;    /* NULL: it is not */
    struct agent_check asked;       /* what check asks */
    uint32_t ifindex;               /* through which interface */
    bool found;                     /* an assumed service has answered once: it is no guess any more */
    enum service_check_state noted; /* what the log has been told */
};

/* Whether a packet of full size gets through. */
struct agent_size {
    enum selector_full_size state;
    uint32_t asked_bytes; /* payload of the extra probe under way; 0: none */
    uint64_t at_ns;       /* when its answer came */
};

/* All of it is about this address: a new table takes it over whole. */
/* Its replies, by how long they took, for the metrics. The last bucket takes what is above all bounds. */
#define AGENT_RTT_BUCKETS 14
struct agent_rtts {
    uint64_t counts[AGENT_RTT_BUCKETS];
    uint64_t sum_ns;
};

struct agent_path {
    struct address address;
    struct agent_entry entry;
    struct agent_probing probing;
    struct health health;
    struct agent_serving serving;
    struct agent_size size;
    struct agent_rtts rtts;
    enum health_state noted; /* what the log has been told */
};

/* Accesses and paths; the arrays of one kind have the same indices. Rebuilt as a whole, see table_build.h. */
struct agent_table {
    struct agent_access *accesses;
    struct access_evidence *selector_accesses;
    uint32_t access_count;
    struct agent_path *paths;
    struct path_evidence *selector_paths;
    uint32_t path_count;
    struct selector selector; /* its memory of them */
    uint32_t *by_stream;      /* the path of a stream's id, at id & stream_mask: a guess, to be verified */
    uint32_t stream_mask;
};

/* 0 or -ENOMEM. A path without an address is none, and left out. */
int agent_table_add_access(struct agent_table *table, const struct agent_access *access);
int agent_table_add_path(struct agent_table *table, uint32_t access, enum selector_tier tier,
                         const struct address *address);

/* The stream that its paths are probed by; NULL: they are not. */
void agent_table_clear(struct agent_table *table, struct probe_stream *stream);
/* What is remembered of each access and path goes over, with its place in the stream and its service check. */
void agent_table_inherit(struct agent_table *table, struct agent_table *old);
void agent_path_inherit(struct agent_path *path, struct agent_path *old);
/* Appends a next hop that is no configured path. 0 or -ENOMEM. */
int agent_table_add_foreign(struct agent_table *table, const struct address *next_hop, uint32_t ifindex);

uint32_t agent_table_find(const struct agent_table *table, const struct address *address);
uint32_t agent_table_of_stream(const struct agent_table *table, uint32_t stream_id);

/* The access of a path, SELECTOR_NO_ACCESS for no path or a foreign one; its name, "foreign" for that. */
uint32_t agent_table_access(const struct agent_table *table, uint32_t path);
const char *agent_table_access_name(const struct agent_table *table, uint32_t path);

/* Is it a path of this host's own access? */
bool agent_table_is_local(const struct agent_table *table, uint32_t path);

/* Has an access one of these addresses? Either may be empty. */
bool agent_table_has(const struct agent_table *table, const struct address *data,
                     const struct address *secondary);

/* Appends the addresses by which an access can be asked: those that are up, or those that are not known to be.
 * Returns how many. */
size_t agent_table_endpoints(const struct agent_table *table, uint32_t access, bool up,
                             struct session_endpoint *out, size_t room);
