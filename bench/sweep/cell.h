/* SPDX-License-Identifier: Apache-2.0 */
/* The cells of the table of `bench sweep`. */
#pragma once

#include "bench/study/study.h"
#include "bench/sweep/network.h"

/* One line of the table: what is done, and what came out in each round. */
struct sweep_cell {
    size_t profile;
    const char *transport;
    uint32_t workers;
    struct study_setting setting;
    uint32_t addresses;

    size_t rounds;
    uint64_t *wall_ns, *cpu_ns;     /* of each round; owned */
    uint64_t false_sum, false_most; /* live ones called unreachable: in all rounds, in the worst */
    uint64_t missed;                /* dead ones called reachable, in all rounds; never yet */
    uint64_t doubtful;              /* of the false ones: this host's own drops may be the reason */
    uint32_t dead;                  /* the truth: how many of the addresses */
    uint32_t dead_found;            /* least in a round */
    uint32_t workers_ran;           /* what it came to be */
    char transport_ran[16];
};

/*
 * One round. -EINTR when a signal ended it: then nothing of it counts. Other negative errnos: one line in
 * message.
 */
int sweep_cell_run(struct sweep_cell *cell, const struct sweep_network *network, char *message,
                   size_t size_bytes);

/* What the cells are made of, in their order. */
struct sweep_axes {
    uint32_t addresses[16];
    size_t address_count;
    struct study_setting settings[16];
    size_t setting_count;
    uint32_t workers[16];
    size_t worker_count;
    const char *transports[4];
    size_t transport_count;
};

/* The place of a cell in the list of all: profile by profile, transports, workers, settings, addresses. */
size_t sweep_cell_index(const struct sweep_axes *axes, size_t profile, size_t transport, size_t workers,
                        size_t setting, size_t addresses);
