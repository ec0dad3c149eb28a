/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what the service check asks to the byte, which bytes are an answer, and what answers, refusals and silence
 * mean: a refusal counts when a second one confirms it, silence when it has lasted for the window.
 */
#include "probe/scope.h"
#include "probe/service_protocol.h"
#include "session/service_verdict.h"

#include <criterion/criterion.h>

Test(service_answers, text)
{
    static const struct {
        const char *text;
        int kind; /* or -EINVAL */
        uint16_t port;
        const char *path;
    } rows[] = {
        {"tcp:2049", SERVICE_TCP, 2049, ""},
        {"tcp:1", SERVICE_TCP, 1, ""},
        {"tcp:65535", SERVICE_TCP, 65535, ""},
        {"nfs3:2049", SERVICE_NFS3, 2049, ""},
        {"iscsi:3260", SERVICE_ISCSI, 3260, ""},
        {"http:80/", SERVICE_HTTP, 80, "/"},
        {"http:8080/a/b?c=d&e", SERVICE_HTTP, 8080, "/a/b?c=d&e"},
        {"tcp:65536", -EINVAL},
        {"tcp:0", -EINVAL},
        {"tcp:", -EINVAL},
        {"tcp", -EINVAL},
        {"", -EINVAL},
        {"udp:1", -EINVAL},
        {"tcp:-1", -EINVAL},
        {"tcp: 1", -EINVAL},
        {"tcp:1x", -EINVAL},
        {"2049", -EINVAL},
        {"tcp:000001", -EINVAL},
        {"nfs3:", -EINVAL},
        {"nfs3:1/", -EINVAL},
        {"nfs:2049", -EINVAL},
        {"iscsi:", -EINVAL},
        {"iscsi:3260/", -EINVAL},
        {"http:80", -EINVAL},
        {"http:/x", -EINVAL},
        {"http:80/a b", -EINVAL},
        {"http:80/a\r\nb", -EINVAL},
        {"http:80/\xc3\xa4", -EINVAL},
        {"http:80/#a", -EINVAL},
        {"http:80/0123456789012345678901234567890123456789012345678901234567890123", -EINVAL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct service_protocol protocol;
        int r = service_protocol_parse(rows[i].text, &protocol);

        cr_expect_eq(r < 0 ? r : (int)protocol.kind, rows[i].kind, "%s", rows[i].text);
        if (r == 0) {
            cr_expect_eq(protocol.port, rows[i].port, "%s", rows[i].text);
            cr_expect_str_eq(protocol.path, rows[i].path);
        }
    }
}

static struct service_protocol protocol_of(const char *text)
{
    struct service_protocol protocol;

    cr_assert_eq(service_protocol_parse(text, &protocol), 0);
    return protocol;
}

static void expect_request(const char *protocol, const char *address, const void *bytes, size_t size)
{
    struct service_protocol p = protocol_of(protocol);
    uint8_t out[SERVICE_REQUEST_SIZE];
    struct address a;

    cr_assert_eq(address_parse(&a, address), 0);
    scope_name_address(&a); /* as the configuration has it */
    cr_expect_eq(service_request(&p, &a, 0x01020304, out), size, "%s", protocol);
    cr_expect_eq(memcmp(out, bytes, size), 0, "%s", protocol);
}

Test(service_answers, requests)
{
    static const uint8_t null_call[] = {0x80, 0, 0, 40,   1,    2, 3, 4, 0, 0, 0, 0, 0, 0, 0,
                                        2,    0, 1, 0x86, 0xa3, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0,
                                        0,    0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const char get4[] = "GET /up?x=1 HTTP/1.0\r\nHost: 192.0.2.1:8080\r\n\r\n",
                      get6[] = "GET / HTTP/1.0\r\nHost: [fe80::1]:80\r\n\r\n";

    expect_request("tcp:2049", "192.0.2.1", "", 0);
    expect_request("nfs3:2049", "192.0.2.1", null_call, sizeof(null_call));
    expect_request("http:8080/up?x=1", "192.0.2.1", get4, strlen(get4));
    expect_request("http:80/", "fe80::1%lo", get6, strlen(get6));
}

#define MARK(length) 0x80, 0, 0, (length)
#define XID          1, 2, 3, 4
#define WORD(n)      0, 0, 0, (n)
#define BYTES(...)   (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

Test(service_answers, null_replies)
{
    const struct {
        const char *what;
        const uint8_t *bytes;
        size_t size;
        int want;
        const char *why;
    } rows[] = {
        {"success", BYTES(MARK(24), XID, WORD(1), WORD(0), WORD(0), WORD(0), WORD(0)), 0},
        {"with a verifier of five bytes",
         BYTES(MARK(32), XID, WORD(1), WORD(0), WORD(6), WORD(5), 9, 9, 9, 9, 9, 0, 0, 0, WORD(0)), 0},
        {"version mismatch: a server of another NFS version",
         BYTES(MARK(32), XID, WORD(1), WORD(0), WORD(0), WORD(0), WORD(2), WORD(4), WORD(4)), 0},
        {"denied: wants credentials", BYTES(MARK(20), XID, WORD(1), WORD(1), WORD(1), WORD(5)), 0},
        {"not complete: nothing", NULL, 0, -EAGAIN},
        {"not complete: half a mark", BYTES(0x80, 0), -EAGAIN},
        {"not complete: one byte short", BYTES(MARK(24), XID, WORD(1), WORD(0), WORD(0), WORD(0), 0, 0, 0),
         -EAGAIN},
        {"no such program", BYTES(MARK(24), XID, WORD(1), WORD(0), WORD(0), WORD(0), WORD(1)), -EPROTO,
         "NFS is not served at this port"},
        {"system error", BYTES(MARK(24), XID, WORD(1), WORD(0), WORD(0), WORD(0), WORD(5)), -EPROTO,
         "the server lacks memory or the like (RPC SYSTEM_ERR)"},
        {"the answer to another call", BYTES(MARK(24), WORD(9), WORD(1), WORD(0), WORD(0), WORD(0), WORD(0)),
         -EPROTO, "no RPC reply"},
        {"a call", BYTES(MARK(24), XID, WORD(0), WORD(0), WORD(0), WORD(0), WORD(0)), -EPROTO,
         "no RPC reply"},
        {"neither accepted nor denied", BYTES(MARK(24), XID, WORD(1), WORD(7), WORD(0), WORD(0), WORD(0)),
         -EPROTO, "no RPC reply"},
        {"not the last fragment", BYTES(0, 0, 0, 24, XID, WORD(1), WORD(0), WORD(0), WORD(0), WORD(0)),
         -EPROTO, "no RPC reply"},
        {"far too long", BYTES(0x80, 0, 4, 0, XID), -EPROTO, "no RPC reply"},
        {"too short", BYTES(MARK(8), XID, WORD(1)), -EPROTO, "no RPC reply"},
        {"more than one", BYTES(MARK(20), XID, WORD(1), WORD(1), WORD(1), WORD(5), 7), -EPROTO,
         "no RPC reply"},
        {"text", BYTES('S', 'S', 'H', '-', '2', '.', '0'), -EPROTO, "no RPC reply"},
        {"no status", BYTES(MARK(20), XID, WORD(1), WORD(0), WORD(0), WORD(0)), -EPROTO,
         "a broken RPC reply"},
        {"a verifier beyond the end", BYTES(MARK(24), XID, WORD(1), WORD(0), WORD(0), WORD(5), WORD(0)),
         -EPROTO, "a broken RPC reply"},
        {"a verifier that ends at the end but for its padding",
         BYTES(MARK(27), XID, WORD(1), WORD(0), WORD(0), WORD(1), 9, 0, 0, 0, 0, 0, 0), -EPROTO,
         "a broken RPC reply"},
        {"a verifier of four gigabytes",
         BYTES(MARK(24), XID, WORD(1), WORD(0), WORD(0), 0xff, 0xff, 0xff, 0xff, WORD(0)), -EPROTO,
         "a broken RPC reply"},
    };
    struct service_protocol nfs3 = protocol_of("nfs3:2049");

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *why = "";

        cr_expect_eq(service_answer_parse(&nfs3, 0x01020304, rows[i].bytes, rows[i].size, &why), rows[i].want,
                     "%s", rows[i].what);
        if (rows[i].why)
            cr_expect_str_eq(why, rows[i].why, "%s: %s", rows[i].what, why);
    }
}

Test(service_answers, http_responses)
{
    static const struct {
        const char *text;
        int want;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n", 0},   {"HTTP/1.0 204", 0},
        {"HTTP/1.1 302 Found", 0},    {"", -EAGAIN},
        {"HTTP/1.1 20", -EAGAIN},     {"HTT", -EAGAIN},
        {"HTTP/1.1 503 ", -EPROTO},   {"HTTP/1.1 404 ", -EPROTO},
        {"HTTP/1.1 100 ", -EPROTO},   {"HTTP/2.0 200 OK", -EPROTO},
        {"SSH-2.0-OpenSSH", -EPROTO}, {"HTTP/1.1 2x0", -EPROTO},
    };
    struct service_protocol http = protocol_of("http:80/");

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *why = "";

        cr_expect_eq(
            service_answer_parse(&http, 0, (const uint8_t *)rows[i].text, strlen(rows[i].text), &why),
            rows[i].want, "%s", rows[i].text);
    }
}

