/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what must hold in every history, over a million random ones. Random clusters; paths that answer,
 * die, lose, are slow or refuse, through the real health_observe(); sessions, restarts, drains, pins, links,
 * service checks and full-size probes that come and go; steps from nothing to an hour. After every decision:
 *
 *   - a route is never withdrawn, and never moved to what cannot be entered;
 *   - never on a path that is not eligible while a better one has proved that it works, beyond the delay that
 *     rule 3 allows (one select-timeout);
 *   - a failover takes the best of what has proved that it works, from a degraded path only what has answered all of ten
 *     requests while all paths were probed as often;
 *   - never a move between equals, never to a lesser path while the current one is good;
 *   - kept, for two windows, while the host's own connection contradicts lost pings and nothing else speaks against it;
 *   - no failback before hold, by this test's own book-keeping, nor without a stable session, and so on;
 *   - planned only where nobody waits;
 *   - deciding again from the same memory gives the same decision, and a whole history gives the same ones;
 *   - without new evidence nothing changes before again_ns.
 *
 * What is eligible, and who ranks before whom, is written down here a second time, from the rules.
 *
 * REROUTE_TEST_HISTORIES and REROUTE_TEST_SEED choose how many and which; history i of seed s is history 0 of
 * seed s + i. A failure prints the command that plays the one history again, and its course.
 */
#include "probe/random.h"
#include "route/decide/selector.h"
#include "tests/lib/random_test.h"
#include <criterion/criterion.h>

#define ACCESSES  4
#define PATHS     10
#define STEPS     24
#define BEGIN_NS  (100000 * NS_PER_S)
#define SELECT_NS (1 * NS_PER_S)
/* All that can come of a request has come by then. */
#define JUDGED_AFTER_NS (SELECT_NS * 5 / 4)

enum mode { ANSWERS, DIES, LOSES, SLOW, REFUSES, MODES };

/* --- the world that the decisions are made in --- */

struct memory {
    struct selector selector;
    struct access_memory accesses[ACCESSES];
    struct path_memory paths[PATHS];
};

struct world {
    uint64_t random;
    struct memory memory;
    struct access_evidence accesses[ACCESSES];
    struct path_evidence paths[PATHS];
    struct selector_input input;
    struct health_settings settings;
    struct health health[PATHS];
    enum mode mode[PATHS];
    uint64_t next_sent_ns[PATHS];
    /* this test's own book-keeping */
    bool was_steady[PATHS], was_blocked[PATHS];
    uint64_t steady_since_ns[PATHS], down_seen_ns[PATHS], used_ns[PATHS];
    uint64_t trouble_since_ns; /* of the current path; 0: none */
    uint64_t asked_since_ns;   /* since when all paths are probed twice a select-timeout; 0: they are not */
    uint64_t unwell_since_ns;  /* since when it has not been clean and answering; 0: it is */
    uint64_t digest;           /* of all decisions */
    const char *broken;        /* the property that did not hold */
    bool trace;
};

static uint64_t below(struct world *w, uint64_t n)
{
    return random_next(&w->random) % n;
}

static bool one_in(struct world *w, uint64_t n)
{
    return below(w, n) == 0;
}

static void build_path(struct world *w, uint32_t i)
{
    struct path_evidence *p = &w->paths[i];

    *p = (struct path_evidence){
        .access = (uint32_t)below(w, w->input.access_count),
        .tier = one_in(w, 2)   ? TIER_DATA
                : one_in(w, 2) ? TIER_SECONDARY
                               : TIER_MANAGEMENT,
        .on_link = true,
        .link_usable = true,
        .service_good = true,
        .full_size = one_in(w, 2) ? FULL_SIZE_UNTESTED : FULL_SIZE_PASSED,
    };
    w->mode[i] = one_in(w, 4) ? (enum mode)below(w, MODES) : ANSWERS;
    w->next_sent_ns[i] = BEGIN_NS + below(w, SELECT_NS);
}

