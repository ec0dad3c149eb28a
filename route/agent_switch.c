/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Switching: carrying out the selector's decisions, and keeping the route what it should be.
 *
 * A failover replaces the route now and tells the cluster afterwards. A planned switch (failback, drain, pin)
 * has nobody waiting: the new path is probed once more, the cluster told, then the route replaced, then the
 * cluster told again. A planned switch is abandoned as soon as the selector no longer decides for it; if the
 * new access had been told by then, the access in use is told again, so that the cluster always knows the one
 * through which this host enters.
 */
#include <linux/rtnetlink.h>

#include "route/agent_private.h"

#define PLANNED_RETRY_NS     (1 * NS_PER_S)
#define PLANNED_RETRY_MAX_NS (10 * NS_PER_S)
#define PLANNED_PATIENCE_NS  (10 * NS_PER_S)
#define REFUSED_FOR_NS       (1 * NS_PER_S)
#define REPAIR_INTERVAL_NS   (100 * NS_PER_MS)
#define FIB_CHECK_NS         (10 * NS_PER_S)
#define ROUTES_MAX           16

/* --- adoption ---------------------------------------------------------------------------------------------
 */

static int standing_routes(struct agent *agent, struct fib_route *routes, size_t *count)
{
    int error;

    *count = ROUTES_MAX;
    error = fib_get(agent->fib, &agent->config->service, routes, count);
    if (error < 0)
        log_event(LOG_LEVEL_ERROR, "fib-read", "error=%s", LOG_QUOTE(fib_error(agent->fib)));
    else if (*count > ROUTES_MAX)
        *count = ROUTES_MAX;
    return error;
}

static bool is_ours(const struct agent *agent, const struct fib_route *route)
{
    const struct config_route *config = &agent->config->route;
    uint32_t metric = config->metric;

    if (metric == 0 && route->destination.family == AF_INET6)
        metric = 1024; /* the kernel's own default, IP6_RT_PRIO_USER */
    return route->protocol == config->protocol && route->metric == metric;
}

static bool is_usable(const struct fib_route *route)
{
    return route->type == RTN_UNICAST && !route->multipath && route->ifindex;
}

/* The next hop of an on-link route is the service itself. */
static struct address next_hop(const struct agent *agent, const struct fib_route *route)
{
    return address_is_set(&route->gateway) ? route->gateway : agent->config->service;
}

static bool leads_to_current(const struct agent *agent, const struct fib_route *route)
{
    const struct agent_path *path = &agent->table.paths[agent->current];
    struct address hop = next_hop(agent, route);
    /* An adopted route is left as it is, even where we would have taken another interface. */
    uint32_t ifindex = agent->adopted ? agent->standing.ifindex : path->ifindex;

    return is_usable(route) && route->ifindex == ifindex && address_equal(&hop, &path->address);
}

/* Takes a standing route as it is. */
static void adopt_route(struct agent *agent, const struct fib_route *route)
{
    struct address hop = next_hop(agent, route);
    char text[160];

    agent->current = agent_table_find(&agent->table, &hop);
    if (agent->current == SELECTOR_NO_PATH && agent_table_add_foreign(agent, &hop, route->ifindex) < 0)
        return;
    agent_table_egress(agent);
    agent->standing = *route;
    agent->adopted = true;
    agent->origin = ORIGIN_ADOPTED;
    agent->since_realtime_ns = clock_now_ns(CLOCK_REALTIME);
    agent->refresh.wanted = true;
    agent_session_heartbeat_soon(agent);
    journal_adopt(agent->journal, agent->now_ns, &hop);
    log_event(LOG_LEVEL_INFO, "adopt", "route=%s access=%s ours=%s",
              LOG_QUOTE(fib_route_text(route, text, sizeof(text))),
              agent_path_access_name(agent, agent->current), is_ours(agent, route) ? "true" : "false");
    if (agent->table.selector_paths[agent->current].access == SELECTOR_NO_ACCESS)
        log_event(LOG_LEVEL_WARN, "next-hop-not-configured", "next_hop=%s", ADDRESS_TEXT(&hop));
}

