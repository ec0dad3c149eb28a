/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the parser of session lists: the first byte chooses the field names, the rest is the body. What is
 * understood must survive being printed and parsed again. Built by -Dfuzz=true (libFuzzer); the same function
 * runs over a fixed row of mutations in the normal suite (tests/session/test_mutation.c).
 */
#include "session/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct session_fields fields[] = {
        {0},
        {.list = "/a~1b/0", .uuid = "/id", .data = "/net/0", .alive_sec = "/~0"},
        {.list = ""},
    };
    CLEANUP(session_list_clear) struct session_list list = {0};
    CLEANUP(session_list_clear) struct session_list again = {0};
    CLEANUP(free) char *text = NULL;
    char message[64] = "";
    size_t skipped;
    int r;

    if (size == 0)
        return 0;
    r = session_list_parse((const char *)data + 1, size - 1, &fields[data[0] % ARRAY_SIZE(fields)], &list,
                           &skipped, message, sizeof(message));
    session_answer_check((const char *)data + 1, size - 1, message, sizeof(message));
    check(r == 0 || r == -EBADMSG || r == -EREMOTEIO);
    check(r == 0 || (list.count == 0 && message[0]));
    for (size_t i = 0; i < list.count; i++) {
        const struct session *s = &list.items[i];

        check(s->uuid[0] && strlen(s->uuid) < SESSION_UUID_SIZE);
        check(s->zone[0] && strlen(s->zone) < SESSION_ZONE_SIZE);
        check(address_is_set(&s->data) || address_is_set(&s->secondary));
        check(s->alive_sec <= UINT32_MAX);
    }
    if (r == 0) {
        text = session_list_print(&list);
        check(text);
        check(session_list_parse(text, strlen(text), NULL, &again, &skipped, message, sizeof(message)) == 0);
        check(again.count == list.count && skipped == 0);
    }
    return 0;
}
