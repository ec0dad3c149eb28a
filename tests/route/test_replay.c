/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves the journal's promise: the selector, run again over what the journal holds, makes the same switches
 * at the same times for the same reasons.
 *
 * Random histories: paths that answer, die, lose, are slow or unplugged, through the real health_observe()
 * and the real selector, in virtual time, from event to event as in the agent; sessions that restart, die and
 * fall silent; drains, pins, full-size probes that get lost, routes that the kernel refuses, planned switches
 * that take their time or are abandoned, reloads, and files that rotate. Each is written by the real journal
 * into a real file, read, and replayed.
 *
 *   - what the journal says that the host did is what it did;
 *   - the replay with the host's settings is the same, to the nanosecond;
 *   - also when the older part of the journal is gone.
 *
 * REROUTE_TEST_HISTORIES and REROUTE_TEST_SEED choose how many and which.
 */
#include <criterion/criterion.h>
#include <sys/stat.h>

#include "probe/random.h"
#include "route/journal/file.h"
#include "route/journal/replay.h"
#include "tests/lib/random_test.h"

#define ACCESSES 4
#define PATHS    9
#define STEPS    12000
#define BEGIN_NS (100000 * NS_PER_S)
#define MOVES    512

enum mode { ANSWERS, DIES, LOSES, SLOW, MODES };

struct world {
    uint64_t random;
    struct access_memory access_memory[ACCESSES];
    struct path_memory path_memory[PATHS];
    struct selector selector;
    struct access_evidence accesses[ACCESSES];
    struct path_evidence paths[PATHS];
    struct selector_input input;
    struct selector_decision decision;
    struct health_settings settings;
    struct health health[PATHS];
    struct address addresses[PATHS];
    char names[ACCESSES][16], uuids[ACCESSES][24];
    enum mode mode[PATHS];
    uint64_t sent_ns[PATHS], judged_ns[PATHS], late_ns[PATHS];
    bool will_answer[PATHS];
    uint64_t sized_ns[PATHS], refused_until_ns[PATHS];
    uint64_t restarts_ns[ACCESSES][4];
    bool silent; /* no session lists */
    uint64_t change_ns;
    /* a planned switch under way */
    uint32_t planned_to;
    uint64_t planned_ns;
    struct journal *journal;
    struct tally_move moves[MOVES];
    size_t move_count;
};

static uint64_t below(struct world *w, uint64_t n)
{
    return random_next(&w->random) % n;
}

static bool one_in(struct world *w, uint64_t n)
{
    return below(w, n) == 0;
}

/* --- what the journal asks --- */

static const struct address *path_address(const void *owner, uint32_t path)
{
    return &((const struct world *)owner)->addresses[path];
}

static const char *access_name(const void *owner, uint32_t access)
{
    return ((const struct world *)owner)->names[access];
}

static const char *access_uuid(const void *owner, uint32_t access)
{
    return ((const struct world *)owner)->uuids[access];
}

/* --- building --- */

static void build(struct world *w, uint64_t seed)
{
    uint64_t select_ns = 100 * NS_PER_MS;

    *w = (struct world){.random = seed * UINT64_C(0xd1342543de82ef95) + 1, .planned_to = SELECTOR_NO_PATH};
    w->settings = (struct health_settings){
        .select_timeout_ns = select_ns,
        .select_count = 2 + (uint32_t)below(w, 9),
        .rise = 1 + (uint32_t)below(w, 3),
        .degraded_percent = 30,
        .degraded_over_ns = 3 * NS_PER_S,
        .hold_ns = (2 + below(w, 10)) * NS_PER_S,
    };
    w->selector = (struct selector){.paths = w->path_memory, .accesses = w->access_memory};
    w->input = (struct selector_input){
        .now_ns = BEGIN_NS,
        .paths = w->paths,
        .path_count = 3 + (uint32_t)below(w, PATHS - 2),
        .accesses = w->accesses,
        .access_count = 2 + (uint32_t)below(w, ACCESSES - 1),
        .current = SELECTOR_NO_PATH,
        .host.window_ns = select_ns * w->settings.select_count,
        .host.select_timeout_ns = select_ns,
        .host.hold_ns = w->settings.hold_ns,
        .host.stay_ns = below(w, 8) * NS_PER_S,
        .host.damping_max_ns = one_in(w, 3) ? 0 : 40 * NS_PER_S,
        .host.sessions_waived = one_in(w, 6),
        .host.cold_deadline_ns = BEGIN_NS + NS_PER_S,
    };
    w->input.host.list_arrived = w->input.host.sessions_waived;
    for (uint32_t i = 0; i < w->input.access_count; i++) {
        w->accesses[i] = (struct access_evidence){
            .locality = i == 0 ? LOCALITY_LOCAL : LOCALITY_SAME_ZONE + (enum selector_locality)below(w, 2),
            .stable_at_ns = NEVER_NS,
            .weight = random_next(&w->random),
        };
        snprintf(w->names[i], sizeof(w->names[i]), "node%u", i);
    }
    for (uint32_t i = 0; i < w->input.path_count; i++) {
        w->addresses[i] = (struct address){.family = AF_INET, .bytes = {10, 0, (uint8_t)i, 1}};
        w->paths[i] = (struct path_evidence){
            .access = i < w->input.access_count ? i : (uint32_t)below(w, w->input.access_count),
            .tier = i < w->input.access_count ? TIER_DATA
                    : one_in(w, 2)            ? TIER_SECONDARY
                                              : TIER_MANAGEMENT,
            .on_link = true,
            .link_usable = true,
            .service_good = true,
        };
        w->sent_ns[i] = BEGIN_NS + below(w, select_ns);
        w->judged_ns[i] = w->late_ns[i] = w->sized_ns[i] = NEVER_NS;
    }
    if (one_in(w, 5)) { /* an adopted next hop that nobody configured */
        w->paths[0].access = SELECTOR_NO_ACCESS;
        w->paths[0].tier = TIER_FOREIGN;
    }
    if (one_in(w, 2))
        w->input.current = (uint32_t)below(w, w->input.path_count);
    else if (w->paths[0].access == SELECTOR_NO_ACCESS)
        w->input.current = 0;
}

