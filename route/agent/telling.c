/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of it is asynchronous, and a cluster that does not answer changes nothing but what the status says.
 * Callbacks note the answer; the next step takes it in.
 */
#include "route/agent/telling.h"

#include <cjson/cJSON.h>

#include "probe/text.h"
#include "route/log.h"

#define BACKOFF_MIN_NS (500 * NS_PER_MS)
#define BACKOFF_MAX_NS (10 * NS_PER_S)

static void note_answer(struct telling *telling, struct telling_answer *noted,
                        const struct session_answer *answer)
{
    *noted = (struct telling_answer){.came = true, .error = answer->error, .took_ns = answer->took_ns};
    snprintf(noted->message, sizeof(noted->message), "%s", answer->message ? answer->message : "");
    waker_wake(&telling->waker);
}

/* --- refreshes --- */

static void on_refresh(void *context, const struct session_answer *answer)
{
    struct telling *telling = context;

    note_answer(telling, &telling->refreshed, answer);
}

static void addresses_of_host(const struct situation *now, char *text, size_t size_bytes)
{
    const struct config_session *s = &now->config->session;
    const struct agent_table *table = now->table;
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < s->client_address_count && length < size_bytes; i++)
        length += (size_t)snprintf(text + length, size_bytes - length, "%s%s", length ? "," : "",
                                   ADDRESS_TEXT(&s->client_addresses[i]));
    if (s->client_address_count)
        return;
    for (uint32_t i = 0; i < table->path_count && length < size_bytes; i++) {
        const struct address *source = &table->paths[i].entry.source;
        bool seen = !address_is_set(source);

        for (uint32_t j = 0; j < i && !seen; j++)
            seen = address_equal(source, &table->paths[j].entry.source);
        if (!seen)
            length += (size_t)snprintf(text + length, size_bytes - length, "%s%s", length ? "," : "",
                                       ADDRESS_TEXT(source));
    }
}

static void send_refresh(struct telling *telling, struct session_provider *provider,
                         const struct situation *now, uint32_t path, enum refresh_of which)
{
    uint32_t access = agent_table_access(now->table, path);
    struct session_endpoint endpoints[64];
    struct telling_refresh *refresh = &telling->refresh;
    char addresses[1024];
    size_t count = 0;
    int error;

    /* The access itself first, then the others that answer: all of them speak for the cluster. */
    for (int up = 1; up >= 0 && count == 0; up--) {
        count = agent_table_endpoints(now->table, access, up, endpoints, ARRAY_SIZE(endpoints) / 2);
        for (uint32_t i = 0; i < now->table->access_count; i++)
            if (i != access)
                count += agent_table_endpoints(now->table, i, up, endpoints + count,
                                               ARRAY_SIZE(endpoints) - count);
    }
    addresses_of_host(now, addresses, sizeof(addresses));
    memcpy(refresh->uuid, now->table->accesses[access].view.uuid, sizeof(refresh->uuid));
    refresh->under_way = which;
    telling->refreshed.came = false;
    error =
        session_provider_refresh(provider, endpoints, count, refresh->uuid, addresses, on_refresh, telling);
    if (error < 0)
        note_answer(telling, &telling->refreshed,
                    &(struct session_answer){.error = error, .message = strerror(-error)});
}

static void refreshed(struct telling *telling, const struct situation *now)
{
    struct telling_refresh *refresh = &telling->refresh;
    const struct telling_answer *answer = &telling->refreshed;
    bool planned = refresh->under_way == REFRESH_PLANNED;

    refresh->under_way = REFRESH_NONE;
    if (answer->error == 0 && planned)
        return; /* it is told once more when the route has moved */
    if (answer->error == 0) {
        log_event(LOG_LEVEL_INFO, "refresh", "session=%s took_ms=%.1f", LOG_VALUE(refresh->uuid),
                  (double)answer->took_ns / NS_PER_MS);
        refresh->wanted = false;
        refresh->failed = false;
        refresh->backoff_ns = 0;
        return;
    }
    if (!refresh->failed)
        log_event(LOG_LEVEL_WARN, "refresh-failed", "session=%s next=retry error=%s",
                  LOG_VALUE(refresh->uuid), LOG_QUOTE(answer->message));
    memcpy(refresh->message, answer->message, sizeof(refresh->message));
    refresh->failed = true;
    refresh->failures++;
    if (planned)
        return; /* it is tried again by the planned switch */
    refresh->backoff_ns =
        refresh->backoff_ns ? min_u64(refresh->backoff_ns * 2, BACKOFF_MAX_NS) : BACKOFF_MIN_NS;
    refresh->retry_ns = now->now_ns + refresh->backoff_ns;
}

bool telling_is_possible(const struct situation *now, uint32_t path)
{
    uint32_t access = agent_table_access(now->table, path);

    return situation_has_rest(now) && access != SELECTOR_NO_ACCESS &&
           now->table->accesses[access].view.uuid[0];
}

/* The uuid of the access in use; NULL: there is none to be told. */
static const char *uuid_in_use(const struct situation *now)
{
    uint32_t access = agent_table_access(now->table, now->current);

    if (access == SELECTOR_NO_ACCESS || !now->table->accesses[access].view.uuid[0] ||
        now->table->accesses[access].view.state == SESSION_DEAD)
        return NULL;
    return now->table->accesses[access].view.uuid;
}

/* May the access in use be told now? */
static bool may_refresh(const struct telling *telling, const struct situation *now)
{
    return situation_has_rest(now) && now->acts && telling->refresh.under_way != REFRESH_PLANNED &&
           uuid_in_use(now);
}

