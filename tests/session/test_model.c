/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves that session_list_parse() understands every envelope and spelling that session-service.md names, that one
 * bad entry costs that entry only, and that what is no list is an error with a reason. Byte-wise fuzzing is
 * in test_mutation.c.
 */
#include "session/session.h"

#include <criterion/criterion.h>

/* A list as text: "uuid ip secondary host zone alive", "-" for what is missing, entries joined by "; ". */
static void list_text(const struct session_list *list, char *out, size_t size_bytes)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < list->count; i++) {
        const struct session *s = &list->items[i];
        char alive[24] = "-";

        if (s->has_alive_sec)
            snprintf(alive, sizeof(alive), "%" PRIu64, s->alive_sec);
        used += (size_t)snprintf(out + used, size_bytes - used, "%s%s %s %s %s %s %s", i ? "; " : "", s->uuid,
                                 ADDRESS_TEXT(&s->data), ADDRESS_TEXT(&s->secondary),
                                 ADDRESS_TEXT(&s->host_data), s->zone, alive);
    }
}

static const struct {
    const char *title;
    const char *body;
    int error;
    const char *want; /* list_text(), or a part of the message */
    size_t skipped;
} rows[] = {
    {"the list of session-service.md",
     "{\"ec\": \"EOK\", \"error\": {}, \"data\": [{\"uuid\": \"86dccf70-f0c8-4a02-ab6d-ca9a49ffcd74\", "
     "\"ip\": "
     "\"10.10.85.15\", \"num_ip\": 257231370, \"port\": 10201, \"cid\": 1, \"secondary_data_ip\": "
     "\"20.0.85.15\", \"zone\": \"default\", \"scvm_mode_host_data_ip\": \"10.10.85.11\", \"alive_sec\": "
     "27028, "
     "\"machine_uuid\": \"93506396-2f6c-11ee-903c-525400bdd182\"}, {\"uuid\": \"afe6d52a\", \"ip\": "
     "\"10.10.85.16\", \"zone\": \"b\", \"alive_sec\": 12}]}",
     0,
     "86dccf70-f0c8-4a02-ab6d-ca9a49ffcd74 10.10.85.15 20.0.85.15 10.10.85.11 default 27028; afe6d52a "
     "10.10.85.16 - - b 12"},
    {"array at the top", "[{\"uuid\":\"a\",\"ip\":\"10.0.0.1\"}]", 0, "a 10.0.0.1 - - default -"},
    {"under /data/sessions", "{\"data\":{\"sessions\":[{\"uuid\":\"a\",\"ip\":\"10.0.0.1\"}]}}", 0,
     "a 10.0.0.1 - - default -"},
    {"space around", "\r\n\t [{\"uuid\":\"a\",\"ip\":\"10.0.0.1\"}] \r\n", 0, "a 10.0.0.1 - - default -"},
    {"only a secondary address", "[{\"uuid\":\"a\",\"ip\":\"\",\"secondary_data_ip\":\"20.0.0.1\"}]", 0,
     "a - 20.0.0.1 - default -"},
    {"IPv6", "[{\"uuid\":\"a\",\"ip\":\"fd00::1\"}]", 0, "a fd00::1 - - default -"},
    {"numbers as strings", "[{\"uuid\":\"a\",\"ip\":\"10.0.0.1\",\"alive_sec\":\"27028\"}]", 0,
     "a 10.0.0.1 - - default 27028"},
    {"a number with a fraction", "[{\"uuid\":\"a\",\"ip\":\"10.0.0.1\",\"alive_sec\":12.9}]", 0,
     "a 10.0.0.1 - - default 12"},
    {"numbers that are none count as missing",
     "[{\"uuid\":\"a\",\"ip\":\"10.0.0.1\",\"alive_sec\":-1},"
     "{\"uuid\":\"b\",\"ip\":\"10.0.0.2\",\"alive_sec\":1e400},"
     "{\"uuid\":\"c\",\"ip\":\"10.0.0.3\",\"alive_sec\":\"12s\"},"
     "{\"uuid\":\"d\",\"ip\":\"10.0.0.4\",\"alive_sec\":4294967296},"
     "{\"uuid\":\"e\",\"ip\":\"10.0.0.5\",\"alive_sec\":\"99999999999999999999\"},"
     "{\"uuid\":\"f\",\"ip\":\"10.0.0.6\",\"alive_sec\":null},"
     "{\"uuid\":\"g\",\"ip\":\"10.0.0.7\",\"alive_sec\":[1]}]",
     0,
     "a 10.0.0.1 - - default -; b 10.0.0.2 - - default -; c 10.0.0.3 - - default -; d 10.0.0.4 - - default "
     "-; e "
     "10.0.0.5 - - default -; f 10.0.0.6 - - default -; g 10.0.0.7 - - default -"},
    {"addresses that are not addresses cost their entry",
     "[{\"uuid\":\"a\",\"ip\":\"10.0.0\"},{\"uuid\":\"b\",\"ip\":\"host.example\"},{\"uuid\":\"c\",\"ip\":"
     "\"\"},"
     "{\"uuid\":\"d\",\"ip\":\"0.0.0.0\"},{\"uuid\":\"e\",\"ip\":\"224.0.0.1\"},{\"uuid\":\"f\",\"ip\":"
     "257231370},"
     "{\"uuid\":\"g\",\"ip\":\"::\"},{\"uuid\":\"h\",\"ip\":\"ff02::1\"},{\"uuid\":\"i\",\"ip\":\"fe80::1%"
     "lo\"},"
     "{\"uuid\":\"j\",\"ip\":\"255.255.255.255\"},{\"uuid\":\"k\"},{\"uuid\":\"l\",\"ip\":\"10.0.0.1\"}]",
     0, "l 10.0.0.1 - - default -", 11},
    {"a bad second address costs only that address",
     "[{\"uuid\":\"a\",\"ip\":\"10.0.0.1\",\"secondary_data_ip\":\"x\",\"scvm_mode_host_data_ip\":\"y\"}]", 0,
     "a 10.0.0.1 - - default -"},
    {"entries without a usable uuid are left out",
     "[{\"ip\":\"10.0.0.1\"},{\"uuid\":\"\",\"ip\":\"10.0.0.1\"},{\"uuid\":7,\"ip\":\"10.0.0.1\"},"
     "{\"uuid\":\"a b\",\"ip\":\"10.0.0.1\"},{\"uuid\":\"a\\r\\nX: y\",\"ip\":\"10.0.0.1\"},"
     "{\"uuid\":\"0123456789012345678901234567890123456789012345678901234567890123\",\"ip\":\"10.0.0.1\"},"
     "{\"uuid\":\"012345678901234567890123456789012345678901234567890123456789012\",\"ip\":\"10.0.0.2\"}]",
     0, "012345678901234567890123456789012345678901234567890123456789012 10.0.0.2 - - default -", 6},
    {"entries that are no objects", "[1,\"x\",null,[],{\"uuid\":\"a\",\"ip\":\"10.0.0.1\"}]", 0,
     "a 10.0.0.1 - - default -", 4},
    {"zones that are none are the default",
     "[{\"uuid\":\"a\",\"ip\":\"10.0.0.1\",\"zone\":\"\"},{\"uuid\":\"b\",\"ip\":\"10.0.0.2\",\"zone\":3},"
     "{\"uuid\":\"c\",\"ip\":\"10.0.0.3\",\"zone\":\"a\\nb\"}]",
     0, "a 10.0.0.1 - - default -; b 10.0.0.2 - - default -; c 10.0.0.3 - - default -"},
    {"duplicates are kept: liveness decides",
     "[{\"uuid\":\"a\",\"ip\":\"10.0.0.1\",\"alive_sec\":9},{\"uuid\":\"b\",\"ip\":\"10.0.0.1\",\"alive_"
     "sec\":1}]",
     0, "a 10.0.0.1 - - default 9; b 10.0.0.1 - - default 1"},
    {"an empty list", "{\"ec\":\"EOK\",\"data\":[]}", 0, ""},
    {"an error answer", "{\"ec\":\"ENOLEADER\",\"error\":{\"msg\":\"no leader\\nyet\"},\"data\":[]}",
     -EREMOTEIO, "ENOLEADER: no leader yet"},
    {"an error answer without words", "{\"ec\":\"EPERM\"}", -EREMOTEIO, "EPERM"},
    {"an ec that is no string", "{\"ec\":5,\"data\":[]}", -EREMOTEIO, "error answer"},
    {"an ec that is null is none", "{\"ec\":null,\"data\":[]}", 0, ""},
    {"nothing", "", -EBADMSG, "not JSON"},
    {"an HTML page", "<html><body>502 Bad Gateway</body></html>", -EBADMSG, "not JSON"},
    {"cut off", "{\"ec\":\"EOK\",\"data\":[{\"uuid\":\"a\",\"ip\":\"10.0", -EBADMSG, "not JSON"},
    {"something behind it", "[] <html>", -EBADMSG, "after the end"},
    {"no list in it", "{\"data\":{\"items\":[]}}", -EBADMSG, "no array"},
    {"a list that is an object", "{\"data\":{\"sessions\":{}}}", -EBADMSG, "no array"},
    {"a number", "7", -EBADMSG, "no array"},
};