/* --- evidence --- */

static void observe(struct world *w, uint32_t i, enum probe_outcome outcome)
{
    uint64_t now_ns = w->input.now_ns;

    health_observe(
        &w->health[i], &w->settings,
        &(struct probe_observation){
            .outcome = outcome, .sent_ns = w->sent_ns[i], .at_ns = now_ns, .rtt_ns = now_ns - w->sent_ns[i]});
}

static void send_next(struct world *w, uint32_t i)
{
    bool often = i == w->input.current || w->decision.doubt;
    uint64_t interval_ns = often ? w->input.host.select_timeout_ns : 5 * w->input.host.select_timeout_ns;
    enum mode mode = w->mode[i];

    w->sent_ns[i] = max_u64(w->sent_ns[i] + interval_ns, w->input.now_ns);
    if (mode == LOSES)
        mode = below(w, 100) < 25 ? DIES : ANSWERS;
    w->will_answer[i] = mode == ANSWERS && w->paths[i].link_usable;
    w->judged_ns[i] = w->sent_ns[i] + (w->will_answer[i] ? NS_PER_MS + below(w, 9 * NS_PER_MS)
                                                         : w->input.host.select_timeout_ns);
    w->late_ns[i] = NEVER_NS;
}

static void probe_path(struct world *w, uint32_t i)
{
    if (w->judged_ns[i] == NEVER_NS)
        send_next(w, i);
    if (w->late_ns[i] <= w->input.now_ns) {
        observe(w, i, PROBE_LATE);
        w->late_ns[i] = NEVER_NS;
        send_next(w, i);
    } else if (w->late_ns[i] == NEVER_NS && w->judged_ns[i] <= w->input.now_ns) {
        observe(w, i, w->will_answer[i] ? PROBE_REPLY : PROBE_TIMEOUT);
        if (!w->will_answer[i] && w->mode[i] == SLOW && w->paths[i].link_usable)
            w->late_ns[i] = w->input.now_ns + 1 + below(w, 40 * NS_PER_MS);
        else
            send_next(w, i);
    }
}

static void take_size(struct world *w, uint32_t i)
{
    if (w->health[i].state != HEALTH_UP)
        w->paths[i].full_size = FULL_SIZE_UNTESTED;
    if (w->health[i].state != HEALTH_UP && one_in(w, 2)) /* else its answer comes late */
        w->sized_ns[i] = NEVER_NS;
    if (w->sized_ns[i] > w->input.now_ns)
        return;
    w->sized_ns[i] = NEVER_NS;
    if (w->paths[i].full_size == FULL_SIZE_LOST) {
        w->paths[i].full_size = FULL_SIZE_UNTESTED;
        return;
    }
    w->paths[i].full_size = one_in(w, 6) ? FULL_SIZE_LOST : FULL_SIZE_PASSED;
    if (w->paths[i].full_size == FULL_SIZE_LOST)
        w->sized_ns[i] = w->input.now_ns + 3 * NS_PER_S;
}

