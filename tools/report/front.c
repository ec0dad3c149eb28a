/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/report/front.h"

#include "probe/front_end.h"

static struct front_end *front_of(struct report_probing *probing)
{
    return ((struct report_front *)probing)->front;
}

void report_front_begin(struct report_front *front, struct front_end *of)
{
    front->front = of;
    front_end_set_wakeup(of, front->wakeup.fd);
}

void report_front_close(struct report_front *front)
{
    wakeup_close(&front->wakeup);
    free(front);
}

int report_front_wakeup(struct report_probing *probing)
{
    return ((struct report_front *)probing)->wakeup.ring_fd;
}

int report_front_set(struct report_probing *probing, uint32_t index, const struct address *address)
{
    front_end_set(front_of(probing), index, address);
    return 0;
}

int report_front_step(struct report_probing *probing, uint64_t until_ns)
{
    return front_end_step(front_of(probing), until_ns);
}

int report_front_stop(struct report_probing *probing)
{
    return front_end_stop(front_of(probing));
}

const struct probe_targets *report_front_targets(struct report_probing *probing)
{
    return front_end_targets(front_of(probing));
}

struct report_about report_front_about(struct report_probing *probing)
{
    struct front_end *front = front_of(probing);

    return (struct report_about){
        .counters = front_end_counters(front),
        .transport = front_end_transport(front),
        .failed_call = front_end_failed_call(front),
        .workers = 1,
        .asked_again = front_end_asked_again(front),
    };
}
