/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can happen, and the one place that tells everybody who wants to know: the log, the journal, the counters,
 * the cluster, the state directory, the program that is run at every change. Who sees that something happened calls
 * agent_tell(); who is told what is a table in happening.c.
 */
#pragma once

#include "route/agent/orders.h"
#include "route/agent/table.h"
#include "route/keeper/keeper.h"

enum happening_kind {
    HAPPENED_START,        /* the agent runs */
    HAPPENED_STOP,         /* it ends by a signal */
    HAPPENED_PATH,         /* `path` went up or down */
    HAPPENED_SERVICE,      /* the service check of `path` found out otherwise */
    HAPPENED_WITNESS,      /* the host's own connection says otherwise of `path`, the one in use */
    HAPPENED_SESSION,      /* the session of `access` has another state */
    HAPPENED_OBSERVING,    /* the agent only observes from now on, or acts again */
    HAPPENED_OBSERVE_FILE, /* whether the file is there that says so is not known any more, or is again */
    HAPPENED_ACCESSES,     /* lists let in others, or some were dropped */
    HAPPENED_PIN_LOST,     /* nothing is meant by the pin (any more) */
    HAPPENED_DECISION,     /* the selector decides otherwise than before */
    HAPPENED_ORDER,        /* a person gave an `order`, about `target` */
    HAPPENED_SWITCH,       /* the route led to `from` and leads to `path` now, because of `reason`; `route` */
    HAPPENED_REFUSAL,      /* the kernel refused the switch to `path`; `route` */
    HAPPENED_ADOPTION,     /* the route through `path` was found, and is kept; `route` */
    HAPPENED_ROUTE,        /* something else about the route that its guard tells of: `route` */
    HAPPENED_PLANNED_ABANDONED, /* the planned switch to `path` */
    HAPPENED_PLANNED_WAITS,
    HAPPENED_PLANNED_UNTOLD,
    HAPPENED_FULL_SIZE_LOST, /* on `path` */
    HAPPENED_PAIR,           /* another pair is advised, or in force */
    HAPPENED_FALSE_FAILOVER, /* `path` was left, and answered again soon */
    HAPPENED_KINDS,
};

struct happening {
    enum happening_kind kind;
    uint32_t path, from; /* indices, or SELECTOR_NO_PATH */
    uint32_t access;
    enum selector_reason reason;
    const struct keeper_event *route;
    enum order order;
    const struct terms *terms; /* of a pin, a drain */
    bool over;                 /* nobody took it back: its time is over */
    const char *target;        /* of an order; of HAPPENED_STOP: the signal */
};

struct agent;
void agent_tell(struct agent *agent, const struct happening *happening);
