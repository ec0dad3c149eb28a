/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Observing only: while a file is there (`observe-file`) the agent decides and says so, and touches nothing: no route,
 * no connection, and no refresh. The same file on all hosts takes all of them out of action and leaves their routes.
 * When that is so: observing.h. Who looks for the file: presence.h.
 */
#include "route/agent/happening.h"
#include "route/agent/private.h"

bool agent_acts(const struct agent *agent)
{
    return !agent->options->dry_run && !agent->observing.state.holds;
}

static void on_look(evutil_socket_t fd, short what, void *context)
{
    agent_step(context);
}

int agent_observe_open(const struct agent *agent, const struct config *config, struct presence **out)
{
    *out = NULL;
    if (agent->options->dry_run || !config->observe_file[0])
        return 0;
    return presence_open(out, config->observe_file);
}

int agent_observe_install(struct agent *agent, struct presence *presence)
{
    struct agent_observing *observing = &agent->observing;

    agent_observe_close(agent);
    observing->presence = presence;
    observing_begin(&observing->state, presence != NULL, agent->now_ns);
    observing->told.error = 0; /* that was another file */
    if (!presence)
        return 0;
    observing->event =
        event_new(agent->loop.base, presence_fd(presence), EV_READ | EV_PERSIST, on_look, agent);
    return observing->event && event_add(observing->event, NULL) == 0 ? 0 : -ENOMEM;
}

void agent_observe_close(struct agent *agent)
{
    struct agent_observing *observing = &agent->observing;

    if (observing->event)
        event_free(observing->event);
    observing->event = NULL;
    observing->presence = presence_close(observing->presence);
}

/* The guard has to know, and the cluster may have been told nothing for long. */
static void hold(struct agent *agent, bool holds)
{
    guard_follow(agent->service.guard, holds);
    if (holds)
        return;
    telling_again(&agent->telling);
    agent->service.resume_wanted = address_is_set(&agent->service.unsettled);
}

static void tell_changes(struct agent *agent)
{
    struct agent_observing *observing = &agent->observing;
    const struct observing before = observing->told, *now = &observing->state;

    observing->told = *now;
    if (now->error != before.error) {
        observing->error_realtime_ns = clock_now_ns(CLOCK_REALTIME);
        agent_tell(agent, &(struct happening){.kind = HAPPENED_OBSERVE_FILE});
    }
    if (now->holds != before.holds)
        hold(agent, now->holds);
    if (now->there == before.there)
        return;
    if (now->there)
        observing->since_realtime_ns = clock_now_ns(CLOCK_REALTIME);
    agent_tell(agent, &(struct happening){.kind = HAPPENED_OBSERVING});
}

void agent_observe_step(struct agent *agent)
{
    struct agent_observing *observing = &agent->observing;
    struct presence_report report;

    if (agent->options->dry_run)
        return;
    if (observing->presence) {
        presence_report(observing->presence, agent->now_ns, &report);
        observing_take(&observing->state, &report, agent->now_ns);
    }
    tell_changes(agent);
}

uint64_t agent_observe_deadline_ns(const struct agent *agent)
{
    const struct agent_observing *observing = &agent->observing;

    if (!observing->presence)
        return NEVER_NS;
    return min_u64(observing_deadline_ns(&observing->state),
                   presence_deadline_ns(observing->presence, agent->now_ns));
}