static void build(struct world *w, uint64_t seed)
{
    *w = (struct world){.trace = w->trace};
    w->random = seed * UINT64_C(0xd1342543de82ef95) + 1;
    w->settings = (struct health_settings){
        .select_timeout_ns = SELECT_NS,
        .select_count = 1 + (uint32_t)below(w, 3),
        .rise = 1 + (uint32_t)below(w, 3),
        .degraded_percent = 30,
        .degraded_over_ns = 5 * NS_PER_S,
        .hold_ns = (3 + below(w, 6)) * NS_PER_S,
    };
    w->memory.selector = (struct selector){.paths = w->memory.paths, .accesses = w->memory.accesses};
    w->input = (struct selector_input){
        .now_ns = BEGIN_NS,
        .paths = w->paths,
        .path_count = 2 + (uint32_t)below(w, PATHS - 1),
        .accesses = w->accesses,
        .access_count = 1 + (uint32_t)below(w, ACCESSES),
        .current = SELECTOR_NO_PATH,
        .host.window_ns = SELECT_NS * w->settings.select_count,
        .host.select_timeout_ns = SELECT_NS,
        .host.hold_ns = w->settings.hold_ns,
        .host.stay_ns = below(w, 12) * NS_PER_S,
        .host.damping_max_ns = SELECTOR_DAMPING_MAX_NS,
        .host.sessions_waived = one_in(w, 8),
        .host.cold_deadline_ns = BEGIN_NS + max_u64(SELECT_NS * w->settings.select_count, 2 * NS_PER_S),
    };
    for (uint32_t i = 0; i < w->input.access_count; i++)
        w->accesses[i] = (struct access_evidence){
            .locality = i == 0 ? LOCALITY_LOCAL : LOCALITY_SAME_ZONE + (enum selector_locality)below(w, 2),
            .session = one_in(w, 4) ? SESSION_UNKNOWN : SESSION_STABLE,
            .stable_at_ns = BEGIN_NS,
            .weight = random_next(&w->random),
        };
    for (uint32_t i = 0; i < w->input.path_count; i++)
        build_path(w, i);
    if (one_in(w, 4)) {
        w->paths[0].access = SELECTOR_NO_ACCESS;
        w->paths[0].tier = TIER_FOREIGN;
        w->input.current = 0;
    } else if (one_in(w, 2)) {
        w->input.current = (uint32_t)below(w, w->input.path_count);
    }
}

/* --- evidence --- */

static void observe(struct world *w, uint32_t i, enum probe_outcome outcome, uint64_t after_ns)
{
    health_observe(&w->health[i], &w->settings,
                   &(struct probe_observation){.outcome = outcome,
                                               .sent_ns = w->next_sent_ns[i],
                                               .at_ns = w->next_sent_ns[i] + after_ns,
                                               .rtt_ns = after_ns});
}

/* A path that loses much, all of a sudden. How many requests the health needs to be sure is not the matter here. */
static void degrade(struct health *h)
{
    if (h->state != HEALTH_UP || h->degraded)
        return;
    h->degraded = true;
    h->up_since_ns = 0;
    h->recent = (struct loss_span){0};
}

/* All requests of this path that are judged by now. */
static void probe_path(struct world *w, uint32_t i)
{
    const struct path_evidence *p = &w->paths[i];

    for (; w->next_sent_ns[i] + JUDGED_AFTER_NS <= w->input.now_ns; w->next_sent_ns[i] += SELECT_NS) {
        enum mode mode = w->mode[i];

        if (mode == LOSES && one_in(w, 4))
            degrade(&w->health[i]);
        if (mode == LOSES)
            mode = below(w, 100) < 40 ? DIES : ANSWERS;
        if (!p->link_usable)
            mode = REFUSES;
        if (mode == ANSWERS) {
            observe(w, i, PROBE_REPLY, NS_PER_MS + below(w, 5 * NS_PER_MS));
        } else if (mode == REFUSES) {
            observe(w, i, one_in(w, 2) ? PROBE_UNREACHABLE : PROBE_SEND_FAILED, below(w, SELECT_NS));
        } else {
            observe(w, i, PROBE_TIMEOUT, SELECT_NS);
            if (mode == SLOW)
                observe(w, i, PROBE_LATE, JUDGED_AFTER_NS);
        }
    }
}

