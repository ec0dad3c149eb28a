/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How good one path is, without regard to what happened before: its rank, its level, its weight, and whether the
 * host's own connection speaks for it.
 */
#include "route/decide/selector_level.h"

#define RESTARTS_ARE_FAILURE 3
/* So many windows lost pings may last that the host's own connection contradicts (rule 11). */
#define CONTRADICTED_WINDOWS 2

uint64_t selector_weight(uint64_t host, const struct address *access)
{
    return siphash24(access->bytes, sizeof(access->bytes), (const uint64_t[2]){host, 0});
}

unsigned selector_rank(const struct selector_input *input, uint32_t path)
{
    const struct path_evidence *p = &input->paths[path];
    const struct access_evidence *access = selector_access(input, path);

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
    const struct access_evidence *access = selector_access(input, path);

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

bool selector_is_held_up(const struct selector_input *input, uint32_t path)
{
    return path == input->current && input->host.held_up;
}

/* By the pings alone, or by what the host's own connection adds (rule 11). */
static bool is_degraded(const struct selector_input *input, uint32_t path)
{
    return input->paths[path].health.degraded || selector_is_held_up(input, path);
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
    if (beside != LEVEL_CLEAN || !is_degraded(input, path))
        return beside;
    *reason = SWITCH_DEGRADED;
    return LEVEL_DEGRADED;
}

/* --- rule 11: the host's own connection --- */

uint64_t selector_contradicted_until_ns(const struct selector_input *input)
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
