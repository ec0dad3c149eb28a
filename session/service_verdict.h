/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the answers of a service mean. Pure: every time is given.
 *
 * - An answer: it serves.
 * - A refusal (the connection refused or closed, an answer that is none) is an answer too: nobody is there. It is asked
 *   again once, after SERVICE_CONFIRM_NS, since a server that starts again refuses for a moment.
 * - Silence proves nothing until it has lasted for a window: a busy server answers late.
 */
#pragma once

#include "probe/base.h"

enum service_check_state { SERVICE_CHECK_UNKNOWN, SERVICE_CHECK_GOOD, SERVICE_CHECK_BAD };

#define SERVICE_CONFIRM_NS (50 * NS_PER_MS)

/* All zero, and a window: nothing is known. */
struct service_verdict {
    uint64_t window_ns;
    bool assumed; /* stays unknown until it has answered once: nobody said that there is a service */
    bool answered_once;
    enum service_check_state state;
    uint64_t refused_ns; /* when the first refusal since the last answer came; 0: none */
    uint64_t
        unanswered_ns; /* since when it has been silent: when the first of these requests left; 0: it is not */
};

void service_verdict_asked(struct service_verdict *verdict, uint64_t now_ns);
/* Nobody could be asked: silence from before proves nothing any more. */
void service_verdict_not_asked(struct service_verdict *verdict);
void service_verdict_answered(struct service_verdict *verdict);
void service_verdict_refused(struct service_verdict *verdict, uint64_t now_ns);
/* Nobody looked for so long: that was no silence. */
void service_verdict_forgive(struct service_verdict *verdict, uint64_t unseen_ns);
/* Time passes. True when silence has just become a failure. */
bool service_verdict_silent(struct service_verdict *verdict, uint64_t now_ns);
/* When silence becomes a failure; NEVER_NS: it is none, or has become one. */
uint64_t service_verdict_silent_at_ns(const struct service_verdict *verdict);
/* True while a refusal waits to be confirmed: ask again SERVICE_CONFIRM_NS after it. */
bool service_verdict_is_pending(const struct service_verdict *verdict);
