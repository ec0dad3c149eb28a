/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the agent share. Nobody else includes this.
 */
#pragma once

#include <event2/event.h>

#include "probe/stream.h"
#include "route/agent/agent.h"
#include "route/agent/host_identity.h"
#include "route/agent/lock.h"
#include "route/agent/provider_settings.h"
#include "route/agent/reserve.h"
#include "route/agent/state.h"
#include "route/config/config.h"
#include "route/decide/admission.h"
#include "route/decide/selector.h"
#include "route/fib/fib.h"
#include "route/journal/journal.h"
#include "route/keeper/keeper.h"
#include "route/log.h"
#include "session/liveness.h"
#include "session/provider.h"
#include "session/service_check.h"

/* Of the loop's events, most urgent first; libevent gives those in the middle to whoever does not ask. */
enum { AGENT_PRIORITY_CLIENTS = 2, AGENT_PRIORITIES = 3 };

struct control;
struct agent;

/* What the agent remembers of an access, beside what the selector does: survives a new table. */
struct agent_access_memory {
    struct address local_by;  /* the address of this host by which its list named it as local; empty: none */
    enum session_state noted; /* what the log has been told */
};

/* An access as configured, or as the session list tells of it. */
struct agent_access {
    char name[CONFIG_NAME_SIZE];
    enum config_local local;
    char zone[CONFIG_NAME_SIZE]; /* configured; empty: what its session says */
    struct address data;
    struct address secondary;
    struct address management;
    uint16_t check_port; /* service check; 0: none */
    struct session_view view;
    bool is_local;
    bool host_is_judged; /* is_local was found for judged_host */
    struct address judged_host;
    struct agent_access_memory memory;
};

/* All of it is about this address: a new table takes it over whole. */
struct agent_path {
    struct agent *agent;
    struct address address;
    /* how it is entered from here */
    int egress_error; /* 0, -ENETUNREACH (not on-link), -EADDRINUSE (an address of this host), -ENODEV (its
                         interface does not exist) */
    uint32_t ifindex;
    struct address source;
    uint32_t mtu_bytes;
    bool link_usable;
    uint64_t refused_until_ns; /* the kernel refused a route through it: not to be chosen before */
    /* evidence */
    struct health health;
    bool streamed;
    uint32_t stream_id;
    uint64_t interval_ns; /* at which it is asked */
    uint64_t again_ns;    /* when its link came up */
    struct service_check *check;
    uint16_t check_port; /* of check; 0: there is none */
    enum selector_full_size full_size;
    uint32_t asked_bytes;     /* payload of the extra probe under way; 0: none */
    uint64_t full_size_at_ns; /* when its answer came */
    enum health_state noted;  /* what the log has been told */
};

/* Accesses and paths; the arrays of one kind have the same indices. Rebuilt as a whole, see table.c. */
struct agent_table {
    struct agent_access *accesses;
    struct selector_access *selector_accesses;
    uint32_t access_count;
    struct agent_path *paths;
    struct selector_path *selector_paths;
    uint32_t path_count;
    uint32_t *by_stream; /* the path of a stream's id, at id & stream_mask: a guess, to be verified */
    uint32_t stream_mask;
};

/* Telling the cluster where this host enters. */
struct agent_refresh {
    bool wanted; /* the access in use has not been told (since the last switch, start or new uuid) */
    bool under_way;
    char uuid[SESSION_UUID_SIZE]; /* of the request under way, or the last one that succeeded */
    uint64_t retry_ns;
    uint64_t backoff_ns;
    session_answer_fn *unsent; /* whom to tell, in the next step, that it could not even be sent; NULL */
    int unsent_error;
    bool failed; /* the last one did */
    char message[160];
};

/* A switch for which nobody is waiting: probe, refresh, replace, refresh. */
struct agent_planned {
    enum { PLANNED_NONE, PLANNED_PROBE, PLANNED_REFRESH, PLANNED_WAIT } stage;
    uint32_t to;
    enum selector_reason reason;
    uint64_t begun_ns;
    uint64_t retry_ns; /* of PLANNED_WAIT */
    unsigned tries;
    bool told; /* a refresh of the new access was sent: going on elsewhere must take it back */
};

/* Files of the state directory. */
enum agent_kept { KEPT_LOCK, KEPT_STATE, KEPT_LIST, KEPT_JOURNAL, KEPT_COUNT };

/* A move of the route that the keeper was asked for and has not answered yet. */
struct agent_switching {
    struct address to; /* empty: none is under way */
    enum selector_reason reason;
};