static void change_path(struct world *w, uint32_t i)
{
    struct path_evidence *p = &w->paths[i];

    switch (below(w, 24)) {
    case 0:
        p->link_usable = !p->link_usable;
        if (!p->link_usable)
            health_link_lost(&w->health[i]);
        break;
    case 1:
        p->pinned = !p->pinned && p->access != SELECTOR_NO_ACCESS && one_in(w, 3);
        w->input.host.pin_now = p->pinned;
        break;
    case 2:
        p->service_bad = !p->service_bad;
        p->service_good = !p->service_bad && one_in(w, 2);
        break;
    case 3:
        p->service_good = !p->service_bad;
        break;
    case 4:
    case 5:
        w->mode[i] = (enum mode)below(w, MODES);
        break;
    case 6:
    case 7:
    case 8:
        w->mode[i] = DIES;
        break;
    default:
        w->mode[i] = ANSWERS;
        p->link_usable = true;
        break;
    }
}

static void begin_life(struct world *w, uint32_t i)
{
    struct access_evidence *a = &w->accesses[i];

    if (a->session != SESSION_UNKNOWN) {
        memmove(&w->restarts_ns[i][1], &w->restarts_ns[i][0], 3 * sizeof(uint64_t));
        w->restarts_ns[i][0] = w->input.now_ns;
    }
    a->session = SESSION_ALIVE;
    a->stable_at_ns = w->input.now_ns + w->input.host.hold_ns - below(w, NS_PER_S);
    snprintf(w->uuids[i], sizeof(w->uuids[i]), "%" PRIx64, random_next(&w->random));
}

static void change_access(struct world *w, uint32_t i)
{
    struct access_evidence *a = &w->accesses[i];

    switch (below(w, 10)) {
    case 0:
        a->session = SESSION_DEAD;
        a->stable_at_ns = NEVER_NS;
        break;
    case 1:
        a->drained = !a->drained;
        break;
    case 2: /* another entry with a slightly earlier birth */
        if (a->stable_at_ns != NEVER_NS)
            a->stable_at_ns -= below(w, NS_PER_S / 4);
        break;
    case 3:
    case 4:
    case 5:
        begin_life(w, i);
        break;
    default:
        if (a->session == SESSION_UNKNOWN || a->session == SESSION_DEAD)
            begin_life(w, i);
        a->drained = false;
        break;
    }
}

/* Lists stop, or come again: what was stable stays so, time alive stands still. */
static void change_silence(struct world *w)
{
    w->silent = !w->silent && one_in(w, 2);
    for (uint32_t i = 0; i < w->input.access_count; i++) {
        struct access_evidence *a = &w->accesses[i];

        if (w->silent && a->session == SESSION_ALIVE)
            a->stable_at_ns = NEVER_NS;
        else if (!w->silent && a->session == SESSION_ALIVE && a->stable_at_ns == NEVER_NS)
            a->stable_at_ns = w->input.now_ns + below(w, w->input.host.hold_ns);
    }
}

static void change(struct world *w)
{
    w->change_ns = w->input.now_ns + below(w, one_in(w, 3) ? 15 * NS_PER_S : NS_PER_S);
    w->input.host.list_arrived = w->input.host.list_arrived || one_in(w, 2);
    w->input.host.failback_now = w->input.host.failback_now ? one_in(w, 2) : one_in(w, 12);
    w->input.host.pin_hard = w->input.host.pin_hard ? one_in(w, 2) : one_in(w, 40);
    w->input.host.pin_now = w->input.host.pin_now && one_in(w, 2);
    if (one_in(w, 3))
        change_access(w, (uint32_t)below(w, w->input.access_count));
    else if (one_in(w, 8))
        change_silence(w);
    else
        change_path(w, (uint32_t)below(w, w->input.path_count));
    if (one_in(w, 40))
        journal_renew(w->journal, "reload");
}

/* The host's own connections may go on while pings are lost, come to a standstill then, or while they are answered. */
static void ask_witness(struct world *w)
{
    uint32_t current = w->input.current;

    w->input.host.stalled = w->input.host.stalled ? !one_in(w, 8) : one_in(w, 500);
    if (current == SELECTOR_NO_PATH || (w->health[current].state == HEALTH_UP && w->health[current].misses == 0))
        w->input.host.contradicted_ns = 0;
    else if (w->input.host.contradicted_ns)
        w->input.host.contradicted_ns *= !one_in(w, 30);
    else if (one_in(w, 10))
        w->input.host.contradicted_ns = w->health[current].first_missed_ns;
}

