/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper asks the kernel what packets to the service really do. That takes two lookups, whatever the size
 * of its tables. It asks once a second, and at every doubt:
 *   - the path in use misses a reply, or any path goes down;
 *   - the route has been moved;
 *   - something happened to a link, an address, a rule or a route that concerns us.
 *
 * There are four answers:
 *
 *   ours        Packets match the route that was put or adopted, and go to its next hop.
 *   redirected  They match it and go elsewhere: an ICMP redirect (RFC 792; RFC 4861, section 8) of a node
 *               that forwards for once. The kernel would keep that for minutes, whatever becomes of the other
 *               node. The detour belongs to the next hop of our own route, so the route is renewed.
 *   shadowed    Another route is in front of ours. It is reported, and left alone.
 *   nowhere     A rule or a route says no, or ours is gone and cannot be put back.
 *
 * When packets match no route of ours, it may have been removed, or only be hidden. A list of routes tells. A
 * list costs more the more routes the host has, so the answer is kept until something has changed. What was
 * removed or replaced is put back at once, and then as often as something happens that makes it possible.
 *
 * Our own changes come back as notifications, and each makes us look again. So whatever is put because of a
 * look has a pace.
 */
#include "route/keeper/keeper.h"

#include "probe/scope.h"

#include <linux/rtnetlink.h>

#define CHECK_NS           (1 * NS_PER_S)    /* between two looks without a cause */
#define LIST_NS            (10 * NS_PER_S)   /* a list is believed for so long when nothing happens */
#define REPAIR_INTERVAL_NS (100 * NS_PER_MS) /* between two that succeed: somebody else wants another route */
#define RETRY_INTERVAL_NS  (10 * NS_PER_MS)  /* after one that failed */
#define UNDO_AGAIN_NS      (1 * NS_PER_S)    /* after a redirect that could not be undone */
#define TELL_AGAIN_NS      (60 * NS_PER_S)
#define ROUTES_MAX         16
#define EVENTS_MAX         16 /* more than one call can make */

struct keeper {
    struct keeper_settings settings;
    struct keeper_report report;
    uint64_t now_ns;
    struct keeper_hop hop; /* in use; without an address: there is none */

    bool adopted;              /* the route stands as it was found */
    struct fib_route standing; /* that route */

    uint64_t check_ns;  /* when to look next; 0: now */
    bool list_is_known; /* whether ours stands is known, until list_ns */
    bool stands;
    uint64_t list_ns;

    uint64_t tried_ns;     /* when the route was last put because of a look */
    uint64_t undo_ns;      /* no redirect is undone before */
    uint64_t told_ns;      /* when a redirect was told of */
    struct address detour; /* and where it led to */

    struct keeper_event events[EVENTS_MAX]; /* a ring */
    unsigned first, count;
};

const char *keeper_packets_text(enum keeper_packets packets)
{
    static const char *const texts[] = {
        [PACKETS_UNKNOWN] = "unknown",   [PACKETS_OURS] = "ours",       [PACKETS_REDIRECTED] = "redirected",
        [PACKETS_SHADOWED] = "shadowed", [PACKETS_NOWHERE] = "nowhere",
    };

    return texts[packets];
}

/* --- life --- */

int keeper_new(struct keeper **out, const struct keeper_settings *settings)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return -ENOMEM;
    (*out)->settings = *settings;
    return 0;
}

struct keeper *keeper_free(struct keeper *keeper)
{
    free(keeper);
    return NULL;
}

const struct keeper_report *keeper_report(const struct keeper *keeper)
{
    return &keeper->report;
}

uint64_t keeper_deadline_ns(const struct keeper *keeper)
{
    return keeper->check_ns;
}

static void check_soon(struct keeper *keeper, uint64_t at_ns)
{
    keeper->check_ns = min_u64(keeper->check_ns, at_ns);
}

void keeper_doubt(struct keeper *keeper)
{
    keeper->list_is_known = false;
    keeper->check_ns = 0;
}

