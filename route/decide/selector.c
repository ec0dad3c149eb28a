/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The selector.
 *
 * The caller (the agent) writes what it knows into an input, calls selector_decide(), and carries out the
 * decision. The input is only read; everything the rules have to remember stands in struct selector. Nothing
 * here performs an effect: a decision that was not carried out (a refresh that failed) is simply made again.
 *
 * The rules, and where they are (their rows in tests/route/test_selector.c carry the same numbers):
 *
 *   1 cold start: decide_cold_start()
 *   2 adopt what stands: selector_decide() keeps an unjudged, improve() a foreign current path
 *   3 failover, with proof of life: leave(), is_proven(), pick()
 *   4 failback after hold: improve(), obstacle(), plan_ahead()
 *   5 equal rank never moves: is_candidate(); equals by rendezvous hashing: is_better()
 *   6 nothing eligible: leave(), worst_acceptable(); everything degraded: settle(); all lose at once: is_safe()
 *   7 damping: watch_access(), selector_hold_ns()
 *   8 pin and drain: selector_rank(), decide_pin_hard(), leave() with planned
 *   9 stall guard: not here, but in probe/stream.c, before anything becomes evidence
 *  10 not back at once: was_just_left(), used by pick() and hold_over_ns()
 *  11 the host's own connection: contradicted_until_ns()
 *
 * "Level" says how far a path may be used at all, "rank" which of the usable ones is preferred; level goes
 * first.
 */
#include "route/decide/selector.h"

#define RESTARTS_ARE_FAILURE 3
#define HEALTHY_AGAIN_NS     (3600 * NS_PER_S)
/* Two degraded paths are alike when one loses at most so much more than the other. */
#define ALIKE_PPM 100000
/* So many windows lost pings may last that the host's own connection contradicts (rule 11). */
#define CONTRADICTED_WINDOWS 2
/* How long before the end of hold the full-size probe is asked for. */
#define FULL_SIZE_AHEAD_NS (1 * NS_PER_S)

uint64_t selector_weight(uint64_t host, const struct address *access)
{
    return siphash24(access->bytes, sizeof(access->bytes), (const uint64_t[2]){host, 0});
}

static const struct access_evidence *access_of(const struct selector_input *input, uint32_t path)
{
    uint32_t access = input->paths[path].access;

    return access == SELECTOR_NO_ACCESS ? NULL : &input->accesses[access];
}

/* Of a path that has an access. */
static const struct access_memory *memory_of(const struct selector *selector,
                                             const struct selector_input *input, uint32_t path)
{
    return &selector->accesses[input->paths[path].access];
}

unsigned selector_rank(const struct selector_input *input, uint32_t path)
{
    const struct path_evidence *p = &input->paths[path];
    const struct access_evidence *access = access_of(input, path);

    if (!access)
        return 100;
    if (p->pinned)
        return p->tier;
    switch (p->tier) {
    case TIER_DATA:
    case TIER_SECONDARY:
        return 10 + 2 * access->locality + (p->tier == TIER_SECONDARY);
    case TIER_MANAGEMENT:
        return 20 + access->locality;
    case TIER_FOREIGN:
        break;
    }
    return 100;
}

/* What beside the pings speaks against a path that can be entered. */
static enum selector_level level_beside_health(const struct selector_input *input, uint32_t path,
                                               enum selector_reason *reason)
{
    const struct access_evidence *access = access_of(input, path);

    *reason = SWITCH_DRAINED;
    if (access && access->drained)
        return LEVEL_UNWANTED;
    *reason = SWITCH_SERVICE_CHECK;
    if (input->paths[path].service_bad)
        return LEVEL_UNWANTED;
    *reason = SWITCH_SESSION_DEAD;
    /* One list without it is no cause to leave it, but one not to go there. */
    if (access && (access->session == SESSION_DEAD || (access->unlisted && path != input->current)))
        return LEVEL_SESSION;
    *reason = SWITCH_RESTARTING;
    if (access && access->restarts >= RESTARTS_ARE_FAILURE && access->session != SESSION_STABLE)
        return LEVEL_SESSION;
    *reason = KEEP_BEST;
    return LEVEL_CLEAN;
}