static void change_path(struct world *w, uint32_t i)
{
    struct path_evidence *p = &w->paths[i];
    uint64_t what = below(w, 256);

    if (what < 24)
        w->mode[i] = ANSWERS;
    else if (what < 40)
        w->mode[i] = (enum mode)below(w, MODES);
    else if (what == 40)
        p->link_usable = !p->link_usable;
    else if (what == 41)
        p->on_link = !p->on_link;
    else if (what == 42)
        p->pinned = !p->pinned && p->access != SELECTOR_NO_ACCESS;
    else if (what == 43)
        p->service_bad = !p->service_bad;
    else if (what == 44)
        p->service_good = !p->service_good;
    else if (what < 50 && p->full_size == FULL_SIZE_LOST)
        p->full_size = FULL_SIZE_UNTESTED;
    if (p->service_bad)
        p->service_good = false;
    else if (what >= 240)
        p->service_good = true;
    if (!p->link_usable && w->health[i].state != HEALTH_DOWN)
        health_link_lost(&w->health[i]);
}

static void change_access(struct world *w, uint32_t i)
{
    struct access_evidence *a = &w->accesses[i];
    uint64_t what = below(w, 128);

    if (what == 0) {
        a->session = SESSION_DEAD;
    } else if (what < 5) {
        a->session = SESSION_ALIVE;
        a->stable_at_ns = w->input.now_ns + below(w, w->input.host.hold_ns * 2);
    } else if (what == 5 && !w->input.host.sessions_waived) {
        a->restarts = (unsigned)below(w, 5);
        a->session = SESSION_ALIVE;
        a->stable_at_ns = w->input.now_ns + w->input.host.hold_ns;
    } else if (what == 6) {
        a->drained = !a->drained;
    }
    if (a->session == SESSION_ALIVE && w->input.now_ns >= a->stable_at_ns)
        a->session = SESSION_STABLE;
    if (a->session == SESSION_DEAD || a->session == SESSION_UNKNOWN)
        a->stable_at_ns = NEVER_NS;
}

static void let_time_pass(struct world *w)
{
    uint64_t how = below(w, 64);

    if (how < 4)
        return;
    if (how < 16)
        w->input.now_ns += 1 + below(w, SELECT_NS);
    else if (how < 56)
        w->input.now_ns += SELECT_NS;
    else if (how < 63)
        w->input.now_ns += below(w, 6) * SELECT_NS;
    else
        w->input.now_ns += below(w, 4000) * NS_PER_S; /* little evidence comes of so long a time */
    for (uint32_t i = 0; i < w->input.path_count; i++)
        if (sub_sat_u64(w->input.now_ns, w->next_sent_ns[i]) > 8 * SELECT_NS)
            w->next_sent_ns[i] = w->input.now_ns - 2 * SELECT_NS - below(w, SELECT_NS);
}

/* The host's own connections say what they like: the rule asks nothing of them but when. */
static void change_witness(struct world *w)
{
    uint64_t what = below(w, 8);

    if (what == 0)
        w->input.host.contradicted_ns = w->input.now_ns - below(w, 3 * w->input.host.window_ns);
    else if (what < 5)
        w->input.host.contradicted_ns = 0;
    w->input.host.stalled = one_in(w, 8);
}

static void step(struct world *w)
{
    let_time_pass(w);
    for (uint32_t i = 0; i < w->input.path_count; i++) {
        probe_path(w, i);
        change_path(w, i);
        w->paths[i].health = health_evidence(&w->health[i]);
    }
    for (uint32_t i = 0; i < w->input.access_count; i++)
        change_access(w, i);
    change_witness(w);
    w->input.host.list_arrived = w->input.host.list_arrived || one_in(w, 3);
    w->input.host.failback_now = one_in(w, 48);
    w->input.host.pin_now = one_in(w, 48);
    w->input.host.pin_hard = one_in(w, 96);
}

