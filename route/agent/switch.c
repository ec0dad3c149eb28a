/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Switching: carrying out the selector's decisions.
 *
 * A failover replaces the route now and tells the cluster afterwards. A planned switch (failback, drain, pin)
 * has nobody waiting: the new path is probed once more, the cluster told, then the route replaced, then the
 * cluster told again. A planned switch is abandoned as soon as the selector no longer decides for it; if the
 * new access had been told by then, the access in use is told again, so that the cluster always knows the one
 * through which this host enters.
 */
#include "route/agent/private.h"

#define PLANNED_RETRY_NS     (1 * NS_PER_S)
#define PLANNED_RETRY_MAX_NS (10 * NS_PER_S)
#define PLANNED_PATIENCE_NS  (10 * NS_PER_S)
#define REFUSED_FOR_NS       (1 * NS_PER_S)

/* --- the switch itself --- */

static const char *previous_text(const struct agent *agent, char buffer[static ADDRESS_TEXT_SIZE])
{
    if (agent->current == SELECTOR_NO_PATH)
        return "none";
    return address_format(&agent->table.paths[agent->current].address, buffer);
}

static void note_switch(struct agent *agent, uint32_t to, enum selector_reason reason, int error)
{
    const struct agent_path *paths = agent->table.paths;

    journal_switch(agent->journal, agent->now_ns,
                   agent->current == SELECTOR_NO_PATH ? NULL : &paths[agent->current].address,
                   &paths[to].address, reason, error);
}

/* For how long a path has been silent, in ms; "never" when it has not answered since the agent began. */
static void silent_text(const struct agent *agent, uint32_t path, char buffer[static 24])
{
    uint64_t last_reply_ns = agent->table.paths[path].health.last_reply_ns;

    if (last_reply_ns)
        snprintf(buffer, 24, "%.1f", (double)sub_sat_u64(agent->now_ns, last_reply_ns) / NS_PER_MS);
    else
        snprintf(buffer, 24, "never");
}

void agent_switch_refused(struct agent *agent, const struct keeper_event *event)
{
    uint32_t to = agent_table_find(&agent->table, &event->hop);
    enum selector_reason reason = agent->switching.reason;

    agent->switching = (struct agent_switching){0};
    log_event(LOG_LEVEL_ERROR, "switch-failed", "to=%s reason=%s error=%s", ADDRESS_TEXT(&event->hop),
              selector_reason_text(reason), LOG_QUOTE(event->why));
    agent_soon(agent);
    if (to == SELECTOR_NO_PATH)
        return;
    agent->table.paths[to].refused_until_ns = agent->now_ns + REFUSED_FOR_NS;
    note_switch(agent, to, reason, event->error);
}

static void log_switch(const struct agent *agent, uint32_t to, enum selector_reason reason,
                       const struct keeper_event *event)
{
    char silent[24] = "0.0", from[ADDRESS_TEXT_SIZE];

    if (agent->current != SELECTOR_NO_PATH)
        silent_text(agent, agent->current, silent);
    log_event(LOG_LEVEL_INFO, "switch",
              "from=%s to=%s access=%s tier=%s reason=%s silent_ms=%s replace_us=%.0f why=%s",
              previous_text(agent, from), ADDRESS_TEXT(&event->hop), agent_path_access_name(agent, to),
              selector_tier_text(agent->table.selector_paths[to].tier), selector_reason_text(reason), silent,
              (double)event->took_ns / NS_PER_US, LOG_QUOTE(selector_reason_sentence(reason)));
}

void agent_switched(struct agent *agent, const struct keeper_event *event)
{
    uint32_t to = agent_table_find(&agent->table, &event->hop);
    bool first = agent->current == SELECTOR_NO_PATH;

    enum selector_reason reason = agent->switching.reason;

    agent->switching = (struct agent_switching){0};
    if (to == SELECTOR_NO_PATH)
        return; /* it left the table while the keeper worked: the next look finds the route elsewhere */
    log_switch(agent, to, reason, event);
    note_switch(agent, to, reason, 0);
    agent->current = to;
    agent->origin = ORIGIN_SWITCHED;
    agent->switch_reason = reason;
    agent->since_realtime_ns = clock_now_ns(CLOCK_REALTIME);
    agent->switches++;
    agent->misses = 0;
    agent->planned = (struct agent_planned){0};
    agent->failback_now = false;
    if (agent_is_pinned(agent, to))
        agent->pin_now = false;
    agent_connections_moved(agent, first);
    agent->refresh.wanted = true;
    agent->refresh.retry_ns = 0;
    agent->refresh.backoff_ns = 0;
    agent->save_wanted = true;
    agent_session_heartbeat_soon(agent);
    agent_soon(agent); /* decide again from where we stand now */
}