enum selector_level selector_path_level(const struct selector_input *input, uint32_t path,
                                        enum selector_reason *reason)
{
    const struct path_evidence *p = &input->paths[path];
    enum selector_level beside;
    enum selector_reason unused;

    reason = reason ? reason : &unused;
    *reason = SWITCH_NOT_ON_LINK;
    if (!p->on_link)
        return LEVEL_NEVER;
    *reason = SWITCH_LINK_DOWN;
    if (!p->link_usable)
        return LEVEL_NEVER;
    *reason = SWITCH_PATH_DOWN;
    if (p->health.state == HEALTH_DOWN)
        return LEVEL_NEVER;
    *reason = KEEP_NO_VERDICT;
    if (p->health.state == HEALTH_UNKNOWN)
        return LEVEL_UNJUDGED;
    beside = level_beside_health(input, path, reason);
    if (beside != LEVEL_CLEAN || !p->health.degraded)
        return beside;
    *reason = SWITCH_DEGRADED;
    return LEVEL_DEGRADED;
}

static enum selector_level level_of(const struct selector_input *input, uint32_t path)
{
    return selector_path_level(input, path, NULL);
}

/* --- rule 11: the host's own connection --- */

/*
 * Until when the current path is kept though it does not answer, since nothing but lost pings speaks against it and the
 * host's data go over it all the same; 0: it is not kept for that.
 */
static uint64_t contradicted_until_ns(const struct selector_input *input)
{
    const struct path_evidence *p = &input->paths[input->current];
    enum selector_reason unused;
    uint64_t until_ns =
        add_sat_u64(input->host.contradicted_ns, CONTRADICTED_WINDOWS * input->host.window_ns);

    if (!input->host.contradicted_ns || input->now_ns >= until_ns || p->health.state != HEALTH_DOWN ||
        !p->on_link || !p->link_usable || level_beside_health(input, input->current, &unused) != LEVEL_CLEAN)
        return 0;
    return until_ns;
}

/* --- what works --- */

static bool is_storage(const struct path_evidence *path)
{
    return path->tier == TIER_DATA || path->tier == TIER_SECONDARY;
}

/* --- rule 7: damping --- */

uint64_t selector_hold_ns(const struct selector *selector, const struct selector_input *input, uint32_t path)
{
    const struct access_evidence *access = access_of(input, path);
    uint64_t hold_ns = input->host.hold_ns,
             most_ns = max_u64(input->host.hold_ns, input->host.damping_max_ns);

    if (!access || access->locality != LOCALITY_LOCAL)
        return hold_ns;
    for (unsigned i = 1; i < memory_of(selector, input, path)->failures && hold_ns < most_ns; i++)
        hold_ns *= 2;
    return min_u64(hold_ns, most_ns);
}

/* Did a storage path of another access answer a request that was sent after this? */
static bool other_storage_works(const struct selector_input *input, uint32_t access, uint64_t after_ns)
{
    for (uint32_t i = 0; i < input->path_count; i++) {
        const struct path_evidence *p = &input->paths[i];

        if (p->access != access && is_storage(p) && level_of(input, i) < LEVEL_UNJUDGED &&
            p->health.proven_ns > after_ns)
            return true;
    }
    return false;
}

/*
 * When did the last storage path of this access fall silent? NEVER_NS: its link went down. Half a
 * select-timeout of margin: what was sent right after the first miss may still have got through before a
 * cable was pulled.
 */
static uint64_t silent_since_ns(const struct selector_input *input, uint32_t access)
{
    uint64_t missed_ns = 0;

    for (uint32_t i = 0; i < input->path_count; i++)
        if (input->paths[i].access == access && is_storage(&input->paths[i]))
            missed_ns = max_u64(missed_ns, input->paths[i].health.first_missed_ns);
    return missed_ns ? missed_ns + input->host.select_timeout_ns / 2 : NEVER_NS;
}

