/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's table of accesses and paths.
 *
 * It is built as a whole from the configuration (and, with bootstrap, from the sessions ever seen) and then
 * installed in place of the old one; what is remembered of an address (health, the selector's memory) goes
 * over to the new table, so that a reload disturbs nothing. The path in use is kept even when it is not
 * configured any more: it becomes a foreign one.
 */
#include "probe/scope.h"
#include "route/agent/private.h"
#include "route/decide/patience.h"

/* A full-size probe that was lost is tried again after this. */
#define FULL_SIZE_AGAIN_NS (10 * NS_PER_S)
/* How soon the kernel is asked again how a path is entered, when it did not say. */
#define EGRESS_AGAIN_NS (100 * NS_PER_MS)
uint32_t agent_table_find(const struct agent_table *table, const struct address *address)
{
    for (uint32_t i = 0; i < table->path_count; i++)
        if (address_equal(&table->paths[i].address, address))
            return i;
    return SELECTOR_NO_PATH;
}

uint32_t agent_table_of_stream(const struct agent_table *table, uint32_t stream_id)
{
    uint32_t *guess = table->by_stream ? &table->by_stream[stream_id & table->stream_mask] : NULL;

    if (guess && *guess < table->path_count && table->paths[*guess].streamed &&
        table->paths[*guess].stream_id == stream_id)
        return *guess;
    for (uint32_t i = 0; i < table->path_count; i++) {
        if (!table->paths[i].streamed || table->paths[i].stream_id != stream_id)
            continue;
        if (guess)
            *guess = i;
        return i;
    }
    return SELECTOR_NO_PATH;
}

uint32_t agent_table_access(const struct agent_table *table, uint32_t path)
{
    return path == SELECTOR_NO_PATH ? SELECTOR_NO_ACCESS : table->selector_paths[path].access;
}

const char *agent_table_access_name(const struct agent_table *table, uint32_t path)
{
    uint32_t access = agent_table_access(table, path);

    return access == SELECTOR_NO_ACCESS ? "foreign" : table->accesses[access].name;
}

bool agent_table_has(const struct agent_table *table, const struct address *data,
                     const struct address *secondary)
{
    return (address_is_set(data) && agent_table_find(table, data) != SELECTOR_NO_PATH) ||
           (address_is_set(secondary) && agent_table_find(table, secondary) != SELECTOR_NO_PATH);
}

size_t agent_table_endpoints(const struct agent_table *table, uint32_t access, bool up,
                             struct session_endpoint *out, size_t room)
{
    size_t count = 0;

    for (uint32_t i = 0; i < table->path_count && count < room; i++) {
        const struct agent_path *path = &table->paths[i];

        if (table->selector_paths[i].access == access && !path->egress_error &&
            (path->health.state == HEALTH_UP) == up)
            out[count++] = (struct session_endpoint){.access = access, .address = path->address};
    }
    return count;
}

/* --- building --- */

static int grow(void *array, uint32_t count, size_t size_bytes)
{
    void **p = array, *bigger = realloc(*p, (count + 1) * size_bytes);

    if (!bigger)
        return -ENOMEM;
    *p = bigger;
    memset((char *)bigger + count * size_bytes, 0, size_bytes);
    return 0;
}

static int add_path(struct agent *agent, struct agent_table *table, uint32_t access, enum selector_tier tier,
                    const struct address *address)
{
    if (!address_is_set(address))
        return 0;
    if (grow(&table->paths, table->path_count, sizeof(*table->paths)) < 0 ||
        grow(&table->selector_paths, table->path_count, sizeof(*table->selector_paths)) < 0 ||
        grow(&table->selector.paths, table->path_count, sizeof(*table->selector.paths)) < 0)
        return -ENOMEM;
    table->paths[table->path_count] = (struct agent_path){.agent = agent, .address = *address};
    table->selector_paths[table->path_count] = (struct path_evidence){.access = access, .tier = tier};
    table->path_count++;
    return 0;
}

static int add_access(struct agent *agent, const struct config *config, struct agent_table *table,
                      const struct agent_access *access)
{
    uint32_t index = table->access_count;
    const struct address *key = address_is_set(&access->data)        ? &access->data
                                : address_is_set(&access->secondary) ? &access->secondary
                                                                     : &access->management;
    int error;

    if (grow(&table->accesses, index, sizeof(*table->accesses)) < 0 ||
        grow(&table->selector_accesses, index, sizeof(*table->selector_accesses)) < 0 ||
        grow(&table->selector.accesses, index, sizeof(*table->selector.accesses)) < 0)
        return -ENOMEM;
    table->accesses[index] = *access;
    table->selector_accesses[index].weight =
        selector_weight(host_identity_key(&agent->identity, config->host), key);
    table->access_count++;
    error = add_path(agent, table, index, TIER_DATA, &access->data);
    if (!error)
        error = add_path(agent, table, index, TIER_SECONDARY, &access->secondary);
    if (!error)
        error = add_path(agent, table, index, TIER_MANAGEMENT, &access->management);
    return error;
}

static uint16_t check_port_of(const struct config *config, const char *own)
{
    const char *text = own[0] ? own : config->session.service_check;
    uint16_t port = 0;

    if (!text[0] || strcmp(text, "none") == 0 || service_check_parse(text, &port) < 0)
        return 0;
    return port;
}

/* One access that only a session list knows. */
static int add_session(struct agent *agent, const struct config *config, struct agent_table *table,
                       struct address data, struct address secondary)
{
    struct agent_access access = {0};

    if (!lists_usable_addresses(config, &data, &secondary) || agent_table_has(table, &data, &secondary))
        return 0;
    access.data = data;
    access.secondary = secondary;
    snprintf(access.name, sizeof(access.name), "%s",
             ADDRESS_TEXT(address_is_set(&data) ? &data : &secondary));
    access.check_port = check_port_of(config, "");
    if (!agent_table_has(&agent->table, &data, &secondary))
        log_event(LOG_LEVEL_WARN, "no-management-path",
                  "access=%s hint=\"an access entry with this data address can name one\"",
                  LOG_VALUE(access.name));
    return add_access(agent, config, table, &access);
}

/* The accesses of the list of before this start, and those of the lists since that were let in. */
static int add_sessions(struct agent *agent, const struct config *config, struct agent_table *table)
{
    struct session_view view;
    int error = 0;

    for (size_t i = 0; !error && i < agent->lists.accesses.remembered.count; i++)
        error = add_session(agent, config, table, agent->lists.accesses.remembered.items[i].data,
                            agent->lists.accesses.remembered.items[i].secondary);
    for (size_t i = 0; !error && session_liveness_at(agent->lists.liveness, i, agent->now_ns, &view); i++)
        if (view.listed && view.expected)
            error = add_session(agent, config, table, view.data, view.secondary);
    return error;
}

/* Ids are given one after the other: with twice the room few share a place. */
static int make_guesses(struct agent_table *table)
{
    uint32_t size = 64;

    while (size < 2 * table->path_count)
        size *= 2;
    table->by_stream = calloc(size, sizeof(*table->by_stream));
    table->stream_mask = size - 1;
    return table->by_stream ? 0 : -ENOMEM;
}

int agent_table_build(struct agent *agent, const struct config *config, struct agent_table *table)
{
    int error = 0;

    *table = (struct agent_table){0};
    for (size_t i = 0; !error && i < config->access_count; i++) {
        const struct config_access *from = &config->accesses[i];
        struct agent_access access = {
            .local = from->local,
            .data = from->data,
            .secondary = from->secondary,
            .management = from->management,
            .check_port = check_port_of(config, from->service_check),
        };

        memcpy(access.name, from->name, sizeof(access.name));
        memcpy(access.zone, from->zone, sizeof(access.zone));
        error = add_access(agent, config, table, &access);
    }
    if (!error && lists_make_accesses(config))
        error = add_sessions(agent, config, table);
    if (!error)
        error = make_guesses(table);
    if (error)
        agent_table_clear(agent, table);
    return error;
}

void agent_table_clear(struct agent *agent, struct agent_table *table)
{
    for (uint32_t i = 0; i < table->path_count; i++) {
        service_check_free(table->paths[i].check);
        if (table->paths[i].streamed && agent->stream)
            probe_stream_remove(agent->stream, table->paths[i].stream_id);
    }
    free(table->accesses);
    free(table->selector_accesses);
    free(table->paths);
    free(table->selector_paths);
    free(table->selector.accesses);
    free(table->selector.paths);
    free(table->by_stream);
    *table = (struct agent_table){0};
}

/* The path's whole memory changes hands: its place in the stream and its service check too. */
static void inherit_path(struct agent_path *path, struct agent_path *old)
{
    struct address address = path->address;

    *path = *old;
    path->address = address;
    old->streamed = false;
    old->check = NULL;
}

/* An access is the same when an address of it is, else when it has its name still. */
static uint32_t find_access(const struct agent_table *table, uint32_t access, const struct agent_table *old)
{
    const struct agent_access *a = &table->accesses[access];
    const struct address *const addresses[] = {&a->data, &a->secondary, &a->management};

    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        uint32_t path = address_is_set(addresses[i]) ? agent_table_find(old, addresses[i]) : SELECTOR_NO_PATH;

        if (path != SELECTOR_NO_PATH && old->selector_paths[path].access != SELECTOR_NO_ACCESS)
            return old->selector_paths[path].access;
    }
    for (uint32_t i = 0; i < old->access_count; i++)
        if (strcmp(old->accesses[i].name, a->name) == 0)
            return i;
    return SELECTOR_NO_ACCESS;
}

