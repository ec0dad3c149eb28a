/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: no bytes make the parser of a service's answers read outside of what it was given. A refusal says
 * why. Every shorter part of a good reply to NULL is "not complete".
 *
 * The first byte picks the protocol, the rest is what a server sent.
 */
#include "probe/service_protocol.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const texts[] = {"tcp:2049", "nfs3:2049", "http:80/"};
    struct service_protocol protocol;
    const char *why = NULL;
    uint8_t *exact;
    int verdict;

    if (size == 0 || service_protocol_parse(texts[data[0] % ARRAY_SIZE(texts)], &protocol) < 0)
        return 0;
    exact = malloc(size); /* nothing after it, for the sanitizer */
    memcpy(exact, data + 1, size - 1);
    verdict = service_answer_parse(&protocol, 0x01020304, exact, size - 1, &why);
    fuzz_check(verdict == 0 || verdict == -EAGAIN || (verdict == -EPROTO && why && *why));
    for (size_t part = 0; verdict == 0 && protocol.kind == SERVICE_NFS3 && part < size - 1; part++)
        fuzz_check(service_answer_parse(&protocol, 0x01020304, exact, part, &why) == -EAGAIN);
    free(exact);
    return 0;
}
