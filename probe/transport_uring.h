/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests need to bring the io_uring transport to its limits: see transport_uring.c.
 */
#pragma once

#include "probe/transport.h"

struct uring_limits {
    uint32_t completions; /* entries of the completion queue, a power of two, at least 64 */
    uint16_t buffers;     /* for each family, a power of two, at least TRANSPORT_BATCH */
    bool cooperative;     /* complete requests as kernel 6.0 does, which has no DEFER_TASKRUN */
};

/* transport_uring_open() with other limits. */
int transport_uring_open_limited(struct transport **out, const struct probe_settings *settings,
                                 const struct uring_limits *limits);
