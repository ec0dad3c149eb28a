/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP side of the lab's session service, in the process' libevent loop.
 *
 *   GET  /api/v3/sessions                        the list
 *   PUT  /api/v2/zbs_session/session/<uuid>      refresh: {"local_clients_ips": "..."}
 *   POST /api/v3/reroute/heartbeat               heartbeat of an agent
 *   GET  /lab/state                              role, who holds which clients, what was received and when
 *   POST /lab/behave                             {"mode": "...", "delay_ms": N, "envelope": "..."}
 *
 * Modes: normal, slow (every answer of /api comes delay_ms later), hang (it never comes), 502, html, empty
 * (an empty list), truncated (half a body), error (an "ec" that is not EOK). Envelopes: data, sessions,
 * array. They concern /api only, so that the service can always be called back to order. Times ("at") are
 * seconds on CLOCK_MONOTONIC.
 *
 * A request that cannot be answered yet is held in a list: slow and hanging ones, and refreshes for which the
 * leader has been asked. libevent keeps such a request when its connection goes and frees it when it is
 * answered at last, so the list never holds a dangling one.
 */
#include "tools/sessiond/api.h"

#include "tools/sessiond/cluster.h"

#include <cjson/cJSON.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#define REFRESH_PREFIX     "/api/v2/zbs_session/session/"
#define LOG_MAX            512
#define REFRESH_TIMEOUT_NS (2 * NS_PER_S)
#define REFRESH_AGAIN_NS   (200 * NS_PER_MS)

enum mode {
    MODE_NORMAL,
    MODE_SLOW,
    MODE_HANG,
    MODE_502,
    MODE_HTML,
    MODE_EMPTY,
    MODE_TRUNCATED,
    MODE_ERROR,
};
static const char *const mode_names[] = {"normal", "slow",  "hang",      "502",
                                         "html",   "empty", "truncated", "error"};

enum envelope { ENVELOPE_DATA, ENVELOPE_SESSIONS, ENVELOPE_ARRAY };
static const char *const envelope_names[] = {"data", "sessions", "array"};

/* A request that waits for its answer. */
struct held {
    struct held *next;
    struct evhttp_request *request;
    uint64_t deadline_ns; /* slow: answer then; refresh: give up then; hang: NEVER_NS */
    uint64_t again_ns;    /* refresh: ask the leader again */
    uint64_t version;     /* refresh: of the table when it was asked */
    char *uuid, *clients; /* refresh; NULL: slow or hanging */
};

struct lab_api {
    struct evhttp *http;
    struct lab_cluster *cluster;
    enum mode mode;
    enum envelope envelope;
    uint64_t delay_ns;
    struct held *held;
    uint64_t lists;
    cJSON *refreshes, *heartbeats; /* the last LOG_MAX of each */
};

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

/* --- answers ---------------------------------------------------------------------------------------------*/

static void answer_text(struct evhttp_request *request, int status, const char *type, const char *text)
{
    struct evbuffer *body = evbuffer_new();

    if (!body)
        abort();
    evbuffer_add_printf(body, "%s", text);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", type);
    evhttp_send_reply(request, status, NULL, body);
    evbuffer_free(body);
}

static void answer_json(struct evhttp_request *request, int status, cJSON *document)
{
    char *text = cJSON_PrintUnformatted(document);

    if (!text)
        abort();
    answer_text(request, status, "application/json", text);
    cJSON_free(text);
    cJSON_Delete(document);
}

static void answer_ec(struct evhttp_request *request, int status, const char *ec, const char *message)
{
    cJSON *document = cJSON_CreateObject();
    cJSON *error;

    cJSON_AddStringToObject(document, "ec", ec);
    error = cJSON_AddObjectToObject(document, "error");
    if (message)
        cJSON_AddStringToObject(error, "msg", message);
    cJSON_AddItemToObject(document, "data", cJSON_CreateObject());
    answer_json(request, status, document);
}

