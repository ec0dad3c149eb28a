/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rest provider: the cluster's REST service (tools/doc/session-service.md).
 *
 * Any access answers for the whole cluster, so a call (list, refresh, heartbeat) is a row of attempts, one
 * per address: first the first address of each access in the caller's order, then the others. The first
 * attempt starts at once, each further one when the one before it has failed, or has not answered within
 * hedge_ns. The first good answer ends the call and cancels what is still under way; when the last attempt
 * has failed, the last error is the answer. So one node that hangs costs hedge_ns and not a timeout, and a
 * refused connection costs nothing.
 *
 * Everything belongs to the owner's loop. A call under way is replaced by the next one of its kind: there is
 * one slot for each.
 *
 * Deliberately not done: no retry (the owner knows whether an answer is still wanted), no memory of who
 * answered fast (the owner gives the order), no guarantee of order between a refresh that was given up and
 * the one after it: a server that read the first may still carry it out late.
 */
#include "session/backend.h"
#include "session/http.h"
#include "session/token.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <event2/event.h>

#define LIST_PATH    "/api/v3/sessions"
#define REFRESH_PATH "/api/v2/zbs_session/session/"

enum call_kind { CALL_LIST, CALL_REFRESH, CALL_HEARTBEAT, CALL_KINDS };

struct attempt {
    struct call *call;
    struct session_endpoint endpoint;
    struct http_request *http; /* NULL: not yet, or over */
};

struct call {
    struct rest *rest;
    enum call_kind kind;
    struct attempt *attempts; /* in the order of trying; the first `accesses` are to different accesses */
    size_t count, accesses, next, running;
    struct event *hedge;
    uint64_t started_ns;
    char *path;
    char *body;
    session_answer_fn *done;
    void *context;
    struct session_answer worst; /* what to say if nothing better comes */
    char message[256];           /* of it */
};

struct rest {
    struct session_provider provider;
    struct http_client *http;
    struct timeval hedge;
    struct call calls[CALL_KINDS];
};

static void attempt_next(struct call *call);

/* --- the end of a call --------------------------------------------------------------------------------- */

static void call_stop(struct call *call)
{
    for (size_t i = 0; i < call->count; i++)
        http_request_cancel(call->attempts[i].http);
    free(call->attempts);
    free(call->path);
    free(call->body);
    call->attempts = NULL;
    call->path = call->body = NULL;
    call->count = call->accesses = call->next = call->running = 0;
    event_del(call->hedge);
}

/* The call is free for the next one before its callback runs. */
static void call_finish(struct call *call, struct session_answer *answer)
{
    session_answer_fn *done = call->done;
    void *context = call->context;

    answer->took_ns = clock_now_ns(CLOCK_MONOTONIC) - call->started_ns;
    answer->unasked = (unsigned)sub_sat_u64(call->accesses, call->next);
    call_stop(call);
    done(context, answer);
}

/* Is this failure worth more than the one noted before? The last one is, but for two that say more. */
static bool failure_counts(const struct call *call, int error)
{
    if (call->kind == CALL_LIST)
        return call->worst.error != 0; /* an empty list is still a list */
    return call->worst.error != -ENOENT || error == -ENOENT;
}

static void call_fail(struct call *call, const struct attempt *attempt, int error, const char *why)
{
    if (failure_counts(call, error)) {
        call->worst = (struct session_answer){.error = error, .origin = attempt->endpoint};
        snprintf(call->message, sizeof(call->message), "%s: %s", ADDRESS_TEXT(&attempt->endpoint.address),
                 why);
    }
    attempt_next(call);
}

/* An empty list says nothing, and neither would the same access at another address. */
static void call_empty(struct call *call, const struct attempt *attempt)
{
    size_t kept = call->next;

    call->worst = (struct session_answer){.origin = attempt->endpoint};
    snprintf(call->message, sizeof(call->message), "%s: an empty list",
             ADDRESS_TEXT(&attempt->endpoint.address));
    for (size_t i = call->next; i < call->count; i++) {
        if (call->attempts[i].endpoint.access != attempt->endpoint.access)
            call->attempts[kept++] = call->attempts[i];
    }
    call->count = kept;
    attempt_next(call);
}

/* --- answers ------------------------------------------------------------------------------------------- */

/* Does the HTTP status say that there is something to read? */
static int status_check(const struct call *call, const struct http_result *result, char *message,
                        size_t size_bytes)
{
    if (result->status >= 200 && result->status < 300)
        return 0;
    /* The service's own words are better than a number; a proxy's page is not. */
    if (session_answer_check(result->body, result->body_bytes, message, size_bytes) != -EREMOTEIO)
        snprintf(message, size_bytes, "HTTP %ld", result->status);
    return call->kind == CALL_REFRESH && result->status == 404 ? -ENOENT : -EREMOTEIO;
}