/* --- the rules, a second time --- */

static const struct access_evidence *access_at(const struct world *w, uint32_t i)
{
    uint32_t access = w->paths[i].access;

    return access == SELECTOR_NO_ACCESS ? NULL : &w->accesses[access];
}

static bool can_be_entered(const struct world *w, uint32_t i)
{
    return w->paths[i].on_link && w->paths[i].link_usable;
}

static bool works(const struct world *w, uint32_t i)
{
    return can_be_entered(w, i) && w->health[i].state == HEALTH_UP;
}

/* Something beside the path's own health speaks against it. */
static bool is_blocked(const struct world *w, uint32_t i)
{
    const struct access_evidence *a = access_at(w, i);

    return !can_be_entered(w, i) || w->paths[i].service_bad || (a && a->drained);
}

/* Its access restarts over and over, and has not come to rest. */
static bool is_restless(const struct world *w, uint32_t i)
{
    const struct access_evidence *a = access_at(w, i);

    return a && a->restarts >= 3 && a->session != SESSION_STABLE;
}

static bool is_eligible(const struct world *w, uint32_t i)
{
    const struct access_evidence *a = access_at(w, i);

    return works(w, i) && !is_blocked(w, i) && !is_restless(w, i) && !(a && a->session == SESSION_DEAD);
}

static bool is_clean(const struct world *w, uint32_t i)
{
    return is_eligible(w, i) && !w->health[i].degraded;
}

/* Nothing but lost pings speaks against the current path, and the host's own connection contradicts them. */
static bool is_contradicted(const struct world *w)
{
    const struct access_evidence *a = access_at(w, w->input.current);

    return w->health[w->input.current].state == HEALTH_DOWN && !is_blocked(w, w->input.current) &&
           !is_restless(w, w->input.current) && !(a && a->session == SESSION_DEAD) &&
           w->input.host.contradicted_ns &&
           w->input.now_ns < w->input.host.contradicted_ns + 2 * w->input.host.window_ns;
}

static unsigned rank(const struct world *w, uint32_t i)
{
    static const unsigned by_place[3][3] = {
        [TIER_DATA] = {3, 5, 7}, [TIER_SECONDARY] = {4, 6, 8}, [TIER_MANAGEMENT] = {9, 10, 11}};
    const struct path_evidence *p = &w->paths[i];

    if (p->tier == TIER_FOREIGN)
        return 12;
    return p->pinned ? p->tier : by_place[p->tier][access_at(w, i)->locality];
}

/* Has it answered something that was sent after the current path's first miss, or, if that one answers,
 * lately? */
static bool has_proved(const struct world *w, uint32_t i)
{
    const struct health *current = &w->health[w->input.current];

    if (current->state == HEALTH_DOWN || current->misses > 0)
        return w->health[i].proven_ns > max_u64(current->last_reply_ns, current->first_missed_ns);
    return w->health[i].proven_ns > 0 && w->health[i].proven_ns + w->input.host.window_ns >= w->input.now_ns;
}

/* How long all paths have been probed twice a select-timeout, in requests. */
static uint64_t asked(const struct world *w)
{
    return w->asked_since_ns ? (w->input.now_ns - w->asked_since_ns) / (SELECT_NS / 2) : 0;
}

static bool leaves_degraded(const struct world *w)
{
    return is_eligible(w, w->input.current) && !is_clean(w, w->input.current);
}

/* Has it proved that it works, and where the current path is only degraded, that it is better? */
static bool is_safe(const struct world *w, uint32_t i)
{
    return has_proved(w, i) && (!leaves_degraded(w) || (asked(w) >= 15 && w->health[i].replies >= 15));
}

