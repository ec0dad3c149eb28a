/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/table_build.h"

#include "route/log.h"

static int add_access(struct agent_table *table, const struct table_source *source,
                      const struct agent_access *access)
{
    uint32_t index = table->access_count;
    const struct address *key = address_is_set(&access->data)        ? &access->data
                                : address_is_set(&access->secondary) ? &access->secondary
                                                                     : &access->management;
    int error;

    if (agent_table_add_access(table, access) < 0)
        return -ENOMEM;
    table->selector_accesses[index].weight =
        selector_weight(host_identity_key(source->identity, source->config->host), key);
    error = agent_table_add_path(table, index, TIER_DATA, &access->data);
    if (!error)
        error = agent_table_add_path(table, index, TIER_SECONDARY, &access->secondary);
    if (!error)
        error = agent_table_add_path(table, index, TIER_MANAGEMENT, &access->management);
    return error;
}

/* A cluster of which only a few addresses are configured is most often one of NFS servers. */
#define CHECK_BY_GUESS "tcp:2049"

static struct agent_check check_of(const struct config *config, const char *own)
{
    const char *text = own[0] ? own : config->session.service_check;
    struct agent_check check = {.window_ns = config->session.service_check_window_ns};

    if (strcmp(text, "auto") == 0 && config->bootstrap_count > 0) {
        text = CHECK_BY_GUESS;
        check.assumed = true;
    }
    service_protocol_parse(text, &check.protocol); /* port 0 for "none" and "auto" */
    return check;
}

/* One access that only a session list knows. */
static int add_session(struct agent_table *table, const struct table_source *source, struct address data,
                       struct address secondary)
{
    struct agent_access access = {0};

    if (!lists_usable_addresses(source->config, &data, &secondary) ||
        agent_table_has(table, &data, &secondary))
        return 0;
    access.data = data;
    access.secondary = secondary;
    snprintf(access.name, sizeof(access.name), "%s",
             ADDRESS_TEXT(address_is_set(&data) ? &data : &secondary));
    access.check = check_of(source->config, "");
    if (!agent_table_has(source->old, &data, &secondary))
        log_event(LOG_LEVEL_WARN, "no-management-path",
                  "access=%s hint=\"an access entry with this data address can name one\"",
                  LOG_VALUE(access.name));
    return add_access(table, source, &access);
}

/* The accesses of the list of before this start, and those of the lists since that were let in. */
static int add_sessions(struct agent_table *table, const struct table_source *source)
{
    const struct session_list *remembered = &source->lists->accesses.remembered;
    struct session_view view;
    int error = 0;

    for (size_t i = 0; !error && i < remembered->count; i++)
        error = add_session(table, source, remembered->items[i].data, remembered->items[i].secondary);
    for (size_t i = 0; !error && session_liveness_at(source->lists->liveness, i, source->now_ns, &view); i++)
        if (view.listed && view.expected)
            error = add_session(table, source, view.data, view.secondary);
    return error;
}

/* Ids are given one after the other: with twice the room few share a place. */
static int make_guesses(struct agent_table *table)
{
    uint32_t size = 64;

    while (size < 2 * table->path_count)
        size *= 2;
    table->by_stream = calloc(size, sizeof(*table->by_stream));
    table->stream_mask = size - 1;
    return table->by_stream ? 0 : -ENOMEM;
}

int table_build(struct agent_table *table, const struct table_source *source)
{
    const struct config *config = source->config;
    int error = 0;

    *table = (struct agent_table){0};
    for (size_t i = 0; !error && i < config->access_count; i++) {
        const struct config_access *from = &config->accesses[i];
        struct agent_access access = {
            .local = from->local,
            .data = from->data,
            .secondary = from->secondary,
            .management = from->management,
            .check = check_of(config, from->service_check),
        };

        memcpy(access.name, from->name, sizeof(access.name));
        memcpy(access.zone, from->zone, sizeof(access.zone));
        error = add_access(table, source, &access);
    }
    if (!error && lists_make_accesses(config))
        error = add_sessions(table, source);
    if (!error)
        error = make_guesses(table);
    if (error)
        agent_table_clear(table, NULL);
    return error;
}
