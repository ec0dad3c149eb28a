/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the program is to be told that is run at every change (`notify`). notice.c makes a notice of it.
 */
#pragma once

#include "route/agent/notifier.h"
#include "route/config/settings.h"

enum news {
    NEWS_NONE,
    NEWS_START,
    NEWS_STOP,
    NEWS_SWITCH,
    NEWS_NOTHING_ELIGIBLE,
    NEWS_PATH_UP,
    NEWS_PATH_DOWN,
    NEWS_SESSION_DEAD,
    NEWS_COUNT,
};

/* What one of them is about. */
struct news_item {
    char access[CONFIG_NAME_SIZE]; /* empty: about none */
    struct address path;           /* the same */
    char why[160];
};

struct agent_news {
    struct notifier *notifier; /* NULL: a dry run, nothing is run */
    unsigned events;           /* a bit for each enum news since the last notice */
    unsigned handed;           /* the bits of the notice that was handed over last */
    enum news newest;
    struct news_item items[NEWS_COUNT]; /* of each the newest one */
    char error[NOTIFIER_TEXT_SIZE];     /* why the last run failed, as the log has it; empty: it did not */
};
