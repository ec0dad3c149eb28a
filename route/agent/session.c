/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's dealings with the cluster: lists, refreshes, heartbeats. All of it is asynchronous; nothing
 * here holds up the probing, and a cluster that does not answer changes nothing but what the status says.
 */
#include <cjson/cJSON.h>

#include "probe/text.h"
#include "route/agent/private.h"

/* Until a first list has come, or when an old one came in a doubt: how soon to ask again. */
#define IMPATIENT_NS (500 * NS_PER_MS)
/* A second list proves more than the first only when its alive_sec have moved on, and they count seconds. */
#define CONFIRM_NS (1100 * NS_PER_MS)
/* A fresh list is overdue after so many polls, but not before so long. */
#define PATIENCE_POLLS  5
#define PATIENCE_MIN_NS (10 * NS_PER_S)
#define BACKOFF_MIN_NS  (500 * NS_PER_MS)
#define BACKOFF_MAX_NS  (10 * NS_PER_S)
#define BOOTSTRAP_FIRST UINT32_C(0x10000) /* endpoints that are no access of the table */

bool agent_has_provider(const struct agent *agent)
{
    return strcmp(agent->config->session.provider, "none") != 0;
}

static bool is_rest(const struct agent *agent)
{
    return strcmp(agent->config->session.provider, "rest") == 0;
}

/* --- whom to ask --- */

/* Appends the ways to one access: those that are up, or, with `hope`, those not known to be up. */
static size_t add_ways(const struct agent *agent, uint32_t access, bool hope, struct session_endpoint *out,
                       size_t room)
{
    size_t count = 0;

    for (uint32_t i = 0; i < agent->table.path_count && count < room; i++) {
        const struct agent_path *path = &agent->table.paths[i];
        bool up = path->health.state == HEALTH_UP;

        if (agent->table.selector_paths[i].access == access && !path->egress_error && up != hope)
            out[count++] = (struct session_endpoint){.access = access, .address = path->address};
    }
    return count;
}

/* Has the last list been the first one without this access? If it answers, its word is worth most now. */
static bool is_just_missed(const struct agent *agent, uint32_t access)
{
    return agent->table.accesses[access].view.newly_missing;
}

/*
 * Every access that can be asked, in order: in turns, beginning after the one that answered last, for lists
 * prove something only when different accesses give them. Those that the last list has just lost come first:
 * if they answer they know better. An access' own answer does not prove its own life: so whoever answered
 * last comes last, and the one in use before it, for the others know more of it than it does itself.
 */
static size_t list_endpoints(const struct agent *agent, struct session_endpoint *out, size_t room)
{
    uint32_t count = agent->table.access_count, in_use = SELECTOR_NO_ACCESS, late[2];
    size_t used = 0;

    if (agent->current != SELECTOR_NO_PATH)
        in_use = agent->table.selector_paths[agent->current].access;
    late[0] = in_use;
    late[1] = agent->answered_last;
    if (late[1] == late[0] || late[1] >= count)
        late[1] = SELECTOR_NO_ACCESS;
    for (int hope = 0; hope <= 1; hope++) {
        for (uint32_t i = 0; i < 2 * count; i++) { /* two rounds: the just missed, the others */
            uint32_t access = (i + agent->poll_turn) % count;

            if (access != late[0] && access != late[1] && is_just_missed(agent, access) == (i < count))
                used += add_ways(agent, access, hope, out + used, room - used);
        }
        for (size_t i = 0; i < ARRAY_SIZE(late); i++)
            if (late[i] != SELECTOR_NO_ACCESS)
                used += add_ways(agent, late[i], hope, out + used, room - used);
        if (used) /* hope is for when nothing is up */
            break;
    }
    for (size_t i = 0; i < agent->config->bootstrap_count && used < room; i++)
        if (agent_table_find(&agent->table, &agent->config->bootstrap[i]) == SELECTOR_NO_PATH)
            out[used++] = (struct session_endpoint){.access = BOOTSTRAP_FIRST + (uint32_t)i,
                                                    .address = agent->config->bootstrap[i]};
    return used;
}

/* The access that answered. By its address: the table may be another one than when it was asked. */
static uint32_t access_of_origin(const struct agent *agent, const struct session_endpoint *origin)
{
    uint32_t path = agent_table_find(&agent->table, &origin->address);

    return path == SELECTOR_NO_PATH ? SELECTOR_NO_ACCESS : agent->table.selector_paths[path].access;
}