/* May a path like this be gone to from the current one? The worse that one is, the more. */
static bool is_acceptable(const struct world *w, uint32_t i)
{
    uint32_t current = w->input.current;

    if (i == current || w->paths[i].access == SELECTOR_NO_ACCESS)
        return false;
    if (!works(w, current))
        return works(w, i);
    return is_eligible(w, current) ? is_clean(w, i) : is_eligible(w, i);
}

/* Was it in use a moment ago? */
static bool was_just_left(const struct world *w, uint32_t i)
{
    return w->input.current != SELECTOR_NO_PATH && w->used_ns[i] > 0 &&
           w->input.now_ns < w->used_ns[i] + w->input.host.stay_ns;
}

/* Nothing has been clean for a hold: a better-ranked path that loses about as much. */
static bool is_settling(const struct world *w, uint32_t i)
{
    uint32_t current = w->input.current;
    const struct access_evidence *access = access_at(w, i);

    if (!is_eligible(w, current) || !is_eligible(w, i) || is_clean(w, i) || !access ||
        w->paths[current].access == SELECTOR_NO_ACCESS)
        return false;
    return rank(w, i) < rank(w, current) && w->input.now_ns >= w->unwell_since_ns + w->input.host.hold_ns &&
           !was_just_left(w, i) && w->paths[i].service_good &&
           (w->input.host.sessions_waived || access->session == SESSION_STABLE) &&
           health_loss_ppm(&w->health[i]) <= health_loss_ppm(&w->health[current]) + 100000;
}

/* Is a strictly better than b to fail over to? */
static bool is_better(const struct world *w, uint32_t a, uint32_t b)
{
    if (is_clean(w, a) != is_clean(w, b))
        return is_clean(w, a);
    if (is_eligible(w, a) != is_eligible(w, b))
        return is_eligible(w, a);
    if (is_eligible(w, a) && was_just_left(w, a) != was_just_left(w, b))
        return was_just_left(w, b);
    return is_eligible(w, a) && rank(w, a) < rank(w, b);
}

/* --- book-keeping --- */

static void keep_books(struct world *w)
{
    if (w->input.current != SELECTOR_NO_PATH)
        w->used_ns[w->input.current] = w->input.now_ns;
    for (uint32_t i = 0; i < w->input.path_count; i++) {
        const struct health *h = &w->health[i];
        /* Restarts are the session's side: it must be stable. */
        bool steady = works(w, i) && !h->degraded && !is_blocked(w, i);

        if (h->state == HEALTH_DOWN && h->replies == 0)
            w->down_seen_ns[i] = w->input.now_ns;
        if (steady && !w->was_steady[i])
            w->steady_since_ns[i] = w->was_blocked[i] ? w->input.now_ns : h->up_since_ns;
        w->was_steady[i] = steady;
        w->was_blocked[i] = is_blocked(w, i);
    }
    if (w->input.current == SELECTOR_NO_PATH ||
        (is_clean(w, w->input.current) && w->health[w->input.current].misses == 0))
        w->trouble_since_ns = w->unwell_since_ns = 0;
    else if (!w->trouble_since_ns)
        w->trouble_since_ns = w->input.now_ns;
    if (w->trouble_since_ns && !w->unwell_since_ns)
        w->unwell_since_ns = w->health[w->input.current].misses ? w->health[w->input.current].first_missed_ns
                                                                : w->input.now_ns;
}

/* --- the properties --- */

#define MUST(condition, what)   \
    do {                        \
        if (!(condition)) {     \
            w->broken = (what); \
            return;             \
        }                       \
    } while (0)

static void check_target(struct world *w, const struct selector_decision *d)
{
    bool planned = d->reason == SWITCH_FAILBACK || d->reason == SWITCH_FAILBACK_NOW ||
                   d->reason == SWITCH_PIN || d->reason == SWITCH_DRAINED;

    MUST(d->to < w->input.path_count && d->to != w->input.current, "a switch goes to another path");
    MUST(w->paths[d->to].access != SELECTOR_NO_ACCESS, "a switch goes to a configured path");
    MUST(w->paths[d->to].on_link, "a switch goes to a path that can be entered");
    MUST(!w->input.host.pin_hard || d->reason == SWITCH_PIN, "pinned hard: a pin is the only reason");
    MUST(d->planned == planned || w->input.host.pin_hard, "planned only where nobody waits");
    MUST(w->input.host.pin_hard || works(w, d->to), "a switch goes to a path that works");
}

