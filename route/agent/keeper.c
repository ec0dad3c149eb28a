/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper of the route: adopts one that stands, and between switches sees to it that ours stands and that
 * packets take it.
 *
 * What packets to the service really do is asked of the kernel (two lookups, whatever the size of its tables)
 * at every doubt: when the path in use misses a reply, when any path goes down, after a switch, when
 * something happened to a link, an address, a rule or a route that concerns us; and once a second. Four
 * answers are told apart.
 *
 *   ours        the route that they match is the one that was put or adopted, and they go to its next hop
 *   redirected  they match it, but go elsewhere: an ICMP redirect (RFC 792; RFC 4861, section 8) of a node
 *               that forwards for once. The kernel would keep that for minutes, whatever becomes of the other
 *               node. The detour belongs to the next hop of our own route, so the route is renewed
 *   shadowed    another route is in front of ours: reported, and left alone
 *   nowhere     a rule or a route says no, or ours is gone and cannot be put back
 *
 * When packets match no route of ours it may have been removed, or only be hidden. That is found out by a
 * list, whose price grows with the host's tables; so the answer is kept until something has changed. What was
 * removed or replaced is put back: at once, then as often as anything happens that makes it possible again.
 *
 * Events are noted only; the agent's step acts, once for all that came.
 */
#include "route/agent/private.h"
#include "route/fib/host.h"

#include <linux/rtnetlink.h>

#define CHECK_NS (1 * NS_PER_S)
#define LIST_NS  (10 * NS_PER_S)
#define REPAIR_INTERVAL_NS \
    (100 * NS_PER_MS)                      /* between two that succeed: somebody else wants another route \
                                            */
#define RETRY_INTERVAL_NS (10 * NS_PER_MS) /* after one that failed */
#define TELL_AGAIN_NS     (60 * NS_PER_S)
#define ROUTES_MAX        16

const char *agent_packets_text(enum agent_packets packets)
{
    static const char *const texts[] = {
        [PACKETS_UNKNOWN] = "unknown",   [PACKETS_OURS] = "ours",       [PACKETS_REDIRECTED] = "redirected",
        [PACKETS_SHADOWED] = "shadowed", [PACKETS_NOWHERE] = "nowhere",
    };

    return texts[packets];
}

static void check_soon(struct agent *agent, uint64_t at_ns)
{
    agent->keeper.check_ns = min_u64(agent->keeper.check_ns, at_ns);
}

/* --- is it ours? --- */

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
    return route->type == RTN_UNICAST && !route->multipath && route->ifindex && route->tos == 0;
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
    uint32_t ifindex = agent->keeper.adopted ? agent->keeper.standing.ifindex : path->ifindex;

    return is_usable(route) && route->ifindex == ifindex && address_equal(&hop, &path->address);
}

/* Is it the route that is kept? Where the kernel cannot tell which one packets match, the next hop has to do.
 */
static bool is_kept(const struct agent *agent, const struct fib_route *route)
{
    const struct address *service = &agent->config->service;

    if (route->cached)
        return route->redirected || leads_to_current(agent, route);
    return leads_to_current(agent, route) && route->table == agent->config->route.table &&
           address_equal(&route->destination, service) &&
           route->prefix_length == address_size_bytes(service) * 8 &&
           (agent->keeper.adopted || is_ours(agent, route));
}

/* Does it stand at all, hidden or not? What is there in its place: *found, of an empty destination: nothing.
 */
