/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/supervision.h"

void supervision_begin(struct supervision *supervision, bool watched, uint64_t now_ns)
{
    *supervision = (struct supervision){.watched = watched,
                                        .heard_ns = NEVER_NS,
                                        .due_ns = now_ns,
                                        .again_ns = SUPERVISION_AGAIN_NS,
                                        .left_ns = NEVER_NS};
}

static uint64_t patience_ns(const struct supervision *supervision)
{
    if (supervision->stopping)
        return SUPERVISION_STOP_NS;
    return supervision->heard_ns == NEVER_NS ? SUPERVISION_FIRST_NS : SUPERVISION_WATCHDOG_NS;
}

enum supervision_act supervision_due(struct supervision *supervision, uint64_t now_ns)
{
    if (now_ns < supervision->due_ns)
        return SUPERVISION_WAIT;
    if (!supervision->runs)
        return SUPERVISION_START;
    if (now_ns - supervision->due_ns >= SUPERVISION_LATE_NS) {
        supervision->due_ns = now_ns + patience_ns(supervision);
        return SUPERVISION_WAIT;
    }
    supervision->killed = true;
    supervision->due_ns = NEVER_NS;
    return SUPERVISION_KILL;
}

void supervision_started(struct supervision *supervision, uint64_t now_ns)
{
    supervision->runs = true;
    supervision->killed = false;
    supervision->started_ns = now_ns;
    supervision->heard_ns = NEVER_NS;
    supervision->left_ns = NEVER_NS;
    supervision->due_ns = supervision->watched ? now_ns + SUPERVISION_FIRST_NS : NEVER_NS;
}

void supervision_heard(struct supervision *supervision, uint64_t now_ns)
{
    if (!supervision->runs || supervision->killed)
        return;
    supervision->heard_ns = now_ns;
    if (!supervision->stopping)
        supervision->due_ns = now_ns + SUPERVISION_WATCHDOG_NS;
}

void supervision_ends(struct supervision *supervision, uint64_t now_ns)
{
    if (supervision->runs && !supervision->killed && !supervision->stopping)
        supervision->due_ns = now_ns + SUPERVISION_STOP_NS;
}

enum supervision_act supervision_blocked(struct supervision *supervision, uint64_t now_ns)
{
    bool late = sub_sat_u64(now_ns, supervision->due_ns) >= SUPERVISION_LATE_NS;

    supervision->due_ns = now_ns + SUPERVISION_LOOK_NS;
    if (supervision->left_ns == NEVER_NS) {
        supervision->left_ns = now_ns;
        supervision->killed = false;
        return SUPERVISION_END;
    }
    if (late)
        supervision->left_ns = now_ns;
    if (supervision->killed || now_ns - supervision->left_ns < SUPERVISION_STOP_NS)
        return SUPERVISION_WAIT;
    supervision->killed = true;
    return SUPERVISION_KILL;
}

bool supervision_ended(struct supervision *supervision, bool well, uint64_t now_ns)
{
    bool steady = supervision->runs && now_ns - supervision->started_ns >= SUPERVISION_STEADY_NS;

    supervision->runs = false;
    if (well || supervision->stopping)
        return true;
    if (steady)
        supervision->again_ns = SUPERVISION_AGAIN_NS;
    supervision->due_ns = now_ns + supervision->again_ns;
    supervision->again_ns = min_u64(2 * supervision->again_ns, SUPERVISION_MOST_NS);
    supervision->restarts++;
    return false;
}

bool supervision_stop(struct supervision *supervision, uint64_t now_ns)
{
    if (!supervision->runs)
        return true;
    if (!supervision->stopping && !supervision->killed)
        supervision->due_ns = now_ns + SUPERVISION_STOP_NS;
    supervision->stopping = true;
    return false;
}
