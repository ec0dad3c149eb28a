/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets and interfaces, on systems that lack some of the ways.
 */
#pragma once

#include "probe/base.h"

/*
 * What the socket sends leaves through this interface, and only what comes through it is received: SO_BINDTOIFINDEX,
 * or SO_BINDTODEVICE where the kernel is older than 5.1. 0 or a negative errno; -ENOPROTOOPT: this system has neither.
 */
int interface_bind(int fd, uint32_t ifindex);

/* Is this the errno of a system that does not have an option, not of one that refuses it to us? */
bool interface_option_is_unknown(int error);

/*
 * The interface's first address of the family: by getifaddrs(3), or by SIOCGIFADDR (netdevice(7), IPv4 only) where
 * that wants netlink and there is none. Empty: there is no such address, or nobody says.
 */
struct address interface_first_address(const char *name, int family);