static void check_pin_hard(struct world *w, const struct selector_decision *d)
{
    uint32_t current = w->input.current;

    MUST(current == SELECTOR_NO_PATH || !w->paths[current].pinned || !d->switch_now || w->input.host.pin_now,
         "pinned hard: never left but for a better path of a new pin");
    MUST(!d->switch_now || w->paths[d->to].pinned, "pinned hard: to a pinned path only");
    MUST(!d->planned || is_eligible(w, d->to), "pinned hard: planned only to a path that works");
}

static void check_cold_start(struct world *w, const struct selector_decision *d)
{
    bool late = w->input.now_ns >= w->input.host.cold_deadline_ns;

    MUST(d->doubt, "cold start: all paths are probed");
    MUST(!d->switch_now || late || w->input.host.list_arrived,
         "cold start: not before a list, or the deadline");
    for (uint32_t i = 0; i < w->input.path_count; i++) {
        if (w->paths[i].access == SELECTOR_NO_ACCESS)
            continue;
        MUST(!late || d->switch_now || !works(w, i), "cold start: at the deadline what works is used");
        MUST(!d->switch_now || !is_better(w, i, d->to), "cold start: the best eligible path");
        MUST(!d->switch_now || late || rank(w, i) >= rank(w, d->to),
             "cold start: before the deadline the top-ranked path only");
    }
}

static bool any_clean(const struct world *w)
{
    for (uint32_t i = 0; i < w->input.path_count; i++)
        if (i != w->input.current && w->paths[i].access != SELECTOR_NO_ACCESS && is_clean(w, i))
            return true;
    return false;
}

static void check_leaving(struct world *w, const struct selector_decision *d)
{
    MUST(d->doubt, "not eligible: all paths are probed");
    if (d->switch_now) {
        MUST(is_acceptable(w, d->to) || is_settling(w, d->to),
             "failover: to what is better than the current path");
        MUST(is_settling(w, d->to) ? has_proved(w, d->to) : is_safe(w, d->to),
             "failover: to what has proved that it works");
    }
    for (uint32_t i = 0; i < w->input.path_count; i++) {
        if (is_settling(w, i) && has_proved(w, i))
            MUST(d->switch_now ? !is_settling(w, d->to) || rank(w, i) >= rank(w, d->to) : any_clean(w),
                 "failover: among what is degraded alike to the best-ranked");
        if (!is_acceptable(w, i) || !is_safe(w, i))
            continue;
        MUST(d->switch_now || (leaves_degraded(w)
                                   ? asked(w) < 30
                                   : w->input.now_ns < w->trouble_since_ns + w->input.host.select_timeout_ns),
             "failover: not eligible, while something that has proved that it works is there");
        MUST(!d->switch_now || !is_better(w, i, d->to),
             "failover: to the best that has proved that it works");
    }
}

