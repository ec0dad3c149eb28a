/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service manager is told: whether the agent is ready, what it does now, that it lives.
 */
#pragma once

#include "probe/base.h"

#define MANAGER_STATUS_SIZE 320

/* How far the service's route has come. */
enum manager_route {
    MANAGER_NO_LINK,   /* no interface leads to a node that is known, nor to one of bootstrap */
    MANAGER_NO_ANSWER, /* one does */
    MANAGER_STANDS,    /* it leads to a next hop that answers, or there is none to be set */
};

struct manager {
    bool ready;
    enum manager_route reached; /* the farthest so far */
    uint64_t ready_by_ns;       /* the wait for what comes next ends */
    char status[MANAGER_STATUS_SIZE];
    uint64_t again_ns;  /* what could not be sent is tried again then; 0: there is nothing of it */
    bool reload_untold; /* a reload whose begin or end could not be sent */
    uint64_t watchdog_interval_ns, watchdog_ns;
};

void manager_start(struct manager *manager, uint64_t now_ns);

/*
 * Tells what is new, in time for the watchdog. summary: what the agent does, a line.
 */
void manager_step(struct manager *manager, enum manager_route route, const char *summary, uint64_t now_ns);
uint64_t manager_deadline_ns(const struct manager *manager);

/* Around a reload, before a step. To a manager that still waits for READY=1 the end of a reload must not look
 * like it. */
void manager_reload_begins(struct manager *manager);
void manager_reload_ended(struct manager *manager);
void manager_stop(void);
