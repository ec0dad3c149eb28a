/* SPDX-License-Identifier: Apache-2.0 */
#include "probe/scope.h"

bool scope_refresh(struct scope *scope)
{
    uint32_t index = scope->name[0] ? address_zone_index(scope->name) : 0;

    if (index == 0 || index == scope->index)
        return false;
    scope->index = index;
    return true;
}

int scope_parse_address(struct address *out, struct scope *scope, const char *text)
{
    const char *percent = strchr(text, '%');
    char bare[ADDRESS_TEXT_SIZE];
    int r;

    *scope = (struct scope){0};
    if (!percent)
        return address_parse(out, text);
    memset(out, 0, sizeof(*out));
    if (percent[1] == '\0' || strlen(percent + 1) >= IF_NAMESIZE || (size_t)(percent - text) >= sizeof(bare))
        return -EINVAL;
    memcpy(bare, text, (size_t)(percent - text));
    bare[percent - text] = '\0';
    r = address_parse(out, bare);
    if (r == 0 && !address_has_zone(out)) {
        memset(out, 0, sizeof(*out));
        r = -EDOM;
    }
    if (r < 0)
        return r;
    memcpy(scope->name, percent + 1, strlen(percent + 1) + 1);
    scope->index = out->scope = address_zone_index(scope->name);
    return 0;
}

const char *scope_format_address(const struct address *a, const struct scope *scope,
                                 char buffer[static ADDRESS_TEXT_SIZE])
{
    struct address bare = *a;
    size_t length;

    bare.scope = 0;
    address_format(&bare, buffer);
    length = strlen(buffer);
    if (address_is_set(a) && scope->name[0])
        snprintf(buffer + length, ADDRESS_TEXT_SIZE - length, "%%%s", scope->name);
    return buffer;
}

int scope_parse_lasting(struct address *out, const char *text)
{
    struct scope scope;
    int r = scope_parse_address(out, &scope, text);

    memcpy(out->zone, scope.name, sizeof(out->zone));
    return r;
}

void scope_name_address(struct address *a)
{
    if (!a->zone[0] && a->scope && address_has_zone(a) && !if_indextoname(a->scope, a->zone))
        memset(a->zone, 0, sizeof(a->zone));
}

bool scope_refresh_address(struct address *a)
{
    uint32_t before = a->scope;

    if (a->zone[0])
        a->scope = address_zone_index(a->zone);
    return a->scope != before;
}

int scopes_add(struct scopes *scopes, uint32_t index)
{
    struct scope *larger;

    if (index == 0 || scopes_name(scopes, index))
        return 0;
    larger = realloc(scopes->list, (scopes->count + 1) * sizeof(*larger));
    if (!larger)
        return -ENOMEM;
    scopes->list = larger;
    larger[scopes->count] = (struct scope){.index = index};
    if (!if_indextoname(index, larger[scopes->count].name))
        snprintf(larger[scopes->count].name, IF_NAMESIZE, "%" PRIu32, index);
    scopes->count++;
    return 0;
}

const char *scopes_name(const struct scopes *scopes, uint32_t index)
{
    for (uint32_t i = 0; i < scopes->count; i++)
        if (scopes->list[i].index == index)
            return scopes->list[i].name;
    return NULL;
}

bool scopes_refresh(struct scopes *scopes, uint32_t *before)
{
    bool changed = false;

    for (uint32_t i = 0; i < scopes->count; i++) {
        before[i] = scopes->list[i].index;
        changed |= scope_refresh(&scopes->list[i]);
    }
    return changed;
}

void scopes_clear(struct scopes *scopes)
{
    free(scopes->list);
    *scopes = (struct scopes){0};
}
