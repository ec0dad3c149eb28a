/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the cluster where this host enters: a refresh after each switch, and heartbeats.
 */
#pragma once

#include "route/agent/situation.h"
#include "route/decide/planned.h"

enum refresh_of { REFRESH_NONE, REFRESH_CURRENT, REFRESH_PLANNED };

struct telling_refresh {
    bool wanted; /* the access in use has not been told (since the last switch, start or new uuid) */
    enum refresh_of under_way;    /* one at a time */
    char uuid[SESSION_UUID_SIZE]; /* of the request under way, or the last one that succeeded */
    uint64_t retry_ns;
    uint64_t backoff_ns;
    bool failed;       /* the last one did */
    uint64_t failures; /* since the start */
    char message[160];
};

struct telling_heartbeat {
    uint64_t at_ns;
    bool failed;
    uint64_t failures; /* since the start */
};

/* How a request ended, since the last step. */
struct telling_answer {
    bool came;
    int error;
    uint64_t took_ns;
    char message[160];
};

struct telling {
    struct telling_refresh refresh;
    struct telling_heartbeat heartbeat;
    struct telling_answer refreshed, beaten;
    struct waker waker;
};

/*
 * Takes in the answers that came since the last step. *planned: the one to telling_planned(), if it came. True:
 * the cluster does not know a session any more, so a new list is worth asking for.
 */
bool telling_take(struct telling *telling, const struct situation *now, enum planned_answer *planned);

/* Sends what is due. */
void telling_step(struct telling *telling, struct session_provider *provider, const struct situation *now);

/* Can the cluster be told of this path's access? */
bool telling_is_possible(const struct situation *now, uint32_t path);
/* Tells it of the access to which a planned switch goes; the answer comes out of telling_take(). */
void telling_planned(struct telling *telling, struct session_provider *provider, const struct situation *now,
                     uint32_t path);
void telling_cancel(struct telling *telling, struct session_provider *provider); /* its answer never comes */

void telling_again(struct telling *telling); /* what the cluster was told is not true (any more) */
void telling_heartbeat_soon(struct telling *telling);
void telling_provider_changed(struct telling *telling); /* what was under way, or failed, is over */
uint64_t telling_deadline_ns(const struct telling *telling, const struct situation *now);
