/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The selector's words, for logs, status and people.
 */
#include "route/decide/selector.h"

static const struct {
    const char *word, *sentence;
} reasons[SELECTOR_REASONS] = {
    [KEEP_BEST] = {"best", "the best path is in use"},
    [KEEP_NO_VERDICT] = {"no-verdict", "the path in use has not been judged yet"},
    [KEEP_COLD_START] = {"cold-start", "just started: waiting for the top-ranked path and a session list"},
    [KEEP_WAIT_PROOF] = {"wait-proof", "no other path has proved yet that it works better"},
    [KEEP_HOLD] = {"hold", "a better path waits for its hold to end"},
    [KEEP_STAY] = {"stay", "a better path was left just now: its stay must end first"},
    [KEEP_WAIT_STABLE] = {"wait-stable", "a better path waits for its session to be stable"},
    [KEEP_WAIT_LOSS] = {"wait-loss", "a better path loses too many packets"},
    [KEEP_WAIT_SERVICE_CHECK] = {"wait-service-check", "a better path waits for a successful service check"},
    [KEEP_WAIT_FULL_SIZE] = {"wait-full-size", "a full-size packet has not passed a better path yet"},
    [KEEP_FOREIGN] = {"foreign", "the next hop is no path of the configuration, but it answers"},
    [KEEP_PIN_HARD] = {"pin-hard", "pinned hard: never left automatically"},
    [KEEP_DEGRADED] = {"degraded", "the path in use loses too many packets, but no clean one is there"},
    [KEEP_CONTRADICTED] = {"contradicted",
                           "the path in use does not answer pings, but carries the host's own connection"},
    [KEEP_NOTHING_ELIGIBLE] = {"nothing-eligible", "no path is eligible: the route stays as it is"},
    [SWITCH_COLD_START] = {"cold-start", "first choice after the start"},
    [SWITCH_PATH_DOWN] = {"path-down", "the path in use does not answer any more"},
    [SWITCH_LINK_DOWN] = {"link-down", "the interface of the path in use is down"},
    [SWITCH_NOT_ON_LINK] = {"not-on-link", "the path in use is not directly connected any more"},
    [SWITCH_SESSION_DEAD] = {"session-dead",
                             "the cluster says that the session of the access in use is dead"},
    [SWITCH_RESTARTING] = {"restarting", "the access in use restarts over and over"},
    [SWITCH_SERVICE_CHECK] = {"service-check", "the access in use answers pings but does not serve"},
    [SWITCH_DEGRADED] = {"degraded", "the path in use loses too many packets"},
    [SWITCH_DRAINED] = {"drained", "the access in use is drained"},
    [SWITCH_FAILBACK] = {"failback", "a better path has been healthy for its hold"},
    [SWITCH_FAILBACK_NOW] = {"failback-now", "a person ended the countdown"},
    [SWITCH_PIN] = {"pin", "a person pinned this path"},
};

const char *selector_reason_text(enum selector_reason reason)
{
    return reasons[reason].word;
}

const char *selector_reason_sentence(enum selector_reason reason)
{
    return reasons[reason].sentence;
}

static enum selector_reason find_reason(const char *word, enum selector_reason first,
                                        enum selector_reason end)
{
    for (enum selector_reason reason = first; reason < end; reason++)
        if (strcmp(word, reasons[reason].word) == 0)
            return reason;
    return SELECTOR_REASONS;
}

enum selector_reason selector_keep_reason(const char *word)
{
    return find_reason(word, 0, SWITCH_COLD_START);
}

enum selector_reason selector_switch_reason(const char *word)
{
    return find_reason(word, SWITCH_COLD_START, SELECTOR_REASONS);
}

const char *selector_tier_text(enum selector_tier tier)
{
    static const char *const text[] = {"data", "secondary", "management", "foreign"};

    return text[tier];
}

const char *selector_level_text(enum selector_level level)
{
    static const char *const text[] = {"eligible", "degraded", "session", "unwanted", "no-verdict", "never"};

    return text[level];
}
