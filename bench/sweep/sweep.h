/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of `reroute bench sweep`: the networks that are swept, the cells of its table, what is made of
 * them.
 */
#pragma once

#include "bench/responder/responder.h"
#include "bench/study/study.h"
#include "bench/study/table.h"

/* --- networks (network.c) --------------------------------------------------------------------------*/

#define SWEEP_PROFILES_MAX  8
#define SWEEP_ADDRESSES_MAX 1000000  /* each profile has a /12 */
#define SWEEP_KERNEL        "kernel" /* not a profile: another host's kernel answers, as fast as it can */

struct sweep_profile {
    char *text; /* as given; owned */
    struct responder_profile profile;
    bool is_kernel;
    struct responder_prefix prefix; /* where its addresses are */
};

/* All zero is no network. */
struct sweep_network {
    struct sweep_profile profiles[SWEEP_PROFILES_MAX];
    size_t count;
    struct responder *responder; /* NULL: no profile needs one */
    int peer;                    /* the other host's namespace, when one of them is the kernel */
};

/*
 * Reads a list of profiles. They have commas in them: a name (lan, kernel) begins another one, a word
 * (loss=5%) belongs to the one before. 0, -ENOMEM, or -EINVAL with one line in message.
 */
int sweep_network_parse(struct sweep_network *network, const char *list, char *message, size_t size_bytes);

/* Enters a stage and sets the networks up in it. 0, or a negative errno with one line in message. */
int sweep_network_open(struct sweep_network *network, char *message, size_t size_bytes);
void sweep_network_close(struct sweep_network *network);

/* The nth address, from 0, and the truth about it. */
struct address sweep_network_address(const struct sweep_network *network, size_t profile, uint32_t nth);
bool sweep_network_is_dead(const struct sweep_network *network, size_t profile, uint32_t nth);

/* --- cells (run.c) ---------------------------------------------------------------------------------*/

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

/* --- pictures (plot.c) -----------------------------------------------------------------------------*/

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

/* Draws the picture; times of all cells ascend. 0, or a negative errno with one line in message. */
int sweep_plot(const char *file, const struct sweep_axes *axes, const struct sweep_network *network,
               const struct sweep_cell *cells, char *message, size_t size_bytes);
