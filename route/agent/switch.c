/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Switching: carrying out the selector's decisions.
 *
 * A failover replaces the route now and tells the cluster afterwards. A planned switch has stages, see
 * route/decide/planned.h.
 */
#include "route/agent/private.h"

#define REFUSED_FOR_NS (1 * NS_PER_S)

/* --- the switch itself --- */

static const char *previous_text(const struct agent *agent, char buffer[static ADDRESS_TEXT_SIZE])
{
    if (agent->service.current == SELECTOR_NO_PATH)
        return "none";
    return address_format(&agent->table.paths[agent->service.current].address, buffer);
}

static void note_switch(struct agent *agent, uint32_t to, enum selector_reason reason, int error)
{
    const struct agent_path *paths = agent->table.paths;

    journal_switch(agent->files.journal, agent->now_ns,
                   agent->service.current == SELECTOR_NO_PATH ? NULL : &paths[agent->service.current].address,
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
    enum selector_reason reason = agent->service.switching.reason;

    agent->service.switching = (struct agent_switching){0};
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

    if (agent->service.current != SELECTOR_NO_PATH)
        silent_text(agent, agent->service.current, silent);
    log_event(LOG_LEVEL_INFO, "switch",
              "from=%s to=%s access=%s tier=%s reason=%s silent_ms=%s replace_us=%.0f why=%s",
              previous_text(agent, from), ADDRESS_TEXT(&event->hop),
              agent_table_access_name(&agent->table, to),
              selector_tier_text(agent->table.selector_paths[to].tier), selector_reason_text(reason), silent,
              (double)event->took_ns / NS_PER_US, LOG_QUOTE(selector_reason_sentence(reason)));
}

void agent_switched(struct agent *agent, const struct keeper_event *event)
{
    uint32_t to = agent_table_find(&agent->table, &event->hop);
    bool first = agent->service.current == SELECTOR_NO_PATH;

    enum selector_reason reason = agent->service.switching.reason;

    agent->service.switching = (struct agent_switching){0};
    if (to == SELECTOR_NO_PATH)
        return; /* it left the table while the keeper worked: the next look finds the route elsewhere */
    log_switch(agent, to, reason, event);
    note_switch(agent, to, reason, 0);
    agent->service.current = to;
    agent->service.origin = ORIGIN_SWITCHED;
    agent->service.switch_reason = reason;
    agent->service.since_realtime_ns = clock_now_ns(CLOCK_REALTIME);
    agent->service.switches++;
    agent->service.misses = 0;
    agent->service.planned = (struct planned){0};
    agent->orders.failback_now = false;
    if (orders_pins(&agent->orders, &agent->table, to))
        agent->orders.pin_now = false;
    connections_moved(&agent->service.connections, agent->fib, &agent->files.reserve, &agent->config->service,
                      first, agent->config->route.reset_connections, agent->now_ns);
    telling_again(&agent->telling);
    agent->files.save_wanted = true;
    telling_heartbeat_soon(&agent->telling);
    agent_soon(agent); /* decide again from where we stand now */
}

/* One move at a time: the keeper answers each. In a dry run the decision has been logged, and that is all. */
static void switch_to(struct agent *agent, uint32_t to, enum selector_reason reason)
{
    if (agent->options->dry_run || address_is_set(&agent->service.switching.to))
        return;
    agent->service.switching =
        (struct agent_switching){.to = agent->table.paths[to].address, .reason = reason};
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

void agent_planned_probe_result(struct agent *agent, uint32_t index, uint32_t payload_bytes, bool passed)
{
    struct agent_path *path = &agent->table.paths[index];

    if (payload_bytes != path->asked_bytes)
        return; /* it was asked for proof of life */
    path->asked_bytes = 0;
    if (agent->service.planned.stage == PLANNED_PROBE && agent->service.planned.to == index) {
        agent->service.probe_answer = passed ? PLANNED_YES : PLANNED_NO;
        return;
    }
    path->full_size = passed ? FULL_SIZE_PASSED : FULL_SIZE_LOST;
    path->full_size_at_ns = agent->now_ns;
    if (!passed)
        log_event(LOG_LEVEL_WARN, "full-size-probe-lost", "path=%s bytes=%u", ADDRESS_TEXT(&path->address),
                  path->mtu_bytes);
}

static bool is_failback(enum selector_reason reason)
{
    return reason == SWITCH_FAILBACK || reason == SWITCH_FAILBACK_NOW;
}

static void probe_planned(struct agent *agent)
{
    uint32_t to = agent->service.planned.to;

    ask_probe(agent, to,
              is_failback(agent->service.planned.reason) ? full_size_payload(&agent->table.paths[to])
                                                         : agent->config->probe.payload_bytes);
}

static void log_planned(const struct agent *agent, const struct planned_effects *effects)
{
    const struct agent_path *paths = agent->table.paths;

    if (effects->abandoned)
        log_event(LOG_LEVEL_INFO, "planned-switch-abandoned", "to=%s reason=%s",
                  ADDRESS_TEXT(&paths[effects->abandoned_to].address),
                  selector_reason_text(agent->service.decision.reason));
    if (effects->probe_lost)
        log_event(LOG_LEVEL_WARN, "planned-switch-waits", "to=%s reason=\"the last probe got no reply\"",
                  ADDRESS_TEXT(&paths[effects->to].address));
    if (effects->untold)
        log_event(LOG_LEVEL_WARN, "planned-switch-untold", "to=%s reason=%s",
                  ADDRESS_TEXT(&paths[effects->to].address),
                  selector_reason_text(agent->service.planned.reason));
}

/* To a failback its probe, which is of full size, is evidence. */
static void planned_probe_lost(struct agent *agent, uint32_t to)
{
    struct agent_path *path = &agent->table.paths[to];

    path->full_size = is_failback(agent->service.decision.reason) ? FULL_SIZE_LOST : FULL_SIZE_UNTESTED;
    path->full_size_at_ns = agent->now_ns;
}

static struct planned_input planned_input(const struct agent *agent)
{
    const struct selector_decision *decision = &agent->service.decision;
    const struct situation now = agent_situation(agent);
    uint32_t to = decision->to;

    if (agent->options->dry_run || !decision->switch_now || !decision->planned)
        return (struct planned_input){.now_ns = agent->now_ns};
    return (struct planned_input){
        .now_ns = agent->now_ns,
        .wanted = true,
        .to = to,
        .reason = decision->reason,
        .can_tell = telling_is_possible(&now, to),
        .asked = agent->table.paths[to].asked_bytes != 0,
        .moving = address_is_set(&agent->service.switching.to),
        .probe = agent->service.probe_answer,
        .tell = agent->service.tell_answer,
    };
}

static void plan(struct agent *agent)
{
    const struct planned_input input = planned_input(agent);
    const struct situation now = agent_situation(agent);
    struct planned_effects effects;

    agent->service.probe_answer = agent->service.tell_answer = PLANNED_NO_ANSWER;
    planned_step(&agent->service.planned, &input, &effects);
    log_planned(agent, &effects);
    if (effects.probe_lost)
        planned_probe_lost(agent, effects.to);
    if (effects.untold || effects.tell_current)
        telling_cancel(&agent->telling, agent->provider);
    if (effects.tell_current)
        telling_again(&agent->telling);
    if (effects.act == PLANNED_DO_PROBE)
        probe_planned(agent);
    if (effects.act == PLANNED_DO_TELL)
        telling_planned(&agent->telling, agent->provider, &now, agent->service.planned.to);
    if (effects.act == PLANNED_DO_MOVE)
        switch_to(agent, agent->service.planned.to, agent->service.planned.reason);
}

void agent_apply(struct agent *agent)
{
    const struct selector_decision *decision = &agent->service.decision;

    if (decision->want_full_size != SELECTOR_NO_PATH)
        ask_probe(agent, decision->want_full_size,
                  full_size_payload(&agent->table.paths[decision->want_full_size]));
    plan(agent);
    if (decision->switch_now && !decision->planned)
        switch_to(agent, decision->to, decision->reason);
}

uint64_t agent_switch_deadline_ns(const struct agent *agent)
{
    uint64_t deadline_ns =
        min_u64(keeper_deadline_ns(agent->service.keeper), planned_deadline_ns(&agent->service.planned));

    if (agent->egress_wanted)
        deadline_ns = min_u64(deadline_ns, agent->egress_ns);
    for (uint32_t i = 0; i < agent->table.path_count; i++)
        if (agent->table.paths[i].refused_until_ns > agent->now_ns)
            deadline_ns = min_u64(deadline_ns, agent->table.paths[i].refused_until_ns);
    return deadline_ns;
}
