/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cannot be kept in the state directory: said when it begins and when it is over, and in the status for
 * as long as it lasts. Nothing else follows from it.
 */
#include "route/agent/private.h"
#include "route/own_file.h"

const char *agent_kept_name(enum agent_kept what)
{
    static const char *const names[KEPT_COUNT] = {
        [KEPT_LOCK] = "lock",
        [KEPT_STATE] = "state.json",
        [KEPT_LIST] = "sessions.json",
        [KEPT_JOURNAL] = JOURNAL_FILE,
    };

    return names[what];
}

void agent_note_kept(struct agent *agent, enum agent_kept what, int error)
{
    int before = agent->kept_error[what];

    agent->kept_error[what] = error;
    if (error < 0 && error != before)
        log_event(LOG_LEVEL_WARN, "not-kept", "file=%s/%s error=%s", agent->config->state_directory,
                  agent_kept_name(what), LOG_QUOTE(own_error_text(error)));
    if (error == 0 && before < 0)
        log_event(LOG_LEVEL_INFO, "kept-again", "file=%s/%s", agent->config->state_directory,
                  agent_kept_name(what));
}

bool agent_all_kept(const struct agent *agent)
{
    for (int i = 0; i < KEPT_COUNT; i++)
        if (agent->kept_error[i] < 0)
            return false;
    return true;
}
