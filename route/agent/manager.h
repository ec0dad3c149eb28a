/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service manager is told: whether the agent is ready, what it does now, that it lives.
 */
#pragma once

#include "probe/base.h"

#define MANAGER_STATUS_SIZE 320

struct manager {
    bool ready;
    bool stood;           /* the route has led to a next hop that answered, at some time */
    uint64_t ready_by_ns; /* the wait for it ends */
    char status[MANAGER_STATUS_SIZE];
    uint64_t again_ns;  /* what could not be sent is tried again then; 0: there is nothing of it */
    bool reload_untold; /* a reload whose begin or end could not be sent */
    uint64_t watchdog_interval_ns, watchdog_ns;
};

void manager_start(struct manager *manager, uint64_t now_ns);

/*
 * Tells what is new, in time for the watchdog. stands: the route leads to a next hop that answers (or there is
 * none to be set). summary: what the agent does, a line.
 */
void manager_step(struct manager *manager, bool stands, const char *summary, uint64_t now_ns);
uint64_t manager_deadline_ns(const struct manager *manager);

/* Around a reload, before a step. To a manager that still waits for READY=1 the end of a reload must not look
 * like it. */
void manager_reload_begins(struct manager *manager);
void manager_reload_ended(struct manager *manager);
void manager_stop(void);