void keeper_follow(struct keeper *keeper, bool follow_only)
{
    keeper->settings.follow_only = follow_only;
    keeper->report.unrepaired &= !follow_only; /* it is not ours to repair now */
    keeper_doubt(keeper);
}

bool keeper_needs_source(const struct keeper *keeper, const struct address *address)
{
    return keeper->adopted && address_equal(address, &keeper->standing.source);
}

/* --- events --- */

/* The place of a new event, which the caller fills. Nobody has pulled for too long: the last one is lost. */
static struct keeper_event *tell(struct keeper *keeper, enum keeper_event_kind kind)
{
    struct keeper_event *event;

    if (keeper->count == EVENTS_MAX)
        keeper->count--;
    event = &keeper->events[(keeper->first + keeper->count++) % EVENTS_MAX];
    *event = (struct keeper_event){.kind = kind, .hop = keeper->hop.address};
    return event;
}

static struct keeper_event *tell_error(struct keeper *keeper, enum keeper_event_kind kind, int error)
{
    struct keeper_event *event = tell(keeper, kind);

    event->error = error;
    snprintf(event->why, sizeof(event->why), "%s", fib_error(keeper->settings.fib));
    return event;
}

bool keeper_next_event(struct keeper *keeper, struct keeper_event *event)
{
    if (keeper->count == 0)
        return false;
    *event = keeper->events[keeper->first];
    keeper->first = (keeper->first + 1) % EVENTS_MAX;
    keeper->count--;
    return true;
}

/* --- is it ours? --- */

static bool is_in_use(const struct keeper *keeper)
{
    return address_is_set(&keeper->hop.address);
}

static bool is_ours(const struct keeper *keeper, const struct fib_route *route)
{
    return fib_is_ours(keeper->settings.fib, route);
}

static bool is_usable(const struct fib_route *route)
{
    return route->type == RTN_UNICAST && !route->multipath && route->ifindex && route->tos == 0;
}

/* The next hop of an on-link route is the service itself. */
static struct address next_hop(const struct keeper *keeper, const struct fib_route *route)
{
    return address_is_set(&route->gateway) ? route->gateway : keeper->settings.service;
}

static bool leads_to_hop(const struct keeper *keeper, const struct fib_route *route)
{
    struct address hop = next_hop(keeper, route);
    /* An adopted route is left as it is, even where we would have taken another interface. */
    uint32_t ifindex = keeper->adopted ? keeper->standing.ifindex : keeper->hop.ifindex;

    return is_usable(route) && route->ifindex == ifindex && address_equal(&hop, &keeper->hop.address);
}

/* Is it the route that is kept? Where the kernel cannot tell which one packets match, the next hop has to do.
 */
static bool is_kept(const struct keeper *keeper, const struct fib_route *route)
{
    const struct address *service = &keeper->settings.service;

    if (route->cached)
        return route->redirected || leads_to_hop(keeper, route);
    if (!leads_to_hop(keeper, route) || !address_equal(&route->destination, service) ||
        route->prefix_length != address_size_bytes(service) * 8)
        return false;
    return keeper->adopted ? route->table == keeper->standing.table : is_ours(keeper, route);
}

/* Does it stand at all, hidden or not? What is there in its place: *found, of an empty destination: nothing.
 */
static bool stands(struct keeper *keeper, struct fib_route *found)
{
    int error;

    memset(found, 0, sizeof(*found));
    if (keeper->list_is_known && keeper->now_ns < keeper->list_ns)
        return keeper->stands;
    error = fib_find(keeper->settings.fib, &keeper->settings.service,
                     keeper->adopted ? &keeper->standing : NULL, found);
    if (error < 0 && error != -ENOENT) { /* not known: nothing is done, and it is asked again */
        tell_error(keeper, KEEPER_UNREADABLE, error);
        return true;
    }
    keeper->list_is_known = true;
    keeper->list_ns = keeper->now_ns + LIST_NS;
    keeper->stands = error == 0 && leads_to_hop(keeper, found);
    return keeper->stands;
}

