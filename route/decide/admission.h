/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission: how fast accesses that only session lists know may appear. Pure. Configured ones are not asked
 * about.
 *
 * Every access costs probes, log lines and a place in the status, and who answers the session list chooses
 * how many there are. So the first ADMISSION_AT_ONCE are taken at first sight; beyond that an access must
 * have stayed in the lists from one to a later one, and ADMISSION_A_MINUTE enter a minute. A cluster of
 * hundreds is complete after a few minutes, one that names others every time costs what a small one does.
 */
#pragma once

#include "probe/base.h"

#define ADMISSION_AT_ONCE  64
#define ADMISSION_A_MINUTE 128
/* Two lists are no further apart than this; their alive_sec count seconds. */
#define ADMISSION_STAY_NS (1 * NS_PER_S)

/* All zero at first. */
struct admission {
    uint64_t minute_ns; /* when the present one began */
    unsigned used;      /* of it */
};

/*
 * May an access enter that all lists have named since first_ns, until now_ns? from_lists: how many are in the
 * table by lists alone. A yes is counted.
 */
static inline bool admission_ask(struct admission *admission, uint32_t from_lists, uint64_t first_ns,
                                 uint64_t now_ns)
{
    bool stayed = sub_sat_u64(now_ns, first_ns) >= ADMISSION_STAY_NS;

    if (sub_sat_u64(now_ns, admission->minute_ns) >= 60 * NS_PER_S)
        *admission = (struct admission){.minute_ns = now_ns};
    if (admission->used >= ADMISSION_A_MINUTE || (!stayed && from_lists >= ADMISSION_AT_ONCE))
        return false;
    admission->used++;
    return true;
}
