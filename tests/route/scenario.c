/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario.h"
#include <criterion/criterion.h>

#define BEGIN_NS  (100000 * NS_PER_S)
#define SELECT_NS (100 * NS_PER_MS)
#define WINDOW_NS (1 * NS_PER_S)
#define HOLD_NS   (180 * NS_PER_S)

static const struct {
    enum node node;
    enum selector_tier tier;
    const char *name;
} place[PATHS] = {
    [LOCAL] = {LOCAL_NODE, TIER_DATA, "local"},
    [LOCAL_2ND] = {LOCAL_NODE, TIER_SECONDARY, "local secondary"},
    [LOCAL_MGMT] = {LOCAL_NODE, TIER_MANAGEMENT, "local management"},
    [NEAR] = {NEAR_NODE, TIER_DATA, "near"},
    [NEAR_2ND] = {NEAR_NODE, TIER_SECONDARY, "near secondary"},
    [NEAR_MGMT] = {NEAR_NODE, TIER_MANAGEMENT, "near management"},
    [TWIN] = {TWIN_NODE, TIER_DATA, "twin"},
    [TWIN_MGMT] = {TWIN_NODE, TIER_MANAGEMENT, "twin management"},
    [FAR] = {FAR_NODE, TIER_DATA, "far"},
    [FAR_2ND] = {FAR_NODE, TIER_SECONDARY, "far secondary"},
    [FAR_MGMT] = {FAR_NODE, TIER_MANAGEMENT, "far management"},
    [FOREIGN] = {NODES, TIER_FOREIGN, "foreign"},
};

/* The cluster as it is now. */
static struct {
    struct access_memory access_memory[NODES];
    struct path_memory path_memory[PATHS];
    struct selector selector;
    struct selector_input input;
    struct access_evidence accesses[NODES];
    struct path_evidence paths[PATHS]; /* path p is at index p - 1 */
    bool answers[PATHS], absent[PATHS];
    enum path current;
} c;

uint32_t scenario_index(enum path path)
{
    return path == NO_ROUTE ? SELECTOR_NO_PATH : (uint32_t)path - 1;
}

static enum path path_at(uint32_t index)
{
    return index == SELECTOR_NO_PATH ? NO_ROUTE : (enum path)(index + 1);
}

static const char *name_of(enum path path)
{
    return path == NO_ROUTE ? "nothing" : path < PATHS ? place[path].name : "(no such path)";
}

static struct path_evidence *path_of(enum path p)
{
    return &c.paths[scenario_index(p)];
}

/* --- what a path does --- */

static void fall_silent(enum path p, uint64_t since_ns)
{
    struct health_evidence *h = &path_of(p)->health;

    c.answers[p] = false;
    if (h->missing)
        return;
    h->missing = true;
    h->first_missed_ns = since_ns;
    h->last_reply_ns = since_ns - 60 * NS_PER_MS;
    h->proven_ns = h->last_reply_ns - NS_PER_MS;
}

static void answer_again(enum path p, uint64_t now_ns)
{
    struct health_evidence *h = &path_of(p)->health;

    if (h->state != HEALTH_UP || h->degraded)
        h->up_since_ns = now_ns;
    h->state = HEALTH_UP;
    h->degraded = false;
    h->missing = h->losing = false;
    h->first_missed_ns = 0;
    c.answers[p] = true;
    path_of(p)->on_link = path_of(p)->link_usable = true;
}

static void lose_verdict(struct health_evidence *h)
{
    h->state = HEALTH_DOWN;
    h->degraded = false;
    h->up_since_ns = 0;
}

static void path_does(enum path p, enum doing doing, uint64_t now_ns)
{
    struct health_evidence *h = &path_of(p)->health;

    switch (doing) {
    case AS_BEFORE:
        break;
    case UP:
        answer_again(p, now_ns);
        break;
    case STALE:
        answer_again(p, now_ns);
        c.answers[p] = false;
        h->last_reply_ns = now_ns - WINDOW_NS - 500 * NS_PER_MS;
        h->proven_ns = h->last_reply_ns - NS_PER_MS;
        break;
    case RACED:
        answer_again(p, now_ns);
        c.answers[p] = false;
        h->last_reply_ns = now_ns - WINDOW_NS - 29 * NS_PER_MS;
        h->proven_ns = h->last_reply_ns - NS_PER_MS;
        break;
    case LOSING:
        answer_again(p, now_ns);
        h->losing = true;
        break;
    case MISSING:
        fall_silent(p, now_ns - SELECT_NS);
        break;
    case DOWN:
        fall_silent(p, now_ns - WINDOW_NS);
        lose_verdict(h);
        break;
    case DEGRADED:
        answer_again(p, now_ns);
        h->degraded = true;
        h->up_since_ns = 0;
        break;
    case UNJUDGED:
        *h = (struct health_evidence){0};
        c.answers[p] = false;
        break;
    case LINK_DOWN:
        c.answers[p] = false;
        lose_verdict(h);
        path_of(p)->link_usable = false;
        break;
    case UNPLUGGED:
        path_of(p)->link_usable = false;
        break;
    case OFF_LINK:
        path_of(p)->on_link = false;
        break;
    case ABSENT:
        c.absent[p] = true;
        path_does(p, UNJUDGED, now_ns);
        path_of(p)->access = SELECTOR_NO_ACCESS;
        path_of(p)->tier = TIER_FOREIGN;
        path_of(p)->on_link = false;
        break;
    }
}

