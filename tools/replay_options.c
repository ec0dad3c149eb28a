/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/replay_options.h"

#include "probe/quantity.h"
#include "probe/statistics.h"
#include "route/decide/selector.h"

#define HOLD_MAX_NS (3600 * NS_PER_S)

int replay_parse_holds(const char *text, uint64_t holds_ns[static REPLAY_HOLDS_MAX])
{
    CLEANUP(free) char *copy = strdup(text);
    char *rest = copy, *item;
    size_t count = 0, kept = 0;

    while (copy && (item = strsep(&rest, ","))) {
        if (count == REPLAY_HOLDS_MAX || quantity_time_argument(item, 0, HOLD_MAX_NS, &holds_ns[count]) < 0)
            return -EINVAL;
        count++;
    }
    statistics_sort(holds_ns, count);
    for (size_t i = 0; i < count; i++)
        if (!kept || holds_ns[i] != holds_ns[kept - 1])
            holds_ns[kept++] = holds_ns[i];
    return (int)kept;
}

int replay_parse_damping(const char *text, uint64_t *out_ns)
{
    if (strcmp(text, "on") == 0)
        *out_ns = SELECTOR_DAMPING_MAX_NS;
    else if (strcmp(text, "off") == 0)
        *out_ns = 0;
    else
        return quantity_time_argument(text, 0, HOLD_MAX_NS, out_ns) < 0 ? -EINVAL : 0;
    return 0;
}

const char *replay_seconds_text(uint64_t ns, char buffer[static 24])
{
    snprintf(buffer, 24, "%gs", (double)ns / NS_PER_S);
    return buffer;
}

const char *replay_damping_text(uint64_t damping_max_ns, char buffer[static 24])
{
    if (damping_max_ns && damping_max_ns != SELECTOR_DAMPING_MAX_NS)
        return replay_seconds_text(damping_max_ns, buffer);
    return damping_max_ns ? "on" : "off";
}
