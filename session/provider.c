/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Providers: finds the kind by its name, keeps the settings, passes the calls on. "none" is the kind that can
 * do nothing.
 */
#include "session/provider.h"

#include "session/backend.h"

#define BODY_LIMIT_BYTES (4 * 1024 * 1024)
#define TOKEN_HEADER     "x-smartx-token"

static const struct session_backend session_backend_none = {
    .kind = "none",
    .size_bytes = sizeof(struct session_provider),
};

static const struct session_backend *backend_find(const char *kind)
{
    static const struct session_backend *const backends[] = {&session_backend_none, &session_backend_file,
                                                             &session_backend_rest};

    for (size_t i = 0; i < ARRAY_SIZE(backends); i++) {
        if (strcmp(kind, backends[i]->kind) == 0)
            return backends[i];
    }
    return NULL;
}

/* The provider's own copy. */
static int settings_copy(struct session_provider *provider, const struct session_provider_settings *settings)
{
    struct session_provider_settings *own = &provider->settings;
    const char **const members[] = {
        &own->kind,
        &own->file,
        &own->ca_file,
        &own->tls_server_name,
        &own->token_file,
        &own->token_header,
        &own->heartbeat_path,
        &own->fields.list,
        &own->fields.uuid,
        &own->fields.data,
        &own->fields.secondary,
        &own->fields.zone,
        &own->fields.host_data,
        &own->fields.alive_sec,
    };

    _Static_assert(ARRAY_SIZE(members) <= ARRAY_SIZE(provider->strings), "room for every string");
    *own = *settings;
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        if (*members[i] && **members[i]) {
            provider->strings[i] = strdup(*members[i]);
            if (!provider->strings[i])
                return -ENOMEM;
        }
        *members[i] = provider->strings[i];
    }
    if (!own->token_header)
        own->token_header = TOKEN_HEADER;
    if (own->body_limit_bytes == 0)
        own->body_limit_bytes = BODY_LIMIT_BYTES;
    return 0;
}

/* The kind of this name, or NULL with one line in message. */
static const struct session_backend *backend_choose(const char *kind, bool tls, char *message,
                                                    size_t size_bytes)
{
    const struct session_backend *backend = backend_find(kind);

    if (!backend) {
        snprintf(message, size_bytes, "no session provider \"%s\": expected rest, file or none", kind);
        return NULL;
    }
    if (tls && backend->has_tls && !backend->has_tls()) {
        snprintf(message, size_bytes, "this build has no TLS (libcurl), expected tls = false");
        return NULL;
    }
    return backend;
}

bool session_provider_possible(const char *kind, bool tls, char *message, size_t size_bytes)
{
    return backend_choose(kind, tls, message, size_bytes) != NULL;
}

int session_provider_new(struct session_provider **out, struct event_base *base,
                         const struct session_provider_settings *settings, char *message, size_t size_bytes)
{
    const struct session_backend *backend =
        backend_choose(settings->kind, settings->tls, message, size_bytes);
    CLEANUP(session_provider_free) struct session_provider *provider = NULL;
    int r;

    if (!backend)
        return -EINVAL;
    snprintf(message, size_bytes, "out of memory");
    provider = calloc(1, backend->size_bytes);
    if (!provider)
        return -ENOMEM;
    provider->backend = backend;
    r = settings_copy(provider, settings);
    if (r == 0 && backend->init)
        r = backend->init(provider, base, message, size_bytes);
    if (r < 0)
        return r;
    *out = TAKE(provider);
    return 0;
}

struct session_provider *session_provider_free(struct session_provider *provider)
{
    if (!provider)
        return NULL;
    if (provider->backend->free)
        provider->backend->free(provider);
    for (size_t i = 0; i < ARRAY_SIZE(provider->strings); i++)
        free(provider->strings[i]);
    free(provider);
    return NULL;
}

const char *session_provider_flaw(const struct session_provider *provider)
{
    return provider->flaw[0] ? provider->flaw : NULL;
}

int session_provider_list(struct session_provider *provider, const struct session_endpoint *endpoints,
                          size_t count, session_answer_fn *done, void *context)
{
    if (!provider->backend->list)
        return -ENOTSUP;
    return provider->backend->list(provider, endpoints, count, done, context);
}

int session_provider_refresh(struct session_provider *provider, const struct session_endpoint *endpoints,
                             size_t count, const char *uuid, const char *client_addresses,
                             session_answer_fn *done, void *context)
{
    if (!provider->backend->refresh)
        return -ENOTSUP;
    return provider->backend->refresh(provider, endpoints, count, uuid, client_addresses, done, context);
}

int session_provider_heartbeat(struct session_provider *provider, const struct session_endpoint *endpoint,
                               const char *body, session_answer_fn *done, void *context)
{
    if (!provider->backend->heartbeat)
        return -ENOTSUP;
    return provider->backend->heartbeat(provider, endpoint, body, done, context);
}

void session_provider_cancel_refresh(struct session_provider *provider)
{
    if (provider->backend->cancel_refresh)
        provider->backend->cancel_refresh(provider);
}