static void inherit(struct agent_table *table, struct agent_table *old)
{
    for (uint32_t i = 0; i < table->access_count; i++) {
        uint32_t before = find_access(table, i, old);

        if (before == SELECTOR_NO_ACCESS)
            continue;
        table->accesses[i].memory = old->accesses[before].memory;
        table->selector.accesses[i] = old->selector.accesses[before];
    }
    for (uint32_t i = 0; i < table->path_count; i++) {
        uint32_t before = agent_table_find(old, &table->paths[i].address);

        if (before == SELECTOR_NO_PATH)
            continue;
        inherit_path(&table->paths[i], &old->paths[before]);
        table->selector.paths[i] = old->selector.paths[before];
    }
}

/* A planned switch goes on when its path is still there. */
static void inherit_planned(struct agent *agent, const struct agent_table *old)
{
    if (agent->service.planned.stage != PLANNED_NONE)
        agent->service.planned.to =
            agent_table_find(&agent->table, &old->paths[agent->service.planned.to].address);
    if (agent->service.planned.to == SELECTOR_NO_PATH) {
        if (agent->service.planned.told)
            telling_again(&agent->telling);
        agent->service.planned = (struct planned){0};
    }
}

/* Whoever is in the table should be in the lists. */
static void expect_sessions(struct agent *agent)
{
    for (uint32_t i = 0; i < agent->table.access_count; i++) {
        const struct agent_access *access = &agent->table.accesses[i];

        if (address_is_set(&access->data) || address_is_set(&access->secondary))
            session_liveness_expect(agent->lists.liveness, &access->data, &access->secondary);
    }
}

