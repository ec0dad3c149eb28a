/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of it is asynchronous: a cluster that does not answer changes nothing but what the status says. The
 * callback notes the answer; the next step takes it in.
 */
#include "route/agent/lists.h"

#include "route/agent/state.h"
#include "route/log.h"

/* Until a first list has come, or when an old one came in a doubt: how soon to ask again. */
#define IMPATIENT_NS (500 * NS_PER_MS)
/* A second list proves more than the first only when its alive_sec have moved on, and they count seconds. */
#define CONFIRM_NS (1100 * NS_PER_MS)
/* A fresh list is overdue after so many polls, but not before so long. */
#define PATIENCE_POLLS  5
#define PATIENCE_MIN_NS (10 * NS_PER_S)
/* How often accesses are dropped that were made up. */
#define WEED_INTERVAL_NS (60 * NS_PER_S)
#define BOOTSTRAP_FIRST  UINT32_C(0x10000) /* endpoints that are no access of the table */

/* --- whom to ask --- */

/* Has the last list been the first one without this access? If it answers, its word is worth most now. */
static bool is_just_missed(const struct agent_table *table, uint32_t access)
{
    return table->accesses[access].view.newly_missing;
}

/*
 * Every access that can be asked, in order:
 *
 *   1. those that the last list was the first to miss: if they answer they know better
 *   2. the others in turn, after the one that answered last: lists prove something only when different accesses
 *      give them
 *   3. the one in use: the others know more of its life than it does itself
 *   4. the one that answered last
 */
static size_t add_accesses(const struct lists *lists, const struct situation *now, bool up,
                           struct session_endpoint *out, size_t room)
{
    const struct agent_table *table = now->table;
    uint32_t count = table->access_count;
    uint32_t in_use = agent_table_access(table, now->current);
    uint32_t last = lists->polls.answered_last < count && lists->polls.answered_last != in_use
                        ? lists->polls.answered_last
                        : SELECTOR_NO_ACCESS;
    size_t used = 0;

    for (uint32_t i = 0; i < 2 * count; i++) { /* two rounds: the just missed, the others */
        uint32_t access = (i + lists->polls.turn) % count;

        if (access != in_use && access != last && is_just_missed(table, access) == (i < count))
            used += agent_table_endpoints(table, access, up, out + used, room - used);
    }
    if (in_use != SELECTOR_NO_ACCESS)
        used += agent_table_endpoints(table, in_use, up, out + used, room - used);
    if (last != SELECTOR_NO_ACCESS)
        used += agent_table_endpoints(table, last, up, out + used, room - used);
    return used;
}

/* Who is not known to be up is asked when nobody is. */
static size_t list_endpoints(const struct lists *lists, const struct situation *now,
                             struct session_endpoint *out, size_t room)
{
    const struct config *config = now->config;
    size_t used = add_accesses(lists, now, true, out, room);

    if (!used)
        used = add_accesses(lists, now, false, out, room);
    for (size_t i = 0; i < config->bootstrap_count && used < room; i++)
        if (agent_table_find(now->table, &config->bootstrap[i]) == SELECTOR_NO_PATH)
            out[used++] = (struct session_endpoint){.access = BOOTSTRAP_FIRST + (uint32_t)i,
                                                    .address = config->bootstrap[i]};
    return used;
}

/* The access that answered. By its address: the table may be another one than when it was asked. */
static uint32_t access_of_origin(const struct agent_table *table, const struct session_endpoint *origin)
{
    return agent_table_access(table, agent_table_find(table, &origin->address));
}

/* The address by which the liveness knows who answered. */
static struct address origin_of(const struct agent_table *table, const struct session_endpoint *origin)
{
    uint32_t index = access_of_origin(table, origin);
    const struct agent_access *access;

    if (index == SELECTOR_NO_ACCESS)
        return origin->address;
    access = &table->accesses[index];
    return address_is_set(&access->data) ? access->data : access->secondary;
}

/* --- accesses that only lists know --- */

bool lists_make_accesses(const struct config *config)
{
    return config->bootstrap_count || !config->access_count;
}

bool lists_usable_addresses(const struct config *config, struct address *data, struct address *secondary)
{
    struct address *both[] = {data, secondary};

    for (size_t i = 0; i < ARRAY_SIZE(both); i++)
        if (both[i]->family != config->service.family || address_equal(both[i], &config->service))
            *both[i] = (struct address){0};
    return address_is_set(data) || address_is_set(secondary);
}