static void check_coming_home(struct world *w, const struct selector_decision *d)
{
    uint32_t to = d->to, current = w->input.current;
    const struct path_evidence *p = &w->paths[to];
    bool new_pin = w->input.host.pin_now && p->pinned, hurried = new_pin || w->input.host.failback_now;
    uint32_t loss_ppm = health_loss_ppm(&w->health[to]);

    MUST(rank(w, to) < rank(w, current),
         "a good path is left for a better-ranked one only, never for an equal");
    MUST(is_clean(w, to), "failback: to a clean path");
    MUST(p->service_good, "failback: the service check has succeeded");
    MUST(p->full_size == FULL_SIZE_PASSED || new_pin, "failback: a full-size probe has passed");
    MUST(w->paths[current].access != SELECTOR_NO_ACCESS || hurried || p->pinned,
         "a foreign next hop that answers is kept");
    if (hurried)
        return;
    MUST(w->input.now_ns >= w->steady_since_ns[to] + w->input.host.hold_ns, "failback: not before hold");
    MUST(!was_just_left(w, to), "failback: not to what was just left");
    /* Evidence of a step is up to JUDGED_AFTER_NS older than the decision. */
    MUST(w->steady_since_ns[to] + JUDGED_AFTER_NS > w->down_seen_ns[to],
         "failback: hold begins after it was down");
    MUST(w->input.host.sessions_waived || access_at(w, to)->session == SESSION_STABLE,
         "failback: the session is stable");
    MUST(loss_ppm <= 10000 || loss_ppm <= health_loss_ppm(&w->health[current]), "failback: the loss is low");
}

static void check(struct world *w, const struct selector_decision *d)
{
    uint32_t current = w->input.current;

    MUST(d->again_ns > w->input.now_ns, "again_ns is in the future");
    MUST(d->want_full_size == SELECTOR_NO_PATH || w->paths[d->want_full_size].full_size == FULL_SIZE_UNTESTED,
         "full-size probes of untested paths only");
    if (d->switch_now)
        check_target(w, d);
    if (w->broken)
        return;
    if (w->input.host.pin_hard)
        check_pin_hard(w, d);
    else if (current == SELECTOR_NO_PATH)
        check_cold_start(w, d);
    else if (can_be_entered(w, current) && w->health[current].state == HEALTH_UNKNOWN)
        MUST(!d->switch_now, "adopted: nothing moves before a verdict");
    else if (is_contradicted(w))
        MUST(!d->switch_now && d->doubt, "contradicted: kept, and all paths are probed");
    else if (!is_clean(w, current))
        check_leaving(w, d);
    else if (d->switch_now)
        check_coming_home(w, d);
}

static bool decisions_equal(const struct selector_decision *a, const struct selector_decision *b)
{
    return a->switch_now == b->switch_now && a->to == b->to && a->planned == b->planned &&
           a->reason == b->reason && a->doubt == b->doubt && a->candidate == b->candidate &&
           a->candidate_at_ns == b->candidate_at_ns && a->candidate_hold_ns == b->candidate_hold_ns &&
           a->want_full_size == b->want_full_size && a->again_ns == b->again_ns;
}

/* Decides from a copy of the memory, at another time perhaps. */
static void decide_apart(const struct world *w, const struct memory *memory, uint64_t now_ns,
                         struct selector_decision *decision)
{
    struct memory copy = *memory;
    struct selector_input input = w->input;

    copy.selector.paths = copy.paths;
    copy.selector.accesses = copy.accesses;
    input.now_ns = now_ns;
    selector_decide(&copy.selector, &input, decision);
}

static void check_time_alone(struct world *w, const struct selector_decision *d)
{
    uint64_t until_ns = min_u64(d->again_ns, w->input.now_ns + 7200 * NS_PER_S);
    struct selector_decision later;

    if (d->switch_now)
        return;
    decide_apart(w, &w->memory, until_ns - 1 - (one_in(w, 2) ? below(w, until_ns - w->input.now_ns) : 0),
                 &later);
    MUST(!later.switch_now && later.want_full_size == d->want_full_size,
         "without new evidence nothing changes before again_ns");
}

/* --- a history --- */

static void digest(struct world *w, const struct selector_decision *d)
{
    uint64_t word = d->to ^ (uint64_t)d->reason << 32 ^ (uint64_t)d->switch_now << 40 ^
                    (uint64_t)d->planned << 41 ^ (uint64_t)d->doubt << 42;

    w->digest = (w->digest ^ word ^ d->again_ns ^ (uint64_t)d->want_full_size << 20 ^ d->candidate) *
                    UINT64_C(0x100000001b3) +
                1;
}