static bool is_in_use(const struct selector_input *input, uint32_t access)
{
    return input->current != SELECTOR_NO_PATH && input->paths[input->current].access == access;
}

/*
 * Does it matter that this access, which has been well until now, fails? The route is there; or it would be, were it
 * not for the damping, which was right then. Elsewhere nobody is harmed.
 */
static bool failure_counts(const struct access_memory *memory, const struct selector_input *input,
                           uint32_t index)
{
    bool is_damped = memory->failures > 1;

    return is_in_use(input, index) ||
           (is_damped && input->now_ns - memory->healthy_since_ns >= input->host.hold_ns);
}

static void watch_access(struct access_memory *memory, const struct selector_input *input, uint32_t index)
{
    const struct access_evidence *access = &input->accesses[index];
    enum selector_level best = LEVEL_NEVER;
    bool known = false;

    if (access->locality != LOCALITY_LOCAL)
        return;
    if (access->drained) { /* maintenance: what happens now is no failure */
        memory->was_healthy = false;
        return;
    }
    if (is_in_use(input, index) && contradicted_until_ns(input))
        return; /* it goes on, or will be left */
    for (uint32_t i = 0; i < input->path_count; i++) {
        enum selector_level level = level_of(input, i);

        if (input->paths[i].access != index || !is_storage(&input->paths[i]) || level == LEVEL_UNJUDGED)
            continue;
        known = true;
        if (level < best)
            best = level;
    }
    if (!known)
        return;
    if (memory->was_healthy && input->now_ns - memory->healthy_since_ns >= HEALTHY_AGAIN_NS)
        memory->failures = 0;
    if (best <= LEVEL_DEGRADED) {
        if (!memory->was_healthy)
            memory->healthy_since_ns = input->now_ns;
        memory->was_healthy = true;
    } else if (memory->was_healthy) {
        memory->was_healthy = false;
        /* When the whole storage network is gone with it, it is the host's cable. */
        if (failure_counts(memory, input, index) &&
            other_storage_works(input, index, best == LEVEL_NEVER ? silent_since_ns(input, index) : 0))
            memory->failures++;
    }
}

/*
 * Does something beside its health speak against this path? Its time of steady health starts anew then. The
 * death of its session does not count here: stability has a clock of its own, which starts with the new life
 * and not when we hear of it.
 */
static bool is_blocked(const struct selector_input *input, uint32_t path)
{
    const struct path_evidence *p = &input->paths[path];
    const struct access_evidence *access = access_of(input, path);

    return !p->on_link || !p->link_usable || p->service_bad || (access && access->drained);
}

static void watch_current(struct selector *selector, const struct selector_input *input)
{
    const struct health_evidence *health;

    if (selector->doubted != input->current) /* a doubt does not go over to the next path */
        selector->doubt_since_ns = 0;
    selector->doubted = input->current;
    if (input->current == SELECTOR_NO_PATH)
        return;
    health = &input->paths[input->current].health;
    if (level_of(input, input->current) == LEVEL_CLEAN && !health->missing)
        selector->doubt_since_ns = 0;
    else if (!selector->doubt_since_ns)
        selector->doubt_since_ns = health->missing ? health->first_missed_ns : input->now_ns;
}

static void remember(struct selector *selector, const struct selector_input *input)
{
    for (uint32_t i = 0; i < input->path_count; i++) {
        struct path_memory *memory = &selector->paths[i];

        if (i == input->current)
            memory->used_ns = input->now_ns;
        if (is_blocked(input, i))
            memory->blocked_ns = NEVER_NS;
        else if (memory->blocked_ns == NEVER_NS)
            memory->blocked_ns = input->now_ns;
    }
    for (uint32_t i = 0; i < input->access_count; i++)
        watch_access(&selector->accesses[i], input, i);
    watch_current(selector, input);
}

/* --- picking --- */

/* Of two paths that work equally well: by rank, then weight (rule 5). */
static bool is_preferred(const struct selector_input *input, uint32_t a, uint32_t b)
{
    unsigned rank_a = selector_rank(input, a), rank_b = selector_rank(input, b);

    if (rank_a != rank_b)
        return rank_a < rank_b;
    return access_of(input, a) && access_of(input, b) &&
           access_of(input, a)->weight > access_of(input, b)->weight;
}

