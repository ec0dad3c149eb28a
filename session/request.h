/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a provider is made from, whom it asks, and how a request ends.
 */
#pragma once

#include "session/session.h"

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

/* Whether this build has such a provider, over TLS if that is asked for; false with one line in message. */
bool session_provider_possible(const char *kind, bool tls, char *message, size_t size_bytes);