void agent_table_install(struct agent *agent, struct agent_table *table)
{
    struct agent_table old = agent->table;
    struct address in_use = {0};
    uint32_t ifindex = 0;
    bool doubted = old.selector.doubted == agent->service.current;

    if (agent->service.current != SELECTOR_NO_PATH) {
        in_use = old.paths[agent->service.current].address;
        ifindex = old.paths[agent->service.current].ifindex;
    }
    inherit(table, &old);
    agent->table = *table;
    *table = (struct agent_table){0};
    expect_sessions(agent);
    journal_renew(agent->files.journal, "paths");
    inherit_planned(agent, &old);
    agent->service.decision = (struct selector_decision){
        .to = SELECTOR_NO_PATH, .candidate = SELECTOR_NO_PATH, .want_full_size = SELECTOR_NO_PATH};
    if (address_is_set(&in_use)) {
        agent->service.current = agent_table_find(&agent->table, &in_use);
        if (agent->service.current == SELECTOR_NO_PATH &&
            agent_table_add_foreign(agent, &in_use, ifindex) == 0) {
            inherit_path(&agent->table.paths[agent->service.current],
                         &old.paths[agent_table_find(&old, &in_use)]);
            log_event(LOG_LEVEL_WARN, "next-hop-not-configured", "next_hop=%s", ADDRESS_TEXT(&in_use));
        }
    }
    agent->table.selector.doubt_since_ns = old.selector.doubt_since_ns;
    agent->table.selector.doubted = doubted ? agent->service.current : SELECTOR_NO_PATH;
    agent_table_clear(agent, &old);
    agent->egress_wanted = true;
    agent->egress_ns = 0;
    agent_table_egress(agent);
}

int agent_table_add_foreign(struct agent *agent, const struct address *next_hop, uint32_t ifindex)
{
    struct agent_table *table = &agent->table;
    int error = add_path(agent, table, SELECTOR_NO_ACCESS, TIER_FOREIGN, next_hop);

    if (error < 0)
        return error;
    table->paths[table->path_count - 1].ifindex = ifindex;
    scope_name_address(&table->paths[table->path_count - 1].address);
    journal_renew(agent->files.journal, "paths");
    agent->service.current = table->path_count - 1;
    return 0;
}

/* --- how the paths are entered --- */

static uint16_t check_port_wanted(const struct agent *agent, uint32_t index)
{
    uint32_t access = agent->table.selector_paths[index].access;

    return access == SELECTOR_NO_ACCESS ? 0 : agent->table.accesses[access].check_port;
}

