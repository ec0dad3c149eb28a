/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The route of the service and its guard (route/keeper/): what it is told, and what follows from its answers.
 */
#include "route/agent/happening.h"
#include "route/agent/private.h"
#include "route/fib/host.h"

/* How often links and addresses are read where nothing tells that they changed. */
#define REREAD_NS (10 * NS_PER_S)
/* For so long a path is not chosen again through which a route was refused, and longer where a try takes time. */
#define REFUSED_FOR_NS     (1 * NS_PER_S)
#define REFUSED_FOR_MAX_NS (60 * NS_PER_S)
/* So long the end waits for a change, which is several commands; one alone may wait for a lock. */
#define END_NS (30 * NS_PER_S)

static struct keeper_hop hop_of(const struct agent *agent, const struct agent_path *path)
{
    return (struct keeper_hop){
        .address = path->address,
        .ifindex = path->entry.ifindex,
        .on_link = !path->entry.error && agent->now_ns >= path->entry.refused_until_ns,
        .link_usable = path->entry.link_usable,
    };
}

/* --- what it answers --- */

/* So long that every other path that answers can have its turn before. */
static uint64_t refused_for_ns(const struct agent_table *table, uint64_t took_ns)
{
    uint64_t turns = 0;

    for (uint32_t i = 0; i < table->path_count; i++)
        turns += table->paths[i].health.state == HEALTH_UP;
    return min_u64(REFUSED_FOR_NS + turns * took_ns, REFUSED_FOR_MAX_NS);
}

static void refused(struct agent *agent, const struct keeper_event *event)
{
    uint32_t to = agent_table_find(&agent->host.table, &event->hop);
    const struct happening refusal = {.kind = HAPPENED_REFUSAL,
                                      .path = to,
                                      .from = agent->service.current,
                                      .reason = (enum selector_reason)event->tag,
                                      .route = event};

    if (to != SELECTOR_NO_PATH)
        agent->host.table.paths[to].entry.refused_until_ns =
            agent->now_ns + refused_for_ns(&agent->host.table, event->took_ns);
    agent_tell(agent, &refusal);
}

static void switched(struct agent *agent, const struct keeper_event *event)
{
    struct agent_service *service = &agent->service;
    const struct happening happening = {.kind = HAPPENED_SWITCH,
                                        .path = agent_table_find(&agent->host.table, &event->hop),
                                        .from = service->current,
                                        .reason = (enum selector_reason)event->tag,
                                        .route = event};
    struct connections_host host;

    if (happening.path == SELECTOR_NO_PATH)
        return; /* it left the table while the guard worked: the next look finds the route elsewhere */
    service->current = happening.path;
    service->origin = ORIGIN_SWITCHED;
    service->switch_reason = happening.reason;
    service->since_realtime_ns = clock_now_ns(CLOCK_REALTIME);
    service->misses = 0;
    service->planned = (struct planned){0};
    agent->orders.failback_now = false;
    if (orders_pins(&agent->orders, &agent->host.table, service->current))
        agent->orders.pin_now = false;
    host = agent_connections_host(agent);
    connections_moved(&service->connections, &host, happening.from == SELECTOR_NO_PATH, agent->now_ns);
    agent_tell(agent, &happening);
}

static void adopted(struct agent *agent, const struct keeper_event *event)
{
    struct agent_service *service = &agent->service;

    guard_unwant(service->guard); /* what waits was decided without knowing of this route */
    service->current = agent_table_find(&agent->host.table, &event->hop);
    if (service->current == SELECTOR_NO_PATH &&
        agent_use_foreign(agent, &event->hop, event->route.ifindex) < 0)
        return;
    agent->host.egress_wanted = true;
    service->origin = ORIGIN_ADOPTED;
    service->since_realtime_ns = clock_now_ns(CLOCK_REALTIME);
    agent_tell(agent,
               &(struct happening){.kind = HAPPENED_ADOPTION, .path = service->current, .route = event});
}

/* A route stands: what an earlier run left open is not to be done any more. */
static void settle(struct agent *agent)
{
    agent->files.save_wanted |= address_is_set(&agent->service.unsettled);
    agent->service.unsettled = (struct address){0};
    agent->service.resume_wanted = false;
}

