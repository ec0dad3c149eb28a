/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends TCP connections from outside (SOCK_DESTROY, linux/sock_diag.h). See fib_reset_connections().
 */
#pragma once

#include "probe/base.h"

/*
 * source NULL: all connections to peer; else those of fib_reset_stalled(). On failure one line in message.
 * *count is right even then: all that could be destroyed are.
 */
int fib_diag_destroy(const struct address *peer, const struct address *source, unsigned *count, char *message,
                     size_t size_bytes);
