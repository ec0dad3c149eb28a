/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a provider must do. Each kind is one file with one `struct session_backend`; provider.c finds it by
 * name, makes the provider with its copy of the settings, and passes the calls on. A function that is NULL is
 * not supported by that kind.
 */
#pragma once

#include "session/request.h"

struct event_base;

/* First member of each kind's own struct. */
struct session_provider {
    const struct session_backend *backend;
    struct session_provider_settings settings; /* checked, empty strings made NULL, defaults filled in */
    char *strings[16];                         /* that settings point to */
    char flaw[160];                            /* "": none */
};

struct session_backend {
    const char *kind;
    bool (*has_tls)(void); /* whether this build has it; NULL: that kind asks nobody */
    size_t size_bytes;     /* of its own struct */
    /* The rest of session_provider_new(). When it fails free() is called. */
    int (*init)(struct session_provider *provider, struct event_base *base, char *message, size_t size_bytes);
    void (*free)(struct session_provider *provider); /* what init() made; all zero is fine */
    /* As their namesakes in provider.h. */
    int (*list)(struct session_provider *provider, const struct session_endpoint *endpoints, size_t count,
                session_answer_fn *done, void *context);
    int (*refresh)(struct session_provider *provider, const struct session_endpoint *endpoints, size_t count,
                   const char *uuid, const char *client_addresses, session_answer_fn *done, void *context);
    int (*heartbeat)(struct session_provider *provider, const struct session_endpoint *endpoint,
                     const char *body, session_answer_fn *done, void *context);
    void (*cancel_refresh)(struct session_provider *provider);
};

extern const struct session_backend session_backend_rest;
extern const struct session_backend session_backend_file;