static void take_event(struct agent *agent, const struct keeper_event *event)
{
    switch (event->kind) {
    case KEEPER_STANDS:
        settle(agent);
        switched(agent, event);
        break;
    case KEEPER_REFUSED:
        refused(agent, event);
        break;
    case KEEPER_ADOPTED:
        settle(agent);
        adopted(agent, event);
        break;
    case KEEPER_GONE:
        agent->service.current = SELECTOR_NO_PATH;
        break;
    case KEEPER_REPAIRED:
        agent->files.save_wanted = true; /* what was adopted before is ours now */
        /* fall through */
    case KEEPER_REPAIR_FAILED:
    case KEEPER_TAKEN_BACK:
    case KEEPER_REDIRECT_UNDONE:
    case KEEPER_PACKETS:
    case KEEPER_UNREADABLE:
    case KEEPER_HANGS:
    case KEEPER_ANSWERS:
        agent_tell(agent, &(struct happening){.kind = HAPPENED_ROUTE, .route = event});
        break;
    }
}

static void take_events(struct agent *agent)
{
    struct keeper_event event;

    while (guard_next_event(agent->service.guard, &event))
        take_event(agent, &event);
}

/* --- what it is told --- */

/* The path in use has just missed a reply, or some path has just gone down. */
static bool is_in_doubt(struct agent *agent)
{
    const struct agent_table *table = &agent->host.table;
    uint64_t before = agent->service.misses;

    if (agent->service.current == SELECTOR_NO_PATH)
        return false;
    agent->service.misses = table->paths[agent->service.current].health.misses;
    if (before == 0 && agent->service.misses > 0)
        return true;
    for (uint32_t i = 0; i < table->path_count; i++)
        if (table->paths[i].health.state == HEALTH_DOWN && table->paths[i].noted != HEALTH_DOWN)
            return true;
    return false;
}

/* A slow FIB tells of no change: links and addresses are read again every now and then, and at a doubt. */
static void reread_host(struct agent *agent, bool doubt)
{
    struct fib_event none;

    if (!fib_is_slow(agent->fib) || (!doubt && agent->now_ns < agent->host.reread_ns))
        return;
    while (fib_next_event(agent->fib, &none))
        ;
    agent->host.egress_wanted = true;
    agent->host.reread_ns = agent->now_ns + REREAD_NS;
}

/* Fills *hop; NULL: there is none in use. */
static const struct keeper_hop *hop_in_use(const struct agent *agent, struct keeper_hop *hop)
{
    if (agent->service.current == SELECTOR_NO_PATH)
        return NULL;
    *hop = hop_of(agent, &agent->host.table.paths[agent->service.current]);
    return hop;
}

void agent_route_want(struct agent *agent, uint32_t path, enum selector_reason reason)
{
    const struct keeper_wish wish = {.to = hop_of(agent, &agent->host.table.paths[path]), .tag = reason};

    guard_want(agent->service.guard, &wish, agent->now_ns);
    take_events(agent);
}

/*
 * What the last run left unsettled is put, as soon as the agent acts. No evidence is waited for: a route to a node that
 * may not answer is no worse than none. One that stands is kept.
 */
static void resume(struct agent *agent)
{
    struct agent_service *service = &agent->service;
    uint32_t path = agent_table_find(&agent->host.table, &service->unsettled);

    if (!service->resume_wanted || !agent_acts(agent))
        return;
    service->resume_wanted = false;
    if (path == SELECTOR_NO_PATH) {
        settle(agent); /* there is no such way any more */
        return;
    }
    agent_route_want(agent, path, SWITCH_COLD_START);
}

void agent_route_step(struct agent *agent)
{
    struct keeper_hop hop;
    bool doubt = is_in_doubt(agent);

    reread_host(agent, doubt);
    guard_step(agent->service.guard, hop_in_use(agent, &hop), doubt, agent->now_ns);
    take_events(agent);
    agent_egress_step(agent); /* of an adopted next hop */
    resume(agent);
}

/* --- the end --- */

/* Where the route was to lead: no other way is known to be better. */
static struct address wanted_hop(const struct agent *agent)
{
    const struct agent_service *service = &agent->service;
    struct keeper_wish wish;

    if (guard_wish(service->guard, &wish))
        return wish.to.address;
    return service->current == SELECTOR_NO_PATH ? service->unsettled
                                                : agent->host.table.paths[service->current].address;
}

