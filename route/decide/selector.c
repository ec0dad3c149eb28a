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
 *   7 damping: watch_access() and selector_hold_ns() in selector_memory.c
 *   8 pin and drain: selector_rank() in selector_level.c, decide_pin_hard(), leave() with planned
 *   9 stall guard: not here, but in probe/stream.c, before anything becomes evidence
 *  10 not back at once: was_just_left(), used by pick() and obstacle()
 *  11 the host's own connection: selector_contradicted_until_ns(), is_degraded() in selector_level.c
 *
 * "Level" says how far a path may be used at all, "rank" which of the usable ones is preferred; level goes
 * first.
 */
#include "route/decide/selector.h"

/* Two degraded paths are alike when one loses at most so much more than the other. */
#define ALIKE_PPM 100000
/* How long before the end of hold the full-size probe is asked for. */
#define FULL_SIZE_AHEAD_NS (1 * NS_PER_S)

/* --- picking --- */

/* Of two paths that work equally well: by rank, then weight (rule 5). */
static bool is_preferred(const struct selector_input *input, uint32_t a, uint32_t b)
{
    unsigned rank_a = selector_rank(input, a), rank_b = selector_rank(input, b);

    if (rank_a != rank_b)
        return rank_a < rank_b;
    return selector_access(input, a) && selector_access(input, b) &&
           selector_access(input, a)->weight > selector_access(input, b)->weight;
}