Test(model, lists)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CLEANUP(session_list_clear) struct session_list list = {0};
        size_t skipped = 99;
        char message[256] = "", text[2048];
        int r = session_list_parse(rows[i].body, strlen(rows[i].body), NULL, &list, &skipped, message,
                                   sizeof(message));

        cr_expect_eq(r, rows[i].error, "%s: %d (%s)", rows[i].title, r, message);
        if (r < 0) {
            cr_expect(strstr(message, rows[i].want), "%s: \"%s\"", rows[i].title, message);
            cr_expect_null(strpbrk(message, "\r\n"), "%s: more than a line", rows[i].title);
            cr_expect_null(list.items, "%s: not empty on failure", rows[i].title);
            continue;
        }
        list_text(&list, text, sizeof(text));
        cr_expect_str_eq(text, rows[i].want, "%s: \"%s\"", rows[i].title, text);
        cr_expect_eq(skipped, rows[i].skipped, "%s: %zu skipped", rows[i].title, skipped);
    }
}

/* Field names as JSON Pointers: another cluster's list, RFC 6901's escapes, an array index. */
Test(model, fields_are_json_pointers)
{
    static const char body[] =
        "{\"a/"
        "b\":{\"m~n\":[{\"id\":\"u1\",\"net\":{\"ips\":[\"10.0.0.1\",\"20.0.0.1\"]},\"up\":\"7\",\"\":\"z\","
        "\"host\":{\"ip\":\"10.0.0.9\"}}]}}";
    static const struct session_fields fields = {
        .list = "/a~1b/m~0n",
        .uuid = "/id",
        .data = "/net/ips/0",
        .secondary = "/net/ips/1",
        .zone = "/",
        .host_data = "/host/ip",
        .alive_sec = "/up",
    };
    static const char *const no_list[] = {"a~1b",        "/a",           "/a~1b/m~0n/0",
                                          "/a~1b/m~0n/", "/a~1b/m~0n/-", "/a~1b/m~2n"};
    CLEANUP(session_list_clear) struct session_list list = {0};
    char message[256], text[256];

    cr_assert_eq(session_list_parse(body, strlen(body), &fields, &list, NULL, message, sizeof(message)), 0);
    list_text(&list, text, sizeof(text));
    cr_expect_str_eq(text, "u1 10.0.0.1 20.0.0.1 10.0.0.9 z 7");
    for (size_t i = 0; i < ARRAY_SIZE(no_list); i++) {
        struct session_fields wrong = {.list = no_list[i]};

        session_list_clear(&list);
        cr_expect_eq(session_list_parse(body, strlen(body), &wrong, &list, NULL, message, sizeof(message)),
                     -EBADMSG, "%s", no_list[i]);
        cr_expect(strstr(message, no_list[i]), "%s", message);
    }
}

