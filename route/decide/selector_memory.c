/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the selector remembers from one decision to the next: failures of the local access (rule 7, damping), since when
 * something speaks against a path, since when the current one is in doubt.
 */
#include "route/decide/selector_memory.h"

/* --- what works --- */

static bool is_storage(const struct path_evidence *path)
{
    return path->tier == TIER_DATA || path->tier == TIER_SECONDARY;
}

/* --- rule 7: damping --- */

uint64_t selector_hold_ns(const struct selector *selector, const struct selector_input *input, uint32_t path)
{
    const struct access_evidence *access = selector_access(input, path);
    uint64_t hold_ns = input->host.hold_ns,
             most_ns = max_u64(input->host.hold_ns, input->host.damping_max_ns);

    if (!access || access->locality != LOCALITY_LOCAL)
        return hold_ns;
    for (unsigned i = 1; i < selector->accesses[input->paths[path].access].failures && hold_ns < most_ns; i++)
        hold_ns *= 2;
    return min_u64(hold_ns, most_ns);
}

/* Did a storage path of another access answer a request that was sent after this? */
static bool other_storage_works(const struct selector_input *input, uint32_t access, uint64_t after_ns)
{
    for (uint32_t i = 0; i < input->path_count; i++) {
        const struct path_evidence *p = &input->paths[i];

        if (p->access != access && is_storage(p) && selector_level_of(input, i) < LEVEL_UNJUDGED &&
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
    if (is_in_use(input, index) && selector_contradicted_until_ns(input))
        return; /* it goes on, or will be left */
    for (uint32_t i = 0; i < input->path_count; i++) {
        enum selector_level level = selector_level_of(input, i);

        if (input->paths[i].access != index || !is_storage(&input->paths[i]) || level == LEVEL_UNJUDGED)
            continue;
        known = true;
        if (level < best)
            best = level;
    }
    if (!known)
        return;
    if (memory->was_healthy && input->now_ns - memory->healthy_since_ns >= SELECTOR_HEALTHY_AGAIN_NS)
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
    const struct access_evidence *access = selector_access(input, path);

    return !p->on_link || !p->link_usable || p->service_bad || (access && access->drained) ||
           selector_is_held_up(input, path);
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
    if (selector_level_of(input, input->current) == LEVEL_CLEAN && !health->missing)
        selector->doubt_since_ns = 0;
    else if (!selector->doubt_since_ns)
        selector->doubt_since_ns = health->missing ? health->first_missed_ns : input->now_ns;
}

void selector_remember(struct selector *selector, const struct selector_input *input)
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
