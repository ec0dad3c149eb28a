/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The world of `bench hold`: a host, its own access, two others in its zone, and the agent's decisions, in
 * virtual time from event to event.
 *
 * Health and selector are the real ones, with the default settings: 100 ms x 10, rise 3, the path in use every
 * 50 ms, candidates every second, and while in doubt all of them every 50 ms.
 *
 * What is simulated:
 *   - A path: probe by probe while something happens to it, and for as long afterwards as its loss is
 *     remembered. Otherwise it sleeps, and is taken to have answered whenever it is asked.
 *   - A session: by when the agent would have heard of it (history.c).
 *   - A full-size probe: it fares as any other probe.
 *   - A planned switch: it takes no time.
 *   - The other two accesses: they are always well.
 *
 * A decision is made when evidence changes in a way that the selector can tell, and when the selector asked
 * for it. At all other moments it would be the same again.
 */
#include "bench/hold/world.h"

#include "probe/random.h"
#include "route/decide/selector.h"

#define PATHS        3 /* one of each access; the first is the host's own */
#define SELECT_NS    (100 * NS_PER_MS)
#define SELECT_COUNT 10
#define PACE_NS      (SELECT_NS / 2) /* of the path in use, and in doubt of all */
/* As a configuration has it that does not say. */
#define STAY_NS         (10 * NS_PER_S)
#define CANDIDATE_NS    (1 * NS_PER_S)
#define BEGIN_NS        (100000 * NS_PER_S) /* everything has been well since 1 ns */
#define RTT_NS          (200 * NS_PER_US)
#define RESTARTS_NS     (300 * NS_PER_S)
#define FULL_SIZE_AGAIN (10 * NS_PER_S)
/* The truth: a path that loses more than the first is not well, with the second it does not serve. */
#define WELL_PPM       10000
#define NO_SERVICE_PPM 300000

struct world {
    uint64_t now_ns, random;
    struct health_settings health_settings;
    struct access_memory access_memory[PATHS];
    struct path_memory path_memory[PATHS];
    struct selector selector;
    struct access_evidence accesses[PATHS];
    struct path_evidence paths[PATHS];
    struct selector_input input;
    struct selector_decision decision;
    struct health health[PATHS];
    struct tally *tally;
    struct hold_effort *effort;
    /* the truth about home */
    bool answers, service, serves, well;
    uint32_t loss_ppm;
    uint64_t lost_ns; /* when it last lost something */
    /* its probing */
    uint64_t wake_ns, until_ns;
    uint64_t sent_ns; /* the last one */
    uint64_t send_ns; /* the next one; NEVER_NS: it sleeps */
    uint64_t
        lost_sent_ns[SELECT_NS / PACE_NS]; /* of those that get no answer and still wait, in their order */
    unsigned waiting;
    uint64_t births_ns[8];
    unsigned birth;
    uint64_t size_again_ns;
    bool news; /* evidence has changed */
};

static bool loses(const struct world *w)
{
    return w->input.current != 0 &&
           selector_loses(health_loss_ppm(&w->health[0]), health_loss_ppm(&w->health[w->input.current]));
}

/* --- probing --- */

static uint64_t interval_ns(const struct world *w)
{
    return w->input.current == 0 || w->decision.doubt ? PACE_NS : CANDIDATE_NS;
}

static bool gets_through(struct world *w)
{
    return w->answers && (!w->loss_ppm || random_next(&w->random) % 1000000 >= w->loss_ppm);
}

static void observe(struct world *w, uint32_t path, enum probe_outcome outcome, uint64_t sent_ns)
{
    struct health *h = &w->health[path];
    const struct health_evidence before = health_evidence(h);
    struct health_evidence now;
    bool lossy = false;

    if (path == 0)
        lossy = loses(w);
    health_observe(h, &w->health_settings,
                   &(struct probe_observation){
                       .outcome = outcome, .sent_ns = sent_ns, .at_ns = w->now_ns, .rtt_ns = RTT_NS});
    if (path != 0)
        return;
    w->effort->probes++;
    now = health_evidence(h);
    w->news = w->news || before.state != now.state || before.degraded != now.degraded ||
              before.missing != now.missing || before.losing != now.losing || lossy != loses(w) ||
              w->decision.reason == KEEP_WAIT_PROOF;
}

/* Nothing happens to it and nothing is remembered of what did. */
static bool may_sleep(const struct world *w)
{
    const struct health *h = &w->health[0];

    if (w->now_ns < w->until_ns)
        return w->wake_ns != NEVER_NS; /* not yet woken */
    return h->state == HEALTH_UP && !h->misses && !h->degraded && w->answers && !w->loss_ppm &&
           health_loss_ppm(h) == 0 && w->now_ns >= w->lost_ns + 2 * w->health_settings.degraded_over_ns;
}

