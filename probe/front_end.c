/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common part of the front ends that ask every target many things. It decides nothing about a target.
 *
 * Drops. The kernel counts what it dropped for want of room in our receive buffer, but not whose reply it
 * was. Each growth of that counter is kept with the time before which it cannot have happened.
 * front_end_has_dropped() compares these times with the time in which a request was under way. So it tells
 * whether our own drops may be the reason for a silence.
 *
 * Deliberately not shared with sweep.c, which keeps less of each target because it asks only one thing.
 */
#include "probe/front_end.h"
#include "probe/wakeup.h"

#include <sys/random.h>

/* How old our knowledge of the drop counter may be while requests leave. */
#define DROPS_PERIOD_NS NS_PER_MS
/* How long the index of an interface is believed. Looking one up takes some microseconds. */
#define REFRESH_PERIOD_NS (NS_PER_S / 4)

int front_end_init(struct front_end *front, struct transport *transport,
                   const struct probe_settings *settings, const struct engine_owner *owner_operations,
                   void *owner)
{
    front->wakeup_fd = -1;
    front->pacing = pacing_of(settings->rate);
    return engine_init(&front->engine, transport, settings, owner_operations, owner);
}

void front_end_destroy(struct front_end *front)
{
    engine_destroy(&front->engine);
    probe_targets_clear(&front->targets);
    reasons_clear(&front->reasons);
    free(front->growths_ns);
}

int front_end_take(struct front_end *front, struct probe_targets *targets, bool shuffled)
{
    uint32_t key[4];
    int r;

    if (getrandom(key, sizeof(key), 0) != sizeof(key))
        return -EIO;
    /* A family that cannot be opened is a result of its targets, not of all. */
    if (targets->has_ipv4)
        engine_open_family(&front->engine, AF_INET);
    if (targets->has_ipv6)
        engine_open_family(&front->engine, AF_INET6);
    r = engine_reserve(&front->engine, front->engine.settings.payload_bytes, targets->count);
    if (r < 0)
        return r;
    front->targets = *targets;
    *targets = (struct probe_targets){0};
    if (shuffled)
        shuffle_init(&front->shuffle, front->targets.count, key);
    return 0;
}

uint32_t front_end_at(const struct front_end *front, uint32_t position)
{
    return position < front->shuffle.count ? shuffle_at(&front->shuffle, position) : position;
}

bool front_end_find(const struct front_end *front, const struct address *to, uint16_t sequence,
                    uint32_t *index)
{
    for (uint64_t i = sequence; i < front->targets.count; i += 65536) {
        struct address address = probe_targets_at(&front->targets, (uint32_t)i);

        if (address.family == to->family && memcmp(address.bytes, to->bytes, sizeof(to->bytes)) == 0) {
            *index = (uint32_t)i;
            return true;
        }
    }
    return false;
}

static int add_growth(struct front_end *front)
{
    if (front->growths == front->growths_room) {
        uint32_t room = front->growths_room ? 2 * front->growths_room : 16;
        uint64_t *larger = realloc(front->growths_ns, room * sizeof(*larger));

        if (!larger)
            return -ENOMEM;
        front->growths_ns = larger;
        front->growths_room = room;
    }
    front->growths_ns[front->growths++] = front->drops_at_ns;
    return 0;
}

int front_end_look_at_drops(struct front_end *front, uint64_t now_ns, bool now)
{
    uint64_t drops;
    int r = 0;

    if (!now && now_ns - front->drops_at_ns < DROPS_PERIOD_NS)
        return 0;
    drops = front->engine.operations->receive_drops(front->engine.transport);
    if (drops != front->drops)
        r = add_growth(front);
    front->drops = drops;
    front->drops_at_ns = now_ns;
    return r;
}

/* It may take hours: an interface that is made anew meanwhile has another index. */
static void refresh(struct front_end *front, uint64_t now_ns)
{
    if (now_ns < front->refresh_at_ns)
        return;
    probe_targets_refresh(&front->targets);
    engine_refresh(&front->engine);
    front->refresh_at_ns = now_ns + REFRESH_PERIOD_NS;
}

int front_end_wait(struct front_end *front, uint64_t until_ns, bool has_results, uint64_t *now_ns)
{
    struct engine *engine = &front->engine;
    int r = 0;

    refresh(front, *now_ns);
    if (until_ns > *now_ns && !has_results) {
        r = engine->operations->wait(engine->transport, until_ns, front->wakeup_fd);
        *now_ns = engine_now_ns(engine);
        /* Whatever it was for is looked at after this. */
        if (front->wakeup_fd >= 0)
            wakeup_empty(front->wakeup_fd);
    }
    return r < 0 ? r : engine_receive(engine, *now_ns);
}

void front_end_keep_error(struct front_end *front, uint32_t *reason, bool *is_sealed,
                          const struct engine_event *event)
{
    if (*is_sealed && !event->sealed)
        return;
    reasons_release(&front->reasons, *reason);
    *reason = reasons_take(&front->reasons, event->outcome, &event->error);
    *is_sealed = event->sealed;
}
