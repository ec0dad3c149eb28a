/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP requests as they come: whole, in pieces, and wrong. */
#include <criterion/criterion.h>

#include "route/agent/http_request.h"

#define POST "POST /v1/pin HTTP/1.1\r\nHost: x\r\n"

static const struct {
    const char *text;
    int expected;
    const char *method, *path, *body;
} requests[] = {
    {"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 0, "GET", "/metrics", ""},
    {"GET /metrics HTTP/1.0\n\n", 0, "GET", "/metrics", ""},
    {"GET /metrics?x=1 HTTP/1.1\r\n\r\n", 0, "GET", "/metrics", ""},
    {POST "Content-Length: 2\r\n\r\n{}", 0, "POST", "/v1/pin", "{}"},
    {POST "content-length:\t2  \r\n\r\n{}more", 0, "POST", "/v1/pin", "{}"},
    {POST "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 0, "POST", "/v1/pin", "{}"},
    {POST "\r\n", 0, "POST", "/v1/pin", ""},
    {"", -EAGAIN},
    {"GET /metrics HTTP/1.1\r\nHost: x\r\n", -EAGAIN},
    {"GET /metrics HTTP/1.1\r\n\r", -EAGAIN},
    {POST "Content-Length: 3\r\n\r\n{}", -EAGAIN},
    {POST "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400},
    {POST "Content-Length: -1\r\n\r\n", 400},
    {POST "Content-Length: 2 2\r\n\r\n{}", 400},
    {POST "Content-Length: \r\n\r\n", 400},
    {POST "Content-Length: 4097\r\n\r\n", 413},
    {POST "Content-Length: 99999999999999999999999999\r\n\r\n", 413},
    {POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411},
    {"\r\n", 400},
    {"GET\r\n\r\n", 400},
    {"GET /metrics\r\n\r\n", 400},
    {"GET  HTTP/1.1\r\n\r\n", 400},
    {" /metrics HTTP/1.1\r\n\r\n", 400},
    {"GET /metrics HTTP/2.0\r\n\r\n", 505},
    {"GET /metrics FTP\r\n\r\n", 400},
    {"GET /met\033[2J HTTP/1.1\r\n\r\n", 400},
    {"GET /met\xc3\xa9 HTTP/1.1\r\n\r\n", 400},
    {"AVERYLONGMETHODNAME / HTTP/1.1\r\n\r\n", 400},
    {"GET /0123456789012345678901234567890123456789012345678901234567890123456789 HTTP/1.1\r\n\r\n", 414},
    {"\x16\x03\x01\x02\n\n", 400}, /* TLS */
};

Test(http_request, as_it_is_meant)
{
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        struct http_request request;

        cr_expect_eq(http_request_parse(&request, requests[i].text, strlen(requests[i].text)),
                     requests[i].expected, "%s", requests[i].text);
        if (requests[i].expected)
            continue;
        cr_expect_str_eq(request.method, requests[i].method);
        cr_expect_str_eq(request.path, requests[i].path);
        cr_expect_eq(request.body_bytes, strlen(requests[i].body), "%s", requests[i].text);
        cr_expect_eq(memcmp(request.body, requests[i].body, request.body_bytes), 0);
    }
}

/* Byte for byte: more is wanted until it is whole, and never is it refused half-way. */
Test(http_request, in_pieces)
{
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        const char *text = requests[i].text;
        int last = -EAGAIN;

        for (size_t length = 0; length <= strlen(text) && last == -EAGAIN; length++) {
            char *copy = malloc(length + 1); /* so that a sanitizer sees a read beyond it */
            struct http_request request;

            memcpy(copy, text, length);
            last = http_request_parse(&request, copy, length);
            free(copy);
        }
        cr_expect_eq(last, requests[i].expected, "%s", text);
    }
}

Test(http_request, a_head_without_end)
{
    static char text[REQUEST_MAX_BYTES];
    struct http_request request;

    memset(text, 'x', sizeof(text));
    memcpy(text, "GET / HTTP/1.1\r\nA: ", 19);
    cr_expect_eq(http_request_parse(&request, text, REQUEST_HEAD_MAX_BYTES - 1), -EAGAIN);
    cr_expect_eq(http_request_parse(&request, text, REQUEST_HEAD_MAX_BYTES), 431);
    cr_expect_eq(http_request_parse(&request, text, sizeof(text)), 431);
    memcpy(text + sizeof(text) - 4, "\r\n\r\n", 4);
    cr_expect_eq(http_request_parse(&request, text, sizeof(text)), 431);
}
