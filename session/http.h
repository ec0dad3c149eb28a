/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests to numeric addresses, inside the owner's libevent loop. Used by the rest provider only.
 */
#pragma once

#include "probe/base.h"

struct event_base;
struct http_client;
struct http_request;

struct http_settings {
    uint64_t timeout_ns;     /* of a whole request; connecting gets half of it */
    size_t body_limit_bytes; /* a longer body ends the request */
    bool tls;                /* https, certificate checked */
    const char *ca_file;     /* NULL: the system's */
    const char *server_name; /* name that the certificate must have; NULL: the address */
    const char *header;      /* one more header line; NULL: none */
};

/* What to ask whom. */
struct http_target {
    const char *method; /* "GET", "PUT", "POST"; static */
    struct address address;
    uint16_t port;
    const char *path; /* copied */
    const char *body; /* JSON, copied; NULL: none */
};

struct http_result {
    int error;           /* 0: an answer came; else as in struct session_answer */
    const char *message; /* of an error: why */
    long status;         /* of an answer: 200, 404, 502 ... */
    const char *body;    /* of an answer; not terminated */
    size_t body_bytes;
};

/* The request is gone when it returns. May start and cancel other requests, but not free the client. */
typedef void http_done_fn(void *context, const struct http_result *result);

/* Whether this build can ask over TLS (http.c, by libcurl) or not (http_plain.c). */
bool http_has_tls(void);

/*
 * Strings are copied. SIGPIPE may be ignored from then on. Without TLS in this build settings->tls must be false.
 * 0 or a negative errno with one line in message: -ENOSYS: the build has libcurl and the host has not; -ENOMEM.
 */
int http_client_new(struct http_client **out, struct event_base *base, const struct http_settings *settings,
                    char *message, size_t size_bytes);
struct http_client *http_client_free(struct http_client *client); /* cancels what is under way */
DEFINE_CLEANUP(struct http_client *, http_client_free)

/* done comes later from the loop, never from here. -ENOMEM, -EIO. */
int http_request_start(struct http_request **out, struct http_client *client,
                       const struct http_target *target, http_done_fn *done, void *context);
/* No callback comes after it. Accepts NULL, returns NULL. */
struct http_request *http_request_cancel(struct http_request *request);
