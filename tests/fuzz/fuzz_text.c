/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: whatever bytes come, what goes out for a terminal, in quotes and as JSON is well-formed
 * UTF-8 without controls, within its bounds, and what was good already is not touched. The first byte is the
 * room in the buffer, the rest the text.
 */
#include "tests/fuzz/fuzz.h"

#include "probe/text.h"

/*
 * Well-formed by its value, not by the table that is tested: the shortest form, no surrogate, in range; and
 * no control but the blanks of a document.
 */
static void check_output(const char *text, bool document)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *t = (const unsigned char *)text;

    while (*t) {
        unsigned bytes = *t < 0x80 ? 1 : *t < 0xe0 ? 2 : *t < 0xf0 ? 3 : 4;
        uint32_t code = bytes == 1 ? *t : *t & (0xffu >> (bytes + 1));

        fuzz_check(*t < 0x80 || (*t & 0xc0) == 0xc0);
        for (unsigned i = 1; i < bytes; i++) {
            fuzz_check((t[i] & 0xc0) == 0x80);
            code = code << 6 | (t[i] & 0x3f);
        }
        fuzz_check(code >= least[bytes] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff));
        fuzz_check((code >= ' ' || document) && (code < 0x7f || code > 0x9f));
        fuzz_check(code != 0x202e && code != 0x2028 && code != 0xfeff && code != 0x2066);
        t += bytes;
    }
}

static void check_bounded(const char *text, size_t room)
{
    char *exact = malloc(room + 3); /* so that a write past the end is seen by the sanitizer */
    CLEANUP(free) char *buffer = exact;

    check_output(text_quote(text, buffer, room + 3), false);
    fuzz_check(strlen(buffer) < room + 3 && strlen(buffer) >= 2);
    check_output(text_clean(text, buffer, room + 1), false);
    fuzz_check(strlen(buffer) <= room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(free) char *text = calloc(1, size + 1);
    CLEANUP(free) char *clean = malloc(4 * size + 1);
    CLEANUP(free) char *again = malloc(4 * size + 1);
    CLEANUP(free) char *json = NULL;

    if (size == 0)
        return 0;
    memcpy(text, data + 1, size - 1);
    check_bounded(text, data[0]);
    text_clean(text, clean, 4 * size + 1);
    check_output(clean, false);
    fuzz_check((text_plain_bytes(text) == strlen(text)) == (strcmp(text, clean) == 0));
    fuzz_check(strcmp(text_clean(clean, again, 4 * size + 1), clean) == 0);
    json = text_json(strdup(text));
    check_output(json, true);
    return 0;
}