/* The address by which the liveness knows who answered. */
static struct address origin_of(const struct agent *agent, const struct session_endpoint *origin)
{
    uint32_t index = access_of_origin(agent, origin);
    const struct agent_access *access;

    if (index == SELECTOR_NO_ACCESS)
        return origin->address;
    access = &agent->table.accesses[index];
    return address_is_set(&access->data) ? access->data : access->secondary;
}

/* --- lists --- */

static bool is_in_use(const struct agent *agent, const struct session *session)
{
    return agent_table_find(&agent->table, &session->data) != SELECTOR_NO_PATH ||
           agent_table_find(&agent->table, &session->secondary) != SELECTOR_NO_PATH;
}

/*
 * The last list is kept for its addresses only, and only of accesses that were let in; it is written when
 * those have changed.
 */
static void save_list(struct agent *agent, const struct session_list *list)
{
    CLEANUP(session_list_clear)
    struct session_list kept = {.items = calloc(list->count, sizeof(*kept.items))};
    uint64_t digest = 0;
    CLEANUP(free) char *body = NULL;
    int error;

    if (agent->options->dry_run || !kept.items)
        return;
    for (size_t i = 0; i < list->count; i++) {
        const struct address *both[] = {&list->items[i].data, &list->items[i].secondary};

        if (!is_in_use(agent, &list->items[i]))
            continue;
        kept.items[kept.count++] = list->items[i];
        for (size_t j = 0; j < ARRAY_SIZE(both); j++)
            digest += siphash24(both[j]->bytes, sizeof(both[j]->bytes), (const uint64_t[2]){j, 0});
    }
    if (digest == agent->saved_list_digest)
        return;
    body = session_list_print(&kept);
    error = body ? state_save_list(agent->config->state_directory, body) : -ENOMEM;
    agent_note_kept(agent, KEPT_LIST, error);
    if (!error)
        agent->saved_list_digest = digest;
}

static void take_new_sessions(struct agent *agent)
{
    struct agent_table table;

    if (!agent_table_admit(agent))
        return;
    if (agent_table_build(agent, agent->config, &table) == 0) {
        agent_table_install(agent, &table);
        log_event(LOG_LEVEL_INFO, "accesses", "count=%u", agent->table.access_count);
    }
}

static uint32_t access_in_use(const struct agent *agent)
{
    return agent->current == SELECTOR_NO_PATH ? SELECTOR_NO_ACCESS
                                              : agent->table.selector_paths[agent->current].access;
}

/* Is the death of the access in use to be confirmed? */
static bool current_is_missed(const struct agent *agent)
{
    uint32_t access = access_in_use(agent);
    const struct session_view *view;

    if (access == SELECTOR_NO_ACCESS)
        return false;
    view = &agent->table.accesses[access].view;
    return view->missing && view->state != SESSION_DEAD;
}

/* When lists are old news, or none, for so long, somebody should know: the network evidence is all there is.
 */
static uint64_t patience_ns(const struct agent *agent)
{
    const struct config_session *s = &agent->config->session;

    return max_u64(PATIENCE_MIN_NS, PATIENCE_POLLS * s->poll_interval_ns + s->timeout_ns);
}

uint64_t agent_session_list_age_ns(const struct agent *agent)
{
    uint64_t fresh_ns = session_liveness_fresh_ns(agent->liveness);

    return sub_sat_u64(agent->now_ns, fresh_ns == NEVER_NS ? agent->started_ns : fresh_ns);
}

static void note_list_age(struct agent *agent)
{
    uint64_t age_ns = agent_session_list_age_ns(agent);
    bool overdue = agent_has_provider(agent) && age_ns >= patience_ns(agent);

    if (overdue && !agent->lists_overdue)
        log_event(LOG_LEVEL_WARN, "session-lists-overdue", "seconds=%" PRIu64 " error=%s", age_ns / NS_PER_S,
                  LOG_QUOTE(agent->poll_message[0] ? agent->poll_message : "nobody can be asked"));
    if (!overdue && agent->lists_overdue)
        log_event(LOG_LEVEL_INFO, "session-lists-fresh", "accesses=%u", agent->table.access_count);
    agent->lists_overdue = overdue;
}

