/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ip(8) of iproute2 and of busybox prints as a table of routes. Pure.
 */
#pragma once

#include "route/fib/table_text.h"

/*
 * The output of `ip route show`, one route a line:
 *
 *     default via 172.29.16.1 dev eth0 proto static metric 100
 *     192.168.33.2 via 10.9.8.121 dev eth1 proto 213
 *     10.9.8.0/24 dev eth1 proto kernel scope link src 10.9.8.11
 *
 * What it says of a route besides is passed over. Appends to *table; no line is an empty table. 0, -ENOMEM, or
 * -EBADMSG with what is wrong in why: then the table says nothing.
 */
int ip_text_table(const char *text, uint8_t family, struct text_table *table, char *why, size_t size_bytes);

/*
 * Does `ip route show` say that the kernel has no such table? It makes one with the first route that is put there, so
 * until then the table is empty, although the command fails:
 *
 *     Error: ipv4: FIB table does not exist.
 *     Dump terminated
 */
bool ip_text_no_table(const char *text);
