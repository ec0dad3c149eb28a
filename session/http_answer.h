/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the answer to one HTTP/1.1 request (RFC 9112) as it arrives. Pure: bytes in, a status and a body out.
 */
#pragma once

#include "probe/base.h"

/* All zero but for the limit is "nothing has come". */
struct http_answer {
    size_t body_limit_bytes;
    long status; /* 200, 404, 502 ...; 0: not known yet */
    char *body;  /* the owner's, freed by http_answer_clear(); not terminated */
    size_t body_bytes;

    int stage; /* what comes next; the rest is for it */
    size_t room_bytes;
    size_t head_bytes; /* of all that is no body */
    uint64_t left_bytes;
    bool has_length;
    bool is_chunked;
    size_t line_bytes;
    char line[256]; /* the beginning of a line: more says nothing to us */
};

/*
 * Takes bytes. 1: the answer is complete, and what follows is ignored; 0: there must be more; -EBADMSG: that is no
 * HTTP; -EMSGSIZE: a body over the limit, or a head over 64 KiB; -ENOMEM.
 */
int http_answer_take(struct http_answer *answer, const char *bytes, size_t size_bytes);

/* The other end has closed. 1: so the answer is complete; -ECONNRESET: nothing had come; -EBADMSG: it is cut off. */
int http_answer_end(const struct http_answer *answer);

void http_answer_clear(struct http_answer *answer);
