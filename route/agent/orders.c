/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/orders.h"

#include "probe/scope.h"

const char *order_text(enum order order)
{
    static const char *const texts[] = {
        [ORDER_PIN] = "pin",     [ORDER_PIN_HARD] = "pin --hard", [ORDER_UNPIN] = "unpin",
        [ORDER_DRAIN] = "drain", [ORDER_UNDRAIN] = "undrain",     [ORDER_FAILBACK] = "failback --now",
    };

    return texts[order];
}

void orders_clear(struct orders *orders)
{
    free(orders->drained);
    *orders = (struct orders){0};
}

/* Does `target`, an access' name or a path's address, mean this path? */
static bool is_meant(const struct agent_table *table, uint32_t path, const char *target)
{
    struct address address;

    if (agent_table_access(table, path) == SELECTOR_NO_ACCESS)
        return false;
    if (strcmp(agent_table_access_name(table, path), target) == 0)
        return true;
    return scope_parse_lasting(&address, target) == 0 && address_equal(&address, &table->paths[path].address);
}

bool orders_pins(const struct orders *orders, const struct agent_table *table, uint32_t path)
{
    return orders->pin[0] && is_meant(table, path, orders->pin);
}

bool orders_pin_is_known(const struct orders *orders, const struct agent_table *table)
{
    for (uint32_t i = 0; i < table->path_count; i++)
        if (orders_pins(orders, table, i))
            return true;
    return false;
}

static struct drain *find_drain(const struct orders *orders, const char *access)
{
    for (size_t i = 0; i < orders->drained_count; i++)
        if (strcmp(orders->drained[i].access, access) == 0)
            return &orders->drained[i];
    return NULL;
}

const struct drain *orders_drain_of(const struct orders *orders, const char *access)
{
    return find_drain(orders, access);
}

bool orders_drains(const struct orders *orders, const char *access)
{
    return find_drain(orders, access) != NULL;
}

int orders_pin(struct orders *orders, const struct agent_table *table, const char *target, bool hard,
               const struct terms *terms, char *message, size_t size_bytes)
{
    for (uint32_t i = 0; i < table->path_count; i++) {
        if (!is_meant(table, i, target))
            continue;
        snprintf(orders->pin, sizeof(orders->pin), "%s", target);
        orders->pin_hard = hard;
        orders->pin_now = true;
        orders->pin_terms = *terms;
        return 0;
    }
    snprintf(message, size_bytes, "'%s' is neither an access nor the address of a path", target);
    return -ENOENT;
}

static void remove_pin(struct orders *orders)
{
    orders->pin[0] = '\0';
    orders->pin_hard = false;
    orders->pin_now = false;
    orders->pin_terms = (struct terms){0};
}

int orders_unpin(struct orders *orders, char *message, size_t size_bytes)
{
    if (!orders->pin[0]) {
        snprintf(message, size_bytes, "nothing is pinned");
        return -ENOENT;
    }
    remove_pin(orders);
    return 0;
}

static int add_drain(struct orders *orders, const char *access, const struct terms *terms, char *message,
                     size_t size_bytes)
{
    struct drain *bigger = realloc(orders->drained, (orders->drained_count + 1) * sizeof(*orders->drained));
    struct drain *drain;

    if (!bigger) {
        snprintf(message, size_bytes, "out of memory");
        return -ENOMEM;
    }
    orders->drained = bigger;
    drain = &orders->drained[orders->drained_count++];
    *drain = (struct drain){.terms = *terms};
    snprintf(drain->access, sizeof(drain->access), "%s", access);
    return 0;
}

static void remove_drain(struct orders *orders, struct drain *drain)
{
    size_t at = (size_t)(drain - orders->drained);

    memmove(drain, drain + 1, (--orders->drained_count - at) * sizeof(*drain));
}

static bool is_access(const struct agent_table *table, const char *name)
{
    for (uint32_t i = 0; i < table->access_count; i++)
        if (strcmp(table->accesses[i].name, name) == 0)
            return true;
    return false;
}

static bool are_alike(const struct terms *a, const struct terms *b)
{
    return a->until_ns == b->until_ns && strcmp(a->because, b->because) == 0;
}

int orders_drain(struct orders *orders, const struct agent_table *table, const char *access,
                 const struct terms *terms, char *message, size_t size_bytes)
{
    struct drain *drain = find_drain(orders, access);

    if (!drain && !is_access(table, access)) {
        snprintf(message, size_bytes, "'%s' is no access", access);
        return -ENOENT;
    }
    if (!drain)
        return add_drain(orders, access, terms, message, size_bytes);
    if (are_alike(&drain->terms, terms)) {
        snprintf(message, size_bytes, "'%s' is drained already", access);
        return -EALREADY;
    }
    drain->terms = *terms;
    return 0;
}

int orders_undrain(struct orders *orders, const char *access, char *message, size_t size_bytes)
{
    struct drain *drain = find_drain(orders, access);

    if (!drain) {
        snprintf(message, size_bytes, "'%s' is not drained", access);
        return -EALREADY;
    }
    remove_drain(orders, drain);
    return 0;
}

/* --- their end --- */

static bool is_over(const struct terms *terms, uint64_t realtime_ns)
{
    return terms->until_ns && realtime_ns >= terms->until_ns;
}

bool orders_end_one(struct orders *orders, uint64_t realtime_ns, enum order *order,
                    char target[static CONFIG_NAME_SIZE])
{
    if (orders->pin[0] && is_over(&orders->pin_terms, realtime_ns)) {
        *order = ORDER_UNPIN;
        memcpy(target, orders->pin, CONFIG_NAME_SIZE);
        remove_pin(orders);
        return true;
    }
    for (size_t i = 0; i < orders->drained_count; i++) {
        if (!is_over(&orders->drained[i].terms, realtime_ns))
            continue;
        *order = ORDER_UNDRAIN;
        memcpy(target, orders->drained[i].access, CONFIG_NAME_SIZE);
        remove_drain(orders, &orders->drained[i]);
        return true;
    }
    return false;
}

uint64_t orders_end_ns(const struct orders *orders)
{
    uint64_t end_ns = orders->pin_terms.until_ns ? orders->pin_terms.until_ns : NEVER_NS;

    for (size_t i = 0; i < orders->drained_count; i++)
        if (orders->drained[i].terms.until_ns)
            end_ns = min_u64(end_ns, orders->drained[i].terms.until_ns);
    return end_ns;
}