/* One letter an event: q asked, a answered, r refused, . time passes. Window 1 s. */
Test(service_answers, verdicts)
{
    static const struct {
        const char *what;
        bool assumed;
        struct {
            unsigned ms;
            char event;
            enum service_check_state want;
        } events[8];
    } rows[] = {
        {"one answer is enough", false, {{1, 'q', SERVICE_CHECK_UNKNOWN}, {2, 'a', SERVICE_CHECK_GOOD}}},
        {"a refusal is confirmed",
         false,
         {{1, 'a', SERVICE_CHECK_GOOD},
          {100, 'r', SERVICE_CHECK_GOOD},
          {149, 'r', SERVICE_CHECK_GOOD},
          {150, 'r', SERVICE_CHECK_BAD},
          {300, 'a', SERVICE_CHECK_GOOD}}},
        {"a refusal that an answer takes back",
         false,
         {{1, 'a', SERVICE_CHECK_GOOD},
          {100, 'r', SERVICE_CHECK_GOOD},
          {150, 'a', SERVICE_CHECK_GOOD},
          {250, 'r', SERVICE_CHECK_GOOD},
          {299, 'r', SERVICE_CHECK_GOOD},
          {300, 'r', SERVICE_CHECK_BAD}}},
        {"silence counts from the first question without an answer",
         false,
         {{1, 'a', SERVICE_CHECK_GOOD},
          {100, 'q', SERVICE_CHECK_GOOD},
          {600, 'q', SERVICE_CHECK_GOOD},
          {1099, '.', SERVICE_CHECK_GOOD},
          {1100, '.', SERVICE_CHECK_BAD},
          {1200, 'a', SERVICE_CHECK_GOOD}}},
        {"a late answer ends the silence",
         false,
         {{100, 'q', SERVICE_CHECK_UNKNOWN},
          {1099, 'a', SERVICE_CHECK_GOOD},
          {1100, '.', SERVICE_CHECK_GOOD},
          {1500, 'q', SERVICE_CHECK_GOOD},
          {2499, '.', SERVICE_CHECK_GOOD},
          {2500, '.', SERVICE_CHECK_BAD}}},
        {"a refusal ends it too",
         false,
         {{100, 'q', SERVICE_CHECK_UNKNOWN},
          {1000, 'r', SERVICE_CHECK_UNKNOWN},
          {1100, '.', SERVICE_CHECK_UNKNOWN}}},
        {"of an assumed service nothing counts before its first answer",
         true,
         {{1, 'r', SERVICE_CHECK_UNKNOWN},
          {100, 'r', SERVICE_CHECK_UNKNOWN},
          {200, 'q', SERVICE_CHECK_UNKNOWN},
          {9000, '.', SERVICE_CHECK_UNKNOWN},
          {9001, 'a', SERVICE_CHECK_GOOD},
          {9002, 'r', SERVICE_CHECK_GOOD},
          {9052, 'r', SERVICE_CHECK_BAD}}},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct service_verdict verdict = {.window_ns = NS_PER_S, .assumed = rows[i].assumed};

        for (size_t j = 0; j < ARRAY_SIZE(rows[i].events) && rows[i].events[j].event; j++) {
            uint64_t now_ns = rows[i].events[j].ms * NS_PER_MS;
            bool refused = rows[i].events[j].event == 'r';

            if (rows[i].events[j].event == 'q')
                service_verdict_asked(&verdict, now_ns);
            else if (rows[i].events[j].event == 'a')
                service_verdict_answered(&verdict);
            else if (refused)
                service_verdict_refused(&verdict, now_ns);
            service_verdict_silent(&verdict, now_ns);
            cr_expect_eq(verdict.state, rows[i].events[j].want, "%s: event %zu", rows[i].what, j);
            cr_expect_eq(service_verdict_is_pending(&verdict),
                         verdict.refused_ns && rows[i].events[j].want != SERVICE_CHECK_BAD &&
                             (!rows[i].assumed || verdict.answered_once),
                         "%s: event %zu", rows[i].what, j);
            if (service_verdict_silent_at_ns(&verdict) != NEVER_NS)
                cr_expect_gt(service_verdict_silent_at_ns(&verdict), now_ns, "%s: event %zu", rows[i].what,
                             j);
        }
    }
}
