/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP by libcurl's multi interface on libevent: curl says which sockets and which timeout it waits for, we
 * give them to the loop and tell curl when they are due. One thread, the loop's; nothing blocks: addresses
 * are numeric, so no name is ever looked up.
 *
 * The other end is not trusted: body and headers are bounded while they arrive, redirects are not followed,
 * nothing of the environment (proxies, .netrc) is used, compression is not asked for.
 *
 * Every request has a connection of its own. A poll every two seconds saves nothing worth having by keeping
 * one, and a kept connection to a node that has died since would cost a whole timeout at the very moment when
 * the answer matters; after a route has moved it would also have the wrong source address.
 */
#include "session/http.h"

#include "session/curl.h"

#include <event2/event.h>
#include <sys/queue.h>

#define HEADERS_MAX_BYTES 65536
#define BODY_FIRST_BYTES  4096

struct http_client {
    const struct curl_api *curl;
    struct event_base *base;
    CURLM *multi;
    struct event *timer;
    LIST_HEAD(, http_request) requests;
    struct http_settings settings;
    char *ca_file;
    char *server_name;
    char *header;
};

struct http_request {
    LIST_ENTRY(http_request) link;
    struct http_client *client;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    http_done_fn *done;
    void *context;
    char *body;
    size_t body_bytes;
    size_t room_bytes;
    size_t header_bytes;
    bool too_big;
    char error[CURL_ERROR_SIZE];
};

bool http_has_tls(void)
{
    return true;
}

/* --- what curl waits for ------------------------------------------------------------------------------- */

static struct http_request *request_free(struct http_request *request)
{
    const struct curl_api *curl = request->client->curl;

    LIST_REMOVE(request, link);
    if (request->easy) {
        curl->multi_remove_handle(request->client->multi, request->easy);
        curl->easy_cleanup(request->easy);
    }
    curl->slist_free_all(request->headers);
    curl->slist_free_all(request->connect_to);
    free(request->body);
    free(request);
    return NULL;
}

/* The errors that struct session_answer knows, from curl's. */
static int error_from_curl(CURLcode code, long os_error)
{
    static const struct {
        CURLcode code;
        int error;
    } table[] = {
        {CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT}, {CURLE_GOT_NOTHING, -ECONNRESET},
        {CURLE_SEND_ERROR, -ECONNRESET},        {CURLE_RECV_ERROR, -ECONNRESET},
        {CURLE_PARTIAL_FILE, -EBADMSG},         {CURLE_UNSUPPORTED_PROTOCOL, -EBADMSG},
        {CURLE_WEIRD_SERVER_REPLY, -EBADMSG},   {CURLE_BAD_CONTENT_ENCODING, -EBADMSG},
        {CURLE_FILESIZE_EXCEEDED, -EMSGSIZE},   {CURLE_PEER_FAILED_VERIFICATION, -EPROTO},
        {CURLE_SSL_CONNECT_ERROR, -EPROTO},     {CURLE_SSL_CACERT_BADFILE, -EPROTO},
        {CURLE_SSL_CERTPROBLEM, -EPROTO},       {CURLE_OUT_OF_MEMORY, -ENOMEM},
    };

    if (code == CURLE_COULDNT_CONNECT)
        return os_error > 0 ? -(int)os_error : -ECONNREFUSED;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (table[i].code == code)
            return table[i].error;
    }
    return -EIO;
}

static void request_finish(struct http_request *request, CURLcode code)
{
    const struct curl_api *curl = request->client->curl;
    struct http_result result = {.body = request->body ? request->body : "",
                                 .body_bytes = request->body_bytes};
    long os_error = 0;

    if (request->too_big || code == CURLE_FILESIZE_EXCEEDED) { /* found out by us, or announced */
        result.error = -EMSGSIZE;
        result.message = "the answer is too long";
    } else if (code != CURLE_OK) {
        curl->easy_getinfo(request->easy, CURLINFO_OS_ERRNO, &os_error);
        result.error = error_from_curl(code, os_error);
        result.message = request->error[0] ? request->error : curl->easy_strerror(code);
    } else {
        curl->easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &result.status);
    }
    /* Out of curl's hands first: the owner may start and cancel others meanwhile. */
    curl->multi_remove_handle(request->client->multi, request->easy);
    request->done(request->context, &result);
    request_free(request);
}

