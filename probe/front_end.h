/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What front ends that ask every target many things have in common (rounds.h, path_mtu.h): an engine, a list
 * of targets taken as a whole, the order of their turns, the reasons, the pace, and an eye on what our own
 * buffer drops. See front_end.c.
 */
#pragma once

#include "probe/engine.h"
#include "probe/pacing.h"
#include "probe/reason.h"
#include "probe/shuffle.h"
#include "probe/targets.h"

/* How long "no room" of the kernel may last before it is a result. */
#define FRONT_END_PATIENCE_NS (10 * NS_PER_S)

struct front_end {
    struct engine engine;
    struct probe_targets targets;
    struct shuffle shuffle;
    struct reasons reasons;
    struct pacing pacing;
    int wakeup_fd;
    uint64_t drops; /* of our receive buffer, as last seen */
    uint64_t drops_at_ns;
    uint64_t refresh_at_ns; /* when interfaces are looked up again */
    /* When each growth of that number may have begun: when it had been seen last. They ascend. */
    uint64_t *growths_ns;
    uint32_t growths, growths_room;
};

/* Takes over the transport, also when it fails. -ENOMEM, -EIO. */
int front_end_init(struct front_end *front, struct transport *transport,
                   const struct probe_settings *settings, const struct engine_owner *owner_operations,
                   void *owner);
void front_end_destroy(struct front_end *front);

/* Moves a list of targets in, once. shuffled: in random order. -ENOMEM, -EIO. */
int front_end_take(struct front_end *front, struct probe_targets *targets, bool shuffled);
/* Whose turn it is at `position`, below the number of targets. */
uint32_t front_end_at(const struct front_end *front, uint32_t position);
/* A target by what the shortest quote of a request leaves: the sequence is the low half of its index. */
bool front_end_find(const struct front_end *front, const struct address *to, uint16_t sequence,
                    uint32_t *index);

/* Looks how much our own buffer has dropped, when it was not looked at lately or `now` is true. -ENOMEM. */
int front_end_look_at_drops(struct front_end *front, uint64_t now_ns, bool now);
/* True when something may have been dropped before until_ns, that is not among the first `seen` growths. */
static inline bool front_end_has_dropped(const struct front_end *front, uint32_t seen, uint64_t until_ns)
{
    return seen < front->growths && front->growths_ns[seen] <= until_ns;
}

/* Waits until then, or until the wakeup descriptor is written to; receives. *now_ns is the time after it. */
int front_end_wait(struct front_end *front, uint64_t until_ns, bool has_results, uint64_t *now_ns);

/* Keeps why a request failed in *reason; what cannot have been made up is not replaced by what can. */
void front_end_keep_error(struct front_end *front, uint32_t *reason, bool *is_sealed,
                          const struct engine_event *event);
