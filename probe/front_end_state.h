/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a front end keeps, and what its owner (a sweep, rounds, a search for path MTUs) does itself: all that
 * is about single targets. See front_end.c.
 */
#pragma once

#include "probe/engine.h"
#include "probe/pacing.h"
#include "probe/reason.h"
#include "probe/shuffle.h"
#include "probe/targets.h"

/* How long "no room" of the kernel may last before it is a result. */
#define FRONT_END_PATIENCE_NS (10 * NS_PER_S)

/* What an owner does. now_ns is the time of the round; all that arrived before it has been taken in. */
struct front_end_owner {
    struct engine_owner incoming;
    /* The address of a target that had none has come. */
    void (*found)(void *owner, uint32_t index, const struct address *address);
    /* Results are there to be pulled: not to wait for anything else. */
    bool (*has_results)(const void *owner);
    /* When the next wait is over, NEVER_NS for none. */
    uint64_t (*due_ns)(void *owner);
    /* Ends that wait, once it is over. */
    void (*judge)(void *owner, uint64_t now_ns);
    /* When there is something to send, if nothing else hinders it: now_ns or before, at once. NEVER_NS. */
    uint64_t (*turn_ns)(void *owner, uint64_t now_ns);
    /* Collects requests whose turn has come; how many, up to `limit`, or -ENOMEM. */
    int (*collect)(void *owner, uint64_t now_ns, struct engine_request *requests, unsigned limit);
    /* A request has left, or was refused for good (request->error). */
    void (*made)(void *owner, const struct engine_request *request, uint64_t left_ns);
    /*
     * ENOBUFS: there is no room for this one now. It is about this target alone (the neighbour table has no
     * place for one more that does not answer) or about its device: the others go on.
     */
    void (*no_room)(void *owner, const struct engine_request *request, uint64_t now_ns, int want);
    /* Nobody can send now, our own buffer is full: these requests have not left. */
    void (*blocked)(void *owner, const struct engine_request *requests, unsigned count, uint64_t now_ns,
                    int want);
};

struct front_end {
    struct engine engine;
    const struct front_end_owner *operations;
    struct probe_targets own;
    struct probe_targets *targets; /* its own, or shared ones, of which it has `count` from `first` on */
    uint32_t first, count;
    struct shuffle shuffle; /* the order of the turns of the targets below its count */
    uint32_t position;      /* of the next turn in that order; the owner's */
    struct reasons reasons;
    struct pacing pacing;
    uint64_t blocked_until_ns;
    uint64_t
        blocked_since_ns; /* when it began that nothing can be sent; NEVER_NS: the last send went through */
    uint32_t asked_again; /* the owner's */
    int wakeup_fd;
    uint64_t drops; /* of our receive buffer, as last seen */
    uint64_t drops_at_ns;
    uint64_t refresh_at_ns; /* when interfaces are looked up again */
    /* When each growth of that number may have begun: when it had been seen last. They ascend. */
    uint64_t *growths_ns;
    uint32_t growths, growths_room;
};

/* Takes over the transport, also when it fails. All else of *front is zero. -ENOMEM, -EIO. */
int front_end_init(struct front_end *front, struct transport *transport,
                   const struct probe_settings *settings, const struct front_end_owner *operations,
                   void *owner);
void front_end_destroy(struct front_end *front);

/* Moves a list of targets in, once. shuffled: in random order. -ENOMEM, -EIO. */
int front_end_take(struct front_end *front, struct probe_targets *targets, bool shuffled);
/* The same of a part of a list that stays somebody else's, who looks up the interfaces of its targets. */
int front_end_share(struct front_end *front, struct probe_targets *targets, uint32_t first, uint32_t count,
                    bool shuffled);
/* Forgets what was learnt, for another round over the same targets. */
void front_end_again(struct front_end *front);

static inline struct address front_end_address(const struct front_end *front, uint32_t index)
{
    return probe_targets_at(front->targets, front->first + index);
}

/* Whose turn it is at `position`, below the number of targets. */
static inline uint32_t front_end_at(const struct front_end *front, uint32_t position)
{
    return position < front->shuffle.count ? shuffle_at(&front->shuffle, position) : position;
}

/*
 * Targets by what the shortest quote of a request leaves: the sequence is the low half of its index. From
 * *index on, which has that sequence, the next one with that address. False: there is none.
 */
bool front_end_find(const struct front_end *front, const struct address *to, uint64_t *index);

/* True when something may have been dropped before until_ns, that is not among the first `seen` growths. */
static inline bool front_end_has_dropped(const struct front_end *front, uint32_t seen, uint64_t until_ns)
{
    return seen < front->growths && front->growths_ns[seen] <= until_ns;
}

/*
 * Keeps why a request failed in *reason; what cannot have been made up (sealed) is not replaced by what can.
 * is_sealed: what is in *reason now. Returns that of what it is then.
 */
bool front_end_keep_error(struct front_end *front, uint32_t *reason, bool is_sealed,
                          enum probe_outcome outcome, const struct probe_error *error, bool sealed);

/* Nothing has been sent for so long that somebody must be told. */
static inline bool front_end_is_stuck(const struct front_end *front, uint64_t now_ns, uint64_t patience_ns)
{
    return sub_sat_u64(now_ns, front->blocked_since_ns) >= patience_ns;
}
