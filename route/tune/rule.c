/* SPDX-License-Identifier: Apache-2.0 */
#include "route/tune/rule.h"

const char *rule_reason_text(enum rule_reason reason)
{
    static const char *const texts[] = {"configured", "faster", "slower", "not-watched-enough",
                                        "false-failover"};

    return texts[reason];
}

struct rule rule_begin(const struct advice_pair *configured)
{
    return (struct rule){.configured = *configured, .in_force = *configured};
}

static struct advice_pair slower(const struct advice_pair *a, const struct advice_pair *b)
{
    return advice_detection_ns(a) >= advice_detection_ns(b) ? *a : *b;
}

static bool change(struct rule *rule, struct advice_pair to, enum rule_reason reason, uint64_t now_ns)
{
    if (advice_same_pair(&rule->in_force, &to))
        return false;
    rule->in_force = to;
    rule->reason = reason;
    rule->changed_ns = now_ns;
    return true;
}

static bool is_time(const struct rule *rule, uint64_t now_ns)
{
    return !rule->changed_ns || now_ns >= rule->changed_ns + RULE_APART_NS;
}

/* Nothing is advised: back to what was configured, when that is slower. */
static bool unadvised(struct rule *rule, uint64_t now_ns)
{
    return change(rule, slower(&rule->configured, &rule->in_force), RULE_UNKNOWN, now_ns);
}

bool rule_advised(struct rule *rule, const struct advice_pair *advised, double high, uint64_t now_ns)
{
    uint64_t advised_ns = advice_detection_ns(advised), standing_ns = advice_detection_ns(&rule->in_force);

    if (advised->select_count == 0)
        return unadvised(rule, now_ns);
    if (advised_ns > standing_ns)
        return high > 2 * ADVICE_FALSE_PER_YEAR && change(rule, *advised, RULE_SLOWER, now_ns);
    return advised_ns < standing_ns && is_time(rule, now_ns) && change(rule, *advised, RULE_FASTER, now_ns);
}

bool rule_false_failover(struct rule *rule, const struct advice_pair *failed, uint64_t most_ns,
                         uint64_t now_ns)
{
    struct advice_pair longer = *failed;
    uint64_t most = max_u64(most_ns / longer.select_timeout_ns, longer.select_count);

    longer.select_count = (uint32_t)min_u64(2 * (uint64_t)longer.select_count, most);
    longer = slower(&longer, &rule->configured);
    longer = slower(&longer, &rule->in_force);
    return change(rule, longer, RULE_FALSE_FAILOVER, now_ns);
}
