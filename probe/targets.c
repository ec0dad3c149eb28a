/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of targets: see targets.h. Pure.
 *
 * The list is a sequence of runs, found by binary search. The addresses of a run are counted up from its
 * first one in steps of the number of shards, or they stand in one of two arrays: `listed4`, or `listed`,
 * where those are that are not known yet and IPv6 addresses that were given one by one.
 */
#include "probe/targets.h"

/* probe_target_run.listed */
enum listed {
    LISTED_NOWHERE, /* counted */
    LISTED_4,
    LISTED_ANY,
};

static int room_for_one(void **list, uint32_t count, uint32_t *room, size_t each_bytes)
{
    uint32_t larger_room = *room ? *room * 2 : 64;
    void *larger;

    if (count < *room)
        return 0;
    if (larger_room < *room)
        return -ENOMEM;
    larger = realloc(*list, larger_room * each_bytes);
    if (!larger)
        return -ENOMEM;
    *list = larger;
    *room = larger_room;
    return 0;
}

#define ROOM_FOR_ONE(list, count, room)                                      \
    ({                                                                       \
        void *list_ = (list);                                                \
        int result_ = room_for_one(&list_, count, &(room), sizeof(*(list))); \
        (list) = list_;                                                      \
        result_;                                                             \
    })

/* Of the next `count` that are offered, which are ours? Every step-th from *skip on: returns how many. */
static uint64_t take_share(struct probe_targets *targets, uint64_t count, uint64_t *skip)
{
    uint64_t shards = targets->shards ? targets->shards : 1;

    *skip = (targets->shard + shards - targets->offered % shards) % shards;
    targets->offered += count;
    return *skip < count ? (count - 1 - *skip) / shards + 1 : 0;
}

static int add_run(struct probe_targets *targets, const struct probe_target_run *run)
{
    int r = ROOM_FOR_ONE(targets->runs, targets->run_count, targets->run_room);

    if (r == 0)
        targets->runs[targets->run_count++] = *run;
    return r;
}

/* Goes on with the last run when that is of the same kind. */
static int add_listed_run(struct probe_targets *targets, enum listed listed, uint32_t at)
{
    struct probe_target_run run = {.index = targets->count, .listed = listed, .at = at};

    if (targets->run_count && targets->runs[targets->run_count - 1].listed == listed)
        return 0;
    return add_run(targets, &run);
}

static struct probe_target_listed listed_of(const struct address *address)
{
    struct probe_target_listed listed = {.family = address->family, .scope = address->scope};

    memcpy(listed.bytes, address->bytes, sizeof(listed.bytes));
    return listed;
}

static int add_listed(struct probe_targets *targets, const struct address *address)
{
    bool v4 = address->family == AF_INET;
    int r = v4 ? ROOM_FOR_ONE(targets->listed4, targets->listed4_count, targets->listed4_room)
               : ROOM_FOR_ONE(targets->listed, targets->listed_count, targets->listed_room);

    if (r == 0)
        r = add_listed_run(targets, v4 ? LISTED_4 : LISTED_ANY,
                           v4 ? targets->listed4_count : targets->listed_count);
    if (r < 0)
        return r;
    if (v4)
        memcpy(&targets->listed4[targets->listed4_count++], address->bytes, 4);
    else
        targets->listed[targets->listed_count++] = listed_of(address);
    targets->count++;
    return 0;
}

static int add_counted(struct probe_targets *targets, const struct address *first, uint32_t count)
{
    struct probe_target_run run = {.index = targets->count,
                                   .listed = LISTED_NOWHERE,
                                   .step = targets->shards ? targets->shards : 1,
                                   .first = *first};
    int r = add_run(targets, &run);

    if (r == 0)
        targets->count += count;
    return r;
}

/* A piece without anything excluded. */
static int add_piece(struct probe_targets *targets, const struct address *first, const struct address *last)
{
    uint64_t skip, offered = probe_address_count(first, last);
    uint64_t count = take_share(targets, offered, &skip);
    struct address ours;

    if (count >= UINT32_MAX - targets->count)
        return -E2BIG;
    if (count == 0)
        return 0;
    if (first->family == AF_INET)
        targets->has_ipv4 = true;
    else
        targets->has_ipv6 = true;
    ours = probe_address_plus(first, skip);
    return offered == 1 ? add_listed(targets, &ours) : add_counted(targets, &ours, (uint32_t)count);
}