static bool admit_new(struct lists *lists, const struct situation *now)
{
    /* they come after the configured ones */
    uint32_t from_lists = now->table->access_count - (uint32_t)now->config->access_count;
    struct session_view view;
    bool any = false;

    for (size_t i = 0; session_liveness_at(lists->liveness, i, now->now_ns, &view); i++) {
        if (view.expected || !view.listed || view.missing ||
            !lists_usable_addresses(now->config, &view.data, &view.secondary) ||
            agent_table_has(now->table, &view.data, &view.secondary) ||
            !admission_ask(&lists->accesses.admission, from_lists, view.first_ns, now->now_ns))
            continue;
        if (session_liveness_expect(lists->liveness, &view.data, &view.secondary) == 0)
            from_lists++;
        any = true;
    }
    return any;
}

/* Dead by the lists, and never answered: nothing was ever there. */
static bool was_made_up(const struct situation *now, uint32_t access)
{
    const struct agent_table *table = now->table;

    if (table->accesses[access].view.state != SESSION_DEAD)
        return false;
    for (uint32_t i = 0; i < table->path_count; i++)
        if (agent_table_access(table, i) == access &&
            (i == now->current || table->paths[i].health.last_reply_ns))
            return false;
    return true;
}

static void forget_remembered(struct session_list *list, const struct agent_access *access)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++)
        if (!address_equal(&list->items[i].data, &access->data) ||
            !address_equal(&list->items[i].secondary, &access->secondary))
            list->items[kept++] = list->items[i];
    list->count = kept;
}

static bool weed_out(struct lists *lists, const struct situation *now)
{
    bool any = false;

    if (now->now_ns < lists->accesses.weed_ns)
        return false;
    lists->accesses.weed_ns = now->now_ns + WEED_INTERVAL_NS;
    for (uint32_t i = (uint32_t)now->config->access_count; i < now->table->access_count; i++) {
        const struct agent_access *access = &now->table->accesses[i];

        if (!was_made_up(now, i))
            continue;
        session_liveness_expect_no_more(lists->liveness, &access->data, &access->secondary);
        forget_remembered(&lists->accesses.remembered, access);
        any = true;
    }
    return any;
}

/* Lets in whom lists have named and admission.h allows, and drops those that were made up. */
static bool admit(struct lists *lists, const struct situation *now)
{
    bool news;

    if (!lists_make_accesses(now->config))
        return false;
    news = weed_out(lists, now);
    return admit_new(lists, now) || news;
}

static bool is_let_in(const struct lists *lists, const struct situation *now, const struct session *session)
{
    struct session_view view;

    if (agent_table_has(now->table, &session->data, &session->secondary))
        return true;
    session_liveness_view(lists->liveness, &session->data, &session->secondary, now->now_ns, &view);
    return view.expected;
}

/*
 * The last list is kept for its addresses only, and only of accesses that were let in; it is written when
 * those have changed.
 */
static void save_list(struct lists *lists, const struct session_list *list, const struct situation *now,
                      struct disk *disk)
{
    CLEANUP(session_list_clear)
    struct session_list chosen = {.items = calloc(list->count, sizeof(*chosen.items))};
    uint64_t digest = 1; /* 0: none */
    CLEANUP(free) char *body = NULL;

    if (!disk || !chosen.items)
        return;
    for (size_t i = 0; i < list->count; i++) {
        const struct address *both[] = {&list->items[i].data, &list->items[i].secondary};

        if (!is_let_in(lists, now, &list->items[i]))
            continue;
        chosen.items[chosen.count++] = list->items[i];
        for (size_t j = 0; j < ARRAY_SIZE(both); j++)
            digest += siphash24(both[j]->bytes, sizeof(both[j]->bytes), (const uint64_t[2]){j, 0});
    }
    if (digest == lists->accesses.given_digest)
        return;
    if (!lists->accesses.given_digest && digest == lists->accesses.saved_digest) {
        disk_note(disk, KEPT_LIST, 0);
        return;
    }
    body = session_list_print(&chosen);
    disk_replace(disk, KEPT_LIST, body);
    lists->accesses.given_digest = digest;
}

void lists_note_saved(struct lists *lists, const struct disk_report *report)
{
    if (report->waits[KEPT_LIST] || !lists->accesses.given_digest)
        return;
    if (report->error[KEPT_LIST] == 0)
        lists->accesses.saved_digest = lists->accesses.given_digest;
    else
        lists->accesses.given_digest = 0;
}