/* --- adoption --- */

/* Takes a standing route as it is. */
static void adopt_route(struct keeper *keeper, const struct fib_route *route)
{
    struct keeper_event *event;

    keeper->standing = *route;
    keeper->adopted = true;
    keeper->stands = true;
    keeper->hop = (struct keeper_hop){.address = next_hop(keeper, route), .ifindex = route->ifindex};
    event = tell(keeper, KEEPER_ADOPTED);
    event->route = *route;
    event->ours = is_ours(keeper, route);
    check_soon(keeper, keeper->now_ns + REPAIR_INTERVAL_NS); /* is it what packets take? */
}

/* Ours, if it stands there (a restart): a foreign one that hides it is reported, not taken. Else the best. */
static void adopt(struct keeper *keeper)
{
    struct fib_route routes[ROUTES_MAX];
    const struct fib_route *best = NULL;
    size_t count = ROUTES_MAX;
    int error;

    if (keeper->list_is_known && keeper->now_ns < keeper->list_ns)
        return;
    error = fib_get(keeper->settings.fib, &keeper->settings.service, routes, &count);
    if (error < 0) {
        tell_error(keeper, KEEPER_UNREADABLE, error);
        return;
    }
    keeper->list_is_known = true;
    keeper->list_ns = keeper->now_ns + LIST_NS;
    for (size_t i = 0; i < count && i < ROUTES_MAX; i++)
        if (is_usable(&routes[i]) && (!best || (is_ours(keeper, &routes[i]) && !is_ours(keeper, best))))
            best = &routes[i];
    if (best)
        adopt_route(keeper, best);
}

/* --- what packets do --- */

/* Reports it, once. `instead`: empty for packets that take our route. */
static void note(struct keeper *keeper, enum keeper_packets packets, const char *instead)
{
    struct keeper_report *report = &keeper->report;
    struct keeper_event *event;

    if (packets == report->packets && strcmp(instead, report->instead) == 0)
        return;
    event = tell(keeper, KEEPER_PACKETS);
    event->before = report->packets;
    event->packets = packets;
    snprintf(event->text, sizeof(event->text), "%s", instead);
    report->packets = packets;
    memcpy(report->instead, event->text, sizeof(report->instead));
}

static void note_way(struct keeper *keeper, const struct fib_way *way)
{
    enum keeper_packets packets = PACKETS_SHADOWED;
    char text[KEEPER_TEXT_SIZE];

    fib_way_text(way, text, sizeof(text));
    if (way->kind == FIB_WAY_NONE)
        packets = PACKETS_NOWHERE;
    else if (leads_to_hop(keeper, &way->taken)) /* a foreign one to the same next hop is as good as ours */
        packets = PACKETS_OURS;
    else if (way->kind == FIB_WAY_DETOUR && is_kept(keeper, &way->matched))
        packets = PACKETS_REDIRECTED;
    else if (way->kind == FIB_WAY_DETOUR)
        fib_route_text(&way->taken, text, sizeof(text));
    note(keeper, packets, packets == PACKETS_OURS ? "" : text);
}

static bool look(struct keeper *keeper, struct fib_way *way)
{
    int error = fib_way(keeper->settings.fib, &keeper->settings.service, way);

    if (error < 0)
        tell_error(keeper, KEEPER_UNREADABLE, error);
    return error == 0;
}

/* --- putting it right --- */

/*
 * As fib_replace(). When the place of ours holds a foreign route, somebody replaced ours (`ip route
 * replace`): it is taken back. A foreign route that stood there first, or in front of ours, is left alone and
 * reported.
 */
