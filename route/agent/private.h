/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent as a whole: what its parts are, for the files that wire them together (agent.c, reload.c, switch.c,
 * route.c, install.c) or show them (status.c, metrics). A part that has a header of its own includes this never.
 */
#pragma once

#include <event2/event.h>

#include "probe/spare_fds.h"
#include "probe/stream.h"
#include "route/agent/connections.h"
#include "route/agent/disk.h"
#include "route/agent/host_identity.h"
#include "route/agent/kept.h"
#include "route/agent/lists.h"
#include "route/agent/lock.h"
#include "route/agent/manager.h"
#include "route/agent/news.h"
#include "route/agent/observing.h"
#include "route/agent/orders.h"
#include "route/agent/provider_settings.h"
#include "route/agent/situation.h"
#include "route/agent/state.h"
#include "route/agent/tcp_watch.h"
#include "route/agent/telling.h"
#include "route/agent/tuning.h"
#include "route/decide/planned.h"
#include "route/fib/fib.h"
#include "route/fib/mtus.h"
#include "route/journal/journal.h"
#include "route/keeper/guard.h"
#include "route/log.h"

/* Of the loop's events, most urgent first; an event without a priority gets the one in the middle. */
enum { AGENT_PRIORITY_CLIENTS = 2, AGENT_PRIORITIES = 3 };

struct control;

struct agent_loop {
    struct event_base *base;
    struct event *timer, *stream_event, *fib_event, *guard_event, *disk_event, *notifier_event, *terminate,
        *interrupt, *hangup;
    bool step_wanted;
    bool reload_wanted; /* by SIGHUP */
    uint64_t reload_ns; /* not before: many signals within a moment are one reload */
};

/* What is kept outside of this process. */
struct agent_files {
    struct disk *disk;       /* who writes them; NULL: a dry run, nothing is written */
    struct journal *journal; /* NULL: none is written */
    struct lock lock;
    struct spare_fds spare; /* descriptors that a switch needs */
    struct kept kept;
    struct state_death *deaths; /* that were loaded at the start */
    size_t death_count;
    bool save_wanted;
    uint64_t save_ns;
};

/* What the host's own connections say while pings say otherwise. */
enum agent_witnessed { WITNESSED_NOTHING, WITNESSED_PROGRESS, WITNESSED_STANDSTILL, WITNESSED_HELD_UP };

/* One service, and its route. */
struct agent_service {
    struct selector_decision decision;
    uint32_t current; /* index of the path in use; SELECTOR_NO_PATH: no route */
    uint64_t since_realtime_ns;
    enum { ORIGIN_NONE, ORIGIN_ADOPTED, ORIGIN_SWITCHED } origin;
    enum selector_reason switch_reason;
    uint64_t switches[SELECTOR_REASONS]; /* by their reason */
    struct guard *guard;                 /* a wish's tag is its reason */
    /* A run that ended did not know whether a route through it stands, and none has stood since; empty: it did. */
    struct address unsettled;
    bool resume_wanted; /* it is to be put when the agent acts */
    uint64_t misses;    /* of the path in use when the guard was last asked to look */
    struct planned planned;
    enum planned_answer probe_answer, tell_answer; /* that came since the last step */
    struct connections connections;
    struct tcp_watch watch;
    enum agent_witnessed witnessed; /* what the log has */
};

/* What this host sees of the cluster: the same for all services. */
struct agent_host {
    struct host_identity identity;
    struct agent_table table;
    bool table_wanted; /* lists let in others: it is to be built anew */
    struct probe_stream *stream;
    int probe_error;       /* the last one, not to be logged again and again */
    uint32_t lacking_told; /* a bit for each thing that this host lacks and the log has */
    struct health_settings health_settings;
    uint64_t pair_ns;       /* not before: another pair could not be put in force */
    bool bootstrap_on_link; /* an interface leads to one of bootstrap */
    bool egress_wanted;     /* the host changed: how the paths are entered is to be found out again */
    uint64_t egress_ns;     /* not before: the kernel did not say */
    uint64_t reread_ns; /* behind a slow FIB, which has no events: when links and addresses are read again */
};

