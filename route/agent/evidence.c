/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known, written down as evidence for the selector; and how often each path is asked for more of it.
 */
#include "route/agent/private.h"
#include "route/decide/patience.h"

/* A full-size probe that was lost is tried again after this. */
#define FULL_SIZE_AGAIN_NS (10 * NS_PER_S)

/*
 * Is this the access of this host? Asked of the system when the list's word or the host's addresses have
 * changed. What has been local stays local while the list says the same: our address may be gone for a while,
 * not we.
 */
static void judge_locality(struct agent *agent, struct agent_access *access)
{
    const struct address *host = &access->view.host_data;

    if (access->local != CONFIG_LOCAL_AUTO) {
        access->is_local = access->local == CONFIG_LOCAL_TRUE;
        return;
    }
    if (access->host_is_judged && address_equal(host, &access->judged_host))
        return;
    if (address_is_set(host) && fib_address_is_local(agent->fib, host))
        access->memory.local_by = *host;
    access->is_local = address_is_set(host) && address_equal(host, &access->memory.local_by);
    access->judged_host = *host;
    access->host_is_judged = true;
}

static const char *access_zone(const struct agent_access *access)
{
    return access->zone[0] ? access->zone : access->view.zone[0] ? access->view.zone : SESSION_ZONE_DEFAULT;
}

static const char *host_zone(struct agent *agent)
{
    if (agent->config->zone[0])
        return agent->config->zone;
    for (uint32_t i = 0; i < agent->host.table.access_count; i++)
        if (agent->host.table.accesses[i].is_local)
            return access_zone(&agent->host.table.accesses[i]);
    return NULL;
}

static void access_evidence(struct agent *agent, uint32_t index, const char *zone)
{
    struct agent_access *access = &agent->host.table.accesses[index];
    struct access_evidence *s = &agent->host.table.selector_accesses[index];

    s->session = access->view.state;
    s->unlisted = access->view.state == SESSION_UNKNOWN && access->view.missing;
    s->restarts = access->view.restarts;
    s->stable_at_ns = access->view.stable_at_ns;
    s->drained = orders_drains(&agent->orders, access->name);
    if (access->is_local)
        s->locality = LOCALITY_LOCAL;
    else /* a host that does not know its zone treats all alike */
        s->locality =
            !zone || strcmp(zone, access_zone(access)) == 0 ? LOCALITY_SAME_ZONE : LOCALITY_OTHER_ZONE;
}

static void view_access(struct agent *agent, struct agent_access *access)
{
    struct session_view *view = &access->view;

    session_liveness_view(agent->lists.liveness, &access->data, &access->secondary, agent->now_ns, view);
    if (strcmp(agent->config->session.provider, "none") != 0)
        return;
    /* Without a provider (any more) nothing that a list once said of life counts. */
    view->state = SESSION_UNKNOWN;
    view->missing = 0;
    view->uuid[0] = '\0';
    view->restarts = 0;
}

static enum service_check_state serving(const struct agent_path *path)
{
    enum service_check_state state =
        path->serving.check ? service_check_state(path->serving.check) : SERVICE_CHECK_GOOD;

    return state == SERVICE_CHECK_UNKNOWN && path->serving.asked.assumed && !path->serving.found
               ? SERVICE_CHECK_GOOD
               : state;
}

void agent_evidence_step(struct agent *agent)
{
    struct agent_table *table = &agent->host.table;
    const char *zone;

    for (uint32_t i = 0; i < table->access_count; i++)
        view_access(agent, &table->accesses[i]);
    for (uint32_t i = 0; i < table->access_count; i++)
        judge_locality(agent, &table->accesses[i]);
    zone = host_zone(agent);
    for (uint32_t i = 0; i < table->access_count; i++)
        access_evidence(agent, i, zone);
    for (uint32_t i = 0; i < table->path_count; i++) {
        struct agent_path *path = &table->paths[i];
        struct path_evidence *s = &table->selector_paths[i];
        enum service_check_state check = serving(path);

        if (path->health.state != HEALTH_UP ||
            (path->size.state == FULL_SIZE_LOST && agent->now_ns >= path->size.at_ns + FULL_SIZE_AGAIN_NS))
            path->size.state = FULL_SIZE_UNTESTED;
        s->pinned = orders_pins(&agent->orders, &agent->host.table, i);
        s->health = health_evidence(&path->health);
        s->on_link = !path->entry.error && agent->now_ns >= path->entry.refused_until_ns;
        s->link_usable = path->entry.link_usable;
        s->service_bad = check == SERVICE_CHECK_BAD;
        s->service_good = check == SERVICE_CHECK_GOOD;
        s->full_size = path->size.state;
    }
}

