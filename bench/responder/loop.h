/* SPDX-License-Identifier: Apache-2.0 */
/* The running responder. */
#pragma once

#include "bench/responder/device.h"
#include "bench/responder/figures.h"
#include "bench/responder/memory.h"
#include "bench/responder/packet.h"
#include "bench/responder/queue.h"

#include <sys/types.h>

/* Written by the process that runs the loop, seen by the one that opened the responder too. */
struct responder_shared {
    struct responder_figures figures;
    struct responder_counters counters[]; /* one for each rule */
};

struct responder {
    struct responder_device device;
    struct responder_rule *rules; /* sorted; the last covers everything */
    size_t rule_count;
    struct responder_shared *shared;
    size_t shared_bytes;
    struct address routers[2]; /* IPv4, IPv6: who sends ICMP errors */
    uint64_t seed;
    bool realtime;
    uint64_t began_ns;
    pid_t child; /* 0: none */
    int stop_fd; /* closed or written to, it ends the child */
};

/*
 * Answers in the calling thread until stop_fd is readable or its other end is closed. The thread keeps its
 * timer slack of 1 ns, and with settings.realtime its priority, afterwards. 0 or a negative errno.
 */
int responder_run(struct responder *responder, int stop_fd);
