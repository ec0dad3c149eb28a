/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person may tell the agent: pin, drain, failback. All of it is kept over a restart, except the end of
 * a countdown.
 */
#include "probe/scope.h"
#include "route/agent/private.h"

/* Does `target`, an access' name or a path's address, mean this path? */
static bool is_meant(const struct agent *agent, uint32_t path, const char *target)
{
    struct address address;

    if (agent->table.selector_paths[path].access == SELECTOR_NO_ACCESS)
        return false;
    if (strcmp(agent_path_access_name(agent, path), target) == 0)
        return true;
    return scope_parse_lasting(&address, target) == 0 &&
           address_equal(&address, &agent->table.paths[path].address);
}

bool agent_is_pinned(const struct agent *agent, uint32_t path)
{
    return agent->pin[0] && is_meant(agent, path, agent->pin);
}

bool agent_is_drained(const struct agent *agent, const char *access)
{
    for (size_t i = 0; i < agent->drained_count; i++)
        if (strcmp(agent->drained[i], access) == 0)
            return true;
    return false;
}

int agent_pin(struct agent *agent, const char *target, bool hard, char *message, size_t size_bytes)
{
    for (uint32_t i = 0; i < agent->table.path_count; i++) {
        if (!is_meant(agent, i, target))
            continue;
        snprintf(agent->pin, sizeof(agent->pin), "%s", target);
        agent->pin_hard = hard;
        agent->pin_now = true;
        agent->save_wanted = true;
        journal_command(agent->journal, agent->now_ns, hard ? "pin --hard" : "pin", target);
        log_event(LOG_LEVEL_INFO, "pin", "target=%s hard=%s", LOG_VALUE(target), hard ? "true" : "false");
        agent_soon(agent);
        return 0;
    }
    snprintf(message, size_bytes, "'%s' is neither an access nor the address of a path", target);
    return -ENOENT;
}

int agent_unpin(struct agent *agent, char *message, size_t size_bytes)
{
    if (!agent->pin[0]) {
        snprintf(message, size_bytes, "nothing is pinned");
        return -ENOENT;
    }
    journal_command(agent->journal, agent->now_ns, "unpin", agent->pin);
    log_event(LOG_LEVEL_INFO, "unpin", "target=%s", LOG_VALUE(agent->pin));
    agent->pin[0] = '\0';
    agent->pin_hard = false;
    agent->pin_now = false;
    agent->save_wanted = true;
    agent_soon(agent);
    return 0;
}

int agent_drain(struct agent *agent, const char *access, bool drain, char *message, size_t size_bytes)
{
    bool known = false;
    void *bigger;

    for (uint32_t i = 0; i < agent->table.access_count; i++)
        known = known || strcmp(agent->table.accesses[i].name, access) == 0;
    if (drain && !known) {
        snprintf(message, size_bytes, "'%s' is no access", access);
        return -ENOENT;
    }
    if (drain == agent_is_drained(agent, access)) {
        snprintf(message, size_bytes, drain ? "'%s' is drained already" : "'%s' is not drained", access);
        return -EALREADY;
    }
    if (drain) {
        bigger = realloc(agent->drained, (agent->drained_count + 1) * sizeof(*agent->drained));
        if (!bigger) {
            snprintf(message, size_bytes, "out of memory");
            return -ENOMEM;
        }
        agent->drained = bigger;
        snprintf(agent->drained[agent->drained_count++], sizeof(*agent->drained), "%s", access);
    } else {
        size_t i = 0;

        while (strcmp(agent->drained[i], access) != 0)
            i++;
        memmove(&agent->drained[i], &agent->drained[i + 1],
                (--agent->drained_count - i) * sizeof(*agent->drained));
    }
    journal_command(agent->journal, agent->now_ns, drain ? "drain" : "undrain", access);
    log_event(LOG_LEVEL_INFO, drain ? "drain" : "undrain", "access=%s", LOG_VALUE(access));
    agent->save_wanted = true;
    agent_soon(agent);
    return 0;
}

/* The best path that would be better than the one in use, if it were eligible; SELECTOR_NO_PATH: none. */
static uint32_t better_path(const struct agent *agent, const struct selector_input *input)
{
    uint32_t best = agent->current;

    for (uint32_t i = 0; best != SELECTOR_NO_PATH && i < input->path_count; i++)
        if (selector_rank(input, i) < selector_rank(input, best))
            best = i;
    return best == agent->current ? SELECTOR_NO_PATH : best;
}

int agent_failback(struct agent *agent, char *message, size_t size_bytes)
{
    struct selector_input input;
    uint32_t better;
    char why[160];

    if (agent->decision.candidate != SELECTOR_NO_PATH) {
        journal_command(agent->journal, agent->now_ns, "failback --now",
                        ADDRESS_TEXT(&agent->table.paths[agent->decision.candidate].address));
        log_event(LOG_LEVEL_INFO, "failback-now", "to=%s",
                  ADDRESS_TEXT(&agent->table.paths[agent->decision.candidate].address));
        agent->failback_now = true;
        agent_soon(agent);
        return 0;
    }
    agent_fill_input(agent, &input);
    better = better_path(agent, &input);
    if (better == SELECTOR_NO_PATH)
        snprintf(message, size_bytes, "there is no better path than the one in use");
    else
        snprintf(message, size_bytes, "%s %s is not eligible: %s", agent_path_access_name(agent, better),
                 selector_tier_text(agent->table.selector_paths[better].tier),
                 agent_path_why(agent, better, why, sizeof(why)));
    return -ENOENT;
}
