/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The selector.
 *
 * The caller (the agent) writes what it knows into an input, calls selector_decide(), and carries out the
 * decision. Everything the rules have to remember stands in the memory fields of paths, accesses and struct
 * selector. Nothing here performs an effect: a decision that was not carried out (a refresh that failed) is
 * simply made again.
 *
 * The rules, and where they are:
 *
 *   1  cold start                        decide_cold_start()
 *   2  adopt what stands                 decide(): an unjudged or foreign current path is kept
 *   3  failover, with proof of life      leave(), is_proven(), pick()
 *   4  failback after hold               improve(), obstacle()
 *   5  equal rank never moves            improve(): a strictly better rank only; pick(): equals by rendezvous
 * hashing 6  nothing eligible: keep            leave(), worst_acceptable() 7  damping watch_access(),
 * selector_hold_ns() 8  pin and drain                     selector_rank(), decide_pin_hard(), leave() with
 * planned 9  stall guard                       not here: in probe/stream.c, before anything becomes evidence
 *
 * "Level" says how far a path may be used at all, "rank" which of the usable ones is preferred; level goes
 * first.
 */
#include "route/selector.h"

#define RESTARTS_ARE_FAILURE 3
#define DAMPING_MAX_NS       (3600 * NS_PER_S)
#define HEALTHY_AGAIN_NS     (3600 * NS_PER_S)
/* How long before the end of hold the full-size probe is asked for. */
#define FULL_SIZE_AHEAD_NS (1 * NS_PER_S)

static const struct {
    const char *word, *sentence;
} reasons[SELECTOR_REASONS] = {
    [KEEP_BEST] = {"best", "the best path is in use"},
    [KEEP_NO_VERDICT] = {"no-verdict", "the path in use has not been judged yet"},
    [KEEP_COLD_START] = {"cold-start", "just started: waiting for the top-ranked path and a session list"},
    [KEEP_WAIT_PROOF] = {"wait-proof", "no other path has answered since the path in use failed"},
    [KEEP_HOLD] = {"hold", "a better path waits for its hold to end"},
    [KEEP_WAIT_STABLE] = {"wait-stable", "a better path waits for its session to be stable"},
    [KEEP_WAIT_LOSS] = {"wait-loss", "a better path loses too many packets"},
    [KEEP_WAIT_SERVICE_CHECK] = {"wait-service-check", "a better path waits for a successful service check"},
    [KEEP_WAIT_FULL_SIZE] = {"wait-full-size", "a full-size packet has not passed a better path yet"},
    [KEEP_FOREIGN] = {"foreign", "the adopted next hop is no configured path, and answers"},
    [KEEP_PIN_HARD] = {"pin-hard", "pinned hard: never left automatically"},
    [KEEP_NOTHING_ELIGIBLE] = {"nothing-eligible", "no path is eligible: the route stays as it is"},
    [SWITCH_COLD_START] = {"cold-start", "first choice after the start"},
    [SWITCH_PATH_DOWN] = {"path-down", "the path in use does not answer any more"},
    [SWITCH_LINK_DOWN] = {"link-down", "the interface of the path in use is down"},
    [SWITCH_NOT_ON_LINK] = {"not-on-link", "the path in use cannot be entered directly any more"},
    [SWITCH_SESSION_DEAD] = {"session-dead",
                             "the cluster says that the session of the access in use is dead"},
    [SWITCH_RESTARTING] = {"restarting", "the access in use restarts over and over"},
    [SWITCH_SERVICE_CHECK] = {"service-check", "the access in use answers pings but does not serve"},
    [SWITCH_DEGRADED] = {"degraded", "the path in use loses too many packets"},
    [SWITCH_DRAINED] = {"drained", "the access in use is drained"},
    [SWITCH_FAILBACK] = {"failback", "a better path has been healthy for its hold"},
    [SWITCH_FAILBACK_NOW] = {"failback-now", "a person ended the countdown"},
    [SWITCH_PIN] = {"pin", "a person pinned this path"},
};

const char *selector_reason_text(enum selector_reason reason)
{
    return reasons[reason].word;
}

const char *selector_reason_sentence(enum selector_reason reason)
{
    return reasons[reason].sentence;
}

