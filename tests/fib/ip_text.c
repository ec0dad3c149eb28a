/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: the tables of iproute2 and of busybox are read, of both families, and what is not understood is an
 * error and never an empty table.
 */
#include "route/fib/ip_text.h"

#include <criterion/criterion.h>
#include <linux/rtnetlink.h>

#include "route/fib/fib.h"

static const struct {
    const char *text, *routes;
    uint8_t family;
} good[] = {
    {"default via 172.28.16.1 dev eth0 proto static metric 100 \n"
     "10.7.6.0/24 dev eth1 proto kernel scope link src 10.7.6.11 linkdown\n"
     "192.168.33.2 via 10.7.6.21 dev eth1 proto 213 \n",
     "0.0.0.0/0 via 172.28.16.1 proto static metric 100 eth0\n"
     "10.7.6.0/24 src 10.7.6.11 proto kernel metric 0 linkdown eth1\n"
     "192.168.33.2/32 via 10.7.6.21 proto 213 metric 0 eth1\n",
     AF_INET},
    {"default via 10.0.0.1 dev eth0 \n10.0.0.0/24 dev eth0 scope link  src 10.0.0.5 \n",
     "0.0.0.0/0 via 10.0.0.1 proto 0 metric 0 eth0\n10.0.0.0/24 src 10.0.0.5 proto 0 metric 0 eth0\n",
     AF_INET},
    {"blackhole 192.168.33.2 proto bird metric 5\nunreachable default\n192.168.33.2 tos 0x10 dev eth0 "
     "onlink\n",
     "blackhole 192.168.33.2/32 proto 0 metric 5 \nunreachable 0.0.0.0/0 proto 0 metric 0 \n"
     "192.168.33.2/32 proto 0 metric 0 tos 0x10 onlink eth0\n",
     AF_INET},
    {"default proto static metric 7 \n\tnexthop via 10.0.0.1 dev eth0 weight 1 \n\tnexthop via 10.0.0.2 dev "
     "eth1 "
     "weight 1 \n",
     "0.0.0.0/0 proto static metric 7 (and more next hops) \n", AF_INET},
    {"192.168.33.2 via inet6 fe80::1 dev eth0 proto 213\n",
     "192.168.33.2/32 via fe80::1 proto 213 metric 0 eth0\n", AF_INET},
    {"fd00::/64 dev eth0 proto kernel metric 256 pref medium\ndefault via fe80::1 dev eth0 proto ra metric "
     "1024 "
     "expires 1798sec hoplimit 64 pref medium\n",
     "fd00::/64 proto kernel metric 256 eth0\n::/0 via fe80::1 proto ra metric 1024 eth0\n", AF_INET6},
    {"", "", AF_INET},
    {"\n\n", "", AF_INET},
    {"Error: ipv4: FIB table does not exist.\nDump terminated\n", "", AF_INET},
    {"Error: ipv6: FIB table does not exist.\nDump terminated\n", "", AF_INET6},
};

Test(ip_text, good_tables)
{
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct text_table table = {0};
        char why[128] = "", got[1024] = "", text[256];
        size_t n = 0;

        cr_expect_eq(ip_text_table(good[i].text, good[i].family, &table, why, sizeof(why)), 0, "%s: %s",
                     good[i].text, why);
        for (size_t j = 0; j < table.count; j++) {
            struct fib_route route = table.routes[j].route;

            route.table = RT_TABLE_MAIN;
            n += (size_t)snprintf(got + n, sizeof(got) - n, "%s %s\n",
                                  fib_route_text(&route, text, sizeof(text)), table.routes[j].interface);
        }
        cr_expect_str_eq(got, good[i].routes, "%s\n%s", good[i].text, got);
        text_table_clear(&table);
    }
}

static const struct {
    const char *text, *why;
} bad[] = {
    {"RTNETLINK answers: Operation not permitted\n", "line 1: expected a destination"},
    {"Error: ipv4: FIB table does not exist.\n", "line 1: expected a destination"},
    {"default via 10.0.0.1 dev eth0\nError: ipv4: FIB table does not exist.\nDump terminated\n",
     "line 2: expected a destination"},
    {"default via 10.0.0.1 dev eth0\n10.0.0.0/33 dev eth0\n", "line 2: expected a destination"},
    {"10.0.0.0/ dev eth0\n", "line 1: expected a destination"},
    {"fd00::/64 dev eth0\n", "line 1: expected a destination"},
    {"unicast\n", "line 1: expected a destination"},
    {"default via\n", "line 1: expected via"},
    {"default via inet6\n", "line 1: expected via"},
    {"default via here dev eth0\n", "line 1: expected via"},
    {"default dev an-interface-of-many-letters\n", "line 1: expected dev"},
    {"default dev eth0 metric much\n", "line 1: expected metric"},
    {"default dev eth0 metric 4294967296\n", "line 1: expected metric"},
    {"default dev eth0 src\n", "line 1: expected src"},
    {"nexthop via 10.0.0.1 dev eth0\n", "line 1: expected a destination"},
};

Test(ip_text, bad_tables_say_nothing)
{
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct text_table table = {0};
        char why[128] = "";

        cr_expect_eq(ip_text_table(bad[i].text, AF_INET, &table, why, sizeof(why)), -EBADMSG, "%s",
                     bad[i].text);
        cr_expect_str_eq(why, bad[i].why, "%s: %s", bad[i].text, why);
        text_table_clear(&table);
    }
}
