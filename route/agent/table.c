/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/table.h"

#include "probe/scope.h"

uint32_t agent_table_find(const struct agent_table *table, const struct address *address)
{
    for (uint32_t i = 0; i < table->path_count; i++)
        if (address_equal(&table->paths[i].address, address))
            return i;
    return SELECTOR_NO_PATH;
}

uint32_t agent_table_of_stream(const struct agent_table *table, uint32_t stream_id)
{
    uint32_t *guess = table->by_stream ? &table->by_stream[stream_id & table->stream_mask] : NULL;

    if (guess && *guess < table->path_count && table->paths[*guess].probing.streamed &&
        table->paths[*guess].probing.stream_id == stream_id)
        return *guess;
    for (uint32_t i = 0; i < table->path_count; i++) {
        if (!table->paths[i].probing.streamed || table->paths[i].probing.stream_id != stream_id)
            continue;
        if (guess)
            *guess = i;
        return i;
    }
    return SELECTOR_NO_PATH;
}

uint32_t agent_table_access(const struct agent_table *table, uint32_t path)
{
    return path == SELECTOR_NO_PATH ? SELECTOR_NO_ACCESS : table->selector_paths[path].access;
}

const char *agent_table_access_name(const struct agent_table *table, uint32_t path)
{
    uint32_t access = agent_table_access(table, path);

    return access == SELECTOR_NO_ACCESS ? "foreign" : table->accesses[access].name;
}

bool agent_table_is_local(const struct agent_table *table, uint32_t path)
{
    uint32_t access = agent_table_access(table, path);

    return access != SELECTOR_NO_ACCESS && table->selector_accesses[access].locality == LOCALITY_LOCAL;
}

bool agent_table_has(const struct agent_table *table, const struct address *data,
                     const struct address *secondary)
{
    return (address_is_set(data) && agent_table_find(table, data) != SELECTOR_NO_PATH) ||
           (address_is_set(secondary) && agent_table_find(table, secondary) != SELECTOR_NO_PATH);
}

size_t agent_table_endpoints(const struct agent_table *table, uint32_t access, bool up,
                             struct session_endpoint *out, size_t room)
{
    size_t count = 0;

    for (uint32_t i = 0; i < table->path_count && count < room; i++) {
        const struct agent_path *path = &table->paths[i];

        if (table->selector_paths[i].access == access && !path->entry.error &&
            (path->health.state == HEALTH_UP) == up)
            out[count++] = (struct session_endpoint){.access = access, .address = path->address};
    }
    return count;
}

static int grow(void *array, uint32_t count, size_t size_bytes)
{
    void **p = array, *bigger = realloc(*p, (count + 1) * size_bytes);

    if (!bigger)
        return -ENOMEM;
    *p = bigger;
    memset((char *)bigger + count * size_bytes, 0, size_bytes);
    return 0;
}

int agent_table_add_path(struct agent_table *table, uint32_t access, enum selector_tier tier,
                         const struct address *address)
{
    if (!address_is_set(address))
        return 0;
    if (grow(&table->paths, table->path_count, sizeof(*table->paths)) < 0 ||
        grow(&table->selector_paths, table->path_count, sizeof(*table->selector_paths)) < 0 ||
        grow(&table->selector.paths, table->path_count, sizeof(*table->selector.paths)) < 0)
        return -ENOMEM;
    table->paths[table->path_count] = (struct agent_path){.address = *address};
    table->selector_paths[table->path_count] = (struct path_evidence){.access = access, .tier = tier};
    table->path_count++;
    return 0;
}

int agent_table_add_access(struct agent_table *table, const struct agent_access *access)
{
    uint32_t index = table->access_count;

    if (grow(&table->accesses, index, sizeof(*table->accesses)) < 0 ||
        grow(&table->selector_accesses, index, sizeof(*table->selector_accesses)) < 0 ||
        grow(&table->selector.accesses, index, sizeof(*table->selector.accesses)) < 0)
        return -ENOMEM;
    table->accesses[index] = *access;
    table->access_count++;
    return 0;
}

void agent_table_clear(struct agent_table *table, struct probe_stream *stream)
{
    for (uint32_t i = 0; i < table->path_count; i++) {
        service_check_free(table->paths[i].serving.check);
        if (table->paths[i].probing.streamed && stream)
            probe_stream_remove(stream, table->paths[i].probing.stream_id);
    }
    free(table->accesses);
    free(table->selector_accesses);
    free(table->paths);
    free(table->selector_paths);
    free(table->selector.accesses);
    free(table->selector.paths);
    free(table->by_stream);
    *table = (struct agent_table){0};
}

void agent_path_inherit(struct agent_path *path, struct agent_path *old)
{
    struct address address = path->address;

    *path = *old;
    path->address = address;
    old->probing.streamed = false;
    old->serving.check = NULL;
}

/* An access is the same when an address of it is, else when it has its name still. */
static uint32_t find_access(const struct agent_table *table, uint32_t access, const struct agent_table *old)
{
    const struct agent_access *a = &table->accesses[access];
    const struct address *const addresses[] = {&a->data, &a->secondary, &a->management};

    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        uint32_t path = address_is_set(addresses[i]) ? agent_table_find(old, addresses[i]) : SELECTOR_NO_PATH;

        if (path != SELECTOR_NO_PATH && old->selector_paths[path].access != SELECTOR_NO_ACCESS)
            return old->selector_paths[path].access;
    }
    for (uint32_t i = 0; i < old->access_count; i++)
        if (strcmp(old->accesses[i].name, a->name) == 0)
            return i;
    return SELECTOR_NO_ACCESS;
}

void agent_table_inherit(struct agent_table *table, struct agent_table *old)
{
    for (uint32_t i = 0; i < table->access_count; i++) {
        uint32_t before = find_access(table, i, old);

        if (before == SELECTOR_NO_ACCESS)
            continue;
        table->accesses[i].memory = old->accesses[before].memory;
        table->selector.accesses[i] = old->selector.accesses[before];
    }
    for (uint32_t i = 0; i < table->path_count; i++) {
        uint32_t before = agent_table_find(old, &table->paths[i].address);

        if (before == SELECTOR_NO_PATH)
            continue;
        agent_path_inherit(&table->paths[i], &old->paths[before]);
        table->selector.paths[i] = old->selector.paths[before];
    }
}

int agent_table_add_foreign(struct agent_table *table, const struct address *next_hop, uint32_t ifindex)
{
    int error = agent_table_add_path(table, SELECTOR_NO_ACCESS, TIER_FOREIGN, next_hop);

    if (error < 0)
        return error;
    table->paths[table->path_count - 1].entry.ifindex = ifindex;
    scope_name_address(&table->paths[table->path_count - 1].address);
    return 0;
}
