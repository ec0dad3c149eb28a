/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Providers: where lists of sessions come from, and where refreshes and heartbeats go.
 *
 * "rest" asks the cluster's REST service (tools/doc/session-service.md), "file" reads a JSON file and follows
 * its changes, "none" never says anything. Each is a struct of functions behind one handle; all run inside
 * the owner's libevent loop and thread, never block, and answer by callback from that loop (never from inside
 * the call that asked).
 */
#pragma once

#include "session/session.h"

struct event_base;
struct session_provider;

/* One address of an access that can be asked now. */
struct session_endpoint {
    uint32_t access; /* the caller's number of the access: endpoints with the same number are ways to the same
                        one */
    struct address address;
};

/* How a request ended. */
struct session_answer {
    int error;           /* 0; or a negative errno: -ETIMEDOUT, -ECONNREFUSED, -EBADMSG (what came is no
                            list), -EREMOTEIO (an error answer), -ENOENT (404: that session is gone),
                            -EMSGSIZE (body over the bound), -EPROTO (TLS), -ECONNRESET and other errors of
                            the connection */
    const char *message; /* one line: what, from whom; for the log. Valid during the callback */
    struct session_endpoint origin;  /* who answered; access UINT32_MAX: not an access (a file) */
    const struct session_list *list; /* of a list request with error 0; valid during the callback */
    size_t skipped;                  /* entries left out */
    unsigned unasked; /* other accesses among the endpoints that had not been asked by then: 0 means that
                         nobody else could be (`others_up` of session_liveness_observe() is false) */
    uint64_t took_ns;
};
typedef void session_answer_fn(void *context, const struct session_answer *answer);

struct session_provider_settings {
    const char *kind;    /* "rest", "file", "none" */
    const char *file;    /* file: path of the JSON file */
    uint16_t port;       /* rest */
    uint64_t timeout_ns; /* rest: of a whole request; connecting gets half of it */
    uint64_t
        hedge_ns; /* rest: the next access is asked too when the one before has not answered in this time */
    size_t body_limit_bytes;     /* rest and file: a longer body is an error, not memory (default 4 MiB) */
    bool tls;                    /* rest: https, server certificate checked */
    const char *ca_file;         /* rest: NULL: the system's */
    const char *tls_server_name; /* rest: name expected in the certificate; NULL: the address */
    const char *token_file;      /* rest: NULL or "": none. Must be readable by its owner only */
    const char *token_header;    /* rest: "x-smartx-token" (default) or "Authorization" (sent as Bearer) */
    const char *heartbeat_path;  /* rest: NULL or "": no heartbeats */
    struct session_fields fields;
};

/* Whether this build has such a provider; false with one line in message. */
bool session_provider_possible(const char *kind, char *message, size_t size_bytes);

/*
 * Makes a provider. Strings are copied. Returns 0, or a negative errno with one line in message: -EINVAL
 * (not possible; settings; a token file that others can read), -ENOENT and so on (token file), -ENOSYS (libcurl cannot be
 * loaded), -ENOMEM.
 */
int session_provider_new(struct session_provider **out, struct event_base *base,
                         const struct session_provider_settings *settings, char *message, size_t size_bytes);
/* Ends everything that is under way; no callback comes after it. Not from inside a callback. */
struct session_provider *session_provider_free(struct session_provider *provider);
DEFINE_CLEANUP(struct session_provider *, session_provider_free)

/* What does not work as it should on this host, in one line; NULL: nothing. The provider's. */
const char *session_provider_flaw(const struct session_provider *provider);

/*
 * Lists. Endpoints in the order of preference; the first one of each access is used first. rest: requests are
 * hedged, the first good answer wins and the others are cancelled; when all fail the callback gets the last
 * error. A list request that is still under way is replaced by the new one (its callback never comes). An
 * empty list is a failure as long as another access can still answer, else it is given. file: endpoints are
 * ignored; besides answering it calls back again whenever the file changes. none: -ENOTSUP from the call
 * itself. -EINVAL: no endpoint, or one without an address.
 */
int session_provider_list(struct session_provider *provider, const struct session_endpoint *endpoints,
                          size_t count, session_answer_fn *done, void *context);

/*
 * Tells the cluster that client_addresses (comma-separated) enter through session uuid. Endpoints as above.
 * One refresh at a time: a new one replaces the one under way. -ENOTSUP (file, none).
 */
int session_provider_refresh(struct session_provider *provider, const struct session_endpoint *endpoints,
                             size_t count, const char *uuid, const char *client_addresses,
                             session_answer_fn *done, void *context);

/* Posts body (JSON) to heartbeat_path at the endpoint. One at a time. -ENOTSUP: no path configured, file,
 * none. */
int session_provider_heartbeat(struct session_provider *provider, const struct session_endpoint *endpoint,
                               const char *body, session_answer_fn *done, void *context);

/* Ends a refresh under way, if any: its callback never comes. */
void session_provider_cancel_refresh(struct session_provider *provider);