/* Is a a better choice than b? By level first. */
static bool is_better(const struct selector_input *input, uint32_t a, uint32_t b)
{
    enum selector_level level_a = selector_level_of(input, a), level_b = selector_level_of(input, b);

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
uint64_t selector_stay_over_ns(const struct selector *selector, const struct selector_input *input,
                               uint32_t path)
{
    uint64_t used_ns = selector->paths[path].used_ns;

    if (!used_ns || path == input->current || input->current == SELECTOR_NO_PATH)
        return 0;
    return add_sat_u64(used_ns, input->host.stay_ns);
}

static bool was_just_left(const struct selector *selector, const struct selector_input *input, uint32_t path)
{
    return input->now_ns < selector_stay_over_ns(selector, input, path);
}

/* When the next path that was just left counts by its rank again; NEVER_NS: none. */
static uint64_t next_stay_over_ns(const struct selector *selector, const struct selector_input *input)
{
    uint64_t next_ns = NEVER_NS;

    for (uint32_t i = 0; i < input->path_count; i++)
        if (was_just_left(selector, input, i))
            next_ns = min_u64(next_ns, selector_stay_over_ns(selector, input, i));
    return next_ns;
}

/*
 * Is a a better path to flee to than b? What was just left comes after all others of its level, of whatever rank; but
 * not among those that are a last resort only.
 */
static bool is_better_refuge(const struct selector *selector, const struct selector_input *input, uint32_t a,
                             uint32_t b)
{
    enum selector_level level_a = selector_level_of(input, a), level_b = selector_level_of(input, b);
    bool left_a = was_just_left(selector, input, a), left_b = was_just_left(selector, input, b);

    if (level_a != level_b)
        return level_a < level_b;
    return level_a <= LEVEL_DEGRADED && left_a != left_b ? left_b : is_preferred(input, a, b);
}

/* How long all paths must be probed as often as the one in use before it is known which of them lose, too. */
static uint64_t compared_ns(const struct selector *selector, const struct selector_input *input,
                            unsigned times)
{
    uint64_t since_ns = selector->asked_since_ns ? selector->asked_since_ns : input->now_ns;

    return add_sat_u64(since_ns, times * HEALTH_LOSSLESS * health_pace(input->host.select_timeout_ns));
}

/*
 * Has it proved that it works? To leave a degraded path more is asked for: what loses requests now, or lost more over the
 * hold, may be no better, and when the host's own link loses them no path is. Then each move would only break connections.
 */
static bool is_safe(const struct selector *selector, const struct selector_input *input, uint32_t path)
{
    if (!is_proven(input, path))
        return false;
    if (input->current == SELECTOR_NO_PATH || selector_level_of(input, input->current) != LEVEL_DEGRADED)
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
        if (i == input->current || input->paths[i].access == SELECTOR_NO_ACCESS ||
            selector_level_of(input, i) > worst)
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
    if (!late && (top == SELECTOR_NO_PATH || selector_level_of(input, top) != LEVEL_CLEAN ||
                  !input->host.list_arrived)) {
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
    const struct access_evidence *access = selector_access(input, path);

    return access && selector_rank(input, path) < selector_rank(input, input->current) &&
           selector_level_of(input, path) == LEVEL_DEGRADED && is_proven(input, path) && p->service_good &&
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
        uint64_t ready_ns = max_u64(settled_ns, selector_stay_over_ns(selector, input, i));

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
        selector_level_of(input, path) != LEVEL_CLEAN)
        return false;
    /* Rule 2: a foreign next hop is kept while it answers; only a person's word moves it. */
    return input->paths[input->current].access != SELECTOR_NO_ACCESS || input->paths[path].pinned ||
           is_hurried(input, path);
}

/* When the path has been steadily eligible for its hold. An hour of health ends the damping. */
static uint64_t hold_over_ns(const struct selector *selector, const struct selector_input *input,
                             uint32_t path)
{
    const struct access_evidence *access = selector_access(input, path);
    const struct access_memory *memory = &selector->accesses[input->paths[path].access];
    uint64_t since_ns = max_u64(input->paths[path].health.up_since_ns, selector->paths[path].blocked_ns);
    uint64_t hold_ns = selector_hold_ns(selector, input, path), damped_ns;

    /* A restart of the access is no break of its path; the longer hold begins with the session then. */
    if (hold_ns > input->host.hold_ns && !input->host.sessions_waived && access->stable_at_ns != NEVER_NS)
        since_ns = max_u64(since_ns, sub_sat_u64(access->stable_at_ns, input->host.hold_ns));
    damped_ns = add_sat_u64(since_ns, hold_ns);
    if (memory->was_healthy)
        damped_ns =
            min_u64(damped_ns, max_u64(add_sat_u64(since_ns, input->host.hold_ns),
                                       add_sat_u64(memory->healthy_since_ns, SELECTOR_HEALTHY_AGAIN_NS)));
    return damped_ns;
}

/* When time alone stands in the way of this candidate no more; NEVER_NS: not known. */
static uint64_t ready_at_ns(const struct selector *selector, const struct selector_input *input,
                            uint32_t path)
{
    uint64_t over_ns;

    if (is_hurried(input, path))
        return input->now_ns;
    over_ns = max_u64(hold_over_ns(selector, input, path), selector_stay_over_ns(selector, input, path));
    if (input->host.sessions_waived)
        return over_ns;
    return max_u64(over_ns, selector_access(input, path)->stable_at_ns);
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
        if (was_just_left(selector, input, path))
            return KEEP_STAY;
        if (!input->host.sessions_waived && selector_access(input, path)->session != SESSION_STABLE)
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
    return (why == KEEP_HOLD || why == KEEP_STAY || why == KEEP_WAIT_STABLE) && ready_ns > input->now_ns &&
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
    if (input->host.failback_now && selector_access(input, ready)->locality == LOCALITY_LOCAL)
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
           selector_level_of(input, best) <= LEVEL_DEGRADED && current != SELECTOR_NO_PATH);
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
    } else if (selector_contradicted_until_ns(input)) {
        decision->doubt = true;
        decision->again_ns = selector_contradicted_until_ns(input);
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
    selector_remember(selector, input);
    decide(selector, input, decision);
    if (!decision->doubt)
        selector->asked_since_ns = 0;
    else if (!selector->asked_since_ns)
        selector->asked_since_ns = input->now_ns;
}