/* The TCP connections to the service after a move of the route. */
struct agent_connections {
    uint64_t look_ns, looks_end_ns; /* next look for those that stand still; 0: none */
    bool unsupported;               /* the kernel cannot destroy them, and the log says so */
};

/* What the service manager has been told. */
struct agent_manager {
    bool ready;
    bool stood;           /* the route has led to a next hop that answered, at some time */
    uint64_t ready_by_ns; /* the wait for it ends */
    char status[320];
    uint64_t watchdog_interval_ns, watchdog_ns;
};

struct agent {
    const struct agent_options *options;
    struct config *config;
    struct event_base *base;
    struct event *timer, *stream_event, *fib_event, *terminate, *interrupt, *hangup;
    struct fib *fib;
    struct probe_stream *stream;
    struct session_provider *provider;
    struct session_liveness *liveness;
    struct control *control;
    struct journal *journal; /* NULL: none is written */
    struct lock lock;
    struct reserve reserve;
    int kept_error[KEPT_COUNT]; /* 0: that file is kept */
    bool step_wanted;
    bool reload_wanted; /* by SIGHUP */
    uint64_t reload_ns; /* not before: many signals within a moment are one reload */
    int probe_error;    /* the last one, not to be logged again and again */
    uint64_t now_ns;    /* read once per step */
    uint64_t started_ns;

    struct host_identity identity;
    struct agent_table table;
    struct selector selector;
    struct health_settings health_settings;
    struct selector_decision decision;

    uint32_t current; /* index of the path in use; SELECTOR_NO_PATH: no route */
    uint64_t since_realtime_ns;
    enum { ORIGIN_NONE, ORIGIN_ADOPTED, ORIGIN_SWITCHED } origin;
    enum selector_reason switch_reason;
    struct keeper *keeper;
    struct agent_switching switching;
    bool egress_wanted; /* the host changed: how the paths are entered is to be found out again */
    uint64_t egress_ns; /* not before: the kernel did not say */
    uint64_t misses;    /* of the path in use when the keeper was last asked to look */
    uint64_t switches;
    struct agent_connections connections;

    struct agent_refresh refresh;
    struct agent_planned planned;
    char pin[CONFIG_NAME_SIZE];
    bool pin_hard, pin_now, failback_now;
    char (*drained)[CONFIG_NAME_SIZE];
    size_t drained_count;

    bool list_arrived;
    bool poll_under_way;
    uint64_t poll_ns;       /* next */
    unsigned poll_turn;     /* rotates who is asked first */
    uint32_t answered_last; /* access that the last list came from */
    char poll_message[160]; /* the last failure; empty: none */
    bool poll_failed;
    bool lists_overdue; /* no fresh list for so long that it was said */
    uint64_t heartbeat_ns;
    bool heartbeat_failed;
    struct agent_manager manager;
    uint64_t save_ns;
    bool save_wanted;
    struct admission admission;
    uint64_t weed_ns;               /* next look for accesses that are not worth their place */
    struct session_list remembered; /* the last list of before this start: addresses only, never liveness */
    uint64_t saved_list_digest;     /* of the addresses in the list on disk; 0: not written by us yet */
};

/* agent.c */
void agent_soon(struct agent *agent); /* a step from the event loop, not from the caller's stack */
void agent_save(struct agent *agent);
const char *agent_path_access_name(const struct agent *agent,
                                   uint32_t path); /* "foreign" for an adopted next hop */
void agent_fill_input(struct agent *agent, struct selector_input *input);

void agent_step(struct agent *agent);

/* reload.c */
struct health_settings agent_health_settings(const struct config *config);
struct session_liveness_settings agent_liveness_settings(const struct config *config);
int agent_stream_open(const struct config *config, struct probe_stream **out, char *message,
                      size_t size_bytes);
int agent_watch_stream(struct agent *agent);
void agent_warn_config(const struct agent *agent); /* at the start and at each reload */
void agent_reload(struct agent *agent); /* SIGHUP: the new configuration, or the old one and a line why */

/* table.c */
int agent_table_build(struct agent *agent, const struct config *config, struct agent_table *table);
void agent_table_clear(struct agent *agent, struct agent_table *table);
void agent_table_install(struct agent *agent, struct agent_table *table); /* takes what *table holds */
/* How each path is entered now, when that may have changed. */
void agent_table_egress(struct agent *agent);
/* Why a path with an egress_error cannot be entered, in words. May use buffer. */
const char *agent_egress_text(const struct agent_path *path, char *buffer, size_t size_bytes);
void agent_table_evidence(struct agent *agent); /* writes what is known into the selector's arrays */
uint32_t agent_table_find(const struct agent_table *table, const struct address *address);
uint32_t agent_table_of_stream(const struct agent_table *table, uint32_t stream_id);
int agent_table_add_foreign(struct agent *agent, const struct address *next_hop,
                            uint32_t ifindex);   /* and uses it */
