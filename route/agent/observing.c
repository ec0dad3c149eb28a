/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/observing.h"

void observing_begin(struct observing *observing, bool has_file, uint64_t now_ns)
{
    observing->settled = !has_file;
    observing->until_ns = now_ns + OBSERVING_WAIT_NS;
    observing->error = 0;
    if (!has_file)
        observing->holds = observing->there = false;
}

void observing_take(struct observing *observing, const struct presence_report *report, uint64_t now_ns)
{
    observing->error = report->error;
    if (!report->known && (observing->settled || now_ns < observing->until_ns))
        return;
    observing->settled = true;
    observing->holds = observing->there = report->known && report->there;
}

uint64_t observing_deadline_ns(const struct observing *observing)
{
    return observing->settled ? NEVER_NS : observing->until_ns;
}