/* Promises the whole body, sends half of it and closes. */
static void answer_truncated(struct evhttp_request *request, cJSON *document)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
    char *text = cJSON_PrintUnformatted(document);
    size_t length = text ? strlen(text) : 0;
    char promised[32];

    if (!text)
        abort();
    snprintf(promised, sizeof(promised), "%zu", length);
    evhttp_add_header(headers, "Content-Length", promised);
    evhttp_add_header(headers, "Connection", "close");
    text[length / 2] = '\0';
    answer_text(request, 200, "application/json", text);
    cJSON_free(text);
    cJSON_Delete(document);
}

/* --- a record of what came -------------------------------------------------------------------------------*/

static void record(cJSON *log, cJSON *entry, struct evhttp_request *request)
{
    struct evhttp_connection *connection = evhttp_request_get_connection(request);
    char *peer = NULL;
    uint16_t port = 0;

    if (connection)
        evhttp_connection_get_peer(connection, &peer, &port);
    cJSON_AddNumberToObject(entry, "at", seconds(clock_now_ns(CLOCK_MONOTONIC)));
    cJSON_AddStringToObject(entry, "from", peer ? peer : "");
    cJSON_AddItemToArray(log, entry);
    if (cJSON_GetArraySize(log) > LOG_MAX)
        cJSON_DeleteItemFromArray(log, 0);
}

static cJSON *body_json(struct evhttp_request *request)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(request);
    size_t size = evbuffer_get_length(in);
    const char *bytes = size ? (const char *)evbuffer_pullup(in, -1) : "";

    return cJSON_ParseWithLength(bytes ? bytes : "", size);
}

/* --- holding ---------------------------------------------------------------------------------------------*/

static struct held *hold(struct lab_api *api, struct evhttp_request *request, uint64_t deadline_ns)
{
    struct held *h = calloc(1, sizeof(*h));

    if (!h)
        abort();
    h->request = request;
    h->deadline_ns = deadline_ns;
    h->next = api->held;
    api->held = h;
    return h;
}

static void held_free(struct held *h)
{
    free(h->uuid);
    free(h->clients);
    free(h);
}

/* --- session-service.md ----------------------------------------------------------------------------------*/

static void list(struct lab_api *api, struct evhttp_request *request)
{
    cJSON *sessions = api->mode == MODE_EMPTY ? cJSON_CreateArray()
                                              : lab_cluster_list(api->cluster, clock_now_ns(CLOCK_MONOTONIC));
    cJSON *document;

    api->lists++;
    if (!sessions)
        abort();
    if (api->envelope == ENVELOPE_ARRAY) {
        document = sessions;
    } else {
        document = cJSON_CreateObject();
        cJSON_AddStringToObject(document, "ec", "EOK");
        cJSON_AddObjectToObject(document, "error");
        if (api->envelope == ENVELOPE_DATA)
            cJSON_AddItemToObject(document, "data", sessions);
        else
            cJSON_AddItemToObject(cJSON_AddObjectToObject(document, "data"), "sessions", sessions);
    }
    if (api->mode == MODE_TRUNCATED)
        answer_truncated(request, document);
    else
        answer_json(request, 200, document);
}

static void refresh_answer(struct lab_api *api, struct evhttp_request *request, const char *uuid,
                           const char *clients, int result)
{
    static const struct {
        int result, status;
        const char *ec, *message;
    } answers[] = {
        {0, 200, "EOK", NULL},
        {-ENOENT, 404, "ESessionNotFound", "no session has this uuid"},
        {-EAGAIN, 503, "ENoLeader", "the cluster has no leader"},
        {-ETIMEDOUT, 503, "ETimedOut", "the leader did not answer"},
        {-ENOSPC, 400, "EBadArgument", "too many client addresses"},
        {-EINVAL, 400, "EBadArgument", "local_clients_ips is no list of addresses"},
    };
    cJSON *entry = cJSON_CreateObject();
    size_t i = 0;

    while (i + 1 < ARRAY_SIZE(answers) && answers[i].result != result)
        i++;
    cJSON_AddStringToObject(entry, "uuid", uuid);
    cJSON_AddStringToObject(entry, "local_clients_ips", clients);
    cJSON_AddNumberToObject(entry, "status", answers[i].status);
    record(api->refreshes, entry, request);
    answer_ec(request, answers[i].status, answers[i].ec, answers[i].message);
}

