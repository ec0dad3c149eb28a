/* SPDX-License-Identifier: Apache-2.0 */
#include "route/decide/witness.h"

const char *witness_text(enum witness_says says)
{
    static const char *const text[] = {"none", "idle", "progress", "stalled"};

    return text[says];
}

/* --- looks --- */

static const struct witness_connection *find(const struct witness *witness, uint64_t cookie)
{
    for (size_t i = 0; i < witness->count; i++)
        if (witness->connections[i].cookie == cookie)
            return &witness->connections[i];
    return NULL;
}

/*
 * They were sent again between the former look and this one, although what lost them was over by then: the former look
 * knew of an answer to a ping that was sent since they wait.
 */
static bool were_sent_again_after_answer(const struct witness *witness,
                                         const struct witness_connection *before,
                                         const struct witness_sample *sample)
{
    return sample->retransmits > before->retransmits && witness->proven_ns >= before->waiting_ns;
}

static struct witness_connection see(const struct witness *witness, const struct witness_sample *sample,
                                     uint64_t select_timeout_ns, uint64_t now_ns)
{
    const struct witness_connection *before = find(witness, sample->cookie);
    struct witness_connection now = {
        .cookie = sample->cookie,
        .acked_bytes = sample->acked_bytes,
        .seen_ns = now_ns,
        .retransmits = sample->retransmits,
    };
    bool progress = before && sample->acked_bytes > before->acked_bytes;

    if (before) {
        now.seen_ns = before->seen_ns;
        now.acked_ns = progress ? witness->looked_ns : before->acked_ns;
    }
    if (sample->waiting)
        now.waiting_ns = now_ns;
    if (sample->waiting && before && before->waiting_ns && !progress) {
        now.waiting_ns = before->waiting_ns;
        now.vain_ns = before->vain_ns;
        if (were_sent_again_after_answer(witness, before, sample))
            now.vain_ns = before->vain_ns ? now_ns : now_ns + select_timeout_ns;
    }
    return now;
}

void witness_look(struct witness *witness, const struct witness_sample *samples, size_t count,
                  const struct witness_path *path, uint64_t now_ns)
{
    struct witness_connection connections[WITNESS_MAX];

    count = min_u64(count, WITNESS_MAX);
    for (size_t i = 0; i < count; i++)
        connections[i] = see(witness, &samples[i], path->select_timeout_ns, now_ns);
    memcpy(witness->connections, connections, count * sizeof(*connections));
    witness->count = count;
    witness->looked_ns = now_ns;
    witness->proven_ns = path->proven_ns;
}

void witness_moved(struct witness *witness, uint64_t now_ns)
{
    witness->moved_ns = now_ns;
    witness->proven_ns = 0;
    witness->missed_ns = 0;
}

/* --- the verdict --- */

static bool waits_for(const struct witness_connection *connection, uint64_t at_least_ns, uint64_t now_ns)
{
    return connection->waiting_ns && now_ns >= connection->waiting_ns + at_least_ns;
}

/* Has it made progress over the path in use, as far as is known? */
static bool goes_over_path(const struct witness *witness, const struct witness_connection *connection)
{
    return connection->acked_ns &&
           (!witness->moved_ns || connection->acked_ns >= witness->moved_ns + WITNESS_OF_BEFORE_NS);
}

/* One that the former path carried and this one never did says nothing about this one. */
static bool may_complain(const struct witness *witness, const struct witness_connection *connection)
{
    return connection->seen_ns >= witness->moved_ns || goes_over_path(witness, connection);
}

static bool is_stalled(const struct witness *witness, const struct witness_connection *connection,
                       uint64_t window_ns, uint64_t now_ns)
{
    return waits_for(connection, max_u64(window_ns, WITNESS_STALL_MIN_NS), now_ns) &&
           may_complain(witness, connection);
}

/* A connection that is stuck for another reason retransmits more and more rarely, so that it hardly counts in the end. */
static bool is_held_up(const struct witness *witness, const struct witness_connection *connection,
                       const struct witness_path *path, uint64_t now_ns)
{
    return path->doubtful && connection->vain_ns && now_ns >= connection->vain_ns &&
           now_ns < connection->vain_ns + path->window_ns && may_complain(witness, connection);
}

/* Progress of before the connection came to a standstill itself contradicts nothing. */
static bool contradicts(const struct witness *witness, const struct witness_connection *connection,
                        const struct witness_path *path, uint64_t now_ns)
{
    return goes_over_path(witness, connection) &&
           connection->acked_ns >= witness->missed_ns + path->select_timeout_ns &&
           !waits_for(connection, path->window_ns / 2, now_ns);
}

static enum witness_says says(const struct witness *witness, uint64_t window_ns, uint64_t now_ns)
{
    bool stalled = false;

    if (witness->count == 0 || now_ns >= witness->looked_ns + window_ns)
        return WITNESS_NONE;
    for (size_t i = 0; i < witness->count; i++) {
        const struct witness_connection *connection = &witness->connections[i];

        if (goes_over_path(witness, connection) && now_ns < connection->acked_ns + window_ns)
            return WITNESS_PROGRESS;
        stalled = stalled || is_stalled(witness, connection, window_ns, now_ns);
    }
    return stalled ? WITNESS_STALLED : WITNESS_IDLE;
}

struct witness_verdict witness_judge(struct witness *witness, const struct witness_path *path,
                                     uint64_t now_ns)
{
    struct witness_verdict verdict = {.says = says(witness, path->window_ns, now_ns)};

    if (path->answers)
        witness->missed_ns = 0;
    else if (!witness->missed_ns)
        witness->missed_ns = path->first_missed_ns;
    verdict.doubtful = verdict.says == WITNESS_STALLED && path->answers;
    if (verdict.says == WITNESS_NONE)
        return verdict;
    for (size_t i = 0; i < witness->count; i++) {
        const struct witness_connection *connection = &witness->connections[i];

        if (witness->missed_ns && contradicts(witness, connection, path, now_ns))
            verdict.contradicted_ns = witness->missed_ns;
        verdict.held_up = verdict.held_up || is_held_up(witness, connection, path, now_ns);
    }
    return verdict;
}