void agent_table_intervals(struct agent *agent); /* how often each path is asked from now on */
/* Do accesses also come from session lists? With bootstrap, or when none is configured (provider "file"). */
bool agent_lists_make_accesses(const struct config *config);
/*
 * Lets in whom lists have named and admission.h allows, and drops those that were made up: whether there is
 * anything that a new table would change.
 */
bool agent_table_admit(struct agent *agent);

/* route.c */
void agent_route_step(struct agent *agent); /* the keeper looks, and what it tells is taken in */
void agent_route_want(struct agent *agent, uint32_t path); /* leads to one of the two below */
bool agent_route_note(struct agent *agent, const struct fib_event *event); /* false: it concerns nobody */
void agent_route_warn(struct agent *agent); /* of settings of the kernel that work against us */

/* switch.c */
void agent_apply(struct agent *agent); /* carries out agent->decision */
void agent_switched(struct agent *agent, const struct keeper_event *event);       /* KEEPER_STANDS */
void agent_switch_refused(struct agent *agent, const struct keeper_event *event); /* KEEPER_REFUSED */
void agent_planned_probe_result(struct agent *agent, uint32_t path, uint32_t payload_bytes, bool passed);
uint64_t agent_switch_deadline_ns(const struct agent *agent);

/* session.c */
void agent_session_step(struct agent *agent); /* polls, refreshes and heartbeats that are due */
bool agent_has_provider(const struct agent *agent);
void agent_session_poll_soon(struct agent *agent, uint64_t at_ns);
/* Tells the cluster of this path's access; done is called later, from the loop, whatever happens. */
void agent_session_refresh(struct agent *agent, uint32_t path, session_answer_fn *done);
void agent_session_cancel_refresh(struct agent *agent); /* its answer never comes */
void agent_session_heartbeat_soon(struct agent *agent);
uint64_t agent_session_deadline_ns(const struct agent *agent);
/* Since the last fresh list, or the start. */
uint64_t agent_session_list_age_ns(const struct agent *agent);

/* kept.c: 0, or the negative errno with which a file could not be written */
void agent_note_kept(struct agent *agent, enum agent_kept what, int error);
const char *agent_kept_name(enum agent_kept what);
bool agent_all_kept(const struct agent *agent);

/* connections.c */
void agent_connections_moved(struct agent *agent,
                             bool first); /* the route moved, or stands for the first time */
void agent_connections_step(struct agent *agent);
uint64_t agent_connections_deadline_ns(const struct agent *agent);

/* manager.c */
void agent_manager_start(struct agent *agent);
void agent_manager_step(struct agent *agent); /* tells what is new, in time for the watchdog */
uint64_t agent_manager_deadline_ns(const struct agent *agent);
void agent_manager_reload(struct agent *agent); /* agent_reload(), announced */

/* recorder.c */
int agent_journal_open(struct agent *agent);
void agent_journal_step(struct agent *agent, const struct selector_input *input); /* after each decision */

/* status.c */
struct cJSON;
struct cJSON *agent_status(struct agent *agent);          /* reroute.status/1; owned by the caller */
const char *agent_reason_text(const struct agent *agent); /* why the route is as it is, a word */
/* Why a path is not eligible, in words, by the evidence of the last step; "" for an eligible one. May use
 * buffer. */
const char *agent_path_why(struct agent *agent, uint32_t path, char *buffer, size_t size_bytes);

/* command.c: what the control socket may do. 0, or a negative errno with one line in message. */
int agent_pin(struct agent *agent, const char *target, bool hard, char *message, size_t size_bytes);
int agent_unpin(struct agent *agent, char *message, size_t size_bytes);
int agent_drain(struct agent *agent, const char *access, bool drain, char *message, size_t size_bytes);
int agent_failback(struct agent *agent, char *message, size_t size_bytes);
bool agent_is_pinned(const struct agent *agent, uint32_t path);
bool agent_is_drained(const struct agent *agent, const char *access);

/* control.c */
int control_open(struct control **out, struct agent *agent, const char *path, const char *metrics_listen,
                 char *message, size_t size_bytes);
struct control *control_close(struct control *control);