static void session_says(enum node node, enum said said, uint64_t now_ns)
{
    struct access_evidence *a = &c.accesses[node];

    if (said != SAID_BEFORE)
        a->unlisted = said == UNLISTED;
    switch (said) {
    case SAID_BEFORE:
        break;
    case UNHEARD:
    case UNLISTED:
        a->session = SESSION_UNKNOWN;
        a->stable_at_ns = NEVER_NS;
        break;
    case ALIVE:
        a->session = SESSION_ALIVE;
        a->stable_at_ns = now_ns + HOLD_NS;
        break;
    case UNSTABLE:
        a->session = SESSION_ALIVE;
        a->stable_at_ns = NEVER_NS;
        break;
    case STABLE:
        a->session = SESSION_STABLE;
        a->stable_at_ns = now_ns;
        break;
    case DEAD:
        a->session = SESSION_DEAD;
        a->stable_at_ns = NEVER_NS;
        break;
    }
    if (a->session == SESSION_ALIVE && a->stable_at_ns <= now_ns)
        a->session = SESSION_STABLE;
}

/* --- a row --- */

static void apply_path(enum path p, const struct row *row, uint64_t now_ns)
{
    struct path_evidence *path = path_of(p);

    if (c.answers[p]) {
        path->health.last_reply_ns = now_ns - 2 * NS_PER_MS;
        path->health.proven_ns = now_ns - 3 * NS_PER_MS;
    }
    if (place[p].node < NODES && !c.absent[p])
        path_does(p, row->node[place[p].node], now_ns);
    path_does(p, row->is[p], now_ns);
    if (c.answers[p])
        path->health.proven_ns = now_ns - NS_PER_MS;
    if (row->pinned[p])
        path->pinned = row->pinned[p] == YES;
    if (row->service[p]) {
        path->service_bad = row->service[p] == BAD;
        path->service_good = row->service[p] == GOOD;
    }
    if (row->full_size[p])
        path->full_size = row->full_size[p] == PASSED ? FULL_SIZE_PASSED
                          : row->full_size[p] == LOST ? FULL_SIZE_LOST
                                                      : FULL_SIZE_UNTESTED;
    if (row->lost_per_mille[p])
        path->health.loss_ppm = row->lost_per_mille[p] > 0 ? 1000 * (uint32_t)row->lost_per_mille[p] : 0;
}

static void apply(const struct row *row, uint64_t now_ns)
{
    for (enum path p = LOCAL; p < PATHS; p++)
        apply_path(p, row, now_ns);
    for (enum node n = 0; n < NODES; n++) {
        session_says(n, row->session[n], now_ns);
        if (row->restarts[n])
            c.accesses[n].restarts = row->restarts[n] > 0 ? (unsigned)row->restarts[n] : 0;
        if (row->drained[n])
            c.accesses[n].drained = row->drained[n] == YES;
    }
    if (row->list)
        c.input.host.list_arrived = row->list == YES;
    if (row->route_gone)
        c.current = NO_ROUTE;
    c.input.now_ns = now_ns;
    c.input.current = scenario_index(c.current);
    if (row->contradicted)
        c.input.host.contradicted_ns =
            row->contradicted == YES ? path_of(c.current)->health.first_missed_ns : 0;
    if (row->stalled)
        c.input.host.stalled = row->stalled == YES;
    if (row->held_up)
        c.input.host.held_up = row->held_up == YES;
    c.input.host.failback_now = row->failback_now;
    c.input.host.pin_now = row->pin_now;
    c.input.host.pin_hard = row->pin_hard;
    c.input.host.sessions_waived = row->waived;
}

#define EXPECT(condition, format, ...) \
    cr_expect(condition, "%s, row \"%s\": " format, scenario->name, row->name, __VA_ARGS__)