static void take_list(struct agent *agent, const struct session_answer *answer)
{
    enum session_verdict verdict = SESSION_LIST_EMPTY;
    struct address origin = {0};

    if (answer->origin.access != UINT32_MAX)
        origin = origin_of(agent, &answer->origin);
    else /* a file has no clock: what it says is true while it stands there */
        for (size_t i = 0; i < answer->list->count; i++)
            answer->list->items[i].has_alive_sec = false;
    if (session_liveness_observe(agent->liveness, answer->list, &origin, answer->unasked > 0, agent->now_ns,
                                 &verdict) < 0)
        return;
    /* So soon after a fresh one nobody's list is news: ask the same one again before it is called behind. */
    if (verdict == SESSION_LIST_STALE &&
        agent->now_ns < add_sat_u64(session_liveness_fresh_ns(agent->liveness), CONFIRM_NS))
        return;
    agent->answered_last = access_of_origin(agent, &answer->origin);
    agent->poll_turn = agent->answered_last == SELECTOR_NO_ACCESS ? 0 : agent->answered_last + 1;
    if (verdict != SESSION_LIST_FRESH) {
        /* The one in use knows nothing new of itself: the others may. */
        if (current_is_missed(agent) && agent->answered_last == access_in_use(agent))
            agent_session_poll_soon(agent, agent->now_ns + IMPATIENT_NS);
        /* One that is behind is no news, time and again. */
        log_event(verdict == SESSION_LIST_EMPTY && !agent->poll_message[0] ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG,
                  "session-list", "from=%s verdict=%s", ADDRESS_TEXT(&answer->origin.address),
                  LOG_QUOTE(session_verdict_text(verdict)));
        snprintf(agent->poll_message, sizeof(agent->poll_message), "%s: the list is %s",
                 ADDRESS_TEXT(&answer->origin.address), session_verdict_text(verdict));
        return;
    }
    agent->poll_message[0] = '\0';
    agent->list_arrived = true;
    take_new_sessions(agent);
    save_list(agent, answer->list);
    agent_table_evidence(agent);
    /* One list without it is no death: ask somebody else, as soon as the answer can mean something. */
    if (current_is_missed(agent))
        agent_session_poll_soon(agent, agent->now_ns + CONFIRM_NS);
}

static void on_list(void *context, const struct session_answer *answer)
{
    struct agent *agent = context;

    agent->poll_under_way = false;
    agent->now_ns = probe_stream_now_ns(agent->stream);
    if (answer->error < 0) {
        if (!agent->poll_failed)
            log_event(LOG_LEVEL_WARN, "session-list-failed", "error=%s", LOG_QUOTE(answer->message));
        snprintf(agent->poll_message, sizeof(agent->poll_message), "%s", answer->message);
        agent->poll_failed = true;
        agent->poll_turn++;
    } else {
        if (agent->poll_failed)
            log_event(LOG_LEVEL_INFO, "session-list", "from=%s count=%zu",
                      ADDRESS_TEXT(&answer->origin.address), answer->list->count);
        agent->poll_failed = false;
        take_list(agent, answer);
    }
    agent_soon(agent);
}

void agent_session_poll_soon(struct agent *agent, uint64_t at_ns)
{
    agent->poll_ns = min_u64(agent->poll_ns, at_ns);
}

static void poll_list(struct agent *agent)
{
    struct session_endpoint endpoints[128];
    size_t count = list_endpoints(agent, endpoints, ARRAY_SIZE(endpoints));
    uint64_t interval_ns = agent->config->session.poll_interval_ns;
    int error;

    agent->poll_ns = agent->now_ns + (agent->list_arrived ? interval_ns : min_u64(interval_ns, IMPATIENT_NS));
    if (agent->poll_under_way || (is_rest(agent) && count == 0))
        return;
    error = session_provider_list(agent->provider, endpoints, count, on_list, agent);
    agent->poll_under_way = error == 0;
    if (error < 0)
        log_event(LOG_LEVEL_ERROR, "session-list-failed", "error=%s", LOG_QUOTE(strerror(-error)));
}

/* --- refreshes --- */

