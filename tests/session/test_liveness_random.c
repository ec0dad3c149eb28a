/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves by random histories of a made-up cluster what must hold in every one of them. The cluster has a
 * truth (who lives since when); lists come from followers that lag up to 8 s, from an access that is cut off
 * and answers with what it last knew, empty, doubled while an access restarts, or not at all for minutes.
 *
 *   - only a fresh list changes who is alive and who is dead; silence, stale and empty lists never do
 *   - nobody dies by one list
 *   - who is alive after a fresh list was really alive within the lag; who is dead was really gone
 *   - nobody is stable who has not really lived for hold (but for the second that alive_sec rounds away)
 *   - restarts are never overcounted
 *   - the same history gives the same views
 *
 * The seed is fixed; a failure prints the history's number.
 */
#include "session/liveness.h"

#include <criterion/criterion.h>

#define ACCESSES  4
#define SECONDS   1200
#define HISTORIES 400
#define LAG_MAX_S 8
#define LEASE_S   7
#define HOLD_S    60

struct life {
    int born_s;
    int died_s; /* INT_MAX: lives */
    int gone_s; /* out of the list */
    char uuid[16];
};

struct cluster {
    struct life lives[ACCESSES][200];
    unsigned life_count[ACCESSES];
};

static uint64_t random_state;
static int heard_s; /* of the newest list that was given */

static unsigned random_below(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % n;
}

static struct address address_of(int access)
{
    return (struct address){.family = AF_INET, .bytes = {10, 0, 0, (uint8_t)(access + 1)}};
}

static struct life *life_now(struct cluster *cluster, int access)
{
    return &cluster->lives[access][cluster->life_count[access] - 1];
}

static void be_born(struct cluster *cluster, int access, int now_s)
{
    struct life *life = &cluster->lives[access][cluster->life_count[access]++];

    *life = (struct life){.born_s = now_s, .died_s = INT32_MAX, .gone_s = INT32_MAX};
    snprintf(life->uuid, sizeof(life->uuid), "%c%u", 'a' + access, cluster->life_count[access]);
}

/* The truth of the next second. */
static void cluster_step(struct cluster *cluster, int now_s)
{
    for (int i = 0; i < ACCESSES; i++) {
        struct life *life = life_now(cluster, i);

        if (cluster->life_count[i] == 200)
            continue;
        if (life->died_s > now_s && random_below(150) == 0) {
            life->died_s = now_s;
            life->gone_s = now_s + LEASE_S;
        } else if (life->died_s < now_s && random_below(20) == 0) {
            be_born(cluster, i, now_s);
        }
    }
}

/* The list as the cluster would have given it at as_of_s; duplicates while an access restarts. */
static void list_as_of(const struct cluster *cluster, int as_of_s, struct session_list *list)
{
    list->count = 0;
    for (int i = 0; i < ACCESSES; i++) {
        for (unsigned k = 0; k < cluster->life_count[i]; k++) {
            const struct life *life = &cluster->lives[i][k];
            struct session *s = &list->items[list->count];

            if (life->born_s > as_of_s || life->gone_s <= as_of_s)
                continue;
            *s = (struct session){.data = address_of(i), .has_alive_sec = true, .zone = "default"};
            memcpy(s->uuid, life->uuid, sizeof(life->uuid));
            s->alive_sec = (uint64_t)(as_of_s - life->born_s);
            list->count++;
        }
    }
}

static bool was_listed(const struct cluster *cluster, int access, int from_s, int to_s)
{
    for (unsigned k = 0; k < cluster->life_count[access]; k++) {
        const struct life *life = &cluster->lives[access][k];

        if (life->born_s <= to_s && life->gone_s > from_s)
            return true;
    }
    return false;
}

static unsigned births_since(const struct cluster *cluster, int access, int from_s)
{
    unsigned count = 0;

    for (unsigned k = 1; k < cluster->life_count[access]; k++)
        count += cluster->lives[access][k].born_s >= from_s;
    return count;
}

static int longest_life(const struct cluster *cluster, int access, int now_s)
{
    int longest = 0;

    for (unsigned k = 0; k < cluster->life_count[access]; k++) {
        const struct life *life = &cluster->lives[access][k];

        /* any of those that may be what the list meant */
        if (life->gone_s > now_s - LAG_MAX_S - 2 && now_s - life->born_s > longest)
            longest = now_s - life->born_s;
    }
    return longest;
}