static bool stands(struct agent *agent, struct fib_route *found)
{
    struct agent_keeper *keeper = &agent->keeper;
    const struct config_route *config = &agent->config->route;
    uint8_t protocol = keeper->adopted ? keeper->standing.protocol : config->protocol;
    uint32_t metric = keeper->adopted ? keeper->standing.metric : config->metric;
    int error;

    memset(found, 0, sizeof(*found));
    if (keeper->list_is_known && agent->now_ns < keeper->list_ns)
        return keeper->stands;
    error = fib_find(agent->fib, &agent->config->service, protocol, metric, found);
    if (error < 0 && error != -ENOENT) { /* not known: nothing is done, and it is asked again */
        log_event(LOG_LEVEL_ERROR, "fib-read", "error=%s", LOG_QUOTE(fib_error(agent->fib)));
        return true;
    }
    keeper->list_is_known = true;
    keeper->list_ns = agent->now_ns + LIST_NS;
    keeper->stands = error == 0 && leads_to_current(agent, found);
    return keeper->stands;
}

/* --- adoption --- */

/* Takes a standing route as it is. */
static void adopt_route(struct agent *agent, const struct fib_route *route)
{
    struct address hop = next_hop(agent, route);
    char text[160];

    agent->current = agent_table_find(&agent->table, &hop);
    if (agent->current == SELECTOR_NO_PATH && agent_table_add_foreign(agent, &hop, route->ifindex) < 0)
        return;
    agent_table_egress(agent);
    agent->keeper.standing = *route;
    agent->keeper.adopted = true;
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
void agent_keeper_adopt(struct agent *agent)
{
    struct agent_keeper *keeper = &agent->keeper;
    struct fib_route routes[ROUTES_MAX];
    const struct fib_route *best = NULL;
    size_t count = ROUTES_MAX;

    keeper->check_ns = agent->now_ns + CHECK_NS;
    if (keeper->list_is_known && agent->now_ns < keeper->list_ns)
        return;
    if (fib_get(agent->fib, &agent->config->service, routes, &count) < 0) {
        log_event(LOG_LEVEL_ERROR, "fib-read", "error=%s", LOG_QUOTE(fib_error(agent->fib)));
        return;
    }
    keeper->list_is_known = true;
    keeper->list_ns = agent->now_ns + LIST_NS;
    for (size_t i = 0; i < count && i < ROUTES_MAX; i++)
        if (is_usable(&routes[i]) && (!best || (is_ours(agent, &routes[i]) && !is_ours(agent, best))))
            best = &routes[i];
    if (!best)
        return;
    adopt_route(agent, best);
    keeper->stands = true;
    check_soon(agent, agent->now_ns + REPAIR_INTERVAL_NS); /* is it what packets take? */
}

/* --- what packets do --- */

static void tell(struct agent *agent, enum agent_packets before)
{
    const struct agent_keeper *keeper = &agent->keeper;
    const char *hop = agent->current == SELECTOR_NO_PATH
                          ? "none"
                          : ADDRESS_TEXT(&agent->table.paths[agent->current].address);

    if (before != keeper->packets && before == PACKETS_SHADOWED)
        log_event(LOG_LEVEL_INFO, "shadow-gone", "next_hop=%s", hop);
    if (before != keeper->packets && before == PACKETS_NOWHERE)
        log_event(LOG_LEVEL_INFO, "way-back", "next_hop=%s", hop);
    if (keeper->packets == PACKETS_SHADOWED)
        log_event(LOG_LEVEL_WARN, "shadowed", "by=%s", LOG_QUOTE(keeper->instead));
    if (keeper->packets == PACKETS_REDIRECTED)
        log_event(LOG_LEVEL_WARN, "redirected", "next_hop=%s packets=%s", hop, LOG_QUOTE(keeper->instead));
    if (keeper->packets == PACKETS_NOWHERE)
        log_event(LOG_LEVEL_ERROR, "no-way", "next_hop=%s reason=%s", hop, LOG_QUOTE(keeper->instead));
}

/* Tells the log and the status, once. `instead`: empty for packets that take our route. */
static void note(struct agent *agent, enum agent_packets packets, const char *instead)
{
    struct agent_keeper *keeper = &agent->keeper;
    enum agent_packets before = keeper->packets;

    if (packets == before && strcmp(instead, keeper->instead) == 0)
        return;
    keeper->packets = packets;
    snprintf(keeper->instead, sizeof(keeper->instead), "%s", instead);
    tell(agent, before);
}

static void note_way(struct agent *agent, const struct fib_way *way)
{
    enum agent_packets packets = PACKETS_SHADOWED;
    char text[160];

    fib_way_text(way, text, sizeof(text));
    if (way->kind == FIB_WAY_NONE)
        packets = PACKETS_NOWHERE;
    else if (leads_to_current(agent, &way->taken)) /* a foreign one to the same next hop is as good as ours */
        packets = PACKETS_OURS;
    else if (way->kind == FIB_WAY_DETOUR && is_kept(agent, &way->matched))
        packets = PACKETS_REDIRECTED;
    else if (way->kind == FIB_WAY_DETOUR)
        fib_route_text(&way->taken, text, sizeof(text));
    note(agent, packets, packets == PACKETS_OURS ? "" : text);
}

static int look(struct agent *agent, struct fib_way *way)
{
    int error = fib_way(agent->fib, &agent->config->service, way);

    if (error < 0)
        log_event(LOG_LEVEL_ERROR, "fib-read", "error=%s", LOG_QUOTE(fib_error(agent->fib)));
    return error;
}

/* --- putting it right --- */

/* As fib_replace(). When the place of ours holds a foreign route, somebody replaced ours (`ip route
 * replace`): it is taken back. A foreign route that stood there first, or in front of ours, is left alone and
 * reported. */
static int replace_route(struct agent *agent, const struct agent_path *path)
{
    const struct address *service = &agent->config->service;
    const struct config_route *config = &agent->config->route;
    struct fib_route thief, ours;
    char text[160];
    int error = fib_replace(agent->fib, service, &path->address, path->ifindex,
                            agent->keeper.adopted ? &agent->keeper.standing : NULL, &thief);

    if (error != -EEXIST)
        return error;
    fib_route_text(&thief, text, sizeof(text));
    if (agent->current == SELECTOR_NO_PATH ||
        (agent->keeper.adopted && !is_ours(agent, &agent->keeper.standing)) || /* ours never stood there */
        fib_find(agent->fib, service, config->protocol, config->metric, &ours) != -ENOENT) {
        note(agent, PACKETS_SHADOWED, text);
        return error;
    }
    log_event(LOG_LEVEL_WARN, "route-taken-back", "found=%s", LOG_QUOTE(text));
    return fib_replace(agent->fib, service, &path->address, path->ifindex, &thief, NULL);
}

int agent_keeper_move(struct agent *agent, const struct agent_path *path)
{
    int error = replace_route(agent, path);

    agent->keeper.list_is_known = false;
    if (error < 0 && error != -ESTALE)
        return error;
    agent->keeper.adopted = false;
    return 0;
}

/* May the route be put right now? If it is only too early, later. */
static bool may_put_right(struct agent *agent)
{
    struct agent_keeper *keeper = &agent->keeper;
    const struct agent_path *path = &agent->table.paths[agent->current];
    uint64_t again_ns = keeper->tried_ns + (keeper->repair_failed ? RETRY_INTERVAL_NS : REPAIR_INTERVAL_NS);

    if (path->egress_error || !path->link_usable || agent->now_ns < path->refused_until_ns)
        return false; /* it cannot stand there now; the selector looks for another way */
    if (keeper->tried_ns && agent->now_ns < again_ns) {
        check_soon(agent, again_ns);
        return false;
    }
    keeper->tried_ns = agent->now_ns;
    return true;
}

static void repair(struct agent *agent, const struct fib_route *found)
{
    struct agent_keeper *keeper = &agent->keeper;
    const struct agent_path *path = &agent->table.paths[agent->current];
    bool adopted = keeper->adopted;
    char text[160] = "none";
    int error;

    if (!may_put_right(agent))
        return;
    if (address_is_set(&found->destination))
        fib_route_text(found, text, sizeof(text));
    keeper->adopted = false;
    error = agent_keeper_move(agent, path);
    if (error < 0) {
        if (!keeper->repair_failed)
            log_event(LOG_LEVEL_ERROR, "route-repair-failed", "found=%s next_hop=%s error=%s",
                      LOG_QUOTE(text), ADDRESS_TEXT(&path->address), LOG_QUOTE(fib_error(agent->fib)));
        keeper->repair_failed = true;
        keeper->adopted = adopted; /* whose it is may come back */
        return;
    }
    keeper->repair_failed = false;
    keeper->repairs++;
    log_event(LOG_LEVEL_WARN, "route-repaired", "found=%s next_hop=%s", LOG_QUOTE(text),
              ADDRESS_TEXT(&path->address));
}

/* A node that goes on redirecting does so every second: the log is told once a minute. */
static void tell_redirect(struct agent *agent, const struct fib_way *way)
{
    struct agent_keeper *keeper = &agent->keeper;
    bool again = address_equal(&keeper->detour, &way->taken.gateway) && keeper->told_ns &&
                 agent->now_ns < keeper->told_ns + TELL_AGAIN_NS;
    char text[160];

    log_event(again ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, "redirect-undone",
              "next_hop=%s found=%s count=%" PRIu64,
              ADDRESS_TEXT(&agent->table.paths[agent->current].address),
              LOG_QUOTE(fib_way_text(way, text, sizeof(text))), keeper->redirects);
    if (again)
        return;
    keeper->told_ns = agent->now_ns;
    keeper->detour = way->taken.gateway;
}

/* Renews the route, which an adopted one becomes ours by. */
static void undo_redirect(struct agent *agent, struct fib_way *way)
{
    const struct fib_way before = *way;

    if (!may_put_right(agent) || agent_keeper_move(agent, &agent->table.paths[agent->current]) < 0 ||
        look(agent, way) < 0 || way->kind == FIB_WAY_DETOUR)
        return;
    agent->keeper.redirects++;
    tell_redirect(agent, &before);
}

/* Packets match no route of ours. Is it hidden, or gone? */
static void look_beneath(struct agent *agent, struct fib_way *way)
{
    struct fib_route found;

    if (stands(agent, &found))
        return;
    if (agent->options->dry_run) {
        note(agent, PACKETS_UNKNOWN, "");
        agent->current = SELECTOR_NO_PATH; /* a dry run only follows what others do */
        agent->keeper.list_is_known = false;
        agent_keeper_adopt(agent);
        return;
    }
    repair(agent, address_is_set(&found.destination) ? &found : &way->matched);
    look(agent, way);
}

static void keep(struct agent *agent)
{
    struct fib_way way;

    agent->keeper.check_ns = agent->now_ns + CHECK_NS;
    if (agent->current == SELECTOR_NO_PATH) {
        agent_keeper_adopt(agent);
        return;
    }
    if (look(agent, &way) < 0)
        return;
    if (way.kind == FIB_WAY_NONE || !is_kept(agent, &way.matched))
        look_beneath(agent, &way);
    else if (way.kind == FIB_WAY_DETOUR && !agent->options->dry_run)
        undo_redirect(agent, &way);
    /* While its link is down the kernel takes the route away: the selector says so, and looks elsewhere. */
    if (agent->current != SELECTOR_NO_PATH && agent->table.paths[agent->current].link_usable)
        note_way(agent, &way);
}

void agent_keeper_moved(struct agent *agent)
{
    struct fib_way way;

    agent->keeper.repair_failed = false;
    agent->keeper.misses = 0;
    if (look(agent, &way) == 0)
        note_way(agent, &way);
}

/* --- when --- */

/* The path in use has just missed a reply, or some path has just gone down. */
static bool is_in_doubt(struct agent *agent)
{
    struct agent_keeper *keeper = &agent->keeper;
    const struct agent_table *table = &agent->table;
    uint64_t before = keeper->misses;

    if (agent->current == SELECTOR_NO_PATH)
        return false;
    keeper->misses = table->paths[agent->current].health.misses;
    if (before == 0 && keeper->misses > 0)
        return true;
    for (uint32_t i = 0; i < table->path_count; i++)
        if (table->paths[i].health.state == HEALTH_DOWN && table->paths[i].noted != HEALTH_DOWN)
            return true;
    return false;
}

void agent_keeper_step(struct agent *agent)
{
    struct agent_keeper *keeper = &agent->keeper;
    bool doubt = is_in_doubt(agent);

    if (keeper->egress_wanted) {
        keeper->egress_wanted = false;
        agent_table_egress(agent);
    }
    if (doubt || agent->now_ns >= keeper->check_ns)
        keep(agent);
}

static bool is_within(const struct fib_event *event, const struct address *address)
{
    return fib_prefix_covers(&event->network, event->prefix_length, address) ||
           address_equal(&event->address, address);
}

/* Hosts have many addresses and networks: only those around a path, an access' host or an adopted source
 * count. */
static bool concerns_us(const struct agent *agent, const struct fib_event *event)
{
    for (uint32_t i = 0; i < agent->table.path_count; i++)
        if (is_within(event, &agent->table.paths[i].address))
            return true;
    for (uint32_t i = 0; i < agent->table.access_count; i++)
        if (is_within(event, &agent->table.accesses[i].judged_host))
            return true;
    return agent->keeper.adopted && address_equal(&event->address, &agent->keeper.standing.source);
}

bool agent_keeper_note(struct agent *agent, const struct fib_event *event)
{
    struct agent_keeper *keeper = &agent->keeper;

    if (event->kind == FIB_EVENT_NEIGHBOUR)
        return false;
    if ((event->kind == FIB_EVENT_ADDRESS || event->kind == FIB_EVENT_NETWORK) && !concerns_us(agent, event))
        return false;
    if (event->kind == FIB_EVENT_RESYNC)
        log_event(LOG_LEVEL_WARN, "fib-resync",
                  "reason=\"notifications were lost; everything is read again\"");
    keeper->egress_wanted |= event->kind != FIB_EVENT_ROUTE;
    keeper->list_is_known = false;
    keeper->check_ns = 0;
    return true;
}

/* --- settings --- */

static void warn_interface(struct agent *agent, const struct agent_path *path)
{
    char name[IF_NAMESIZE];
    const char *interface = if_indextoname(path->ifindex, name) ? LOG_VALUE(name) : "?";

    if (fib_rp_filter(agent->fib, path->ifindex) == 1)
        log_event(LOG_LEVEL_WARN, "rp-filter-strict", "interface=%s hint=%s", interface,
                  LOG_QUOTE("strict rp_filter can drop the service's replies after a move: set it to 2"));
    /* IPv6 heeds redirects of link-local routers only. */
    if ((path->address.family == AF_INET || address_is_link_local(&path->address)) &&
        fib_accepts_redirects(agent->fib, path->ifindex, path->address.family) == 1)
        log_event(
            LOG_LEVEL_WARN, "accepts-redirects", "interface=%s hint=%s", interface,
            LOG_QUOTE("a node that forwards can send packets elsewhere by ICMP redirects, for up to a second "
                      "each time: set accept_redirects to 0 (IPv4: for all and for the interface)"));
}

void agent_keeper_warn(struct agent *agent)
{
    for (uint32_t i = 0; i < agent->table.path_count; i++) {
        const struct agent_path *path = &agent->table.paths[i];
        bool seen = path->ifindex == 0;

        for (uint32_t j = 0; j < i && !seen; j++)
            seen = agent->table.paths[j].ifindex == path->ifindex;
        if (!seen)
            warn_interface(agent, path);
    }
}
