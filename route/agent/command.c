/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person may tell the agent by the control socket.
 */
#include "route/agent/happening.h"
#include "route/agent/private.h"

static void ordered(struct agent *agent, enum order order, const char *target, const struct terms *terms)
{
    agent_tell(agent,
               &(struct happening){.kind = HAPPENED_ORDER, .order = order, .target = target, .terms = terms});
}

void agent_orders_step(struct agent *agent)
{
    char target[CONFIG_NAME_SIZE];
    enum order order;

    while (orders_end_ns(&agent->orders) != NEVER_NS &&
           orders_end_one(&agent->orders, clock_now_ns(CLOCK_REALTIME), &order, target))
        agent_tell(agent, &(struct happening){
                              .kind = HAPPENED_ORDER, .order = order, .target = target, .over = true});
}

uint64_t agent_orders_deadline_ns(const struct agent *agent)
{
    uint64_t end_ns = orders_end_ns(&agent->orders);

    if (end_ns == NEVER_NS)
        return NEVER_NS;
    return agent->now_ns + sub_sat_u64(end_ns, clock_now_ns(CLOCK_REALTIME));
}

/* Is a better to go to than b, of two paths that are pinned? */
static bool is_better_pinned(const struct selector_input *input, uint32_t a, uint32_t b)
{
    enum selector_level level_a = selector_level_of(input, a), level_b = selector_level_of(input, b);

    if (level_a != level_b)
        return level_a < level_b;
    if (input->paths[a].on_link != input->paths[b].on_link)
        return input->paths[a].on_link;
    return selector_rank(input, a) < selector_rank(input, b);
}

/* What a pin to a path that does not work means for the route. */
static const char *pin_outcome(const struct agent *agent, const struct selector_input *input, uint32_t path)
{
    bool hard = agent->orders.pin_hard;

    if (!agent_acts(agent))
        return "the agent only observes now, and leaves the route as it is";
    if (path == input->current)
        return hard ? "no failure moves the route away"
                    : "the pin does not keep the route there when another path works better";
    if (!hard)
        return "the route goes there when it can";
    return input->paths[path].on_link ? "the route goes there all the same, and no failure moves it away"
                                      : "the route stays where it is until that can be entered";
}

/* Where a pin does not lead to a path that works: what becomes of it. Of a path in use without a verdict nothing
 * can be said. */
static void foretell_pin(const struct agent *agent, char *message, size_t size_bytes)
{
    const struct agent_table *table = &agent->host.table;
    struct selector_input input;
    uint32_t best = SELECTOR_NO_PATH;
    enum selector_level level;
    char why[160];

    agent_fill_input(agent, &input);
    for (uint32_t i = 0; i < input.path_count; i++)
        if (orders_pins(&agent->orders, table, i) &&
            (best == SELECTOR_NO_PATH || is_better_pinned(&input, i, best)))
            best = i;
    if (best == SELECTOR_NO_PATH)
        return;
    level = selector_level_of(&input, best);
    if (level == LEVEL_CLEAN || (level == LEVEL_UNJUDGED && best == input.current))
        return;
    snprintf(message, size_bytes, "%s %s (%s): %s", ADDRESS_TEXT(&table->paths[best].address),
             best == input.current ? "is in use" : "cannot be used now",
             agent_path_why(agent, best, why, sizeof(why)), pin_outcome(agent, &input, best));
}

int agent_pin(struct agent *agent, const char *target, bool hard, const struct terms *terms, char *message,
              size_t size_bytes)
{
    int error = orders_pin(&agent->orders, &agent->host.table, target, hard, terms, message, size_bytes);

    if (error)
        return error;
    ordered(agent, hard ? ORDER_PIN_HARD : ORDER_PIN, target, terms);
    foretell_pin(agent, message, size_bytes);
    return 0;
}

int agent_unpin(struct agent *agent, char *message, size_t size_bytes)
{
    char target[CONFIG_NAME_SIZE];
    int error;

    memcpy(target, agent->orders.pin, sizeof(target));
    error = orders_unpin(&agent->orders, message, size_bytes);
    if (!error)
        ordered(agent, ORDER_UNPIN, target, NULL);
    return error;
}

/* By the orders as they are now; the evidence has them from the next step on. */
static bool is_drained(const struct agent *agent, uint32_t path)
{
    return orders_drains(&agent->orders, agent_table_access_name(&agent->host.table, path));
}

/* Why the route stays at a drained access through which it leads; NULL: it does not. */
static const char *stays_because(const struct agent *agent)
{
    struct selector_input input;

    if (agent->service.current == SELECTOR_NO_PATH || !is_drained(agent, agent->service.current))
        return NULL;
    agent_fill_input(agent, &input);
    if (input.host.pin_hard && input.paths[agent->service.current].pinned)
        return "the route stays where it is: it is pinned hard, unpin it first";
    for (uint32_t i = 0; i < input.path_count; i++)
        if (!is_drained(agent, i) && selector_path_level(&input, i, NULL) <= LEVEL_DEGRADED)
            return NULL;
    return "the route stays where it is until another path can be used";
}

int agent_drain(struct agent *agent, const char *access, const struct terms *terms, char *message,
                size_t size_bytes)
{
    int error = orders_drain(&agent->orders, &agent->host.table, access, terms, message, size_bytes);
    const char *why;

    if (error)
        return error;
    ordered(agent, ORDER_DRAIN, access, terms);
    why = stays_because(agent);
    if (why)
        snprintf(message, size_bytes, "%s", why);
    return 0;
}

int agent_undrain(struct agent *agent, const char *access, char *message, size_t size_bytes)
{
    int error = orders_undrain(&agent->orders, access, message, size_bytes);

    if (!error)
        ordered(agent, ORDER_UNDRAIN, access, NULL);
    return error;
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
           agent->host.table.paths[decision->candidate].size.state != FULL_SIZE_LOST;
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
    snprintf(message, size_bytes, "%s %s is not eligible: %s",
             agent_table_access_name(&agent->host.table, better),
             selector_tier_text(agent->host.table.selector_paths[better].tier),
             why[0] ? why : agent_explanation(agent));
    return -ENOENT;
}

int agent_failback(struct agent *agent, char *message, size_t size_bytes)
{
    const char *to;

    if (!agent_failback_helps(agent))
        return refuse_failback(agent, message, size_bytes);
    to = ADDRESS_TEXT(&agent->host.table.paths[agent->service.decision.candidate].address);
    agent->orders.failback_now = true;
    ordered(agent, ORDER_FAILBACK, to, NULL);
    return 0;
}