static void wake(void *context)
{
    agent_soon(context);
}

static void watch_service(struct agent *agent, uint32_t index)
{
    struct agent_path *path = &agent->table.paths[index];
    struct service_check_settings settings = {.address = path->address,
                                              .ifindex = path->ifindex,
                                              .interval_ns = NS_PER_S,
                                              .rise = agent->config->probe.rise};

    path->check = service_check_free(path->check);
    path->check_port = check_port_wanted(agent, index);
    if (!path->check_port || path->egress_error)
        return;
    settings.port = path->check_port;
    if (service_check_new(&path->check, agent->loop.base, &settings, wake, agent) < 0)
        log_event(LOG_LEVEL_ERROR, "service-check", "path=%s error=\"cannot start\"",
                  ADDRESS_TEXT(&path->address));
}

static void watch_path(struct agent *agent, uint32_t index)
{
    struct agent_path *path = &agent->table.paths[index];
    struct probe_stream_target target = {.address = path->address,
                                         .ifindex = path->ifindex,
                                         .interval_ns = agent->config->probe.select_timeout_ns};

    path->asked_bytes = 0; /* outstanding requests are forgotten */
    if (path->egress_error) {
        if (path->streamed)
            probe_stream_remove(agent->stream, path->stream_id);
        path->streamed = false;
    } else if (path->streamed) {
        probe_stream_set_ifindex(agent->stream, path->stream_id, path->ifindex);
    } else {
        int error = probe_stream_add(agent->stream, &target, &path->stream_id);

        path->streamed = error == 0;
        path->interval_ns = target.interval_ns;
        if (error && agent->egress_ns == 0)
            log_event(LOG_LEVEL_ERROR, "not-probed", "path=%s error=%s", ADDRESS_TEXT(&path->address),
                      LOG_QUOTE(strerror(-error)));
    }
    watch_service(agent, index);
}

const char *agent_egress_text(const struct agent_path *path, char *buffer, size_t size_bytes)
{
    switch (path->egress_error) {
    case -EADDRINUSE:
        return "it is an address of this host";
    case -ENODEV:
        snprintf(buffer, size_bytes, "interface %s does not exist", path->address.zone);
        return buffer;
    default:
        return "not on-link: no connected network of this host holds it";
    }
}

static void note_egress(const struct agent_path *path)
{
    char text[64];

    if (path->egress_error)
        log_event(LOG_LEVEL_WARN, "path-not-on-link", "path=%s reason=%s", ADDRESS_TEXT(&path->address),
                  path->egress_error == -EADDRINUSE ? "own-address"
                  : path->egress_error == -ENODEV   ? LOG_QUOTE(agent_egress_text(path, text, sizeof(text)))
                                                    : "no-connected-network");
}

static int find_egress(struct agent *agent, struct agent_path *path, uint32_t *ifindex,
                       struct address *source)
{
    scope_refresh_address(&path->address);
    if (path->address.zone[0] && !path->address.scope)
        return -ENODEV;
    return fib_egress(agent->fib, &path->address, ifindex, source);
}

static void link_changed(struct agent *agent, struct agent_path *path, const struct fib_link *link)
{
    if (path->link_usable && !link->usable)
        log_event(LOG_LEVEL_WARN, "link-down", "path=%s interface=%s", ADDRESS_TEXT(&path->address),
                  link->name[0] ? LOG_VALUE(link->name) : "?");
    if (link->usable && !path->link_usable)
        path->again_ns = agent->now_ns;
    path->link_usable = link->usable;
}

/* What was known stands, and it is asked again: said once. */
static bool egress_unknown(const struct agent *agent)
{
    if (agent->egress_ns == 0)
        log_event(LOG_LEVEL_ERROR, "fib-read", "error=%s", LOG_QUOTE(fib_error(agent->fib)));
    return false;
}

