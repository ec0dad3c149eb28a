/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running report over one front end (probe/front_end.h): what --count has in common with --mtu and
 * --path-mtu. Each of these begins with struct report_front and adds what becomes of a target. The functions
 * are those of struct report_kind.
 */
#pragma once

#include "probe/wakeup.h"
#include "tools/report/kind.h"

struct report_front {
    struct report_probing base;
    struct wakeup wakeup;
    struct front_end *front; /* of what probes */
};

/* The wakeup ends waits of the front end from now on. */
void report_front_begin(struct report_front *front, struct front_end *of);
/* Frees it and its wakeup; what probes has been freed. */
void report_front_close(struct report_front *front);

int report_front_wakeup(struct report_probing *probing);
int report_front_set(struct report_probing *probing, uint32_t index, const struct address *address);
int report_front_step(struct report_probing *probing, uint64_t until_ns);
int report_front_stop(struct report_probing *probing);
const struct probe_targets *report_front_targets(struct report_probing *probing);
struct report_about report_front_about(struct report_probing *probing);
