/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table with chains through one array, which is in pieces: see reason.h. */
#include "probe/reason.h"

static struct reason *at(const struct reasons *reasons, uint32_t number)
{
    uint32_t piece = 0, first = 0;

    if (number >= REASON_PIECE_MIN) {
        piece = 32 - (uint32_t)__builtin_clz(number / REASON_PIECE_MIN);
        first = REASON_PIECE_MIN << (piece - 1);
    }
    return &reasons->pieces[piece][number - first];
}

static uint32_t hash(enum probe_outcome outcome, const struct probe_error *error)
{
    static const uint64_t key[2]; /* entries are few, and as many as an attacker has targets at worst */
    uint32_t words[10] = {
        (uint32_t)outcome | (uint32_t)error->refusal << 8,
        (uint32_t)error->error,
        (uint32_t)error->icmp_type << 8 | error->icmp_code,
        error->mtu_bytes,
        error->reply_bytes,
        error->from.scope,
    };

    memcpy(words + 6, error->from.bytes, 16);
    return (uint32_t)siphash24(words, sizeof(words), key);
}

static bool is_same(const struct reason *reason, enum probe_outcome outcome, const struct probe_error *error)
{
    return reason->outcome == outcome && reason->error.error == error->error &&
           reason->error.icmp_type == error->icmp_type && reason->error.icmp_code == error->icmp_code &&
           reason->error.mtu_bytes == error->mtu_bytes && reason->error.refusal == error->refusal &&
           reason->error.reply_bytes == error->reply_bytes &&
           address_equal(&reason->error.from, &error->from);
}

/* The link that leads to the reason, or the end of its chain. */
static uint32_t *find(struct reasons *reasons, enum probe_outcome outcome, const struct probe_error *error)
{
    uint32_t *link = &reasons->buckets[hash(outcome, error) % reasons->room];

    while (*link && !is_same(at(reasons, *link), outcome, error))
        link = &at(reasons, *link)->next;
    return link;
}

/* Number 0 stays empty. Nothing is free when the table grows, so every entry is in a chain. */
static bool grow(struct reasons *reasons)
{
    uint32_t room = reasons->room ? 2 * reasons->room : REASON_PIECE_MIN;
    uint32_t *buckets = calloc(room, sizeof(*buckets));
    struct reason *piece = calloc(room - reasons->room, sizeof(*piece));

    if (!piece || !buckets || reasons->piece_count == REASON_PIECES) {
        free(piece);
        free(buckets);
        return false;
    }
    reasons->pieces[reasons->piece_count++] = piece;
    free(reasons->buckets);
    reasons->buckets = buckets;
    reasons->room = room;
    if (reasons->count == 0)
        reasons->count = 1;
    for (uint32_t i = 1; i < reasons->count; i++) {
        struct reason *reason = at(reasons, i);
        uint32_t *head = &buckets[hash(reason->outcome, &reason->error) % room];

        reason->next = *head;
        *head = i;
    }
    return true;
}

uint32_t reasons_take(struct reasons *reasons, enum probe_outcome outcome, const struct probe_error *error)
{
    uint32_t *link, number;

    if (reasons->free == 0 && reasons->count == reasons->room && !grow(reasons))
        return REASON_TIMEOUT;
    link = find(reasons, outcome, error);
    if (*link == 0) {
        number = reasons->free ? reasons->free : reasons->count++;
        if (reasons->free)
            reasons->free = at(reasons, number)->next;
        *at(reasons, number) = (struct reason){.outcome = outcome, .error = *error};
        *link = number;
    }
    number = *link;
    at(reasons, number)->users++;
    return number;
}

void reasons_release(struct reasons *reasons, uint32_t number)
{
    struct reason *reason;

    if (number == REASON_TIMEOUT)
        return;
    reason = at(reasons, number);
    if (--reason->users > 0)
        return;
    *find(reasons, reason->outcome, &reason->error) = reason->next;
    reason->next = reasons->free;
    reasons->free = number;
}

enum probe_outcome reasons_get(const struct reasons *reasons, uint32_t number, struct probe_error *error)
{
    if (number == REASON_TIMEOUT) {
        *error = (struct probe_error){0};
        return PROBE_TIMEOUT;
    }
    *error = at(reasons, number)->error;
    return at(reasons, number)->outcome;
}

void reasons_clear(struct reasons *reasons)
{
    for (uint32_t i = 0; i < reasons->piece_count; i++)
        free(reasons->pieces[i]);
    free(reasons->buckets);
    *reasons = (struct reasons){0};
}