static void send_probe(struct world *w)
{
    w->sent_ns = w->now_ns;
    w->send_ns = w->sent_ns + interval_ns(w);
    if (gets_through(w)) {
        observe(w, 0, PROBE_REPLY, w->now_ns);
        if (may_sleep(w))
            w->send_ns = NEVER_NS;
    } else {
        w->lost_ns = w->now_ns;
        w->lost_sent_ns[w->waiting++] = w->now_ns;
    }
}

static uint64_t judged_ns(const struct world *w)
{
    return w->waiting ? w->lost_sent_ns[0] + SELECT_NS : NEVER_NS;
}

static void judge_probe(struct world *w)
{
    uint64_t sent_ns = w->lost_sent_ns[0];

    w->waiting--;
    memmove(w->lost_sent_ns, w->lost_sent_ns + 1, w->waiting * sizeof(w->lost_sent_ns[0]));
    observe(w, 0, PROBE_TIMEOUT, sent_ns);
}

/* The interval may have changed with the decision. */
static void probe_on(struct world *w)
{
    if (w->send_ns != NEVER_NS)
        w->send_ns = max_u64(min_u64(w->send_ns, w->sent_ns + interval_ns(w)), w->now_ns);
}

static void wake(struct world *w)
{
    w->wake_ns = NEVER_NS;
    if (w->send_ns == NEVER_NS)
        w->send_ns = w->now_ns + random_next(&w->random) % interval_ns(w);
}

/* --- evidence and truth --- */

static unsigned restarts(const struct world *w)
{
    unsigned count = 0;

    for (size_t i = 0; i < ARRAY_SIZE(w->births_ns); i++)
        count += w->births_ns[i] && w->now_ns - w->births_ns[i] <= RESTARTS_NS;
    return count;
}

static void take_evidence(struct world *w)
{
    struct access_evidence *home = &w->accesses[0];

    for (uint32_t i = 0; i < PATHS; i++)
        if (i > 0 || w->send_ns == NEVER_NS)
            observe(w, i, PROBE_REPLY, w->now_ns);
    for (uint32_t i = 0; i < PATHS; i++)
        w->paths[i].health = health_evidence(&w->health[i]);
    if (home->session == SESSION_ALIVE && w->now_ns >= home->stable_at_ns)
        home->session = SESSION_STABLE;
    home->restarts = restarts(w);
    if (w->health[0].state != HEALTH_UP || w->now_ns >= w->size_again_ns) {
        w->paths[0].full_size = FULL_SIZE_UNTESTED;
        w->size_again_ns = NEVER_NS;
    }
}

static void note_truth(struct world *w)
{
    bool well = w->answers && w->service && w->loss_ppm <= WELL_PPM;

    if (w->well && !well)
        tally_failed(w->tally, w->now_ns, 0);
    w->well = well;
    w->serves = w->answers && w->service && w->loss_ppm < NO_SERVICE_PPM;
    tally_state(w->tally, w->now_ns, true, w->input.current != 0, w->input.current != 0 || w->serves);
}

static void take_change(struct world *w, const struct hold_change *change)
{
    struct access_evidence *home = &w->accesses[0];

    w->news = true;
    switch (change->what) {
    case HOLD_PING:
        w->answers = change->value;
        break;
    case HOLD_SERVICE:
        w->service = change->value;
        break;
    case HOLD_LOSS:
        w->loss_ppm = (uint32_t)change->value;
        break;
    case HOLD_SESSION_DEAD:
        home->session = SESSION_DEAD;
        home->stable_at_ns = NEVER_NS;
        break;
    case HOLD_SESSION_BORN:
        home->session = SESSION_ALIVE;
        home->stable_at_ns = BEGIN_NS + change->value + w->input.host.hold_ns;
        w->births_ns[w->birth++ % ARRAY_SIZE(w->births_ns)] = BEGIN_NS + change->value;
        break;
    }
    note_truth(w);
}

/* --- deciding --- */

static void test_size(struct world *w)
{
    bool passed = gets_through(w);

    w->paths[0].full_size = passed ? FULL_SIZE_PASSED : FULL_SIZE_LOST;
    if (!passed)
        w->size_again_ns = w->now_ns + FULL_SIZE_AGAIN;
    w->news = true;
}

