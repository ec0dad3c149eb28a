/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Observing only: while a file is there (`observe-file`) the agent decides and says so, and touches nothing: no route,
 * no connection, and no refresh. The same file on all hosts takes all of them out of action and leaves their routes.
 */
#include <sys/stat.h>

#include "route/agent/happening.h"
#include "route/agent/private.h"

#define LOOK_NS (1 * NS_PER_S)

bool agent_acts(const struct agent *agent)
{
    return !agent->options->dry_run && !agent->observing.now;
}

/* What cannot be found out stays as it was. */
static bool is_there(const char *path, bool before)
{
    struct stat st;

    if (!path[0])
        return false;
    if (stat(path, &st) == 0)
        return true;
    return errno != ENOENT && errno != ENOTDIR && before;
}

void agent_observe_step(struct agent *agent)
{
    struct agent_observing *observing = &agent->observing;
    bool now;

    if (agent->options->dry_run || agent->now_ns < observing->look_ns)
        return;
    observing->look_ns = agent->now_ns + LOOK_NS;
    now = is_there(agent->config->observe_file, observing->now);
    if (now == observing->now)
        return;
    observing->now = now;
    if (now)
        observing->since_realtime_ns = clock_now_ns(CLOCK_REALTIME);
    guard_follow(agent->service.guard, now);
    if (!now)
        telling_again(&agent->telling);
    agent_tell(agent, &(struct happening){.kind = HAPPENED_OBSERVING});
}

uint64_t agent_observe_deadline_ns(const struct agent *agent)
{
    return agent->config->observe_file[0] && !agent->options->dry_run ? agent->observing.look_ns : NEVER_NS;
}