static void load_remembered(struct lists *lists, const struct config *config)
{
    char message[160];
    size_t size_bytes = 0;
    CLEANUP(free) char *text = NULL;

    if (!lists_make_accesses(config))
        return;
    text = state_load_list(config->state_directory, &size_bytes);
    if (text && session_list_parse(text, size_bytes, &(struct session_fields){0}, &lists->accesses.remembered,
                                   NULL, message, sizeof(message)) < 0)
        log_event(LOG_LEVEL_WARN, "saved-list-unreadable", "error=%s", LOG_QUOTE(message));
}

/* --- what they say --- */

/* Is the death of the access in use to be confirmed? */
static bool current_is_missed(const struct lists *lists, const struct situation *now)
{
    uint32_t index = agent_table_access(now->table, now->current);
    const struct agent_access *access;
    struct session_view view;

    if (index == SELECTOR_NO_ACCESS)
        return false;
    access = &now->table->accesses[index];
    session_liveness_view(lists->liveness, &access->data, &access->secondary, now->now_ns, &view);
    return view.missing && view.state != SESSION_DEAD;
}

/* A list that is no news. */
static void take_stale(struct lists *lists, const struct situation *now, enum session_verdict verdict)
{
    struct list_polls *polls = &lists->polls;
    const char *from = ADDRESS_TEXT(&lists->answer.origin.address);

    /* The one in use knows nothing new of itself: the others may. */
    if (current_is_missed(lists, now) && polls->answered_last == agent_table_access(now->table, now->current))
        lists_poll_soon(lists, now->now_ns + IMPATIENT_NS);
    /* One that is behind is no news, time and again. */
    log_event(verdict == SESSION_LIST_EMPTY && !polls->message[0] ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG,
              "session-list", "from=%s verdict=%s", from, LOG_QUOTE(session_verdict_text(verdict)));
    snprintf(polls->message, sizeof(polls->message), "%s: the list is %s", from,
             session_verdict_text(verdict));
}

static bool take_list(struct lists *lists, const struct situation *now, struct disk *disk)
{
    struct list_answer *answer = &lists->answer;
    struct list_polls *polls = &lists->polls;
    enum session_verdict verdict = SESSION_LIST_EMPTY;
    struct address origin = {0};
    bool admitted;

    if (answer->origin.access != UINT32_MAX)
        origin = origin_of(now->table, &answer->origin);
    else /* a file has no clock: what it says is true while it stands there */
        for (size_t i = 0; i < answer->list.count; i++)
            answer->list.items[i].has_alive_sec = false;
    if (session_liveness_observe(lists->liveness, &answer->list, &origin, answer->unasked > 0, now->now_ns,
                                 &verdict) < 0)
        return false;
    /* So soon after a fresh one nobody's list is news: ask the same one again before it is called behind. */
    if (verdict == SESSION_LIST_STALE &&
        now->now_ns < add_sat_u64(session_liveness_fresh_ns(lists->liveness), CONFIRM_NS))
        return false;
    polls->answered_last = access_of_origin(now->table, &answer->origin);
    polls->turn = polls->answered_last == SELECTOR_NO_ACCESS ? 0 : polls->answered_last + 1;
    if (verdict != SESSION_LIST_FRESH) {
        take_stale(lists, now, verdict);
        return false;
    }
    polls->message[0] = '\0';
    lists->arrived = true;
    admitted = admit(lists, now);
    save_list(lists, &answer->list, now, disk);
    /* One list without it is no death: ask somebody else, as soon as the answer can mean something. */
    if (current_is_missed(lists, now))
        lists_poll_soon(lists, now->now_ns + CONFIRM_NS);
    return admitted;
}

bool lists_take(struct lists *lists, const struct situation *now, struct disk *disk)
{
    struct list_answer *answer = &lists->answer;
    struct list_polls *polls = &lists->polls;
    bool admitted = false;

    if (!answer->came)
        return false;
    answer->came = false;
    if (answer->error < 0) {
        if (!polls->failed)
            log_event(LOG_LEVEL_WARN, "session-list-failed", "error=%s", LOG_QUOTE(answer->message));
        memcpy(polls->message, answer->message, sizeof(polls->message));
        polls->turn++;
        polls->failures++;
    } else {
        if (polls->failed)
            log_event(LOG_LEVEL_INFO, "session-list", "from=%s count=%zu",
                      ADDRESS_TEXT(&answer->origin.address), answer->list.count);
        admitted = take_list(lists, now, disk);
    }
    polls->failed = answer->error < 0;
    session_list_clear(&answer->list);
    return admitted;
}

/* --- asking --- */