static int replace_route(struct keeper *keeper, const struct keeper_hop *to)
{
    struct fib *fib = keeper->settings.fib;
    const struct address *service = &keeper->settings.service;
    struct fib_route foreign, ours;
    char text[KEEPER_TEXT_SIZE];
    int error = fib_replace(fib, service, &to->address, to->ifindex,
                            keeper->adopted ? &keeper->standing : NULL, &foreign);

    if (error != -EEXIST)
        return error;
    fib_route_text(&foreign, text, sizeof(text));
    if (!is_in_use(keeper) ||
        (keeper->adopted && !is_ours(keeper, &keeper->standing)) || /* ours never stood there */
        fib_find(fib, service, NULL, &ours) != -ENOENT) {
        note(keeper, PACKETS_SHADOWED, text);
        return error;
    }
    snprintf(tell(keeper, KEEPER_TAKEN_BACK)->text, KEEPER_TEXT_SIZE, "%s", text);
    return fib_replace(fib, service, &to->address, to->ifindex, &foreign, NULL);
}

/* 0 when ours stands (packets may still not take it), or a negative errno. */
static int move(struct keeper *keeper, const struct keeper_hop *to)
{
    int error = replace_route(keeper, to);

    keeper->list_is_known = false;
    if (error < 0 && error != -ESTALE)
        return error;
    keeper->adopted = false;
    return 0;
}

void keeper_want(struct keeper *keeper, const struct keeper_wish *wish, uint64_t now_ns)
{
    uint64_t begun_ns = clock_now_ns(CLOCK_MONOTONIC);
    struct keeper_event *answer;
    struct fib_way way;
    int error;

    keeper->now_ns = now_ns;
    error = move(keeper, &wish->to);
    keeper->report.stands = error == 0;
    if (error == 0) {
        keeper->hop = wish->to;
        keeper->report.unrepaired = false;
    }
    answer = error < 0 ? tell_error(keeper, KEEPER_REFUSED, error) : tell(keeper, KEEPER_STANDS);
    answer->hop = wish->to.address;
    answer->tag = wish->tag;
    answer->took_ns = clock_now_ns(CLOCK_MONOTONIC) - begun_ns;
    if (error < 0)
        return;
    if (look(keeper, &way))
        note_way(keeper, &way);
}

/* May the route be put right now? If it is only too early, later. */
static bool may_put_right(struct keeper *keeper)
{
    uint64_t again_ns =
        keeper->tried_ns + (keeper->report.unrepaired ? RETRY_INTERVAL_NS : REPAIR_INTERVAL_NS);

    if (keeper->settings.follow_only)
        return false;
    if (!keeper->hop.on_link || !keeper->hop.link_usable)
        return false; /* it cannot stand there now; the selector looks for another way */
    if (keeper->tried_ns && keeper->now_ns < again_ns) {
        check_soon(keeper, again_ns);
        return false;
    }
    keeper->tried_ns = keeper->now_ns;
    return true;
}

static void repair(struct keeper *keeper, const struct fib_route *found)
{
    bool adopted = keeper->adopted;
    char text[KEEPER_TEXT_SIZE] = "none";
    int error;

    if (!may_put_right(keeper))
        return;
    if (address_is_set(&found->destination))
        fib_route_text(found, text, sizeof(text));
    keeper->adopted = false; /* what was adopted is gone: its place is ours now */
    error = move(keeper, &keeper->hop);
    if (error < 0) {
        if (!keeper->report.unrepaired)
            snprintf(tell_error(keeper, KEEPER_REPAIR_FAILED, error)->text, KEEPER_TEXT_SIZE, "%s", text);
        keeper->report.unrepaired = true;
        keeper->adopted = adopted; /* whose it is may come back */
        return;
    }
    keeper->report.stands = true;
    keeper->report.unrepaired = false;
    keeper->report.repairs++;
    snprintf(tell(keeper, KEEPER_REPAIRED)->text, KEEPER_TEXT_SIZE, "%s", text);
}

