/* SPDX-License-Identifier: Apache-2.0 */
/* The responder's TUN device: made, set up and asked in the network namespace where it was opened. */
#pragma once

#include "bench/responder/settings.h"
#include "route/fib/netlink.h"

/* All zero but fd is closed. */
struct responder_device {
    int fd; /* of the device, non-blocking; one packet a read or write; -1: closed */
    int index;
    struct netlink netlink;
};

/* 0, or a negative errno with one line in message; closed then. */
int responder_device_open(struct responder_device *device, const struct responder_settings *settings,
                          char *message, size_t size_bytes);
void responder_device_close(struct responder_device *device);

/* Packets that the full queue did not take; a negative errno. */
int64_t responder_device_drops(struct responder_device *device);