static void refresh(struct lab_api *api, struct evhttp_request *request, const char *uuid)
{
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC), version = lab_cluster_version(api->cluster);
    cJSON *body = body_json(request);
    const char *clients = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, "local_clients_ips"));
    int r = clients ? lab_cluster_refresh(api->cluster, uuid, clients, now_ns) : -EINVAL;

    if (r == -EINPROGRESS) {
        struct held *h = hold(api, request, now_ns + REFRESH_TIMEOUT_NS);

        h->version = version;
        h->again_ns = now_ns + REFRESH_AGAIN_NS;
        h->uuid = strdup(uuid);
        h->clients = strdup(clients);
        if (!h->uuid || !h->clients)
            abort();
    } else {
        refresh_answer(api, request, uuid, clients ? clients : "", r);
    }
    cJSON_Delete(body);
}

static void heartbeat(struct lab_api *api, struct evhttp_request *request)
{
    cJSON *body = body_json(request);
    cJSON *entry;

    if (!cJSON_IsObject(body)) {
        cJSON_Delete(body);
        answer_ec(request, 400, "EBadArgument", "the body is no JSON object");
        return;
    }
    entry = cJSON_CreateObject();
    cJSON_AddItemToObject(entry, "body", body);
    record(api->heartbeats, entry, request);
    answer_ec(request, 200, "EOK", NULL);
}

static void answer_api(struct lab_api *api, struct evhttp_request *request)
{
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
    enum evhttp_cmd_type method = evhttp_request_get_command(request);

    if (api->mode == MODE_502)
        answer_text(request, 502, "text/html",
                    "<html><head><title>502 Bad Gateway</title></head><body>502</body></html>\n");
    else if (api->mode == MODE_HTML)
        answer_text(request, 200, "text/html", "<html><body>Under maintenance</body></html>\n");
    else if (api->mode == MODE_ERROR)
        answer_ec(request, 200, "EInternal", "told to fail");
    else if (method == EVHTTP_REQ_GET && strcmp(path, "/api/v3/sessions") == 0)
        list(api, request);
    else if (method == EVHTTP_REQ_PUT && strncmp(path, REFRESH_PREFIX, strlen(REFRESH_PREFIX)) == 0)
        refresh(api, request, path + strlen(REFRESH_PREFIX));
    else if (method == EVHTTP_REQ_POST && strcmp(path, "/api/v3/reroute/heartbeat") == 0)
        heartbeat(api, request);
    else
        answer_ec(request, 404, "ENotFound", "no such resource");
}

/* --- the lab's own ---------------------------------------------------------------------------------------*/

static void state(struct lab_api *api, struct evhttp_request *request)
{
    uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
    cJSON *document = lab_cluster_state(api->cluster, now_ns);

    cJSON_AddNumberToObject(document, "at", seconds(now_ns));
    cJSON_AddStringToObject(document, "mode", mode_names[api->mode]);
    cJSON_AddNumberToObject(document, "lists", (double)api->lists);
    cJSON_AddItemToObject(document, "refreshes", cJSON_Duplicate(api->refreshes, true));
    cJSON_AddItemToObject(document, "heartbeats", cJSON_Duplicate(api->heartbeats, true));
    answer_json(request, 200, document);
}

static bool choose(const cJSON *body, const char *key, const char *const *names, size_t count, size_t *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, key);

    if (!item)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (cJSON_IsString(item) && strcmp(item->valuestring, names[i]) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}

static void behave(struct lab_api *api, struct evhttp_request *request)
{
    cJSON *body = body_json(request);
    const cJSON *delay = cJSON_GetObjectItemCaseSensitive(body, "delay_ms");
    size_t mode = api->mode, envelope = api->envelope;

    if (!cJSON_IsObject(body) || !choose(body, "mode", mode_names, ARRAY_SIZE(mode_names), &mode) ||
        !choose(body, "envelope", envelope_names, ARRAY_SIZE(envelope_names), &envelope)) {
        answer_ec(request, 400, "EBadArgument", "no such mode or envelope");
    } else {
        api->mode = (enum mode)mode;
        api->envelope = (enum envelope)envelope;
        if (cJSON_IsNumber(delay) && delay->valuedouble >= 0)
            api->delay_ns = (uint64_t)(delay->valuedouble * (double)NS_PER_MS);
        answer_ec(request, 200, "EOK", NULL);
    }
    cJSON_Delete(body);
}

