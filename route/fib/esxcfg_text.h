/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What esxcfg-route and esxcfg-vmknic of ESXi print. Pure.
 *
 * Sources: the outputs that administrators publish (Broadcom KB 343820, 344105, 2081185), and VMware's own tests, which
 * tell success by the text. What is not understood is never taken for "there is no route".
 */
#pragma once

#include "route/fib/table_text.h"

/*
 * The table of `esxcfg-route -l`, IPv4: after a line that begins with "Network" one route a line,
 *
 *     Network          Netmask          Gateway          Interface
 *     192.168.33.2     255.255.255.255  10.9.8.121       vmk1
 *     10.9.8.0         255.255.255.0    Local Subnet     vmk1
 *     default          0.0.0.0          172.29.16.1      vmk0
 *
 * ESX 4 has no Interface; some versions draw a line of '-'. Appends to *table. 0, -ENOMEM, or -EBADMSG with what is
 * wrong in why: then the table says nothing.
 */
int esxcfg_text_table(const char *text, struct text_table *table, char *why, size_t size_bytes);

/* Does `esxcfg-route -a` or `-d` say that it did that? "Adding static route NET/LEN to VMkernel", "Deleting ... from".
 * Anything else is a refusal. */
bool esxcfg_text_added(const char *text, const char *prefix);
bool esxcfg_text_deleted(const char *text, const char *prefix);

/* Does it say that it did not get the lock of its configuration (after 20 or 30 s)? Then it has done nothing, and may do
 * it when it is asked again. */
bool esxcfg_text_locked(const char *text);

/*
 * The MTU of an interface by `esxcfg-vmknic -l`, in bytes; 0: it does not say. The columns are found by the offset of
 * their heads, as names of port groups contain blanks. Where an interface has more than one line the first one counts.
 */
uint32_t esxcfg_text_mtu(const char *text, const char *interface);
