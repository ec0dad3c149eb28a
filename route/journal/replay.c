/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay.
 *
 * The history's evidence is handed to the selector, which decides: whenever the host
 * had decided with news, and besides when the selector itself asked for it (again_ns), for with other
 * settings its time comes at other moments than the host's. Between two lines nothing has changed that is
 * recorded, so a path that answers is taken to go on answering.
 *
 * What the history cannot know, because it was not asked there:
 *   - A switch that the host was about to make too is made when the host made it (the cluster had to be told
 *     first, the kernel refused, ...); any other one at once.
 *   - A full-size probe that the host did not send is taken to have passed, one select-timeout later.
 *   - A path that was not in use was probed less often, so its failures were seen later than they would have
 *     been on the path in use.
 *   - Loss is over the host's own hold.
 *   - Stability of a session follows from its birth; a session that became stable before a silence stays so.
 *
 * With the host's own settings the decisions are the host's, at the same times (see
 * tests/route/test_replay.c).
 */
#include "route/journal/replay.h"

#define ROUNDS    8         /* moves of one moment: an error of ours must end */
#define STEP_NS   NS_PER_MS /* from one decision that nothing led to to the next, at least, for the same reason */
#define PROOFS    16 /* waits for the next replies without news: who has not answered by then does not */
#define LOOKS_MAX UINT64_C(300000000) /* at paths and accesses, in all decisions */

struct player {
    const struct history *history;
    const struct replay_settings *settings;
    struct tally *tally;
    /* evidence as it was recorded last */
    struct path_evidence *paths;
    struct access_evidence *accesses;
    struct journal_host host;
    bool *serves, *well;
    bool *assumed_full_size; /* a full-size probe that nobody sent has passed */
    bool *was_stable;        /* per access, before silence */
    /* the selector's: what it is told for this decision, what it remembers and answers */
    struct path_evidence *told_paths;
    struct access_evidence *told_accesses;
    struct selector selector;
    struct selector_decision decision;
    uint32_t current;
    bool begun, running;
    uint64_t now_ns;
    uint64_t again_ns;
    uint64_t looks;
    unsigned proofs; /* waited for since the last event */
    /* the host's */
    uint32_t host_current;
    struct history_decision host_decision;
    bool pending;   /* our decision is the host's: made when the host makes it */
    uint32_t asked; /* path with a full-size probe under way; SELECTOR_NO_PATH */
    uint64_t asked_at_ns;
};

static int player_open(struct player *p)
{
    size_t paths = (size_t)p->history->path_count + 1, accesses = (size_t)p->history->access_count + 1;

    p->paths = calloc(paths, sizeof(*p->paths));
    p->accesses = calloc(accesses, sizeof(*p->accesses));
    p->serves = calloc(paths, sizeof(*p->serves));
    p->well = calloc(paths, sizeof(*p->well));
    p->assumed_full_size = calloc(paths, sizeof(*p->assumed_full_size));
    p->was_stable = calloc(accesses, sizeof(*p->was_stable));
    p->told_paths = calloc(paths, sizeof(*p->told_paths));
    p->told_accesses = calloc(accesses, sizeof(*p->told_accesses));
    p->selector.paths = calloc(paths, sizeof(*p->selector.paths));
    p->selector.accesses = calloc(accesses, sizeof(*p->selector.accesses));
    if (!p->paths || !p->accesses || !p->serves || !p->well || !p->assumed_full_size || !p->was_stable ||
        !p->told_paths || !p->told_accesses || !p->selector.paths || !p->selector.accesses)
        return -ENOMEM;
    for (uint32_t i = 0; i < p->history->path_count; i++)
        p->paths[i] = (struct path_evidence){.access = SELECTOR_NO_ACCESS, .tier = TIER_FOREIGN};
    p->current = p->host_current = p->asked = SELECTOR_NO_PATH;
    p->again_ns = NEVER_NS;
    return 0;
}