/* One move at a time: the keeper answers each. In a dry run the decision has been logged, and that is all. */
static void switch_to(struct agent *agent, uint32_t to, enum selector_reason reason)
{
    if (agent->options->dry_run || address_is_set(&agent->switching.to))
        return;
    agent->switching = (struct agent_switching){.to = agent->table.paths[to].address, .reason = reason};
    agent_route_want(agent, to);
}

/* --- planned switches --- */

/* The ICMP payload that fills the interface's MTU. */
static uint32_t full_size_payload(const struct agent_path *path)
{
    uint32_t header = path->address.family == AF_INET6 ? 48 : 28; /* RFC 8200 40, RFC 791 20, and 8 of ICMP */
    uint32_t payload = path->mtu_bytes > header ? path->mtu_bytes - header : 0;

    if (payload > PROBE_PAYLOAD_MAX_BYTES)
        return PROBE_PAYLOAD_MAX_BYTES;
    return payload < PROBE_PAYLOAD_MIN_BYTES ? PROBE_PAYLOAD_MIN_BYTES : payload;
}

static void ask_probe(struct agent *agent, uint32_t index, uint32_t payload_bytes)
{
    struct agent_path *path = &agent->table.paths[index];

    if (!path->asked_bytes && path->streamed &&
        probe_stream_request(agent->stream, path->stream_id, payload_bytes) == 0)
        path->asked_bytes = payload_bytes;
}

/* Failback waits for the cluster to know; for the others a person waits, but not for ever. */
static bool may_go_untold(const struct agent *agent)
{
    return agent->planned.reason != SWITCH_FAILBACK && agent->planned.reason != SWITCH_FAILBACK_NOW &&
           agent->now_ns >= agent->planned.begun_ns + PLANNED_PATIENCE_NS;
}

static void planned_wait(struct agent *agent)
{
    agent->planned.stage = PLANNED_WAIT;
    agent->planned.retry_ns =
        agent->now_ns + min_u64(PLANNED_RETRY_NS << agent->planned.tries, PLANNED_RETRY_MAX_NS);
    if (agent->planned.tries < 8)
        agent->planned.tries++;
}

static void on_planned_refresh(void *context, const struct session_answer *answer)
{
    struct agent *agent = context;

    if (agent->planned.stage != PLANNED_REFRESH)
        return;
    agent->now_ns = probe_stream_now_ns(agent->stream);
    if (answer->error == 0) {
        switch_to(agent, agent->planned.to, agent->planned.reason);
        return;
    }
    if (!agent->refresh.failed)
        log_event(LOG_LEVEL_WARN, "refresh-failed", "access=%s next=retry error=%s",
                  agent_path_access_name(agent, agent->planned.to), LOG_QUOTE(answer->message));
    snprintf(agent->refresh.message, sizeof(agent->refresh.message), "%s", answer->message);
    agent->refresh.failed = true;
    if (answer->error == -ENOENT)
        agent_session_poll_soon(agent, agent->now_ns);
    planned_wait(agent);
    agent_soon(agent);
}

/* The new path has answered once more: tell the cluster, if it can be told. */
static void planned_refresh(struct agent *agent)
{
    uint32_t access = agent->table.selector_paths[agent->planned.to].access;

    if (strcmp(agent->config->session.provider, "rest") != 0 || !agent->table.accesses[access].view.uuid[0]) {
        switch_to(agent, agent->planned.to, agent->planned.reason);
        return;
    }
    agent->planned.stage = PLANNED_REFRESH;
    agent->planned.told = true;
    agent->refresh.under_way = false; /* there is one at a time: ours replaces it, its answer never comes */
    agent_session_refresh(agent, agent->planned.to, on_planned_refresh);
}

