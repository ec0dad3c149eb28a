/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: no bytes make the reader of HTTP answers read outside of what it was given or keep more than its
 * limit, and how they were cut into pieces changes nothing.
 */
#include "session/http_answer.h"
#include "tests/fuzz/fuzz.h"

#define LIMIT_BYTES 100

static int read_in_pieces(struct http_answer *answer, const uint8_t *data, size_t size, size_t piece)
{
    int r = 0;

    *answer = (struct http_answer){.body_limit_bytes = LIMIT_BYTES};
    for (size_t at = 0; r == 0 && at < size; at += piece) {
        size_t part = min_u64(piece, size - at);
        char *exact = malloc(part); /* nothing after it, for the sanitizer */

        memcpy(exact, data + at, part);
        r = http_answer_take(answer, exact, part);
        free(exact);
    }
    return r == 0 ? http_answer_end(answer) : r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_answer whole, pieces;
    int r = read_in_pieces(&whole, data, size, SIZE_MAX / 2);

    fuzz_check(r == 1 || r == -EBADMSG || r == -EMSGSIZE || r == -ECONNRESET);
    fuzz_check(r == read_in_pieces(&pieces, data, size, 3));
    fuzz_check(whole.status == pieces.status && whole.body_bytes <= LIMIT_BYTES);
    fuzz_check(r != 1 || (whole.body_bytes == pieces.body_bytes &&
                          (whole.body_bytes == 0 || memcmp(whole.body, pieces.body, whole.body_bytes) == 0)));
    http_answer_clear(&whole);
    http_answer_clear(&pieces);
    return 0;
}