static void on_answer(void *context, const struct http_result *result)
{
    struct attempt *attempt = context;
    struct call *call = attempt->call;
    struct session_answer answer = {.message = "", .origin = attempt->endpoint};
    CLEANUP(session_list_clear) struct session_list list = {0};
    char message[256] = "";
    int r = result->error;

    attempt->http = NULL;
    call->running--;
    if (r < 0)
        snprintf(message, sizeof(message), "%s", result->message);
    else
        r = status_check(call, result, message, sizeof(message));
    if (r == 0 && call->kind == CALL_LIST)
        r = session_list_parse(result->body, result->body_bytes, &call->rest->provider.settings.fields, &list,
                               &answer.skipped, message, sizeof(message));
    else if (r == 0)
        r = session_answer_check(result->body, result->body_bytes, message, sizeof(message));
    if (r < 0)
        return call_fail(call, attempt, r, message);
    if (call->kind == CALL_LIST && list.count == 0)
        return call_empty(call, attempt);
    if (call->kind == CALL_LIST)
        answer.list = &list;
    call_finish(call, &answer);
}

/* --- attempts ------------------------------------------------------------------------------------------ */

static int attempt_start(struct attempt *attempt)
{
    static const char *const methods[] = {
        [CALL_LIST] = "GET", [CALL_REFRESH] = "PUT", [CALL_HEARTBEAT] = "POST"};
    struct call *call = attempt->call;
    struct http_target target = {
        .method = methods[call->kind],
        .address = attempt->endpoint.address,
        .port = call->rest->provider.settings.port,
        .path = call->path,
        .body = call->body,
    };

    return http_request_start(&attempt->http, call->rest->http, &target, on_answer, attempt);
}

/* Nobody gave a good answer: a failure, or at best an empty list. */
static void call_end(struct call *call)
{
    static const struct session_list empty;
    struct session_answer answer = call->worst;
    char message[sizeof(call->message) + 64];

    if (answer.error < 0 && call->count > 1)
        snprintf(message, sizeof(message), "asked %zu addresses; %s", call->count, call->message);
    else
        snprintf(message, sizeof(message), "%s", call->message);
    answer.message = message;
    if (call->kind == CALL_LIST && answer.error == 0)
        answer.list = &empty;
    call_finish(call, &answer);
}

/* Starts the next attempt, if there is one; ends the call if nothing is under way any more. */
static void attempt_next(struct call *call)
{
    while (call->next < call->count) {
        struct attempt *attempt = &call->attempts[call->next++];
        int r = attempt_start(attempt);

        if (r == 0) {
            call->running++;
            event_add(call->hedge, &call->rest->hedge);
            return;
        }
        call->worst = (struct session_answer){.error = r, .origin = attempt->endpoint};
        snprintf(call->message, sizeof(call->message), "cannot ask: %s", strerror(-r));
    }
    if (call->running == 0)
        call_end(call);
}

static void on_hedge(evutil_socket_t fd, short what, void *context)
{
    struct call *call = context;

    if (call->next < call->count)
        attempt_next(call);
}

/* The first address of every access, then the others, each in the caller's order. */
static int attempts_make(struct call *call, const struct session_endpoint *endpoints, size_t count)
{
    call->attempts = calloc(count ? count : 1, sizeof(*call->attempts));
    if (!call->attempts)
        return -ENOMEM;
    for (int others = 0; others < 2; others++) {
        for (size_t i = 0; i < count; i++) {
            size_t first = 0;

            if (!address_is_set(&endpoints[i].address))
                return -EINVAL;
            while (endpoints[first].access != endpoints[i].access)
                first++;
            if ((first == i) == !others)
                call->attempts[call->count++] = (struct attempt){.call = call, .endpoint = endpoints[i]};
        }
        if (!others)
            call->accesses = call->count;
    }
    return count ? 0 : -EINVAL;
}

/* Takes path and body. */
static int call_start(struct call *call, char *path, char *body, const struct session_endpoint *endpoints,
                      size_t count, session_answer_fn *done, void *context)
{
    int r;

    call_stop(call);
    call->path = path;
    call->body = body;
    r = path ? attempts_make(call, endpoints, count) : -ENOMEM;
    if (r == 0)
        r = attempt_start(&call->attempts[0]);
    if (r < 0) {
        call_stop(call);
        return r;
    }
    call->next = call->running = 1;
    call->started_ns = clock_now_ns(CLOCK_MONOTONIC);
    call->done = done;
    call->context = context;
    call->worst = (struct session_answer){.error = -EIO};
    event_add(call->hedge, &call->rest->hedge);
    return 0;
}

/* --- the three calls ----------------------------------------------------------------------------------- */

static int rest_list(struct session_provider *provider, const struct session_endpoint *endpoints,
                     size_t count, session_answer_fn *done, void *context)
{
    struct rest *rest = (struct rest *)provider;

    return call_start(&rest->calls[CALL_LIST], strdup(LIST_PATH), NULL, endpoints, count, done, context);
}