static void on_list(void *context, const struct session_answer *answer)
{
    struct lists *lists = context;
    struct list_answer *noted = &lists->answer;

    lists->polls.under_way = false;
    session_list_clear(&noted->list); /* an older one that no step has taken yet */
    *noted = (struct list_answer){
        .came = true, .error = answer->error, .origin = answer->origin, .unasked = answer->unasked};
    snprintf(noted->message, sizeof(noted->message), "%s", answer->message ? answer->message : "");
    if (answer->error == 0 && session_list_copy(&noted->list, answer->list) < 0)
        noted->error = -ENOMEM;
    waker_wake(&lists->waker);
}

void lists_poll_soon(struct lists *lists, uint64_t at_ns)
{
    lists->polls.at_ns = min_u64(lists->polls.at_ns, at_ns);
}

static void poll_list(struct lists *lists, struct session_provider *provider, const struct situation *now)
{
    struct session_endpoint endpoints[128];
    size_t count = list_endpoints(lists, now, endpoints, ARRAY_SIZE(endpoints));
    uint64_t interval_ns = now->config->session.poll_interval_ns;
    int error;

    lists->polls.at_ns = now->now_ns + (lists->arrived ? interval_ns : min_u64(interval_ns, IMPATIENT_NS));
    if (lists->polls.under_way || (situation_has_rest(now) && count == 0))
        return;
    lists->polls.under_way = true;
    error = session_provider_list(provider, endpoints, count, on_list, lists);
    if (error < 0)
        on_list(lists, &(struct session_answer){.error = error, .message = strerror(-error)});
}

/* When lists are old news, or none, for so long, somebody should know: the network evidence is all there is.
 */
static uint64_t patience_ns(const struct config_session *s)
{
    return max_u64(PATIENCE_MIN_NS, PATIENCE_POLLS * s->poll_interval_ns + s->timeout_ns);
}

uint64_t lists_age_ns(const struct lists *lists, const struct situation *now)
{
    uint64_t fresh_ns = session_liveness_fresh_ns(lists->liveness);

    return sub_sat_u64(now->now_ns, fresh_ns == NEVER_NS ? now->started_ns : fresh_ns);
}

/* Perhaps there is no such service: then waiting helps nobody. A file is a person's own: `error` says what is wrong. */
static const char *overdue_hint(const struct lists *lists, const struct situation *now)
{
    return situation_has_rest(now) && session_liveness_fresh_ns(lists->liveness) == NEVER_NS
               ? " hint=\"none ever came: for a cluster without this service say provider = none\""
               : "";
}

static void note_age(struct lists *lists, const struct situation *now)
{
    uint64_t age_ns = lists_age_ns(lists, now);
    bool overdue = situation_has_provider(now) && age_ns >= patience_ns(&now->config->session);

    if (overdue && !lists->overdue)
        log_event(LOG_LEVEL_WARN, "session-lists-overdue", "seconds=%" PRIu64 " error=%s%s",
                  age_ns / NS_PER_S,
                  LOG_QUOTE(lists->polls.message[0] ? lists->polls.message : "nobody can be asked"),
                  overdue_hint(lists, now));
    if (!overdue && lists->overdue && situation_has_provider(now))
        log_event(LOG_LEVEL_INFO, "session-lists-fresh", "accesses=%u", now->table->access_count);
    lists->overdue = overdue;
}

void lists_step(struct lists *lists, struct session_provider *provider, const struct situation *now)
{
    if (situation_has_provider(now) && now->now_ns >= lists->polls.at_ns)
        poll_list(lists, provider, now);
    note_age(lists, now);
}

uint64_t lists_deadline_ns(const struct lists *lists, const struct situation *now)
{
    return situation_has_provider(now) ? lists->polls.at_ns : NEVER_NS;
}

/* --- life --- */

struct session_liveness_settings lists_liveness_settings(const struct config *config)
{
    return (struct session_liveness_settings){
        .hold_ns = config->route.hold_ns,
        .fresh_for_ns = 2 * config->session.poll_interval_ns + config->session.timeout_ns,
    };
}

int lists_open(struct lists *lists, const struct config *config, const struct waker *waker)
{
    struct session_liveness_settings settings = lists_liveness_settings(config);

    *lists = (struct lists){.waker = *waker, .polls = {.answered_last = SELECTOR_NO_ACCESS}};
    load_remembered(lists, config);
    return session_liveness_new(&lists->liveness, &settings);
}

void lists_close(struct lists *lists)
{
    session_liveness_free(lists->liveness);
    session_list_clear(&lists->accesses.remembered);
    session_list_clear(&lists->answer.list);
}

void lists_provider_changed(struct lists *lists)
{
    lists->polls.under_way = false;
    lists->polls.at_ns = 0;
    lists->polls.failed = false;
    lists->polls.message[0] = '\0';
    lists->answer.came = false;
}
