/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The step: what was learnt is taken in, the selector decides, the decision is carried out, and what is due is
 * done. All that leads to it only notes.
 */
#include "probe/lacking.h"
#include "route/agent/happening.h"
#include "route/agent/private.h"

/* What was found out since the last step that this host refuses, each once. */
static void note_lacking(struct agent *agent)
{
    _Static_assert(LACKING_KINDS <= 32, "a bit for each");
    for (int what = 0; what < LACKING_KINDS; what++) {
        int error = lacking_error(what);

        if (error == 0 || agent->host.lacking_told & 1u << what)
            continue;
        agent->host.lacking_told |= 1u << what;
        log_event(LOG_LEVEL_INFO, "lacking", "what=%s error=%s instead=%s",
                  LOG_QUOTE(lacking_row(what)->what), LOG_QUOTE(strerror(-error)),
                  LOG_QUOTE(lacking_row(what)->instead));
    }
}

/* An extra request: of full size, the last one before a planned switch, or one that asks for proof of life.
 */
static void take_extra(struct agent *agent, uint32_t path, const struct probe_observation *observation)
{
    bool passed = observation->outcome == PROBE_REPLY;

    if (observation->outcome == PROBE_DUPLICATE || observation->outcome == PROBE_LATE)
        return;
    if (passed) /* a reply is life, whatever it was asked for */
        health_observe(&agent->host.table.paths[path].health, &agent->host.health_settings, observation);
    agent_planned_probe_result(agent, path, observation->payload_bytes, passed);
}

static void take_usual(struct agent *agent, uint32_t path, const struct probe_observation *observation)
{
    health_observe(&agent->host.table.paths[path].health, &agent->host.health_settings, observation);
    agent_tune_observe(agent, path, observation);
}

/* A descriptor from which nothing can be read stays readable: then the deadline alone says when to try again. */
static void dispatch(struct agent *agent)
{
    int error = probe_stream_dispatch(agent->host.stream);

    if (!agent->loop.stream_event) /* a reload had no memory for it */
        agent_watch_stream(agent);
    else if (error < 0)
        event_del(agent->loop.stream_event);
    else
        event_add(agent->loop.stream_event, NULL);
    if (error < 0 && error != agent->host.probe_error)
        log_event(LOG_LEVEL_ERROR, "probe", "error=%s", LOG_QUOTE(strerror(-error)));
    agent->host.probe_error = error;
}

static void take_observations(struct agent *agent)
{
    struct probe_observation observation;

    dispatch(agent);
    while (probe_stream_next(agent->host.stream, &observation)) {
        uint32_t path = agent_table_of_stream(&agent->host.table, observation.id);

        if (path == SELECTOR_NO_PATH)
            continue;
        agent->now_ns = max_u64(agent->now_ns, observation.at_ns);
        if (observation.outcome == PROBE_REPLY || observation.outcome == PROBE_LATE)
            agent_count_rtt(&agent->host.table.paths[path].rtts, observation.rtt_ns);
        if (observation.extra)
            take_extra(agent, path, &observation);
        else
            take_usual(agent, path, &observation);
    }
}

static void note_path(struct agent *agent, uint32_t index)
{
    struct agent_path *path = &agent->host.table.paths[index];

    if (path->noted == path->health.state)
        return;
    path->noted = path->health.state;
    agent_tell(agent, &(struct happening){.kind = HAPPENED_PATH, .path = index});
}

/* Of a node that does not answer its service says nothing that is news. */
static void note_service(struct agent *agent, uint32_t index)
{
    struct agent_path *path = &agent->host.table.paths[index];
    enum service_check_state state =
        path->serving.check ? service_check_state(path->serving.check) : SERVICE_CHECK_UNKNOWN;

    if (state == SERVICE_CHECK_UNKNOWN || state == path->serving.noted || path->health.state != HEALTH_UP ||
        path->health.misses > 0)
        return;
    path->serving.noted = state;
    agent_tell(agent, &(struct happening){.kind = HAPPENED_SERVICE, .path = index});
}

static void note_access(struct agent *agent, uint32_t index)
{
    struct agent_access *access = &agent->host.table.accesses[index];

    if (access->memory.noted == access->view.state)
        return;
    access->memory.noted = access->view.state;
    agent_tell(agent, &(struct happening){.kind = HAPPENED_SESSION, .access = index});
}