/* A node that goes on redirecting does so every second. */
static void tell_redirect(struct keeper *keeper, const struct fib_way *way)
{
    struct keeper_event *event = tell(keeper, KEEPER_REDIRECT_UNDONE);

    event->again = address_equal(&keeper->detour, &way->taken.gateway) && keeper->told_ns &&
                   keeper->now_ns < keeper->told_ns + TELL_AGAIN_NS;
    fib_way_text(way, event->text, sizeof(event->text));
    if (event->again)
        return;
    keeper->told_ns = keeper->now_ns;
    keeper->detour = way->taken.gateway;
}

/*
 * Renews the route, which an adopted one becomes ours by. False: it is not known any more what packets do.
 * What cannot be undone (another route shares what was learnt, and the kernel may not be told to forget it)
 * is tried again at leisure.
 */
static bool undo_redirect(struct keeper *keeper, struct fib_way *way)
{
    const struct fib_way before = *way;

    if (keeper->now_ns < keeper->undo_ns || !may_put_right(keeper))
        return true;
    keeper->undo_ns = keeper->now_ns + UNDO_AGAIN_NS;
    if (move(keeper, &keeper->hop) < 0)
        return true;
    if (!look(keeper, way))
        return false;
    if (way->kind == FIB_WAY_DETOUR)
        return true;
    keeper->undo_ns = 0;
    keeper->report.redirects++;
    tell_redirect(keeper, &before);
    return true;
}

/* A renewal that was broken off half way left a source address in our route. */
static bool is_half_renewed(const struct keeper *keeper, const struct fib_route *matched)
{
    return !keeper->adopted && !matched->cached && address_is_set(&matched->source);
}

/* Puts ours where it stands, for what that cleans up. False: it is not known any more what packets do. */
static bool put_again(struct keeper *keeper, struct fib_way *way)
{
    if (!may_put_right(keeper) || move(keeper, &keeper->hop) < 0)
        return true;
    return look(keeper, way);
}

/* Packets match no route of ours. Is it hidden, or gone? False: it is not known any more what they do. */
static bool look_beneath(struct keeper *keeper, struct fib_way *way)
{
    struct fib_route found;

    keeper->report.stands = stands(keeper, &found);
    if (keeper->report.stands)
        return fib_has_leftover(keeper->settings.fib) ? put_again(keeper, way) : true;
    if (keeper->settings.follow_only) {
        note(keeper, PACKETS_UNKNOWN, "");
        tell(keeper, KEEPER_GONE);
        keeper->hop = (struct keeper_hop){0};
        keeper->list_is_known = false;
        adopt(keeper);
        keeper->report.stands = is_in_use(keeper);
        return false;
    }
    repair(keeper, address_is_set(&found.destination) ? &found : &way->matched);
    return look(keeper, way);
}

static void keep(struct keeper *keeper)
{
    struct fib_way way;
    bool known = true;

    keeper->check_ns = keeper->now_ns + CHECK_NS;
    scope_refresh_address(&keeper->settings.service);
    if (!is_in_use(keeper)) {
        adopt(keeper);
        keeper->report.stands = is_in_use(keeper);
        return;
    }
    if (!look(keeper, &way))
        return;
    if (way.kind == FIB_WAY_NONE || !is_kept(keeper, &way.matched)) {
        known = look_beneath(keeper, &way);
    } else {
        keeper->report.stands = true;
        keeper->report.unrepaired = false; /* we or another put it back */
        if (way.kind == FIB_WAY_DETOUR)
            known = undo_redirect(keeper, &way);
        else if (is_half_renewed(keeper, &way.matched) || fib_has_leftover(keeper->settings.fib))
            known = put_again(keeper, &way);
    }
    /* While its link is down the kernel takes the route away: the selector says so, and looks elsewhere. */
    if (known && keeper->hop.link_usable)
        note_way(keeper, &way);
}

void keeper_step(struct keeper *keeper, const struct keeper_hop *in_use, bool doubt, uint64_t now_ns)
{
    keeper->now_ns = now_ns;
    keeper->hop = in_use ? *in_use : (struct keeper_hop){0};
    if (doubt || now_ns >= keeper->check_ns)
        keep(keeper);
}