/* A body that says "n times this", for what is too deep, too many, too long. */
static int parse_repeated(const char *head, const char *unit, size_t count, const char *tail, char *message)
{
    CLEANUP(session_list_clear) struct session_list list = {0};
    CLEANUP(free) char *body = malloc(strlen(head) + count * strlen(unit) + strlen(tail) + 1);
    char *end = body;

    end = stpcpy(end, head);
    for (size_t i = 0; i < count; i++)
        end = stpcpy(end, unit);
    end = stpcpy(end, tail);
    return session_list_parse(body, (size_t)(end - body), NULL, &list, NULL, message, 256);
}

Test(model, bounds)
{
    char message[256];

    cr_expect_eq(parse_repeated("", "[", 100000, "", message), -EBADMSG, "deep nesting");
    cr_expect_eq(parse_repeated("", "[", 900, "", message), -EBADMSG, "deep nesting below cJSON's limit");
    cr_expect_eq(parse_repeated("[0", ",0", 1000000, "]", message), -EBADMSG, "a million values");
    cr_expect(strstr(message, "values"));
    cr_expect_eq(parse_repeated("[{}", ",{}", 1024, "]", message), -EBADMSG, "1025 entries");
    cr_expect(strstr(message, "1025 sessions"));
    cr_expect_eq(parse_repeated("[{}", ",{}", 1023, "]", message), 0, "1024 entries");
    cr_expect_eq(parse_repeated("[\"", "x", 4 << 20, "\"]", message), 0, "one long string");
}