/* Ours, if it stands there (a restart): a foreign one that hides it is reported, not taken. Else the best. */
void agent_adopt(struct agent *agent)
{
    struct fib_route routes[ROUTES_MAX];
    const struct fib_route *best = NULL;
    size_t count;

    agent->fib_check_ns = agent->now_ns + FIB_CHECK_NS;
    if (standing_routes(agent, routes, &count) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (is_usable(&routes[i]) && (!best || (is_ours(agent, &routes[i]) && !is_ours(agent, best))))
            best = &routes[i];
    if (!best)
        return;
    adopt_route(agent, best);
    agent->fib_check_ns = agent->now_ns + REPAIR_INTERVAL_NS; /* is it what packets take? */
}

/* --- keeping the route ------------------------------------------------------------------------------------
 */

static void note_shadow(struct agent *agent, const struct fib_route *shadow)
{
    char text[160] = "";

    if (shadow)
        fib_route_text(shadow, text, sizeof(text));
    if (strcmp(text, agent->shadow) == 0)
        return;
    memcpy(agent->shadow, text, sizeof(agent->shadow));
    if (shadow)
        log_event(LOG_LEVEL_WARN, "shadowed", "by=%s", LOG_QUOTE(text));
    else
        log_event(LOG_LEVEL_INFO, "shadow-gone", "next_hop=%s",
                  ADDRESS_TEXT(&agent->table.paths[agent->current].address));
}

/* Does a packet to the service really go to the path in use? */
static void check_shadow(struct agent *agent)
{
    const struct agent_path *path = &agent->table.paths[agent->current];
    struct fib_route way;

    if (!path->link_usable || fib_lookup(agent->fib, &agent->config->service, 0, &way) < 0)
        return;
    note_shadow(agent, leads_to_current(agent, &way) ? NULL : &way);
}

static bool ours_stands(struct agent *agent)
{
    struct fib_route routes[ROUTES_MAX];
    size_t count;

    if (standing_routes(agent, routes, &count) < 0)
        return true;
    for (size_t i = 0; i < count; i++)
        if (is_ours(agent, &routes[i]))
            return true;
    return false;
}

/*
 * Points the route at a path. When the place of ours holds a foreign route, somebody replaced ours (`ip route
 * replace`): it is taken back. A foreign route that stood there first, or in front of ours, is left alone and
 * reported.
 */
static int replace_route(struct agent *agent, const struct agent_path *path, struct fib_route *shadow)
{
    const struct address *service = &agent->config->service;
    struct fib_route thief;
    char text[160];
    int error = fib_replace(agent->fib, service, &path->address, path->ifindex,
                            agent->adopted ? &agent->standing : NULL, shadow);

    if (error != -EEXIST)
        return error;
    if (agent->current == SELECTOR_NO_PATH || ours_stands(agent)) {
        note_shadow(agent, shadow);
        return error;
    }
    thief = *shadow;
    log_event(LOG_LEVEL_WARN, "route-taken-back", "found=%s",
              LOG_QUOTE(fib_route_text(&thief, text, sizeof(text))));
    return fib_replace(agent->fib, service, &path->address, path->ifindex, &thief, shadow);
}

static void repair(struct agent *agent, const struct fib_route *found)
{
    const struct agent_path *path = &agent->table.paths[agent->current];
    struct fib_route shadow = {0};
    char text[160] = "none";
    int error;

    if (path->egress_error || !path->link_usable || agent->now_ns < path->refused_until_ns)
        return; /* it cannot stand there now; the selector looks for another way */
    if (agent->repair_ns && agent->now_ns < agent->repair_ns + REPAIR_INTERVAL_NS) {
        agent->fib_check_ns = min_u64(agent->fib_check_ns, agent->repair_ns + REPAIR_INTERVAL_NS);
        return;
    }
    if (found)
        fib_route_text(found, text, sizeof(text));
    agent->repair_ns = agent->now_ns;
    agent->adopted = false;
    error = replace_route(agent, path, &shadow);
    if (error < 0 && error != -ESTALE) {
        log_event(LOG_LEVEL_ERROR, "route-repair-failed", "found=%s next_hop=%s error=%s", LOG_QUOTE(text),
                  ADDRESS_TEXT(&path->address), LOG_QUOTE(fib_error(agent->fib)));
        return;
    }
    agent->repairs++;
    log_event(LOG_LEVEL_WARN, "route-repaired", "found=%s next_hop=%s", LOG_QUOTE(text),
              ADDRESS_TEXT(&path->address));
}

void agent_keep_route(struct agent *agent)
{
    struct fib_route routes[ROUTES_MAX];
    const struct fib_route *found = NULL;
    size_t count;

    agent->fib_check_ns = agent->now_ns + FIB_CHECK_NS;
    if (agent->current == SELECTOR_NO_PATH) {
        agent_adopt(agent);
        return;
    }
    if (standing_routes(agent, routes, &count) < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        if (leads_to_current(agent, &routes[i]) && (agent->adopted || is_ours(agent, &routes[i]))) {
            check_shadow(agent);
            return;
        }
        if (is_ours(agent, &routes[i]))
            found = &routes[i];
    }
    if (agent->options->dry_run) {
        agent->current = SELECTOR_NO_PATH; /* a dry run only follows what others do */
        agent_adopt(agent);
    } else {
        repair(agent, found ? found : count ? &routes[0] : NULL);
    }
}

/* --- the switch itself ------------------------------------------------------------------------------------
 */

static void reset_connections(struct agent *agent)
{
    unsigned count = 0;
    int error;

    if (!agent->config->route.reset_connections)
        return;
    reserve_release(&agent->reserve); /* it opens a socket */
    error = fib_reset_connections(agent->fib, &agent->config->service, &count);
    reserve_keep(&agent->reserve);
    if (error == 0 && count)
        log_event(LOG_LEVEL_INFO, "connections-reset", "count=%u", count);
    if (error < 0 && !agent->reset_unsupported) {
        agent->reset_unsupported = true;
        log_event(LOG_LEVEL_WARN, "connections-reset",
                  "error=%s hint=\"TCP clients wait out their retransmission timer after a switch\"",
                  LOG_QUOTE(strerror(-error)));
    }
}

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

static void switch_to(struct agent *agent, uint32_t to, enum selector_reason reason)
{
    struct agent_path *path = &agent->table.paths[to];
    uint64_t begun_ns = clock_now_ns(CLOCK_MONOTONIC);
    char silent[24] = "0.0";
    char from[ADDRESS_TEXT_SIZE];
    struct fib_route shadow = {0};
    int error;

    if (agent->options->dry_run)
        return; /* the decision has been logged */
    error = replace_route(agent, path, &shadow);
    if (error < 0 && error != -ESTALE) {
        path->refused_until_ns = agent->now_ns + REFUSED_FOR_NS;
        log_event(LOG_LEVEL_ERROR, "switch-failed", "to=%s reason=%s error=%s", ADDRESS_TEXT(&path->address),
                  selector_reason_text(reason), LOG_QUOTE(fib_error(agent->fib)));
        note_switch(agent, to, reason, error);
        agent_soon(agent);
        return;
    }
    if (agent->current != SELECTOR_NO_PATH)
        silent_text(agent, agent->current, silent);
    log_event(LOG_LEVEL_INFO, "switch",
              "from=%s to=%s access=%s tier=%s reason=%s silent_ms=%s replace_us=%.0f why=%s",
              previous_text(agent, from), ADDRESS_TEXT(&path->address), agent_path_access_name(agent, to),
              selector_tier_text(agent->table.selector_paths[to].tier), selector_reason_text(reason), silent,
              (double)(clock_now_ns(CLOCK_MONOTONIC) - begun_ns) / NS_PER_US,
              LOG_QUOTE(selector_reason_sentence(reason)));
    note_switch(agent, to, reason, 0);
    agent->current = to;
    agent->adopted = false;
    agent->origin = ORIGIN_SWITCHED;
    agent->switch_reason = reason;
    agent->since_realtime_ns = clock_now_ns(CLOCK_REALTIME);
    agent->switches++;
    agent->planned = (struct agent_planned){0};
    agent->failback_now = false;
    if (agent_is_pinned(agent, to))
        agent->pin_now = false;
    note_shadow(agent, error == -ESTALE ? &shadow : NULL);
    reset_connections(agent);
    agent->refresh.wanted = true;
    agent->refresh.retry_ns = 0;
    agent->refresh.backoff_ns = 0;
    agent->save_wanted = true;
    agent_session_heartbeat_soon(agent);
    agent_soon(agent); /* decide again from where we stand now */
}

/* --- planned switches -------------------------------------------------------------------------------------
 */

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
        session_provider_cancel_refresh(agent->provider);
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
        session_provider_cancel_refresh(agent->provider);
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
    uint64_t deadline_ns = agent->fib_check_ns;

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