/* Tells curl what has happened, and owners what has ended by it. */
static void client_act(struct http_client *client, curl_socket_t fd, int what)
{
    int running, queued;
    CURLMsg *end;

    client->curl->multi_socket_action(client->multi, fd, what, &running);
    while ((end = client->curl->multi_info_read(client->multi, &queued))) {
        struct http_request *request = NULL;

        if (end->msg != CURLMSG_DONE)
            continue;
        client->curl->easy_getinfo(end->easy_handle, CURLINFO_PRIVATE, &request);
        request_finish(request, end->data.result);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    client_act(context, CURL_SOCKET_TIMEOUT, 0);
}

static void on_socket(evutil_socket_t fd, short what, void *context)
{
    client_act(context, fd,
               (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static int curl_wants_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct http_client *client = context;
    struct timeval tv = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};

    return timeout_ms < 0 ? event_del(client->timer) : event_add(client->timer, &tv);
}

static int curl_wants_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *event)
{
    struct http_client *client = context;
    short flags = EV_PERSIST;

    if (event)
        event_free(event);
    if (what == CURL_POLL_REMOVE)
        return 0;
    client->curl->multi_assign(client->multi, fd, NULL);
    if (what & CURL_POLL_IN)
        flags |= EV_READ;
    if (what & CURL_POLL_OUT)
        flags |= EV_WRITE;
    event = event_new(client->base, fd, flags, on_socket, client);
    if (!event || event_add(event, NULL) < 0) {
        if (event)
            event_free(event);
        return -1;
    }
    client->curl->multi_assign(client->multi, fd, event);
    return 0;
}

/* --- what arrives -------------------------------------------------------------------------------------- */

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct http_request *request = context;
    size_t more_bytes = size * count;
    size_t limit_bytes = request->client->settings.body_limit_bytes;

    if (more_bytes > limit_bytes - request->body_bytes) {
        request->too_big = true;
        return CURL_WRITEFUNC_ERROR;
    }
    if (request->body_bytes + more_bytes > request->room_bytes) {
        size_t room_bytes = max_u64(BODY_FIRST_BYTES, 2 * (request->body_bytes + more_bytes));
        char *body = realloc(request->body, min_u64(room_bytes, limit_bytes));

        if (!body)
            return CURL_WRITEFUNC_ERROR;
        request->body = body;
        request->room_bytes = min_u64(room_bytes, limit_bytes);
    }
    memcpy(request->body + request->body_bytes, data, more_bytes);
    request->body_bytes += more_bytes;
    return more_bytes;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
    struct http_request *request = context;

    request->header_bytes += size * count;
    if (request->header_bytes > HEADERS_MAX_BYTES) {
        request->too_big = true;
        return CURL_WRITEFUNC_ERROR;
    }
    return size * count;
}

/* --- requests ------------------------------------------------------------------------------------------ */

static long to_ms(uint64_t ns)
{
    return (long)max_u64(1, ns / NS_PER_MS);
}

/* Where to, by whose name. */
static CURLcode set_address(struct http_request *request, const struct http_target *target)
{
    const struct http_client *client = request->client;
    const struct curl_api *curl = client->curl;
    struct address bare = target->address;
    char host[ADDRESS_TEXT_SIZE + 2], url[1024], connect_to[ADDRESS_TEXT_SIZE + 16];
    CURLcode code = CURLE_OK;

    bare.scope = 0; /* goes by its number, in CURLOPT_ADDRESS_SCOPE */
    snprintf(host, sizeof(host), bare.family == AF_INET6 ? "[%s]" : "%s", ADDRESS_TEXT(&bare));
    if ((size_t)snprintf(url, sizeof(url), "%s://%s:%u%s", client->settings.tls ? "https" : "http",
                         client->server_name ? client->server_name : host, target->port,
                         target->path) >= sizeof(url))
        return CURLE_URL_MALFORMAT;
    code = curl->easy_setopt(request->easy, CURLOPT_URL, url);
    if (code == CURLE_OK && target->address.scope)
        code = curl->easy_setopt(request->easy, CURLOPT_ADDRESS_SCOPE, (long)target->address.scope);
    if (code == CURLE_OK && client->server_name) {
        snprintf(connect_to, sizeof(connect_to), "::%s:%u", host, target->port);
        request->connect_to = curl->slist_append(NULL, connect_to);
        if (!request->connect_to)
            return CURLE_OUT_OF_MEMORY;
        code = curl->easy_setopt(request->easy, CURLOPT_CONNECT_TO, request->connect_to);
    }
    return code;
}