int probe_targets_add(struct probe_targets *targets, const struct probe_range *range)
{
    struct address first = range->first;
    int r = probe_address_count(&range->first, &range->last) > PROBE_TARGETS_RANGE_MAX ? -E2BIG : 0;

    if (r == 0)
        r = scopes_add(&targets->scopes, range->first.scope);

    while (r == 0) {
        const struct probe_range *hole =
            targets->excluded ? probe_range_set_from(targets->excluded, &first) : NULL;
        struct address last = range->last;

        if (!hole || probe_address_compare(&hole->first, &last) > 0)
            return add_piece(targets, &first, &last);
        if (probe_address_compare(&hole->first, &first) > 0) {
            last = hole->first;
            for (size_t i = address_size_bytes(&last); i-- > 0 && last.bytes[i]-- == 0;) {
                /* borrows */
            }
            r = add_piece(targets, &first, &last);
        }
        if (probe_address_compare(&hole->last, &range->last) >= 0)
            break;
        first = probe_address_plus(&hole->last, 1);
    }
    return r;
}

int probe_targets_add_later(struct probe_targets *targets, uint32_t *index)
{
    uint64_t skip;
    int r;

    if (take_share(targets, 1, &skip) == 0)
        return 0;
    if (targets->count >= UINT32_MAX - 1)
        return -E2BIG;
    *index = targets->count;
    r = add_listed(targets, &(struct address){0});
    return r < 0 ? r : 1;
}

static const struct probe_target_run *run_of(const struct probe_targets *targets, uint32_t index)
{
    uint32_t low = 0;

    for (uint32_t high = targets->run_count; high - low > 1;) {
        uint32_t middle = low + (high - low) / 2;

        if (targets->runs[middle].index <= index)
            low = middle;
        else
            high = middle;
    }
    return &targets->runs[low];
}

void probe_targets_set(struct probe_targets *targets, uint32_t index, const struct address *address)
{
    const struct probe_target_run *run = run_of(targets, index);

    targets->listed[run->at + index - run->index] = listed_of(address);
    /* Without memory it keeps its index, but not its name. */
    scopes_add(&targets->scopes, address->scope);
}

static uint32_t scope_now(const struct scopes *scopes, const uint32_t *before, uint32_t index)
{
    for (uint32_t i = 0; index && i < scopes->count; i++)
        if (before[i] == index)
            return scopes->list[i].index;
    return index;
}

void probe_targets_refresh(struct probe_targets *targets)
{
    const struct scopes *scopes = &targets->scopes;
    uint32_t *before = scopes->count ? calloc(scopes->count, sizeof(*before)) : NULL;

    if (before && scopes_refresh(&targets->scopes, before)) {
        for (uint32_t i = 0; i < targets->run_count; i++)
            if (targets->runs[i].listed == LISTED_NOWHERE)
                targets->runs[i].first.scope = scope_now(scopes, before, targets->runs[i].first.scope);
        for (uint32_t i = 0; i < targets->listed_count; i++)
            targets->listed[i].scope = scope_now(scopes, before, targets->listed[i].scope);
    }
    free(before);
}

struct address probe_targets_at(const struct probe_targets *targets, uint32_t index)
{
    const struct probe_target_run *run = run_of(targets, index);
    uint64_t offset = index - run->index;
    struct address address = {.family = AF_INET};

    switch ((enum listed)run->listed) {
    case LISTED_NOWHERE:
        return probe_address_plus(&run->first, offset * run->step);
    case LISTED_4:
        memcpy(address.bytes, &targets->listed4[run->at + offset], 4);
        return address;
    case LISTED_ANY:
        address.family = targets->listed[run->at + offset].family;
        address.scope = targets->listed[run->at + offset].scope;
        memcpy(address.bytes, targets->listed[run->at + offset].bytes, sizeof(address.bytes));
        return address;
    }
    return address;
}

void probe_targets_clear(struct probe_targets *targets)
{
    free(targets->runs);
    free(targets->listed4);
    free(targets->listed);
    scopes_clear(&targets->scopes);
    *targets = (struct probe_targets){0};
}
