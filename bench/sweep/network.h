/* SPDX-License-Identifier: Apache-2.0 */
/* The networks that are swept. */
#pragma once

#include "bench/responder/responder.h"

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
