/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pair is in force, when the agent tunes itself: the rule of change. Pure.
 *
 *   1  At first, and whenever the path in use has not been watched for long enough, the configured pair is in force,
 *      unless a slower one is.
 *   2  A faster pair takes its place when it is advised and nothing has changed for an hour.
 *   3  A slower one takes its place at once: when it is advised and the one in force has come to err twice as often as
 *      is accepted, or by rule 1.
 *   4  A false failover makes it slower at once: the window that was too short doubles, up to the longest that is
 *      allowed, and is never shorter than the configured one. Until something is advised again nothing is faster.
 */
#pragma once

#include "route/tune/advice.h"

#define RULE_APART_NS (3600 * NS_PER_S)

enum rule_reason { RULE_CONFIGURED, RULE_FASTER, RULE_SLOWER, RULE_UNKNOWN, RULE_FALSE_FAILOVER };
const char *rule_reason_text(enum rule_reason reason); /* "configured", "faster", ... */

struct rule {
    struct advice_pair configured;
    struct advice_pair in_force;
    enum rule_reason reason; /* why the pair in force is */
    uint64_t changed_ns;     /* when it last changed; 0: never */
};

/* The pair of a configuration, with nothing else known. */
struct rule rule_begin(const struct advice_pair *configured);

/*
 * What a search has found for the path in use: the pair that is advised (a count of 0: none), and how often the window in
 * force errs there (advice_high()). True: another pair is in force now.
 */
bool rule_advised(struct rule *rule, const struct advice_pair *advised, double high, uint64_t now_ns);

/*
 * A failover was false, by the pair `failed`. most_ns: the longest window that is allowed. True as above.
 */
bool rule_false_failover(struct rule *rule, const struct advice_pair *failed, uint64_t most_ns,
                         uint64_t now_ns);
