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

bool orders_drains(const struct orders *orders, const char *access)
{
    for (size_t i = 0; i < orders->drained_count; i++)
        if (strcmp(orders->drained[i], access) == 0)
            return true;
    return false;
}

int orders_pin(struct orders *orders, const struct agent_table *table, const char *target, bool hard,
               char *message, size_t size_bytes)
{
    for (uint32_t i = 0; i < table->path_count; i++) {
        if (!is_meant(table, i, target))
            continue;
        snprintf(orders->pin, sizeof(orders->pin), "%s", target);
        orders->pin_hard = hard;
        orders->pin_now = true;
        return 0;
    }
    snprintf(message, size_bytes, "'%s' is neither an access nor the address of a path", target);
    return -ENOENT;
}

int orders_unpin(struct orders *orders, char *message, size_t size_bytes)
{
    if (!orders->pin[0]) {
        snprintf(message, size_bytes, "nothing is pinned");
        return -ENOENT;
    }
    orders->pin[0] = '\0';
    orders->pin_hard = false;
    orders->pin_now = false;
    return 0;
}

static int add_drained(struct orders *orders, const char *access, char *message, size_t size_bytes)
{
    void *bigger = realloc(orders->drained, (orders->drained_count + 1) * sizeof(*orders->drained));

    if (!bigger) {
        snprintf(message, size_bytes, "out of memory");
        return -ENOMEM;
    }
    orders->drained = bigger;
    snprintf(orders->drained[orders->drained_count++], sizeof(*orders->drained), "%s", access);
    return 0;
}

static void remove_drained(struct orders *orders, const char *access)
{
    size_t i = 0;

    while (strcmp(orders->drained[i], access) != 0)
        i++;
    memmove(&orders->drained[i], &orders->drained[i + 1],
            (--orders->drained_count - i) * sizeof(*orders->drained));
}

int orders_drain(struct orders *orders, const struct agent_table *table, const char *access, bool drain,
                 char *message, size_t size_bytes)
{
    bool known = false;

    for (uint32_t i = 0; i < table->access_count; i++)
        known = known || strcmp(table->accesses[i].name, access) == 0;
    if (drain && !known) {
        snprintf(message, size_bytes, "'%s' is no access", access);
        return -ENOENT;
    }
    if (drain == orders_drains(orders, access)) {
        snprintf(message, size_bytes, drain ? "'%s' is drained already" : "'%s' is not drained", access);
        return -EALREADY;
    }
    if (drain)
        return add_drained(orders, access, message, size_bytes);
    remove_drained(orders, access);
    return 0;
}