/* Is a a better choice than b? By level first. */
static bool is_better(const struct selector_input *input, uint32_t a, uint32_t b)
{
    enum selector_level level_a = level_of(input, a), level_b = level_of(input, b);

    return level_a != level_b ? level_a < level_b : is_preferred(input, a, b);
}

/*
 * Rule 3: never from one dead path to the next. While the current path is silent, the chosen one must have
 * answered a request that was sent after the current path's first miss: what was sent before that, though
 * after its last reply, may have been answered just before a failure of both. While the current path still
 * answers (its session died, it is drained), one within the last window.
 */
static bool is_proven(const struct selector_input *input, uint32_t path)
{
    const struct health_evidence *health = &input->paths[path].health, *current;

    if (input->current == SELECTOR_NO_PATH)
        return true;
    current = &input->paths[input->current].health;
    if (current->state == HEALTH_DOWN || current->missing || !input->paths[input->current].link_usable)
        return health->proven_ns > max_u64(current->last_reply_ns, current->first_missed_ns);
    return health->proven_ns && health->proven_ns + input->host.window_ns >= input->now_ns;
}

/*
 * Rule 10: a node keeps its half of a connection for a while after the host has gone. When the host comes back with the
 * same ports it meets that: a storage client has hung for more than a minute by it. Without a route nobody is connected.
 */
static uint64_t stay_over_ns(const struct selector *selector, const struct selector_input *input,
                             uint32_t path)
{
    uint64_t used_ns = selector->paths[path].used_ns;

    if (!used_ns || path == input->current || input->current == SELECTOR_NO_PATH)
        return 0;
    return add_sat_u64(used_ns, input->host.stay_ns);
}

static bool was_just_left(const struct selector *selector, const struct selector_input *input, uint32_t path)
{
    return input->now_ns < stay_over_ns(selector, input, path);
}

/* When the next path that was just left counts by its rank again; NEVER_NS: none. */
static uint64_t next_stay_over_ns(const struct selector *selector, const struct selector_input *input)
{
    uint64_t next_ns = NEVER_NS;

    for (uint32_t i = 0; i < input->path_count; i++)
        if (was_just_left(selector, input, i))
            next_ns = min_u64(next_ns, stay_over_ns(selector, input, i));
    return next_ns;
}

/*
 * Is a a better path to flee to than b? What was just left comes after all others of its level, of whatever rank; but
 * not among those that are a last resort only.
 */
static bool is_better_refuge(const struct selector *selector, const struct selector_input *input, uint32_t a,
                             uint32_t b)
{
    enum selector_level level_a = level_of(input, a), level_b = level_of(input, b);
    bool left_a = was_just_left(selector, input, a), left_b = was_just_left(selector, input, b);

    if (level_a != level_b)
        return level_a < level_b;
    return level_a <= LEVEL_DEGRADED && left_a != left_b ? left_b : is_preferred(input, a, b);
}

/* How long all paths must be probed every select-timeout before it is known which of them lose, too. */
static uint64_t compared_ns(const struct selector *selector, const struct selector_input *input,
                            unsigned times)
{
    uint64_t since_ns = selector->asked_since_ns ? selector->asked_since_ns : input->now_ns;

    return add_sat_u64(since_ns, times * HEALTH_LOSSLESS * input->host.select_timeout_ns);
}

/*
 * Has it proved that it works? To leave a degraded path more is asked for: what loses requests now, or lost more over the
 * hold, may be no better, and when the host's own link loses them no path is. Then each move would only break connections.
 */
static bool is_safe(const struct selector *selector, const struct selector_input *input, uint32_t path)
{
    if (!is_proven(input, path))
        return false;
    if (input->current == SELECTOR_NO_PATH || level_of(input, input->current) != LEVEL_DEGRADED)
        return true;
    return !input->paths[path].health.losing && input->now_ns >= compared_ns(selector, input, 1) &&
           !selector_loses(input->paths[path].health.loss_ppm, input->paths[input->current].health.loss_ppm);
}