/* Whether the agent only observes. */
struct agent_observing {
    struct observing state, told; /* told: what the guard and the log have */
    struct presence *presence;    /* who looks for the file; NULL: there is none to look for */
    struct event *event;
    uint64_t since_realtime_ns; /* since when the file is there, if it is */
    uint64_t error_realtime_ns; /* since when that is not known, or is known again */
};

struct agent {
    const struct agent_options *options;
    struct config *config;
    uint64_t now_ns; /* read once per step */
    uint64_t started_ns;
    struct agent_loop loop;
    struct fib *fib;       /* what is asked about this host */
    struct fib *route_fib; /* the guard's: the same, but for a slow one, which its thread has for itself */
    struct fib_mtus mtus;  /* that both share */
    struct session_provider *provider;
    struct control *control;
    struct agent_host host;
    struct agent_service service;
    struct orders orders;
    struct lists lists;
    struct telling telling;
    struct manager manager;
    struct tuning tuning;
    struct agent_files files;
    struct agent_news news;
    struct agent_observing observing;
};

/* core.c */
struct situation agent_situation(const struct agent *agent);
struct connections_host agent_connections_host(struct agent *agent);
struct tcp_watch_host agent_tcp_watch_host(const struct agent *agent);
void agent_soon(struct agent *agent); /* a step from the event loop, not from the caller's stack */
void agent_wake(void *context);       /* the same, as a callback of a part */
const char *agent_reason_text(const struct agent *agent); /* why the route is as it is, a word */

/* saved.c */
void agent_load(struct agent *agent); /* at the start */
void agent_save(struct agent *agent);
void agent_note_kept(struct agent *agent,
                     uint64_t now_ns);               /* what has become of what was handed to the disk */
bool agent_saves_by_time(const struct agent *agent); /* also without news, every few seconds */

/* step.c */
void agent_step(struct agent *agent);

/* tune.c */
void agent_tune_load(
    struct agent *agent); /* at the start; puts the pair that is in force into the configuration */
void agent_tune_save(struct agent *agent);
void agent_tune_observe(struct agent *agent, uint32_t path, const struct probe_observation *observation);
void agent_tune_step(struct agent *agent);
/* What follows from a new configuration, into which the pair is put that will be in force with it. */
void agent_tune_config(const struct agent *agent, struct config *config, struct tuning_settings *settings);

/* reload.c */
struct health_settings agent_health_settings(const struct config *config);
int agent_stream_open(const struct config *config, struct probe_stream **out, char *message,
                      size_t size_bytes);
int agent_watch_stream(struct agent *agent);
void agent_stream_install(struct agent *agent, struct probe_stream *stream); /* in place of the old one */
void agent_warn_config(const struct agent *agent); /* at the start and at each reload */
/* As the configuration says; a file is opened anew, whoever has moved it away. A dry run leaves files to the agent. */
void agent_open_log(const struct agent *agent);
void agent_reload(struct agent *agent); /* SIGHUP: the new configuration, or the old one and a line why */

/* install.c */
int agent_build_table(struct agent *agent, const struct config *config, struct agent_table *table);
void agent_table_install(struct agent *agent, struct agent_table *table); /* takes what *table holds */
/* Adds a next hop that is no configured path, and makes it the one in use. 0 or -ENOMEM. */
int agent_use_foreign(struct agent *agent, const struct address *next_hop, uint32_t ifindex);

/* egress.c */
void agent_egress_step(struct agent *agent); /* how each path is entered now, when that may have changed */
/* Why a path with an egress_error cannot be entered, in words. May use buffer. */
const char *agent_egress_text(const struct agent_path *path, char *buffer, size_t size_bytes);

/* evidence.c */
void agent_evidence_step(struct agent *agent); /* writes what is known into the selector's arrays */
void agent_fill_input(const struct agent *agent, struct selector_input *input);
void agent_intervals_step(struct agent *agent); /* how often each path is asked from now on */
/* How often its service is checked: as often as the path is asked, once a configured select-timeout at most. */
uint64_t agent_service_interval_ns(const struct agent *agent, const struct agent_path *path);