const char *selector_tier_text(enum selector_tier tier)
{
    static const char *const text[] = {"data", "secondary", "management", "foreign"};

    return text[tier];
}

const char *selector_level_text(enum selector_level level)
{
    static const char *const text[] = {"eligible", "degraded", "session", "unwanted", "no-verdict", "never"};

    return text[level];
}

uint64_t selector_weight(const char *host, const struct address *access)
{
    uint64_t key[2] = {siphash24(host, strlen(host), (const uint64_t[2]){0, 0}), 0};

    return siphash24(access->bytes, sizeof(access->bytes), key);
}

static const struct selector_access *access_of(const struct selector_input *input, uint32_t path)
{
    uint32_t access = input->paths[path].access;

    return access == SELECTOR_NO_ACCESS ? NULL : &input->accesses[access];
}

unsigned selector_rank(const struct selector_input *input, uint32_t path)
{
    const struct selector_path *p = &input->paths[path];
    const struct selector_access *access = access_of(input, path);

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

enum selector_level selector_path_level(const struct selector_input *input, uint32_t path,
                                        enum selector_reason *reason)
{
    const struct selector_path *p = &input->paths[path];
    const struct selector_access *access = access_of(input, path);
    enum selector_reason unused;

    reason = reason ? reason : &unused;
    *reason = SWITCH_NOT_ON_LINK;
    if (!p->on_link)
        return LEVEL_NEVER;
    *reason = SWITCH_LINK_DOWN;
    if (!p->link_usable)
        return LEVEL_NEVER;
    *reason = SWITCH_PATH_DOWN;
    if (p->health->state == HEALTH_DOWN)
        return LEVEL_NEVER;
    *reason = KEEP_NO_VERDICT;
    if (p->health->state == HEALTH_UNKNOWN)
        return LEVEL_UNJUDGED;
    *reason = SWITCH_DRAINED;
    if (access && access->drained)
        return LEVEL_UNWANTED;
    *reason = SWITCH_SERVICE_CHECK;
    if (p->service_bad)
        return LEVEL_UNWANTED;
    *reason = SWITCH_SESSION_DEAD;
    if (access && access->session == SESSION_DEAD)
        return LEVEL_SESSION;
    *reason = SWITCH_RESTARTING;
    if (access && access->restarts >= RESTARTS_ARE_FAILURE)
        return LEVEL_SESSION;
    *reason = SWITCH_DEGRADED;
    if (p->health->degraded)
        return LEVEL_DEGRADED;
    *reason = KEEP_BEST;
    return LEVEL_CLEAN;
}

static enum selector_level level_of(const struct selector_input *input, uint32_t path)
{
    return selector_path_level(input, path, NULL);
}

static bool is_storage(const struct selector_path *path)
{
    return path->tier == TIER_DATA || path->tier == TIER_SECONDARY;
}

/* --- rule 7: damping -------------------------------------------------------------------------------------
 */

uint64_t selector_hold_ns(const struct selector_input *input, uint32_t path)
{
    const struct selector_access *access = access_of(input, path);
    uint64_t hold_ns = input->hold_ns, most_ns = max_u64(input->hold_ns, DAMPING_MAX_NS);

    if (!access || access->locality != LOCALITY_LOCAL)
        return hold_ns;
    for (unsigned i = 1; i < access->failures && hold_ns < most_ns; i++)
        hold_ns *= 2;
    return min_u64(hold_ns, most_ns);
}

/*
 * Did the storage network fail rather than this access? Then nobody else on it has answered anything sent in
 * the later half of the window that has just ended.
 */
static bool all_storage_failed(const struct selector_input *input, uint32_t access)
{
    uint64_t last_reply_ns = 0;

    for (uint32_t i = 0; i < input->path_count; i++)
        if (input->paths[i].access == access && is_storage(&input->paths[i]))
            last_reply_ns = max_u64(last_reply_ns, input->paths[i].health->last_reply_ns);
    for (uint32_t i = 0; i < input->path_count; i++) {
        const struct selector_path *p = &input->paths[i];

        if (p->access != access && is_storage(p) && level_of(input, i) < LEVEL_UNJUDGED &&
            p->health->proven_ns > last_reply_ns + input->window_ns / 2)
            return false;
    }
    return true;
}

static void watch_access(const struct selector_input *input, uint32_t index)
{
    struct selector_access *access = &input->accesses[index];
    enum selector_level best = LEVEL_NEVER;
    bool known = false;

    if (access->locality != LOCALITY_LOCAL || access->drained)
        return;
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
    if (best <= LEVEL_DEGRADED) {
        if (!access->was_healthy)
            access->healthy_since_ns = input->now_ns;
        else if (input->now_ns - access->healthy_since_ns >= HEALTHY_AGAIN_NS)
            access->failures = 0;
        access->was_healthy = true;
    } else if (access->was_healthy) {
        access->was_healthy = false;
        if (best != LEVEL_NEVER || !all_storage_failed(input, index))
            access->failures++;
    }
}

static void remember(struct selector *selector, const struct selector_input *input)
{
    for (uint32_t i = 0; i < input->path_count; i++) {
        struct selector_path *p = &input->paths[i];
        enum selector_level level = level_of(input, i);

        if (level == LEVEL_SESSION || level == LEVEL_UNWANTED || !p->on_link || !p->link_usable)
            p->blocked_ns = input->now_ns;
    }
    for (uint32_t i = 0; i < input->access_count; i++)
        watch_access(input, i);

    if (input->current != SELECTOR_NO_PATH && level_of(input, input->current) == LEVEL_CLEAN &&
        input->paths[input->current].health->misses == 0)
        selector->doubt_since_ns = 0;
    else if (!selector->doubt_since_ns)
        selector->doubt_since_ns = max_u64(input->now_ns, 1);
}

/* --- picking ----------------------------------------------------------------------------------------------
 */

/* Is a a better choice than b? By level, then rank, then weight. */
static bool is_better(const struct selector_input *input, uint32_t a, uint32_t b)
{
    enum selector_level level_a = level_of(input, a), level_b = level_of(input, b);
    unsigned rank_a = selector_rank(input, a), rank_b = selector_rank(input, b);

    if (level_a != level_b)
        return level_a < level_b;
    if (rank_a != rank_b)
        return rank_a < rank_b;
    return access_of(input, a) && access_of(input, b) &&
           access_of(input, a)->weight > access_of(input, b)->weight;
}

/*
 * Rule 3: never from one dead path to the next. When the network failed, the chosen path must have answered a
 * request that was sent after the current path's last reply; when something else did, one within the last
 * window.
 */
static bool is_proven(const struct selector_input *input, uint32_t path)
{
    const struct health *health = input->paths[path].health, *current;

    if (input->current == SELECTOR_NO_PATH)
        return true;
    current = input->paths[input->current].health;
    if (level_of(input, input->current) == LEVEL_NEVER)
        return health->proven_ns > current->last_reply_ns;
    return health->proven_ns && health->proven_ns + input->window_ns >= input->now_ns;
}

/* The best other path up to level `worst`; with proof of life when that is asked for. */
static uint32_t pick(const struct selector_input *input, enum selector_level worst, bool proven)
{
    uint32_t best = SELECTOR_NO_PATH;

    for (uint32_t i = 0; i < input->path_count; i++) {
        if (i == input->current || input->paths[i].access == SELECTOR_NO_ACCESS || level_of(input, i) > worst)
            continue;
        if (proven && !is_proven(input, i))
            continue;
        if (best == SELECTOR_NO_PATH || is_better(input, i, best))
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

/* --- rule 1: cold start -----------------------------------------------------------------------------------
 */

static void decide_cold_start(const struct selector_input *input, struct selector_decision *decision)
{
    bool late = input->now_ns >= input->cold_deadline_ns;
    uint32_t top = SELECTOR_NO_PATH, best;

    decision->doubt = true;
    for (uint32_t i = 0; i < input->path_count; i++)
        if (input->paths[i].access != SELECTOR_NO_ACCESS &&
            (top == SELECTOR_NO_PATH || selector_rank(input, i) < selector_rank(input, top)))
            top = i;
    if (!late && (top == SELECTOR_NO_PATH || level_of(input, top) != LEVEL_CLEAN || !input->list_arrived)) {
        keep(decision, KEEP_COLD_START);
        decision->again_ns = input->cold_deadline_ns;
        return;
    }
    best = pick(input, LEVEL_UNWANTED, false);
    if (best == SELECTOR_NO_PATH)
        keep(decision, KEEP_NOTHING_ELIGIBLE);
    else
        go(decision, best, SWITCH_COLD_START, false);
}

/* --- rule 3, 6, 8: leaving --------------------------------------------------------------------------------
 */

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

static void leave(const struct selector *selector, const struct selector_input *input,
                  enum selector_level level, enum selector_reason reason, struct selector_decision *decision)
{
    enum selector_level worst = worst_acceptable(level);
    uint32_t living = pick(input, worst, true), hoped = pick(input, worst, false);
    uint64_t patience_ns = add_sat_u64(selector->doubt_since_ns, input->select_timeout_ns);

    decision->doubt = true;
    if (hoped == SELECTOR_NO_PATH) {
        /* A degraded path without a clean one beside it is in use like any other. */
        keep(decision, KEEP_NOTHING_ELIGIBLE);
        return;
    }
    if (living == SELECTOR_NO_PATH) {
        keep(decision, KEEP_WAIT_PROOF);
        return;
    }
    /*
     * A failure that was known at once (link down) leaves nobody the time to prove its life: the better paths
     * get one select-timeout, lest a worse one is taken because its answer came a millisecond earlier.
     */
    if (input->now_ns < patience_ns && (level_of(input, hoped) < level_of(input, living) ||
                                        selector_rank(input, hoped) < selector_rank(input, living))) {
        keep(decision, KEEP_WAIT_PROOF);
        decision->again_ns = patience_ns;
        return;
    }
    go(decision, living, reason, reason == SWITCH_DRAINED);
}

/* --- rule 4, 5, 8: coming home ----------------------------------------------------------------------------
 */

/* When the path has been steadily eligible for its hold. */
static uint64_t hold_over_ns(const struct selector_input *input, uint32_t path)
{
    const struct selector_path *p = &input->paths[path];

    return add_sat_u64(max_u64(p->health->up_since_ns, p->blocked_ns), selector_hold_ns(input, path));
}

static bool is_hurried(const struct selector_input *input, uint32_t path)
{
    return input->failback_now || (input->pin_now && input->paths[path].pinned);
}

/* What keeps us from moving to this better path: a KEEP_ reason, or SELECTOR_REASONS for nothing. */
static enum selector_reason obstacle(const struct selector_input *input, uint32_t path)
{
    const struct selector_path *p = &input->paths[path];
    const struct selector_access *access = access_of(input, path);
    uint32_t loss_ppm = health_loss_ppm(p->health);

    if (!is_hurried(input, path)) {
        if (input->now_ns < hold_over_ns(input, path))
            return KEEP_HOLD;
        if (!input->sessions_waived && access->session != SESSION_STABLE)
            return KEEP_WAIT_STABLE;
        if (loss_ppm > 10000 && loss_ppm > health_loss_ppm(input->paths[input->current].health))
            return KEEP_WAIT_LOSS;
        if (!p->service_good)
            return KEEP_WAIT_SERVICE_CHECK;
    }
    if (p->full_size != FULL_SIZE_PASSED && !(input->pin_now && p->pinned))
        return KEEP_WAIT_FULL_SIZE;
    return SELECTOR_REASONS;
}

static enum selector_reason homecoming_reason(const struct selector_input *input, uint32_t path)
{
    if (input->paths[path].pinned && !input->paths[input->current].pinned)
        return SWITCH_PIN;
    return input->failback_now ? SWITCH_FAILBACK_NOW : SWITCH_FAILBACK;
}

static void improve(const struct selector_input *input, struct selector_decision *decision)
{
    unsigned rank = selector_rank(input, input->current);
    bool foreign = input->paths[input->current].access == SELECTOR_NO_ACCESS;
    uint32_t best = SELECTOR_NO_PATH, ready = SELECTOR_NO_PATH, untested = SELECTOR_NO_PATH;
    enum selector_reason why;

    for (uint32_t i = 0; i < input->path_count; i++) {
        if (selector_rank(input, i) >= rank || level_of(input, i) != LEVEL_CLEAN)
            continue;
        /* Rule 2: a foreign next hop is kept while it answers; only a person's word moves it. */
        if (foreign && !is_hurried(input, i))
            continue;
        if (best == SELECTOR_NO_PATH || is_better(input, i, best))
            best = i;
        if (obstacle(input, i) == SELECTOR_REASONS &&
            (ready == SELECTOR_NO_PATH || is_better(input, i, ready)))
            ready = i;
    }
    if (best == SELECTOR_NO_PATH) {
        keep(decision, foreign ? KEEP_FOREIGN : KEEP_BEST);
        return;
    }
    why = obstacle(input, best);
    decision->candidate = best;
    decision->candidate_hold_ns = selector_hold_ns(input, best);
    decision->candidate_at_ns = hold_over_ns(input, best);
    if (!input->sessions_waived)
        decision->candidate_at_ns = max_u64(decision->candidate_at_ns, access_of(input, best)->stable_at_ns);
    if (decision->candidate_at_ns > input->now_ns)
        decision->again_ns = decision->candidate_at_ns;

    decision->want_full_size = untested;
    if (untested == SELECTOR_NO_PATH && input->paths[best].full_size == FULL_SIZE_UNTESTED &&
        decision->candidate_at_ns != NEVER_NS) {
        if (decision->candidate_at_ns <= input->now_ns + FULL_SIZE_AHEAD_NS)
            decision->want_full_size = best;
        else
            decision->again_ns = decision->candidate_at_ns - FULL_SIZE_AHEAD_NS;
    }

    /* One move, not two: a still better path whose turn comes soon is waited for. */
    if (ready != SELECTOR_NO_PATH && ready != best &&
        sub_sat_u64(decision->candidate_at_ns, input->now_ns) <= input->hold_ns / 10 &&
        (why == KEEP_HOLD || why == KEEP_WAIT_STABLE))
        ready = SELECTOR_NO_PATH;
    if (ready == SELECTOR_NO_PATH) {
        keep(decision, why);
        return;
    }
    if (input->failback_now && access_of(input, ready)->locality == LOCALITY_LOCAL)
        input->accesses[input->paths[ready].access].failures = 0;
    go(decision, ready, homecoming_reason(input, ready), true);
}

/* --- rule 8: pinned hard ----------------------------------------------------------------------------------
 */

static void decide_pin_hard(const struct selector_input *input, struct selector_decision *decision)
{
    uint32_t best = SELECTOR_NO_PATH;

    if (input->current != SELECTOR_NO_PATH && input->paths[input->current].pinned) {
        keep(decision, KEEP_PIN_HARD);
        return;
    }
    for (uint32_t i = 0; i < input->path_count; i++)
        if (input->paths[i].pinned && input->paths[i].on_link &&
            (best == SELECTOR_NO_PATH || is_better(input, i, best)))
            best = i;
    if (best == SELECTOR_NO_PATH)
        keep(decision, KEEP_PIN_HARD);
    else
        go(decision, best, SWITCH_PIN,
           level_of(input, best) <= LEVEL_DEGRADED && input->current != SELECTOR_NO_PATH);
}

void selector_decide(struct selector *selector, const struct selector_input *input,
                     struct selector_decision *decision)
{
    enum selector_reason reason;
    enum selector_level level;

    *decision = (struct selector_decision){
        .to = SELECTOR_NO_PATH,
        .candidate = SELECTOR_NO_PATH,
        .candidate_at_ns = NEVER_NS,
        .want_full_size = SELECTOR_NO_PATH,
        .again_ns = NEVER_NS,
    };
    remember(selector, input);

    if (input->pin_hard) {
        decide_pin_hard(input, decision);
        return;
    }
    if (input->current == SELECTOR_NO_PATH) {
        decide_cold_start(input, decision);
        return;
    }
    level = selector_path_level(input, input->current, &reason);
    if (level == LEVEL_UNJUDGED) {
        decision->doubt = true;
        keep(decision, KEEP_NO_VERDICT);
    } else if (level == LEVEL_CLEAN) {
        improve(input, decision);
        decision->doubt = selector->doubt_since_ns != 0;
    } else {
        leave(selector, input, level, reason, decision);
    }
}
