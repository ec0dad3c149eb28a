/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person has ordered: pin, drain, failback now. Pin and drain are kept over a restart.
 */
#pragma once

#include "route/agent/table.h"

enum order { ORDER_PIN, ORDER_PIN_HARD, ORDER_UNPIN, ORDER_DRAIN, ORDER_UNDRAIN, ORDER_FAILBACK };
const char *order_text(enum order order); /* as it is typed: "pin --hard" */

struct orders {
    char pin[CONFIG_NAME_SIZE]; /* an access' name or a path's address; empty: nothing is pinned */
    bool pin_hard;              /* never left */
    bool pin_now;               /* the pin is new: go there without hold */
    bool pin_lost;              /* nothing in the table is meant by it, and the log says so */
    bool failback_now;
    char (*drained)[CONFIG_NAME_SIZE]; /* names of accesses */
    size_t drained_count;
};

void orders_clear(struct orders *orders);

/* 0, or a negative errno with one line in message; nothing has changed then. */
int orders_pin(struct orders *orders, const struct agent_table *table, const char *target, bool hard,
               char *message, size_t size_bytes);
int orders_unpin(struct orders *orders, char *message, size_t size_bytes);
int orders_drain(struct orders *orders, const struct agent_table *table, const char *access, bool drain,
                 char *message, size_t size_bytes);

bool orders_pins(const struct orders *orders, const struct agent_table *table, uint32_t path);
bool orders_pin_is_known(const struct orders *orders,
                         const struct agent_table *table); /* it pins some path */
bool orders_drains(const struct orders *orders, const char *access);
