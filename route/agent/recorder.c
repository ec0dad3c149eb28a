/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent tells its journal, see journal.c.
 */
#include "route/agent/private.h"

static const struct address *path_address(const void *owner, uint32_t path)
{
    return &((const struct agent *)owner)->host.table.paths[path].address;
}

static const char *access_name(const void *owner, uint32_t access)
{
    return ((const struct agent *)owner)->host.table.accesses[access].name;
}

static const char *access_uuid(const void *owner, uint32_t access)
{
    return ((const struct agent *)owner)->host.table.accesses[access].view.uuid;
}

int agent_journal_open(struct agent *agent)
{
    struct journal_sink sink;

    if (!agent->files.disk)
        return 0;
    sink = disk_journal(agent->files.disk);
    return journal_new(&agent->files.journal, &sink, JOURNAL_MAX_BYTES, clock_now_ns(CLOCK_BOOTTIME),
                       agent->now_ns);
}

void agent_journal_step(struct agent *agent, const struct selector_input *input)
{
    char service[ADDRESS_TEXT_SIZE];
    const struct journal_source source = {
        .owner = agent,
        .path_address = path_address,
        .access_name = access_name,
        .access_uuid = access_uuid,
        .host = agent->config->host,
        .version = agent->options->version,
        .service = address_format(&agent->config->service, service),
    };
    const struct journal_step step = {.source = &source,
                                      .input = input,
                                      .selector = &agent->host.table.selector,
                                      .decision = &agent->service.decision};

    if (agent->files.journal)
        journal_step(agent->files.journal, &step); /* what cannot be written the disk reports */
}