static void gather(struct world *w)
{
    uint64_t now_ns = w->input.now_ns;

    for (uint32_t i = 0; i < w->input.path_count; i++) {
        probe_path(w, i);
        take_size(w, i);
        w->paths[i].on_link = now_ns >= w->refused_until_ns[i];
    }
    ask_witness(w);
    if (now_ns >= w->change_ns)
        change(w);
    for (uint32_t i = 0; i < w->input.access_count; i++) {
        struct access_evidence *a = &w->accesses[i];

        if (a->session == SESSION_ALIVE && now_ns >= a->stable_at_ns)
            a->session = SESSION_STABLE;
        a->restarts = 0;
        for (unsigned j = 0; j < 4; j++)
            a->restarts += w->restarts_ns[i][j] && now_ns - w->restarts_ns[i][j] <= 30 * NS_PER_S;
    }
}

/* --- what the agent does --- */

static void switch_to(struct world *w, uint32_t to, enum selector_reason reason)
{
    uint32_t from = w->input.current;
    bool refused = one_in(w, 12);

    journal_switch(w->journal, w->input.now_ns, from == SELECTOR_NO_PATH ? NULL : &w->addresses[from],
                   &w->addresses[to], reason, refused ? -EPERM : 0);
    if (refused) {
        w->refused_until_ns[to] = w->input.now_ns + NS_PER_S;
        return;
    }
    if (w->move_count < MOVES)
        w->moves[w->move_count++] =
            (struct tally_move){.at_ns = w->input.now_ns, .from = from, .to = to, .reason = reason};
    w->input.current = to;
    w->input.host.contradicted_ns = 0;
    w->input.host.stalled = false;
    w->input.host.failback_now = false;
    w->input.host.pin_now = w->input.host.pin_now && !w->paths[to].pinned;
    w->planned_to = SELECTOR_NO_PATH;
}

static void carry_out(struct world *w)
{
    const struct selector_decision *d = &w->decision;

    if (d->want_full_size != SELECTOR_NO_PATH && w->sized_ns[d->want_full_size] == NEVER_NS)
        w->sized_ns[d->want_full_size] = w->input.now_ns + 1 + below(w, w->input.host.select_timeout_ns);
    if (!d->switch_now || !d->planned) {
        w->planned_to = SELECTOR_NO_PATH;
        if (d->switch_now)
            switch_to(w, d->to, d->reason);
        return;
    }
    if (w->planned_to != d->to) {
        w->planned_to = d->to;
        w->planned_ns = w->input.now_ns + (one_in(w, 4) ? below(w, 4 * NS_PER_S) : below(w, 20 * NS_PER_MS));
    }
    if (w->input.now_ns >= w->planned_ns)
        switch_to(w, d->to, d->reason);
}

static void step(struct world *w)
{
    const struct journal_source source = {
        .owner = w, .path_address = path_address, .access_name = access_name, .access_uuid = access_uuid};

    for (uint32_t i = 0; i < w->input.path_count; i++)
        w->paths[i].health = health_evidence(&w->health[i]);
    selector_decide(&w->selector, &w->input, &w->decision);
    cr_assert_eq(journal_step(w->journal,
                              &(struct journal_step){.source = &source,
                                                     .input = &w->input,
                                                     .selector = &w->selector,
                                                     .decision = &w->decision}),
                 0);
    carry_out(w);
}

static uint64_t next_ns(const struct world *w)
{
    uint64_t at_ns = min_u64(w->change_ns, w->decision.again_ns);

    if (w->planned_to != SELECTOR_NO_PATH)
        at_ns = min_u64(at_ns, w->planned_ns);
    for (uint32_t i = 0; i < w->input.path_count; i++) {
        at_ns = min_u64(at_ns, w->late_ns[i] != NEVER_NS ? w->late_ns[i] : w->judged_ns[i]);
        at_ns = min_u64(at_ns, w->sized_ns[i]);
        if (w->refused_until_ns[i] > w->input.now_ns)
            at_ns = min_u64(at_ns, w->refused_until_ns[i]);
    }
    return max_u64(at_ns, w->input.now_ns);
}

/* --- a history, and its replay --- */

