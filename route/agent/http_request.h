/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP request as far as our two sockets need one: method, path, body by Content-Length (RFC 9112).
 */
#pragma once

#include "probe/base.h"

#define REQUEST_HEAD_MAX_BYTES 4096
#define REQUEST_BODY_MAX_BYTES 4096
#define REQUEST_MAX_BYTES      (REQUEST_HEAD_MAX_BYTES + REQUEST_BODY_MAX_BYTES)

struct http_request {
    char method[16];
    char path[64];    /* without the query */
    const char *body; /* in the text that was parsed */
    size_t body_bytes;
};

/*
 * Parses what has come so far. Returns 0 for a whole request, -EAGAIN when more must come, or the HTTP status
 * of a refusal: 400 not understood, 411 a body of no stated length, 413 a body too long, 414 a path too long,
 * 431 a head too long, 505 no HTTP/1.
 */
int http_request_parse(struct http_request *request, const char *text, size_t size_bytes);