/* Said once, as soon as lists have had the chance to name it. */
static void note_pin(struct agent *agent)
{
    bool lost = agent->orders.pin[0] && !orders_pin_is_known(&agent->orders, &agent->host.table) &&
                (agent->lists.arrived || !lists_make_accesses(agent->config));

    if (lost && !agent->orders.pin_lost)
        agent_tell(agent, &(struct happening){.kind = HAPPENED_PIN_LOST});
    agent->orders.pin_lost = lost;
}

/* While the path still counts as up lost pings are no news. A standstill lasts until data are acknowledged again. */
static enum agent_witnessed witnessed(const struct agent *agent)
{
    const struct agent_service *service = &agent->service;
    const struct witness_verdict *verdict = &service->watch.verdict;

    if (service->current == SELECTOR_NO_PATH)
        return WITNESSED_NOTHING;
    if (verdict->contradicted_ns && agent->host.table.paths[service->current].health.state == HEALTH_DOWN)
        return WITNESSED_PROGRESS;
    if (verdict->held_up)
        return WITNESSED_HELD_UP;
    if (verdict->doubtful || (verdict->says == WITNESS_STALLED && service->witnessed == WITNESSED_STANDSTILL))
        return WITNESSED_STANDSTILL;
    return WITNESSED_NOTHING;
}

static void note_witness(struct agent *agent)
{
    struct agent_service *service = &agent->service;
    enum agent_witnessed now = witnessed(agent);
    struct service_check *check;

    if (now == service->witnessed)
        return;
    service->witnessed = now;
    agent_tell(agent, &(struct happening){.kind = HAPPENED_WITNESS, .path = service->current});
    if (now != WITNESSED_STANDSTILL)
        return;
    check = agent->host.table.paths[service->current].serving.check;
    if (check)
        service_check_soon(check);
}

static void note_changes(struct agent *agent)
{
    note_pin(agent);
    for (uint32_t i = 0; i < agent->host.table.path_count; i++)
        note_path(agent, i);
    for (uint32_t i = 0; i < agent->host.table.path_count; i++)
        note_service(agent, i);
    for (uint32_t i = 0; i < agent->host.table.access_count; i++)
        note_access(agent, i);
    note_witness(agent);
}

static void note_decision(struct agent *agent, const struct selector_decision *before)
{
    const struct selector_decision *now = &agent->service.decision;

    if (now->switch_now != before->switch_now || now->reason != before->reason || now->to != before->to ||
        now->candidate != before->candidate)
        agent_tell(agent, &(struct happening){.kind = HAPPENED_DECISION});
}

/* A person's hurry lasts as long as what it is for can be had at once; after that, hold counts again. */
static void end_hurry(struct agent *agent, const struct selector_input *input)
{
    bool pinned = false, there;

    for (uint32_t i = 0; i < input->path_count; i++)
        pinned = pinned || (input->paths[i].pinned && selector_path_level(input, i, NULL) <= LEVEL_DEGRADED);
    there = agent->service.current != SELECTOR_NO_PATH && input->paths[agent->service.current].pinned &&
            !agent->service.decision.switch_now;
    agent->orders.pin_now = agent->orders.pin_now && pinned && !there;
    agent->orders.failback_now = agent->orders.failback_now && agent_failback_helps(agent);
}

/*
 * A decision that waits for proof of life asks for it now: a link that went down is left within a round trip,
 * and to the best path, not to the one whose turn happened to come first.
 */
static void ask_for_proof(struct agent *agent)
{
    for (uint32_t i = 0; i < agent->host.table.path_count; i++)
        if (i != agent->service.current && agent->host.table.paths[i].probing.streamed)
            probe_stream_request(agent->host.stream, agent->host.table.paths[i].probing.stream_id,
                                 agent->config->probe.payload_bytes);
}

static void decide(struct agent *agent)
{
    struct selector_decision before = agent->service.decision;
    struct selector_input input;

    agent_fill_input(agent, &input);
    selector_decide(&agent->host.table.selector, &input, &agent->service.decision);
    end_hurry(agent, &input);
    if (agent->service.decision.reason == KEEP_WAIT_PROOF && before.reason != KEEP_WAIT_PROOF)
        ask_for_proof(agent);
    note_decision(agent, &before);
    agent_journal_step(agent, &input);
}

