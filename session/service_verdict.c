/* SPDX-License-Identifier: Apache-2.0 */
#include "session/service_verdict.h"

/* Until an assumed service has answered nothing speaks against it. */
static bool counts(const struct service_verdict *verdict)
{
    return !verdict->assumed || verdict->answered_once;
}

void service_verdict_asked(struct service_verdict *verdict, uint64_t now_ns)
{
    if (!verdict->unanswered_ns)
        verdict->unanswered_ns = now_ns;
}

void service_verdict_not_asked(struct service_verdict *verdict)
{
    verdict->unanswered_ns = 0;
}

void service_verdict_answered(struct service_verdict *verdict)
{
    verdict->state = SERVICE_CHECK_GOOD;
    verdict->answered_once = true;
    verdict->refused_ns = 0;
    verdict->unanswered_ns = 0;
}

void service_verdict_refused(struct service_verdict *verdict, uint64_t now_ns)
{
    verdict->unanswered_ns = 0;
    if (!verdict->refused_ns)
        verdict->refused_ns = now_ns;
    else if (counts(verdict) && now_ns - verdict->refused_ns >= SERVICE_CONFIRM_NS)
        verdict->state = SERVICE_CHECK_BAD;
}

void service_verdict_forgive(struct service_verdict *verdict, uint64_t unseen_ns)
{
    if (verdict->unanswered_ns)
        verdict->unanswered_ns += unseen_ns;
}

uint64_t service_verdict_silent_at_ns(const struct service_verdict *verdict)
{
    if (!verdict->unanswered_ns || verdict->state == SERVICE_CHECK_BAD || !counts(verdict))
        return NEVER_NS;
    return verdict->unanswered_ns + verdict->window_ns;
}

bool service_verdict_silent(struct service_verdict *verdict, uint64_t now_ns)
{
    if (now_ns < service_verdict_silent_at_ns(verdict))
        return false;
    verdict->state = SERVICE_CHECK_BAD;
    return true;
}

bool service_verdict_is_pending(const struct service_verdict *verdict)
{
    return verdict->refused_ns && verdict->state != SERVICE_CHECK_BAD && counts(verdict);
}
