/* SPDX-License-Identifier: Apache-2.0 */
#include "route/journal/tally.h"

int tally_begin(struct tally *tally, uint64_t now_ns, uint32_t path_count)
{
    tally->at_ns = now_ns;
    tally->path_count = path_count;
    tally->doubtful = calloc((size_t)path_count + 1, sizeof(*tally->doubtful));
    return tally->doubtful ? 0 : -ENOMEM;
}

void tally_clear(struct tally *tally)
{
    free(tally->moves);
    free(tally->doubtful);
    *tally = (struct tally){0};
}

void tally_state(struct tally *tally, uint64_t now_ns, bool watched, bool away, bool serves)
{
    uint64_t passed_ns = sub_sat_u64(now_ns, tally->at_ns);

    if (tally->watched) {
        tally->watched_ns += passed_ns;
        tally->away_ns += tally->away ? passed_ns : 0;
        tally->unserved_ns += tally->serves ? 0 : passed_ns;
    }
    tally->at_ns = max_u64(tally->at_ns, now_ns);
    tally->watched = watched;
    tally->away = away;
    tally->serves = serves;
}

static void mark(struct tally *tally, size_t move)
{
    tally->needless += !tally->moves[move].needless;
    tally->moves[move].needless = true;
}

static bool is_failover(enum selector_reason reason)
{
    return reason >= SWITCH_PATH_DOWN && reason <= SWITCH_DEGRADED;
}

int tally_move(struct tally *tally, uint64_t now_ns, uint32_t from, uint32_t to, enum selector_reason reason,
               bool well)
{
    size_t count = tally->move_count;
    struct tally_move *last = count ? &tally->moves[count - 1] : NULL;

    if ((count & (count - 1)) == 0) { /* doubles */
        void *bigger = realloc(tally->moves, (count ? 2 * count : 1) * sizeof(*tally->moves));

        if (!bigger)
            return -ENOMEM;
        tally->moves = bigger;
        last = count ? &tally->moves[count - 1] : NULL;
    }
    tally->moves[tally->move_count++] =
        (struct tally_move){.at_ns = now_ns, .from = from, .to = to, .reason = reason};
    if (!is_failover(reason) || from == SELECTOR_NO_PATH)
        return 0;
    if (last && last->reason == SWITCH_FAILBACK && last->to == from &&
        now_ns - last->at_ns < TALLY_WITHIN_NS) {
        mark(tally, count - 1);
        mark(tally, count);
    }
    if (well)
        tally->doubtful[from] = count + 1;
    return 0;
}

static void judge(struct tally *tally, uint64_t now_ns, uint32_t path)
{
    size_t move = tally->doubtful[path];

    if (move && now_ns - tally->moves[move - 1].at_ns >= TALLY_WITHIN_NS)
        mark(tally, move - 1);
    tally->doubtful[path] = 0;
}

void tally_failed(struct tally *tally, uint64_t now_ns, uint32_t path)
{
    judge(tally, now_ns, path);
}

void tally_end(struct tally *tally, uint64_t now_ns)
{
    tally_state(tally, now_ns, false, false, false);
    for (uint32_t i = 0; i < tally->path_count; i++)
        judge(tally, now_ns, i);
}

bool tally_is_away(const struct selector_input *input, uint32_t path)
{
    enum selector_locality best = LOCALITY_OTHER_ZONE;
    const struct path_evidence *p;

    if (path == SELECTOR_NO_PATH)
        return true;
    p = &input->paths[path];
    if (p->access == SELECTOR_NO_ACCESS || (p->tier != TIER_DATA && p->tier != TIER_SECONDARY))
        return true;
    for (uint32_t i = 0; i < input->access_count; i++)
        if (input->accesses[i].locality < best)
            best = input->accesses[i].locality;
    return input->accesses[p->access].locality > best;
}
