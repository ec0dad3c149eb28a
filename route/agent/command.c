/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person may tell the agent by the control socket. Each order is told to log and journal, and a step
 * follows.
 */
#include "route/agent/private.h"

static void ordered(struct agent *agent, const char *command, const char *target)
{
    journal_command(agent->files.journal, agent->now_ns, command, target);
    agent_soon(agent);
}

int agent_pin(struct agent *agent, const char *target, bool hard, char *message, size_t size_bytes)
{
    int error = orders_pin(&agent->orders, &agent->table, target, hard, message, size_bytes);

    if (error)
        return error;
    agent->files.save_wanted = true;
    log_event(LOG_LEVEL_INFO, "pin", "target=%s hard=%s", LOG_VALUE(target), hard ? "true" : "false");
    ordered(agent, hard ? "pin --hard" : "pin", target);
    return 0;
}

int agent_unpin(struct agent *agent, char *message, size_t size_bytes)
{
    char target[CONFIG_NAME_SIZE];
    int error;

    memcpy(target, agent->orders.pin, sizeof(target));
    error = orders_unpin(&agent->orders, message, size_bytes);
    if (error)
        return error;
    agent->files.save_wanted = true;
    log_event(LOG_LEVEL_INFO, "unpin", "target=%s", LOG_VALUE(target));
    ordered(agent, "unpin", target);
    return 0;
}

int agent_drain(struct agent *agent, const char *access, bool drain, char *message, size_t size_bytes)
{
    int error = orders_drain(&agent->orders, &agent->table, access, drain, message, size_bytes);

    if (error)
        return error;
    agent->files.save_wanted = true;
    log_event(LOG_LEVEL_INFO, drain ? "drain" : "undrain", "access=%s", LOG_VALUE(access));
    ordered(agent, drain ? "drain" : "undrain", access);
    return 0;
}

/* The best path that would be better than the one in use, if it were eligible; SELECTOR_NO_PATH: none. */
static uint32_t better_path(const struct selector_input *input)
{
    uint32_t best = input->current;

    for (uint32_t i = 0; best != SELECTOR_NO_PATH && i < input->path_count; i++)
        if (selector_rank(input, i) < selector_rank(input, best))
            best = i;
    return best == input->current ? SELECTOR_NO_PATH : best;
}

bool agent_failback_helps(const struct agent *agent)
{
    const struct selector_decision *decision = &agent->service.decision;

    return decision->candidate != SELECTOR_NO_PATH && decision->reason != KEEP_WAIT_SERVICE_CHECK &&
           agent->table.paths[decision->candidate].full_size != FULL_SIZE_LOST;
}

static int refuse_failback(const struct agent *agent, char *message, size_t size_bytes)
{
    uint32_t better = agent->service.decision.candidate;
    struct selector_input input;
    const char *why;
    char text[160];

    agent_fill_input(agent, &input);
    if (better == SELECTOR_NO_PATH)
        better = better_path(&input);
    if (better == SELECTOR_NO_PATH) {
        snprintf(message, size_bytes, "there is no better path than the one in use");
        return -ENOENT;
    }
    why = agent_path_why(agent, better, text, sizeof(text));
    snprintf(message, size_bytes, "%s %s is not eligible: %s", agent_table_access_name(&agent->table, better),
             selector_tier_text(agent->table.selector_paths[better].tier),
             why[0] ? why : selector_reason_sentence(agent->service.decision.reason));
    return -ENOENT;
}

int agent_failback(struct agent *agent, char *message, size_t size_bytes)
{
    const char *to;

    if (!agent_failback_helps(agent))
        return refuse_failback(agent, message, size_bytes);
    to = ADDRESS_TEXT(&agent->table.paths[agent->service.decision.candidate].address);
    agent->orders.failback_now = true;
    log_event(LOG_LEVEL_INFO, "failback-now", "to=%s", to);
    ordered(agent, "failback --now", to);
    return 0;
}