static CURLcode set_headers(struct http_request *request, const struct http_target *target)
{
    const struct curl_api *curl = request->client->curl;
    const char *const lines[] = {"Accept: application/json",
                                 target->body ? "Content-Type: application/json" : NULL,
                                 request->client->header};

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct curl_slist *longer =
            lines[i] ? curl->slist_append(request->headers, lines[i]) : request->headers;

        if (lines[i] && !longer)
            return CURLE_OUT_OF_MEMORY;
        request->headers = longer;
    }
    return curl->easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
}

static CURLcode set_options(struct http_request *request, const struct http_target *target)
{
    const struct http_client *client = request->client;
    CURLcode code = CURLE_OK;

#define SET(option, value)                                                            \
    do {                                                                              \
        if (code == CURLE_OK)                                                         \
            code = client->curl->easy_setopt(request->easy, CURLOPT_##option, value); \
    } while (0)
    SET(PRIVATE, request);
    SET(ERRORBUFFER, request->error);
    SET(NOSIGNAL, 1L);
    SET(PROTOCOLS_STR, client->settings.tls ? "https" : "http");
    SET(PROXY, "");
    SET(PATH_AS_IS, 1L);
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(USERAGENT, "reroute");
    SET(FRESH_CONNECT, 1L);
    SET(FORBID_REUSE, 1L);
    SET(TIMEOUT_MS, to_ms(client->settings.timeout_ns));
    SET(CONNECTTIMEOUT_MS, to_ms(client->settings.timeout_ns / 2));
    SET(MAXFILESIZE_LARGE, (curl_off_t)client->settings.body_limit_bytes);
    SET(WRITEFUNCTION, take_body);
    SET(WRITEDATA, request);
    SET(HEADERFUNCTION, take_header);
    SET(HEADERDATA, request);
    SET(CUSTOMREQUEST, target->method);
    if (target->body)
        SET(COPYPOSTFIELDS, target->body);
    if (client->ca_file)
        SET(CAINFO, client->ca_file);
#undef SET
    if (code == CURLE_OK)
        code = set_headers(request, target);
    return code == CURLE_OK ? set_address(request, target) : code;
}

int http_request_start(struct http_request **out, struct http_client *client,
                       const struct http_target *target, http_done_fn *done, void *context)
{
    struct http_request *request = calloc(1, sizeof(*request));
    CURLcode code = CURLE_OUT_OF_MEMORY;

    if (!request)
        return -ENOMEM;
    request->client = client;
    request->done = done;
    request->context = context;
    LIST_INSERT_HEAD(&client->requests, request, link);
    request->easy = client->curl->easy_init();
    if (request->easy)
        code = set_options(request, target);
    if (code == CURLE_OK && client->curl->multi_add_handle(client->multi, request->easy) == CURLM_OK) {
        *out = request;
        return 0;
    }
    request_free(request);
    return code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EIO;
}

struct http_request *http_request_cancel(struct http_request *request)
{
    return request ? request_free(request) : NULL;
}

/* --- the client ---------------------------------------------------------------------------------------- */

struct http_client *http_client_free(struct http_client *client)
{
    if (!client)
        return NULL;
    while (!LIST_EMPTY(&client->requests))
        request_free(LIST_FIRST(&client->requests));
    if (client->multi)
        client->curl->multi_cleanup(client->multi);
    if (client->timer)
        event_free(client->timer);
    free(client->ca_file);
    free(client->server_name);
    free(client->header);
    free(client);
    return NULL;
}

/* NULL stays NULL. False: out of memory. */
static bool copy(char **to, const char *from)
{
    *to = from && *from ? strdup(from) : NULL;
    return *to || !from || !*from;
}

int http_client_new(struct http_client **out, struct event_base *base, const struct http_settings *settings,
                    char *message, size_t size_bytes)
{
    CLEANUP(http_client_free) struct http_client *client = calloc(1, sizeof(*client));
    int r;

    snprintf(message, size_bytes, "out of memory");
    if (!client)
        return -ENOMEM;
    LIST_INIT(&client->requests);
    client->base = base;
    client->settings = *settings;
    r = curl_api_load(&client->curl, message, size_bytes);
    if (r < 0)
        return r;
    client->multi = client->curl->multi_init();
    client->timer = event_new(base, -1, 0, on_timer, client);
    if (!client->multi || !client->timer || !copy(&client->ca_file, settings->ca_file) ||
        !copy(&client->server_name, settings->server_name) || !copy(&client->header, settings->header))
        return -ENOMEM;
    client->curl->multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, curl_wants_socket);
    client->curl->multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    client->curl->multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, curl_wants_timer);
    client->curl->multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    *out = TAKE(client);
    return 0;
}
