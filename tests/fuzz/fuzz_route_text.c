/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: whatever a route command prints, the parsers stay within it. What they refuse has a reason in one
 * line, what they read can be a route, and an MTU can be one.
 *
 * The first byte picks the command, the rest is what it printed.
 */
#include "route/fib/esxcfg_text.h"
#include "route/fib/ip_text.h"
#include "tests/fuzz/fuzz.h"

static void check_table(const struct text_table *table, int r, const char *why)
{
    fuzz_check(r == 0 || r == -EBADMSG);
    fuzz_check((r == 0) == (why[0] == '\0') && !strchr(why, '\n'));
    for (size_t i = 0; r == 0 && i < table->count; i++) {
        const struct fib_route *route = &table->routes[i].route;

        fuzz_check(address_is_set(&route->destination));
        fuzz_check(route->prefix_length <= address_size_bytes(&route->destination) * 8);
        fuzz_check(memchr(table->routes[i].interface, 0, IF_NAMESIZE));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(free) char *text = size ? calloc(1, size) : NULL;
    struct text_table table = {0};
    char why[64] = "", line[32];
    uint32_t mtu_bytes;
    int r;

    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    r = data[0] == 'e' ? esxcfg_text_table(text, &table, why, sizeof(why))
                       : ip_text_table(text, data[0] == '6' ? AF_INET6 : AF_INET, &table, why, sizeof(why));
    check_table(&table, r, why);
    text_table_clear(&table);
    mtu_bytes = esxcfg_text_mtu(text, "vmk0");
    fuzz_check(mtu_bytes == 0 || (mtu_bytes >= 68 && mtu_bytes <= 65535));
    fuzz_check(!esxcfg_text_added(text, "10.0.0.1/32") || strstr(text, "Adding static route 10.0.0.1/32"));
    fuzz_check(!esxcfg_text_deleted(text, "10.0.0.1/32") ||
               strstr(text, "Deleting static route 10.0.0.1/32"));
    fuzz_check(strlen(text_one_line(text, line, sizeof(line))) < sizeof(line) && line[0]);
    return 0;
}