/* route.c */
void agent_route_step(struct agent *agent); /* the guard looks, and what it tells is taken in */
/* Moves the route, or says why not. */
void agent_route_want(struct agent *agent, uint32_t path, enum selector_reason reason);
bool agent_route_note(struct agent *agent, const struct fib_event *event); /* false: it concerns nobody */
void agent_route_warn(struct agent *agent); /* of settings of the kernel that work against us */
void agent_route_end(struct agent *agent);  /* at the end: waits for a move that is under way */

/* switch.c */
void agent_apply(struct agent *agent); /* carries out the selector's decision */
void agent_planned_probe_result(struct agent *agent, uint32_t path, uint32_t payload_bytes, bool passed);
uint64_t agent_switch_deadline_ns(const struct agent *agent);

/* recorder.c */
int agent_journal_open(struct agent *agent);
void agent_journal_step(struct agent *agent, const struct selector_input *input); /* after each decision */

/* observe.c */
bool agent_acts(const struct agent *agent); /* false: it decides and says so, and touches nothing */
/* Begins to look for the file of this configuration. *out NULL: there is none. 0 or -ENOMEM. */
int agent_observe_open(const struct agent *agent, const struct config *config, struct presence **out);
int agent_observe_install(struct agent *agent,
                          struct presence *presence); /* in place of the old one; the same */
void agent_observe_close(struct agent *agent);
void agent_observe_step(struct agent *agent);
uint64_t agent_observe_deadline_ns(const struct agent *agent);

/* notice.c */
struct happening;
void agent_news(struct agent *agent, enum news news, const struct happening *happening); /* notes it */
void agent_notice_step(struct agent *agent); /* hands over what was noted, and tells the log of failures */

/* status.c */
struct cJSON;
struct cJSON *agent_status(const struct agent *agent); /* reroute.status/1; owned by the caller */
/* Its first members, up to `explanation`: who this is, where the route leads and why. */
void agent_status_head(const struct agent *agent, struct cJSON *root);
void agent_summary(const struct agent *agent, char *text, size_t size_bytes); /* what it does, a line */
const char *agent_explanation(const struct agent *agent); /* of the decision, as things are; static */
/* Why a path is down, in words. May use buffer. */
const char *agent_path_silence(const struct agent *agent, uint32_t path, char *buffer, size_t size_bytes);
/* Why a path is not eligible, in words, by the evidence of the last step; "" for an eligible one. May use
 * buffer. */
const char *agent_path_why(const struct agent *agent, uint32_t path, char *buffer, size_t size_bytes);

/* metrics.c */
struct evbuffer;
/* All that can be counted or measured, as Prometheus text (version 0.0.4). */
void agent_metrics(const struct agent *agent, struct evbuffer *out);
void agent_count_rtt(struct agent_rtts *rtts, uint64_t rtt_ns); /* a reply that took so long */

/*
 * command.c: what the control socket may do. 0, or a negative errno with one line in message. With 0 there may be
 * a line too, for a person: what to expect.
 */
int agent_pin(struct agent *agent, const char *target, bool hard, const struct terms *terms, char *message,
              size_t size_bytes);
int agent_unpin(struct agent *agent, char *message, size_t size_bytes);
int agent_drain(struct agent *agent, const char *access, const struct terms *terms, char *message,
                size_t size_bytes);
int agent_undrain(struct agent *agent, const char *access, char *message, size_t size_bytes);
int agent_failback(struct agent *agent, char *message, size_t size_bytes);
void agent_orders_step(struct agent *agent); /* ends orders whose time is over */
uint64_t agent_orders_deadline_ns(const struct agent *agent);
/* Is there a path to return to, and does it wait for nothing but time? */
bool agent_failback_helps(const struct agent *agent);

/* control.c */
int control_open(struct control **out, struct agent *agent, const char *path, const char *metrics_listen,
                 char *message, size_t size_bytes);
struct control *control_close(struct control *control);