static int decide(struct world *w)
{
    const struct selector_decision *d = &w->decision;
    uint32_t from = w->input.current;
    int error;

    w->news = false;
    take_evidence(w);
    w->input.now_ns = w->now_ns;
    selector_decide(&w->selector, &w->input, &w->decision);
    w->effort->decisions++;
    if (d->want_full_size == 0)
        test_size(w);
    if (!d->switch_now)
        return 0;
    error = tally_move(w->tally, w->now_ns, from, d->to, d->reason, from != 0 || w->well);
    w->input.current = d->to;
    w->news = true;
    note_truth(w);
    return error;
}

static uint64_t next_ns(const struct world *w, uint64_t change_ns)
{
    const struct access_evidence *home = &w->accesses[0];
    uint64_t at_ns = min_u64(change_ns, min_u64(w->wake_ns, min_u64(w->send_ns, judged_ns(w))));

    at_ns = min_u64(at_ns, min_u64(w->decision.again_ns, w->size_again_ns));
    if (home->session == SESSION_ALIVE)
        at_ns = min_u64(at_ns, home->stable_at_ns);
    for (size_t i = 0; home->restarts && i < ARRAY_SIZE(w->births_ns); i++)
        if (w->births_ns[i] && w->births_ns[i] + RESTARTS_NS >= w->now_ns)
            at_ns = min_u64(at_ns, w->births_ns[i] + RESTARTS_NS + 1);
    return max_u64(at_ns, w->now_ns);
}

static void build(struct world *w, const struct hold_history *history, const struct hold_settings *settings)
{
    uint64_t hold_ns = settings->hold_ns;

    w->now_ns = BEGIN_NS;
    w->answers = w->service = w->well = true;
    w->health_settings = (struct health_settings){
        .select_timeout_ns = SELECT_NS,
        .select_count = SELECT_COUNT,
        .rise = 3,
        .degraded_percent = 30,
        .degraded_over_ns = 10 * NS_PER_S,
        .hold_ns = hold_ns,
    };
    w->wake_ns = BEGIN_NS + sub_sat_u64(history->from_ns, hold_ns + 60 * NS_PER_S);
    w->until_ns = BEGIN_NS + history->until_ns;
    w->send_ns = w->size_again_ns = NEVER_NS;
    for (uint32_t i = 0; i < PATHS; i++) {
        w->accesses[i] = (struct access_evidence){
            .locality = i == 0 ? LOCALITY_LOCAL : LOCALITY_SAME_ZONE, .session = SESSION_STABLE, .weight = i};
        w->paths[i] = (struct path_evidence){
            .access = i, .tier = TIER_DATA, .on_link = true, .link_usable = true, .service_good = true};
        health_restore(&w->health[i], 1);
        for (unsigned j = 0; j < w->health_settings.rise; j++)
            observe(w, i, PROBE_REPLY, w->now_ns);
    }
    w->selector = (struct selector){.paths = w->path_memory, .accesses = w->access_memory};
    w->input = (struct selector_input){
        .paths = w->paths,
        .path_count = PATHS,
        .accesses = w->accesses,
        .access_count = PATHS,
        .current = 0,
        .host.window_ns = SELECT_NS * SELECT_COUNT,
        .host.select_timeout_ns = SELECT_NS,
        .host.hold_ns = hold_ns,
        .host.stay_ns = min_u64(STAY_NS, hold_ns),
        .host.damping_max_ns = settings->damping_max_ns,
        .host.list_arrived = true,
    };
    w->news = true;
}

int hold_world_run(const struct hold_history *history, const struct hold_settings *settings, uint64_t seed,
                   struct tally *tally, struct hold_effort *effort)
{
    struct world w = {.random = seed, .tally = tally, .effort = effort};
    uint64_t end_ns = BEGIN_NS + history->length_ns;
    size_t change = 0;
    int error;

    build(&w, history, settings);
    error = tally_begin(tally, BEGIN_NS, PATHS);
    note_truth(&w);
    while (!error && w.now_ns < end_ns) {
        uint64_t change_ns = change < history->count ? BEGIN_NS + history->changes[change].at_ns : end_ns;
        bool due = w.now_ns >= w.decision.again_ns || w.now_ns >= w.size_again_ns;

        if (w.now_ns >= change_ns && change < history->count)
            take_change(&w, &history->changes[change++]);
        else if (w.now_ns >= w.wake_ns)
            wake(&w);
        else if (w.now_ns >= judged_ns(&w))
            judge_probe(&w);
        else if (w.now_ns >= w.send_ns)
            send_probe(&w);
        else
            due = true;
        if (due || w.news) {
            error = decide(&w);
            probe_on(&w);
        }
        if (!w.news)
            w.now_ns = min_u64(next_ns(&w, change_ns), end_ns);
    }
    tally_end(tally, end_ns);
    return error;
}
