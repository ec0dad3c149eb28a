/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent tells its journal, see journal.c.
 */
#include "route/agent/private.h"

static const struct address *path_address(const void *owner, uint32_t path)
{
    return &((const struct agent *)owner)->table.paths[path].address;
}

static const char *access_name(const void *owner, uint32_t access)
{
    return ((const struct agent *)owner)->table.accesses[access].name;
}

static const char *access_uuid(const void *owner, uint32_t access)
{
    return ((const struct agent *)owner)->table.accesses[access].view.uuid;
}

int agent_journal_open(struct agent *agent)
{
    if (agent->options->dry_run)
        return 0;
    return journal_new(&agent->files.journal, agent->config->state_directory, JOURNAL_MAX_BYTES,
                       clock_now_ns(CLOCK_BOOTTIME), agent->now_ns);
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
    const struct journal_step step = {
        .source = &source, .input = input, .selector = &agent->table.selector, .decision = &agent->service.decision};
    bool again;
    int error;

    if (!agent->files.journal)
        return;
    error = journal_step(agent->files.journal, &step, &again);
    if (error < 0 || again)
        kept_note(&agent->files.kept, agent->config->state_directory, KEPT_JOURNAL, error);
}
