/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a file there? A thread of its own looks every PRESENCE_LOOK_NS: the event loop never waits for a disk.
 *
 * The thread is for one path, and does nothing else. So a look that hangs holds up no write of the state (disk.h), a
 * write that hangs holds up no look, and another path gets a new thread, whatever the old one waits for.
 *
 * All functions are for the loop's thread. Times are on CLOCK_MONOTONIC.
 */
#pragma once

#include "probe/base.h"

#define PRESENCE_LOOK_NS (1 * NS_PER_S)
/* A look that has not come back for so long hangs. */
#define PRESENCE_HANGS_NS (5 * NS_PER_S)

struct presence;

struct presence_report {
    bool known; /* an answer has come: */
    bool there; /* the last one */
    int error;  /* 0; or why the last look gave no answer, -ETIMEDOUT for as long as one hangs */
};

/* Begins to look. -ENOMEM. When there can be no thread the report has the reason, and asking for it tries again. */
int presence_open(struct presence **out, const char *path);
/* A look that hangs is left to itself. Returns NULL. */
struct presence *presence_close(struct presence *presence);
DEFINE_CLEANUP(struct presence *, presence_close)

/* Readable when a look came back: presence_report(), which takes that away. */
int presence_fd(const struct presence *presence);
void presence_report(struct presence *presence, uint64_t now_ns, struct presence_report *report);
/* When to ask for the report at the latest: a look that has not come back until then hangs, or a thread is to be tried
 * again. NEVER_NS: a look hangs already. */
uint64_t presence_deadline_ns(struct presence *presence, uint64_t now_ns);
