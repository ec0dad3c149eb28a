/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service check: does the access really serve? A path's address is asked by TCP, in the owner's libevent loop.
 * A node that answers pings but does not serve is otherwise noticed only when its lease ends.
 *
 * What is asked stands in service_protocol.h, what the answers mean in service_verdict.h.
 */
#pragma once

#include "probe/service_protocol.h"
#include "session/service_verdict.h"

struct event_base;
struct service_check;

/* However often a path is probed, its service is not asked more often than this. */
#define SERVICE_CHECK_INTERVAL_MIN_NS (100 * NS_PER_MS)

struct service_check_settings {
    struct address address;
    struct service_protocol protocol;
    uint32_t ifindex; /* connect through this interface only; 0: any */
    /* In place of ifindex where a system cannot bind to interfaces; empty: by routing. */
    struct address source;
    uint64_t interval_ns; /* from one question to the next */
    uint64_t window_ns;   /* silence of this length is a failure */
    bool assumed;         /* see struct service_verdict */
};

/*
 * An iSCSI target that refuses logins is known to be dead, or to hang, so long after it began, at the latest; two round
 * trips come on top. interval_ns, window_ns: as in the settings.
 */
uint64_t service_check_dead_after_ns(uint64_t interval_ns);
uint64_t service_check_hung_after_ns(uint64_t interval_ns, uint64_t window_ns);

/* changed(context) is called from the loop when the state has changed. 0, -ENOMEM, or -ENOSYS: there is no
 * random number to be had. */
int service_check_new(struct service_check **out, struct event_base *base,
                      const struct service_check_settings *settings, void (*changed)(void *context),
                      void *context);
struct service_check *service_check_free(struct service_check *check);

/* The next question is asked so long after the last one; at once, when that is over already. */
void service_check_set_interval(struct service_check *check, uint64_t interval_ns);

/* The interface has this address by now. From the next connection on. */
void service_check_set_source(struct service_check *check, const struct address *source);

/* There is a cause to doubt the service: the next question is asked at once, when none is under way. */
void service_check_soon(struct service_check *check);

enum service_check_state service_check_state(const struct service_check *check);
/* Of the last failure: "Connection refused". Valid until the next one. */
const char *service_check_reason(const struct service_check *check);
