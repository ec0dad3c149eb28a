/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: whatever somebody writes as a profile of the responder or as a rule of it, it is refused
 * with one line, or in range.
 */
#include "bench/responder/responder.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(free) char *text = calloc(1, size + 1);
    struct responder_profile profile;
    struct responder_rule rule;
    char message[256] = "";
    int r;

    memcpy(text, data, size);
    r = responder_profile_parse(&profile, text, message, sizeof(message));
    fuzz_check(r == 0 || (r == -EINVAL && message[0]));
    if (r == 0) {
        fuzz_check(profile.corrupt >= 0 && profile.corrupt <= 1 && profile.truncate >= 0 &&
                   profile.truncate <= 1);
        fuzz_check(profile.wrong_source >= 0 && profile.wrong_source <= 1);
    }
    message[0] = '\0';
    r = responder_rule_parse(&rule, text, message, sizeof(message));
    fuzz_check(r == 0 || (r == -EINVAL && message[0]));
    return 0;
}
