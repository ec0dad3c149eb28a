/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Switching: carrying out the selector's decisions.
 *
 * A failover replaces the route now and tells the cluster afterwards. A planned switch has stages, see
 * route/decide/planned.h.
 */
#include "route/agent/happening.h"
#include "route/agent/private.h"

/* The guard answers. Where nothing is touched the decision has been logged, and that is all. */
static void switch_to(struct agent *agent, uint32_t to, enum selector_reason reason, bool planned)
{
    const struct connections_host host = agent_connections_host(agent);
    struct keeper_wish wish;

    if (!agent_acts(agent) || (guard_wish(agent->service.guard, &wish) &&
                               address_equal(&wish.to.address, &agent->host.table.paths[to].address)))
        return; /* it is under way */
    if (planned && host.source)
        connections_leave(&agent->service.connections, &host, agent->now_ns);
    agent_route_want(agent, to, reason);
}

/* --- planned switches --- */

static void tell_planned(struct agent *agent, enum happening_kind kind, uint32_t path)
{
    agent_tell(agent,
               &(struct happening){.kind = kind, .path = path, .reason = agent->service.decision.reason});
}

/* The ICMP payload that fills the interface's MTU. */
static uint32_t full_size_payload(const struct agent_path *path)
{
    uint32_t header = path->address.family == AF_INET6 ? 48 : 28; /* RFC 8200 40, RFC 791 20, and 8 of ICMP */
    uint32_t payload = path->entry.mtu_bytes > header ? path->entry.mtu_bytes - header : 0;

    if (payload > PROBE_PAYLOAD_MAX_BYTES)
        return PROBE_PAYLOAD_MAX_BYTES;
    return payload < PROBE_PAYLOAD_MIN_BYTES ? PROBE_PAYLOAD_MIN_BYTES : payload;
}

static void ask_probe(struct agent *agent, uint32_t index, uint32_t payload_bytes)
{
    struct agent_path *path = &agent->host.table.paths[index];

    if (!path->size.asked_bytes && path->probing.streamed &&
        probe_stream_request(agent->host.stream, path->probing.stream_id, payload_bytes) == 0)
        path->size.asked_bytes = payload_bytes;
}

void agent_planned_probe_result(struct agent *agent, uint32_t index, uint32_t payload_bytes, bool passed)
{
    struct agent_path *path = &agent->host.table.paths[index];

    if (payload_bytes != path->size.asked_bytes)
        return; /* it was asked for proof of life */
    path->size.asked_bytes = 0;
    if (agent->service.planned.stage == PLANNED_PROBE && agent->service.planned.to == index) {
        agent->service.probe_answer = passed ? PLANNED_YES : PLANNED_NO;
        return;
    }
    path->size.state = passed ? FULL_SIZE_PASSED : FULL_SIZE_LOST;
    path->size.at_ns = agent->now_ns;
    if (!passed)
        tell_planned(agent, HAPPENED_FULL_SIZE_LOST, index);
}

static bool is_failback(enum selector_reason reason)
{
    return reason == SWITCH_FAILBACK || reason == SWITCH_FAILBACK_NOW;
}

static void probe_planned(struct agent *agent)
{
    uint32_t to = agent->service.planned.to;

    ask_probe(agent, to,
              is_failback(agent->service.planned.reason) ? full_size_payload(&agent->host.table.paths[to])
                                                         : agent->config->probe.payload_bytes);
}

/* To a failback its probe, which is of full size, is evidence. */
static void planned_probe_lost(struct agent *agent, uint32_t to)
{
    struct agent_path *path = &agent->host.table.paths[to];

    path->size.state = is_failback(agent->service.decision.reason) ? FULL_SIZE_LOST : FULL_SIZE_UNTESTED;
    path->size.at_ns = agent->now_ns;
    tell_planned(agent, HAPPENED_PLANNED_WAITS, to);
}