static void client_addresses(const struct agent *agent, char *text, size_t size_bytes)
{
    const struct config_session *s = &agent->config->session;
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < s->client_address_count && length < size_bytes; i++)
        length += (size_t)snprintf(text + length, size_bytes - length, "%s%s", length ? "," : "",
                                   ADDRESS_TEXT(&s->client_addresses[i]));
    if (s->client_address_count)
        return;
    for (uint32_t i = 0; i < agent->table.path_count && length < size_bytes; i++) {
        const struct address *source = &agent->table.paths[i].source;
        bool seen = !address_is_set(source);

        for (uint32_t j = 0; j < i && !seen; j++)
            seen = address_equal(source, &agent->table.paths[j].source);
        if (!seen)
            length += (size_t)snprintf(text + length, size_bytes - length, "%s%s", length ? "," : "",
                                       ADDRESS_TEXT(source));
    }
}

void agent_session_refresh(struct agent *agent, uint32_t path, session_answer_fn *done)
{
    uint32_t access = agent->table.selector_paths[path].access;
    struct session_endpoint endpoints[64];
    struct agent_refresh *refresh = &agent->refresh;
    char addresses[1024];
    size_t count = 0;
    int error;

    /* The access itself first, then whoever else answers: all of them speak for the cluster. */
    for (int hope = 0; hope <= 1 && count == 0; hope++) {
        count = add_ways(agent, access, hope, endpoints, ARRAY_SIZE(endpoints) / 2);
        for (uint32_t i = 0; i < agent->table.access_count; i++)
            if (i != access)
                count += add_ways(agent, i, hope, endpoints + count, ARRAY_SIZE(endpoints) - count);
    }
    client_addresses(agent, addresses, sizeof(addresses));
    memcpy(refresh->uuid, agent->table.accesses[access].view.uuid, sizeof(refresh->uuid));
    error =
        session_provider_refresh(agent->provider, endpoints, count, refresh->uuid, addresses, done, agent);
    refresh->unsent = error < 0 ? done : NULL;
    refresh->unsent_error = error;
    if (error < 0)
        agent_soon(agent);
}

void agent_session_cancel_refresh(struct agent *agent)
{
    session_provider_cancel_refresh(agent->provider);
    agent->refresh.unsent = NULL;
}

/* An answer never comes from inside the call that asked, also when there was nobody to ask. */
static void tell_unsent(struct agent *agent)
{
    session_answer_fn *done = agent->refresh.unsent;
    const struct session_answer answer = {.error = agent->refresh.unsent_error,
                                          .message = strerror(-agent->refresh.unsent_error)};

    agent->refresh.unsent = NULL;
    if (done)
        done(agent, &answer);
}

static void on_refresh(void *context, const struct session_answer *answer)
{
    struct agent *agent = context;
    struct agent_refresh *refresh = &agent->refresh;

    agent->now_ns = probe_stream_now_ns(agent->stream);
    refresh->under_way = false;
    if (answer->error == 0) {
        log_event(LOG_LEVEL_INFO, "refresh", "session=%s took_ms=%.1f", LOG_VALUE(refresh->uuid),
                  (double)answer->took_ns / NS_PER_MS);
        refresh->wanted = false;
        refresh->failed = false;
        refresh->backoff_ns = 0;
    } else {
        if (!refresh->failed)
            log_event(LOG_LEVEL_WARN, "refresh-failed", "session=%s next=retry error=%s",
                      LOG_VALUE(refresh->uuid), LOG_QUOTE(answer->message));
        snprintf(refresh->message, sizeof(refresh->message), "%s", answer->message);
        refresh->failed = true;
        refresh->backoff_ns =
            refresh->backoff_ns ? min_u64(refresh->backoff_ns * 2, BACKOFF_MAX_NS) : BACKOFF_MIN_NS;
        refresh->retry_ns = agent->now_ns + refresh->backoff_ns;
        if (answer->error == -ENOENT) /* that session is gone: which is the new one? */
            agent_session_poll_soon(agent, agent->now_ns);
    }
    agent_soon(agent);
}

/* The uuid of the access in use; NULL: there is none to be told. */
static const char *uuid_in_use(const struct agent *agent)
{
    uint32_t access;

    if (agent->current == SELECTOR_NO_PATH)
        return NULL;
    access = agent->table.selector_paths[agent->current].access;
    if (access == SELECTOR_NO_ACCESS || !agent->table.accesses[access].view.uuid[0] ||
        agent->table.accesses[access].view.state == SESSION_DEAD)
        return NULL;
    return agent->table.accesses[access].view.uuid;
}

