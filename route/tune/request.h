/* SPDX-License-Identifier: Apache-2.0 */
/* What became of an echo request: the evidence that settings are judged by. */
#pragma once

#include "probe/base.h"

enum trace_fate {
    TRACE_REPLY,   /* after rtt_us */
    TRACE_LOST,    /* nothing came within the wait */
    TRACE_ERROR,   /* an ICMP error about it came after rtt_us */
    TRACE_REFUSED, /* the send found no way out */
    TRACE_SPOILT,  /* this host's own doing: says nothing about the network */
    TRACE_FATES,
};

struct trace_request {
    uint64_t sent_us : 38; /* since a beginning that the requests of one row share */
    uint64_t rtt_us : 23;
    uint64_t fate : 3;
};

/* Requests leave before this time: just over three days. */
#define TRACE_SENT_MAX_US ((UINT64_C(1) << 38) - 1)
#define TRACE_RTT_MAX_US  ((UINT64_C(1) << 23) - 1)