static void play(struct world *w, const char *directory, uint64_t max_bytes, uint64_t seed)
{
    struct journal_file *file;
    struct journal_sink sink;

    build(w, seed);
    cr_assert_eq(journal_file_new(&file, directory), 0);
    sink = journal_file_sink(file);
    cr_assert_eq(journal_new(&w->journal, &sink, max_bytes, BEGIN_NS + 7777, BEGIN_NS), 0);
    w->change_ns = BEGIN_NS + 3 * NS_PER_S;
    for (unsigned i = 0; i < STEPS; i++) {
        uint32_t before = w->input.current;

        gather(w);
        step(w);
        for (unsigned j = 0; j < 4 && w->input.current != before; j++) { /* from where we stand now */
            before = w->input.current;
            step(w);
        }
        w->input.now_ns = max_u64(next_ns(w), w->input.now_ns + 1);
    }
    journal_stop(w->journal, w->input.now_ns);
    w->journal = journal_free(w->journal);
    journal_file_free(file);
}

static void forget_files(const char *directory)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/" JOURNAL_FILE, directory);
    unlink(path);
    snprintf(path, sizeof(path), "%s/" JOURNAL_FILE ".1", directory);
    unlink(path);
}

static void print_moves(const char *what, const struct history *h, const struct tally *tally, long from)
{
    for (size_t i = from > 2 ? (size_t)from - 2 : 0; i < tally->move_count && i < (size_t)from + 3; i++) {
        const struct tally_move *m = &tally->moves[i];

        fprintf(stderr, "  %s %zu: %.9f s, %s -> %s, %s\n", what, i, (double)(m->at_ns - BEGIN_NS) / NS_PER_S,
                m->from == SELECTOR_NO_PATH ? "none" : h->paths[m->from], h->paths[m->to],
                selector_reason_text(m->reason));
    }
}

static long first_difference(const struct tally *a, const struct tally *b)
{
    for (size_t i = 0; i < a->move_count || i < b->move_count; i++)
        if (i >= a->move_count || i >= b->move_count || a->moves[i].at_ns != b->moves[i].at_ns ||
            a->moves[i].to != b->moves[i].to || a->moves[i].reason != b->moves[i].reason)
            return (long)i;
    return -1;
}

/* Replays a directory's journal and compares; the host's switches, or -1 when the replay made others. */
static long compare(const char *directory, uint64_t seed, const struct world *whole)
{
    const struct replay_settings follow = {.follow = true},
                                 same = {.hold_ns = REPLAY_AS_RECORDED, .damping_max_ns = REPLAY_AS_RECORDED};
    CLEANUP(tally_clear) struct tally host = {0};
    CLEANUP(tally_clear) struct tally again = {0};
    CLEANUP(history_free) struct history *history = NULL;
    char path[256], message[256];
    long difference;

    snprintf(path, sizeof(path), "%s/" JOURNAL_FILE, directory);
    cr_assert_eq(history_read(&history, path, message, sizeof(message)), 0, "%s", message);
    cr_assert_eq(replay_run(history, &follow, &host), 0);
    cr_assert_eq(replay_run(history, &same, &again), 0);
    if (whole) {
        cr_assert_eq(host.move_count, whole->move_count, "seed %" PRIu64 ": %zu switches read, %zu were made",
                     seed, host.move_count, whole->move_count);
        for (size_t i = 0; i < whole->move_count; i++)
            cr_assert(host.moves[i].at_ns == whole->moves[i].at_ns + 7777 &&
                          host.moves[i].reason == whole->moves[i].reason,
                      "seed %" PRIu64 ", switch %zu", seed, i);
    }
    difference = first_difference(&host, &again);
    if (difference >= 0) {
        fprintf(stderr, "again: REROUTE_TEST_SEED=%" PRIu64 " REROUTE_TEST_HISTORIES=1\n", seed);
        print_moves("host  ", history, &host, difference);
        print_moves("replay", history, &again, difference);
        return -1;
    }
    return (long)host.move_count;
}

Test(replay, same_settings_same_switches, .timeout = 120)
{
    uint64_t seed = random_test_seed(), count = random_test_histories(100, 30);
    char directory[] = "/tmp/reroute-replay-XXXXXX";
    unsigned long switches = 0, failed = 0;
    static struct world w;

    cr_assert_not_null(mkdtemp(directory));
    for (uint64_t i = 0; i < count; i++) {
        long moves;

        play(&w, directory, JOURNAL_MAX_BYTES, seed + i);
        moves = compare(directory, seed + i, &w);
        failed += moves < 0;
        switches += moves > 0 ? (unsigned long)moves : 0;
        forget_files(directory);
        play(&w, directory, 60000, seed + i); /* only the end is left */
        failed += compare(directory, seed + i, NULL) < 0;
        forget_files(directory);
    }
    rmdir(directory);
    cr_expect_eq(failed, 0, "%lu of %" PRIu64 " histories came out otherwise", failed, 2 * count);
    /* A history in which nothing happens proves nothing. */
    cr_expect_gt(switches, 4 * count, "only %lu switches", switches);
}