/* Everything but letters, digits and "-" percent-encoded (RFC 3986, section 2.1). */
static char *refresh_path(const char *uuid)
{
    size_t size_bytes = sizeof(REFRESH_PATH) + 3 * strlen(uuid), used = strlen(REFRESH_PATH);
    char *path = malloc(size_bytes);

    if (!path)
        return NULL;
    memcpy(path, REFRESH_PATH, used + 1);
    for (; *uuid; uuid++) {
        bool plain = isalnum((unsigned char)*uuid) || *uuid == '-';

        used +=
            (size_t)snprintf(path + used, size_bytes - used, plain ? "%c" : "%%%02X", (unsigned char)*uuid);
    }
    return path;
}

static char *refresh_body(const char *client_addresses)
{
    cJSON *object = cJSON_CreateObject();
    char *body = NULL;

    if (cJSON_AddStringToObject(object, "local_clients_ips", client_addresses))
        body = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return body;
}

static int rest_refresh(struct session_provider *provider, const struct session_endpoint *endpoints,
                        size_t count, const char *uuid, const char *client_addresses, session_answer_fn *done,
                        void *context)
{
    struct rest *rest = (struct rest *)provider;
    char *body = refresh_body(client_addresses);

    if (!body)
        return -ENOMEM;
    return call_start(&rest->calls[CALL_REFRESH], refresh_path(uuid), body, endpoints, count, done, context);
}

static int rest_heartbeat(struct session_provider *provider, const struct session_endpoint *endpoint,
                          const char *body, session_answer_fn *done, void *context)
{
    struct rest *rest = (struct rest *)provider;
    char *copy;

    if (!provider->settings.heartbeat_path)
        return -ENOTSUP;
    copy = strdup(body);
    if (!copy)
        return -ENOMEM;
    return call_start(&rest->calls[CALL_HEARTBEAT], strdup(provider->settings.heartbeat_path), copy, endpoint,
                      1, done, context);
}

static void rest_cancel_refresh(struct session_provider *provider)
{
    call_stop(&((struct rest *)provider)->calls[CALL_REFRESH]);
}

/* --- the provider -------------------------------------------------------------------------------------- */

static void rest_free(struct session_provider *provider)
{
    struct rest *rest = (struct rest *)provider;

    for (int kind = 0; kind < CALL_KINDS; kind++) {
        if (rest->calls[kind].hedge) {
            call_stop(&rest->calls[kind]);
            event_free(rest->calls[kind].hedge);
        }
    }
    http_client_free(rest->http);
}

static int settings_check(const struct session_provider_settings *settings, char *message, size_t size_bytes)
{
    const char *wrong = NULL;

    if (settings->port == 0)
        wrong = "port is 0";
    else if (settings->timeout_ns < NS_PER_MS)
        wrong = "timeout is less than 1 ms";
    else if (settings->heartbeat_path && settings->heartbeat_path[0] != '/')
        wrong = "heartbeat-path does not begin with \"/\"";
    else if (settings->ca_file && access(settings->ca_file, R_OK) < 0)
        wrong = "ca-file cannot be read";
    if (!wrong)
        return 0;
    snprintf(message, size_bytes, "session provider rest: %s", wrong);
    return -EINVAL;
}

static int rest_init(struct session_provider *provider, struct event_base *base, char *message,
                     size_t size_bytes)
{
    struct rest *rest = (struct rest *)provider;
    const struct session_provider_settings *settings = &provider->settings;
    CLEANUP(free) char *header = NULL;
    int r;

    r = settings_check(settings, message, size_bytes);
    if (r == 0 && settings->token_file)
        r = token_header_read(&header, settings->token_header, settings->token_file, message, size_bytes);
    if (r < 0)
        return r;
    rest->hedge.tv_sec = (time_t)(settings->hedge_ns / NS_PER_S);
    rest->hedge.tv_usec = (suseconds_t)(settings->hedge_ns % NS_PER_S / NS_PER_US);
    for (int kind = 0; kind < CALL_KINDS; kind++) {
        rest->calls[kind] = (struct call){.rest = rest, .kind = kind};
        rest->calls[kind].hedge = event_new(base, -1, 0, on_hedge, &rest->calls[kind]);
        if (!rest->calls[kind].hedge)
            return -ENOMEM;
    }
    return http_client_new(&rest->http, base,
                           &(struct http_settings){
                               .timeout_ns = settings->timeout_ns,
                               .body_limit_bytes = settings->body_limit_bytes,
                               .tls = settings->tls,
                               .ca_file = settings->ca_file,
                               .server_name = settings->tls_server_name,
                               .header = header,
                           },
                           message, size_bytes);
}

const struct session_backend session_backend_rest = {
    .kind = "rest",
    .size_bytes = sizeof(struct rest),
    .has_tls = http_has_tls,
    .init = rest_init,
    .free = rest_free,
    .list = rest_list,
    .refresh = rest_refresh,
    .heartbeat = rest_heartbeat,
    .cancel_refresh = rest_cancel_refresh,
};