static void schedule(struct agent *agent)
{
    const struct situation now = agent_situation(agent);
    uint64_t at_ns = min_u64(probe_stream_deadline_ns(agent->host.stream), agent->service.decision.again_ns);
    uint64_t wait_us;
    struct timeval wait;

    at_ns = min_u64(at_ns, agent_switch_deadline_ns(agent));
    at_ns = min_u64(at_ns, lists_deadline_ns(&agent->lists, &now));
    at_ns = min_u64(at_ns, telling_deadline_ns(&agent->telling, &now));
    if (now.acts)
        at_ns = min_u64(at_ns, connections_deadline_ns(&agent->service.connections));
    at_ns = min_u64(at_ns, manager_deadline_ns(&agent->manager));
    at_ns = min_u64(at_ns, agent_orders_deadline_ns(agent));
    at_ns = min_u64(at_ns, agent_observe_deadline_ns(agent));
    if (agent->files.disk)
        at_ns = min_u64(at_ns, disk_deadline_ns(agent->files.disk, agent->now_ns));
    if (agent_saves_by_time(agent))
        at_ns = min_u64(at_ns, agent->files.save_ns);
    if (agent->loop.reload_wanted)
        at_ns = min_u64(at_ns, agent->loop.reload_ns);
    if (agent->loop.step_wanted)
        at_ns = 0;
    wait_us = (sub_sat_u64(at_ns, probe_stream_now_ns(agent->host.stream)) + NS_PER_US - 1) / NS_PER_US;
    wait.tv_sec = (time_t)(wait_us / 1000000);
    wait.tv_usec = (suseconds_t)(wait_us % 1000000);
    event_add(agent->loop.timer, &wait);
}

/* What the cluster answered since the last step. */
static void take_answers(struct agent *agent)
{
    const struct situation now = agent_situation(agent);
    enum planned_answer planned;
    struct agent_table table;

    if (telling_take(&agent->telling, &now, &planned))
        lists_poll_soon(&agent->lists, agent->now_ns);
    if (planned != PLANNED_NO_ANSWER)
        agent->service.tell_answer = planned;
    agent->host.table_wanted |= lists_take(&agent->lists, &now, agent->files.disk);
    if (agent->host.table_wanted && agent_build_table(agent, agent->config, &table) == 0) {
        agent->host.table_wanted = false;
        agent_table_install(agent, &table);
        agent_tell(agent, &(struct happening){.kind = HAPPENED_ACCESSES});
    }
}

/* A dry run sets no route: there is nothing to wait for. */
static bool route_works(const struct agent *agent)
{
    uint32_t current = agent->service.current;

    return agent->options->dry_run ||
           (current != SELECTOR_NO_PATH && agent->host.table.paths[current].health.state == HEALTH_UP);
}

static enum manager_route route_reached(const struct agent *agent)
{
    const struct agent_table *table = &agent->host.table;

    if (route_works(agent))
        return MANAGER_STANDS;
    for (uint32_t i = 0; i < table->path_count; i++) {
        if (!table->paths[i].entry.error)
            return MANAGER_NO_ANSWER;
    }
    return agent->host.bootstrap_on_link ? MANAGER_NO_ANSWER : MANAGER_NO_LINK;
}

/* What is to be done from time to time, wherever the route leads. */
static void do_what_is_due(struct agent *agent)
{
    const struct situation now = agent_situation(agent);
    const struct connections_host connections = agent_connections_host(agent);
    char summary[MANAGER_STATUS_SIZE];

    if (now.acts)
        connections_step(&agent->service.connections, &connections, now.now_ns);
    agent_tune_step(agent);
    agent_intervals_step(agent);
    lists_step(&agent->lists, agent->provider, &now);
    telling_step(&agent->telling, agent->provider, &now);
    agent_notice_step(agent);
    if (agent->files.save_wanted || (agent_saves_by_time(agent) && now.now_ns >= agent->files.save_ns))
        agent_save(agent);
    agent_summary(agent, summary, sizeof(summary));
    manager_step(&agent->manager, route_reached(agent), summary, now.now_ns);
}

static void ask_witness(struct agent *agent)
{
    const struct tcp_watch_host host = agent_tcp_watch_host(agent);

    tcp_watch_step(&agent->service.watch, &host, agent->now_ns);
}

void agent_step(struct agent *agent)
{
    agent->loop.step_wanted = false;
    agent->now_ns = probe_stream_now_ns(agent->host.stream);
    take_observations(agent);
    note_lacking(agent);
    take_answers(agent);
    agent_note_kept(agent, agent->now_ns);
    log_look();
    agent_observe_step(agent);
    agent_egress_step(agent);
    agent_route_step(agent);
    ask_witness(agent);
    agent_orders_step(agent);
    agent_evidence_step(agent);
    note_changes(agent);
    decide(agent);
    agent_apply(agent);
    do_what_is_due(agent);
    schedule(agent);
}