static void check_transition(const struct cluster *cluster, int history, int access, int now_s,
                             const struct session_view *before, const struct session_view *after,
                             bool listened, enum session_verdict verdict)
{
    bool alive = after->state == SESSION_ALIVE || after->state == SESSION_STABLE;
    bool fresh = listened && verdict == SESSION_LIST_FRESH;

    if (!fresh) {
        bool was_alive = before->state == SESSION_ALIVE || before->state == SESSION_STABLE;

        cr_assert(was_alive == alive && (before->state == SESSION_DEAD) == (after->state == SESSION_DEAD),
                  "history %d, %d s, access %d: %s became %s without a fresh list", history, now_s, access,
                  session_state_text(before->state), session_state_text(after->state));
        cr_assert_not(before->state == SESSION_STABLE && after->state == SESSION_ALIVE);
        return;
    }
    if (after->state == SESSION_DEAD && before->state != SESSION_DEAD)
        cr_assert_geq(before->missing, 1, "history %d, %d s, access %d: dead by one list", history, now_s,
                      access);
    if (before->state == SESSION_DEAD && alive)
        cr_assert(was_listed(cluster, access, now_s - LAG_MAX_S - 1, now_s),
                  "history %d, %d s, access %d: raised from the dead", history, now_s, access);
    cr_assert_leq(after->restarts, births_since(cluster, access, now_s - 300 - LAG_MAX_S - 2),
                  "history %d, %d s, access %d: %u restarts", history, now_s, access, after->restarts);
    /* missing == 0: this list, or one it could not speak about itself in, had it */
    if (after->state == SESSION_STABLE && before->state != SESSION_STABLE)
        cr_assert_geq(longest_life(cluster, access, now_s), HOLD_S - 1,
                      "history %d, %d s, access %d: stable too soon", history, now_s, access);
}

static struct source {
    int lag_s;
    int frozen_s; /* gives the list of this second; -1: it is in touch */
} * frozen_source;

/* One second: perhaps a list, from an access, a follower or a frozen one. */
static bool second_play(struct cluster *cluster, struct session_liveness *liveness, struct source *sources,
                        int now_s, bool silent, enum session_verdict *verdict)
{
    static struct session items[ACCESSES * 4];
    static const struct session_list empty;
    struct session_list list = {.items = items};
    int asked = (int)random_below(ACCESSES);
    struct address origin = address_of(asked);
    struct source *source = &sources[asked];

    /*
     * One access at a time is cut off, and not while all are silent: what an old list that shares no session
     * with the newest one says cannot be told from news (test_liveness.c has the case).
     */
    if (silent && frozen_source) {
        frozen_source->frozen_s = -1;
        frozen_source = NULL;
    }
    if (silent)
        return false;
    if (frozen_source ? frozen_source == source && random_below(60) == 0 : random_below(200) == 0) {
        source->frozen_s = frozen_source ? -1 : now_s;
        frozen_source = frozen_source ? NULL : source;
    }
    if (random_below(50) == 0)
        source->lag_s = (int)random_below(LAG_MAX_S + 1);
    if (random_below(3) == 0)
        return false;
    if (random_below(30) == 0) {
        cr_assert_eq(
            session_liveness_observe(liveness, &empty, &origin, true, (uint64_t)now_s * NS_PER_S, verdict),
            0);
        return true;
    }
    /* A frozen list that nothing newer went before is taken for news: test_liveness.c has that. */
    if (source->frozen_s > heard_s)
        return false;
    heard_s = source->frozen_s < 0 && now_s - source->lag_s > heard_s ? now_s - source->lag_s : heard_s;
    list_as_of(cluster, source->frozen_s < 0 ? now_s - source->lag_s : source->frozen_s, &list);
    cr_assert_eq(
        session_liveness_observe(liveness, &list, &origin, true, (uint64_t)now_s * NS_PER_S, verdict), 0);
    return true;
}

/* Returns a digest of all that was seen. */
static uint64_t history_play(int history)
{
    static const struct session_liveness_settings settings = {.hold_ns = HOLD_S * NS_PER_S,
                                                              .fresh_for_ns = 4 * NS_PER_S};
    struct session_liveness *liveness = NULL;
    struct source sources[ACCESSES];
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    uint64_t digest = 0, key[2] = {0};
    int silent_until_s = 0;

    heard_s = 0;
    frozen_source = NULL;
    random_state = 0x9e3779b97f4a7c15u * (uint64_t)(history + 1);
    cr_assert_eq(session_liveness_new(&liveness, &settings), 0);
    for (int i = 0; i < ACCESSES; i++) {
        be_born(cluster, i, -(int)random_below(200));
        sources[i] = (struct source){.frozen_s = -1};
    }
    for (int now_s = 20; now_s < SECONDS; now_s++) {
        struct session_view before[ACCESSES], after;
        enum session_verdict verdict = SESSION_LIST_EMPTY;
        static const struct address none;
        bool listened;

        for (int i = 0; i < ACCESSES; i++) {
            struct address data = address_of(i);

            session_liveness_view(liveness, &data, &none, (uint64_t)(now_s - 1) * NS_PER_S, &before[i]);
        }
        cluster_step(cluster, now_s);
        if (now_s > silent_until_s && random_below(300) == 0)
            silent_until_s = now_s + (int)random_below(200);
        listened = second_play(cluster, liveness, sources, now_s, now_s < silent_until_s, &verdict);
        for (int i = 0; i < ACCESSES; i++) {
            struct address data = address_of(i);

            session_liveness_view(liveness, &data, &none, (uint64_t)now_s * NS_PER_S, &after);
            check_transition(cluster, history, i, now_s, &before[i], &after, listened, verdict);
            digest = siphash24(&(uint64_t[4]){digest, (uint64_t)after.state, after.restarts, after.born_ns},
                               4 * sizeof(uint64_t), key);
        }
    }
    session_liveness_free(liveness);
    free(cluster);
    return digest;
}

Test(liveness_random, histories)
{
    for (int history = 0; history < HISTORIES; history++)
        cr_assert_eq(history_play(history), history_play(history), "history %d differs from itself", history);
}