Test(model, print_and_parse_give_the_same)
{
    static const char body[] =
        "[{\"uuid\":\"a\\\"b\",\"ip\":\"10.0.0.1\",\"secondary_data_ip\":\"fd00::2\","
        "\"scvm_mode_host_data_ip\":\"10.0.0.9\",\"zone\":\"z \xc3\xa4\",\"alive_sec\":4294967295},"
        "{\"uuid\":\"b\",\"secondary_data_ip\":\"20.0.0.2\"}]";
    CLEANUP(session_list_clear) struct session_list first = {0};
    CLEANUP(session_list_clear) struct session_list second = {0};
    CLEANUP(free) char *text = NULL;
    char message[256], a[512], b[512];

    cr_assert_eq(session_list_parse(body, strlen(body), NULL, &first, NULL, message, sizeof(message)), 0);
    text = session_list_print(&first);
    cr_assert_not_null(text);
    cr_assert_eq(session_list_parse(text, strlen(text), NULL, &second, NULL, message, sizeof(message)), 0);
    list_text(&first, a, sizeof(a));
    list_text(&second, b, sizeof(b));
    cr_expect_str_eq(a, b);
    cr_expect(strstr(a, "4294967295"), "%s", a);
}

Test(model, answers)
{
    static const struct {
        const char *body;
        int error;
    } answers[] = {
        {"", 0},
        {" \r\n", 0},
        {"{}", 0},
        {"{\"ec\":\"EOK\"}", 0},
        {"{\"ec\":\"EOK\",\"data\":{}}", 0},
        {"true", 0},
        {"{\"ec\":\"ENOENT\",\"error\":{\"msg\":\"x\"}}", -EREMOTEIO},
        {"<html>", -EBADMSG},
        {"{\"ec\":\"EO", -EBADMSG},
    };
    char message[256];

    for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
        cr_expect_eq(session_answer_check(answers[i].body, strlen(answers[i].body), message, sizeof(message)),
                     answers[i].error, "%s", answers[i].body);
}
