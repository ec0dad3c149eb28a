/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/loop.h"

#include <event2/event.h>

#include "probe/lacking.h"

/* What it says of what fails is no news: it goes on with something else, or a refusal is noted (lacking.h). */
static void say_nothing(int severity, const char *message)
{
}

/* Looks once for what is ready. 0 or a negative errno. */
static int try_once(struct event_base *base)
{
    errno = 0;
    if (event_base_loop(base, EVLOOP_NONBLOCK | EVLOOP_NO_EXIT_ON_EMPTY) >= 0)
        return 0;
    return errno ? -errno : -EINVAL;
}

struct event_base *loop_new(struct event_config *config)
{
    struct event_config *own = config ? config : event_config_new();
    struct event_base *base;

    event_set_log_callback(say_nothing);
    base = own ? event_base_new_with_config(own) : NULL;
    if (base && lacking_note(LACKING_EPOLL, try_once(base)) < 0) {
        event_base_free(base);
        event_config_avoid_method(own, "epoll");
        base = event_base_new_with_config(own);
    }
    if (own && own != config)
        event_config_free(own);
    event_set_log_callback(NULL);
    return base;
}