static void player_close(struct player *p)
{
    free(p->paths);
    free(p->accesses);
    free(p->serves);
    free(p->well);
    free(p->assumed_full_size);
    free(p->was_stable);
    free(p->told_paths);
    free(p->told_accesses);
    free(p->selector.paths);
    free(p->selector.accesses);
}

static struct selector_input input_of(const struct player *p)
{
    struct selector_input input = {
        .now_ns = p->now_ns,
        .paths = p->told_paths,
        .path_count = p->history->path_count,
        .accesses = p->told_accesses,
        .access_count = p->history->access_count,
        .current = p->current,
        .host = p->host.evidence,
    };

    if (p->settings->hold_ns != REPLAY_AS_RECORDED)
        input.host.hold_ns = p->settings->hold_ns;
    if (p->settings->damping_max_ns != REPLAY_AS_RECORDED)
        input.host.damping_max_ns = p->settings->damping_max_ns;
    if (p->settings->without_sessions)
        input.host.sessions_waived = input.host.list_arrived = true;
    /* Where the host was not its connections went another way. */
    if (p->settings->without_witness || p->current != p->host_current) {
        input.host.contradicted_ns = 0;
        input.host.stalled = false;
        input.host.held_up = false;
    }
    return input;
}

static void count(struct player *p)
{
    const struct selector_input input = {
        .paths = p->paths, .accesses = p->accesses, .access_count = p->history->access_count};
    bool serves = p->current != SELECTOR_NO_PATH && p->serves[p->current];

    tally_state(p->tally, p->now_ns, p->running, tally_is_away(&input, p->current), serves);
}

/* --- evidence for this decision --- */

/* What the session is with our hold: the host's verdict was with its own. */
static void judge_session(struct player *p, uint32_t index, const struct selector_input *input)
{
    struct access_evidence *a = &p->told_accesses[index];
    bool alive = a->session == SESSION_ALIVE || a->session == SESSION_STABLE;

    if (p->settings->without_sessions) {
        a->session = SESSION_UNKNOWN;
        a->unlisted = false;
        a->restarts = 0;
    } else if (alive && input->host.hold_ns != p->host.evidence.hold_ns) {
        if (a->stable_at_ns != NEVER_NS) {
            a->stable_at_ns =
                add_sat_u64(sub_sat_u64(a->stable_at_ns, p->host.evidence.hold_ns), input->host.hold_ns);
            p->was_stable[index] = p->now_ns >= a->stable_at_ns;
        }
        a->session = p->was_stable[index] ? SESSION_STABLE : SESSION_ALIVE;
    } else if (alive && a->stable_at_ns != NEVER_NS && p->now_ns >= a->stable_at_ns) {
        a->session = SESSION_STABLE;
    } else if (!alive) {
        p->was_stable[index] = false;
    }
}

/*
 * recorded: a line of this very moment gave the evidence, so what it says of replies is not yet old. Nor is
 * it while the host waits for a reply as we do: it would have said so. The same holds for full-size probes.
 */
static void tell(struct player *p, const struct selector_input *input, bool recorded)
{
    bool together = p->current == p->host_current;

    recorded = recorded || (p->host_decision.wait_proof && together);
    if (together) {
        p->selector.doubt_since_ns = p->host.doubt_since_ns;
        if (p->host.asked_since_ns) /* older journals do not tell it */
            p->selector.asked_since_ns = p->host.asked_since_ns;
        p->selector.doubted = p->host_current;
    }
    for (uint32_t i = 0; i < p->history->path_count; i++) {
        struct path_evidence e = p->paths[i];

        if (!recorded && evidence_answers(&e)) {
            e.health.last_reply_ns = e.health.proven_ns = EVIDENCE_NOW;
            e.health.losing = false;
        }
        if (p->assumed_full_size[i] && !(p->host_decision.wait_full_size && together))
            e.full_size = FULL_SIZE_PASSED;
        p->told_paths[i] = evidence_at(e, p->now_ns);
    }
    for (uint32_t i = 0; i < p->history->access_count; i++) {
        p->told_accesses[i] = p->accesses[i];
        judge_session(p, i, input);
    }
}

/* --- deciding --- */