static struct planned_input planned_input(const struct agent *agent)
{
    const struct selector_decision *decision = &agent->service.decision;
    const struct situation now = agent_situation(agent);
    uint32_t to = decision->to;
    struct keeper_wish wish;

    if (!agent_acts(agent) || !decision->switch_now || !decision->planned)
        return (struct planned_input){.now_ns = agent->now_ns};
    return (struct planned_input){
        .now_ns = agent->now_ns,
        .wanted = true,
        .to = to,
        .reason = decision->reason,
        .can_tell = telling_is_possible(&now, to),
        .asked = agent->host.table.paths[to].size.asked_bytes != 0,
        .moving = guard_wish(agent->service.guard, &wish),
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
    if (effects.abandoned)
        tell_planned(agent, HAPPENED_PLANNED_ABANDONED, effects.abandoned_to);
    if (effects.probe_lost)
        planned_probe_lost(agent, effects.to);
    if (effects.untold)
        tell_planned(agent, HAPPENED_PLANNED_UNTOLD, effects.to);
    if (effects.untold || effects.tell_current)
        telling_cancel(&agent->telling, agent->provider);
    if (effects.tell_current)
        telling_again(&agent->telling);
    if (effects.act == PLANNED_DO_PROBE)
        probe_planned(agent);
    if (effects.act == PLANNED_DO_TELL)
        telling_planned(&agent->telling, agent->provider, &now, agent->service.planned.to);
    if (effects.act == PLANNED_DO_MOVE)
        switch_to(agent, agent->service.planned.to, agent->service.planned.reason, true);
}

/* There is no route yet, and no path is good now: that is no reason to have none. A hard pin is one, but for the route that
 * an earlier run left to be put. */
static bool is_better_than_none(const struct agent *agent, const struct keeper_wish *wish)
{
    const struct agent_service *service = &agent->service;

    return service->current == SELECTOR_NO_PATH && wish->tag == SWITCH_COLD_START &&
           (!agent->orders.pin_hard || address_equal(&wish->to.address, &service->unsettled)) &&
           agent_table_find(&agent->host.table, &wish->to.address) != SELECTOR_NO_PATH;
}

/* A move need not begin, nor be tried again, when it is not wanted any more; it may be wanted again while it is under
 * way. Another one takes its place when that is asked for. */
static void review_wish(struct agent *agent)
{
    const struct selector_decision *decision = &agent->service.decision;
    struct guard *guard = agent->service.guard;
    struct keeper_wish wish;

    if (!guard_wish(guard, &wish))
        return;
    if (!agent_acts(agent) || (!decision->switch_now && !is_better_than_none(agent, &wish)))
        guard_unwant(guard);
    else if (!decision->switch_now ||
             address_equal(&wish.to.address, &agent->host.table.paths[decision->to].address))
        guard_want_still(guard);
}

void agent_apply(struct agent *agent)
{
    const struct selector_decision *decision = &agent->service.decision;

    if (decision->want_full_size != SELECTOR_NO_PATH)
        ask_probe(agent, decision->want_full_size,
                  full_size_payload(&agent->host.table.paths[decision->want_full_size]));
    plan(agent);
    if (decision->switch_now && !decision->planned)
        switch_to(agent, decision->to, decision->reason, false);
    review_wish(agent);
}

uint64_t agent_switch_deadline_ns(const struct agent *agent)
{
    uint64_t deadline_ns =
        min_u64(guard_deadline_ns(agent->service.guard), planned_deadline_ns(&agent->service.planned));

    if (agent->host.egress_wanted)
        deadline_ns = min_u64(deadline_ns, agent->host.egress_ns);
    for (uint32_t i = 0; i < agent->host.table.path_count; i++)
        if (agent->host.table.paths[i].entry.refused_until_ns > agent->now_ns)
            deadline_ns = min_u64(deadline_ns, agent->host.table.paths[i].entry.refused_until_ns);
    return deadline_ns;
}
