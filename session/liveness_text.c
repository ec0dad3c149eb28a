/* SPDX-License-Identifier: Apache-2.0 */
#include "session/liveness.h"

const char *session_state_text(enum session_state state)
{
    static const char *const text[] = {
        [SESSION_UNKNOWN] = "unknown",
        [SESSION_ALIVE] = "alive",
        [SESSION_STABLE] = "stable",
        [SESSION_DEAD] = "dead",
    };

    return text[state];
}

const char *session_verdict_text(enum session_verdict verdict)
{
    static const char *const text[] = {
        [SESSION_LIST_FRESH] = "fresh",
        [SESSION_LIST_STALE] = "stale: no alive_sec has moved on",
        [SESSION_LIST_EMPTY] = "empty",
    };

    return text[verdict];
}
