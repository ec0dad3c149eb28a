/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In place of transport_uring.c where it was not built: "auto" goes on to the next transport.
 */
#include "probe/transport.h"

int transport_uring_open(struct transport **out, const struct probe_settings *settings)
{
    return -ENOSYS;
}