/* The best other path up to level `worst`; a safe one when that is asked for. */
static uint32_t pick(const struct selector *selector, const struct selector_input *input,
                     enum selector_level worst, bool safe)
{
    uint32_t best = SELECTOR_NO_PATH;

    for (uint32_t i = 0; i < input->path_count; i++) {
        if (i == input->current || input->paths[i].access == SELECTOR_NO_ACCESS || level_of(input, i) > worst)
            continue;
        if (safe && !is_safe(selector, input, i))
            continue;
        if (best == SELECTOR_NO_PATH || is_better_refuge(selector, input, i, best))
            best = i;
    }
    return best;
}

static void keep(struct selector_decision *decision, enum selector_reason reason)
{
    decision->switch_now = false;
    decision->reason = reason;
}

static void go(struct selector_decision *decision, uint32_t path, enum selector_reason reason, bool planned)
{
    decision->switch_now = true;
    decision->to = path;
    decision->reason = reason;
    decision->planned = planned;
}

/* --- rule 1: cold start --- */

/* The path that would be chosen if all were clean. */
static uint32_t top_ranked(const struct selector_input *input)
{
    uint32_t top = SELECTOR_NO_PATH;

    for (uint32_t i = 0; i < input->path_count; i++)
        if (input->paths[i].access != SELECTOR_NO_ACCESS &&
            (top == SELECTOR_NO_PATH || is_preferred(input, i, top)))
            top = i;
    return top;
}

static void decide_cold_start(const struct selector *selector, const struct selector_input *input,
                              struct selector_decision *decision)
{
    bool late = input->now_ns >= input->host.cold_deadline_ns;
    uint32_t top = top_ranked(input), best;

    decision->doubt = true;
    if (!late &&
        (top == SELECTOR_NO_PATH || level_of(input, top) != LEVEL_CLEAN || !input->host.list_arrived)) {
        keep(decision, KEEP_COLD_START);
        decision->again_ns = input->host.cold_deadline_ns;
        return;
    }
    best = pick(selector, input, LEVEL_UNWANTED, false);
    if (best == SELECTOR_NO_PATH)
        keep(decision, KEEP_NOTHING_ELIGIBLE);
    else
        go(decision, best, SWITCH_COLD_START, false);
}

/* --- rule 3, 6, 8: leaving --- */

/* Rule 6: from a dead path anything that answers is better than nothing; from a living one only what is
 * better. */
static enum selector_level worst_acceptable(enum selector_level current)
{
    switch (current) {
    case LEVEL_NEVER:
        return LEVEL_UNWANTED;
    case LEVEL_UNWANTED:
    case LEVEL_SESSION:
        return LEVEL_DEGRADED;
    case LEVEL_DEGRADED:
    case LEVEL_CLEAN:
    case LEVEL_UNJUDGED:
        break;
    }
    return LEVEL_CLEAN;
}

/* Is this path to be preferred to the current one though both are degraded? */
static bool is_alike(const struct selector_input *input, uint32_t path)
{
    const struct path_evidence *p = &input->paths[path];
    const struct access_evidence *access = access_of(input, path);

    return access && selector_rank(input, path) < selector_rank(input, input->current) &&
           level_of(input, path) == LEVEL_DEGRADED && is_proven(input, path) && p->service_good &&
           (input->host.sessions_waived || access->session == SESSION_STABLE) &&
           p->health.loss_ppm <= input->paths[input->current].health.loss_ppm + ALIKE_PPM;
}

/*
 * Nothing is clean, since a network or a limit on echoes loses a part of everything: the last path that was
 * clean need not be a good one. After a hold rank counts again among what is degraded alike.
 */
static void settle(const struct selector *selector, const struct selector_input *input,
                   struct selector_decision *decision)
{
    uint64_t settled_ns = add_sat_u64(selector->doubt_since_ns, input->host.hold_ns), again_ns = NEVER_NS;
    uint32_t best = SELECTOR_NO_PATH;

