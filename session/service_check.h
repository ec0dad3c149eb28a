/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The optional service check: does the access really serve? A TCP connection to a path's address every
 * second, in the owner's libevent loop. A node that answers pings but does not serve is otherwise noticed
 * only when its lease ends.
 */
#pragma once

#include "probe/base.h"

struct event_base;
struct service_check;

enum service_check_state { SERVICE_CHECK_UNKNOWN, SERVICE_CHECK_GOOD, SERVICE_CHECK_BAD };

struct service_check_settings {
    struct address address;
    uint16_t port;
    uint32_t ifindex;     /* connect through this interface only; 0: any */
    uint64_t interval_ns; /* 1 s; a connection gets as long */
    unsigned rise;        /* this many failures in a row make it BAD; one success makes it GOOD */
};

/* Parses "tcp:PORT". 0, or -EINVAL. */
int service_check_parse(const char *text, uint16_t *port);

/* changed(context) is called from the loop when the state has changed. */
int service_check_new(struct service_check **out, struct event_base *base,
                      const struct service_check_settings *settings, void (*changed)(void *context),
                      void *context);
struct service_check *service_check_free(struct service_check *check);
enum service_check_state service_check_state(const struct service_check *check);
const char *
service_check_reason(const struct service_check *check); /* of the last failure: "connection refused" */