/* What the last run left unsettled was to be put, and no route stands yet. */
static bool is_still_unsettled(const struct agent *agent)
{
    return agent_acts(agent) && address_is_set(&agent->service.unsettled);
}

void agent_route_end(struct agent *agent)
{
    uint64_t begun_ns = clock_now_ns(CLOCK_MONOTONIC);
    struct keeper_hop hop;
    bool settled = guard_end(agent->service.guard, hop_in_use(agent, &hop), END_NS);

    take_events(agent);
    if (settled && !is_still_unsettled(agent))
        return;
    agent->service.unsettled = wanted_hop(agent);
    log_event(LOG_LEVEL_ERROR, "route-unsettled", "to=%s waited_s=%.0f hint=%s",
              ADDRESS_TEXT(&agent->service.unsettled),
              (double)(clock_now_ns(CLOCK_MONOTONIC) - begun_ns) / NS_PER_S,
              settled
                  ? LOG_QUOTE("what an earlier run left has not been put: there may be no route; the next "
                              "start puts it")
                  : LOG_QUOTE("a change of the route has not come to its end: there may be no route; the "
                              "next start puts it"));
}

/* --- events of the host --- */

static bool is_within(const struct fib_event *event, const struct address *address)
{
    return fib_prefix_covers(&event->network, event->prefix_length, address) ||
           address_equal(&event->address, address);
}

/* Hosts have many addresses and networks: only those around a path, an access' host or an adopted source
 * count. */
static bool concerns_us(const struct agent *agent, const struct fib_event *event)
{
    for (uint32_t i = 0; i < agent->host.table.path_count; i++)
        if (is_within(event, &agent->host.table.paths[i].address))
            return true;
    for (uint32_t i = 0; i < agent->host.table.access_count; i++)
        if (is_within(event, &agent->host.table.accesses[i].judged_host))
            return true;
    for (size_t i = 0; i < agent->config->bootstrap_count; i++)
        if (is_within(event, &agent->config->bootstrap[i]))
            return true;
    return guard_needs_source(agent->service.guard, &event->address);
}

bool agent_route_note(struct agent *agent, const struct fib_event *event)
{
    if (event->kind == FIB_EVENT_NEIGHBOUR)
        return false;
    if ((event->kind == FIB_EVENT_ADDRESS || event->kind == FIB_EVENT_NETWORK) && !concerns_us(agent, event))
        return false;
    if (event->kind == FIB_EVENT_RESYNC)
        log_event(LOG_LEVEL_WARN, "fib-resync",
                  "reason=\"notifications were lost; everything is read again\"");
    agent->host.egress_wanted |= event->kind != FIB_EVENT_ROUTE;
    guard_doubt(agent->service.guard);
    return true;
}

/* --- settings of the kernel --- */

static void warn_interface(struct agent *agent, const struct agent_path *path)
{
    char name[IF_NAMESIZE];
    const char *interface = if_indextoname(path->entry.ifindex, name) ? LOG_VALUE(name) : "?";

    if (fib_rp_filter(agent->fib, path->entry.ifindex) == 1)
        log_event(LOG_LEVEL_WARN, "rp-filter-strict", "interface=%s hint=%s", interface,
                  LOG_QUOTE("strict rp_filter can drop the service's replies after a move: set it to 2"));
    /* IPv6 heeds redirects of link-local routers only. */
    if ((path->address.family == AF_INET || address_is_link_local(&path->address)) &&
        fib_accepts_redirects(agent->fib, path->entry.ifindex, path->address.family) == 1)
        log_event(
            LOG_LEVEL_WARN, "accepts-redirects", "interface=%s hint=%s", interface,
            LOG_QUOTE("a node that forwards can send packets elsewhere by ICMP redirects, for up to a second "
                      "each time: set accept_redirects to 0 (IPv4: for all and for the interface)"));
}

void agent_route_warn(struct agent *agent)
{
    for (uint32_t i = 0; i < agent->host.table.path_count; i++) {
        const struct agent_path *path = &agent->host.table.paths[i];
        bool seen = path->entry.ifindex == 0;

        for (uint32_t j = 0; j < i && !seen; j++)
            seen = agent->host.table.paths[j].entry.ifindex == path->entry.ifindex;
        if (!seen)
            warn_interface(agent, path);
    }
}
