/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/loop.h"

#include <event2/event.h>

#include "probe/lacking.h"

/* What libevent says of a try that fails is found in lacking.h. */
static void say_nothing(int severity, const char *message)
{
}

/* Looks once for what is ready. 0 or a negative errno. */
static int try_once(struct event_base *base)
{
    int r;

    event_set_log_callback(say_nothing);
    errno = 0;
    r = event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY) < 0 ? (errno ? -errno : -EINVAL) : 0;
    event_set_log_callback(NULL);
    return r;
}

struct event_base *loop_new(struct event_config *config)
{
    struct event_config *own = config ? config : event_config_new();
    struct event_base *base = own ? event_base_new_with_config(own) : NULL;

    if (base && lacking_note(LACKING_EPOLL, try_once(base)) < 0) {
        event_base_free(base);
        event_config_avoid_method(own, "epoll");
        base = event_base_new_with_config(own);
    }
    if (own && own != config)
        event_config_free(own);
    return base;
}