static void refresh_step(struct telling *telling, struct session_provider *provider,
                         const struct situation *now)
{
    struct telling_refresh *refresh = &telling->refresh;

    if (!may_refresh(telling, now))
        return;
    if (strcmp(uuid_in_use(now), refresh->uuid) != 0) { /* another access, or the same one after a restart */
        refresh->wanted = true;
        if (refresh->under_way)
            refresh->retry_ns = 0;
        refresh->under_way = REFRESH_NONE;
    }
    if (refresh->wanted && !refresh->under_way && now->now_ns >= refresh->retry_ns)
        send_refresh(telling, provider, now, now->current, REFRESH_CURRENT);
}

void telling_planned(struct telling *telling, struct session_provider *provider, const struct situation *now,
                     uint32_t path)
{
    send_refresh(telling, provider, now, path, REFRESH_PLANNED);
}

void telling_cancel(struct telling *telling, struct session_provider *provider)
{
    session_provider_cancel_refresh(provider);
    telling->refresh.under_way = REFRESH_NONE;
    telling->refreshed.came = false;
}

void telling_again(struct telling *telling)
{
    telling->refresh.wanted = true;
    telling->refresh.retry_ns = 0;
    telling->refresh.backoff_ns = 0;
}

/* --- heartbeats --- */

static bool has_heartbeat(const struct situation *now)
{
    return situation_has_rest(now) && now->config->session.heartbeat_path[0] && now->acts;
}

void telling_heartbeat_soon(struct telling *telling)
{
    telling->heartbeat.at_ns = 0;
}

static void on_heartbeat(void *context, const struct session_answer *answer)
{
    struct telling *telling = context;

    note_answer(telling, &telling->beaten, answer);
}

static void beaten(struct telling *telling)
{
    bool failed = telling->beaten.error < 0;

    if (failed && !telling->heartbeat.failed)
        log_event(LOG_LEVEL_WARN, "heartbeat-failed", "error=%s", LOG_QUOTE(telling->beaten.message));
    telling->heartbeat.failed = failed;
    telling->heartbeat.failures += failed;
}

static char *heartbeat_body(const struct situation *now, const struct agent_path *path)
{
    cJSON *root = cJSON_CreateObject();
    char when[LOG_TIME_SIZE];
    char *body;

    cJSON_AddStringToObject(root, "host", now->config->host);
    cJSON_AddStringToObject(root, "version", now->options->version);
    cJSON_AddStringToObject(root, "service", ADDRESS_TEXT(&now->config->service));
    cJSON_AddStringToObject(root, "next_hop", ADDRESS_TEXT(&path->address));
    cJSON_AddStringToObject(root, "access", agent_table_access_name(now->table, now->current));
    cJSON_AddBoolToObject(root, "local", agent_table_is_local(now->table, now->current));
    cJSON_AddStringToObject(root, "since", log_time_text(now->since_realtime_ns, when));
    cJSON_AddStringToObject(root, "reason", now->reason);
    body = text_json(cJSON_PrintUnformatted(root));
    cJSON_Delete(root);
    return body;
}

static void send_heartbeat(struct telling *telling, struct session_provider *provider,
                           const struct situation *now)
{
    const struct agent_path *path;
    uint32_t access;
    CLEANUP(free) char *body = NULL;
    int error;

    telling->heartbeat.at_ns = now->now_ns + now->config->session.heartbeat_interval_ns;
    if (now->current == SELECTOR_NO_PATH)
        return;
    path = &now->table->paths[now->current];
    access = agent_table_access(now->table, now->current);
    body = heartbeat_body(now, path);
    if (!body)
        return;
    error = session_provider_heartbeat(provider,
                                       &(struct session_endpoint){.access = access, .address = path->address},
                                       body, on_heartbeat, telling);
    if (error < 0)
        note_answer(telling, &telling->beaten,
                    &(struct session_answer){.error = error, .message = strerror(-error)});
}

/* --- the step --- */

bool telling_take(struct telling *telling, const struct situation *now, enum planned_answer *planned)
{
    bool is_gone = false;

    *planned = PLANNED_NO_ANSWER;
    if (telling->refreshed.came) {
        telling->refreshed.came = false;
        is_gone = telling->refreshed.error == -ENOENT; /* which is the new one? */
        if (telling->refresh.under_way == REFRESH_PLANNED)
            *planned = telling->refreshed.error ? PLANNED_NO : PLANNED_YES;
        refreshed(telling, now);
    }
    if (telling->beaten.came) {
        telling->beaten.came = false;
        beaten(telling);
    }
    return is_gone;
}

void telling_step(struct telling *telling, struct session_provider *provider, const struct situation *now)
{
    refresh_step(telling, provider, now);
    if (has_heartbeat(now) && now->now_ns >= telling->heartbeat.at_ns)
        send_heartbeat(telling, provider, now);
}

void telling_provider_changed(struct telling *telling)
{
    telling->refreshed.came = telling->beaten.came = false;
    telling->refresh.under_way = REFRESH_NONE;
    telling->refresh.failed = telling->heartbeat.failed = false;
    telling_again(telling);
}

uint64_t telling_deadline_ns(const struct telling *telling, const struct situation *now)
{
    uint64_t deadline_ns = NEVER_NS;

    if (telling->refresh.wanted && !telling->refresh.under_way && may_refresh(telling, now))
        deadline_ns = telling->refresh.retry_ns;
    if (has_heartbeat(now))
        deadline_ns = min_u64(deadline_ns, telling->heartbeat.at_ns);
    return deadline_ns;
}