static void on_request(struct evhttp_request *request, void *context)
{
    struct lab_api *api = context;
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
    enum evhttp_cmd_type method = evhttp_request_get_command(request);

    if (strncmp(path ? path : "", "/api/", 5) == 0) {
        if (api->mode == MODE_HANG)
            hold(api, request, NEVER_NS);
        else if (api->mode == MODE_SLOW)
            hold(api, request, clock_now_ns(CLOCK_MONOTONIC) + api->delay_ns);
        else
            answer_api(api, request);
    } else if (method == EVHTTP_REQ_GET && strcmp(path ? path : "", "/lab/state") == 0) {
        state(api, request);
    } else if (method == EVHTTP_REQ_POST && strcmp(path ? path : "", "/lab/behave") == 0) {
        behave(api, request);
    } else {
        answer_ec(request, 404, "ENotFound", "no such resource");
    }
}

/* True when the request has been answered. */
static bool held_advance(struct lab_api *api, struct held *h, uint64_t now_ns)
{
    int r;

    if (!h->uuid) {
        if (now_ns < h->deadline_ns && (h->deadline_ns != NEVER_NS || api->mode == MODE_HANG))
            return false;
        answer_api(api, h->request);
        return true;
    }
    r = lab_cluster_refreshed(api->cluster, h->uuid, h->clients, h->version);
    if (r == -EINPROGRESS && now_ns < h->deadline_ns) {
        if (now_ns >= h->again_ns) {
            h->again_ns = now_ns + REFRESH_AGAIN_NS;
            lab_cluster_refresh(api->cluster, h->uuid, h->clients, now_ns);
        }
        return false;
    }
    refresh_answer(api, h->request, h->uuid, h->clients, r == -EINPROGRESS ? -ETIMEDOUT : r);
    return true;
}

void lab_api_advance(struct lab_api *api, uint64_t now_ns)
{
    struct held *rest = api->held;

    /* What answers may be held anew (a slow refresh waits for the leader): start from an empty list. */
    api->held = NULL;
    while (rest) {
        struct held *h = rest;

        rest = h->next;
        if (held_advance(api, h, now_ns)) {
            held_free(h);
        } else {
            h->next = api->held;
            api->held = h;
        }
    }
}

/* --- life ------------------------------------------------------------------------------------------------*/

int lab_api_new(struct lab_api **out, struct event_base *base, struct lab_cluster *cluster, uint16_t port)
{
    CLEANUP(lab_api_free) struct lab_api *api = calloc(1, sizeof(*api));

    if (!api)
        return -ENOMEM;
    api->cluster = cluster;
    api->refreshes = cJSON_CreateArray();
    api->heartbeats = cJSON_CreateArray();
    api->http = evhttp_new(base);
    if (!api->refreshes || !api->heartbeats || !api->http)
        return -ENOMEM;
    evhttp_set_allowed_methods(api->http, EVHTTP_REQ_GET | EVHTTP_REQ_PUT | EVHTTP_REQ_POST);
    evhttp_set_max_body_size(api->http, 65536);
    evhttp_set_gencb(api->http, on_request, api);
    if (evhttp_bind_socket(api->http, "0.0.0.0", port) < 0)
        return -EADDRINUSE;
    *out = TAKE(api);
    return 0;
}

struct lab_api *lab_api_free(struct lab_api *api)
{
    if (!api)
        return NULL;
    while (api->held) {
        struct held *h = api->held;

        api->held = h->next;
        answer_ec(h->request, 503, "EShutdown", "the service ends");
        held_free(h);
    }
    if (api->http)
        evhttp_free(api->http);
    cJSON_Delete(api->refreshes);
    cJSON_Delete(api->heartbeats);
    free(api);
    return NULL;
}