    keep(decision, KEEP_DEGRADED);
    if (input->paths[input->current].access == SELECTOR_NO_ACCESS)
        return;
    for (uint32_t i = 0; i < input->path_count; i++) {
        uint64_t ready_ns = max_u64(settled_ns, stay_over_ns(selector, input, i));

        if (!is_alike(input, i))
            continue;
        if (input->now_ns < ready_ns)
            again_ns = min_u64(again_ns, ready_ns);
        else if (best == SELECTOR_NO_PATH || is_preferred(input, i, best))
            best = i;
    }
    if (best == SELECTOR_NO_PATH)
        decision->again_ns = again_ns;
    else
        go(decision, best, SWITCH_DEGRADED, false);
}

static void leave(const struct selector *selector, const struct selector_input *input,
                  enum selector_level level, enum selector_reason reason, struct selector_decision *decision)
{
    enum selector_level worst = worst_acceptable(level);
    uint32_t living = pick(selector, input, worst, true), hoped = pick(selector, input, worst, false);
    uint64_t patience_ns = level == LEVEL_DEGRADED
                               ? compared_ns(selector, input, 2)
                               : add_sat_u64(selector->doubt_since_ns, input->host.select_timeout_ns);

    decision->doubt = true;
    if (hoped == SELECTOR_NO_PATH) {
        if (level == LEVEL_DEGRADED)
            settle(selector, input, decision);
        else
            keep(decision, KEEP_NOTHING_ELIGIBLE);
        return;
    }
    if (living == SELECTOR_NO_PATH) {
        keep(decision, KEEP_WAIT_PROOF);
        if (level == LEVEL_DEGRADED && input->now_ns < compared_ns(selector, input, 1))
            decision->again_ns = compared_ns(selector, input, 1);
        return;
    }
    /*
     * A failure that was known at once (link down) leaves nobody the time to prove its life. So the better paths
     * get one select-timeout: else a worse one is taken because its answer came a millisecond earlier. From a
     * degraded path they get as long as the comparison took: one that loses little may have lost one just then.
     */
    if (input->now_ns < patience_ns && hoped != living) {
        keep(decision, KEEP_WAIT_PROOF);
        decision->again_ns = min_u64(patience_ns, next_stay_over_ns(selector, input));
        return;
    }
    go(decision, living, reason, reason == SWITCH_DRAINED);
}

/* --- rules 4, 5, 8: coming home --- */

/* A person's word: no hold. */
static bool is_hurried(const struct selector_input *input, uint32_t path)
{
    return input->host.failback_now || (input->host.pin_now && input->paths[path].pinned);
}

/* May the route move to this path one day? Rule 5: equal rank never moves. */
static bool is_candidate(const struct selector_input *input, uint32_t path)
{
    if (selector_rank(input, path) >= selector_rank(input, input->current) ||
        level_of(input, path) != LEVEL_CLEAN)
        return false;
    /* Rule 2: a foreign next hop is kept while it answers; only a person's word moves it. */
    return input->paths[input->current].access != SELECTOR_NO_ACCESS || input->paths[path].pinned ||
           is_hurried(input, path);
}

/* When the path has been steadily eligible for its hold, and was not just left. An hour of health ends the damping. */
static uint64_t hold_over_ns(const struct selector *selector, const struct selector_input *input,
                             uint32_t path)
{
    const struct access_evidence *access = access_of(input, path);
    const struct access_memory *memory = memory_of(selector, input, path);
    uint64_t since_ns = max_u64(input->paths[path].health.up_since_ns, selector->paths[path].blocked_ns);
    uint64_t hold_ns = selector_hold_ns(selector, input, path), damped_ns;

    /* A restart of the access is no break of its path; the longer hold begins with the session then. */
    if (hold_ns > input->host.hold_ns && !input->host.sessions_waived && access->stable_at_ns != NEVER_NS)
        since_ns = max_u64(since_ns, sub_sat_u64(access->stable_at_ns, input->host.hold_ns));
    damped_ns = add_sat_u64(since_ns, hold_ns);
    if (memory->was_healthy)
        damped_ns = min_u64(damped_ns, max_u64(add_sat_u64(since_ns, input->host.hold_ns),
                                               add_sat_u64(memory->healthy_since_ns, HEALTHY_AGAIN_NS)));
    return max_u64(damped_ns, stay_over_ns(selector, input, path));
}