static void compare(const struct scenario *scenario, const struct row *row,
                    const struct selector_decision *decision)
{
    enum want got = !decision->switch_now ? KEEP : decision->planned ? PLANNED : SWITCH;
    enum path to = path_at(decision->to), tests = path_at(decision->want_full_size);
    static const char *const want[] = {"keep", "switch", "planned switch"};

    EXPECT(got == row->want, "%s to %s (%s), wanted %s", want[got], name_of(to),
           selector_reason_text(decision->reason), want[row->want]);
    EXPECT(got == KEEP || to == row->to, "to %s, wanted %s", name_of(to), name_of(row->to));
    EXPECT(decision->reason == row->why, "because %s, wanted %s", selector_reason_text(decision->reason),
           selector_reason_text(row->why));
    EXPECT(tests == row->tests, "full-size probe of %s, wanted %s", name_of(tests), name_of(row->tests));
    if (row->again_ms)
        EXPECT(decision->again_ns == BEGIN_NS + row->again_ms * NS_PER_MS, "again at %.3f s, wanted %.3f s",
               ((double)decision->again_ns - (double)BEGIN_NS) / NS_PER_S, (double)row->again_ms / 1000);
    if (row->candidate)
        EXPECT(path_at(decision->candidate) == row->candidate, "candidate %s, wanted %s",
               name_of(path_at(decision->candidate)), name_of(row->candidate));
    if (row->hold_s)
        EXPECT(decision->candidate_hold_ns == row->hold_s * NS_PER_S, "hold %" PRIu64 " s, wanted %u s",
               decision->candidate_hold_ns / NS_PER_S, row->hold_s);
    if (row->doubt)
        EXPECT(decision->doubt == (row->doubt == YES), "doubt is %d", decision->doubt);
}

/* --- scenarios --- */

static void build(const struct scenario *scenario)
{
    static const enum selector_locality locality[NODES] = {LOCALITY_LOCAL, LOCALITY_SAME_ZONE,
                                                           LOCALITY_SAME_ZONE, LOCALITY_OTHER_ZONE};

    memset(&c, 0, sizeof(c));
    for (enum node n = 0; n < NODES; n++)
        c.accesses[n] =
            (struct access_evidence){.locality = locality[n], .session = SESSION_STABLE, .weight = 1000 - n};
    for (enum path p = LOCAL; p < PATHS; p++) {
        *path_of(p) = (struct path_evidence){
            .access = place[p].node == NODES ? SELECTOR_NO_ACCESS : place[p].node,
            .tier = place[p].tier,
            .on_link = true,
            .link_usable = true,
            .service_good = true,
            .full_size = FULL_SIZE_PASSED,
        };
        path_does(p, UP, BEGIN_NS - 3600 * NS_PER_S);
        if (scenario->unjudged)
            path_does(p, UNJUDGED, BEGIN_NS);
        if (!scenario->secondaries && place[p].tier == TIER_SECONDARY)
            path_does(p, ABSENT, BEGIN_NS);
    }
    c.current = scenario->start;
    c.selector = (struct selector){.paths = c.path_memory, .accesses = c.access_memory};
    c.input = (struct selector_input){
        .now_ns = BEGIN_NS,
        .paths = c.paths,
        .path_count = PATHS - 1,
        .accesses = c.accesses,
        .access_count = NODES,
        .current = scenario_index(c.current),
        .host.window_ns = WINDOW_NS,
        .host.select_timeout_ns = SELECT_NS,
        .host.hold_ns = HOLD_NS,
        .host.stay_ns = (scenario->stay_s ? scenario->stay_s : 10) * NS_PER_S,
        .host.damping_max_ns = SELECTOR_DAMPING_MAX_NS,
        .host.list_arrived = !scenario->unjudged,
        .host.cold_deadline_ns = BEGIN_NS + WINDOW_NS,
    };
}

static void play(const struct scenario *scenario)
{
    build(scenario);
    for (const struct row *row = scenario->rows; row < scenario->rows + ARRAY_SIZE(scenario->rows); row++) {
        struct selector_decision decision;

        if (!row->name)
            break;
        apply(row, BEGIN_NS + row->t_ms * NS_PER_MS);
        selector_decide(&c.selector, &c.input, &decision);
        compare(scenario, row, &decision);
        if (decision.switch_now)
            c.current = path_at(decision.to);
    }
}

void scenarios_play(const struct scenario *scenarios, size_t count)
{
    for (size_t i = 0; i < count; i++)
        play(&scenarios[i]);
}

const struct selector_input *scenario_input(void)
{
    build(&(const struct scenario){.name = "", .secondaries = true});
    return &c.input;
}

void scenario_pin(enum path path)
{
    path_of(path)->pinned = true;
}