static void print_step(const struct world *w, const struct selector_decision *d)
{
    fprintf(stderr, "%9.3f s, on %d%s:", (double)(w->input.now_ns - BEGIN_NS) / NS_PER_S,
            (int)w->input.current,
            w->input.host.pin_hard       ? ", pinned hard"
            : w->input.host.failback_now ? ", --now"
                                         : "");
    for (uint32_t i = 0; i < w->input.path_count; i++) {
        const struct access_evidence *a = access_at(w, i);

        fprintf(stderr, " %u:%s%s/%u/%u%s%s", i, health_state_text(w->health[i].state),
                w->health[i].degraded ? "-" : "", rank(w, i), w->health[i].misses,
                is_blocked(w, i) ? "!" : "", a && a->session == SESSION_STABLE ? "" : "?");
    }
    fprintf(stderr, " -> %s %d (%s), again in %.3f s\n", d->switch_now ? d->planned ? "plan" : "go" : "keep",
            (int)d->to, selector_reason_text(d->reason),
            d->again_ns == NEVER_NS ? -1 : (double)(d->again_ns - w->input.now_ns) / NS_PER_S);
}

static void carry_out(struct world *w, const struct selector_decision *d)
{
    if (d->want_full_size != SELECTOR_NO_PATH && !one_in(w, 4))
        w->paths[d->want_full_size].full_size = one_in(w, 6) ? FULL_SIZE_LOST : FULL_SIZE_PASSED;
    /* A planned switch may fail, and is decided again. */
    if (d->switch_now && !(d->planned && one_in(w, 4))) {
        w->input.current = d->to;
        w->trouble_since_ns = w->unwell_since_ns = 0;
    }
}

static void play(struct world *w, uint64_t seed, unsigned seen[SELECTOR_REASONS])
{
    build(w, seed);
    for (unsigned i = 0; i < STEPS && !w->broken; i++) {
        struct selector_decision d, twin;
        struct memory before;

        step(w);
        before = w->memory;
        keep_books(w);
        memset(&d, 0xa5, sizeof(d));
        memset(&twin, 0x5a, sizeof(twin));
        selector_decide(&w->memory.selector, &w->input, &d);
        decide_apart(w, &before, w->input.now_ns, &twin);
        if (w->trace)
            print_step(w, &d);
        if (!decisions_equal(&d, &twin))
            w->broken = "the same evidence and memory give the same decision";
        if (!w->broken)
            check(w, &d);
        if (!w->broken)
            check_time_alone(w, &d);
        seen[d.reason]++;
        if (!d.doubt)
            w->asked_since_ns = 0;
        else if (!w->asked_since_ns)
            w->asked_since_ns = w->input.now_ns;
        digest(w, &d);
        carry_out(w, &d);
    }
}

Test(selector_property, a_million_histories, .timeout = 200)
{
    uint64_t seed = random_test_seed(), count = random_test_histories(1000000, 50000);
    unsigned seen[SELECTOR_REASONS] = {0};
    static struct world w;

    for (uint64_t i = 0; i < count; i++) {
        play(&w, seed + i, seen);
        if (!w.broken && i % 64 == 0) {
            uint64_t once = w.digest;

            play(&w, seed + i, seen);
            if (w.digest != once)
                w.broken = "the same history gives the same decisions";
        }
        if (w.broken) {
            const char *broken = w.broken;

            w.trace = true;
            fprintf(stderr, "broken: %s\nagain: REROUTE_TEST_SEED=%" PRIu64 " REROUTE_TEST_HISTORIES=1\n",
                    broken, seed + i);
            play(&w, seed + i, seen);
            cr_assert_fail("history of seed %" PRIu64 ": %s", seed + i, broken);
        }
    }
    /* A history in which nothing happens proves nothing. */
    for (enum selector_reason reason = 0; count >= 50000 && reason < SELECTOR_REASONS; reason++)
        cr_expect_gt(seen[reason], count / 5000, "%s (%u) was the reason only %u times",
                     selector_reason_text(reason), reason, seen[reason]);
}