/* When time alone stands in the way of this candidate no more; NEVER_NS: not known. */
static uint64_t ready_at_ns(const struct selector *selector, const struct selector_input *input,
                            uint32_t path)
{
    if (is_hurried(input, path))
        return input->now_ns;
    if (input->host.sessions_waived)
        return hold_over_ns(selector, input, path);
    return max_u64(hold_over_ns(selector, input, path), access_of(input, path)->stable_at_ns);
}

static bool lacks_full_size(const struct selector_input *input, uint32_t path)
{
    return input->paths[path].full_size != FULL_SIZE_PASSED &&
           !(input->host.pin_now && input->paths[path].pinned);
}

/* What keeps us from moving to this candidate: a KEEP_ reason, or KEEP_BEST for nothing. */
static enum selector_reason obstacle(const struct selector *selector, const struct selector_input *input,
                                     uint32_t path)
{
    const struct path_evidence *p = &input->paths[path];

    if (!is_hurried(input, path)) {
        if (input->now_ns < hold_over_ns(selector, input, path))
            return KEEP_HOLD;
        if (!input->host.sessions_waived && access_of(input, path)->session != SESSION_STABLE)
            return KEEP_WAIT_STABLE;
        if (selector_loses(p->health.loss_ppm, input->paths[input->current].health.loss_ppm))
            return KEEP_WAIT_LOSS;
    }
    if (!p->service_good)
        return KEEP_WAIT_SERVICE_CHECK;
    return lacks_full_size(input, path) ? KEEP_WAIT_FULL_SIZE : KEEP_BEST;
}

/* When to look at this candidate again, and whether to test its size now. */
static void plan_ahead(const struct selector *selector, const struct selector_input *input, uint32_t path,
                       struct selector_decision *decision)
{
    uint64_t ready_ns = ready_at_ns(selector, input, path),
             test_ns = sub_sat_u64(ready_ns, FULL_SIZE_AHEAD_NS);

    if (ready_ns == NEVER_NS)
        return;
    if (ready_ns > input->now_ns)
        decision->again_ns = min_u64(decision->again_ns, ready_ns);
    if (input->paths[path].full_size != FULL_SIZE_UNTESTED || !lacks_full_size(input, path))
        return;
    if (test_ns > input->now_ns)
        decision->again_ns = min_u64(decision->again_ns, test_ns);
    else if (decision->want_full_size == SELECTOR_NO_PATH || is_better(input, path, decision->want_full_size))
        decision->want_full_size = path;
}

/* Will this candidate be ready so soon that a move to a lesser one is not worth it? */
static bool is_soon(const struct selector *selector, const struct selector_input *input, uint32_t path)
{
    enum selector_reason why = obstacle(selector, input, path);
    uint64_t ready_ns = ready_at_ns(selector, input, path);

    if (why == KEEP_WAIT_FULL_SIZE)
        return input->paths[path].full_size == FULL_SIZE_UNTESTED;
    return (why == KEEP_HOLD || why == KEEP_WAIT_STABLE) && ready_ns > input->now_ns &&
           ready_ns - input->now_ns <= input->host.hold_ns / 10;
}

static enum selector_reason homecoming_reason(const struct selector_input *input, uint32_t path)
{
    if (input->paths[path].pinned && !input->paths[input->current].pinned)
        return SWITCH_PIN;
    return input->host.failback_now ? SWITCH_FAILBACK_NOW : SWITCH_FAILBACK;
}

static void improve(struct selector *selector, const struct selector_input *input,
                    struct selector_decision *decision)
{
    bool foreign = input->paths[input->current].access == SELECTOR_NO_ACCESS;
    uint32_t best = SELECTOR_NO_PATH, ready = SELECTOR_NO_PATH;

