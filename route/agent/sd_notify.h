/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the service manager: readiness, reload, stop, watchdog. The protocol of sd_notify(3): one datagram
 * of "KEY=VALUE" lines to the socket named by $NOTIFY_SOCKET. It is stable and documented for independent
 * implementations; linking libsystemd for it would make every start of `reroute report` load five more
 * libraries.
 */
#pragma once

#include "probe/base.h"

/* From now on the service manager is who has the other end of this datagram socket, not $NOTIFY_SOCKET. It stays the
 * caller's. */
void notify_through(int fd);

/* Sends state; does nothing when no service manager asked. 0, or a negative errno: it did not arrive. */
int notify_manager(const char *state);

/* Half of the watchdog's period ($WATCHDOG_USEC, when meant for this process); NEVER_NS: there is none. */
uint64_t notify_watchdog_interval_ns(void);
