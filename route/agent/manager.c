/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ready means that the service can be mounted. Units that are ordered after this one, mounts of the service
 * first of all, begin at that moment, and a mount that finds no route fails for good ("Network is
 * unreachable" is nothing that mount.nfs tries again). So READY=1 goes out when the route leads to a next hop
 * that has answered, whether the route was found or set. The agent works before that as it does afterwards.
 *
 * The wait has an end: a host must boot without its storage too. An interface that leads to a node may appear a
 * minute after the start: it is waited for LINK_WAIT_NS. From then on a node that answers is waited for
 * READY_WAIT_NS, longer than the 30 s for which a port of a bridge with spanning tree passes nothing at first
 * (IEEE 802.1D: twice a forward delay of 15 s). Both together are less than TimeoutStartSec of the unit. The
 * status line says then that the wait was in vain.
 *
 * What could not be sent is sent RETRY_NS later: its socket may be full, or gone for a moment. A keep-alive for
 * the watchdog is sent again after a quarter of its interval. Of a reload that could not be told both ends are
 * told again, for one without the other leaves the manager waiting.
 */
#include "route/agent/manager.h"

#include "route/agent/sd_notify.h"

#define LINK_WAIT_NS  (75 * NS_PER_S)
#define READY_WAIT_NS (45 * NS_PER_S)
#define RETRY_NS      (1 * NS_PER_S)

void manager_start(struct manager *manager, uint64_t now_ns)
{
    *manager = (struct manager){.watchdog_interval_ns = notify_watchdog_interval_ns(),
                                .ready_by_ns = now_ns + LINK_WAIT_NS};
    manager->watchdog_ns = manager->watchdog_interval_ns == NEVER_NS ? NEVER_NS : 0;
}

static void write_status(const struct manager *manager, bool ready, const char *summary,
                         char text[static MANAGER_STATUS_SIZE])
{
    bool linked = manager->reached != MANAGER_NO_LINK;

    if (manager->reached == MANAGER_STANDS)
        snprintf(text, MANAGER_STATUS_SIZE, "%s", summary);
    else
        snprintf(text, MANAGER_STATUS_SIZE, "%s; %s %.0f s%s for %s", summary,
                 ready ? "waited" : "waits up to", (double)(linked ? READY_WAIT_NS : LINK_WAIT_NS) / NS_PER_S,
                 ready ? " in vain" : "",
                 linked ? "a next hop that answers" : "an interface that leads to a node");
}

static int tell_reload_begins(void)
{
    char text[64];

    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             clock_now_ns(CLOCK_MONOTONIC) / NS_PER_US);
    return notify_manager(text);
}

static int tell_reload_again(struct manager *manager)
{
    int error = tell_reload_begins();

    if (!error)
        error = notify_manager("READY=1");
    manager->reload_untold = error < 0;
    return error;
}

static int tell(struct manager *manager, enum manager_route route, const char *summary, uint64_t now_ns)
{
    bool ready = manager->ready || route == MANAGER_STANDS || now_ns >= manager->ready_by_ns;
    char status[MANAGER_STATUS_SIZE], text[MANAGER_STATUS_SIZE + 32];
    int error = manager->reload_untold ? tell_reload_again(manager) : 0;

    write_status(manager, ready, summary, status);
    if (error || (ready == manager->ready && strcmp(status, manager->status) == 0))
        return error;
    snprintf(text, sizeof(text), "%sSTATUS=%s", ready && !manager->ready ? "READY=1\n" : "", status);
    error = notify_manager(text);
    if (error)
        return error;
    manager->ready = ready;
    memcpy(manager->status, status, sizeof(status));
    return 0;
}

/* A link that comes when the manager has been told that all waiting was in vain begins no new wait. */
static void note_reached(struct manager *manager, enum manager_route route, uint64_t now_ns)
{
    if (route <= manager->reached || (manager->ready && route != MANAGER_STANDS))
        return;
    if (manager->reached == MANAGER_NO_LINK)
        manager->ready_by_ns = now_ns + READY_WAIT_NS;
    manager->reached = route;
}

void manager_step(struct manager *manager, enum manager_route route, const char *summary, uint64_t now_ns)
{
    note_reached(manager, route, now_ns);
    if (now_ns >= manager->again_ns)
        manager->again_ns = tell(manager, route, summary, now_ns) < 0 ? now_ns + RETRY_NS : 0;
    if (now_ns >= manager->watchdog_ns)
        manager->watchdog_ns = now_ns + (notify_manager("WATCHDOG=1") < 0 ? manager->watchdog_interval_ns / 4
                                                                          : manager->watchdog_interval_ns);
}

uint64_t manager_deadline_ns(const struct manager *manager)
{
    if (manager->again_ns)
        return min_u64(manager->watchdog_ns, manager->again_ns);
    return manager->ready ? manager->watchdog_ns : min_u64(manager->watchdog_ns, manager->ready_by_ns);
}

void manager_reload_begins(struct manager *manager)
{
    if (manager->ready)
        manager->reload_untold = tell_reload_begins() < 0;
}

void manager_reload_ended(struct manager *manager)
{
    if (manager->ready && !manager->reload_untold)
        manager->reload_untold = notify_manager("READY=1") < 0;
}

void manager_stop(void)
{
    notify_manager("STOPPING=1");
}