    for (uint32_t i = 0; i < input->path_count; i++) {
        if (!is_candidate(input, i))
            continue;
        plan_ahead(selector, input, i, decision);
        if (best == SELECTOR_NO_PATH || is_better(input, i, best))
            best = i;
        if (obstacle(selector, input, i) == KEEP_BEST &&
            (ready == SELECTOR_NO_PATH || is_better(input, i, ready)))
            ready = i;
    }
    if (best == SELECTOR_NO_PATH) {
        keep(decision, foreign ? KEEP_FOREIGN : KEEP_BEST);
        return;
    }
    /* One move, not two: a still better path whose turn comes soon is waited for. */
    for (uint32_t i = 0; ready != SELECTOR_NO_PATH && i < input->path_count; i++) {
        if (is_candidate(input, i) && is_better(input, i, ready) && is_soon(selector, input, i)) {
            ready = SELECTOR_NO_PATH;
            best = i;
        }
    }
    decision->candidate = best;
    decision->candidate_hold_ns = selector_hold_ns(selector, input, best);
    decision->candidate_at_ns = ready_at_ns(selector, input, best);
    if (ready == SELECTOR_NO_PATH) {
        keep(decision, obstacle(selector, input, best));
        return;
    }
    if (input->host.failback_now && access_of(input, ready)->locality == LOCALITY_LOCAL)
        selector->accesses[input->paths[ready].access].failures = 0;
    go(decision, ready, homecoming_reason(input, ready), true);
}

/* --- rule 8: pinned hard --- */

static void decide_pin_hard(const struct selector_input *input, struct selector_decision *decision)
{
    uint32_t best = SELECTOR_NO_PATH, current = input->current;
    bool there = current != SELECTOR_NO_PATH && input->paths[current].pinned;

    for (uint32_t i = 0; i < input->path_count; i++)
        if (input->paths[i].pinned && input->paths[i].on_link &&
            (best == SELECTOR_NO_PATH || is_better(input, i, best)))
            best = i;
    /* Of a new pin the best path is taken, be it from a lesser one of the same access; after that, no more.
     */
    if (best == SELECTOR_NO_PATH || (there && (!input->host.pin_now || !is_better(input, best, current))))
        keep(decision, KEEP_PIN_HARD);
    else
        go(decision, best, SWITCH_PIN,
           level_of(input, best) <= LEVEL_DEGRADED && current != SELECTOR_NO_PATH);
}

static void decide(struct selector *selector, const struct selector_input *input,
                   struct selector_decision *decision)
{
    enum selector_reason reason;
    enum selector_level level;

    if (input->host.pin_hard) {
        decide_pin_hard(input, decision);
        return;
    }
    if (input->current == SELECTOR_NO_PATH) {
        decide_cold_start(selector, input, decision);
        return;
    }
    level = selector_path_level(input, input->current, &reason);
    if (level == LEVEL_UNJUDGED) {
        decision->doubt = true;
        keep(decision, KEEP_NO_VERDICT);
    } else if (level == LEVEL_CLEAN) {
        improve(selector, input, decision);
        decision->doubt = selector->doubt_since_ns != 0 || input->host.stalled ||
                          input->paths[input->current].health.losing;
    } else if (contradicted_until_ns(input)) {
        decision->doubt = true;
        decision->again_ns = contradicted_until_ns(input);
        keep(decision, KEEP_CONTRADICTED);
    } else {
        leave(selector, input, level, reason, decision);
    }
}

void selector_decide(struct selector *selector, const struct selector_input *input,
                     struct selector_decision *decision)
{
    *decision = (struct selector_decision){
        .to = SELECTOR_NO_PATH,
        .candidate = SELECTOR_NO_PATH,
        .candidate_at_ns = NEVER_NS,
        .want_full_size = SELECTOR_NO_PATH,
        .again_ns = NEVER_NS,
    };
    remember(selector, input);
    decide(selector, input, decision);
    if (!decision->doubt)
        selector->asked_since_ns = 0;
    else if (!selector->asked_since_ns)
        selector->asked_since_ns = input->now_ns;
}