void agent_planned_probe_result(struct agent *agent, uint32_t index, uint32_t payload_bytes, bool passed)
{
    struct agent_path *path = &agent->table.paths[index];

    if (payload_bytes != path->asked_bytes)
        return; /* it was asked for proof of life */
    path->asked_bytes = 0;
    if (agent->planned.stage != PLANNED_PROBE || agent->planned.to != index) {
        path->full_size = passed ? FULL_SIZE_PASSED : FULL_SIZE_LOST;
        path->full_size_at_ns = agent->now_ns;
        if (!passed)
            log_event(LOG_LEVEL_WARN, "full-size-probe-lost", "path=%s bytes=%u",
                      ADDRESS_TEXT(&path->address), path->mtu_bytes);
    } else if (passed) {
        planned_refresh(agent);
    } else {
        log_event(LOG_LEVEL_WARN, "planned-switch-waits", "to=%s reason=\"the last probe got no reply\"",
                  ADDRESS_TEXT(&path->address));
        path->full_size = FULL_SIZE_UNTESTED;
        planned_wait(agent);
    }
}

static void planned_begin(struct agent *agent, uint32_t to, enum selector_reason reason)
{
    bool failback = reason == SWITCH_FAILBACK || reason == SWITCH_FAILBACK_NOW;

    if (agent->planned.stage == PLANNED_NONE)
        agent->planned = (struct agent_planned){.to = to, .reason = reason, .begun_ns = agent->now_ns};
    agent->planned.stage = PLANNED_PROBE;
    ask_probe(agent, to,
              failback ? full_size_payload(&agent->table.paths[to]) : agent->config->probe.payload_bytes);
}

static void planned_abandon(struct agent *agent)
{
    if (agent->planned.stage == PLANNED_NONE)
        return;
    log_event(LOG_LEVEL_INFO, "planned-switch-abandoned", "to=%s reason=%s",
              ADDRESS_TEXT(&agent->table.paths[agent->planned.to].address),
              selector_reason_text(agent->decision.reason));
    if (agent->planned.told) {
        agent_session_cancel_refresh(agent);
        agent->refresh.under_way = false;
        agent->refresh.wanted = true;
        agent->refresh.retry_ns = 0;
    }
    agent->planned = (struct agent_planned){0};
}

static void planned_step(struct agent *agent, uint32_t to, enum selector_reason reason)
{
    if (agent->options->dry_run)
        return;
    if (agent->planned.stage != PLANNED_NONE && (agent->planned.to != to || agent->planned.reason != reason))
        planned_abandon(agent);
    if (agent->planned.stage != PLANNED_NONE && may_go_untold(agent)) {
        log_event(LOG_LEVEL_WARN, "planned-switch-untold", "to=%s reason=%s",
                  ADDRESS_TEXT(&agent->table.paths[to].address), selector_reason_text(reason));
        agent_session_cancel_refresh(agent);
        agent->refresh.under_way = false;
        switch_to(agent, to, reason);
        return;
    }
    if (agent->planned.stage == PLANNED_NONE ||
        (agent->planned.stage == PLANNED_PROBE && !agent->table.paths[to].asked_bytes) ||
        (agent->planned.stage == PLANNED_WAIT && agent->now_ns >= agent->planned.retry_ns))
        planned_begin(agent, to, reason);
}

void agent_apply(struct agent *agent)
{
    const struct selector_decision *decision = &agent->decision;

    if (decision->want_full_size != SELECTOR_NO_PATH)
        ask_probe(agent, decision->want_full_size,
                  full_size_payload(&agent->table.paths[decision->want_full_size]));
    if (decision->switch_now && decision->planned) {
        planned_step(agent, decision->to, decision->reason);
        return;
    }
    planned_abandon(agent);
    if (decision->switch_now)
        switch_to(agent, decision->to, decision->reason);
}

uint64_t agent_switch_deadline_ns(const struct agent *agent)
{
    uint64_t deadline_ns = keeper_deadline_ns(agent->keeper);

    if (agent->egress_wanted)
        deadline_ns = min_u64(deadline_ns, agent->egress_ns);
    if (agent->planned.stage == PLANNED_WAIT)
        deadline_ns = min_u64(deadline_ns, agent->planned.retry_ns);
    if (agent->planned.stage != PLANNED_NONE && !may_go_untold(agent) &&
        agent->planned.reason != SWITCH_FAILBACK && agent->planned.reason != SWITCH_FAILBACK_NOW)
        deadline_ns = min_u64(deadline_ns, agent->planned.begun_ns + PLANNED_PATIENCE_NS);
    for (uint32_t i = 0; i < agent->table.path_count; i++)
        if (agent->table.paths[i].refused_until_ns > agent->now_ns)
            deadline_ns = min_u64(deadline_ns, agent->table.paths[i].refused_until_ns);
    return deadline_ns;
}