/* Never patient with a path of this host's own access: it is what the route comes home to. */
static uint64_t candidate_interval_ns(const struct agent *agent, uint32_t index)
{
    const struct agent_path *path = &agent->host.table.paths[index];
    uint64_t usual_ns = agent->config->probe.candidate_interval_ns;
    uint32_t access = agent->host.table.selector_paths[index].access;

    if (path->health.state == HEALTH_UP || !path->health.first_missed_ns || access == SELECTOR_NO_ACCESS ||
        agent->host.table.accesses[access].is_local)
        return usual_ns;
    return patience_interval_ns(
        usual_ns, sub_sat_u64(agent->now_ns, max_u64(path->health.first_missed_ns, path->probing.again_ns)),
        siphash24(path->address.bytes, sizeof(path->address.bytes), (const uint64_t[2]){0, 0}));
}

/* With one way left at most, all others are asked as often as ever. */
static bool has_choice(struct agent *agent)
{
    struct selector_input input;
    uint32_t eligible = 0;

    agent_fill_input(agent, &input);
    for (uint32_t i = 0; i < input.path_count && eligible < 2; i++)
        eligible += selector_path_level(&input, i, NULL) <= LEVEL_DEGRADED;
    return eligible >= 2;
}

uint64_t agent_service_interval_ns(const struct agent *agent, const struct agent_path *path)
{
    return max_u64(path->probing.interval_ns, agent->tuning.settings.configured.select_timeout_ns);
}

void agent_intervals_step(struct agent *agent)
{
    const struct config_probe *probe = &agent->config->probe;
    bool choice = has_choice(agent);

    for (uint32_t i = 0; i < agent->host.table.path_count; i++) {
        struct agent_path *path = &agent->host.table.paths[i];
        bool often = i == agent->service.current || agent->service.decision.doubt;
        uint64_t interval_ns = often    ? health_pace(probe->select_timeout_ns)
                               : choice ? candidate_interval_ns(agent, i)
                                        : probe->candidate_interval_ns;

        if (!path->probing.streamed || interval_ns == path->probing.interval_ns)
            continue;
        path->probing.interval_ns = interval_ns;
        probe_stream_set_interval(agent->host.stream, path->probing.stream_id, interval_ns);
        if (path->serving.check)
            service_check_set_interval(path->serving.check, agent_service_interval_ns(agent, path));
    }
}

void agent_fill_input(const struct agent *agent, struct selector_input *input)
{
    const struct config *config = agent->config;
    uint64_t window_ns = config->probe.select_timeout_ns * config->probe.select_count;
    bool waived = strcmp(config->session.provider, "none") == 0;

    *input = (struct selector_input){
        .now_ns = agent->now_ns,
        .paths = agent->host.table.selector_paths,
        .path_count = agent->host.table.path_count,
        .accesses = agent->host.table.selector_accesses,
        .access_count = agent->host.table.access_count,
        .current = agent->service.current,
        .host.window_ns = window_ns,
        .host.select_timeout_ns = config->probe.select_timeout_ns,
        .host.hold_ns = config->route.hold_ns,
        .host.stay_ns = config->route.stay_ns,
        .host.damping_max_ns = SELECTOR_DAMPING_MAX_NS,
        .host.sessions_waived = waived,
        .host.list_arrived = waived || agent->lists.arrived,
        .host.cold_deadline_ns = agent->started_ns + max_u64(window_ns, config->session.timeout_ns),
        .host.failback_now = agent->orders.failback_now,
        /* A name that no path has (any more) keeps the route nowhere. */
        .host.pin_hard = agent->orders.pin_hard && orders_pin_is_known(&agent->orders, &agent->host.table),
        .host.pin_now = agent->orders.pin_now,
        .host.contradicted_ns = agent->service.watch.verdict.contradicted_ns,
        .host.stalled = agent->service.watch.verdict.doubtful,
        .host.held_up = agent->service.watch.verdict.held_up,
    };
}
