/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service manager is told: whether the agent is ready, what it does now, that it lives.
 *
 * Ready means that the service can be mounted. Units that are ordered after this one, mounts of the service
 * first of all, begin at that moment, and a mount that finds no route fails for good ("Network is
 * unreachable" is nothing that mount.nfs tries again). So READY=1 goes out when the route leads to a next hop
 * that has answered, whether the route was found or set. The agent works before that as it does afterwards.
 *
 * When nothing answers the wait has an end, READY_WAIT_NS after the start: a host must boot without its
 * storage too. 45 s is half of the time that systemd gives a unit to start (90 s), and longer than the 30 s
 * for which a port of a bridge with spanning tree passes nothing at first (IEEE 802.1D: twice a forward delay
 * of 15 s). The status line says then that the wait was in vain.
 *
 * What could not be sent is sent at the next step.
 */
#include "route/agent/private.h"
#include "route/agent/sd_notify.h"

#define READY_WAIT_NS (45 * NS_PER_S)

void agent_manager_start(struct agent *agent)
{
    struct agent_manager *manager = &agent->manager;

    manager->watchdog_interval_ns = notify_watchdog_interval_ns();
    manager->watchdog_ns = manager->watchdog_interval_ns == NEVER_NS ? NEVER_NS : 0;
    manager->ready_by_ns = agent->started_ns + READY_WAIT_NS;
}

/* A dry run sets no route: there is nothing to wait for. */
static bool route_stands(const struct agent *agent)
{
    return agent->options->dry_run || (agent->current != SELECTOR_NO_PATH &&
                                       agent->table.paths[agent->current].health.state == HEALTH_UP);
}

static void write_status(const struct agent *agent, bool ready, bool stands, char *text, size_t size_bytes)
{
    const char *service = ADDRESS_TEXT(&agent->config->service);
    int length;

    if (agent->current == SELECTOR_NO_PATH)
        length = snprintf(text, size_bytes, "no route to %s, reason %s: %s", service,
                          agent_reason_text(agent), selector_reason_sentence(agent->decision.reason));
    else
        length = snprintf(text, size_bytes, "%s via %s (%s, %s), reason %s", service,
                          ADDRESS_TEXT(&agent->table.paths[agent->current].address),
                          agent_path_access_name(agent, agent->current),
                          selector_tier_text(agent->table.selector_paths[agent->current].tier),
                          agent_reason_text(agent));
    if (!stands && length > 0 && (size_t)length < size_bytes)
        snprintf(text + length, size_bytes - (size_t)length,
                 ready ? "; waited %.0f s in vain for %s" : "; waits up to %.0f s for %s",
                 (double)READY_WAIT_NS / NS_PER_S, "a next hop that answers");
}

static void tell(struct agent *agent)
{
    struct agent_manager *manager = &agent->manager;
    bool stands = route_stands(agent);
    bool ready = manager->ready || stands || agent->now_ns >= manager->ready_by_ns;
    char status[sizeof(manager->status)], text[sizeof(manager->status) + 32];

    manager->stood = manager->stood || stands;
    write_status(agent, ready, manager->stood, status, sizeof(status));
    if (ready == manager->ready && strcmp(status, manager->status) == 0)
        return;
    snprintf(text, sizeof(text), "%sSTATUS=%s", ready && !manager->ready ? "READY=1\n" : "", status);
    if (notify_manager(text) < 0)
        return;
    manager->ready = ready;
    memcpy(manager->status, status, sizeof(status));
}

void agent_manager_step(struct agent *agent)
{
    struct agent_manager *manager = &agent->manager;

    tell(agent);
    if (agent->now_ns >= manager->watchdog_ns) {
        notify_manager("WATCHDOG=1");
        manager->watchdog_ns = agent->now_ns + manager->watchdog_interval_ns;
    }
}

uint64_t agent_manager_deadline_ns(const struct agent *agent)
{
    const struct agent_manager *manager = &agent->manager;

    return manager->ready ? manager->watchdog_ns : min_u64(manager->watchdog_ns, manager->ready_by_ns);
}

/* To a manager that still waits for READY=1 the end of a reload must not look like it. */
void agent_manager_reload(struct agent *agent)
{
    char text[64];

    if (agent->manager.ready) {
        snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                 clock_now_ns(CLOCK_MONOTONIC) / NS_PER_US);
        notify_manager(text);
    }
    agent_reload(agent);
    if (agent->manager.ready)
        notify_manager("READY=1");
}