static int move(struct player *p, uint32_t to, enum selector_reason reason)
{
    uint32_t from = p->current;
    bool well = from != SELECTOR_NO_PATH && p->well[from];

    if (to == from)
        return 0;
    p->current = to;
    p->pending = false;
    count(p);
    return tally_move(p->tally, p->now_ns, from, to, reason, well);
}

static void plan(struct player *p)
{
    const struct selector_decision *d = &p->decision;

    p->again_ns = d->again_ns;
    /* Nobody is proven: the next replies would prove it. */
    if (d->reason == KEEP_WAIT_PROOF && p->proofs++ < PROOFS)
        p->again_ns = min_u64(p->again_ns, add_sat_u64(p->now_ns, p->host.evidence.select_timeout_ns));
    if (d->want_full_size != SELECTOR_NO_PATH && p->asked != d->want_full_size) {
        p->asked = d->want_full_size;
        p->asked_at_ns = add_sat_u64(p->now_ns, p->host.evidence.select_timeout_ns + REPLAY_SLACK_NS);
    }
    if (p->asked != SELECTOR_NO_PATH)
        p->again_ns = min_u64(p->again_ns, p->asked_at_ns);
    p->again_ns = max_u64(p->again_ns, p->now_ns + STEP_NS);
}

static int decide(struct player *p, bool recorded)
{
    int error = 0;

    if (!p->running || p->settings->follow)
        return 0;
    if (p->asked != SELECTOR_NO_PATH && p->now_ns >= p->asked_at_ns) {
        p->assumed_full_size[p->asked] = p->paths[p->asked].full_size == FULL_SIZE_UNTESTED;
        p->asked = SELECTOR_NO_PATH;
    }
    for (unsigned i = 0; i < ROUNDS && !error; i++) {
        struct selector_input input = input_of(p);
        const struct selector_decision *d = &p->decision;

        p->looks += p->history->path_count + p->history->access_count + 1;
        if (p->looks > LOOKS_MAX)
            return -E2BIG;
        tell(p, &input, recorded);
        selector_decide(&p->selector, &input, &p->decision);
        p->pending = d->switch_now && p->host_decision.switch_now && d->to == p->host_decision.to &&
                     p->current == p->host_current;
        if (!d->switch_now || p->pending)
            break;
        error = move(p, d->to, d->reason);
    }
    plan(p);
    return error;
}

/* --- events --- */

static void take_path(struct player *p, const struct history_event *event)
{
    const struct path_evidence *e = &event->path;
    uint32_t i = event->index;
    bool up = e->health.state == HEALTH_UP;

    if (e->full_size != p->paths[i].full_size || !up)
        p->assumed_full_size[i] = false;
    if (p->asked == i && (e->full_size != FULL_SIZE_UNTESTED || !up))
        p->asked = SELECTOR_NO_PATH;
    p->paths[i] = *e;
}

/* The selector's memory, where the journal begins in the middle of things. */
static void take_memory(struct player *p)
{
    const struct history *h = p->history;

    for (uint32_t i = 0; i < h->memory_path_count; i++)
        p->selector.paths[i] = h->memory.paths[i];
    for (uint32_t i = 0; i < h->memory_access_count; i++)
        p->selector.accesses[i] = h->memory.accesses[i];
}

static void forget(struct player *p)
{
    const struct history *h = p->history;

    memset(p->selector.paths, 0, h->path_count * sizeof(*p->selector.paths));
    memset(p->selector.accesses, 0, h->access_count * sizeof(*p->selector.accesses));
    memset(p->assumed_full_size, 0, h->path_count * sizeof(*p->assumed_full_size));
    p->selector.doubt_since_ns = p->selector.asked_since_ns = 0;
    p->selector.doubted = 0;
}

/*
 * A snapshot: of the path in use we know better, unless this is the beginning, or the host had lost its
 * route.
 */
