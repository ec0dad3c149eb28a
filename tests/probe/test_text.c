/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: of text from outside, well-formed UTF-8 that can be seen passes as it is; all else is
 * written out, for a terminal, in quotes and in JSON; what does not fit is cut off between two characters.
 */
#include <criterion/criterion.h>
#include <limits.h>
#include <locale.h>
#include <wchar.h>

#include "probe/text.h"

static const struct {
    const char *name, *text, *terminal, *json;
} rows[] = {
    {"nothing", "", "", ""},
    {"ASCII, with a backslash", "a b~\\", "a b~\\", "a b~\\"},
    {"an umlaut",
     "b\xc3\xbc"
     "cher",
     "b\xc3\xbc"
     "cher",
     "b\xc3\xbc"
     "cher"},
    {"Chinese", "\xe4\xb8\xad\xe6\x96\x87", "\xe4\xb8\xad\xe6\x96\x87", "\xe4\xb8\xad\xe6\x96\x87"},
    {"a musical clef", "\xf0\x9d\x84\x9e", "\xf0\x9d\x84\x9e", "\xf0\x9d\x84\x9e"},
    {"the last before the surrogates, the first after", "\xed\x9f\xbf\xee\x80\x80",
     "\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80"},
    {"the first that can be seen after C1", "\xc2\xa0", "\xc2\xa0", "\xc2\xa0"},
    {"an escape sequence", "\x1b[2J", "\\x1b[2J", "\x1b[2J"}, /* cJSON escapes C0 itself */
    {"DEL", "a\x7f", "a\\x7f", "a\\u007f"},
    {"C1: CSI",
     "\xc2\x9b"
     "2J",
     "\\xc2\\x9b2J", "\\u009b2J"},
    {"C1 as one byte",
     "\x9b"
     "2J",
     "\\x9b2J", "\\ufffd2J"},
    {"an override",
     "\xe2\x80\xae"
     "cod.exe",
     "\\xe2\\x80\\xaecod.exe", "\\u202ecod.exe"},
    {"an isolate", "\xe2\x81\xa6", "\\xe2\\x81\\xa6", "\\u2066"},
    {"a line separator", "\xe2\x80\xa8", "\\xe2\\x80\\xa8", "\\u2028"},
    {"a zero-width space",
     "a\xe2\x80\x8b"
     "b",
     "a\\xe2\\x80\\x8bb", "a\\u200bb"},
    {"a byte order mark", "\xef\xbb\xbf", "\\xef\\xbb\\xbf", "\\ufeff"},
    {"a noncharacter", "\xef\xbf\xbf", "\\xef\\xbf\\xbf", "\\uffff"},
    {"a tag", "\xf3\xa0\x81\x81", "\\xf3\\xa0\\x81\\x81", "\\udb40\\udc41"},
    {"overlong, two bytes", "\xc0\xaf", "\\xc0\\xaf", "\\ufffd\\ufffd"},
    {"overlong, three bytes", "\xe0\x9f\xbf", "\\xe0\\x9f\\xbf", "\\ufffd\\ufffd\\ufffd"},
    {"overlong, four bytes", "\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf", "\\ufffd\\ufffd\\ufffd\\ufffd"},
    {"a surrogate", "\xed\xa0\x80", "\\xed\\xa0\\x80", "\\ufffd\\ufffd\\ufffd"},
    {"above U+10FFFF", "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\ufffd\\ufffd\\ufffd\\ufffd"},
    {"no first byte", "\xff\xfe", "\\xff\\xfe", "\\ufffd\\ufffd"},
    {"cut off", "a\xe4\xb8", "a\\xe4\\xb8", "a\\ufffd\\ufffd"},
    {"cut off, then going on",
     "\xf0\x9d\x84"
     "a",
     "\\xf0\\x9d\\x84a", "\\ufffd\\ufffd\\ufffda"},
    {"a continuation alone", "\x80", "\\x80", "\\ufffd"},
};

Test(text, tables)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CLEANUP(free) char *json = text_json(strdup(rows[i].text));

        cr_expect_str_eq(TEXT(rows[i].text), rows[i].terminal, "%s: %s", rows[i].name, TEXT(rows[i].text));
        cr_expect_str_eq(json, rows[i].json, "%s: %s", rows[i].name, json);
        cr_expect_eq(text_plain_bytes(rows[i].text) == strlen(rows[i].text),
                     strcmp(rows[i].text, rows[i].terminal) == 0, "%s", rows[i].name);
    }
}

Test(text, quotes)
{
    char buffer[32];

    cr_expect_str_eq(text_quote("a\"b\\c\n\x1b", buffer, sizeof(buffer)), "\"a\\\"b\\\\c\\x0a\\x1b\"");
    cr_expect_str_eq(text_quote("", buffer, 3), "\"\"");
    cr_expect_str_eq(text_quote("abc", buffer, 3), "\"\"");
    cr_expect_str_eq(text_quote("a\"b", buffer, 5), "\"a\"", "no half of an escape: %s", buffer);
}

/* The whole of Unicode, against the C library: what is plain is what it reads and what we do not hide. */
Test(text, every_character)
{
    unsigned hidden = 0;

    cr_assert_not_null(setlocale(LC_CTYPE, "C.UTF-8"));
    for (uint32_t code = 1; code <= 0x10ffff; code++) {
        char text[MB_LEN_MAX + 1] = "";
        mbstate_t state = {0};
        size_t bytes = wcrtomb(text, (wchar_t)code, &state);

        if (bytes == (size_t)-1) /* a surrogate */
            continue;
        cr_assert(text_plain_bytes(text) == bytes || text_plain_bytes(text) == 0, "U+%04x", code);
        hidden += text_plain_bytes(text) == 0;
    }
    cr_expect_eq(hidden, 4305, "%u", hidden);
}

Test(text, cut_between_characters)
{
    static const char text[] = "a\xc3\xbc\x1b\xe4\xb8\xad";
    static const char *const want[] = {"",
                                       "a",
                                       "a",
                                       "a\xc3\xbc",
                                       "a\xc3\xbc",
                                       "a\xc3\xbc",
                                       "a\xc3\xbc",
                                       "a\xc3\xbc\\x1b",
                                       "a\xc3\xbc\\x1b",
                                       "a\xc3\xbc\\x1b",
                                       "a\xc3\xbc\\x1b\xe4\xb8\xad"};

    for (size_t size = 1; size <= ARRAY_SIZE(want); size++) {
        char *buffer = malloc(size);

        cr_expect_str_eq(text_clean(text, buffer, size), want[size - 1], "%zu: %s", size, buffer);
        free(buffer);
    }
}

/* The layout of a document stays; what can be left alone is not copied. */
Test(text, documents)
{
    char *plain = strdup("{\n\t\"a\":\t\"\xc3\xbc\"\n}");
    CLEANUP(free) char *same = text_json(plain);
    CLEANUP(free) char *other = text_json(strdup("{\n\t\"a\":\t\"\xc3\",\n\t\"b\":\t\"\xc2\x9b\"\n}"));

    cr_expect_eq(same, plain);
    cr_expect_str_eq(other, "{\n\t\"a\":\t\"\\ufffd\",\n\t\"b\":\t\"\\u009b\"\n}");
    cr_expect_null(text_json(NULL));
}
