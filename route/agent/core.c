/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/private.h"

void agent_soon(struct agent *agent)
{
    /* Within a step schedule() would take the event off the loop's list again: it sees the wish. */
    agent->loop.step_wanted = true;
    event_active(agent->loop.timer, EV_TIMEOUT, 0);
}

void agent_wake(void *context)
{
    agent_soon(context);
}

const char *agent_reason_text(const struct agent *agent)
{
    switch (agent->service.origin) {
    case ORIGIN_ADOPTED:
        return "adopted";
    case ORIGIN_SWITCHED:
        return selector_reason_text(agent->service.switch_reason);
    case ORIGIN_NONE:
        break;
    }
    return selector_reason_text(agent->service.decision.reason);
}

struct connections_host agent_connections_host(struct agent *agent)
{
    uint32_t current = agent->service.current;

    return (struct connections_host){
        .fib = agent->fib,
        .spare = &agent->files.spare,
        .service = &agent->config->service,
        .source = current == SELECTOR_NO_PATH ? NULL : &agent->host.table.paths[current].entry.source,
        .wanted = agent->config->route.reset_connections,
    };
}

struct tcp_watch_host agent_tcp_watch_host(const struct agent *agent)
{
    const struct config_probe *probe = &agent->config->probe;
    const struct agent_path *path =
        agent->service.current == SELECTOR_NO_PATH ? NULL : &agent->host.table.paths[agent->service.current];

    return (struct tcp_watch_host){
        .service = &agent->config->service,
        .hop = path ? &path->address : NULL,
        .ours = guard_report(agent->service.guard)->packets == PACKETS_OURS,
        .path.answers = !path || (path->health.state == HEALTH_UP && path->health.misses == 0),
        .path.first_missed_ns = path ? path->health.first_missed_ns : 0,
        .path.proven_ns = path ? path->health.proven_ns : 0,
        .path.doubtful = path && health_is_doubtful(&path->health, &agent->host.health_settings),
        .path.window_ns = probe->select_timeout_ns * probe->select_count,
        .path.select_timeout_ns = probe->select_timeout_ns,
    };
}

struct situation agent_situation(const struct agent *agent)
{
    return (struct situation){
        .now_ns = agent->now_ns,
        .started_ns = agent->started_ns,
        .options = agent->options,
        .acts = agent_acts(agent),
        .config = agent->config,
        .table = &agent->host.table,
        .current = agent->service.current,
        .since_realtime_ns = agent->service.since_realtime_ns,
        .reason = agent_reason_text(agent),
    };
}
