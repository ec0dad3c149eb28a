/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves which bytes are an HTTP answer, and how its end is known; each row in one piece and byte by byte.
 */
#include <criterion/criterion.h>

#include "session/http_answer.h"

#define LIMIT_BYTES 10
#define OK          "HTTP/1.1 200 OK\r\n"

static const struct {
    const char *title, *bytes;
    int want; /* of http_answer_take(); with 0 of http_answer_end() */
    bool end;
    long status;
    const char *body;
} rows[] = {
    {"a length", OK "Content-Length: 2\r\n\r\n[]", 1, false, 200, "[]"},
    {"a length twice", OK "content-length:2\r\nCONTENT-LENGTH:\t2\r\n\r\n[]", 1, false, 200, "[]"},
    {"two lengths", OK "Content-Length: 2\r\nContent-Length: 3\r\n\r\n", -EBADMSG, false, 200, ""},
    {"no digit", OK "Content-Length: -1\r\n\r\n", -EBADMSG, false, 200, ""},
    {"no number of ours", OK "Content-Length: 99999999999999999999\r\n\r\n", -EBADMSG, false, 200, ""},
    {"more than digits", OK "Content-Length: 0x2\r\n\r\n[]", -EBADMSG, false, 200, ""},
    {"a list of lengths", OK "Content-Length: 2, 2\r\n\r\n[]", -EBADMSG, false, 200, ""},
    {"a length, then blanks", OK "Content-Length: 2 \t\r\n\r\n[]", 1, false, 200, "[]"},
    {"as long as allowed", OK "Content-Length: 10\r\n\r\n0123456789", 1, false, 200, "0123456789"},
    {"announced too long", OK "Content-Length: 11\r\n\r\n", -EMSGSIZE, false, 200, ""},
    {"nothing", OK "Content-Length: 0\r\n\r\n", 1, false, 200, ""},
    {"what follows is ignored", OK "Content-Length: 2\r\n\r\n[]more", 1, false, 200, "[]"},
    {"cut off", OK "Content-Length: 3\r\n\r\n[]", -EBADMSG, true, 200, "[]"},
    {"up to the end", OK "\r\n[]", 1, true, 200, "[]"},
    {"up to the end, too long", OK "\r\n01234567890", -EMSGSIZE, true, 200, "0123456789"},
    {"no words, bare line ends", "HTTP/1.0 404\n\n", 1, true, 404, ""},
    {"no body by its status", "HTTP/1.1 204 No Content\r\n\r\n", 1, false, 204, ""},
    {"interim answers first", "HTTP/1.1 103 E\r\nContent-Length: 9\r\n\r\n" OK "\r\n[]", 1, true, 200, "[]"},
    {"chunks", OK "Transfer-Encoding: chunked\r\n\r\n1;a=b\r\n[\r\n1\r\n]\r\n0\r\nT: x\r\n\r\n", 1, false,
     200, "[]"},
    {"chunks before a length", OK "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1,
     false, 200, ""},
    {"half a chunk", OK "Transfer-Encoding: chunked\r\n\r\n2\r\n[", -EBADMSG, true, 200, "["},
    {"too long in chunks", OK "Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\nA\r\n", -EMSGSIZE, false, 200,
     "["},
    {"a chunk longer than it says", OK "Transfer-Encoding: chunked\r\n\r\n1\r\n[]\r\n", -EBADMSG, false, 200,
     "["},
    {"a chunk without a size", OK "Transfer-Encoding: chunked\r\n\r\n\r\n", -EBADMSG, false, 200, ""},
    {"blanks after a size", OK "Transfer-Encoding: chunked\r\n\r\n2 ;a\r\n[]\r\n0\t\r\n\r\n", 1, false, 200,
     "[]"},
    {"a size by C's words", OK "Transfer-Encoding: chunked\r\n\r\n0x2\r\n[]\r\n0\r\n\r\n", -EBADMSG, false,
     200, ""},
    {"more than a size", OK "Transfer-Encoding: chunked\r\n\r\n2z\r\n[]\r\n0\r\n\r\n", -EBADMSG, false, 200,
     ""},
    {"another coding", OK "Transfer-Encoding: gzip, chunked\r\n\r\n", -EBADMSG, false, 200, ""},
    {"nothing came", "", -ECONNRESET, true, 0, ""},
    {"half a line", "HTTP/1.1 2", -EBADMSG, true, 0, ""},
    {"not this HTTP", "HTTP/2.0 200 OK\r\n", -EBADMSG, false, 0, ""},
    {"no status", "HTTP/1.1 2xx OK\r\n", -EBADMSG, false, 0, ""},
    {"a status that is none", "HTTP/1.1 099 X\r\n", -EBADMSG, false, 99, ""},
    {"not HTTP, and no line either", "220 ", -EBADMSG, false, 0, ""},
};

/* In pieces of this size. */
static void try(size_t i, size_t piece_bytes)
{
    struct http_answer answer = {.body_limit_bytes = LIMIT_BYTES};
    size_t size_bytes = strlen(rows[i].bytes);
    int r = 0;

    for (size_t at = 0; r == 0 && at < size_bytes; at += piece_bytes)
        r = http_answer_take(&answer, rows[i].bytes + at, min_u64(piece_bytes, size_bytes - at));
    cr_expect(rows[i].end ? r == 0 || r == rows[i].want : r == rows[i].want, "%s: %d", rows[i].title, r);
    if (r == 0)
        r = http_answer_end(&answer);
    cr_expect_eq(r, rows[i].want, "%s: %d", rows[i].title, r);
    cr_expect_eq(answer.status, rows[i].status, "%s: %ld", rows[i].title, answer.status);
    /* What is over the limit is not kept, or kept up to it. */
    cr_expect(answer.body_bytes <= strlen(rows[i].body) &&
                  (r == -EMSGSIZE || answer.body_bytes == strlen(rows[i].body)) &&
                  (answer.body_bytes == 0 || memcmp(answer.body, rows[i].body, answer.body_bytes) == 0),
              "%s: %.*s", rows[i].title, (int)answer.body_bytes, answer.body ? answer.body : "");
    http_answer_clear(&answer);
}

Test(http_answer, rows)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        try(i, SIZE_MAX / 2);
        try(i, 1);
    }
}

Test(http_answer, a_head_ends_at_64_kib)
{
    struct http_answer answer = {.body_limit_bytes = LIMIT_BYTES};
    size_t taken_bytes = strlen(OK);
    int r = http_answer_take(&answer, OK, taken_bytes);

    for (; r == 0 && taken_bytes < 1 << 20; taken_bytes++)
        r = http_answer_take(&answer, "x", 1);
    cr_expect_eq(r, -EMSGSIZE);
    cr_expect_eq(taken_bytes, 65536 + 1);
    http_answer_clear(&answer);
}
