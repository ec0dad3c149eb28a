/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/kept.h"
#include "route/journal/journal.h"
#include "route/log.h"
#include "route/own_file.h"

const char *kept_name(enum kept_file file)
{
    static const char *const names[KEPT_COUNT] = {
        [KEPT_LOCK] = "lock",
        [KEPT_STATE] = "state.json",
        [KEPT_LIST] = "sessions.json",
        [KEPT_JOURNAL] = JOURNAL_FILE,
        [KEPT_TUNE] = "tune.json",
    };

    return names[file];
}

void kept_note(struct kept *kept, const char *directory, enum kept_file file, int error)
{
    int before = kept->error[file];

    kept->error[file] = error;
    if (error < 0 && error != before)
        log_event(LOG_LEVEL_WARN, "not-kept", "file=%s/%s error=%s", directory, kept_name(file),
                  LOG_QUOTE(own_error_text(error)));
    if (error == 0 && before < 0)
        log_event(LOG_LEVEL_INFO, "kept-again", "file=%s/%s", directory, kept_name(file));
}

bool kept_all(const struct kept *kept)
{
    for (int i = 0; i < KEPT_COUNT; i++)
        if (kept->error[i] < 0)
            return false;
    return true;
}