/* False when it has to be tried again: the kernel did not say, or the path cannot be probed. */
static bool update_egress(struct agent *agent, uint32_t index)
{
    struct agent_path *path = &agent->table.paths[index];
    bool configured = agent->table.selector_paths[index].access != SELECTOR_NO_ACCESS;
    uint32_t ifindex = path->ifindex;
    struct address source = {0};
    struct fib_link link = {0};
    int error = find_egress(agent, path, &ifindex, &source);

    if (error < 0 && error != -ENETUNREACH && error != -EADDRINUSE && error != -ENODEV)
        return egress_unknown(agent);
    if (error < 0 && configured)
        ifindex = 0;
    if (!configured && path->ifindex) { /* an adopted route says itself through which interface it goes */
        ifindex = path->address.scope ? path->address.scope : path->ifindex;
        error = 0;
    }
    if (ifindex) {
        int unknown = fib_link(agent->fib, ifindex, &link);

        if (unknown < 0 && unknown != -ENODEV)
            return egress_unknown(agent);
        path->mtu_bytes = link.mtu_bytes;
    }
    if (error != path->egress_error || ifindex != path->ifindex || (!path->streamed && !error)) {
        path->egress_error = error;
        path->ifindex = ifindex;
        note_egress(path);
        watch_path(agent, index);
    } else if (path->check_port != check_port_wanted(agent, index)) {
        watch_service(agent, index);
    }
    path->source = source;
    link_changed(agent, path, &link);
    if (!path->streamed || !link.usable)
        health_link_lost(&path->health);
    return error || path->streamed;
}

/* Interfaces may have come or gone: what is only asked, or only compared. */
static void refresh_scopes(struct agent *agent)
{
    scope_refresh_address(&agent->config->service);
    for (size_t i = 0; i < agent->config->bootstrap_count; i++)
        scope_refresh_address(&agent->config->bootstrap[i]);
}

void agent_table_egress(struct agent *agent)
{
    bool known = true;

    if (!agent->egress_wanted || agent->now_ns < agent->egress_ns)
        return;
    refresh_scopes(agent);
    for (uint32_t i = 0; i < agent->table.access_count; i++)
        agent->table.accesses[i].host_is_judged = false;
    for (uint32_t i = 0; i < agent->table.path_count; i++)
        known = update_egress(agent, i) && known;
    agent->egress_wanted = !known;
    agent->egress_ns = known ? 0 : agent->now_ns + EGRESS_AGAIN_NS;
}

/* --- evidence for the selector --- */

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
    for (uint32_t i = 0; i < agent->table.access_count; i++)
        if (agent->table.accesses[i].is_local)
            return access_zone(&agent->table.accesses[i]);
    return NULL;
}

static void access_evidence(struct agent *agent, uint32_t index, const char *zone)
{
    struct agent_access *access = &agent->table.accesses[index];
    struct access_evidence *s = &agent->table.selector_accesses[index];

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

void agent_table_evidence(struct agent *agent)
{
    struct agent_table *table = &agent->table;
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
        enum service_check_state check = path->check ? service_check_state(path->check) : SERVICE_CHECK_GOOD;

        if (path->health.state != HEALTH_UP || (path->full_size == FULL_SIZE_LOST &&
                                                agent->now_ns >= path->full_size_at_ns + FULL_SIZE_AGAIN_NS))
            path->full_size = FULL_SIZE_UNTESTED;
        s->pinned = orders_pins(&agent->orders, &agent->table, i);
        s->health = health_evidence(&path->health);
        s->on_link = !path->egress_error && agent->now_ns >= path->refused_until_ns;
        s->link_usable = path->link_usable;
        s->service_bad = check == SERVICE_CHECK_BAD;
        s->service_good = check == SERVICE_CHECK_GOOD;
        s->full_size = path->full_size;
    }
}

/* Never patient with a path of this host's own access: it is what the route comes home to. */
static uint64_t candidate_interval_ns(const struct agent *agent, uint32_t index)
{
    const struct agent_path *path = &agent->table.paths[index];
    uint64_t usual_ns = agent->config->probe.candidate_interval_ns;
    uint32_t access = agent->table.selector_paths[index].access;

    if (path->health.state == HEALTH_UP || !path->health.first_missed_ns || access == SELECTOR_NO_ACCESS ||
        agent->table.accesses[access].is_local)
        return usual_ns;
    return patience_interval_ns(
        usual_ns, sub_sat_u64(agent->now_ns, max_u64(path->health.first_missed_ns, path->again_ns)),
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

void agent_table_intervals(struct agent *agent)
{
    const struct config_probe *probe = &agent->config->probe;
    bool choice = has_choice(agent);

    for (uint32_t i = 0; i < agent->table.path_count; i++) {
        struct agent_path *path = &agent->table.paths[i];
        uint64_t interval_ns = i == agent->service.current || agent->service.decision.doubt
                                   ? probe->select_timeout_ns
                               : choice ? candidate_interval_ns(agent, i)
                                        : probe->candidate_interval_ns;

        if (!path->streamed || interval_ns == path->interval_ns)
            continue;
        path->interval_ns = interval_ns;
        probe_stream_set_interval(agent->stream, path->stream_id, interval_ns);
    }
}
