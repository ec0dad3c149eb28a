/* SPDX-License-Identifier: Apache-2.0 */
/*
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
#include "route/agent/manager.h"

#include "route/agent/sd_notify.h"

#define READY_WAIT_NS (45 * NS_PER_S)

void manager_start(struct manager *manager, uint64_t now_ns)
{
    *manager = (struct manager){.watchdog_interval_ns = notify_watchdog_interval_ns(),
                                .ready_by_ns = now_ns + READY_WAIT_NS};
    manager->watchdog_ns = manager->watchdog_interval_ns == NEVER_NS ? NEVER_NS : 0;
}

static void write_status(const struct manager *manager, bool ready, const char *summary,
                         char text[static MANAGER_STATUS_SIZE])
{
    if (manager->stood)
        snprintf(text, MANAGER_STATUS_SIZE, "%s", summary);
    else
        snprintf(text, MANAGER_STATUS_SIZE, "%s; %s %.0f s%s for a next hop that answers", summary,
                 ready ? "waited" : "waits up to", (double)READY_WAIT_NS / NS_PER_S, ready ? " in vain" : "");
}

static void tell(struct manager *manager, bool stands, const char *summary, uint64_t now_ns)
{
    bool ready = manager->ready || stands || now_ns >= manager->ready_by_ns;
    char status[MANAGER_STATUS_SIZE], text[MANAGER_STATUS_SIZE + 32];

    manager->stood = manager->stood || stands;
    write_status(manager, ready, summary, status);
    if (ready == manager->ready && strcmp(status, manager->status) == 0)
        return;
    snprintf(text, sizeof(text), "%sSTATUS=%s", ready && !manager->ready ? "READY=1\n" : "", status);
    if (notify_manager(text) < 0)
        return;
    manager->ready = ready;
    memcpy(manager->status, status, sizeof(status));
}

void manager_step(struct manager *manager, bool stands, const char *summary, uint64_t now_ns)
{
    tell(manager, stands, summary, now_ns);
    if (now_ns >= manager->watchdog_ns) {
        notify_manager("WATCHDOG=1");
        manager->watchdog_ns = now_ns + manager->watchdog_interval_ns;
    }
}

uint64_t manager_deadline_ns(const struct manager *manager)
{
    return manager->ready ? manager->watchdog_ns : min_u64(manager->watchdog_ns, manager->ready_by_ns);
}

void manager_reload_begins(const struct manager *manager)
{
    char text[64];

    if (!manager->ready)
        return;
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             clock_now_ns(CLOCK_MONOTONIC) / NS_PER_US);
    notify_manager(text);
}

void manager_reload_ended(const struct manager *manager)
{
    if (manager->ready)
        notify_manager("READY=1");
}

void manager_stop(void)
{
    notify_manager("STOPPING=1");
}