static void refresh_step(struct agent *agent)
{
    struct agent_refresh *refresh = &agent->refresh;
    const char *uuid = uuid_in_use(agent);

    if (!is_rest(agent) || agent->options->dry_run || agent->planned.stage == PLANNED_REFRESH || !uuid)
        return;
    if (strcmp(uuid, refresh->uuid) != 0) { /* another access, or the same one after a restart */
        refresh->wanted = true;
        if (refresh->under_way)
            refresh->retry_ns = 0;
        refresh->under_way = false;
    }
    if (!refresh->wanted || refresh->under_way || agent->now_ns < refresh->retry_ns)
        return;
    refresh->under_way = true;
    agent_session_refresh(agent, agent->current, on_refresh);
}

/* --- heartbeats --- */

static bool has_heartbeat(const struct agent *agent)
{
    return is_rest(agent) && agent->config->session.heartbeat_path[0] && !agent->options->dry_run;
}

void agent_session_heartbeat_soon(struct agent *agent)
{
    agent->heartbeat_ns = 0;
}

static void on_heartbeat(void *context, const struct session_answer *answer)
{
    struct agent *agent = context;

    if (answer->error < 0 && !agent->heartbeat_failed)
        log_event(LOG_LEVEL_WARN, "heartbeat-failed", "error=%s", LOG_QUOTE(answer->message));
    agent->heartbeat_failed = answer->error < 0;
}

static void send_heartbeat(struct agent *agent)
{
    const struct agent_path *path;
    uint32_t access;
    char when[LOG_TIME_SIZE];
    CLEANUP(free) char *body = NULL;
    cJSON *root;

    agent->heartbeat_ns = agent->now_ns + agent->config->session.heartbeat_interval_ns;
    if (agent->current == SELECTOR_NO_PATH)
        return;
    path = &agent->table.paths[agent->current];
    access = agent->table.selector_paths[agent->current].access;
    root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "host", agent->config->host);
    cJSON_AddStringToObject(root, "version", agent->options->version);
    cJSON_AddStringToObject(root, "service", ADDRESS_TEXT(&agent->config->service));
    cJSON_AddStringToObject(root, "next_hop", ADDRESS_TEXT(&path->address));
    cJSON_AddStringToObject(root, "access", agent_path_access_name(agent, agent->current));
    cJSON_AddBoolToObject(root, "local",
                          access != SELECTOR_NO_ACCESS &&
                              agent->table.selector_accesses[access].locality == LOCALITY_LOCAL);
    cJSON_AddStringToObject(root, "since", log_time_text(agent->since_realtime_ns, when));
    cJSON_AddStringToObject(root, "reason",
                            agent->origin == ORIGIN_ADOPTED ? "adopted"
                                                            : selector_reason_text(agent->switch_reason));
    body = text_json(cJSON_PrintUnformatted(root));
    cJSON_Delete(root);
    if (body)
        session_provider_heartbeat(agent->provider,
                                   &(struct session_endpoint){.access = access, .address = path->address},
                                   body, on_heartbeat, agent);
}

/* --- what is due --- */

void agent_session_step(struct agent *agent)
{
    tell_unsent(agent);
    if (agent_has_provider(agent) && agent->now_ns >= agent->poll_ns)
        poll_list(agent);
    note_list_age(agent);
    refresh_step(agent);
    if (has_heartbeat(agent) && agent->now_ns >= agent->heartbeat_ns)
        send_heartbeat(agent);
}

uint64_t agent_session_deadline_ns(const struct agent *agent)
{
    uint64_t deadline_ns = agent_has_provider(agent) ? agent->poll_ns : NEVER_NS;

    if (agent->refresh.wanted && !agent->refresh.under_way && uuid_in_use(agent) && is_rest(agent) &&
        !agent->options->dry_run && agent->planned.stage != PLANNED_REFRESH)
        deadline_ns = min_u64(deadline_ns, agent->refresh.retry_ns);
    if (has_heartbeat(agent))
        deadline_ns = min_u64(deadline_ns, agent->heartbeat_ns);
    return deadline_ns;
}
