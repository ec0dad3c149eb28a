/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person has ordered: pin, drain, failback now. Pin and drain are kept over a restart, and may have an end and a
 * reason.
 */
#pragma once

#include "route/agent/table.h"
#include "route/agent/terms.h"

enum order { ORDER_PIN, ORDER_PIN_HARD, ORDER_UNPIN, ORDER_DRAIN, ORDER_UNDRAIN, ORDER_FAILBACK };
const char *order_text(enum order order); /* as it is typed: "pin --hard" */

struct orders {
    char pin[CONFIG_NAME_SIZE]; /* an access' name or a path's address; empty: nothing is pinned */
    bool pin_hard;              /* never left */
    bool pin_now;               /* the pin is new: go there without hold */
    bool pin_lost;              /* nothing in the table is meant by it, and the log says so */
    struct terms pin_terms;
    bool failback_now;
    struct drain *drained;
    size_t drained_count;
};

void orders_clear(struct orders *orders);

/*
 * 0, or a negative errno with one line in message; nothing has changed then. Who pins or drains again gives other terms;
 * a drain that would change nothing is refused.
 */
int orders_pin(struct orders *orders, const struct agent_table *table, const char *target, bool hard,
               const struct terms *terms, char *message, size_t size_bytes);
int orders_unpin(struct orders *orders, char *message, size_t size_bytes);
int orders_drain(struct orders *orders, const struct agent_table *table, const char *access,
                 const struct terms *terms, char *message, size_t size_bytes);
int orders_undrain(struct orders *orders, const char *access, char *message, size_t size_bytes);

/*
 * Ends one order whose time is over at that time of CLOCK_REALTIME: *order says how it could have been taken back, and
 * target of what it was. False: there is none.
 */
bool orders_end_one(struct orders *orders, uint64_t realtime_ns, enum order *order,
                    char target[static CONFIG_NAME_SIZE]);
/* When the next one is over; NEVER_NS: none is ever. */
uint64_t orders_end_ns(const struct orders *orders);

bool orders_pins(const struct orders *orders, const struct agent_table *table, uint32_t path);
bool orders_pin_is_known(const struct orders *orders,
                         const struct agent_table *table); /* it pins some path */
/* NULL: it is not drained. */
const struct drain *orders_drain_of(const struct orders *orders, const char *access);
bool orders_drains(const struct orders *orders, const char *access);
