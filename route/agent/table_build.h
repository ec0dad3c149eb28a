/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table is built as a whole from the configuration (and, with bootstrap, from the sessions ever seen), and
 * then installed in place of the old one, see install.c. What is remembered of an address (health, the
 * selector's memory) goes over to the new table, so that a reload disturbs nothing.
 */
#pragma once

#include "route/agent/host_identity.h"
#include "route/agent/lists.h"

/* What a table is built from. */
struct table_source {
    const struct config *config;
    const struct host_identity *identity;
    const struct lists *lists;
    const struct agent_table *old; /* whom the log knows */
    uint64_t now_ns;
};

/* 0 or -ENOMEM: *table is empty then. */
int table_build(struct agent_table *table, const struct table_source *source);