static void take_current(struct player *p, const struct history_event *event)
{
    bool start = event->current.start;

    if (start)
        forget(p);
    else if (!p->begun)
        take_memory(p);
    p->host_current = event->index;
    if (!p->begun || p->settings->follow || p->current == SELECTOR_NO_PATH ||
        (start && event->index == SELECTOR_NO_PATH))
        p->current = event->index;
    p->begun = p->running = true;
    p->pending = false;
    p->host_decision = (struct history_decision){0};
    p->asked = SELECTOR_NO_PATH;
    count(p);
}

/* The host decided once more right before it moved: until then it remembers the path that it left as in use. */
static void remember_use(struct player *p)
{
    const struct selector_input input = input_of(p);
    struct selector_decision unused;

    tell(p, &input, false);
    selector_decide(&p->selector, &input, &unused);
}

static int take_switch(struct player *p, const struct history_event *event)
{
    int error = 0;

    if (!event->moved.done)
        return 0;
    p->host_current = event->index;
    p->host_decision = (struct history_decision){0};
    if (p->settings->follow) {
        error = move(p, event->index, event->moved.reason);
    } else if (p->pending && p->decision.to == event->index) {
        remember_use(p);
        error = move(p, event->index, p->decision.reason);
        p->again_ns = p->now_ns; /* the host decides again too */
    }
    return error;
}

static int take_event(struct player *p, const struct history_event *event)
{
    switch (event->kind) {
    case HISTORY_PATH:
        take_path(p, event);
        break;
    case HISTORY_ACCESS:
        p->accesses[event->index] = event->access;
        break;
    case HISTORY_HOST:
        p->host = event->host;
        break;
    case HISTORY_CURRENT:
        take_current(p, event);
        break;
    case HISTORY_DECIDE:
        p->host_decision = event->decide;
        count(p);
        return decide(p, true);
    case HISTORY_SWITCH:
        return take_switch(p, event);
    case HISTORY_ADOPT:
        p->host_current = event->index;
        if (p->settings->follow || p->current == SELECTOR_NO_PATH)
            p->current = event->index;
        count(p);
        break;
    case HISTORY_STOP:
        p->running = false;
        count(p);
        break;
    case HISTORY_SERVES:
        if (p->well[event->index] && !event->serves.well)
            tally_failed(p->tally, p->now_ns, event->index);
        p->serves[event->index] = event->serves.serves;
        p->well[event->index] = event->serves.well;
        count(p);
        break;
    case HISTORY_ALIVE:
        break;
    }
    return 0;
}

int replay_run(const struct history *history, const struct replay_settings *settings, struct tally *tally)
{
    struct player p = {.history = history, .settings = settings, .tally = tally};
    uint64_t begin_ns = history->event_count ? history->events[0].at_ns : 0;
    int error = player_open(&p);

    if (!error)
        error = tally_begin(tally, begin_ns, history->path_count);
    for (size_t i = 0; !error && i < history->event_count;) {
        const struct history_event *event = &history->events[i];

        if (p.running && !settings->follow && add_sat_u64(p.again_ns, REPLAY_SLACK_NS) < event->at_ns) {
            p.now_ns = max_u64(p.now_ns, p.again_ns);
            error = decide(&p, false);
            continue;
        }
        p.now_ns = event->at_ns;
        p.proofs = 0;
        error = take_event(&p, event);
        i++;
    }
    tally_end(tally, p.now_ns);
    player_close(&p);
    return error;
}

const char *replay_error_text(int error)
{
    return error == -E2BIG
               ? "its evidence asks for more decisions than a journal can hold, expected an agent's"
               : strerror(-error);
}

long replay_first_difference(const struct tally *a, const struct tally *b)
{
    size_t common = a->move_count < b->move_count ? a->move_count : b->move_count;

    for (size_t i = 0; i < common; i++) {
        const struct tally_move *x = &a->moves[i], *y = &b->moves[i];
        uint64_t apart_ns = x->at_ns > y->at_ns ? x->at_ns - y->at_ns : y->at_ns - x->at_ns;

        if (x->to != y->to || x->reason != y->reason || apart_ns > REPLAY_SLACK_NS)
            return (long)i;
    }
    return a->move_count == b->move_count ? -1 : (long)common;
}
