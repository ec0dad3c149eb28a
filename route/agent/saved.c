/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What outlives a restart of the agent: a person's orders, since when paths are up, who was dead.
 */
#include "route/agent/private.h"

#define SAVE_INTERVAL_NS (5 * NS_PER_S)
#define SAVE_RETRY_NS    (30 * NS_PER_S)
#define STATE_AGE_NS     (30 * NS_PER_S)

/* CLOCK_BOOTTIME minus CLOCK_MONOTONIC: grows with every suspend. Read in this order it is never negative. */
static uint64_t boottime_offset_ns(void)
{
    uint64_t monotonic_ns = clock_now_ns(CLOCK_MONOTONIC);

    return clock_now_ns(CLOCK_BOOTTIME) - monotonic_ns;
}

/* As it was loaded: what came before this clock has the time 0 in the liveness, which is no age. */
static const struct state_death *loaded_death(const struct agent *agent, const struct address *address)
{
    for (size_t i = 0; i < agent->files.death_count; i++)
        if (address_equal(&agent->files.deaths[i].address, address))
            return &agent->files.deaths[i];
    return NULL;
}

/* Who is dead by what is known: a restart does not forget it. */
static void remember_deaths(const struct agent *agent, struct state *state)
{
    const struct agent_table *table = &agent->host.table;

    state->deaths = calloc((size_t)table->access_count + 1, sizeof(*state->deaths));
    for (uint32_t i = 0; state->deaths && i < table->access_count; i++) {
        const struct agent_access *access = &table->accesses[i];
        struct state_death death = {.address =
                                        address_is_set(&access->data) ? access->data : access->secondary,
                                    .missed_ns = access->view.missed_ns + boottime_offset_ns()};
        const struct state_death *loaded =
            access->view.missed_ns ? NULL : loaded_death(agent, &death.address);

        if (access->view.state == SESSION_DEAD)
            state->deaths[state->death_count++] = loaded ? *loaded : death;
    }
}

void agent_save(struct agent *agent)
{
    struct state state = {.drained = agent->orders.drained,
                          .drained_count = agent->orders.drained_count,
                          .pin_hard = agent->orders.pin_hard,
                          .pin_terms = agent->orders.pin_terms,
                          .service = agent->config->service,
                          .next_hop = *guard_owned(agent->service.guard),
                          .unsettled = agent->service.unsettled};
    CLEANUP(free) char *text = NULL;

    agent->files.save_wanted = false;
    agent->files.save_ns =
        agent->now_ns + (agent->files.kept.error[KEPT_STATE] < 0 ? SAVE_RETRY_NS : SAVE_INTERVAL_NS);
    if (agent->options->dry_run)
        return;
    memcpy(state.pin, agent->orders.pin, sizeof(state.pin));
    state.paths = calloc((size_t)agent->host.table.path_count + 1, sizeof(*state.paths));
    for (uint32_t i = 0; state.paths && i < agent->host.table.path_count; i++) {
        const struct agent_path *path = &agent->host.table.paths[i];

        if (path->health.state == HEALTH_UP && path->health.up_since_ns)
            state.paths[state.path_count++] = (struct state_path){
                .address = path->address, .up_since_ns = path->health.up_since_ns + boottime_offset_ns()};
    }
    remember_deaths(agent, &state);
    text = state_text(&state);
    disk_replace(agent->files.disk, KEPT_STATE, text);
    if (agent->files.kept.error[KEPT_LOCK] < 0)
        disk_lock(agent->files.disk);
    free(state.paths);
    free(state.deaths);
}

void agent_note_kept(struct agent *agent, uint64_t now_ns)
{
    struct disk_report report;

    if (!agent->files.disk)
        return;
    disk_report(agent->files.disk, now_ns, &report);
    for (int i = 0; i < KEPT_COUNT; i++)
        kept_note(&agent->files.kept, agent->config->state_directory, (enum kept_file)i, report.error[i]);
    lists_note_saved(&agent->lists, &report);
    if (report.lines_lost)
        journal_lost(agent->files.journal, agent->now_ns, report.lines_lost, report.error[KEPT_JOURNAL]);
}

/* While a better path is waited for since when it has been up must be kept; and what could not be saved. */
bool agent_saves_by_time(const struct agent *agent)
{
    return agent->service.decision.candidate != SELECTOR_NO_PATH || agent->files.kept.error[KEPT_STATE] < 0;
}

void agent_load(struct agent *agent)
{
    uint64_t offset_ns = boottime_offset_ns();
    struct state state;

    state_load(&state, agent->config->state_directory,
               min_u64(STATE_AGE_NS, agent->config->route.hold_ns / 2));
    memcpy(agent->orders.pin, state.pin, sizeof(agent->orders.pin));
    agent->orders.pin_hard = state.pin_hard;
    agent->orders.pin_terms = state.pin_terms;
    if (address_equal(&state.service, &agent->config->service)) {
        guard_own(agent->service.guard, &state.next_hop);
        agent->service.unsettled = state.unsettled;
        agent->service.resume_wanted = address_is_set(&state.unsettled);
    }
    agent->orders.drained = TAKE(state.drained);
    agent->orders.drained_count = state.drained_count;
    for (size_t i = 0; i < state.path_count; i++) {
        uint32_t path = agent_table_find(&agent->host.table, &state.paths[i].address);

        if (path != SELECTOR_NO_PATH)
            health_restore(&agent->host.table.paths[path].health,
                           max_u64(sub_sat_u64(state.paths[i].up_since_ns, offset_ns), 1));
    }
    for (size_t i = 0; i < state.death_count; i++)
        session_liveness_restore_dead(agent->lists.liveness, &state.deaths[i].address,
                                      &state.deaths[i].address,
                                      sub_sat_u64(state.deaths[i].missed_ns, offset_ns));
    agent->files.deaths = TAKE(state.deaths);
    agent->files.death_count = state.death_count;
    state_clear(&state);
}
