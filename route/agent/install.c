/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new table in place of the old one. The path in use is kept even when it is not configured any more: it
 * becomes a foreign one. A planned switch and the selector's doubt go on where their path is still there.
 */
#include "route/agent/private.h"
#include "route/agent/table_build.h"

int agent_build_table(struct agent *agent, const struct config *config, struct agent_table *table)
{
    const struct table_source source = {.config = config,
                                        .identity = &agent->host.identity,
                                        .lists = &agent->lists,
                                        .old = &agent->host.table,
                                        .now_ns = agent->now_ns};

    return table_build(table, &source);
}

int agent_use_foreign(struct agent *agent, const struct address *next_hop, uint32_t ifindex)
{
    int error = agent_table_add_foreign(&agent->host.table, next_hop, ifindex);

    if (error < 0)
        return error;
    journal_renew(agent->files.journal, "paths");
    agent->service.current = agent->host.table.path_count - 1;
    return 0;
}

/* A planned switch goes on when its path is still there. */
static void inherit_planned(struct agent *agent, const struct agent_table *old)
{
    if (agent->service.planned.stage != PLANNED_NONE)
        agent->service.planned.to =
            agent_table_find(&agent->host.table, &old->paths[agent->service.planned.to].address);
    if (agent->service.planned.to == SELECTOR_NO_PATH) {
        if (agent->service.planned.told) {
            telling_cancel(&agent->telling, agent->provider);
            telling_again(&agent->telling);
        }
        agent->service.planned = (struct planned){0};
    }
}

/* An access of the table should be in the lists. */
static void expect_sessions(struct agent *agent)
{
    for (uint32_t i = 0; i < agent->host.table.access_count; i++) {
        const struct agent_access *access = &agent->host.table.accesses[i];

        if (address_is_set(&access->data) || address_is_set(&access->secondary))
            session_liveness_expect(agent->lists.liveness, &access->data, &access->secondary);
    }
}

void agent_table_install(struct agent *agent, struct agent_table *table)
{
    struct agent_table old = agent->host.table;
    struct address in_use = {0};
    uint32_t ifindex = 0;
    bool doubted = old.selector.doubted == agent->service.current;

    if (agent->service.current != SELECTOR_NO_PATH) {
        in_use = old.paths[agent->service.current].address;
        ifindex = old.paths[agent->service.current].entry.ifindex;
    }
    agent_table_inherit(table, &old);
    agent->host.table = *table;
    *table = (struct agent_table){0};
    expect_sessions(agent);
    journal_renew(agent->files.journal, "paths");
    inherit_planned(agent, &old);
    agent->service.decision = (struct selector_decision){
        .to = SELECTOR_NO_PATH, .candidate = SELECTOR_NO_PATH, .want_full_size = SELECTOR_NO_PATH};
    if (address_is_set(&in_use)) {
        agent->service.current = agent_table_find(&agent->host.table, &in_use);
        if (agent->service.current == SELECTOR_NO_PATH && agent_use_foreign(agent, &in_use, ifindex) == 0) {
            agent_path_inherit(&agent->host.table.paths[agent->service.current],
                               &old.paths[agent_table_find(&old, &in_use)]);
            log_event(LOG_LEVEL_WARN, "next-hop-not-configured", "next_hop=%s", ADDRESS_TEXT(&in_use));
        }
    }
    agent->host.table.selector.doubt_since_ns = old.selector.doubt_since_ns;
    agent->host.table.selector.asked_since_ns = old.selector.asked_since_ns;
    agent->host.table.selector.doubted = doubted ? agent->service.current : SELECTOR_NO_PATH;
    agent_table_clear(&old, agent->host.stream);
    agent->host.egress_wanted = true;
    agent->host.egress_ns = 0;
    agent_egress_step(agent);
}
